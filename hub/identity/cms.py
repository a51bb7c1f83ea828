"""CMS signatures (RFC 5652), detached: for what cannot carry its signature inside."""

from __future__ import annotations

from datetime import datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from hub.identity.keys import Signer


def sign(data: bytes, signer: Signer, now: datetime) -> bytes:
    """DER of a detached SignedData over `data`, certificate included."""
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities]
    builder = pkcs7.PKCS7SignatureBuilder().set_data(data)
    builder = builder.add_signer(signer.certificate, signer.key, hashes.SHA256())
    return builder.sign(Encoding.DER, options)
