"""Private keys and certificates from PEM. The only room that touches private keys."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hub.errors import IdentityError

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Signer:
    """A key and the certificate that speaks for it."""

    key: PrivateKey
    certificate: x509.Certificate


def parse_key(pem: bytes) -> PrivateKey:
    """An EC or RSA key from PEM. Raises IdentityError."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError) as fault:
        raise IdentityError("this is no unencrypted PEM private key") from fault
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise IdentityError("only EC and RSA keys sign here")
    return key


def load_key(path: Path) -> PrivateKey:
    """The key in a file that only its owner may read. Raises IdentityError."""
    if os.stat(path).st_mode & 0o077:
        raise IdentityError(f"{path} may be read by others: chmod 400 it")
    return parse_key(path.read_bytes())


def load_certificates(pem: bytes) -> list[x509.Certificate]:
    """Every certificate in a PEM text. Raises IdentityError."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as fault:
        raise IdentityError("this is no PEM certificate") from fault
