"""XML signatures: what is signed verifies in three libraries, and nothing but the accepted form is believed."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from hub.errors import IdentityError
from hub.identity import xmldsig
from hub.identity.keys import Signer
from hub.identity.register import Register

DS = {"ds": xmldsig.DS}
SIGNATURE = f"{{{xmldsig.DS}}}Signature"


def _codes(verified: Any) -> list[str]:
    return [finding.code for finding in verified.findings]


def _refused(data: bytes, code: str, world: Any, now: datetime, party: str = "BOHAI") -> None:
    verified = xmldsig.verify(data, party, world.register, now)
    assert _codes(verified) == [code], verified.findings
    assert verified.signed == b""


def _dump(root: Any) -> bytes:
    whole: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return whole


# What we sign


def test_round_trip_gives_the_document_back(signer: Signer, world: Any, document: bytes, now: datetime) -> None:
    sent = xmldsig.sign(document, signer, now)
    assert xmldsig.signed(sent) and not xmldsig.signed(document)
    verified = xmldsig.verify(sent, "BOHAI", world.register, now)
    assert verified.findings == ()
    assert verified.certificate == signer.certificate
    assert verified.signed == etree.tostring(etree.fromstring(document), method="c14n", exclusive=True)
    assert sent.startswith(b"<?xml version='1.0' encoding='UTF-8'?>")
    assert etree.fromstring(sent)[-1].tag == SIGNATURE


ODD = [
    "<a/>",
    "<a></a>",
    "<x:a xmlns:x='urn:x'><x:b/>tail</x:a>",
    f"<a xmlns='{xmldsig.DS}'>the same namespace, unprefixed</a>",
    f"<a xmlns:sig='{xmldsig.DS}' sig:x='1'><sig:KeyName/></a>",
    "<a xmlns:ds='urn:another'><ds:b/></a>",
    "<!-- before --><a b='&#10;&#9;&lt;\"'>&#13;</a><!-- </a> after -->",
    "<a><![CDATA[<&>]]><?pi inside?></a>",
    "<a xml:lang='zh'>渤海😀</a>",
]


@pytest.mark.parametrize("text", ODD)
def test_odd_documents_survive(text: str, signer: Signer, world: Any, now: datetime) -> None:
    sent = xmldsig.sign(text.encode(), signer, now)
    verified = xmldsig.verify(sent, "BOHAI", world.register, now)
    assert verified.findings == ()
    assert verified.signed == etree.tostring(etree.fromstring(text), method="c14n", exclusive=True, with_comments=False)
    assert _xmlsec_agrees(sent, signer)


@pytest.mark.parametrize("encoding", ["UTF-16", "GB18030"])
def test_other_encodings_become_utf8(encoding: str, world: Any, now: datetime) -> None:
    data = f'<?xml version="1.0" encoding="{encoding}"?><a>渤海</a>'.encode(encoding)
    sent = xmldsig.sign(data, world.signers["ec"], now)
    assert "渤海".encode() in sent
    assert xmldsig.verify(sent, "BOHAI", world.register, now).signed == "<a>渤海</a>".encode()


def test_signxml_by_itself_agrees(signer: Signer, world: Any, document: bytes, now: datetime, ca_pem: Any) -> None:
    from signxml.verifier import SignatureConfiguration, XMLVerifier

    config = SignatureConfiguration(verification_time=now, location="./")
    sent = xmldsig.sign(document, signer, now)
    result: Any = XMLVerifier().verify(sent, ca_pem_file=str(ca_pem), expect_config=config)
    assert result.signed_data == xmldsig.verify(sent, "BOHAI", world.register, now).signed


def _xmlsec_agrees(sent: bytes, signer: Signer) -> bool:
    xmlsec = pytest.importorskip("xmlsec", reason="xmlsec is not installed")
    context = xmlsec.SignatureContext()
    public = signer.certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    context.key = xmlsec.Key.from_memory(public, xmlsec.constants.KeyDataFormatPem)
    try:
        context.verify(etree.fromstring(sent).find(SIGNATURE))
    except xmlsec.Error:
        return False
    return True


def test_xmlsec_agrees(signer: Signer, document: bytes, now: datetime) -> None:
    sent = xmldsig.sign(document, signer, now)
    assert _xmlsec_agrees(sent, signer)
    assert not _xmlsec_agrees(sent.replace(b">100<", b">900<"), signer)


def test_signxml_signatures_are_understood(signer: Signer, world: Any, document: bytes, now: datetime) -> None:
    from signxml import XMLSigner

    method = "ecdsa-sha384" if isinstance(signer.key, ec.EllipticCurvePrivateKey) else "rsa-sha512"
    made = XMLSigner(signature_algorithm=method, digest_algorithm="sha512", c14n_algorithm=xmldsig.EXCLUSIVE)
    sent = made.sign(etree.fromstring(document), key=signer.key, cert=[signer.certificate])
    verified = xmldsig.verify(_dump(sent), "BOHAI", world.register, now)
    assert verified.findings == ()
    assert verified.certificate == signer.certificate


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"no xml", "no XML"),
        (b"", "no XML"),
        (b"<!DOCTYPE a><a/>", "DTD"),
        (b'<!DOCTYPE a SYSTEM "http://example.invalid/a.dtd"><a/>', "DTD"),
        (b"<?go now?><a/>", "processing instruction"),
        (b"<a/><?go now?>", "processing instruction"),
    ],
)
def test_sign_refuses(data: bytes, why: str, world: Any, now: datetime) -> None:
    with pytest.raises(IdentityError, match=why):
        xmldsig.sign(data, world.signers["ec"], now)


def test_sign_refuses_twice_and_out_of_time(world: Any, document: bytes, now: datetime) -> None:
    sent = xmldsig.sign(document, world.signers["ec"], now)
    with pytest.raises(IdentityError, match="already"):
        xmldsig.sign(sent, world.signers["ec"], now)
    with pytest.raises(IdentityError, match="valid from"):
        xmldsig.sign(document, world.signers["ec"], now + timedelta(days=3000))


# Who may sign


def test_another_party_is_refused(world: Any, document: bytes, now: datetime) -> None:
    sent = xmldsig.sign(document, world.signers["other"], now)
    _refused(sent, "signature.certificate_unknown", world, now)
    assert xmldsig.verify(sent, "CUSTOMS", world.register, now).findings == ()


def test_the_time_of_the_certificate_counts(signer: Signer, world: Any, document: bytes, now: datetime) -> None:
    sent = xmldsig.sign(document, signer, now)
    begin, end = signer.certificate.not_valid_before_utc, signer.certificate.not_valid_after_utc
    second = timedelta(seconds=1)
    assert _codes(xmldsig.verify(sent, "BOHAI", world.register, begin)) == []
    assert _codes(xmldsig.verify(sent, "BOHAI", world.register, end)) == []
    _refused(sent, "signature.certificate_not_yet", world, begin - second)
    _refused(sent, "signature.certificate_expired", world, end + second)


def test_without_certificate_the_registered_ones_are_tried(world: Any, document: bytes, now: datetime) -> None:
    signer = world.signers["ec"]
    bare = re.sub(rb"<ds:KeyInfo>.*</ds:KeyInfo>", b"", xmldsig.sign(document, signer, now))
    _refused(bare, "signature.certificate_missing", world, now)
    register = replace(world.register, registered={"BOHAI": (signer.certificate,)})
    assert xmldsig.verify(bare, "BOHAI", register, now).certificate == signer.certificate


def test_a_certificate_for_show_is_no_proof(world: Any, document: bytes, now: datetime) -> None:
    """The right certificate in KeyInfo, somebody else's key behind the signature."""
    honest, thief = world.signers["ec"], world.signers["other"]
    sent = xmldsig.sign(document, thief, now)
    shown = [base64.b64encode(one.certificate.public_bytes(Encoding.DER)) for one in (thief, honest)]
    _refused(sent.replace(*shown), "signature.invalid", world, now)


