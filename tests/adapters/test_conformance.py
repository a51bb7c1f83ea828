"""What every adapter promises, run over folder, http and memory; then what each promises on its own."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

import adapters
from adapters import folder, http, memory, names
from adapters.http.server import HttpDoor
from hub.contract import Arrival, DoorEndpoint, Ground, Inlet, Known, Outlet, Parcel
from hub.errors import Unreachable

WHOLE = b"UNB+UNOA:3+A+B+260101:0101+1'UNZ+0+1'"
TOKEN = "a-long-token"


@dataclass
class Stand:
    """One adapter with both its ends in sight."""

    kind: str
    inlet: Inlet
    outlet: Outlet
    put: Callable[[str, bytes], object]
    arrived: Callable[[], list[bytes]]


def stand_folder(ground: Ground) -> Stand:
    options = folder.Options.model_validate(
        {"in": "in", "out": "out", "max_size": 1000, "consumer_keeps": True, "probe": ["taken"]}
    )
    source, target = ground.site / "in", ground.site / "out"
    source.mkdir()
    target.mkdir()
    return Stand(
        "folder",
        folder.inlet("e", options, ground),
        folder.outlet("e", options, ground),
        lambda name, data: (source / name).write_bytes(data),
        lambda: [path.read_bytes() for path in sorted(target.iterdir()) if path.is_file()],
    )


def stand_memory(ground: Ground) -> Stand:
    memory.forget()
    box = memory.box("e")
    options = memory.Options(name="e")
    return Stand(
        "memory",
        memory.inlet("e", options, ground),
        memory.outlet("e", options, ground),
        box.put,
        lambda: [parcel.data for parcel in box.sent],
    )


def stand_http(ground: Ground, address: tuple[str, int]) -> Stand:
    url = f"http://{address[0]}:{address[1]}/submit"
    options = http.Options(
        url=f"{url}/e", token="env:EPORT_TEST_TOKEN", status_url=f"{url}/e", max_size=1000, timeout=10
    )
    spool = ground.spool / "http"

    def put(name: str, data: bytes) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}", "Eport-Name": name}
        assert httpx2.post(f"{url}/source", content=data, headers=headers, trust_env=False).status_code == 202

    return Stand(
        "http",
        http.inlet("source", options, ground),
        http.outlet("e", options, ground),
        put,
        lambda: [path.read_bytes() for path in sorted((spool / "e").iterdir()) if path.is_file()],
    )


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    monkeypatch.setenv("EPORT_TEST_TOKEN", TOKEN)
    site, spool = tmp_path / "site", tmp_path / "spool"
    site.mkdir()
    spool.mkdir()
    return Ground(site, spool)


@pytest.fixture
def door(ground: Ground) -> Iterator[HttpDoor]:
    options = http.Options(submit_token="env:EPORT_TEST_TOKEN", max_size=1000)
    ends = [DoorEndpoint("e", options), DoorEndpoint("source", options)]
    opened = http.door(("127.0.0.1", 0), ends, ground)
    yield opened
    opened.close()


@pytest.fixture(params=["folder", "http", "memory"])
def stand(request: pytest.FixtureRequest, ground: Ground) -> Iterator[Stand]:
    if request.param == "http":
        made = stand_http(ground, request.getfixturevalue("door").address)
    else:
        made = {"folder": stand_folder, "memory": stand_memory}[request.param](ground)
    yield made
    made.inlet.close()
    made.outlet.close()


def parcel(delivery: str = "d1", name: str = "a.edi", data: bytes = WHOLE) -> Parcel:
    return Parcel(delivery, name, data)


# ------------------------------------------------------------------------------------------------------ every one


def test_what_was_put_is_collected_with_name_size_and_bytes(stand: Stand) -> None:
    stand.put("a.edi", WHOLE)
    [arrival] = stand.inlet.collect(10)
    assert (arrival.name, arrival.size) == ("a.edi", len(WHOLE))
    assert b"".join(stand.inlet.read(arrival)) == WHOLE


def test_an_arrival_stays_with_the_same_key_until_it_is_settled(stand: Stand) -> None:
    stand.put("a.edi", WHOLE)
    first = list(stand.inlet.collect(10))
    assert list(stand.inlet.collect(10)) == first
    stand.inlet.settle(first[0])
    assert not stand.inlet.collect(10)
    stand.inlet.settle(first[0])


def test_the_same_bytes_sent_again_have_another_key(stand: Stand) -> None:
    stand.put("a.edi", WHOLE)
    [first] = stand.inlet.collect(10)
    stand.inlet.settle(first)
    stand.put("a.edi", WHOLE)
    [second] = stand.inlet.collect(10)
    assert second.key != first.key
    stand.inlet.settle(first)
    assert list(stand.inlet.collect(10)) == [second], "settling the first must not take the second"


def test_the_limit_takes_the_oldest(stand: Stand) -> None:
    for number in range(3):
        stand.put(f"n{number}.edi", WHOLE)
    assert [arrival.name for arrival in stand.inlet.collect(2)] == ["n0.edi", "n1.edi"]


def test_reading_what_is_gone_is_unreachable(stand: Stand) -> None:
    stand.put("a.edi", WHOLE)
    [arrival] = stand.inlet.collect(10)
    stand.inlet.settle(arrival)
    with pytest.raises(Unreachable):
        list(stand.inlet.read(arrival))


def test_a_parcel_sent_twice_arrives_once(stand: Stand) -> None:
    for _ in range(2):
        [told] = stand.outlet.send([parcel()])
        assert (told.delivery, told.known) == ("d1", Known.DONE)
    assert stand.arrived() == [WHOLE]


def test_the_same_name_never_overwrites(stand: Stand) -> None:
    other = WHOLE.replace(b"+A+", b"+Z+")
    told = [t.known for t in stand.outlet.send([parcel(), parcel("d2", data=other)])]
    assert told[0] is Known.DONE
    assert told[1] is (Known.REFUSED if stand.kind == "folder" else Known.DONE)
    assert stand.arrived()[0] == WHOLE


def test_after_a_lost_answer_probe_finds_what_arrived_and_only_that(stand: Stand) -> None:
    assert stand.outlet.money_safe
    list(stand.outlet.send([parcel()]))
    known = [told.known for told in stand.outlet.probe([parcel(), parcel("d2", "b.edi", b"never sent")])]
    assert known == [Known.DONE, Known.NOT_DONE]


# ---------------------------------------------------------------------------------------------------------- folder


@pytest.fixture
def shelf(ground: Ground) -> Stand:
    return stand_folder(ground)


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_temporary_and_irregular_files_are_not_seen(shelf: Stand, ground: Ground) -> None:
    source = ground.site / "in"
    for name in (".hidden", "a.tmp", "a.PART", "a.filepart", "a~", "x.ocTransferId7"):
        (source / name).write_bytes(WHOLE)
        age(source / name, 9999)
    (ground.site / "elsewhere").write_bytes(WHOLE)
    (source / "link.edi").symlink_to(ground.site / "elsewhere")
    os.mkfifo(source / "pipe.edi")
    (source / "folder.edi").mkdir()
    assert not shelf.inlet.collect(10)


def test_a_cut_file_waits_and_is_collected_at_last(shelf: Stand, ground: Ground) -> None:
    cut = ground.site / "in" / "cut.edi"
    cut.write_bytes(WHOLE[:-3])
    age(cut, 200)
    assert not shelf.inlet.collect(10)
    age(cut, 301)
    assert [arrival.name for arrival in shelf.inlet.collect(10)] == ["cut.edi"]


def test_an_unknown_format_waits_until_it_is_quiet(shelf: Stand, ground: Ground) -> None:
    other = ground.site / "in" / "a.csv"
    other.write_bytes(b"a;b\n")
    assert not shelf.inlet.collect(10)
    age(other, 11)
    assert len(shelf.inlet.collect(10)) == 1


def test_an_oversized_file_is_collected_and_read_to_one_byte_too_many(shelf: Stand) -> None:
    shelf.put("big.edi", WHOLE[:-8] + b"x" * 5000 + b"'UNZ+0+1'")
    [arrival] = shelf.inlet.collect(10)
    assert arrival.size > 5000
    assert len(b"".join(shelf.inlet.read(arrival))) == 1001


def test_a_file_that_changed_since_is_neither_read_nor_settled(shelf: Stand, ground: Ground) -> None:
    shelf.put("a.edi", WHOLE)
    [arrival] = shelf.inlet.collect(10)
    (ground.site / "in" / "a.edi").write_bytes(WHOLE + b"\n")
    with pytest.raises(Unreachable):
        list(shelf.inlet.read(arrival))
    shelf.inlet.settle(arrival)
    assert len(shelf.inlet.collect(10)) == 1


def test_the_archive_keeps_both_of_one_name(ground: Ground) -> None:
    (ground.site / "in").mkdir()
    options = folder.Options.model_validate({"in": "in", "archive": "old"})
    inlet = folder.inlet("e", options, ground)
    for data in (WHOLE, WHOLE + b"\n"):
        (ground.site / "in" / "a.edi").write_bytes(data)
        inlet.settle(inlet.collect(1)[0])
    kept = sorted((ground.site / "old").glob("*/*"))
    assert [path.name for path in kept] == ["a.edi", "a.edi.1"]
    assert [path.read_bytes() for path in kept] == [WHOLE, WHOLE + b"\n"]


def test_an_interrupted_write_never_shows(shelf: Stand, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        [told] = shelf.outlet.send([parcel()])
    assert told.known is Known.NOT_DONE
    assert "No space" in told.evidence
    assert list((ground.site / "out").iterdir()) == []


def test_a_leftover_of_a_crash_is_replaced(shelf: Stand, ground: Ground) -> None:
    (ground.site / "out" / ".d1.tmp").write_bytes(b"half")
    [told] = shelf.outlet.send([parcel()])
    assert told.known is Known.DONE
    assert [path.name for path in (ground.site / "out").iterdir()] == ["a.edi"]


def test_what_another_process_writes_under_the_temporary_name_is_never_named(
    shelf: Stand, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A courier that was cut off meanwhile, and its successor."""
    out, fsync = ground.site / "out", os.fsync

    def successor(descriptor: int) -> None:
        fsync(descriptor)
        (out / ".d1.tmp").unlink(missing_ok=True)
        (out / ".d1.tmp").write_bytes(b"half")

    monkeypatch.setattr(os, "fsync", successor)
    [told] = shelf.outlet.send([parcel()])
    assert told.known is Known.NOT_DONE and not (out / "a.edi").exists()


