"""The hub's own certificate and the ones it trusts: files that routes.yaml names, or an embedded CA in spool/keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hub.identity.ca import Authority, Credential
from hub.identity.keys import load_certificates, load_crl, load_signer
from hub.identity.register import Register
from hub.site.site import Site


def ready(site: Site, folder: Path) -> Site:
    """The site with its register of certificates and its signer.

    Raises IdentityError when a key or certificate cannot be used."""
    rule = site.routes.identity
    keys = folder / "spool" / "keys"
    roots = [certificate for name in rule.roots for certificate in load_certificates(folder / name)]
    crls = [load_crl(folder / name) for name in rule.crls]
    key, certificate = folder / rule.key, folder / rule.certificate
    if not rule.key or not rule.roots:
        authority = embedded(keys, site.routes.port)
        roots += [] if rule.roots else [authority.certificate()]
        crls += [crl] if (crl := authority.crl()) and not rule.roots else []
        if not rule.key:
            key, certificate = keys / "hub.key", keys / "hub.crt"
            if not key.exists():
                store(authority, site.routes.port, keys / "hub", datetime.now(UTC))
    registered = {
        name: tuple(c for file in party.certificates for c in load_certificates(folder / file))
        for name, party in site.parties.items()
        if party.certificates
    }
    register = Register(tuple(roots), registered, crls=tuple(crls))
    signer = load_signer(key, certificate)
    signer.ready(datetime.now(UTC))
    return replace(site, register=register, signer=signer)


def embedded(keys: Path, port: str) -> Authority:
    """The port's own CA, made on first use."""
    authority = Authority(keys)
    if not (keys / "ca.key").exists():
        authority.init(datetime.now(UTC), f"{port} CA")
    return authority


def store(authority: Authority, party: str, path: Path, now: datetime) -> None:
    """Issue a certificate for `party` and `write` it."""
    write(authority.issue(party, now), path)


def write(issued: Credential, path: Path) -> tuple[Path, Path]:
    """The certificate as `path`.crt, its key as `path`.key, which only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    key, certificate = path.parent / f"{path.name}.key", path.parent / f"{path.name}.crt"
    certificate.write_bytes(issued.certificate)
    key.unlink(missing_ok=True)
    key.touch(mode=0o600)
    key.write_bytes(issued.private_key or b"")
    return certificate, key