# What was signed


def test_altered_content_is_refused(signer: Signer, world: Any, document: bytes, now: datetime) -> None:
    sent = xmldsig.sign(document, signer, now)
    for old, new in ((b">100<", b">900<"), (b"CNY", b"USD"), (b"line=", b"lime="), (b"</v:Ship>", b"</v:Ship><v:x/>")):
        assert old in sent
        _refused(sent.replace(old, new, 1), "signature.invalid", world, now)


def test_every_altered_signature_value_is_refused(signer: Signer, world: Any, document: bytes, now: datetime) -> None:
    sent = xmldsig.sign(document, signer, now)
    match = re.search(rb"<ds:SignatureValue>(.*)</ds:SignatureValue>", sent)
    assert match is not None
    value = base64.b64decode(match[1])
    for wrong in (b"", value[:-1], value + b"\0", bytes(len(value)), value[::-1], bytes([value[0] ^ 1]) + value[1:]):
        data = sent.replace(match[1], base64.b64encode(wrong))
        _refused(data, "signature.invalid", world, now)
    for text in (b"!", "渤".encode()):
        _refused(sent.replace(match[1], text), "signature.invalid", world, now)


def test_a_comment_between_digits_is_refused(world: Any, document: bytes, now: datetime) -> None:
    sent = xmldsig.sign(document, world.signers["ec"], now)
    _refused(sent.replace(b">100<", b">1<!-- -->00<"), "signature.comment", world, now)
    _refused(sent.replace(b">100<", b"><!-- -->100<"), "signature.comment", world, now)


