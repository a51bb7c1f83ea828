"""Reading keys and certificates: permissions, kinds, pairs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from hub.errors import IdentityError
from hub.identity.keys import (
    Signer,
    load_certificate,
    load_certificates,
    load_crl,
    load_key,
    load_signer,
    parse_key,
)

Write = Callable[[str, bytes], Path]


def _pem(key: object, password: bytes = b"") -> bytes:
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644, 0o777])
def test_a_key_that_others_may_use_is_refused(pem: Write, mode: int) -> None:
    path = pem("a.key", _pem(ec.generate_private_key(ec.SECP256R1())))
    assert isinstance(load_key(path), ec.EllipticCurvePrivateKey)
    path.chmod(mode)
    with pytest.raises(IdentityError, match="chmod 600"):
        load_key(path)


def test_a_locked_key_needs_its_password(pem: Write) -> None:
    path = pem("a.key", _pem(ec.generate_private_key(ec.SECP256R1()), b"open sesame"))
    assert load_key(path, b"open sesame").key_size == 256
    for password in (None, b"wrong"):
        with pytest.raises(IdentityError, match="password"):
            load_key(path, password)


def test_weak_and_foreign_keys_are_refused() -> None:
    for key in (rsa.generate_private_key(65537, 1024), ed25519.Ed25519PrivateKey.generate()):
        with pytest.raises(IdentityError, match="allowed"):
            parse_key(_pem(key))
    with pytest.raises(IdentityError):
        parse_key(b"no key at all")


def test_missing_or_broken_files_are_identity_errors(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    broken.chmod(0o600)
    for read in (load_key, load_certificates, load_crl):
        with pytest.raises(IdentityError, match="cannot be read"):
            read(tmp_path / "none.pem")
        with pytest.raises(IdentityError):
            read(broken)


def test_a_chain_keeps_its_order(world: object, pem: Write) -> None:
    leaf, root = world.signers["ec"], world.authority.certificate()  # type: ignore[attr-defined]
    path = pem("chain.pem", leaf.certificate.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM))
    assert load_certificates(path) == (leaf.certificate, root)
    assert load_certificate(path) == leaf.certificate
    signer = load_signer(pem("a.key", _pem(leaf.key)), path)
    assert signer.chain == (root,)


def test_a_signer_is_a_matching_pair(world: object) -> None:
    signers = world.signers  # type: ignore[attr-defined]
    with pytest.raises(IdentityError, match="not the key"):
        Signer(signers["ec"].key, signers["other"].certificate)


def test_a_signer_is_ready_within_its_validity_only(signer: Signer, now: datetime) -> None:
    signer.ready(now)
    end = signer.certificate.not_valid_after_utc
    signer.ready(end)
    with pytest.raises(IdentityError, match="issue a new one"):
        signer.ready(end + timedelta(seconds=1))
    with pytest.raises(IdentityError):
        signer.ready(signer.certificate.not_valid_before_utc - timedelta(seconds=1))
