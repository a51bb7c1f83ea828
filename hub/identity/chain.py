"""From a certificate up to one that is trusted (RFC 5280, 6.1, without name constraints and policies)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from hub.identity.keys import weakness
from hub.identity.register import Register, issued, readable

LONGEST = 6
_STRONG = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose word counts for somebody who looks from outside: CA certificates, or the fingerprints of any."""

    roots: tuple[x509.Certificate, ...] = ()
    fingerprints: frozenset[str] = frozenset()

    def register(self, party: str, others: Sequence[x509.Certificate], at: datetime) -> Register:
        """Which of the certificates that came along speak for `party` at `at`, as far as they lead to what is trusted.

        A CA that does may name any party; a certificate that is trusted itself speaks for this one."""
        others = [one for one in others if readable(one)]
        roots = self.anchors(others)
        above = tuple(one for one in dict.fromkeys((*roots, *others)) if lead(one, others, roots, at))
        pinned = tuple(one for one in roots if one not in self.roots)
        return Register(above, {party: pinned}, issuers=tuple(others))

    def anchors(self, others: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
        """What is trusted outright: the roots, and those of `others` whose fingerprint is named."""
        return (*self.roots, *(one for one in others if fingerprint(one) in self.fingerprints))


def lead(
    certificate: x509.Certificate,
    others: Iterable[x509.Certificate],
    roots: Sequence[x509.Certificate],
    at: datetime,
    longest: int = LONGEST,
) -> tuple[x509.Certificate, ...]:
    """The way from `certificate` to one of `roots` over `others`, each valid at `at`; empty when there is none."""
    if not readable(certificate) or not valid(certificate, at) or weakness(certificate):
        return ()
    if certificate in roots:
        return (certificate,)
    others = tuple(one for one in others if readable(one))
    if longest and _strong(certificate):
        for above in dict.fromkeys((*roots, *others)):
            if issued(above, certificate) and (way := lead(above, others, roots, at, longest - 1)):
                return (certificate, *way)
    return ()


def highest(included: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """What stands above all others of these: nobody vouches for it but itself, or one that is not here."""
    included = [one for one in included if readable(one)]
    subjects = {one.subject for one in included}
    return tuple(one for one in included if one.issuer == one.subject or one.issuer not in subjects)


def valid(certificate: x509.Certificate, at: datetime) -> bool:
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate's DER, in lower-case hexadecimal: what people compare on the telephone."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _strong(certificate: x509.Certificate) -> bool:
    try:
        return isinstance(certificate.signature_hash_algorithm, _STRONG)
    except UnsupportedAlgorithm:
        return False
