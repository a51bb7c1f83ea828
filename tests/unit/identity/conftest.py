"""One CA, a few signers, and a register, made once: key generation is the slow part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from hub.identity.ca import Authority
from hub.identity.keys import Signer, load_certificate, parse_key
from hub.identity.register import Register

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DOCUMENT = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<v:VesselReport xmlns:v="urn:port:vessel" xmlns="urn:port:plain">\n'
    "  <v:Ship>渤海一号 &amp; Co</v:Ship>\n"
    '  <v:Amount currency="CNY">100</v:Amount>\n'
    "  <Cargo line='1'>A &lt; B</Cargo>\n"
    "</v:VesselReport>\n"
).encode()


@dataclass(frozen=True)
class World:
    """A CA in a folder, signers by name, and the register that trusts the CA."""

    authority: Authority
    signers: dict[str, Signer]
    register: Register

    def issue(self, party: str, at: datetime = NOW - timedelta(days=1), days: int = 825, kind: str = "p256") -> Signer:
        issued = self.authority.issue(party, at, days, kind)  # type: ignore[arg-type]
        assert issued.private_key is not None
        return Signer(parse_key(issued.private_key), load_certificate(issued.certificate))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    authority = Authority(tmp_path_factory.mktemp("identity") / "ca")
    authority.init(NOW - timedelta(days=2000), "Test port CA")
    whole = World(authority, {}, Register(roots=(authority.certificate(),)))
    whole.signers["ec"] = whole.issue("BOHAI")
    whole.signers["rsa"] = whole.issue("BOHAI", kind="rsa2048")
    whole.signers["other"] = whole.issue("CUSTOMS")
    return whole


@pytest.fixture(params=["ec", "rsa"])
def signer(request: pytest.FixtureRequest, world: World) -> Signer:
    return world.signers[request.param]


@pytest.fixture
def pem(tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Writes bytes to a file that only its owner may read."""

    def write(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        path.chmod(0o600)
        return path

    return write


@pytest.fixture
def ca_pem(world: World, pem: Callable[[str, bytes], Path]) -> Path:
    return pem("ca.pem", world.authority.certificate().public_bytes(Encoding.PEM))


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def document() -> bytes:
    return DOCUMENT
