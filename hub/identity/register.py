"""The register: which certificate speaks for which party, and whether it does so at a given time (RFC 5280)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from hub.errors import IdentityError
from hub.finding import Finding
from hub.identity.keys import ALLOWED, describe, weakness

PARTY_URN = "urn:eport:party:"

_STRONG = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a signature check showed.

    signed       the bytes that the signature covers, to go on with; b"" when a finding is an error
    certificate  whose key made the signature, or the one that was refused; None when there is none to see
    """

    signed: bytes
    certificate: x509.Certificate | None
    findings: tuple[Finding, ...] = ()


def refused(certificate: x509.Certificate | None, *findings: Finding) -> Verified:
    """The Verified of a signature that does not count."""
    return Verified(b"", certificate, findings)


@dataclass(frozen=True, slots=True)
class Register:
    """Certificates that are trusted, and for whom.

    roots       CA certificates whose word on a party's name counts: whatever they issue to a party speaks for it
    registered  certificates by party, pinned by a person; several at once while one replaces another
    issuers     further CA certificates that may stand above registered ones, and nothing else
    crls        revocation lists, each signed by one of the CAs above
    window      how far a signing time may lie from the present

    Raises IdentityError when a revocation list is not signed by a CA of this register.
    """

    roots: tuple[x509.Certificate, ...] = ()
    registered: Mapping[str, tuple[x509.Certificate, ...]] = field(default_factory=dict)
    issuers: tuple[x509.Certificate, ...] = ()
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    window: timedelta = timedelta(days=7)

    def __post_init__(self) -> None:
        for crl in self.crls:
            if not any(_signs_list(above, crl) for above in (*self.roots, *self.issuers)):
                raise IdentityError(f"no trusted CA signed the revocation list of {crl.issuer.rfc4514_string()}")

    def known(self, party: str) -> tuple[x509.Certificate, ...]:
        """The registered certificates of `party`, perhaps none."""
        return tuple(self.registered.get(party, ()))

    def check(self, party: str, certificate: x509.Certificate, now: datetime) -> list[Finding]:
        """All that keeps `certificate` from signing for `party` at `now`; empty when nothing does."""
        if not readable(certificate):
            return [Finding("signature.malformed", found="certificate", expected="X.509")]
        pinned = certificate in self.known(party)
        found = describe(certificate)
        root = next((above for above in self.roots if issued(above, certificate)), None)
        if not pinned and (root is None or party_of(certificate) != party):
            return [Finding("signature.certificate_unknown", found=found, expected=party)]
        findings = _validity(certificate, now)
        findings += self._revocation(certificate, now)
        weak = weakness(certificate)
        if weak:
            findings.append(Finding("signature.algorithm", found=weak, expected=ALLOWED))
        if not _may_sign(certificate, pinned):
            findings.append(Finding("signature.certificate_usage", found=found, expected="digitalSignature"))
        findings += self._chain(certificate, now)
        return findings

    def select(
        self, party: str, candidates: Sequence[x509.Certificate], now: datetime
    ) -> tuple[x509.Certificate | None, list[Finding]]:
        """The first candidate that may sign for `party`, else the first one with what is wrong about it."""
        first: tuple[x509.Certificate | None, list[Finding]] | None = None
        for certificate in candidates:
            findings = self.check(party, certificate, now)
            if not any(finding.severity == "error" for finding in findings):
                return certificate, findings
            first = first or (certificate, findings)
        return first or (None, [Finding("signature.certificate_missing", expected=party)])

    def _revocation(self, certificate: x509.Certificate, now: datetime) -> list[Finding]:
        findings = []
        for crl in self.crls:
            if crl.issuer != certificate.issuer:
                continue
            entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
            if entry is not None and entry.revocation_date_utc <= now:
                at = f"{entry.revocation_date_utc:%Y-%m-%dT%H:%M:%SZ}"
                findings.append(Finding("signature.certificate_revoked", found=describe(certificate), expected=at))
            if crl.next_update_utc is not None and crl.next_update_utc < now:
                due = f"{crl.next_update_utc:%Y-%m-%dT%H:%M:%SZ}"
                name = crl.issuer.rfc4514_string()
                findings.append(Finding("signature.revocation_stale", found=name, expected=due, severity="warning"))
        return findings

    def _chain(self, certificate: x509.Certificate, now: datetime) -> list[Finding]:
        """One level: the certificate is signed by itself or by a CA of this register that is valid at `now`."""
        issuer = certificate.issuer.rfc4514_string()
        if certificate.issuer == certificate.subject and _signs(certificate, certificate):
            return []
        above = next((ca for ca in (*self.roots, *self.issuers) if issued(ca, certificate)), None)
        if above is None:
            return [Finding("signature.chain", found=describe(certificate), expected=issuer)]
        if not above.not_valid_before_utc <= now <= above.not_valid_after_utc:
            return [Finding("signature.chain", found=describe(above), expected=issuer)]
        if not isinstance(_digest(certificate), _STRONG):
            return [Finding("signature.algorithm", found=_digest_name(certificate), expected="SHA-256 or stronger")]
        return []


