"""Detached CMS signatures (RFC 5652 SignedData) over bytes of any kind: the file `<name>.p7s` beside a file.

The accepted form is narrow: strict DER to the last byte, one signer, signed attributes, SHA-256 or stronger.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from asn1crypto import cms as asn1
from asn1crypto import core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from hub.finding import Finding, Place
from hub.identity.keys import Signer, parse_certificate
from hub.identity.register import Register, Verified, refused

_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_REQUIRED = ("content_type", "message_digest")
# What usual signers add; none of it changes what is signed.
_KNOWN = {*_REQUIRED, "signing_time", "smime_capabilities", "signing_certificate_v2", "cms_algorithm_protection"}
_UNSIGNED = {"signature_time_stamp_token"}


def sign(data: bytes, signer: Signer, now: datetime) -> bytes:
    """The DER of a detached signature over `data`, signed at `now`. IdentityError when the certificate is not
    valid at `now`."""
    signer.ready(now)
    digest = {"algorithm": "sha256"}
    attributes = asn1.CMSAttributes(
        [
            {"type": "content_type", "values": ["data"]},
            {"type": "message_digest", "values": [hashlib.sha256(data).digest()]},
            {"type": "signing_time", "values": [_time(now)]},
        ]
    )
    signed = attributes.dump()
    if isinstance(signer.key, ec.EllipticCurvePrivateKey):
        method, value = "sha256_ecdsa", signer.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    else:
        method, value = "rsassa_pkcs1v15", signer.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    chain = [_certificate(one) for one in (signer.certificate, *signer.chain)]
    info = asn1.SignerInfo(
        {
            "version": "v1",
            "sid": {"issuer_and_serial_number": _identifier(chain[0])},
            "digest_algorithm": digest,
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": method},
            "signature": value,
        }
    )
    content = asn1.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [digest],
            "encap_content_info": {"content_type": "data"},
            "certificates": chain,
            "signer_infos": [info],
        }
    )
    whole: bytes = asn1.ContentInfo({"content_type": "signed_data", "content": content}).dump()
    return whole


def verify(data: bytes, der: bytes, party: str, register: Register, now: datetime) -> Verified:
    """Whether `der` is a signature of `party` over exactly `data`, judged at `now`.

    `signed` of the answer is `data`. Never raises for what `data` or `der` hold."""
    try:
        wrong = next(_malformed(der, 0, len(der), 0), None)
        if wrong is None:
            return _verify(data, asn1.ContentInfo.load(der, strict=True), party, register, now)
    # Its values are decoded when they are asked for, and a wrong type of value shows as any of these.
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as fault:
        wrong = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
    return refused(None, Finding("signature.malformed", found=wrong, expected="DER of a CMS SignedData"))


def certificates(der: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates that a signature brings along, its signer's first. Raises ValueError for what is no CMS."""
    try:
        content = asn1.ContentInfo.load(der, strict=True)["content"]
        included = content["certificates"] if _present(content["certificates"]) else ()
        found = [parse_certificate(one.chosen.dump()) for one in included if one.name == "certificate"]
        own = _of_signer(content, content["signer_infos"][0])
    except (TypeError, KeyError, IndexError, AttributeError, OverflowError) as fault:
        raise ValueError(f"no CMS SignedData: {fault}") from fault
    return tuple(sorted(found, key=lambda one: one != own))


def _verify(data: bytes, whole: Any, party: str, register: Register, now: datetime) -> Verified:
    wrong = next(_unexpected(whole), None)
    if wrong is not None:
        return refused(None, wrong)
    content = whole["content"]
    info = content["signer_infos"][0]
    certificate = _of_signer(content, info)
    if certificate is None:
        return refused(None, Finding("signature.certificate_missing", expected=party))
    findings = register.check(party, certificate, now)
    if any(finding.severity == "error" for finding in findings):
        return refused(certificate, *findings)
    attributes = {attribute["type"].native: attribute["values"][0] for attribute in info["signed_attrs"]}
    digest = info["digest_algorithm"]["algorithm"].native
    if not hmac.compare_digest(attributes["message_digest"].native, hashlib.new(digest, data).digest()):
        return refused(certificate, Finding("signature.content", Place(path="messageDigest"), expected=digest))
    if not _signs(certificate, info, _DIGESTS[digest]):
        return refused(certificate, Finding("signature.invalid", found="CMS", expected=party))
    if "signing_time" in attributes:
        at: datetime = attributes["signing_time"].native
        if abs(at.astimezone(UTC) - now) > register.window:
            found, near = f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{now:%Y-%m-%dT%H:%M:%SZ}"
            return refused(certificate, Finding("signature.time", Place(path="signingTime"), found, near))
    return Verified(data, certificate, tuple(findings))


def _unexpected(whole: Any) -> Iterator[Finding]:
    """Everything about the form that is not the one accepted form."""
    if whole["content_type"].native != "signed_data":
        yield Finding("signature.malformed", found=str(whole["content_type"].native), expected="signed_data")
        return
    content = whole["content"]
    encapsulated = content["encap_content_info"]
    if encapsulated["content_type"].native != "data" or _present(encapsulated["content"]):
        yield Finding("signature.detached", Place(path="encapContentInfo"), "content inside", "no content")
    if len(content["signer_infos"]) != 1:
        found = str(len(content["signer_infos"]))
        yield Finding("signature.signers", Place(path="signerInfos"), found, "1")
        return
    info = content["signer_infos"][0]
    # RFC 5652 5.1 and 5.3: version 1 goes with plain certificates and issuerAndSerialNumber.
    if content["version"].native != "v1" or info["version"].native != "v1" or len(content["digest_algorithms"]) != 1:
        found = f"{content['version'].native} {info['version'].native}"
        yield Finding("signature.malformed", Place(path="version"), found, "v1")
    yield from _algorithms(content, info)
    yield from _attributes(info)
    if info["sid"].name != "issuer_and_serial_number":
        yield Finding("signature.malformed", Place(path="sid"), info["sid"].name, "issuerAndSerialNumber")
    if _present(content["crls"]):
        yield Finding("signature.malformed", Place(path="crls"), "crls", "no crls")


