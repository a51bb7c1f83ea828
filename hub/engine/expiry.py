"""Until when the certificates last that this hub works with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from hub.errors import IdentityError
from hub.identity.ca import Authority
from hub.site.site import Site


@dataclass(frozen=True, slots=True)
class Expiry:
    """`kind`: hub, party, ca, or crl (a revocation list's next update); `owner`: the party's or the CA's name."""

    kind: str
    owner: str
    until: datetime


def expiries(site: Site, folder: Path) -> list[Expiry]:
    """The hub's certificate, of each party the one that lasts longest, the CAs, the revocation lists; the first to
    expire first. `site` is one whose identity is ready."""
    found = [Expiry("hub", site.routes.port, site.signer.certificate.not_valid_after_utc)] if site.signer else []
    register = site.register
    parties = _issued(folder / "spool" / "keys")
    for party, certificates in register.registered.items():
        parties[party] = max(one.not_valid_after_utc for one in certificates)
    parties.pop(site.routes.port, None)
    found += [Expiry("party", party, until) for party, until in parties.items()]
    found += [Expiry("ca", _name(ca.subject), ca.not_valid_after_utc) for ca in (*register.roots, *register.issuers)]
    found += [Expiry("crl", _name(crl.issuer), crl.next_update_utc) for crl in register.crls if crl.next_update_utc]
    return sorted(found, key=lambda one: one.until)


def _issued(keys: Path) -> dict[str, datetime]:
    """By party, the longest-lasting certificate that the embedded CA has issued and not revoked."""
    try:
        good = Authority(keys).good()
    except IdentityError:  # a hub with certificates of its own needs no CA
        return {}
    return {party: max(one.not_valid_after_utc for one in certificates) for party, certificates in good.items()}


def _name(subject: x509.Name) -> str:
    """The common name, else the whole name."""
    named = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(named[0].value) if named else subject.rfc4514_string()
