"""The register: whose certificate it is, and whether it counts now."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from hub.errors import IdentityError
from hub.finding import rejects
from hub.identity.ca import Authority
from hub.identity.register import Register, party_of

DAY = timedelta(days=1)


def _codes(register: Register, certificate: x509.Certificate, now: datetime, party: str = "BOHAI") -> list[str]:
    return [finding.code for finding in register.check(party, certificate, now)]


def _own(
    key: Any, now: datetime, usage: bool | None = None, name: str = "BOHAI", digest: Any = None
) -> x509.Certificate:
    """A self-signed certificate; `usage` is its digitalSignature, None without the extension."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 7, now - DAY, now + DAY)
    if usage is not None:
        flags = dict.fromkeys(
            ("content_commitment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only", "decipher_only"),
            False,
        )
        use = x509.KeyUsage(digital_signature=usage, key_encipherment=not usage, key_cert_sign=False, **flags)
        builder = builder.add_extension(use, critical=True)
    return builder.sign(key, digest if not isinstance(key, ed25519.Ed25519PrivateKey) else None)


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def test_an_empty_register_knows_nobody(world: Any, now: datetime) -> None:
    assert _codes(Register(), world.signers["ec"].certificate, now) == ["signature.certificate_unknown"]


def test_what_a_root_issued_speaks_for_its_party_only(world: Any, now: datetime) -> None:
    certificate = world.signers["ec"].certificate
    assert _codes(world.register, certificate, now) == []
    assert _codes(world.register, certificate, now, "CUSTOMS") == ["signature.certificate_unknown"]
    assert _codes(world.register, certificate, now, "bohai") == ["signature.certificate_unknown"]


def test_the_word_of_another_issuer_on_names_does_not_count(world: Any, now: datetime) -> None:
    certificate = world.signers["ec"].certificate
    register = Register(issuers=world.register.roots)
    assert _codes(register, certificate, now) == ["signature.certificate_unknown"]
    assert _codes(replace(register, registered={"BOHAI": (certificate,)}), certificate, now) == []


def test_a_ca_of_the_same_name_is_not_the_ca(world: Any, tmp_path: Path, now: datetime) -> None:
    stranger = Authority(tmp_path)
    stranger.init(now - DAY, "Test port CA")
    forged = x509.load_pem_x509_certificate(stranger.issue("BOHAI", now - DAY).certificate)
    assert forged.issuer == world.authority.certificate().subject
    assert _codes(world.register, forged, now) == ["signature.certificate_unknown"]
    pinned = replace(world.register, registered={"BOHAI": (forged,)})
    assert _codes(pinned, forged, now) == ["signature.chain"]


def test_a_leaf_is_no_ca(world: Any, key: ec.EllipticCurvePrivateKey, now: datetime) -> None:
    """A party cannot make certificates for other parties with its own."""
    party = world.signers["ec"]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CUSTOMS")])
    builder = x509.CertificateBuilder(party.certificate.subject, subject, key.public_key(), 9, now - DAY, now + DAY)
    made = builder.sign(party.key, hashes.SHA256())
    register = replace(world.register, roots=(*world.register.roots, party.certificate))
    assert _codes(register, made, now, "CUSTOMS") == ["signature.certificate_unknown"]


def test_rotation_has_two_good_certificates_and_ends(world: Any, now: datetime) -> None:
    old = world.issue("BOHAI", now - 30 * DAY, 31).certificate
    new = world.issue("BOHAI", now - DAY, 400).certificate
    register = Register(issuers=world.register.roots, registered={"BOHAI": (old, new)})
    assert _codes(register, old, now) == _codes(register, new, now) == []
    assert register.known("BOHAI") == (old, new)
    assert register.select("BOHAI", (old, new), now)[0] == old
    assert _codes(register, old, now + 2 * DAY) == ["signature.certificate_expired"]
    assert register.select("BOHAI", (old, new), now + 2 * DAY) == (new, [])
    after = replace(register, registered={"BOHAI": (new,)})
    assert _codes(after, old, now) == ["signature.certificate_unknown"]