def _present(field: Any) -> bool:
    return not isinstance(field, core.Void)


def _algorithms(content: Any, info: Any) -> Iterator[Finding]:
    digest, method = info["digest_algorithm"], info["signature_algorithm"]["algorithm"].native
    name = digest["algorithm"].native
    # Absent or NULL; the bytes around the signature must not carry anything else.
    parameters = (digest["parameters"], content["digest_algorithms"][0]["parameters"])
    if name not in _DIGESTS or content["digest_algorithms"][0]["algorithm"].native != name:
        yield Finding("signature.algorithm", Place(path="digestAlgorithm"), str(name), ", ".join(_DIGESTS))
    elif method not in ("rsassa_pkcs1v15", f"{name}_rsa", f"{name}_ecdsa"):
        expected = f"rsassa_pkcs1v15, {name}_rsa, {name}_ecdsa"
        yield Finding("signature.algorithm", Place(path="signatureAlgorithm"), str(method), expected)
    elif any(one.native is not None for one in (*parameters, info["signature_algorithm"]["parameters"])):
        yield Finding("signature.algorithm", Place(path="parameters"), "parameters", "none")


def _attributes(info: Any) -> Iterator[Finding]:
    signed = info["signed_attrs"]
    names = [attribute["type"].native for attribute in signed] if _present(signed) else []
    for name in _REQUIRED:
        if name not in names:
            yield Finding("signature.attribute", Place(path="signedAttrs"), f"no {name}", name)
    outside = info["unsigned_attrs"]
    loose = [attribute["type"].native for attribute in outside] if _present(outside) else []
    unknown = [name for name in names if name not in _KNOWN] + [name for name in loose if name not in _UNSIGNED]
    single = all(len(attribute["values"]) == 1 for attribute in signed) if names else True
    if unknown or len(set(names)) != len(names) or not single:
        yield Finding("signature.attribute", Place(path="signedAttrs"), ", ".join(unknown or names), "once each")
    elif "content_type" in names:
        kind = next(a["values"][0].native for a in signed if a["type"].native == "content_type")
        if kind != "data":
            yield Finding("signature.attribute", Place(path="contentType"), str(kind), "data")


def _of_signer(content: Any, info: Any) -> x509.Certificate | None:
    """The included certificate that the signer names by issuer and serial number."""
    if not _present(content["certificates"]):
        return None
    wanted = info["sid"].chosen
    for choice in content["certificates"]:
        if choice.name != "certificate":
            continue
        one = choice.chosen
        if one.serial_number == wanted["serial_number"].native and one.issuer.dump() == wanted["issuer"].dump():
            return parse_certificate(one.dump())
    return None


def _signs(certificate: x509.Certificate, info: Any, digest: hashes.HashAlgorithm) -> bool:
    """True when the signer's key signed the attributes. RFC 5652 5.4: as a SET OF, not under their [0] tag."""
    signed = b"\x31" + info["signed_attrs"].dump()[1:]
    value, method = info["signature"].native, info["signature_algorithm"]["algorithm"].native
    key = certificate.public_key()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and method.endswith("_ecdsa"):
            key.verify(value, signed, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey) and not method.endswith("_ecdsa"):
            key.verify(value, signed, padding.PKCS1v15(), digest)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _malformed(der: bytes, start: int, end: int, depth: int) -> Iterator[str]:
    """Where `der[start:end]` is not a row of DER values (X.690 8.1, 10.1): the lengths, down to every leaf."""
    while start < end:
        constructed, position = der[start] & 0x20, start + 1
        if der[start] & 0x1F == 0x1F or position >= end or depth > 32:
            yield f"a tag at byte {start} that CMS does not have"
            return
        length, position = der[position], position + 1
        if length >= 0x80:
            count = length & 0x7F
            length = int.from_bytes(der[position : position + count], "big")
            if not 1 <= count <= 4 or length < 0x80 or length >> 8 * (count - 1) == 0:
                yield f"a length at byte {start} that is not DER"
                return
            position += count
        if position + length > end:
            yield f"a value at byte {start} that is cut off"
            return
        if constructed:
            yield from _malformed(der, position, position + length, depth + 1)
        start = position + length
        if depth == 0 and start != end:
            yield f"{end - start} bytes behind the end"
            return


def _certificate(certificate: x509.Certificate) -> Any:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def _identifier(certificate: Any) -> Any:
    return asn1.IssuerAndSerialNumber({"issuer": certificate.issuer, "serial_number": certificate.serial_number})


def _time(now: datetime) -> Any:
    """RFC 5652 11.3: UTCTime through 2049, GeneralizedTime after."""
    whole = now.astimezone(UTC).replace(microsecond=0)
    if whole.year < 2050:
        return asn1.Time("utc_time", core.UTCTime(whole))
    return asn1.Time("generalized_time", core.GeneralizedTime(whole))
