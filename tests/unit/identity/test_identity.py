"""Signatures: ours verify elsewhere; what is wrapped, altered, foreign, expired or revoked is refused."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from hub.errors import IdentityError
from hub.identity import cms, xmldsig
from hub.identity.ca import Authority, Credential
from hub.identity.keys import Signer, load_certificates, load_key, parse_key
from hub.identity.register import Register

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DOCUMENT = b'<a xmlns="urn:x"><b>100</b><c>T\xe6\xb4\xa5</c></a>'


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("ca"))
    made.init(NOW - timedelta(days=1), "Port CA")
    return made


def signer(credential: Credential) -> Signer:
    return Signer(parse_key(credential.private_key), load_certificates(credential.certificate)[0])


def codes(data: bytes, register: Register, party: str = "CUSTOMS", now: datetime = NOW) -> list[str]:
    return [f.code for f in xmldsig.verify(data, party, register, now).findings]


@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_what_we_sign_verifies_and_comes_back_as_the_signed_bytes(authority: Authority, kind: str) -> None:
    signed = xmldsig.sign(DOCUMENT, signer(authority.issue("CUSTOMS", NOW, key_type=kind)), NOW)
    verified = xmldsig.verify(signed, "CUSTOMS", Register((authority.certificate(),)), NOW)
    assert verified.findings == ()
    assert b"<b>100</b>" in verified.signed and b"Signature" not in verified.signed


@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_another_library_agrees(authority: Authority, kind: str) -> None:
    xmlsec = pytest.importorskip("xmlsec")
    from lxml import etree

    credential = authority.issue("CUSTOMS", NOW, key_type=kind)
    root = etree.fromstring(xmldsig.sign(DOCUMENT, signer(credential), NOW))
    node = xmlsec.tree.find_node(root, xmlsec.Node.SIGNATURE)
    context = xmlsec.SignatureContext()
    public = signer(credential).key.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    context.key = xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.PEM)
    context.verify(node)  # raises when it does not verify
    root[0].text = "1000"
    with pytest.raises(xmlsec.Error):
        context.verify(node)


def test_altered_content_is_refused(authority: Authority) -> None:
    signed = xmldsig.sign(DOCUMENT, signer(authority.issue("CUSTOMS", NOW)), NOW)
    assert codes(signed.replace(b"100", b"900"), Register((authority.certificate(),))) == ["signature.invalid"]


def test_wrapped_signatures_are_refused(authority: Authority) -> None:
    register = Register((authority.certificate(),))
    signed = xmldsig.sign(DOCUMENT, signer(authority.issue("CUSTOMS", NOW)), NOW)
    inner = signed.split(b"?>", 1)[1].strip()
    start, end = inner.index(b"<ds:Signature "), inner.index(b"</ds:Signature>") + len(b"</ds:Signature>")
    signature, original = inner[start:end], inner[:start] + inner[end:]
    evil = b'<a xmlns="urn:x"><b>999</b>'
    attacks = [
        evil + b"<x>" + inner + b"</x></a>",  # the whole signed document inside another
        evil + signature + b"<x>" + original + b"</x></a>",  # the signature moved up beside other content
        inner.replace(b"</a>", b"<x>" + signature + b"</x></a>"),  # a second signature below
        inner.replace(b'URI=""', b'URI="#b"').replace(b"<b>", b'<b Id="b">'),  # only a part is signed
    ]
    for attack in attacks:
        assert codes(attack, register), attack[:60]


def test_a_comment_cannot_cut_a_signed_value(authority: Authority) -> None:
    signed = xmldsig.sign(DOCUMENT, signer(authority.issue("CUSTOMS", NOW)), NOW)
    split = signed.replace(b"<b>100</b>", b"<b>1<!-- -->00</b>")
    verified = xmldsig.verify(split, "CUSTOMS", Register((authority.certificate(),)), NOW)
    assert verified.findings or b"<b>100</b>" in verified.signed


def test_a_document_type_is_refused(authority: Authority) -> None:
    signed = xmldsig.sign(DOCUMENT, signer(authority.issue("CUSTOMS", NOW)), NOW)
    assert codes(signed.replace(b"?>", b"?><!DOCTYPE a>", 1), Register((authority.certificate(),))) == ["signature.dtd"]


def test_only_the_partys_own_certificate_counts(authority: Authority, tmp_path: Path) -> None:
    register = Register((authority.certificate(),))
    other = xmldsig.sign(DOCUMENT, signer(authority.issue("BORDER", NOW)), NOW)
    assert codes(other, register) == ["signature.certificate_unknown"]
    stranger = Authority(tmp_path)
    stranger.init(NOW, "Port CA")
    forged = xmldsig.sign(DOCUMENT, signer(stranger.issue("CUSTOMS", NOW)), NOW)
    assert codes(forged, register) == ["signature.certificate_unknown"]


def test_expired_early_and_revoked_certificates_are_refused(authority: Authority, tmp_path: Path) -> None:
    made = Authority(tmp_path)
    made.init(NOW - timedelta(days=1), "Port CA")
    one = signer(made.issue("CUSTOMS", NOW, days=30))
    signed = xmldsig.sign(DOCUMENT, one, NOW)
    register = Register((made.certificate(),))
    assert codes(signed, register, now=NOW + timedelta(days=31)) == ["signature.certificate_expired"]
    assert codes(signed, register, now=NOW - timedelta(hours=1)) == ["signature.certificate_not_yet"]
    made.revoke(f"{one.certificate.serial_number:x}", NOW)
    crl = made.crl()
    assert crl is not None
    assert codes(signed, Register((made.certificate(),), crls=(crl,))) == ["signature.certificate_revoked"]


def test_keys_that_others_may_read_are_refused(authority: Authority, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(authority.issue("CUSTOMS", NOW).private_key)
    path.chmod(0o644)
    with pytest.raises(IdentityError):
        load_key(path)
    path.chmod(0o400)
    load_key(path)


def test_a_ca_is_never_overwritten(authority: Authority) -> None:
    with pytest.raises(IdentityError):
        authority.init(NOW, "Again")


@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_openssl_verifies_our_detached_signature(authority: Authority, tmp_path: Path, kind: str) -> None:
    data = b"UNB+UNOC:3+A+B+261123:0800+1'UNZ+0+1'"
    (tmp_path / "d").write_bytes(data)
    (tmp_path / "s").write_bytes(cms.sign(data, signer(authority.issue("TJEPORT", NOW, key_type=kind)), NOW))
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "s", "-content", "d"]
    command += ["-CAfile", str(authority.folder / "ca.crt"), "-purpose", "any", "-out", "o"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / "d").write_bytes(data.replace(b"A", b"X"))
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0