def test_a_comment_between_elements_is_dropped(world: Any, document: bytes, now: datetime) -> None:
    sent = xmldsig.sign(document, world.signers["ec"], now)
    verified = xmldsig.verify(sent.replace(b"<Cargo", b"<!-- cargo --><Cargo"), "BOHAI", world.register, now)
    assert verified.findings == ()
    assert b"cargo" not in verified.signed


def test_entities_and_dtd_are_refused(world: Any, document: bytes, now: datetime) -> None:
    sent = xmldsig.sign(document, world.signers["ec"], now)
    head = b"<?xml version='1.0' encoding='UTF-8'?>"
    for dtd in (b"<!DOCTYPE v>", b'<!DOCTYPE v [<!ENTITY a "1">]>', b'<!DOCTYPE v SYSTEM "file:///etc/passwd">'):
        _refused(sent.replace(head, head + dtd), "signature.dtd", world, now)


def test_no_signature_and_no_xml(world: Any, document: bytes, now: datetime) -> None:
    _refused(document, "signature.missing", world, now)
    for data in (b"", b"UNB+UNOC:3'", b"<a>", b"\xff\xfe", b"<a>&undefined;</a>"):
        _refused(data, "signature.malformed", world, now)
        assert not xmldsig.signed(data)


# Signature wrapping. The eight classic arrangements (XSW1-8) keep the signed original somewhere and show the reader a
# forgery. Here with reference by Id, as in the attacks, and with the whole-document reference.


def _xsw(number: int, signed: Any) -> Any:
    """The arrangement `number` made from a signed root: forged content with the original hidden in it."""
    original, forged = copy.deepcopy(signed), copy.deepcopy(signed)
    signature = copy.deepcopy(signed.find(SIGNATURE))
    for tree in (original, forged):
        tree.remove(tree.find(SIGNATURE))
    forged.find("{urn:port:vessel}Amount").text = "900"
    if number in (1, 2):  # original inside, or behind, the signature of the forged root
        forged.append(signature)
        if number == 1:
            signature.append(original)
        else:
            forged.append(original)
    elif number in (3, 4):  # forged before, or around, the original in a new root
        root = etree.Element(signed.tag, nsmap=signed.nsmap)
        original.append(signature)
        root.append(forged)
        (root if number == 3 else forged).append(original)
        return root
    elif number in (5, 6):  # forged root holds the signature; original behind it or in it
        original.set("Id", "again")
        forged.append(signature)
        (forged if number == 5 else signature[0]).append(original)
    elif number == 7:  # original in an element that any schema allows
        forged.append(signature)
        etree.SubElement(forged, "Extensions").append(original)
    else:  # original in ds:Object
        etree.SubElement(signature, f"{{{xmldsig.DS}}}Object").append(original)
        forged.append(signature)
    return forged


