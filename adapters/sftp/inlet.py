"""Fetching: what is whole, under any name that is no path; removed when settled. What is left there is told."""

from __future__ import annotations

import fnmatch
import hashlib
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from adapters import names
from adapters.sftp import remote
from adapters.sftp.link import Link
from adapters.sftp.options import Options
from hub.contract import Arrival, Ground
from hub.errors import OutcomeUnknown, Unreachable

if TYPE_CHECKING:
    import paramiko

LOG = logging.getLogger("eport.sftp")
T = TypeVar("T")

#: A fetched file up to this size is kept in memory.
IN_MEMORY = 4_000_000
#: Entries of one remote folder that are looked at in one go.
ENTRIES = 100_000
#: How many files that are left there are told by name.
NAMED = 5
#: A cut file unchanged for this many times `stable` is offered as it is, so that its sender can be told.
PATIENCE = 6


class _Seen(NamedTuple):
    """A remote file as it was listed. `mtime` in seconds."""

    mtime: int
    name: str
    size: int


class _Looked(NamedTuple):
    """What an unchanged file showed when it was first looked at, `since` then (monotonic)."""

    since: float
    digest: str
    whole: bool | None
    again: bool = False


class SftpInlet:
    """Fetches what lies in the partner's folder."""

    def __init__(self, name: str, options: Options, ground: Ground, get: str) -> None:
        self._name = name
        self._options = options
        self._get = get.rstrip("/")
        self._link = Link(options, ground)
        self._looked: dict[_Seen, _Looked] = {}
        self._left: dict[str, str] = {}

    def collect(self, limit: int) -> Sequence[Arrival]:
        def step(client: paramiko.SFTPClient) -> list[Arrival]:
            listed = list(islice(remote.listing(client, self._get or "/"), ENTRIES))
            still = {entry.filename for entry in listed}
            self._left = {name: why for name, why in self._left.items() if name in still}
            present = sorted(filter(None, map(self._candidate, listed)))
            self._looked = {seen: self._looked[seen] for seen in present if seen in self._looked}
            arrivals: list[Arrival] = []
            for seen in present:
                if len(arrivals) >= limit:
                    break
                looked = self._look(client, seen)
                if looked and self._ready(looked):
                    key = f"{seen.name}:{seen.size}:{seen.mtime}:{looked.digest}"
                    arrivals.append(Arrival(key, seen.name, seen.size))
            return arrivals

        return self._ask(step)

    def read(self, arrival: Arrival) -> Iterator[bytes]:
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
            self._ask(lambda client: self._fetch(client, arrival, spool.write))
            spool.seek(0)
            while chunk := spool.read(remote.CHUNK):
                yield chunk

    def settle(self, arrival: Arrival) -> None:
        def step(client: paramiko.SFTPClient) -> None:
            attributes = remote.lstat(client, self._path(arrival.name))
            # Another size or time is another file of the same name: it arrives by itself.
            if attributes is not None and _is(arrival, attributes):
                remote.remove(client, self._path(arrival.name))

        self._ask(step)

    def left(self) -> str:
        """Files that lie there and are not fetched, and why."""
        told = [f"{name!r} {why}" for name, why in sorted(self._left.items())]
        more = [f"and {len(told) - NAMED} more"] if len(told) > NAMED else []
        return "; ".join([*told[:NAMED], *more])

    def close(self) -> None:
        self._link.close()

    def _leave(self, name: str, why: str) -> None:
        if name not in self._left:
            LOG.warning("%s: %r in %s %s: it is not fetched", self._name, name, self._get or "/", why)
        self._left[name] = why

    def _ask(self, step: Callable[[paramiko.SFTPClient], T]) -> T:
        """Run one operation. Nothing of ours changes at the source by a failed one, so it is Unreachable."""
        try:
            with self._link.working() as client:
                return step(client)
        except OutcomeUnknown as fault:
            raise Unreachable(str(fault)) from fault

    def _candidate(self, entry: paramiko.SFTPAttributes) -> _Seen | None:
        """A listed file with a final name that matches the pattern and is no path."""
        name = entry.filename
        if not remote.regular(entry) or entry.st_size is None or not fnmatch.fnmatchcase(name, self._options.pattern):
            return None
        if not name or "/" in name or "\0" in name:
            self._leave(name, "is a path")
            return None
        if names.temporary(name):
            return None
        return _Seen(entry.st_mtime or 0, name, entry.st_size)

    def _look(self, client: paramiko.SFTPClient, seen: _Seen) -> _Looked | None:
        """Both ends of a file, read once for each state of it. None: not a regular file, or changed."""
        if seen in self._looked:
            self._looked[seen] = self._looked[seen]._replace(again=True)
            return self._looked[seen]
        attributes = remote.lstat(client, self._path(seen.name))
        if attributes is None or not remote.regular(attributes) or attributes.st_size != seen.size:
            return None
        try:
            with client.open(self._path(seen.name), "rb") as file:
                head = file.read(names.WINDOW)
                file.seek(max(0, seen.size - names.WINDOW))
                tail = file.read(names.WINDOW)
        except OSError as fault:
            if isinstance(fault, PermissionError):
                self._leave(seen.name, "cannot be read by us")
                return None
            if remote.missing(fault):
                return None
            raise
        self._left.pop(seen.name, None)
        digest = hashlib.sha256(head + tail).hexdigest()[:32]
        self._looked[seen] = _Looked(time.monotonic(), digest, names.complete(head, tail))
        return self._looked[seen]

    def _ready(self, looked: _Looked) -> bool:
        """Whole by its content; unknown or empty: unchanged for `stable`; cut: for PATIENCE times that."""
        if looked.whole:
            return True
        wait = self._options.stable * (PATIENCE if looked.whole is False else 1)
        return looked.again and time.monotonic() - looked.since >= wait

    def _fetch(self, client: paramiko.SFTPClient, arrival: Arrival, write: Callable[[bytes], object]) -> None:
        """The bytes as collected, but never more than max_size + 1 of them."""
        path = self._path(arrival.name)
        before = remote.lstat(client, path)
        if before is None or not _is(arrival, before):
            raise OSError(f"{arrival.name} is gone or has changed since it was collected")
        size = min(arrival.size, self._options.max_size + 1)
        with client.open(path, "rb") as file:
            data = remote.exactly(file, size)
        after = remote.lstat(client, path)
        if len(data) < size or after is None or not _is(arrival, after):
            raise OSError(f"{arrival.name} changed while it was read")
        write(data[:size])

    def _path(self, name: str) -> bytes:
        """With the name's bytes as the server listed them."""
        return f"{self._get}/{name}".encode("utf-8", "surrogateescape")


def _is(arrival: Arrival, attributes: paramiko.SFTPAttributes) -> bool:
    """True when a regular file still has the size and time of the arrival's key."""
    state = f"{arrival.name}:{attributes.st_size}:{attributes.st_mtime or 0}:"
    return remote.regular(attributes) and arrival.key.startswith(state)