def test_companions_are_there_and_a_missing_folder_is_not_done(shelf: Stand, ground: Ground) -> None:
    signed = Parcel("d1", "a.edi", WHOLE, companions=(("a.edi.p7s", b"sig"),))
    assert [told.known for told in shelf.outlet.send([signed])] == [Known.DONE]
    assert (ground.site / "out" / "a.edi.p7s").read_bytes() == b"sig"
    for path in (ground.site / "out").iterdir():
        path.unlink()
    (ground.site / "out").rmdir()
    assert [told.known for told in shelf.outlet.send([signed])] == [Known.NOT_DONE]
    assert [told.known for told in shelf.outlet.probe([signed])] == [Known.UNKNOWN]


def test_probe_looks_where_the_reader_keeps_and_else_does_not_know(ground: Ground) -> None:
    (ground.site / "out" / "taken").mkdir(parents=True)
    (ground.site / "out" / "taken" / "a.edi").write_bytes(WHOLE)
    outlet = folder.outlet("e", folder.Options(out="out", probe=["taken"]), ground)
    known = [told.known for told in outlet.probe([parcel(), parcel("d2", "b.edi")])]
    assert known == [Known.DONE, Known.UNKNOWN]
    assert not outlet.money_safe


def test_a_home_has_a_folder_for_each_purpose(ground: Ground) -> None:
    (ground.site / "home" / "outbound").mkdir(parents=True)
    options = folder.Options(out="home", home=True)
    [told] = folder.outlet("e", options, ground).send([Parcel("d1", "a.edi", WHOLE, folder="error")])
    assert told.known is Known.DONE
    assert (ground.site / "home" / "error" / "a.edi").read_bytes() == WHOLE
    (ground.site / "home" / "outbound" / "b.edi").write_bytes(WHOLE)
    assert [arrival.name for arrival in folder.inlet("e", options, ground).collect(9)] == ["b.edi"]


