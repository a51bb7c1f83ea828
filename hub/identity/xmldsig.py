"""XML signatures, enveloped. We compose our own (W3C XMLDSig 1.1); others' are judged by signxml at its strictest.

What is signed is byte for byte what is sent: the document is serialised once, with its signature in it.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from hub.finding import Finding, Place
from hub.identity.keys import Signer
from hub.identity.register import Register

DS = "http://www.w3.org/2000/09/xmldsig#"
C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = DS + "enveloped-signature"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
METHODS = {
    "ec": "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "rsa": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
}


@dataclass(frozen=True, slots=True)
class Verified:
    """`signed` is what the signature covers, to be parsed again and used instead of what came in."""

    signed: bytes
    certificate: x509.Certificate | None
    findings: tuple[Finding, ...]


def _parser() -> Any:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def signed(data: bytes) -> bool:
    """True when the root has a Signature child. Raises nothing: bytes that do not parse are not signed."""
    try:
        root = etree.fromstring(data, _parser())
    except (etree.XMLSyntaxError, ValueError):
        return False
    return root.find(f"{{{DS}}}Signature") is not None


def sign(data: bytes, signer: Signer, now: datetime) -> bytes:
    """`data` with an enveloped signature over the whole document as the last child of its root."""
    root = etree.fromstring(data, _parser())
    digest = base64.b64encode(hashlib.sha256(_canonical(root)).digest()).decode()
    method = METHODS["ec" if isinstance(signer.key, ec.EllipticCurvePrivateKey) else "rsa"]
    certificate = base64.b64encode(signer.certificate.public_bytes(serialization.Encoding.DER)).decode()
    info = (
        f'<ds:SignedInfo xmlns:ds="{DS}"><ds:CanonicalizationMethod Algorithm="{C14N}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{method}"></ds:SignatureMethod><ds:Reference URI=""><ds:Transforms>'
        f'<ds:Transform Algorithm="{ENVELOPED}"></ds:Transform><ds:Transform Algorithm="{C14N}"></ds:Transform>'
        f'</ds:Transforms><ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod>'
        f"<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
    )
    value = base64.b64encode(_raw(info.encode(), signer)).decode()
    signature = (
        f'<ds:Signature xmlns:ds="{DS}">{info}<ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo><ds:X509Data>'
        f"<ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>"
    )
    root.append(etree.fromstring(signature, _parser()))
    out: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return out


def _canonical(root: Any) -> bytes:
    data: bytes = etree.tostring(root, method="c14n", exclusive=True, with_comments=False)
    return data


def _raw(data: bytes, signer: Signer) -> bytes:
    """RSA PKCS#1 v1.5, or ECDSA as r and s of fixed width (RFC 4050 §3.3)."""
    if not isinstance(signer.key, ec.EllipticCurvePrivateKey):
        return signer.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    width = (signer.key.curve.key_size + 7) // 8
    r, s = decode_dss_signature(signer.key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


def verify(data: bytes, party: str, register: Register, now: datetime) -> Verified:
    """Judge the signature of `party` on `data`. Go on only with `.signed`, and only when there are no findings."""
    from signxml.algorithms import DigestAlgorithm, SignatureMethod
    from signxml.exceptions import InvalidInput, SignXMLException
    from signxml.verifier import SignatureConfiguration, XMLVerifier

    try:
        root = etree.fromstring(data, _parser())
    except (etree.XMLSyntaxError, ValueError) as fault:
        return _no("signature.invalid", str(fault))
    if root.getroottree().docinfo.internalDTD is not None:
        return _no("signature.dtd", "DOCTYPE")
    found = root.findall(f"{{{DS}}}Signature")
    if len(found) != 1 or len(list(root.iter(f"{{{DS}}}Signature"))) != 1:
        return _no("signature.wrapped", f"{len(list(root.iter(f'{{{DS}}}Signature')))} signatures")
    if [r.get("URI") for r in found[0].iter(f"{{{DS}}}Reference")] != [""]:
        return _no("signature.wrapped", "a reference to a part of the document")
    certificate = _certificate(found[0])
    if certificate is None:
        return _no("signature.certificate_unknown", "no certificate")
    findings = register.check(party, certificate, now)
    if findings:
        return Verified(b"", certificate, tuple(findings))
    config = SignatureConfiguration(
        location="./",
        expect_references=1,
        signature_methods=frozenset({SignatureMethod.ECDSA_SHA256, SignatureMethod.RSA_SHA256}),
        digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    try:
        result: Any = XMLVerifier().verify(data, x509_cert=pem, expect_config=config)
    except (SignXMLException, InvalidInput, ValueError) as fault:
        return _no("signature.invalid", str(fault)[:200])
    if result.signed_xml is None or result.signed_xml.tag != root.tag:
        return _no("signature.wrapped", "something else than the document is signed")
    return Verified(result.signed_data, certificate, ())


def _certificate(signature: Any) -> x509.Certificate | None:
    text = signature.findtext(f"{{{DS}}}KeyInfo/{{{DS}}}X509Data/{{{DS}}}X509Certificate")
    try:
        return x509.load_der_x509_certificate(base64.b64decode(text or ""))
    except ValueError:
        return None


def _no(code: str, found: str) -> Verified:
    return Verified(b"", None, (Finding(code, Place(), found),))
