"""What an sftp endpoint may declare, and the host keys that it pins."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from adapters import algorithms
from hub.contract import Ground
from hub.errors import DeclarationError


class Options(BaseModel):
    """A partner's SFTP server.

    key             our private key as file:PATH (relative to the site) or env:NAME
    host_keys       OpenSSH lines ("ssh-ed25519 AAAA…"), or file:PATH of such; several during a change
    put, get        remote folders for sending and fetching
    done            remote folder to which the partner moves what it has taken: evidence
    consumer_keeps  the partner never removes files from `put`: then a missing file was not delivered
    timeout         seconds for one answer; a whole operation may take four times as long
    stable          seconds without change after which a file of unknown format counts as whole
    pattern         which files to fetch, as a shell pattern
    legacy          weak algorithms that this server alone may use, by name (adapters/algorithms.py)
    """

    model_config = ConfigDict(extra="forbid")

    host: str
    port: int = 22
    user: str
    key: str
    host_keys: list[str] = Field(min_length=1)
    put: str | None = None
    get: str | None = None
    done: str | None = None
    consumer_keeps: bool = False
    timeout: float = 30
    keepalive: int = 15
    max_size: int = 50_000_000
    stable: float = 10
    pattern: str = "*"
    legacy: list[algorithms.Legacy | algorithms.LegacySha1] = []

    @property
    def reads(self) -> bool:
        return self.get is not None

    @property
    def writes(self) -> bool:
        return self.put is not None


def pinned(lines: Sequence[str], ground: Ground) -> dict[bytes, str]:
    """Key blob -> key type (RFC 4253, 6.6) of OpenSSH host key lines. DeclarationError for anything else."""
    found: dict[bytes, str] = {}
    for line in (inner for entry in lines for inner in _lines(entry, ground)):
        words = line.split()
        kind, text = (words[0], words[1]) if len(words) > 1 else ("", "")
        try:
            blob = base64.b64decode(text, validate=True)
        except binascii.Error:
            blob = b""
        if not kind or not blob.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
            raise DeclarationError(f'host_keys: not of the form "ssh-ed25519 AAAA…": {line[:40]}')
        found[blob] = kind
    if not found:
        raise DeclarationError("host_keys: at least one key has to be pinned")
    return found


def _lines(line: str, ground: Ground) -> list[str]:
    if not line.startswith("file:"):
        return [line]
    try:
        return [inner for inner in ground.secret(line).splitlines() if inner.strip() and not inner.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError(f"host_keys: {line}: cannot be read") from error


def fingerprint(blob: bytes) -> str:
    """As OpenSSH prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
