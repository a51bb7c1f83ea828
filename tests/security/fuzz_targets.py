"""Everything that reads what strangers send, as a target: seeds that are right, and what must hold of any bytes."""

from __future__ import annotations

import atexit
import http.client
import io
import json
import logging
import os
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import paramiko
from lxml import etree

from adapters import http as http_adapter
from adapters import names, sftpd
from adapters.sftpd.box import Box
from hub import opening, receipts
from hub.contract import DoorEndpoint, Ground
from hub.declaration import parse as parse_yaml
from hub.declaration import plain as plain_values
from hub.edifact.model import Envelope, RawMessage, Trailer
from hub.edifact.reader import read
from hub.edifact.writer import write_message
from hub.errors import DeclarationError
from hub.identity import cms, xmldsig
from hub.identity.ca import Authority
from hub.identity.keys import Signer, load_certificates, parse_key
from hub.identity.register import Register
from hub.mapping.path import parse_path
from hub.message import Answer, Interchange, legal
from hub.plain import plain
from hub.rejection import explain
from hub.site.load import load
from hub.site.site import Site
from hub.xml import gate
from tests.security.fuzzing import Run, Target

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
EDIFACT_WORDS = (
    b"'",
    b"+",
    b":",
    b"?",
    b"?'",
    b"UNA:+.? '",
    b"UNB+",
    b"UNH+",
    b"UNT+",
    b"UNZ+",
    b"UNG+",
    b"\n",
    b"\0",
    b"\xff",
)
XML_WORDS = (
    b"<",
    b">",
    b"</",
    b"/>",
    b"&",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"<?xml",
    b"<!DOCTYPE",
    b"=",
    b'"',
    b"\0",
    b"\xef\xbb\xbf",
)


@cache
def golden(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((ROOT / "mappings").glob(pattern))]


@cache
def site() -> Site:
    loaded = load(ROOT, Register(roots=(authority().certificate(),)), signer("TJEPORT"))
    return loaded


