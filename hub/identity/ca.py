"""The port's own CA in one folder, for ports that have none: issue, revoke, list.

    ca.key              private key, mode 0400
    ca.crt              self-signed certificate
    issued/<serial>.crt every certificate ever issued, serial in hexadecimal
    crl.pem             signed list of the revoked ones, from the first revocation on

Every file appears whole or not at all. Writers of one folder take turns.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.errors import IdentityError
from hub.identity.keys import (
    ALLOWED,
    PrivateKey,
    PublicKey,
    Signer,
    key_weakness,
    load_certificate,
    load_crl,
    load_key,
)
from hub.identity.register import PARTY_URN, party_of

KeyType = Literal["p256", "rsa2048", "rsa3072"]

_PARTY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")  # a common name has at most 64 characters
_SERIAL = re.compile(r"[0-9a-f]{1,40}")


@dataclass(frozen=True, slots=True)
class Credential:
    """What `issue` hands out, both in PEM; `private_key` is None when the party keeps its own."""

    serial: str
    certificate: bytes
    private_key: bytes | None


@dataclass(frozen=True, slots=True)
class Row:
    """One issued certificate; `revoked_at` is None while it is good."""

    serial: str
    party: str
    not_before: datetime
    not_after: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA in `folder`. Raises IdentityError when the folder holds none or the request cannot be met."""

    folder: Path

    def init(self, now: datetime, name: str, years: int = 10, key: Literal["p256", "rsa"] = "p256") -> None:
        """Make key and certificate. Refuses a folder that has either."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._turn():
            for path in (self.folder / "ca.key", self.folder / "ca.crt"):
                if path.exists():
                    raise IdentityError(f"{path} exists: a CA is made once; choose another folder")
            private = _generate("p256" if key == "p256" else "rsa3072")
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
            public = private.public_key()
            usage = _usage(digital_signature=False, key_cert_sign=True, crl_sign=True)
            certificate = (
                _builder(subject, subject, public, now, now + timedelta(days=round(365.25 * years)))
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .add_extension(usage, critical=True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
                .sign(private, hashes.SHA256())
            )
            (self.folder / "issued").mkdir(exist_ok=True)
            _write(self.folder / "ca.key", _key_pem(private), 0o400)
            _write(self.folder / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM), 0o444)

    def certificate(self) -> x509.Certificate:
        """The CA's own certificate."""
        return load_certificate(self.folder / "ca.crt")

    def crl(self) -> x509.CertificateRevocationList | None:
        """The revocation list, None before the first revocation."""
        path = self.folder / "crl.pem"
        return load_crl(path) if path.exists() else None

    def issue(
        self,
        party: str,
        now: datetime,
        days: int = 825,
        key_type: KeyType = "p256",
        public_key: PublicKey | None = None,
    ) -> Credential:
        """A certificate for `party` from `now` on, ending with the CA's at the latest.

        Makes a key of `key_type` unless the party's own `public_key` is given. Neither is kept here."""
        if not _PARTY.fullmatch(party):
            raise IdentityError(f"{party!r} is no party name: letters, digits, _ . - and at most 64 of them")
        above = self._signer()
        above.ready(now)
        private = None if public_key else _generate(key_type)
        public = public_key or _public(private)
        weak = key_weakness(public)
        if weak:
            raise IdentityError(f"the key of {party} is {weak}; allowed: {ALLOWED}")
        end = min(now + timedelta(days=days), above.certificate.not_valid_after_utc)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, party)])
        name = x509.UniformResourceIdentifier(f"{PARTY_URN}{party}")
        certificate = (
            _builder(subject, above.certificate.subject, public, now, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True, key_cert_sign=False, crl_sign=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(_above(above.certificate), critical=False)
            .sign(above.key, hashes.SHA256())
        )
        serial = f"{certificate.serial_number:x}"
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        _write(self.folder / "issued" / f"{serial}.crt", pem, 0o444)
        return Credential(serial, pem, _key_pem(private) if private else None)

    def revoke(self, which: str, now: datetime, reason: str = "unspecified") -> x509.CertificateRevocationList:
        """Revoke the certificate with serial `which`, or all of the party `which`; answers the new list.

        `reason` is a name of RFC 5280 5.3.1 such as keyCompromise. Revoking twice changes nothing."""
        try:
            flag = x509.ReasonFlags(reason)
        except ValueError as fault:
            raise IdentityError(f"{reason!r} is no reason; one of {', '.join(_REASONS)}") from fault
        if reason not in _REASONS:
            raise IdentityError(f"{reason!r} is no reason; one of {', '.join(_REASONS)}")
        with self._turn():
            rows = self._named(which)
            above, old = self._signer(), self.crl()
            builder = x509.CertificateRevocationListBuilder(
                issuer_name=above.certificate.subject,
                last_update=now,
                # The hub reads this file itself: it is as fresh as it can be for as long as the CA lasts.
                next_update=above.certificate.not_valid_after_utc,
                revoked_certificates=list(old) if old is not None else [],
            )
            for row in rows:
                if row.revoked_at is None:
                    builder = builder.add_revoked_certificate(_entry(row.serial, now, flag))
            crl = (
                builder.add_extension(x509.CRLNumber(_number(old) + 1), critical=False)
                .add_extension(_above(above.certificate), critical=False)
                .sign(above.key, hashes.SHA256())
            )
            pem = crl.public_bytes(serialization.Encoding.PEM)
            _write(self.folder / "crl.pem", pem, 0o644, replace=True)
            return crl

    def listing(self) -> list[Row]:
        """Every certificate ever issued, oldest first."""
        crl = self.crl()
        rows = []
        for path in (self.folder / "issued").glob("*.crt"):
            certificate = load_certificate(path)
            number = certificate.serial_number
            entry = crl.get_revoked_certificate_by_serial_number(number) if crl is not None else None
            begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            revoked_at = entry.revocation_date_utc if entry is not None else None
            rows.append(Row(f"{number:x}", party_of(certificate), begin, end, revoked_at))
        return sorted(rows, key=lambda row: (row.not_before, row.party, row.serial))

    def good(self) -> dict[str, list[x509.Certificate]]:
        """What was issued and not revoked, by party."""
        found: dict[str, list[x509.Certificate]] = {}
        for row in self.listing():
            if row.revoked_at is None:
                path = self.folder / "issued" / f"{row.serial}.crt"
                found.setdefault(row.party, []).append(load_certificate(path))
        return found

    def _named(self, which: str) -> list[Row]:
        rows = self.listing()
        by_serial = [row for row in rows if row.serial == which.lower()]
        found = by_serial or [row for row in rows if row.party == which]
        if not found:
            kind = "serial or party" if _SERIAL.fullmatch(which.lower()) else "party"
            raise IdentityError(f"this CA issued nothing to {kind} {which!r}")
        return found

    def _signer(self) -> Signer:
        return Signer(load_key(self.folder / "ca.key"), self.certificate())

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Alone in this folder: a revocation that runs beside another must not be lost."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


# removeFromCRL undoes a hold and the two others are no revocation reasons of their own in a plain CRL.
_REASONS = (
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "privilegeWithdrawn",
    "aACompromise",
)


def _generate(kind: KeyType) -> PrivateKey:
    if kind == "p256":
        return ec.generate_private_key(ec.SECP256R1())
    if kind in ("rsa2048", "rsa3072"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[3:]))
    raise IdentityError(f"{kind!r} is no key type; one of p256, rsa2048, rsa3072")


def _public(key: PrivateKey | None) -> PublicKey:
    assert key is not None
    return key.public_key()


def _builder(
    subject: x509.Name, issuer: x509.Name, public: PublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin.replace(microsecond=0))
        .not_valid_after(end.replace(microsecond=0))
    )


def _usage(digital_signature: bool, key_cert_sign: bool, crl_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _above(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _entry(serial: str, now: datetime, reason: x509.ReasonFlags) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder(int(serial, 16), now.replace(microsecond=0))
    # RFC 5280 5.3.1: the code "unspecified" is expressed by leaving it out.
    if reason is not x509.ReasonFlags.unspecified:
        builder = builder.add_extension(x509.CRLReason(reason), critical=False)
    return builder.build()


def _number(crl: x509.CertificateRevocationList | None) -> int:
    return 0 if crl is None else crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes, mode: int, replace: bool = False) -> None:
    """Put `data` at `path`, whole and on disk; an existing file gives way only to `replace`."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            os.link(draft, path)
    except FileExistsError as fault:
        raise IdentityError(f"{path} exists and is not overwritten") from fault
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