@pytest.mark.parametrize("by_id", [False, True])
@pytest.mark.parametrize("number", range(1, 9))
def test_wrapped_signatures_are_refused(number: int, by_id: bool, world: Any, document: bytes, now: datetime) -> None:
    signer = world.signers["ec"]
    if by_id:
        from signxml import XMLSigner

        root = etree.fromstring(document)
        root.set("Id", "body")
        made = XMLSigner(signature_algorithm="ecdsa-sha256", c14n_algorithm=xmldsig.EXCLUSIVE)
        sent = made.sign(root, key=signer.key, cert=[signer.certificate], reference_uri="body")
    else:
        sent = etree.fromstring(xmldsig.sign(document, signer, now))
    verified = xmldsig.verify(_dump(_xsw(number, sent)), "BOHAI", world.register, now)
    assert verified.signed == b""
    assert [finding.severity for finding in verified.findings] == ["error"]


def test_a_signature_elsewhere_or_twice_is_wrapped(world: Any, document: bytes, now: datetime) -> None:
    sent = etree.fromstring(xmldsig.sign(document, world.signers["ec"], now))
    deeper = copy.deepcopy(sent)
    deeper[0].append(deeper.find(SIGNATURE))
    twice = copy.deepcopy(sent)
    twice.append(copy.deepcopy(twice.find(SIGNATURE)))
    whole = copy.deepcopy(sent.find(SIGNATURE))
    for root in (deeper, twice, whole):
        _refused(_dump(root), "signature.wrapped", world, now)


@pytest.mark.parametrize("name", ["Id", "ID"])
def test_duplicate_ids_are_refused(name: str, world: Any, now: datetime) -> None:
    data = f"<a><b {name}='x'/><c {name}='x'/></a>".encode()
    _refused(xmldsig.sign(data, world.signers["ec"], now), "signature.wrapped", world, now)
    _refused(data.replace(name.encode(), b"xml:id"), "signature.malformed", world, now)


# Other algorithms, references and transforms, each really signed so that only the rule can refuse it

Change = Callable[[str], str]


def _resigned(document: bytes, signer: Signer, now: datetime, change: Change, value: Any = None) -> bytes:
    """A signature whose SignedInfo went through `change` before a true value was made over it."""
    sent = xmldsig.sign(document, signer, now).decode()
    info = re.search(r"<ds:SignedInfo>.*</ds:SignedInfo>", sent)
    assert info is not None
    changed = change(info[0])
    assert changed != info[0]
    namespace = f'<ds:SignedInfo xmlns:ds="{xmldsig.DS}">'
    canonical = changed.replace("<ds:SignedInfo>", namespace).encode()
    made = base64.b64encode((value or _ecdsa(signer))(canonical)).decode()
    sent = sent.replace(info[0], changed)
    return re.sub(
        "<ds:SignatureValue>.*</ds:SignatureValue>", f"<ds:SignatureValue>{made}</ds:SignatureValue>", sent
    ).encode()


def _ecdsa(signer: Signer, digest: Any = None) -> Callable[[bytes], bytes]:
    def value(content: bytes) -> bytes:
        assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(signer.key.sign(content, ec.ECDSA(digest or hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return value


def test_resigning_itself_is_sound(world: Any, document: bytes, now: datetime) -> None:
    """Without this the refusals below would prove nothing: a harmless change verifies."""
    data = _resigned(document, world.signers["ec"], now, lambda info: info.replace('URI=""', 'Type="urn:x" URI=""'))
    assert xmldsig.verify(data, "BOHAI", world.register, now).findings == ()


REFERENCE = re.compile("<ds:Reference.*</ds:Reference>")
EXTRA = f'<ds:Transform Algorithm="{xmldsig.EXCLUSIVE}"></ds:Transform>'
XPATH = (
    '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">'
    "<ds:XPath>not(self::text())</ds:XPath></ds:Transform>"
)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda i: REFERENCE.sub(lambda m: m[0] * 2, i), "signature.reference"),
        (lambda i: REFERENCE.sub("", i), "signature.reference"),
        (lambda i: i.replace('URI=""', 'URI="#x"'), "signature.reference"),
        (lambda i: i.replace(' URI=""', ""), "signature.reference"),
        (lambda i: i.replace('URI=""', 'URI="http://example.invalid/"'), "signature.reference"),
        (lambda i: i.replace(EXTRA, EXTRA * 2), "signature.transform"),
        (lambda i: i.replace(EXTRA, ""), "signature.transform"),
        (lambda i: i.replace(EXTRA, XPATH), "signature.transform"),
        (lambda i: i.replace(EXTRA, EXTRA.replace("c14n#", "c14n#WithComments")), "signature.transform"),
        (lambda i: i.replace(xmldsig.ENVELOPED, xmldsig.DS + "base64"), "signature.transform"),
        (lambda i: re.sub("<ds:Transforms>.*</ds:Transforms>", "", i), "signature.transform"),
        (lambda i: i.replace(xmldsig.SHA256, xmldsig.DS + "sha1"), "signature.algorithm"),
        (lambda i: i.replace(xmldsig.ECDSA_SHA256, xmldsig.DS + "dsa-sha1"), "signature.algorithm"),
    ],
)
def test_other_forms_are_refused(change: Change, code: str, world: Any, document: bytes, now: datetime) -> None:
    _refused(_resigned(document, world.signers["ec"], now, change), code, world, now)