def test_a_name_that_leaves_the_folder_is_refused(shelf: Stand) -> None:
    assert [t.known for t in shelf.outlet.send([parcel(name="../x")])] == [Known.REFUSED]


# ------------------------------------------------------------------------------------------------------------ http


def submit(door: HttpDoor, path: str = "/submit/e", data: bytes = WHOLE, **headers: str) -> httpx2.Response:
    given = {"Authorization": f"Bearer {TOKEN}"} | {k.replace("_", "-"): v for k, v in headers.items()}
    url = f"http://{door.address[0]}:{door.address[1]}{path}"
    return httpx2.post(url, content=data, headers=given, trust_env=False)


def test_the_door_takes_only_who_fits(door: HttpDoor) -> None:
    wrong = submit(door, Authorization="Bearer wrong")
    unknown = submit(door, "/submit/nobody")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.content == unknown.content
    ping = httpx2.get(f"http://{door.address[0]}:{door.address[1]}/ping", trust_env=False)
    assert (ping.status_code, ping.text) == (200, "ok")


def test_the_door_refuses_nothing_and_too_much(door: HttpDoor) -> None:
    assert submit(door, data=b"").status_code == 400
    assert submit(door, data=b"x" * 1000).status_code == 202
    assert submit(door, data=b"x" * 1001).status_code == 413
    assert submit(door, data=b"x" * 90_000).status_code == 413


