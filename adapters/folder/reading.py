"""A folder as a source."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from adapters import names
from adapters.folder.files import CHUNK, CREATE, READ, opened, reachable, write_all
from adapters.folder.options import Options
from hub.contract import Arrival
from hub.errors import Unreachable


class FolderInlet:
    """A folder as a source. Only whole, regular, safely named files are seen."""

    def __init__(self, folder: Path, archive: Path | None, options: Options) -> None:
        self._folder = folder
        self._archive = archive
        self._options = options
        self._seen: dict[str, float] = {}

    def collect(self, limit: int) -> Sequence[Arrival]:
        """Oldest first by time of last change. Raises Unreachable when the folder cannot be read."""
        with reachable(self._folder), opened(self._folder) as folder:
            found = sorted(self._candidates(folder), key=lambda item: (item[1].st_mtime_ns, item[0]))
            keys = {_key(name, status) for name, status in found}
            self._seen = {key: since for key, since in self._seen.items() if key in keys}
            arrivals: list[Arrival] = []
            for name, status in found:
                if len(arrivals) >= limit:
                    break
                if self._whole(folder, name, status):
                    arrivals.append(Arrival(_key(name, status), name, status.st_size))
            return arrivals

    def _candidates(self, folder: int) -> Iterator[tuple[str, os.stat_result]]:
        for name in os.listdir(folder):
            if names.temporary(name) or not fnmatchcase(name, self._options.pattern):
                continue
            with suppress(FileNotFoundError):
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield name, status

    def _whole(self, folder: int, name: str, status: os.stat_result) -> bool:
        try:
            verdict = _looks_complete(folder, name, status)
        except OSError:
            # Taken away or not readable for now: the next collect looks again, the others are not held up.
            return False
        if verdict:
            return True
        # A clock behind the share's would never see a file grow old: so also count how long it is known.
        now = time.monotonic()
        since = self._seen.setdefault(_key(name, status), now)
        quiet = max(time.time() - status.st_mtime, now - since)
        return quiet >= (self._options.stable if verdict is None else self._options.incomplete_after)

    def read(self, arrival: Arrival) -> Iterator[bytes]:
        """Chunks of 256 KiB, at most max_size + 1 bytes in all. Raises Unreachable when the file is gone or
        has changed since it was collected, even at the end: what was yielded must then be dropped."""
        left = self._options.max_size + 1
        with reachable(self._folder / arrival.name), opened(self._folder) as folder:
            descriptor = os.open(arrival.name, READ, dir_fd=folder)
            with open(descriptor, "rb", buffering=0) as file:
                _same_or_unreachable(arrival, os.fstat(descriptor))
                while left > 0 and (chunk := file.read(min(CHUNK, left))):
                    left -= len(chunk)
                    yield chunk
                _same_or_unreachable(arrival, os.fstat(descriptor))

    def settle(self, arrival: Arrival) -> None:
        """Archive or delete the file; another file that has taken its name meanwhile stays."""
        with reachable(self._folder / arrival.name), opened(self._folder) as folder:
            try:
                status = os.stat(arrival.name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                return
            if _key(arrival.name, status) != arrival.key:
                return
            if self._archive is not None:
                _archive(folder, arrival.name, status, self._archive / f"{datetime.now(UTC):%Y-%m-%d}")
            with suppress(FileNotFoundError):
                os.unlink(arrival.name, dir_fd=folder)

    def close(self) -> None:
        """Nothing is held open between calls."""


def _key(name: str, status: os.stat_result) -> str:
    return f"{name}:{status.st_mtime_ns}:{status.st_size}:{status.st_ino}"


def _same_or_unreachable(arrival: Arrival, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) or _key(arrival.name, status) != arrival.key:
        raise Unreachable(f"{arrival.name} has changed since it was seen")


def _looks_complete(folder: int, name: str, status: os.stat_result) -> bool | None:
    """names.complete for a file; an empty one is not whole."""
    if status.st_size == 0:
        return False
    descriptor = os.open(name, READ, dir_fd=folder)
    try:
        head = os.pread(descriptor, names.WINDOW, 0)
        tail = os.pread(descriptor, names.WINDOW, max(0, status.st_size - names.WINDOW))
        return names.complete(head, tail)
    finally:
        os.close(descriptor)


def _archive(folder: int, name: str, status: os.stat_result, day: Path) -> None:
    """Give the file a second name in `day`, durably: its own, or one with a number behind it."""
    day.mkdir(parents=True, exist_ok=True)
    with opened(day) as target:
        for number in range(10_000):
            free = f"{name}.{number}" if number else name
            try:
                _link_or_copy(folder, name, target, free)
            except FileExistsError:
                there = os.stat(free, dir_fd=target, follow_symlinks=False)
                if (there.st_dev, there.st_ino) != (status.st_dev, status.st_ino):
                    continue
            os.fsync(target)
            return
    raise Unreachable(f"no free name for {name} in {day}")


def _link_or_copy(source: int, name: str, target: int, free: str) -> None:
    """Link, or copy when the archive is on another file system. Raises FileExistsError, never overwrites."""
    try:
        os.link(name, free, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    temporary = f".{name}.tmp"
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=target)
    with (
        open(os.open(name, READ, dir_fd=source), "rb", buffering=0) as reader,
        open(os.open(temporary, CREATE, 0o660, dir_fd=target), "wb", buffering=0) as writer,
    ):
        while chunk := reader.read(CHUNK):
            write_all(writer.fileno(), chunk)
        os.fsync(writer.fileno())
    try:
        os.link(temporary, free, src_dir_fd=target, dst_dir_fd=target, follow_symlinks=False)
    finally:
        os.unlink(temporary, dir_fd=target)
