"""What parties have submitted: kept on the disk by the door, collected by the inlet."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from hub.contract import Arrival
from hub.errors import Unreachable

CHUNK = 256 * 1024
#: How long the door remembers an Idempotency-Key.
KEYS_KEPT_DAYS = 30

_STORED = re.compile(r"\d{19}-[0-9a-f]{8}__([A-Za-z0-9][A-Za-z0-9_.\-]{0,127})")
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Kept:
    """One submission as the door remembers it: id, name, and whether it was here before."""

    id: str
    name: str
    known: bool


class KeyTaken(ValueError):
    """The Idempotency-Key was used for other bytes."""


class Empty(ValueError):
    """The body has no bytes."""


class TooLarge(ValueError):
    """The body is longer than the endpoint takes."""


class Mailbox:
    """What one party has submitted: spool/http/<endpoint>/, with spool/http/<endpoint>/keys/ beside it.

    A message is one file `<ns>-<hex>__<name>`. A key is one small file that names the message. The key is
    written first and says `stored: false`; after a crash between the two the next try writes the message under
    the same id, so nothing is lost and the hub knows the arrival again by its key if it had it already.
    Safe for many threads of one process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys = folder / "keys"
        self._lock = threading.Lock()
        self._keys.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def _sweep(self) -> None:
        """Remove uploads that a crash cut, and keys that are too old to matter."""
        oldest = time.time() - KEYS_KEPT_DAYS * 86_400
        for path in self._folder.glob(".*.tmp"):
            path.unlink(missing_ok=True)
        for path in self._keys.iterdir():
            if path.suffix == ".tmp" or path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)

    def store(self, body: BinaryIO, name: str, key: str | None, limit: int) -> Kept:
        """Keep one message durably. Raises KeyTaken, Empty, TooLarge, or OSError when it is not kept."""
        temporary = self._folder / f".{secrets.token_hex(8)}.tmp"
        try:
            digest = _spool(body, temporary, limit)
            with self._lock:
                return self._file(temporary, name, key, digest)
        finally:
            temporary.unlink(missing_ok=True)

    def _file(self, temporary: Path, name: str, key: str | None, digest: str) -> Kept:
        record = self._recall(key)
        if record is not None and record["sha256"] != digest:
            raise KeyTaken
        if record is not None and record["stored"]:
            return Kept(record["id"], record["name"], known=True)
        if record is None:
            record = {"id": f"{time.time_ns():019d}-{secrets.token_hex(4)}", "name": name, "sha256": digest}
            self._remember(key, record, stored=False)
        with suppress(FileExistsError):
            os.link(temporary, self._folder / f"{record['id']}__{record['name']}")
        _sync(self._folder)
        self._remember(key, record, stored=True)
        return Kept(record["id"], record["name"], known=False)

    def has(self, key: str) -> bool:
        """True when a message with this key was kept whole."""
        with self._lock:
            record = self._recall(key)
            return record is not None and bool(record["stored"])

    def _recall(self, key: str | None) -> dict[str, Any] | None:
        if key is None:
            return None
        try:
            record: dict[str, Any] = json.loads((self._keys / f"{key}.json").read_bytes())
        except FileNotFoundError:
            return None
        return record

    def _remember(self, key: str | None, record: dict[str, Any], *, stored: bool) -> None:
        if key is None:
            return
        temporary = self._keys / f"{secrets.token_hex(8)}.tmp"
        with open(os.open(temporary, _CREATE, 0o600), "wb") as file:
            file.write(json.dumps({**record, "stored": stored}).encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._keys / f"{key}.json")
        _sync(self._keys)


def _spool(body: BinaryIO, temporary: Path, limit: int) -> str:
    """Write the body to a file, durably; its SHA-256."""
    digest = hashlib.sha256()
    left = limit
    with open(os.open(temporary, _CREATE, 0o600), "wb") as file:
        while chunk := body.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                raise TooLarge
            digest.update(chunk)
            file.write(chunk)
        if left == limit:
            raise Empty
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class HttpInlet:
    """What the door has kept for one endpoint, as a source."""

    def __init__(self, folder: Path, max_size: int) -> None:
        self._folder = folder
        self._limit = max_size + 1

    def collect(self, limit: int) -> Sequence[Arrival]:
        """Oldest first by time of submission. An endpoint at which nobody ever submitted has nothing."""
        arrivals: list[Arrival] = []
        try:
            for name in sorted(os.listdir(self._folder)):
                stored = _STORED.fullmatch(name)
                if stored and len(arrivals) < limit:
                    status = (self._folder / name).lstat()
                    if stat.S_ISREG(status.st_mode):
                        arrivals.append(Arrival(name, stored[1], status.st_size))
        except FileNotFoundError:
            return arrivals
        except OSError as error:
            raise Unreachable(f"{self._folder}: {error.strerror}") from error
        return arrivals

    def read(self, arrival: Arrival) -> Iterator[bytes]:
        """Chunks of 256 KiB, at most max_size + 1 bytes in all. Raises Unreachable when it is gone."""
        left = self._limit
        try:
            with open(os.open(self._path(arrival), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
                while left > 0 and (chunk := file.read(min(CHUNK, left))):
                    left -= len(chunk)
                    yield chunk
        except OSError as error:
            raise Unreachable(f"{arrival.key}: {error.strerror}") from error

    def settle(self, arrival: Arrival) -> None:
        """Delete it. The key by which it was submitted stays known."""
        try:
            self._path(arrival).unlink(missing_ok=True)
        except OSError as error:
            raise Unreachable(f"{arrival.key}: {error.strerror}") from error

    def _path(self, arrival: Arrival) -> Path:
        if not _STORED.fullmatch(arrival.key):
            raise Unreachable(f"{arrival.key!r} is no submission")
        return self._folder / arrival.key

    def close(self) -> None:
        """Nothing is held open between calls."""