def test_one_key_is_one_message_even_after_it_was_settled(door: HttpDoor, ground: Ground) -> None:
    inlet = http.inlet("e", http.Options(), ground)
    first = submit(door, Idempotency_Key="k1", Eport_Name="a.edi")
    again = submit(door, Idempotency_Key="k1", Eport_Name="a.edi")
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json() == again.json()
    inlet.settle(inlet.collect(9)[0])
    assert submit(door, Idempotency_Key="k1").status_code == 200
    assert submit(door, Idempotency_Key="k1", data=b"other").status_code == 422
    assert not inlet.collect(9)


def test_a_crash_between_key_and_message_loses_nothing(
    ground: Ground, door: HttpDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        assert submit(door, Idempotency_Key="k1").status_code == 503
    assert submit(door, Idempotency_Key="k1").status_code == 202
    assert len(http.inlet("e", http.Options(), ground).collect(9)) == 1


def test_an_unsafe_name_becomes_message(door: HttpDoor, ground: Ground) -> None:
    assert submit(door, Eport_Name="../../x").json()["name"] == "message"
    assert [a.name for a in http.inlet("e", http.Options(), ground).collect(9)] == ["message"]


def test_a_missing_token_closes_its_own_endpoint_until_it_is_there(ground: Ground) -> None:
    tokens = {"e": "file:e.token", "late": "file:late.token"}
    ground.site.mkdir(parents=True, exist_ok=True)
    (ground.site / "e.token").write_text("TOKEN")
    ends = [DoorEndpoint(name, http.Options(submit_token=token)) for name, token in tokens.items()]
    opened = http.door(("127.0.0.1", 0), ends, ground)
    try:
        assert list(opened.keyless()) == ["late"]
        url = f"http://127.0.0.1:{opened.address[1]}/submit"
        ask = {"headers": {"Authorization": "Bearer TOKEN"}, "content": WHOLE, "trust_env": False}
        assert [httpx2.post(f"{url}/{name}", **ask).status_code for name in tokens] == [202, 401]
        for wrong in ("", " "):
            (ground.site / "late.token").write_text(wrong)
            assert opened.keyless() == {"late": "submit_token is empty"}
            assert httpx2.post(f"{url}/late", content=WHOLE, trust_env=False).status_code == 401
        (ground.site / "late.token").write_text("TOKEN")
        assert opened.keyless() == {}
        assert httpx2.post(f"{url}/late", **ask).status_code == 202
    finally:
        opened.close()


@dataclass
class Party:
    """A real server that answers as told."""

    url: str
    asked: list[dict[str, str]]
    status: int = 200
    body: bytes = b""
    hang_up: bool = False


@pytest.fixture
def party() -> Iterator[Party]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            told.asked.append(dict(self.headers.items()))
            if told.hang_up:
                self.close_connection = True
                return
            self.send_response(told.status)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(told.body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    told = Party(f"http://127.0.0.1:{server.server_port}/", [])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "known"),
    [
        *((status, Known.DONE) for status in (200, 202, 409)),
        *((status, Known.NOT_DONE) for status in (307, 308, 401, 407, 408, 425, 429, 503)),
        *((status, Known.REFUSED) for status in (400, 403, 404, 422)),
        *((status, Known.UNKNOWN) for status in (301, 302, 303, 500, 502)),
    ],
)
def test_a_status_tells_what_is_known(party: Party, ground: Ground, status: int, known: Known) -> None:
    party.status, party.body = status, b"text"
    outlet = http.outlet("e", http.Options(url=party.url), ground)
    [told] = outlet.send([Parcel("d1", "a.edi", WHOLE, companions=(("a.p7s", b"sig"),))])
    outlet.close()
    assert told.known is known
    assert told.answer == (b"text" if status in (200, 202) else None)
    assert party.asked[0]["Idempotency-Key"] == "d1"
    assert party.asked[0]["Eport-Signature"] == "c2ln"
    assert party.asked[0]["Content-Type"] == "application/EDIFACT"