def party_of(certificate: x509.Certificate) -> str:
    """The party that `certificate` names: its URI urn:eport:party:<PARTY>, else its common name, else ""."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = []
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return ""
    parties = [uri.removeprefix(PARTY_URN) for uri in uris if uri.startswith(PARTY_URN)]
    if parties:
        return parties[0] if len(parties) == 1 else ""
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if len(common) == 1 else ""


@lru_cache(maxsize=4096)
def readable(certificate: x509.Certificate) -> bool:
    """False when a part of the certificate cannot be decoded: the library decodes each part when it is asked for."""
    try:
        names = (certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string())
        times = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        return bool(certificate.extensions is not None and names and times)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False


def _validity(certificate: x509.Certificate, now: datetime) -> list[Finding]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    args = {"certificate": describe(certificate)}
    at = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    if now < begin:
        return [Finding("signature.certificate_not_yet", found=f"{begin:%Y-%m-%dT%H:%M:%SZ}", expected=at, args=args)]
    if now > end:
        return [Finding("signature.certificate_expired", found=f"{end:%Y-%m-%dT%H:%M:%SZ}", expected=at, args=args)]
    return []


def _may_sign(certificate: x509.Certificate, pinned: bool) -> bool:
    """True when the certificate is for signing data.

    RFC 5280 4.2.1.3: without keyUsage every use is allowed; that is granted to pinned certificates only."""
    try:
        extensions = certificate.extensions
        usage = _extension(extensions, x509.KeyUsage)
        basic = _extension(extensions, x509.BasicConstraints)
    except (ValueError, x509.DuplicateExtension):
        return False
    if isinstance(usage, x509.KeyUsage):
        if not usage.digital_signature:
            return False
    elif not pinned:
        return False
    return pinned or not (isinstance(basic, x509.BasicConstraints) and basic.ca)


def _extension(extensions: x509.Extensions, kind: type[x509.ExtensionType]) -> x509.ExtensionType | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def issued(above: x509.Certificate, certificate: x509.Certificate) -> bool:
    """True when `above` is a CA whose name and key stand behind `certificate`."""
    if above.subject != certificate.issuer or above == certificate:
        return False
    try:
        basic = _extension(above.extensions, x509.BasicConstraints)
    except (ValueError, x509.DuplicateExtension):
        return False
    return isinstance(basic, x509.BasicConstraints) and basic.ca and _signs(above, certificate)


@lru_cache(maxsize=4096)
def _signs(above: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether this very key signed this very certificate: a fact about bytes, asked for every message."""
    try:
        certificate.verify_directly_issued_by(above)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _signs_list(above: x509.Certificate, crl: x509.CertificateRevocationList) -> bool:
    if above.subject != crl.issuer:
        return False
    try:
        return crl.is_signature_valid(above.public_key())  # type: ignore[arg-type]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _digest(certificate: x509.Certificate) -> hashes.HashAlgorithm | None:
    try:
        return certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None


def _digest_name(certificate: x509.Certificate) -> str:
    digest = _digest(certificate)
    return digest.name if digest else certificate.signature_algorithm_oid.dotted_string