def test_sha1_is_refused_though_it_fits(world: Any, document: bytes, now: datetime) -> None:
    signer = world.signers["ec"]
    weak = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"
    change: Change = lambda info: info.replace(xmldsig.ECDSA_SHA256, weak)  # noqa: E731
    data = _resigned(document, signer, now, change, _ecdsa(signer, hashes.SHA1()))
    _refused(data, "signature.algorithm", world, now)
    digest = base64.b64encode(
        hashlib.sha1(etree.tostring(etree.fromstring(document), method="c14n", exclusive=True)).digest()
    )

    def both(info: str) -> str:
        info = info.replace(xmldsig.SHA256, xmldsig.DS + "sha1")
        return re.sub("(?<=<ds:DigestValue>)[^<]*", digest.decode(), info)

    _refused(_resigned(document, signer, now, both), "signature.algorithm", world, now)


def test_hmac_with_the_public_key_is_refused(signer: Signer, world: Any, document: bytes, now: datetime) -> None:
    """Algorithm confusion: the key that everybody has, used as a secret."""
    method = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
    secrets = [
        signer.certificate.public_key().public_bytes(kind, PublicFormat.SubjectPublicKeyInfo)
        for kind in (Encoding.PEM, Encoding.DER)
    ] + [signer.certificate.public_bytes(Encoding.PEM)]
    for secret in secrets:
        mac = lambda content, secret=secret: hmac.digest(secret, content, "sha256")  # noqa: E731
        change: Change = lambda info: re.sub("xmldsig-more#(rsa|ecdsa)-sha256", "xmldsig-more#hmac-sha256", info)  # noqa: E731
        data = _resigned(document, signer, now, change, mac)
        assert method.encode() in data
        _refused(data, "signature.algorithm", world, now)


def test_the_method_must_fit_the_key(world: Any, document: bytes, now: datetime) -> None:
    rsa_key = world.signers["rsa"].key
    value = lambda content: rsa_key.sign(content, padding.PKCS1v15(), hashes.SHA256())  # noqa: E731
    change: Change = lambda info: info.replace(xmldsig.ECDSA_SHA256, xmldsig.RSA_SHA256)  # noqa: E731
    _refused(_resigned(document, world.signers["ec"], now, change, value), "signature.invalid", world, now)


def test_broken_certificates_are_findings(world: Any, document: bytes, now: datetime) -> None:
    sent = xmldsig.sign(document, world.signers["ec"], now)
    for text in (b"", b"AAAA", b"!!!!", "渤海".encode()):
        data = re.sub(rb"(<ds:X509Certificate>).*(</ds:X509Certificate>)", rb"\1" + text + rb"\2", sent)
        _refused(data, "signature.malformed", world, now)


def test_any_single_changed_byte_is_refused_or_harmless(world: Any, document: bytes, now: datetime) -> None:
    """Never an exception, and never other content than what was signed."""
    sent = xmldsig.sign(document, world.signers["ec"], now)
    content = xmldsig.verify(sent, "BOHAI", world.register, now).signed
    register = Register(roots=world.register.roots)
    for place in range(0, len(sent), 3):
        changed = sent[:place] + bytes([sent[place] ^ 0x01]) + sent[place + 1 :]
        verified = xmldsig.verify(changed, "BOHAI", register, now)
        assert verified.signed == (b"" if verified.findings else content), place