def test_a_reset_after_sending_is_unknown_and_no_listener_is_not_done(party: Party, ground: Ground) -> None:
    party.hang_up = True
    outlet = http.outlet("e", http.Options(url=party.url), ground)
    assert [t.known for t in outlet.send([parcel()])] == [Known.UNKNOWN]
    assert [t.known for t in outlet.probe([parcel()])] == [Known.NOT_DONE]
    outlet.close()
    outlet = http.outlet("e", http.Options(url="http://127.0.0.1:1/", idempotent=False), ground)
    assert [t.known for t in outlet.send([parcel()])] == [Known.NOT_DONE]
    assert [t.known for t in outlet.probe([parcel()])] == [Known.UNKNOWN]
    assert not outlet.money_safe
    outlet.close()


def test_a_certificate_that_nobody_vouches_for_is_untrusted(tmp_path: Path, ground: Ground) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.sign(key, SHA256()).public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            for _ in range(2):
                raw, _address = listener.accept()
                with raw, suppress(OSError), context.wrap_socket(raw, server_side=True):
                    pass

        thread = threading.Thread(target=greet)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        outlet = http.outlet("e", http.Options(url=url, status_url=url), ground)
        known = [told.known for told in (*outlet.send([parcel()]), *outlet.probe([parcel()]))]
        outlet.close()
        thread.join(10)
    assert known == [Known.UNTRUSTED, Known.UNTRUSTED]


def test_an_endless_answer_is_not_read(party: Party, ground: Ground) -> None:
    party.body = b"x" * 3_000_000
    outlet = http.outlet("e", http.Options(url=party.url), ground)
    [told] = outlet.send([parcel()])
    outlet.close()
    assert (told.known, told.answer) == (Known.DONE, None)
    assert "longer" in told.evidence


