"""Private keys and certificates: reading them, and which kinds are strong enough."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hub.errors import IdentityError

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

# Above this a single verification costs milliseconds: a way to slow the hub down with one certificate.
RSA_BITS = range(2048, 8193)
CURVES = ("secp256r1", "secp384r1")
ALLOWED = "RSA 2048-8192, P-256, P-384"


@dataclass(frozen=True, slots=True)
class Signer:
    """A key with the certificate that names its holder; `chain` are the CA certificates above it, leaf first.

    Raises IdentityError when key and certificate do not belong together or the key is too weak."""

    key: PrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()

    def __post_init__(self) -> None:
        weak = weakness(self.certificate)
        if weak:
            raise IdentityError(f"the certificate {describe(self.certificate)} holds {weak}; allowed: {ALLOWED}")
        if self.key.public_key() != self.certificate.public_key():
            raise IdentityError(f"the key is not the key of certificate {describe(self.certificate)}")

    def ready(self, now: datetime) -> None:
        """Raises IdentityError when the certificate is not valid at `now`."""
        begin, end = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        if not begin <= now <= end:
            raise IdentityError(
                f"the certificate {describe(self.certificate)} is valid from {begin:%Y-%m-%dT%H:%M:%SZ} "
                f"to {end:%Y-%m-%dT%H:%M:%SZ}, not at {now:%Y-%m-%dT%H:%M:%SZ}; issue a new one"
            )


def describe(certificate: x509.Certificate) -> str:
    """Subject and hexadecimal serial number in one short text."""
    return f"{certificate.subject.rfc4514_string()} {certificate.serial_number:x}"


def weakness(certificate: x509.Certificate) -> str:
    """What is wrong with the kind of public key in `certificate`, "" when it is an allowed one."""
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return f"key of type {certificate.public_key_algorithm_oid.dotted_string}"
    return key_weakness(key)


def key_weakness(key: object) -> str:
    """What is wrong with the kind of `key`, "" when it is an allowed one."""
    if isinstance(key, rsa.RSAPublicKey):
        return "" if key.key_size in RSA_BITS else f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "" if key.curve.name in CURVES else key.curve.name
    return type(key).__name__


def parse_key(pem: bytes, password: bytes | None = None) -> PrivateKey:
    """The private key in `pem`. Raises IdentityError, never with the key in its text."""
    try:
        key = serialization.load_pem_private_key(pem, password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
        raise IdentityError("the private key cannot be read: no PEM, or a wrong or missing password") from fault
    weak = key_weakness(key.public_key())
    if weak or not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise IdentityError(f"the private key is {weak}; allowed: {ALLOWED}")
    return key


def load_key(path: Path, password: bytes | None = None) -> PrivateKey:
    """The private key in the PEM file `path`, which nobody but its owner may read or write."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise IdentityError(f"others than its owner may use {path}; run: chmod 600 {path}")
            return parse_key(file.read(), password)
    except OSError as fault:
        raise IdentityError(f"{path} cannot be read: {fault.strerror}") from fault


@lru_cache(maxsize=1024)
def parse_certificate(der: bytes) -> x509.Certificate:
    """The certificate in `der`, which may come from anybody. Raises ValueError and nothing else.

    The same bytes give the same object: a party sends its certificate with every message, and what was once decoded of
    it need not be again."""
    # RFC 5280 4.1.2.2. The library only warns, with a line in the log for each that a stranger sends.
    if asn1.Certificate.load(der).serial_number <= 0:
        raise ValueError("a serial number that is not positive")
    try:
        certificate = x509.load_der_x509_certificate(der)
    except x509.InvalidVersion as fault:
        raise ValueError(str(fault)) from fault
    # The library overlooks the count of unused bits, so that one certificate would have several spellings.
    if der[-len(certificate.signature) - 1] != 0:
        raise ValueError("unused bits in the certificate's signature")
    return certificate


def load_certificates(source: Path | bytes) -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM file or of PEM bytes, in their order; at least one."""
    try:
        pem = source if isinstance(source, bytes) else source.read_bytes()
        return tuple(x509.load_pem_x509_certificates(pem))
    except OSError as fault:
        raise IdentityError(f"{source!s} cannot be read: {fault.strerror}") from fault
    except (ValueError, x509.InvalidVersion) as fault:
        name = "the certificate" if isinstance(source, bytes) else str(source)
        raise IdentityError(f"{name} is no PEM certificate") from fault


def load_certificate(source: Path | bytes) -> x509.Certificate:
    """The first certificate of a PEM file or of PEM bytes: the leaf of a chain."""
    return load_certificates(source)[0]


def load_crl(source: Path | bytes) -> x509.CertificateRevocationList:
    """The revocation list in a PEM file or in PEM bytes."""
    try:
        return x509.load_pem_x509_crl(source if isinstance(source, bytes) else source.read_bytes())
    except OSError as fault:
        raise IdentityError(f"{source!s} cannot be read: {fault.strerror}") from fault
    except ValueError as fault:
        raise IdentityError("this is no PEM revocation list") from fault


def load_signer(key: Path, certificates: Path) -> Signer:
    """The key file with its certificate file, whose first certificate is the signer's own."""
    own, *chain = load_certificates(certificates)
    return Signer(load_key(key), own, tuple(chain))
