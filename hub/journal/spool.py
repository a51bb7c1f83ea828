"""Bytes too large for a row: files under their SHA-256, written once, never changed.

Order that survives a power cut: write, fsync the file, rename, fsync the folder; only then may a row refer to it.
An fsync that fails is never tried again: the fault goes up and the process stops.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hub.errors import Damaged

INLINE = 256 * 1024
"""Payloads up to this many bytes live in the journal beside their row: one commit instead of two fsyncs each."""
EVERYTHING = 1 << 30
"""On PostgreSQL all of them do: every machine has to see the bytes."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What was read from a source: `data` when it fits a row, else None and a file of the spool has it."""

    sha256: str
    size: int
    data: bytes | None
    head: bytes


class TooLarge(Exception):
    """The source gave more than the agreed number of bytes."""


def sync_folder(folder: Path) -> None:
    """fsync a folder, so that a name made or moved in it survives a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Spool:
    """Large payloads of one hub in `folder`: those of more than `inline` bytes."""

    def __init__(self, folder: Path, inline: int = INLINE) -> None:
        self.folder, self.inline = folder, inline
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    def store(self, chunks: Iterable[bytes], limit: int) -> Stored:
        """Take in a stream of at most `limit` bytes; memory stays below `inline` plus one chunk.

        Raises TooLarge, having kept nothing, when the stream is longer."""
        digest = hashlib.sha256()
        held: list[bytes] = []
        head = b""
        size = 0
        file = None
        try:
            for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise TooLarge
                digest.update(chunk)
                if len(head) < 4096:
                    head = (head + chunk)[:4096]
                if file is None and size > self.inline:
                    file = tempfile.NamedTemporaryFile(dir=self.folder, prefix=".in-", delete=False)  # noqa: SIM115
                    for piece in held:
                        file.write(piece)
                if file is None:
                    held.append(chunk)
                else:
                    held = []
                    file.write(chunk)
            sha256 = digest.hexdigest()
            if file is None:
                data = b"".join(held)
                return Stored(sha256, size, data, head)
            self._keep(file.name, file, sha256)
            file = None
            return Stored(sha256, size, None, head)
        finally:
            if file is not None:
                file.close()
                os.unlink(file.name)

    def _keep(self, name: str, file: object, sha256: str) -> None:
        file.flush()  # type: ignore[attr-defined]
        os.fsync(file.fileno())  # type: ignore[attr-defined]
        file.close()  # type: ignore[attr-defined]
        target = self.path(sha256)
        if not target.parent.exists():
            target.parent.mkdir(exist_ok=True)
            sync_folder(self.folder)
        os.rename(name, target)
        sync_folder(target.parent)

    def read(self, sha256: str) -> bytes:
        """The bytes, not compared with their name. Raises Damaged when they cannot be read."""
        try:
            return self.path(sha256).read_bytes()
        except OSError as fault:
            raise Damaged(sha256, f"cannot be read from the spool: {fault.strerror}") from fault

    def discard(self, path: Path, before: datetime) -> bool:
        """Remove a file that nobody has written to since `before`; one that is just being stored anew stays."""
        aside = self.folder / f".out-{path.name}"
        os.rename(path, aside)
        if aside.stat().st_mtime >= before.timestamp():
            os.rename(aside, path)
            return False
        aside.unlink()
        return True

    def chunks(self, sha256: str, size: int = 1 << 18) -> Iterator[bytes]:
        """The bytes in pieces, for readers that stream."""
        with self.path(sha256).open("rb") as file:
            while piece := file.read(size):
                yield piece
