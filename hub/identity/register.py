"""Whose certificate this is, and whether it counts now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hub.finding import Finding, Place
from hub.identity.ca import PARTY


@dataclass(frozen=True, slots=True)
class Register:
    """The port's own CAs, their revocation lists, and certificates registered for parties by hand."""

    roots: tuple[x509.Certificate, ...] = ()
    lists: tuple[x509.CertificateRevocationList, ...] = ()
    pinned: Mapping[str, tuple[x509.Certificate, ...]] = field(default_factory=dict)

    def check(self, party: str, certificate: x509.Certificate, now: datetime) -> list[Finding]:
        """What speaks against `certificate` as the signature of `party` at `now`; nothing when it counts."""
        subject = certificate.subject.rfc4514_string()
        place = Place(path=subject)
        findings = []
        if certificate not in self.pinned.get(party, ()) and not self._issued_to(party, certificate):
            findings.append(Finding("signature.certificate_unknown", place, subject, party))
        if now < certificate.not_valid_before_utc:
            findings.append(
                Finding("signature.certificate_not_yet", place, certificate.not_valid_before_utc.isoformat())
            )
        if now > certificate.not_valid_after_utc:
            findings.append(
                Finding("signature.certificate_expired", place, certificate.not_valid_after_utc.isoformat())
            )
        if any(crl.get_revoked_certificate_by_serial_number(certificate.serial_number) for crl in self._lists()):
            findings.append(Finding("signature.certificate_revoked", place, f"{certificate.serial_number:x}"))
        if not _may_sign(certificate):
            findings.append(Finding("signature.certificate_usage", place, subject))
        return findings

    def _lists(self) -> list[x509.CertificateRevocationList]:
        """Only lists that one of our CAs signed."""
        keys = [root.public_key() for root in self.roots]
        return [crl for crl in self.lists if any(crl.is_signature_valid(key) for key in keys)]  # type: ignore[arg-type]

    def _issued_to(self, party: str, certificate: x509.Certificate) -> bool:
        try:
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return False
        if PARTY + party not in names.get_values_for_type(x509.UniformResourceIdentifier):
            return False
        return any(_issued_by(certificate, root) for root in self.roots)


def _issued_by(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _may_sign(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    strong = (isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in ("secp256r1", "secp384r1")
    )
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return strong and usage.digital_signature
