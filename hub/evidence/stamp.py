"""RFC 3161: what a time-stamp authority is asked, and whether what it answers counts. Pure: no network, no clock.

The accepted form is narrow, as with signatures (hub.identity.cms): strict DER to the last byte, one signer, SHA-256 or
stronger, a certificate for time-stamping and nothing else, which the token itself names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asn1crypto import cms, core, tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from hub.finding import Finding
from hub.identity.chain import highest, lead
from hub.identity.keys import parse_certificate
from hub.identity.register import readable

_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_WRONG = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
"""What a value that is not built as it should be shows as, when the library decodes it."""


class _Response(core.Sequence):  # type: ignore[misc]
    """2.4.2 TimeStampResp; the library's own does not know that a refusal has no token."""

    _fields = [("status", tsp.PKIStatusInfo), ("time_stamp_token", cms.ContentInfo, {"optional": True})]  # noqa: RUF012


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a response says: `at` the authority's time, `chain` from its certificate up to a trusted one."""

    at: datetime
    chain: tuple[x509.Certificate, ...] = ()
    findings: tuple[Finding, ...] = ()


def request(data: bytes, nonce: int) -> bytes:
    """The DER that asks for a stamp over `data`, with the authority's certificate (2.4.1)."""
    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": hashlib.sha256(data).digest()}
    asked = {"version": "v1", "message_imprint": imprint, "nonce": nonce, "cert_req": True}
    der: bytes = tsp.TimeStampReq(asked).dump()
    return der


def verify(data: bytes, response: bytes, roots: Sequence[x509.Certificate], nonce: int | None = None) -> Stamp:
    """Whether `response` is a stamp over `data` of an authority that leads to one of `roots`; without roots the highest
    certificate that came along is shown in `chain`, for a person to judge. `nonce` is the one that was asked with."""
    try:
        return _verify(data, _Response.load(response, strict=True), roots, nonce)
    except _WRONG as fault:
        return _no("evidence.stamp", str(fault).splitlines()[0] if str(fault) else type(fault).__name__, "RFC 3161")


def _verify(data: bytes, response: Any, roots: Sequence[x509.Certificate], nonce: int | None) -> Stamp:
    status = response["status"]["status"].native
    if status not in ("granted", "granted_with_mods"):
        said = response["status"]["status_string"].native or []
        return _no("evidence.stamp_refused", " ".join([str(status), *said]))
    content = response["time_stamp_token"]["content"]
    if response["time_stamp_token"]["content_type"].native != "signed_data" or len(content["signer_infos"]) != 1:
        return _no("evidence.stamp", "not one signer", "RFC 3161")
    info = content["signer_infos"][0]
    encapsulated = content["encap_content_info"]
    token = encapsulated["content"].parsed
    if encapsulated["content_type"].native != "tst_info" or token["version"].native != "v1":
        return _no("evidence.stamp", str(encapsulated["content_type"].native), "id-ct-TSTInfo")
    wrong = _imprint(data, token, nonce)
    if wrong:
        return wrong
    included = [parse_certificate(one.chosen.dump()) for one in content["certificates"] if one.name == "certificate"]
    own = _of_signer(included, info)
    if own is None or not readable(own):
        return _no("evidence.stamp_signature", "no certificate of the signer")
    if not _signs(own, info, encapsulated["content"].contents):
        return _no("evidence.stamp_signature", own.subject.rfc4514_string())
    if not _for_stamping(own):
        return _no("evidence.stamp_usage", own.subject.rfc4514_string(), "timeStamping")
    at = token["gen_time"].native.astimezone(UTC)
    chain = lead(own, included, roots or highest(included) or (own,), at)
    if not chain:
        return Stamp(at, (own,), (Finding("evidence.stamp_chain", found=own.subject.rfc4514_string()),))
    return Stamp(at, chain)


def _no(code: str, found: str, expected: str = "") -> Stamp:
    return Stamp(datetime.min.replace(tzinfo=UTC), (), (Finding(code, found=found, expected=expected),))


def _imprint(data: bytes, token: Any, nonce: int | None) -> Stamp | None:
    """2.4.2: the token is over our hash and answers our question."""
    name = token["message_imprint"]["hash_algorithm"]["algorithm"].native
    if name not in _DIGESTS:
        return _no("evidence.stamp", str(name), ", ".join(_DIGESTS))
    hashed = token["message_imprint"]["hashed_message"].native
    if hashed != hashlib.new(name, data).digest():
        return _no("evidence.stamp_imprint", hashed.hex(), hashlib.new(name, data).hexdigest())
    if nonce is not None and token["nonce"].native != nonce:
        return _no("evidence.stamp_nonce", str(token["nonce"].native), str(nonce))
    return None


def _of_signer(included: Sequence[x509.Certificate], info: Any) -> x509.Certificate | None:
    """The certificate that the signer names, and that the signed attributes hold the hash of (RFC 2634, RFC 5035)."""
    values = {one["type"].native: one["values"][0] for one in info["signed_attrs"]}
    for certificate in included:
        der = certificate.public_bytes(Encoding.DER)
        named = info["sid"].chosen
        if info["sid"].name == "issuer_and_serial_number" and (
            named["serial_number"].native != certificate.serial_number
            or named["issuer"].dump() != certificate.issuer.public_bytes()
        ):
            continue
        if "signing_certificate_v2" in values:
            first = values["signing_certificate_v2"]["certs"][0]
            digest = first["hash_algorithm"]["algorithm"].native
            if digest in _DIGESTS and first["cert_hash"].native == hashlib.new(digest, der).digest():
                return certificate
        elif "signing_certificate" in values:  # by SHA-1, of 1999; the signature itself is not
            first = values["signing_certificate"]["certs"][0]
            if first["cert_hash"].native == hashlib.sha1(der, usedforsecurity=False).digest():
                return certificate
    return None


def _signs(certificate: x509.Certificate, info: Any, content: bytes) -> bool:
    """True when the certificate's key signed the attributes, and they hold the hash of the content (RFC 5652, 5.4)."""
    digest = info["digest_algorithm"]["algorithm"].native
    method = info["signature_algorithm"].signature_algo
    attributes = info["signed_attrs"]
    values = {one["type"].native: one["values"] for one in attributes}
    once = len(values) == len(attributes) and all(len(several) == 1 for several in values.values())
    if digest not in _DIGESTS or not once or values["content_type"][0].native != "tst_info":
        return False
    if values["message_digest"][0].native != hashlib.new(digest, content).digest():
        return False
    key, value = certificate.public_key(), info["signature"].native
    signed = b"\x31" + attributes.dump()[1:]
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and method == "ecdsa":
            key.verify(value, signed, ec.ECDSA(_DIGESTS[digest]))
        elif isinstance(key, rsa.RSAPublicKey) and method == "rsassa_pkcs1v15":
            key.verify(value, signed, padding.PKCS1v15(), _DIGESTS[digest])
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _for_stamping(certificate: x509.Certificate) -> bool:
    """2.3: one extended key usage, timeStamping, and critical."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, x509.DuplicateExtension):
        return False
    return usage.critical and list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING]