def test_revocation_counts_from_its_time_on(tmp_path: Path, now: datetime) -> None:
    authority = Authority(tmp_path)
    authority.init(now - DAY, "CA")
    gone = x509.load_pem_x509_certificate(authority.issue("BOHAI", now - DAY).certificate)
    kept = x509.load_pem_x509_certificate(authority.issue("BOHAI", now - DAY).certificate)
    crl = authority.revoke(f"{gone.serial_number:x}", now, "keyCompromise")
    register = Register(roots=(authority.certificate(),), crls=(crl,))
    assert _codes(register, gone, now) == ["signature.certificate_revoked"]
    assert _codes(register, gone, now - timedelta(seconds=1)) == []
    assert _codes(register, kept, now) == []
    pinned = replace(register, registered={"BOHAI": (gone,)})
    assert _codes(pinned, gone, now) == ["signature.certificate_revoked"]


def test_a_list_that_nobody_trusted_signed_is_refused(world: Any, tmp_path: Path, now: datetime) -> None:
    stranger = Authority(tmp_path)
    stranger.init(now - DAY, "Test port CA")
    stranger.issue("BOHAI", now)
    with pytest.raises(IdentityError, match="revocation list"):
        replace(world.register, crls=(stranger.revoke("BOHAI", now),))


def test_a_stale_list_is_a_warning(world: Any, now: datetime) -> None:
    ca = world.authority
    builder = x509.CertificateRevocationListBuilder(ca.certificate().subject, now - 9 * DAY, now - DAY)
    crl = builder.sign(ca._signer().key, hashes.SHA256())
    findings = replace(world.register, crls=(crl,)).check("BOHAI", world.signers["ec"].certificate, now)
    assert [finding.code for finding in findings] == ["signature.revocation_stale"]
    assert not rejects(findings)


def test_pinned_certificates_may_be_self_signed(key: ec.EllipticCurvePrivateKey, now: datetime) -> None:
    for usage, codes in ((True, []), (None, []), (False, ["signature.certificate_usage"])):
        certificate = _own(key, now, usage, digest=hashes.SHA256())
        assert _codes(Register(registered={"BOHAI": (certificate,)}), certificate, now) == codes


def test_weak_keys_are_refused(now: datetime) -> None:
    for weak in (
        rsa.generate_private_key(65537, 1024),
        ec.generate_private_key(ec.SECP521R1()),
        ec.generate_private_key(ec.SECP256K1()),
        ed25519.Ed25519PrivateKey.generate(),
    ):
        certificate = _own(weak, now, True, digest=hashes.SHA256())
        assert _codes(Register(registered={"BOHAI": (certificate,)}), certificate, now) == ["signature.algorithm"]


def test_the_authority_itself_is_no_party(world: Any, now: datetime) -> None:
    certificate = world.authority.certificate()
    assert _codes(world.register, certificate, now, "Test port CA") == ["signature.certificate_unknown"]


def test_an_expired_issuer_breaks_the_chain(tmp_path: Path, now: datetime) -> None:
    authority = Authority(tmp_path)
    authority.init(now - 366 * DAY, "CA", years=1)
    ca, own = authority.certificate(), authority._signer().key
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "BOHAI")])
    builder = x509.CertificateBuilder(ca.subject, subject, own.public_key(), 9, now - DAY, now + DAY)
    certificate = builder.sign(own, hashes.SHA256())
    register = Register(roots=(ca,), registered={"BOHAI": (certificate,)})
    assert _codes(register, certificate, now) == ["signature.chain"]
    assert _codes(register, certificate, ca.not_valid_after_utc) == []


def test_party_of_prefers_the_uri_and_refuses_two(world: Any, key: ec.EllipticCurvePrivateKey, now: datetime) -> None:
    def named(common: str, *uris: str) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        builder = x509.CertificateBuilder(subject, subject, key.public_key(), 9, now - DAY, now + DAY)
        if uris:
            names = [x509.UniformResourceIdentifier(uri) for uri in uris]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(key, hashes.SHA256())

    assert party_of(named("BOHAI")) == "BOHAI"
    assert party_of(named("BOHAI", "https://example.invalid/")) == "BOHAI"
    assert party_of(named("BOHAI", "urn:eport:party:BANK")) == "BANK"
    assert party_of(named("BOHAI", "urn:eport:party:BANK", "urn:eport:party:BOHAI")) == ""