# ------------------------------------------------------------------------------------------- memory, names, registry


def test_injected_failures_come_in_order(ground: Ground) -> None:
    stand = stand_memory(ground)
    memory.box("e").failures.extend([Known.NOT_DONE, Known.UNKNOWN])
    assert [t.known for t in stand.outlet.send([parcel()])] == [Known.NOT_DONE]
    assert stand.arrived() == []
    assert [t.known for t in stand.outlet.send([parcel()])] == [Known.UNKNOWN]
    assert [t.known for t in stand.outlet.probe([parcel()])] == [Known.DONE]


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (WHOLE, True),
        (WHOLE + b"\r\n", True),
        (WHOLE[:-1], False),
        (WHOLE[:-1] + b"?'", False),
        (WHOLE[:-1] + b"??'", True),
        (b"UNB+UNOA:3'FTX+?'UNZ+1+R'", False),
        (b"\xef\xbb\xbf\nUNA:+.? ~\r\nUNB+UNOA~UNZ+1+R~", True),
        (b"UNA:+.? ~UNB+UNOA~UNZ+1+R'", False),
        (b"UNA:+.? \nUNB+UNOA\nUNZ+1+R", False),
        (b"UNA:+.? \nUNB+UNOA\nUNZ+1+R\n", True),
        (b"<?xml version='1.0'?><!-- a --><x:r a='>'><b/></x:r> <!-- </x:r -->\n", True),
        (b"<r><b></b>", False),
        (b"<r><!-- </r>", False),
        (b"<r><![CDATA[</r>", False),
        (b"<r/>", True),
        (b"<r", False),
        ("\ufeff<r>中</r>".encode("utf-16-le"), True),
        ("\ufeff<r>中</r>".encode("utf-16-be")[:-1], False),
        (b"<r>" + b"x" * 9000 + b"</r>", True),
        (b"<r>" + b"x" * 9000, False),
        (b"<!--" + b"x" * 5000 + b"--><r></r>", None),
        (b"UNABLE TO COMPLY", None),
        (b"", None),
    ],
)
def test_completeness_by_the_two_ends(data: bytes, whole: bool | None) -> None:
    assert names.complete(data[: names.WINDOW], data[-names.WINDOW :]) is whole


def test_every_cut_of_a_whole_file_is_seen() -> None:
    for data in (WHOLE, b"UNA:+.? '" + WHOLE, b"<r><a>1</a></r>"):
        for end in range(10, len(data)):
            assert names.complete(data[:end], data[:end]) is not True, data[:end]


def test_load_knows_its_names_and_guesses() -> None:
    assert adapters.load("folder") is folder
    with pytest.raises(ValueError, match="did you mean 'folder'"):
        adapters.load("foldr")


@pytest.mark.parametrize("name", ["names", "algorithms", "server", "adapters.http.server", "http.server"])
def test_what_adapters_share_or_keep_inside_is_no_adapter(name: str) -> None:
    with pytest.raises(ValueError, match="there is no adapter"):
        adapters.load(name)


@pytest.mark.parametrize("name", sorted(adapters.ADAPTERS))
def test_every_adapter_offers_its_options_and_a_way_in_and_out(name: str) -> None:
    module = adapters.load(name)
    assert module.Options.model_config["extra"] == "forbid"
    assert callable(module.inlet) and callable(module.outlet)


def test_checking_a_site_imports_no_network_library() -> None:
    code = (
        "import sys, adapters; [adapters.load(name) for name in adapters.ADAPTERS];"
        "print(sorted({'paramiko', 'waitress', 'httpx2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_an_arrival_of_another_endpoint_is_no_path(ground: Ground) -> None:
    inlet = http.inlet("e", http.Options(), ground)
    with pytest.raises(Unreachable):
        list(inlet.read(Arrival("../../secret", "x", 1)))
