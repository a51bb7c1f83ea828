"""What the server's folders show."""

from __future__ import annotations

import errno
import hashlib
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import paramiko

CHUNK = 32 * 1024


def missing(fault: OSError) -> bool:
    return fault.errno == errno.ENOENT


def lstat(client: paramiko.SFTPClient, path: str | bytes) -> paramiko.SFTPAttributes | None:
    """The attributes, or None when nothing is there."""
    try:
        return client.lstat(path)
    except OSError as fault:
        if missing(fault):
            return None
        raise


def remove(client: paramiko.SFTPClient, path: str | bytes) -> None:
    """Remove a file; one that is not there is fine."""
    try:
        client.remove(path)
    except OSError as fault:
        if not missing(fault):
            raise


def shown_as(client: paramiko.SFTPClient, path: str, data: bytes) -> str | None:
    """What shows that the file at `path` is these bytes: its hash, or its size alone where it cannot be read.

    "" when it is another file, None when there is none."""
    attributes = lstat(client, path)
    if attributes is None:
        return None
    if not regular(attributes) or attributes.st_size != len(data):
        return ""
    try:
        with client.open(path, "rb") as file:
            return digest(data) if exactly(file, len(data)) == data else ""
    except PermissionError:
        return f"{len(data)} bytes, not readable"
    except OSError as fault:
        if missing(fault):
            # Taken while we looked.
            return None
        raise


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def listing(client: paramiko.SFTPClient, path: str) -> Iterator[paramiko.SFTPAttributes]:
    """The entries of a remote folder, page by page (draft-ietf-secsh-filexfer-02, 6.7).

    paramiko's own listing fails as a whole at the first name that is not UTF-8, such as one in GBK. Here the bytes of
    such a name become lone surrogates (PEP 383)."""
    import paramiko
    from paramiko.sftp import CMD_CLOSE, CMD_OPENDIR, CMD_READDIR

    ask = client._request  # type: ignore[attr-defined]
    handle = ask(CMD_OPENDIR, path)[1].get_binary()
    try:
        while True:
            page = ask(CMD_READDIR, handle)[1]
            for _ in range(page.get_int()):
                name = page.get_binary().decode("utf-8", "surrogateescape")
                page.get_binary()
                yield paramiko.SFTPAttributes._from_msg(page, name)  # type: ignore[attr-defined]
    except EOFError:
        # How the server says that there is no further page.
        ask(CMD_CLOSE, handle)


def exactly(file: paramiko.SFTPFile, size: int) -> bytes:
    """Up to size + 1 bytes from the start, requested ahead."""
    if size:
        file.prefetch(size)
    found = bytearray()
    while len(found) <= size and (chunk := file.read(min(CHUNK, size + 1 - len(found)))):
        found += chunk
    return bytes(found)


def regular(attributes: paramiko.SFTPAttributes) -> bool:
    return attributes.st_mode is not None and stat.S_ISREG(attributes.st_mode)
