"""SSH algorithms that are spoken only where an endpoint's `legacy` names them. Shared by sftp and sftpd.

CBC modes (CVE-2008-5161), 3DES with its 64-bit blocks, and MACs made of MD5, SHA-1 or cut to 96 bits: paramiko still
offers them by default. SHA-1 in the handshake it has no more; for servers that know nothing else our client brings it
back (adapters/sftp/sha1.py). arcfour, DSA keys and 1024-bit groups stay gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

LegacyCipher = Literal["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"]
LegacyMac = Literal["hmac-sha1", "hmac-sha1-96", "hmac-md5", "hmac-md5-96"]
Legacy = LegacyCipher | LegacyMac
LegacySha1 = Literal["diffie-hellman-group14-sha1", "ssh-rsa"]


def disabled(legacy: Sequence[str] = ()) -> dict[str, list[str]]:
    """paramiko's `disabled_algorithms`: every legacy one that is not allowed."""
    every = {"ciphers": get_args(LegacyCipher), "macs": get_args(LegacyMac)}
    return {kind: [name for name in names if name not in legacy] for kind, names in every.items()}
