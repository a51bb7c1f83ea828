"""HTTP with parties that are real servers and raw sockets: refusing early, an agency both ways, TLS, lost answers."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from adapters import http
from adapters.http.server import HttpDoor
from hub.contract import DoorEndpoint, Ground, Known, Parcel

WHOLE = b"UNB+UNOA:3+A+B+260101:0101+1'UNZ+0+1'"
PARCEL = Parcel("d1", "a.edi", WHOLE)
TOKEN, SUBMIT = "what-the-hub-presents", "what-the-agency-presents"


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    monkeypatch.setenv("INSPECTION_TOKEN", TOKEN)
    (tmp_path / "site" / "secrets").mkdir(parents=True)
    (tmp_path / "site" / "secrets" / "inspection-submit").write_text(SUBMIT + "\n")
    (tmp_path / "spool").mkdir()
    return Ground(tmp_path / "site", tmp_path / "spool")


@pytest.fixture
def door(ground: Ground) -> Iterator[HttpDoor]:
    ends = [
        DoorEndpoint("inspection", http.Options(submit_token="file:secrets/inspection-submit", max_size=1000)),
        DoorEndpoint("large", http.Options(submit_token="env:INSPECTION_TOKEN", max_size=5_000_000)),
    ]
    opened = http.door(("127.0.0.1", 0), ends, ground)
    yield opened
    opened.close()


# ---- refusing before the body is read


def head(path: str, token: str, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: hub", f"Authorization: Bearer {token}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def said(connection: socket.socket) -> bytes:
    """All that the door says until it closes its direction."""
    connection.settimeout(10)
    return b"".join(iter(lambda: connection.recv(65536), b""))


def answered(connection: socket.socket) -> int:
    """The status of one answer, which is read to its end."""
    response = HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


@pytest.mark.parametrize(
    ("path", "token", "header", "status"),
    [
        ("/submit/inspection", "wrong", "Content-Length: 900", 401),
        ("/submit/inspection", TOKEN, "Content-Length: 900", 401),
        ("/submit/nobody", SUBMIT, "Content-Length: 900", 401),
        ("/submit/inspection", "wrong", "Content-Length: 900000000000", 401),
        ("/submit/inspection", "wrong", "Transfer-Encoding: chunked", 401),
        ("/submit/inspection", SUBMIT, "Content-Length: 1001", 413),
        ("/submit/inspection", SUBMIT, "Content-Length: 900000000000", 413),
        ("/submit/inspection/k1", SUBMIT, "Content-Length: 10", 405),
        ("/ping", SUBMIT, "Content-Length: 10", 405),
        ("/elsewhere", SUBMIT, "Content-Length: 10", 404),
    ],
)
@pytest.mark.parametrize("expect", [[], ["Expect: 100-continue"]])
def test_the_headers_alone_are_refused(
    door: HttpDoor, path: str, token: str, header: str, status: int, expect: list[str]
) -> None:
    with socket.create_connection(door.address, 10) as connection:
        connection.sendall(head(path, token, header, *expect))
        answer = said(connection)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert answer.count(b"HTTP/1.1") == 1
    assert (b"www-authenticate: bearer" in answer.lower()) == (status == 401)


def test_nothing_of_a_refused_body_reaches_the_disk(door: HttpDoor, ground: Ground) -> None:
    before = sorted((ground.spool / "http").rglob("*"))
    with socket.create_connection(door.address, 10) as connection:
        connection.sendall(head("/submit/large", "wrong", "Content-Length: 4000000") + b"x" * 4_000_000)
        assert said(connection).startswith(b"HTTP/1.1 401 ")
    assert sorted((ground.spool / "http").rglob("*")) == before


def test_who_sends_on_in_spite_of_a_refusal_still_gets_to_read_it(door: HttpDoor) -> None:
    with socket.create_connection(door.address, 10) as connection:
        connection.sendall(head("/submit/large", "wrong", "Content-Length: 4000000"))
        for _ in range(40):
            connection.sendall(b"x" * 100_000)
        connection.shutdown(socket.SHUT_WR)
        assert said(connection).startswith(b"HTTP/1.1 401 ")


def test_what_follows_a_refusal_is_no_further_request(door: HttpDoor, ground: Ground) -> None:
    smuggled = head("/submit/inspection", SUBMIT, f"Content-Length: {len(WHOLE)}") + WHOLE
    with socket.create_connection(door.address, 10) as connection:
        connection.sendall(head("/submit/inspection", "wrong", "Content-Length: 900") + smuggled)
        connection.shutdown(socket.SHUT_WR)
        assert said(connection).count(b"HTTP/1.1") == 1
    assert not http.inlet("inspection", http.Options(), ground).collect(9)


def test_a_chunked_body_is_refused_as_soon_as_it_is_too_long(door: HttpDoor) -> None:
    chunk = b"%x\r\n%s\r\n" % (600, b"x" * 600)
    with socket.create_connection(door.address, 10) as connection:
        connection.sendall(head("/submit/inspection", SUBMIT, "Transfer-Encoding: chunked") + chunk * 2)
        assert said(connection).startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_of_the_longest_length_is_taken_however_it_is_cut(door: HttpDoor, ground: Ground) -> None:
    body = b"".join(b"2\r\nxx\r\n" for _ in range(500)) + b"0\r\n\r\n"
    with socket.create_connection(door.address, 10) as connection:
        connection.sendall(head("/submit/inspection", SUBMIT, "Transfer-Encoding: chunked", "Connection: close") + body)
        assert said(connection).startswith(b"HTTP/1.1 202 ")
    assert [arrival.size for arrival in http.inlet("inspection", http.Options(), ground).collect(9)] == [1000]


def test_who_waits_for_100_continue_gets_it_and_one_connection_serves_again(door: HttpDoor) -> None:
    first = head("/submit/inspection", SUBMIT, f"Content-Length: {len(WHOLE)}", "Expect: 100-continue")
    with socket.create_connection(door.address, 10) as connection:
        connection.settimeout(10)
        connection.sendall(first)
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(WHOLE)
        assert answered(connection) == 202
        connection.sendall(head("/submit/inspection", "wrong"))
        assert answered(connection) == 401
        connection.sendall(head("/submit/inspection", SUBMIT, f"Content-Length: {len(WHOLE)}") + WHOLE)
        assert answered(connection) == 202


# ---- an agency both ways


@dataclass
class Agency:
    """A server that does nothing twice for one Idempotency-Key, as an inspection agency would run it.

    done    what it has carried out, by key
    lose    the next answer is lost on its way
    """

    url: str = ""
    done: dict[str, bytes] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    lose: bool = False


def _handler(agency: Agency) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            agency.asked.append(dict(self.headers.items()))
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                return self._say(401)
            known = agency.done.setdefault(self.headers["Idempotency-Key"], data)
            if agency.lose:
                agency.lose, self.close_connection = False, True
                return None
            return self._say(200 if known == data else 422, b"taken")

        def do_GET(self) -> None:
            self._say(200 if self.path.rpartition("/")[2] in agency.done else 404)

        def _say(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def serving(agency: Agency, context: ssl.SSLContext | None = None) -> Iterator[Agency]:
    server = HTTPServer(("127.0.0.1", 0), _handler(agency))
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    agency.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield agency
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def agency() -> Iterator[Agency]:
    with serving(Agency()) as running:
        yield running


def test_the_documented_endpoint_is_one() -> None:
    text = (http.__doc__ or "").partition("routes.yaml says:\n")[2].partition("\nand the agency")[0]
    routes = yaml.safe_load(text)
    options = http.Options.model_validate(routes["endpoints"]["inspection"]["options"])
    assert options.url and options.token and options.submit_token and options.status_url and options.ca
    assert options.token != options.submit_token


def test_an_agency_is_posted_to_and_posts_its_answer(agency: Agency, door: HttpDoor, ground: Ground) -> None:
    options = http.Options(
        url=f"{agency.url}/receive",
        token="env:INSPECTION_TOKEN",
        submit_token="file:secrets/inspection-submit",
        status_url=f"{agency.url}/received",
    )
    parcel = Parcel("V1.1-INSPECTION", "health-report-E000000001.xml", b"<report/>")
    with closing(http.outlet("inspection", options, ground)) as outlet:
        assert outlet.money_safe
        [told] = outlet.send([parcel])
        assert (told.known, told.answer) == (Known.DONE, b"taken")
        [asked] = agency.asked
        assert asked["Idempotency-Key"] == "V1.1-INSPECTION"
        assert asked["Eport-Name"] == "health-report-E000000001.xml"
        assert asked["Content-Type"] == "application/xml"
        known = [t.known for t in outlet.probe([parcel, Parcel("V2.1-INSPECTION", "b.xml", b"<b/>")])]
        assert known == [Known.DONE, Known.NOT_DONE]
    answer = b"<answer reference='E000000001'/>"
    headers = {"Authorization": f"Bearer {SUBMIT}", "Eport-Name": "answer.xml", "Idempotency-Key": "A-77"}
    url = f"http://127.0.0.1:{door.address[1]}/submit/inspection"
    statuses = [httpx2.post(url, content=answer, headers=headers, trust_env=False).status_code for _ in range(2)]
    assert statuses == [202, 200]
    inlet = http.inlet("inspection", options, ground)
    [arrival] = inlet.collect(9)
    assert (arrival.name, b"".join(inlet.read(arrival))) == ("answer.xml", answer)


def test_the_hubs_token_does_not_open_its_own_door(door: HttpDoor) -> None:
    url = f"http://127.0.0.1:{door.address[1]}/submit/inspection"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert httpx2.post(url, content=WHOLE, headers=headers, trust_env=False).status_code == 401


def test_a_lost_answer_is_unknown_and_the_same_key_acts_once(agency: Agency, ground: Ground) -> None:
    options = http.Options(url=agency.url, token="env:INSPECTION_TOKEN", status_url=agency.url)
    agency.lose = True
    with closing(http.outlet("inspection", options, ground)) as outlet:
        assert [told.known for told in outlet.send([PARCEL])] == [Known.UNKNOWN]
        assert [told.known for told in outlet.probe([PARCEL])] == [Known.DONE]
        assert [told.known for told in outlet.send([PARCEL])] == [Known.DONE]
    assert agency.done == {"d1": WHOLE}
    assert [asked["Idempotency-Key"] for asked in agency.asked] == ["d1", "d1"]


def test_other_bytes_under_one_key_are_refused_by_our_own_door_too(
    agency: Agency, door: HttpDoor, ground: Ground
) -> None:
    url = f"http://127.0.0.1:{door.address[1]}/submit/large"
    for target in (agency.url, url):
        with closing(http.outlet("e", http.Options(url=target, token="env:INSPECTION_TOKEN"), ground)) as outlet:
            known = [told.known for told in outlet.send([PARCEL, PARCEL, Parcel("d1", "a.edi", b"other")])]
            assert known == [Known.DONE, Known.DONE, Known.REFUSED]


# ---- what is known after a failure


def test_a_wrong_token_is_not_done_and_a_missing_one_is_not_even_sent(agency: Agency, ground: Ground) -> None:
    (ground.site / "secrets" / "odd").write_text("two\nlines")
    for reference in ("file:secrets/inspection-submit", "env:EPORT_NOT_SET", "file:none", "clear", "file:secrets/odd"):
        with closing(http.outlet("e", http.Options(url=agency.url, token=reference), ground)) as outlet:
            assert [told.known for told in outlet.send([PARCEL])] == [Known.NOT_DONE]
        assert len(agency.asked) == 1
    assert not agency.done


def certificate(folder: Path, host: str, days: int = 1) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context with a self-signed certificate for `host`, and the certificate as a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "agency")])
    now = datetime.now(UTC)
    begin, end = sorted((now - timedelta(hours=1), now + timedelta(days=days)))
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, end)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    made = builder.sign(key, SHA256())
    public, private = folder / f"{host}{days}.crt", folder / f"{host}{days}.pem"
    public.write_bytes(made.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    private.write_bytes(secret + public.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(private)
    return context, public


@pytest.mark.parametrize(
    ("host", "days", "vouched", "known"),
    [
        ("127.0.0.1", 1, True, Known.DONE),
        ("127.0.0.1", 1, False, Known.UNTRUSTED),
        ("127.0.0.2", 1, True, Known.UNTRUSTED),
        ("127.0.0.1", -1, True, Known.UNTRUSTED),
    ],
    ids=["right", "nobody vouches", "another host", "expired"],
)
def test_a_certificate_decides_who_is_trusted(
    ground: Ground, host: str, days: int, vouched: bool, known: Known
) -> None:
    context, public = certificate(ground.site, host, days)
    with serving(Agency(), context) as agency:
        options = http.Options(
            url=agency.url, token="env:INSPECTION_TOKEN", status_url=agency.url, ca=public.name if vouched else None
        )
        with closing(http.outlet("e", options, ground)) as outlet:
            assert [told.known for told in outlet.send([PARCEL])] == [known]
            assert [told.known for told in outlet.probe([PARCEL])] == [known]
    assert bool(agency.done) == (known is Known.DONE)


def test_authorities_that_cannot_be_read_are_not_done(agency: Agency, ground: Ground) -> None:
    (ground.site / "empty.pem").write_text("")
    for ca in ("none.pem", "empty.pem"):
        with closing(http.outlet("e", http.Options(url=agency.url, ca=ca), ground)) as outlet:
            assert [told.known for told in outlet.send([PARCEL])] == [Known.NOT_DONE]
    assert agency.asked == []


@contextmanager
def greeting(greet: Callable[[socket.socket], object]) -> Iterator[int]:
    """A port at which one connection is treated with `greet` and closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _address = listener.accept()
            with connection, suppress(OSError):
                greet(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join(10)


def _read_all(connection: socket.socket) -> None:
    connection.settimeout(10)
    received = b""
    while not received.endswith(WHOLE):
        received += connection.recv(65536)


@pytest.mark.parametrize(
    ("scheme", "greet", "known"),
    [
        ("https", lambda c: c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Known.UNTRUSTED),
        ("https", lambda c: c.recv(1), Known.NOT_DONE),
        ("http", lambda c: _read_all(c), Known.UNKNOWN),
        ("http", lambda c: (_read_all(c), c.sendall(b"HTTP/1.1 2")), Known.UNKNOWN),
        ("http", lambda c: (_read_all(c), c.sendall(b"SSH-2.0-x\r\n")), Known.UNKNOWN),
        ("http", lambda c: (_read_all(c), c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nha")), Known.DONE),
    ],
    ids=["no TLS", "handshake cut", "hung up", "answer cut in its first line", "no HTTP", "body of the answer cut"],
)
def test_what_is_known_follows_from_how_far_it_came(
    ground: Ground, scheme: str, greet: Callable[[socket.socket], object], known: Known
) -> None:
    with greeting(greet) as port:
        options = http.Options(url=f"{scheme}://127.0.0.1:{port}/", timeout=10)
        with closing(http.outlet("e", options, ground)) as outlet:
            [told] = outlet.send([PARCEL])
    assert (told.known, told.answer) == (known, None), told.evidence


def test_an_answer_that_does_not_come_in_time_is_unknown(ground: Ground) -> None:
    given_up = threading.Event()
    with greeting(lambda c: (_read_all(c), given_up.wait(10))) as port:
        options = http.Options(url=f"http://127.0.0.1:{port}/", timeout=0.2)
        with closing(http.outlet("e", options, ground)) as outlet:
            [told] = outlet.send([PARCEL])
        given_up.set()
    assert told.known is Known.UNKNOWN