@cache
def authority() -> Authority:
    folder = tempfile.mkdtemp(prefix="eport-fuzz-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Authority(Path(folder))
    made.init(NOW - timedelta(days=1), "Fuzz CA")
    return made


@cache
def signer(party: str) -> Signer:
    issued = authority().issue(party, NOW - timedelta(hours=1))
    assert issued.private_key is not None
    return Signer(parse_key(issued.private_key), load_certificates(issued.certificate)[0])


# ---- pure readers


@contextmanager
def edifact() -> Iterator[Run]:
    """Accepted messages come back the same when they are written."""

    def run(data: bytes) -> None:
        parts = list(read([data]))
        assert isinstance(parts[-1], Trailer)
        envelope: Envelope | None = None
        if any(f.severity == "error" for part in parts for f in part.findings):
            return
        for part in parts:
            if isinstance(part, Envelope):
                envelope = part
            elif isinstance(part, RawMessage) and all(s.tag.isalnum() for s in part.segments):
                assert envelope is not None
                _written_again(envelope, part)

    yield run


def _written_again(envelope: Envelope, raw: RawMessage) -> None:
    inner = [(s.tag, s.elements) for s in raw.segments[1:-1]]
    signs = envelope.separators
    text = write_message(raw.reference, raw.type, raw.version, raw.release, raw.agency, raw.association, inner, signs)
    frame = opening.frame(envelope)
    [again] = [
        p
        for p in read([frame.encode("latin-1"), text.encode(envelope.charset)], charset=envelope.charset)
        if isinstance(p, RawMessage)
    ]
    assert [(s.tag, _trimmed(s.elements)) for s in again.segments[1:-1]] == [(tag, _trimmed(one)) for tag, one in inner]


def _trimmed(elements: Any) -> list[list[list[str]]]:
    """Without what a writer leaves out: empty values at the end."""
    kept = []
    for element in elements:
        repeats = [list(one) for one in (element, *getattr(element, "more", ()))]
        for one in repeats:
            while one and not one[-1]:
                one.pop()
        while repeats and not repeats[-1]:
            repeats.pop()
        kept.append(repeats)
    while kept and not kept[-1]:
        kept.pop()
    return kept


@contextmanager
def xml() -> Iterator[Run]:
    """An accepted tree comes back the same when it is written; a refused one has its reason."""

    def run(data: bytes) -> None:
        root, findings = gate.parse(data)
        assert (root is None) == bool(findings)
        if root is not None:
            again, wrong = gate.parse(etree.tostring(root, encoding="utf-8"))
            assert again is not None and wrong == []
            assert etree.tostring(again, encoding="utf-8") == etree.tostring(root, encoding="utf-8")

    yield run


SIGNED = b'<a xmlns="urn:x"><b>100</b><c>text</c></a>'


@contextmanager
def signature() -> Iterator[Run]:
    """Whatever is accepted, it is the words that were signed."""
    register = Register(roots=(authority().certificate(),))
    right = etree.tostring(etree.fromstring(SIGNED), method="c14n", exclusive=True)

    def run(data: bytes) -> None:
        verified = xmldsig.verify(data, "CUSTOMS", register, NOW)
        if not any(f.severity == "error" for f in verified.findings):
            assert etree.tostring(etree.fromstring(verified.signed), method="c14n", exclusive=True) == right

    yield run


@contextmanager
def detached() -> Iterator[Run]:
    """No changed byte of a detached signature is accepted."""
    register = Register(roots=(authority().certificate(),))
    right = _detached()

    def run(data: bytes) -> None:
        verified = cms.verify(SIGNED, data, "CUSTOMS", register, NOW)
        assert any(f.severity == "error" for f in verified.findings) != (data in right)

    yield run


@cache
def _detached() -> tuple[bytes, ...]:
    return (cms.sign(SIGNED, signer("CUSTOMS"), NOW),)


def _answers() -> list[bytes]:
    body = (
        '<CustomsAnswer xmlns="urn:eport:manifest:customs-answer:1"><Reference>E000000001</Reference>'
        "<Number>TJL9</Number><Status>{}</Status><At>2026-11-23T08:30:00+08:00</At></CustomsAnswer>"
    )
    return [xmldsig.sign(body.format(status).encode(), signer("CUSTOMS"), NOW) for status in ("01", "03")]


@contextmanager
def opened() -> Iterator[Run]:
    """A whole interchange is opened, judged and, when it is wrong, explained, as its sender would get it."""
    parties = ("TJLINE", "BOHAI", "CUSTOMS")
    here = site()

    def run(data: bytes) -> None:
        party = parties[len(data) % 3]
        one = Interchange("I", "e", party, "a.edi", "k", "0" * 64, len(data), NOW)
        found = opening.open(here, one, data, NOW)
        wrong = [*found.findings, *(f for m in found.messages for f in m.findings)]
        explain("a.edi", data, wrong)[0].decode()
        for message in found.messages:
            assert message.rejected or message.usage is not None
            if message.answer is not None and not message.rejected:
                assert message.answer.level in ("transport", "syntax", "application", "business", "closing")

    yield run


@contextmanager
def receipt() -> Iterator[Run]:
    """What an answer says is judged whatever it says; the state of what it answers is never lowered by it."""
    here = replace(site(), routes=site().routes.model_copy(update={"parties": _unsigned(site())}))
    delivery = {"id": "D", "due_at": NOW, "awaits": "business"}

    def run(data: bytes) -> None:
        one = Interchange("I", "customs", "CUSTOMS", "a.xml", "k", "0" * 64, len(data), NOW)
        for message in opening.open(here, one, data, NOW).messages:
            if isinstance(message.answer, Answer) and not message.rejected:
                state = receipts.judge(delivery, [], message.answer, NOW)  # type: ignore[arg-type]
                assert state in ("matched", "late")
                had = [{"level": "business", "accepted": True, "state": "matched"}]
                again = receipts.judge(delivery, had, message.answer, NOW)  # type: ignore[arg-type]
                assert again not in ("matched", "late") or message.answer.level == "closing"

    yield run


def _unsigned(here: Site) -> dict[str, Any]:
    return {name: party.model_copy(update={"signed": False}) for name, party in here.parties.items()}


@contextmanager
def declaration() -> Iterator[Run]:
    """Any bytes are keys, or one finding with its place."""

    def run(data: bytes) -> None:
        try:
            values = plain_values(parse_yaml("f.yaml", data))
        except DeclarationError as fault:
            [finding] = fault.findings
            assert finding.place.line and finding.place.column
        else:
            assert isinstance(values, dict)
            json.dumps(values)

    yield run


@contextmanager
def path() -> Iterator[Run]:
    """Any text is a path that reads back as it is written, or a ValueError that says where."""

    def run(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        try:
            parsed = parse_path(text)
        except ValueError as fault:
            assert "column" in str(fault)
        else:
            assert parse_path(str(parsed)) == parsed

    yield run


@contextmanager
def name() -> Iterator[Run]:
    """No name leaves its folder, no answer has a name that is not safe, nothing shown commands a terminal."""
    with tempfile.TemporaryDirectory() as folder:
        box = Box(Path(folder), 1000, 1000, 60)

        def run(data: bytes) -> None:
            text = data.decode("utf-8", "surrogateescape")
            local = box.local(text)
            assert local is None or local.resolve().is_relative_to(Path(folder).resolve())
            assert names.safe(legal(text)) or not text
            assert not names.safe(text) or text == os.path.basename(text)
            names.temporary(text)
            names.complete(data[: names.WINDOW], data[-names.WINDOW :])
            assert all(c.isprintable() or c in "\u00a0\u3000" or c.isspace() for c in plain(text))
            assert "\n" not in plain(text) and "\x1b" not in plain(text)

        yield run


# ---- the doors


def _ground(folder: str) -> Ground:
    ground = Ground(Path(folder) / "site", Path(folder) / "spool")
    for path in (ground.site, ground.spool):
        path.mkdir()
    return ground


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """What these log of each spoiled case is not written meanwhile."""
    levels = {name: logging.getLogger(name).level for name in loggers}
    for name in loggers:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def front_door() -> Iterator[tuple[Any, Ground, paramiko.PKey]]:
    """The SFTP door with one party, and what must not change however it is treated."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    made = Ed25519PrivateKey.generate()
    text = made.private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, s.NoEncryption()).decode()
    line = made.public_key().public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH).decode()
    with quiet("paramiko", "eport"), tempfile.TemporaryDirectory() as folder:
        ground = _ground(folder)
        options = sftpd.Options(user="bohai", keys=[line], max_size=100_000, quota=400_000)
        door = sftpd.door(("127.0.0.1", 0), [DoorEndpoint("bohai", options)], ground)
        (ground.spool / "canary").write_text("untouched")
        try:
            yield door, ground, paramiko.Ed25519Key.from_private_key(io.StringIO(text))
            assert (ground.spool / "canary").read_text() == "untouched"
            assert {entry.name for entry in (ground.spool / "boxes").iterdir()} == {"bohai"}
        finally:
            door.close()


def _packet(kind: int, *fields: bytes | int) -> bytes:
    body = bytes([kind])
    for field in fields:
        body += struct.pack(">I", field) if isinstance(field, int) else struct.pack(">I", len(field)) + field
    return struct.pack(">I", len(body)) + body


def _sftp_seeds() -> list[bytes]:
    """Whole sessions: INIT, then requests (draft-ietf-secsh-filexfer-02)."""
    init = struct.pack(">IBI", 5, 1, 3)
    handle = b"hx1"
    requests = [
        _packet(3, 1, b"outbound/a.edi", 0x1A, 0) + _packet(6, 2, handle, 0, 0, b"UNB+data") + _packet(4, 3, handle),
        _packet(11, 1, b"/inbound") + _packet(12, 2, handle) + _packet(12, 3, handle) + _packet(4, 4, handle),
        _packet(17, 1, b"README.txt") + _packet(7, 2, b"archive") + _packet(16, 3, b"../../x") + _packet(8, 4, handle),
        _packet(3, 1, b"README.txt", 1, 0) + _packet(5, 2, handle, 0, 0, 4000) + _packet(4, 3, handle),
        _packet(18, 1, b"outbound/a.edi", b"outbound/b.edi") + _packet(13, 2, b"outbound/b.edi"),
        _packet(20, 1, b"outbound/l", b"/etc/passwd") + _packet(19, 2, b"outbound/l") + _packet(14, 3, b"new", 0),
        _packet(200, 1, b"posix-rename@openssh.com", b"outbound/a", b"outbound/b")
        + _packet(200, 2, b"check-file", handle),
        _packet(9, 1, b"outbound/a.edi", 1, 0, 5) + _packet(10, 2, handle, 4, 0o777) + _packet(15, 3, b"archive"),
    ]
    return [init + request for request in requests]


@contextmanager
def sftp() -> Iterator[Run]:
    """Any bytes on the SFTP channel of a party that has logged in: the next session works as if nothing had been."""
    with front_door() as (door, _ground, key), closing(paramiko.Transport(door.address)) as transport:
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.connect(username="bohai", pkey=key)
        count = [0]

        def run(data: bytes) -> None:
            channel = transport.open_session(timeout=10)
            channel.settimeout(5)
            try:
                channel.invoke_subsystem("sftp")
                channel.sendall(data)
                channel.shutdown_write()
                with suppress(TimeoutError):
                    while channel.recv(65536):
                        pass
            finally:
                channel.close()
            count[0] += 1
            if count[0] % 20 == 1:
                client = paramiko.SFTPClient.from_transport(transport)
                assert client is not None
                assert set(client.listdir("/")) == {"outbound", "inbound", "archive", "error", "README.txt"}
                client.close()

        yield run
        assert threading.active_count() < 30


@contextmanager
def ssh() -> Iterator[Run]:
    """Any bytes from a stranger: the door closes on him, and a party still comes in."""
    with front_door() as (door, _ground, key):
        count = [0]

        def run(data: bytes) -> None:
            with socket.create_connection(door.address, 5) as stranger, suppress(OSError):
                stranger.settimeout(0.5)
                stranger.sendall(data)
                stranger.shutdown(socket.SHUT_WR)
                while stranger.recv(65536):
                    pass
            count[0] += 1
            if count[0] % 50 == 1:
                with closing(paramiko.Transport(door.address)) as transport:
                    transport.connect(username="bohai", pkey=key)

        yield run


def _ssh_seeds() -> list[bytes]:
    names_ = (
        b"curve25519-sha256",
        b"ssh-ed25519",
        b"aes128-ctr",
        b"aes128-ctr",
        b"hmac-sha2-256",
        b"hmac-sha2-256",
        b"none",
        b"none",
        b"",
        b"",
    )
    kexinit = bytes([20]) + bytes(16) + b"".join(struct.pack(">I", len(n)) + n for n in names_) + bytes(5)
    padding = 8 - (len(kexinit) + 5) % 8 + 8
    framed = struct.pack(">IB", len(kexinit) + padding + 1, padding) + kexinit + bytes(padding)
    reply = bytes([30]) + struct.pack(">I", 32) + bytes(range(32))
    framed += struct.pack(">IB", len(reply) + 10 + 1, 10) + reply + bytes(10)
    return [b"SSH-2.0-fuzz\r\n" + framed, b"SSH-2.0-x\r\n", b"GET / HTTP/1.1\r\n\r\n"]


TOKEN = "the-token-of-the-fuzzer"
HTTP_WORDS = (
    b"\r\n",
    b"\r\n\r\n",
    b": ",
    b"\0",
    b"chunked",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 9\r\n",
    b"0\r\n\r\n",
    b"HTTP/1.1",
    b"%2e%2e/",
    b"\xff",
)


def _http_seeds() -> list[bytes]:
    head = f"POST /submit/e HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {TOKEN}\r\nEport-Name: a.edi\r\n".encode()
    return [
        head + b"Content-Length: 9\r\n\r\nUNB+data'",
        head + b"Transfer-Encoding: chunked\r\n\r\n4\r\nUNB+\r\n5\r\ndata'\r\n0\r\n\r\n",
        head.replace(TOKEN.encode(), b"wrong") + b"Content-Length: 9\r\n\r\nUNB+data'",
        b"GET /ping HTTP/1.1\r\nHost: hub\r\n\r\n",
        b"GET /submit/e/key HTTP/1.0\r\n" + f"Authorization: Bearer {TOKEN}\r\n\r\n".encode(),
        head + b"Idempotency-Key: k1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    ]


@contextmanager
def web() -> Iterator[Run]:
    """Any bytes at the HTTP door: an answer or silence, nothing kept without the token, and the door still open."""
    with quiet("waitress"), tempfile.TemporaryDirectory() as folder:
        ground = _ground(folder)
        (ground.site / "token").write_text(TOKEN)
        options = http_adapter.Options(submit_token="file:token", max_size=10_000)
        door = http_adapter.door(("127.0.0.1", 0), [DoorEndpoint("e", options)], ground)
        inlet = http_adapter.inlet("e", options, ground)
        count = [0]

        def run(data: bytes) -> None:
            with socket.create_connection(door.address, 5) as guest, suppress(OSError):
                guest.settimeout(1)
                guest.sendall(data)
                guest.shutdown(socket.SHUT_WR)
                said = b"".join(iter(lambda: guest.recv(65536), b""))
                assert not said or said.startswith(b"HTTP/1."), said[:80]
                assert b"Traceback" not in said
            for arrival in inlet.collect(50):
                assert TOKEN.encode() in data and arrival.size <= 10_000
                inlet.settle(arrival)
            count[0] += 1
            if count[0] % 50 == 1:
                with closing(http.client.HTTPConnection(*door.address, timeout=5)) as connection:
                    connection.request("GET", "/ping")
                    assert connection.getresponse().status == 200

        yield run
        door.close()


def _yaml_seeds() -> list[bytes]:
    return [path.read_bytes() for path in (ROOT / "routes.yaml", *sorted((ROOT / "mappings").glob("*/*.yaml"))[:6])]


def _paths() -> list[bytes]:
    return [
        b"SG7/NAD[3035=CN]/C080/3036",
        b"call:/A/../B#2/@x",
        b"../../Party/#text",
        b"SG5[RFF/C506/1153=BM]/X",
        b"A/B",
    ]


def _names() -> list[bytes]:
    return [
        b"manifest.edi",
        b"outbound/../inbound/x",
        b".a.part",
        "舱单.edi".encode(),
        b"a\x1b[2J\n",
        b"/archive/2026-11-23/a.edi",
        b"x" * 200,
    ]


def _golden() -> list[bytes]:
    return golden("*/cases/*/in.edi")


Seeds = Callable[[], list[bytes]]
TARGETS: dict[str, Target] = {
    "edifact": Target(_golden, edifact, EDIFACT_WORDS),
    "xml": Target(_answers, xml, XML_WORDS),
    "signature": Target(lambda: [xmldsig.sign(SIGNED, signer("CUSTOMS"), NOW)], signature, XML_WORDS, 80),
    "cms": Target(lambda: list(_detached()), detached, (b"\x30\x80", b"\x04\x00", b"\x31\x00", b"\x02\x01\x01")),
    "opening": Target(lambda: [*_golden(), *_answers()], opened, EDIFACT_WORDS + XML_WORDS, 60),
    "receipt": Target(_answers, receipt, XML_WORDS, 60),
    "yaml": Target(
        _yaml_seeds,
        declaration,
        (b": ", b"- ", b"\n  ", b"[", b"{", b"&a ", b"*a", b"!!x ", b"|\n", b"'", b'"', b"#", b"---\n"),
    ),
    "path": Target(_paths, path, (b"/", b"../", b"[", b"]", b"=", b"#", b"@", b":", b"#text")),
    "names": Target(_names, name, (b"/", b"..", b"\0", b"\n", b"~", b".part", b"\\", b"\xff")),
    "sftp": Target(_sftp_seeds, sftp, (b"\xff\xff\xff\xff", b"\0\0\0\1", b"../", b"\0"), 30, timed=False),
    "ssh": Target(_ssh_seeds, ssh, (b"\r\n", b"\0", b"SSH-2.0-", b"\xff\xff\xff\xff"), 30, timed=False),
    "http": Target(_http_seeds, web, HTTP_WORDS, 50, timed=False),
}
