"""The port CA in a folder: files, issuing, revoking, listing."""

from __future__ import annotations

import stat
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from hub.errors import IdentityError
from hub.identity.ca import Authority
from hub.identity.keys import load_certificate, parse_key
from hub.identity.register import party_of

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "keys" / "ca")
    made.init(NOW, "Port CA")
    return made


def test_init_makes_a_private_key_for_its_owner_only(authority: Authority) -> None:
    assert stat.S_IMODE((authority.folder / "ca.key").stat().st_mode) == 0o400
    certificate = authority.certificate()
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    assert certificate.not_valid_before_utc == NOW
    assert certificate.not_valid_after_utc.year == 2036
    assert sorted(path.name for path in authority.folder.iterdir()) == ["ca.crt", "ca.key", "issued"]


def test_init_never_overwrites(authority: Authority) -> None:
    before = (authority.folder / "ca.key").read_bytes()
    with pytest.raises(IdentityError, match=r"ca\.key exists"):
        authority.init(NOW, "Another")
    (authority.folder / "ca.key").unlink()
    with pytest.raises(IdentityError, match=r"ca\.crt exists"):
        authority.init(NOW, "Another")
    assert b"PRIVATE" in before


def test_rsa_authority_issues(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.init(NOW, "RSA CA", years=2, key="rsa")
    certificate = load_certificate(authority.issue("BANK", NOW).certificate)
    certificate.verify_directly_issued_by(authority.certificate())


@pytest.mark.parametrize(("kind", "size"), [("p256", 256), ("rsa2048", 2048), ("rsa3072", 3072)])
def test_issue_names_the_party_and_only_signs(authority: Authority, kind: str, size: int) -> None:
    issued = authority.issue("BOHAI", NOW, 30, kind)  # type: ignore[arg-type]
    certificate = load_certificate(issued.certificate)
    assert party_of(certificate) == "BOHAI"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:eport:party:BOHAI"]
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_cert_sign and not usage.key_encipherment
    extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert certificate.not_valid_after_utc == NOW + timedelta(days=30)
    assert issued.private_key is not None
    key = parse_key(issued.private_key)
    assert key.key_size == size
    assert key.public_key() == certificate.public_key()
    assert (authority.folder / "issued" / f"{issued.serial}.crt").read_bytes() == issued.certificate


def test_issue_for_a_key_that_the_party_keeps(authority: Authority) -> None:
    own = ec.generate_private_key(ec.SECP384R1())
    issued = authority.issue("BOHAI", NOW, public_key=own.public_key())
    assert issued.private_key is None
    assert load_certificate(issued.certificate).public_key() == own.public_key()


def test_issue_refuses_weak_keys_and_odd_names(authority: Authority) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    with pytest.raises(IdentityError, match="RSA 1024"):
        authority.issue("BOHAI", NOW, public_key=weak)
    with pytest.raises(IdentityError, match="secp521r1"):
        authority.issue("BOHAI", NOW, public_key=ec.generate_private_key(ec.SECP521R1()).public_key())
    for name in ("", "../x", "A B", "A\n", "X" * 65, "渤海"):
        with pytest.raises(IdentityError, match="party name"):
            authority.issue(name, NOW)
    assert authority.listing() == []


def test_a_certificate_never_outlives_its_authority(authority: Authority) -> None:
    late = authority.certificate().not_valid_after_utc - timedelta(days=3)
    issued = load_certificate(authority.issue("BOHAI", late).certificate)
    assert issued.not_valid_after_utc == authority.certificate().not_valid_after_utc
    with pytest.raises(IdentityError, match="valid from"):
        authority.issue("BOHAI", late + timedelta(days=4))


def test_revoke_by_serial_and_by_party(authority: Authority) -> None:
    first, second = authority.issue("BOHAI", NOW), authority.issue("BOHAI", NOW + timedelta(seconds=1))
    bank = authority.issue("BANK", NOW)
    assert authority.crl() is None
    one = authority.revoke(first.serial, NOW + timedelta(days=1), "keyCompromise")
    assert [entry.serial_number for entry in one] == [int(first.serial, 16)]
    two = authority.revoke("BOHAI", NOW + timedelta(days=2))
    assert {entry.serial_number for entry in two} == {int(first.serial, 16), int(second.serial, 16)}
    assert two.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 2
    assert two.is_signature_valid(authority.certificate().public_key())  # type: ignore[arg-type]
    rows = {row.serial: row for row in authority.listing()}
    assert rows[first.serial].revoked_at == NOW + timedelta(days=1)
    assert rows[second.serial].revoked_at == NOW + timedelta(days=2)
    assert rows[bank.serial].revoked_at is None
    assert [row.party for row in authority.listing()] == ["BANK", "BOHAI", "BOHAI"]
    reason = one[0].extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.key_compromise


def test_revoke_refuses_what_it_does_not_know(authority: Authority) -> None:
    authority.issue("BOHAI", NOW)
    with pytest.raises(IdentityError, match="NOBODY"):
        authority.revoke("NOBODY", NOW)
    for reason in ("bad mood", "removeFromCRL"):
        with pytest.raises(IdentityError, match="reason"):
            authority.revoke("BOHAI", NOW, reason)
    assert not (authority.folder / "crl.pem").exists()


def test_revocations_side_by_side_are_all_kept(authority: Authority) -> None:
    serials = [authority.issue(f"P{number}", NOW).serial for number in range(12)]
    threads = [threading.Thread(target=authority.revoke, args=(serial, NOW)) for serial in serials]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    crl = authority.crl()
    assert crl is not None
    assert {entry.serial_number for entry in crl} == {int(serial, 16) for serial in serials}


def test_an_empty_folder_is_no_authority(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="cannot be read"):
        Authority(tmp_path / "none").issue("BOHAI", NOW)


def test_openssl_agrees(authority: Authority, tmp_path: Path) -> None:
    issued = authority.issue("BOHAI", NOW)
    leaf = tmp_path / "leaf.pem"
    leaf.write_bytes(issued.certificate)
    at = str(int(NOW.timestamp()) + 3600)
    command = ["openssl", "verify", "-attime", at, "-x509_strict", "-CAfile", str(authority.folder / "ca.crt")]
    assert subprocess.run([*command, str(leaf)], capture_output=True).returncode == 0
    authority.revoke("BOHAI", NOW)
    listed = ["-crl_check", "-CRLfile", str(authority.folder / "crl.pem"), str(leaf)]
    checked = subprocess.run([*command, *listed], capture_output=True, text=True)
    assert checked.returncode != 0
    assert "revoked" in checked.stderr
