"""SHA-1 in the handshake, which paramiko 5 has no more and some old servers know nothing else than.

    diffie-hellman-group14-sha1  the key exchange of RFC 4253, 8.2
    ssh-rsa                      RSA signatures of RFC 4253, 6.6: the server's host key, and our own key

Only for an endpoint whose `legacy` names them. The host key is pinned all the same: a forger would have to find a
second preimage of SHA-1 during the handshake, not a collision.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1

import paramiko
from cryptography.hazmat.primitives import hashes
from paramiko.kex_group14 import KexGroup14SHA256

KEX, RSA = "diffie-hellman-group14-sha1", "ssh-rsa"


class Group14Sha1(KexGroup14SHA256):
    name = KEX
    hash_algo = sha1


class RsaSha1(paramiko.RSAKey):
    """An RSA key that signs and verifies with SHA-1 too."""

    HASHES = {**paramiko.RSAKey.HASHES, RSA: hashes.SHA1}  # type: ignore[misc]  # noqa: RUF012


def allow(transport: paramiko.Transport, legacy: Sequence[str]) -> None:
    """Let this one connection use what `legacy` names, behind everything better. A server that does not say which
    signatures it takes (RFC 8308) gets the old one of our key."""
    inside: dict[str, object] = vars(transport)
    if KEX in legacy:
        inside["_kex_info"] = {**transport._kex_info, KEX: Group14Sha1}  # type: ignore[attr-defined]
        inside["_preferred_kex"] = (*transport._preferred_kex, KEX)  # type: ignore[attr-defined]
    if RSA in legacy:
        inside["_key_info"] = {**transport._key_info, RSA: RsaSha1}  # type: ignore[attr-defined]
        inside["_preferred_keys"] = (*transport._preferred_keys, RSA)  # type: ignore[attr-defined]
        inside["_preferred_pubkeys"] = (RSA, *transport._preferred_pubkeys)  # type: ignore[attr-defined]
