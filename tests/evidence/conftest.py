"""A port with a little journey behind it, sealed in three heads; and a time-stamp authority made of `openssl ts`."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.evidence import audit, bundle, seal
from hub.identity.ca import Authority as Ca
from hub.identity.keys import Signer, load_certificates, parse_key
from hub.identity.register import Register
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.schema import upgrade
from hub.site.load import load
from hub.site.site import Site
from hub.tracing import trace
from tests.journeys import conftest as journeys

ROOT = Path(__file__).parents[2]
ORIGINAL = (ROOT / "mappings" / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()
AMENDMENT = (ROOT / "mappings" / "manifest" / "cases" / "02-amendment" / "in.edi").read_bytes()
BROKEN = (ROOT / "mappings" / "manifest" / "cases" / "04-broken" / "in.edi").read_bytes()
NUMBER = "TJL2611230001"


@pytest.fixture
def port(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A port that lives now, as its time-stamp authority does."""
    monkeypatch.setattr(journeys, "START", datetime.now(UTC))
    opened = journeys.Port(tmp_path / "port")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A port with its journey behind it, for tests that only look."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journeys, "START", datetime.now(UTC))
        opened = journeys.Port(tmp_path_factory.mktemp("told"))
    journey(opened)
    yield opened
    opened.close()


@dataclass
class Small:
    """As much of a port as sealing needs."""

    folder: Path
    journal: Journal
    site: Site
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The reference site with a certificate, loaded once."""
    ca, before = Ca(tmp_path_factory.mktemp("ca")), datetime.now(UTC) - timedelta(days=1)
    ca.init(before, "Test port CA")
    issued = ca.issue("TJEPORT", before)
    signer = Signer(parse_key(issued.private_key or b""), load_certificates(issued.certificate)[0])
    return load(ROOT, Register(roots=(ca.certificate(),)), signer)


@pytest.fixture
def small(tmp_path: Path, database: str, declared: Site) -> Iterator[Small]:
    journal = Journal(tmp_path / "spool", "test")
    upgrade(journal.engine)
    yield Small(tmp_path, journal, declared)
    journal.close()


def journey(port: Any) -> None:
    """A manifest comes in, customs and the terminal get it, customs answers; after each of them a seal."""
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    sealed(port)
    answer(port)
    port.run()
    sealed(port)


def answer(port: Any) -> None:
    asked = port.files("customs", "in")[-1].read_bytes()
    reference = re.search(rb"<Reference>(E\d+)</Reference>", asked)
    assert reference
    port.answer(
        "CUSTOMS",
        "answer.xml",
        f'<CustomsAnswer xmlns="urn:eport:manifest:customs-answer:1"><Reference>{reference[1].decode()}</Reference>'
        f"<Number>{NUMBER}</Number><Status>01</Status><At>2026-11-23T08:30:00+08:00</At>"
        f"<CustomsNumber>HG-2026-0777</CustomsNumber></CustomsAnswer>",
    )


def sealed(port: Any) -> int:
    port.now += timedelta(seconds=1)
    return seal.seal(port.site, port.journal, port.now)


def exported(port: Any, ref: str = "mft.edi") -> bytes:
    return bundle.export(port.site, port.journal, ref, trace(port.journal, ref))


def happened(port: Any, count: int, subject: str = "x") -> None:
    """Some events."""
    outcome = Outcome()
    for number in range(count):
        outcome.event(subject, "happened", number=number)
    port.journal.commit([outcome], port.now)


def look(port: Any, *kept: bytes, payloads: bool = False) -> audit.Audit:
    return audit.audit(port.journal, "TJEPORT", port.site.register, kept, payloads=payloads)


def found(port: Any, *kept: bytes, payloads: bool = False) -> list[tuple[str, str | None]]:
    """What an audit finds: codes and places."""
    return [(finding.code, finding.place.path) for finding in look(port, *kept, payloads=payloads).findings]


# ---- certificates


def certificate(
    name: str,
    above: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
    usage: tuple[Any, ...] = (),
    critical: bool = True,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A CA, or with `above` a certificate below it with these extended key usages."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above[0].subject if above else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=above is None, path_length=None), critical=True)
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=critical)
    return builder.sign(above[1] if above else key, hashes.SHA256()), key


def pem(one: x509.Certificate) -> bytes:
    return one.public_bytes(serialization.Encoding.PEM)


# ---- the authority


@dataclass
class Authority:
    """`openssl ts` behind HTTP. While it is `down` it answers 503; what was asked stands in `asked`."""

    folder: Path
    root: x509.Certificate
    down: bool = False
    url: str = ""
    asked: list[bytes] = field(default_factory=list)

    def answer(self, query: bytes) -> bytes:
        """A response by the authority's own program."""
        self.asked.append(query)
        (self.folder / "query").write_bytes(query)
        command = "openssl ts -reply -config tsa.cnf -queryfile query -out reply"
        subprocess.run(command.split(), cwd=self.folder, check=True, capture_output=True)
        return (self.folder / "reply").read_bytes()

    def ask(self, _url: str, query: bytes) -> bytes:
        return self.answer(query)


CONFIG = """
[tsa]
default_tsa = one
[one]
serial = serial
crypto_device = builtin
signer_cert = tsa.crt
certs = ca.crt
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def authority_in(folder: Path, usage: tuple[Any, ...] = (ExtendedKeyUsageOID.TIME_STAMPING,)) -> Authority:
    """A fresh authority with a CA of its own. openssl refuses certificates that are not for stamping at all."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    folder.mkdir()
    root = certificate("Test TSA CA")
    own, key = certificate("Test TSA", root, usage)
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "tsa.cnf").write_text(CONFIG)
    (folder / "serial").write_text("01\n")
    (folder / "ca.crt").write_bytes(pem(root[0]))
    (folder / "tsa.crt").write_bytes(pem(own))
    (folder / "tsa.key").write_bytes(key.private_bytes(*plain))
    return Authority(folder, root[0])


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    """One that answers over HTTP on this machine."""
    made = authority_in(tmp_path / "tsa")

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/timestamp-query"
            reply = b"" if made.down else made.answer(query)
            self.send_response(503 if made.down else 200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}/"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()
