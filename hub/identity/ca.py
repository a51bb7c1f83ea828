"""The embedded port CA: one certificate per party, revoked in one place. Files are written whole or not at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.errors import IdentityError
from hub.identity.keys import PrivateKey, load_certificates, load_key

PARTY = "urn:eport:party:"


@dataclass(frozen=True, slots=True)
class Credential:
    """PEM of a certificate and of its private key."""

    certificate: bytes
    private_key: bytes


def _write(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)


def _new_key(kind: str) -> PrivateKey:
    return rsa.generate_private_key(65537, 3072) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


def _pem(key: PrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs: bool, issues: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=signs,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=issues,
        crl_sign=issues,
        encipher_only=False,
        decipher_only=False,
    )


class Authority:
    """The CA in one folder: ca.key (0400), ca.crt, crl.pem, issued/."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def init(self, now: datetime, name: str, years: int = 10, key: str = "p256") -> None:
        """Make the CA. Raises IdentityError when there is one already."""
        if (self.folder / "ca.key").exists():
            raise IdentityError(f"{self.folder} has a CA already")
        private = _new_key(key)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(name))
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=365 * years))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=False, issues=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        )
        certificate = builder.sign(private, hashes.SHA256())
        _write(self.folder / "ca.key", _pem(private), 0o400)
        _write(self.folder / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM), 0o644)

    def certificate(self) -> x509.Certificate:
        return load_certificates((self.folder / "ca.crt").read_bytes())[0]

    def issue(self, party: str, now: datetime, days: int = 825, key: str = "p256") -> Credential:
        """A certificate that lets `party` sign, and its key. The key is not kept here."""
        private = _new_key(key)
        issuer = self.certificate()
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(party))
            .issuer_name(issuer.subject)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=True, issues=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(PARTY + party)]), critical=False)
        )
        certificate = builder.sign(load_key(self.folder / "ca.key"), hashes.SHA256())
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        _write(self.folder / "issued" / f"{certificate.serial_number:x}.crt", pem, 0o644)
        return Credential(pem, _pem(private))

    def revoked(self) -> x509.CertificateRevocationList | None:
        path = self.folder / "crl.pem"
        return x509.load_pem_x509_crl(path.read_bytes()) if path.exists() else None

    def revoke(self, serial: int, now: datetime) -> None:
        """Put a certificate on the signed list."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate().subject)
            .last_update(now)
            .next_update(now + timedelta(days=30))
        )
        before = self.revoked()
        for entry in before or ():
            builder = builder.add_revoked_certificate(entry)
        fresh = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        builder = builder.add_revoked_certificate(fresh)
        crl = builder.sign(load_key(self.folder / "ca.key"), hashes.SHA256())
        _write(self.folder / "crl.pem", crl.public_bytes(serialization.Encoding.PEM), 0o644)

    def issued(self) -> list[x509.Certificate]:
        """Every certificate that this CA issued."""
        return [load_certificates(path.read_bytes())[0] for path in sorted((self.folder / "issued").glob("*.crt"))]
