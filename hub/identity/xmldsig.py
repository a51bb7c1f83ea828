"""XML signatures over a whole document: one enveloped ds:Signature, last child of the root (W3C XMLDSig 1.1).

Signing composes the few fixed lines itself, because a general library needs many times as long for them.
Verifying what others send first refuses every form that is not this one, then leaves the judgement to signxml.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from hub.errors import IdentityError
from hub.finding import Finding, Place
from hub.identity.keys import PrivateKey, Signer, parse_certificate
from hub.identity.register import Register, Verified, refused

DS = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = f"{DS}enveloped-signature"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
SIGNATURE_METHODS = frozenset(f"{_MORE}{kind}-sha{bits}" for kind in ("rsa", "ecdsa") for bits in (256, 384, 512))
DIGEST_METHODS = frozenset({SHA256, f"{_MORE}sha384", "http://www.w3.org/2001/04/xmlenc#sha512"})
# None of the "#WithComments": what is signed must be what is read, and readers drop comments.
CANONICAL = frozenset(
    {EXCLUSIVE, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "http://www.w3.org/2006/12/xml-c14n11"}
)
# The parser itself refuses a repeated xml:id. Lower-case "id" is left out: business documents use it freely and no
# accepted reference points at it.
_IDS = ("Id", "ID")
_SIGNATURE = f"{{{DS}}}Signature"
_PARTS = [f"{{{DS}}}{name}" for name in ("SignedInfo", "SignatureValue", "KeyInfo")]

# The canonical form of SignedInfo (exclusive C14N): every element closed in full, the namespace on its top.
_SIGNED_INFO = (
    "<ds:SignedInfo{namespace}>"
    f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"></ds:CanonicalizationMethod>'
    '<ds:SignatureMethod Algorithm="{method}"></ds:SignatureMethod>'
    '<ds:Reference URI=""><ds:Transforms>'
    f'<ds:Transform Algorithm="{ENVELOPED}"></ds:Transform>'
    f'<ds:Transform Algorithm="{EXCLUSIVE}"></ds:Transform>'
    "</ds:Transforms>"
    f'<ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod>'
    "<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
)
_NAMESPACE = f' xmlns:ds="{DS}"'


def sign(data: bytes, signer: Signer, now: datetime) -> bytes:
    """The XML document `data` with its signature: UTF-8 with declaration, exactly the bytes to send.

    Comments outside the root are left behind: no signature covers them. Raises IdentityError when the
    certificate is not valid at `now`, or `data` is not XML, has a DTD, a processing instruction outside its root
    (readers disagree whether URI="" covers it) or a signature already.
    """
    signer.ready(now)
    root = _document(data)
    canonical = etree.tostring(root, method="c14n", exclusive=True, with_comments=False)
    digest = base64.b64encode(hashlib.sha256(canonical).digest()).decode()
    method = ECDSA_SHA256 if isinstance(signer.key, ec.EllipticCurvePrivateKey) else RSA_SHA256
    signed_info = _SIGNED_INFO.format(namespace=_NAMESPACE, method=method, digest=digest)
    value = base64.b64encode(_value(signer.key, signed_info.encode())).decode()
    certificates = "".join(
        f"<ds:X509Certificate>{base64.b64encode(one.public_bytes(Encoding.DER)).decode()}</ds:X509Certificate>"
        for one in (signer.certificate, *signer.chain)
    )
    signature = (
        f"<ds:Signature{_NAMESPACE}>{_SIGNED_INFO.format(namespace='', method=method, digest=digest)}"
        f"<ds:SignatureValue>{value}</ds:SignatureValue>"
        f"<ds:KeyInfo><ds:X509Data>{certificates}</ds:X509Data></ds:KeyInfo></ds:Signature>"
    )
    if not len(root) and root.text is None:
        root.text = ""  # an end tag to put the signature before
    # As text, not as nodes: grafting would let the parser rename the prefix that is already signed.
    whole = etree.tostring(root, encoding="UTF-8", xml_declaration=True, with_tail=False)
    end = whole.rindex(b"</")
    return whole[:end] + signature.encode() + whole[end:]


def signed(data: bytes) -> bool:
    """True when the root has a ds:Signature as a child; False also for what is no XML."""
    try:
        return has_signature(_parse(data))
    except etree.XMLSyntaxError:
        return False


def has_signature(root: Any) -> bool:
    """The same for a document that was parsed already."""
    return root.find(_SIGNATURE) is not None


def verify(data: bytes, party: str, register: Register, now: datetime) -> Verified:
    """Whether `party` signed the whole of `data`, which is judged as it stands at `now`.

    `signed` of the answer is the canonical document without its signature: the only bytes to go on with.
    Never raises for what `data` holds.
    """
    try:
        root = _parse(data)
    except etree.XMLSyntaxError as fault:
        return refused(None, Finding("signature.malformed", found=str(fault.msg), expected="XML"))
    wrong = next(_unexpected(root), None)
    if wrong is not None:
        return refused(None, wrong)
    signature = root.find(_SIGNATURE)
    assert signature is not None
    try:
        sent = _certificates(signature)
    except ValueError:
        return refused(
            None, Finding("signature.malformed", Place(path="ds:X509Certificate"), "ds:X509Certificate", "X.509")
        )
    certificate, findings = register.select(party, sent or register.known(party), now)
    if certificate is None or any(finding.severity == "error" for finding in findings):
        return refused(certificate, *findings)
    content, why_not = _judge(data, certificate, now)
    if content is None or _parse(content).tag != root.tag:
        return refused(certificate, Finding("signature.invalid", found=why_not, expected=party))
    return Verified(content, certificate, tuple(findings))


def _judge(data: bytes, certificate: x509.Certificate, now: datetime) -> tuple[bytes | None, str]:
    """(the signed bytes, "") or (None, why not), as signxml sees it with this one certificate."""
    # Slow to load, and a hub that only signs never needs it.
    from signxml.algorithms import DigestAlgorithm, SignatureMethod
    from signxml.exceptions import SignXMLException
    from signxml.verifier import SignatureConfiguration, XMLVerifier

    strict = SignatureConfiguration(
        require_x509=True,
        location="./",
        expect_references=1,
        signature_methods=frozenset(SignatureMethod(method) for method in SIGNATURE_METHODS),
        digest_algorithms=frozenset(DigestAlgorithm(method) for method in DIGEST_METHODS),
        verification_time=now,
    )
    try:
        result: Any = XMLVerifier().verify(
            data,
            x509_cert=certificate,
            parser=_parser(),
            validate_schema=False,  # `_unexpected` has admitted one form only, narrower than the schema's
            expect_config=strict,
        )
    except (SignXMLException, InvalidSignature, UnsupportedAlgorithm, etree.LxmlError) as fault:
        return None, str(fault) or type(fault).__name__
    except (ValueError, TypeError, KeyError) as fault:  # base64 and numbers that cannot be decoded
        return None, str(fault) or type(fault).__name__
    return bytes(result.signed_data), ""


def _unexpected(root: Any) -> Iterator[Finding]:
    """Everything about the form that is not the one accepted form, the root of the trouble first."""
    docinfo = root.getroottree().docinfo
    if docinfo.internalDTD is not None or docinfo.externalDTD is not None:
        yield Finding("signature.dtd", found=docinfo.doctype)
    signatures = list(root.iter(_SIGNATURE))
    if not signatures:
        yield Finding("signature.missing", Place(path=_name(root)))
        return
    if len(signatures) != 1 or signatures[0].getparent() is not root:
        place = Place(path=root.getroottree().getpath(signatures[-1]))
        yield Finding("signature.wrapped", place, f"{len(signatures)} × ds:Signature", "one, child of the root")
        return
    signature = signatures[0]
    parts = [child.tag for child in signature]
    if parts not in (_PARTS, _PARTS[:2]):
        found = next((_name(child) for child in signature if child.tag not in _PARTS), "order")
        yield Finding("signature.wrapped", Place(path="ds:Signature"), found, "SignedInfo, SignatureValue, KeyInfo")
        return
    values = [node.get(name) for name in _IDS for node in root.iter(etree.Element) if node.get(name) is not None]
    for value, count in Counter(values).items():
        if count > 1:
            yield Finding("signature.wrapped", found=f"Id {value} × {count}", expected="unique Ids")
    yield from _splitting(root)
    yield from _signed_info(signature[0])


def _splitting(root: Any) -> Iterator[Finding]:
    """Comments beside text: signers drop them, and readers may then see only the text before."""
    for comment in root.iter(etree.Comment):
        parent = comment.getparent()
        if parent is None:
            continue
        texts = [parent.text, *(child.tail for child in parent)]
        if any(text and text.strip() for text in texts):
            path = parent.getroottree().getpath(parent)
            yield Finding("signature.comment", Place(path=path), path)


def _signed_info(signed_info: Any) -> Iterator[Finding]:
    """SignedInfo has exactly the elements of the accepted form, all algorithms strong."""
    names = [_name(child) for child in signed_info]
    if names != ["CanonicalizationMethod", "SignatureMethod", "Reference"]:
        found = f"{names.count('Reference')} references"
        yield Finding("signature.reference", Place(path="ds:SignedInfo"), found, "one reference")
        return
    canonicalization, method, reference = signed_info
    yield from _algorithm(canonicalization, CANONICAL, "signature.transform")
    yield from _algorithm(method, SIGNATURE_METHODS, "signature.algorithm")
    if reference.get("URI") != "":
        found = repr(reference.get("URI"))
        yield Finding("signature.reference", Place(path="ds:Reference/@URI"), found, 'URI="" (the whole document)')
    if [_name(child) for child in reference] != ["Transforms", "DigestMethod", "DigestValue"]:
        yield Finding(
            "signature.transform", Place(path="ds:Reference"), "none", "Transforms, DigestMethod, DigestValue"
        )
        return
    transforms = list(reference[0])
    if len(transforms) != 2:
        found = f"{len(transforms)} transforms"
        yield Finding("signature.transform", Place(path="ds:Transforms"), found, "enveloped-signature, C14N")
        return
    yield from _algorithm(transforms[0], frozenset({ENVELOPED}), "signature.transform")
    yield from _algorithm(transforms[1], CANONICAL, "signature.transform")
    yield from _algorithm(reference[1], DIGEST_METHODS, "signature.algorithm")


def _algorithm(node: Any, allowed: frozenset[str], code: str) -> Iterator[Finding]:
    """`node` names an allowed algorithm and has no parameters."""
    name = node.get("Algorithm", "")
    if name not in allowed:
        yield Finding(code, Place(path=f"ds:{_name(node)}"), name, " ".join(sorted(allowed)))
    elif len(node):
        yield Finding(code, Place(path=f"ds:{_name(node)}"), _name(node[0]), "no parameters")


def _certificates(signature: Any) -> list[x509.Certificate]:
    """The certificates in KeyInfo. Raises ValueError when one cannot be read."""
    nodes = signature.findall(f"{{{DS}}}KeyInfo/{{{DS}}}X509Data/{{{DS}}}X509Certificate")
    return [parse_certificate(base64.b64decode(node.text or "")) for node in nodes]


def _value(key: PrivateKey, content: bytes) -> bytes:
    """The SignatureValue: PKCS#1 v1.5, or r and s in full width one behind the other (XMLDSig 1.1, 6.4.3)."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA256())))
        width = (key.key_size + 7) // 8
        return r.to_bytes(width, "big") + s.to_bytes(width, "big")
    return key.sign(content, padding.PKCS1v15(), hashes.SHA256())


def _document(data: bytes) -> Any:
    """The root of a document that may be signed."""
    try:
        root = _parse(data)
    except etree.XMLSyntaxError as fault:
        raise IdentityError(f"what is to be signed is no XML: {fault.msg}") from fault
    docinfo = root.getroottree().docinfo
    if docinfo.internalDTD is not None or docinfo.externalDTD is not None:
        raise IdentityError("a document with a DTD is not signed")
    around = [*root.itersiblings(preceding=True), *root.itersiblings()]
    if any(node.tag is etree.ProcessingInstruction for node in around):
        raise IdentityError("a document with a processing instruction outside its root is not signed")
    if root.tag == _SIGNATURE or next(root.iter(_SIGNATURE), None) is not None:
        raise IdentityError("the document has a signature already")
    return root


def _name(node: Any) -> str:
    return etree.QName(node).localname if isinstance(node.tag, str) else "comment or processing instruction"


def _parse(data: bytes) -> Any:
    return etree.fromstring(data, _parser())


def _parser() -> Any:
    """A parser that fetches nothing and expands nothing; one a call, because parsers lock across threads."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
