"""Files in a folder, on this machine or on a mounted share.

    adapter: folder
    in: /data/customs/out       the hub reads here
    out: /data/customs/in       the hub writes here
    archive: /data/customs/old  what was read moves there; without it, it is deleted

| can                         | how                                                                          |
|-----------------------------|------------------------------------------------------------------------------|
| tell when a file is whole   | EDIFACT and XML by the last segment or tag, others by `stable` quiet seconds |
| never show half a file      | hidden temporary file, fsync, hard link to the name                          |
| never overwrite             | the hard link fails when the name is taken                                   |
| tell if a lost try arrived  | only when the reader leaves the files there: `consumer_keeps`                |

The file system must know hard links (ext4, xfs, NFS do; FAT does not). Relative paths start at the
site's folder.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from adapters import names
from hub.contract import Arrival, Ground, Handover, Known, Parcel
from hub.errors import DeclarationError, Unreachable

CHUNK = 256 * 1024

#: Errors of link(2) after which the name surely was not made; after any other nobody knows, as a share may
#: have lost the answer.
_SURELY_NOT_LINKED = frozenset(
    {errno.EPERM, errno.EACCES, errno.ENOENT, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMLINK}
    | {errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTDIR, errno.ENAMETOOLONG}
)

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Options(BaseModel):
    """Settings of a folder endpoint. Sizes in bytes, times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: Folder that the hub writes to; with `home` the party's home.
    out: str | None = None
    #: Folder that the hub reads; with `home` it is outbound in the home when not given.
    in_: str | None = Field(default=None, alias="in")
    #: Which names are read, as in a shell.
    pattern: str = "*"
    #: Where settled files go, in a folder per day; without it they are deleted.
    archive: str | None = None
    #: At most one byte more than this is read of a file: the hub then sees that it is too large.
    max_size: int = Field(default=50_000_000, gt=0)
    #: A file of unknown format is whole when it has not changed for so long.
    stable: float = Field(default=10, ge=0)
    #: A cut file is collected when it has not changed for so long, so that its sender is told.
    incomplete_after: float = Field(default=300, ge=0)
    #: True: who reads `out` leaves the files there (or in one of `probe`): absence proves that none was sent.
    consumer_keeps: bool = False
    #: Further folders, below `out`, where the reader keeps what it has taken.
    probe: list[str] = Field(default_factory=list)
    #: True: `out` is a party's home with inbound, error and outbound in it.
    home: bool = False

    @property
    def reads(self) -> bool:
        return self.in_ is not None or self.home

    @property
    def writes(self) -> bool:
        return self.out is not None


# ---------------------------------------------------------------------------------------------------- reading


class FolderInlet:
    """A folder as a source. Only whole, regular, safely named files are seen."""

    def __init__(self, folder: Path, archive: Path | None, options: Options) -> None:
        self._folder = folder
        self._archive = archive
        self._options = options
        self._seen: dict[str, float] = {}

    def collect(self, limit: int) -> Sequence[Arrival]:
        """Oldest first by time of last change. Raises Unreachable when the folder cannot be read."""
        with _reachable(self._folder), _opened_folder(self._folder) as folder:
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
        with _reachable(self._folder / arrival.name), _opened_folder(self._folder) as folder:
            descriptor = os.open(arrival.name, _READ, dir_fd=folder)
            with open(descriptor, "rb", buffering=0) as file:
                _same_or_unreachable(arrival, os.fstat(descriptor))
                while left > 0 and (chunk := file.read(min(CHUNK, left))):
                    left -= len(chunk)
                    yield chunk
                _same_or_unreachable(arrival, os.fstat(descriptor))

    def settle(self, arrival: Arrival) -> None:
        """Archive or delete the file; another file that has taken its name meanwhile stays."""
        with _reachable(self._folder / arrival.name), _opened_folder(self._folder) as folder:
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
    descriptor = os.open(name, _READ, dir_fd=folder)
    try:
        head = os.pread(descriptor, names.WINDOW, 0)
        tail = os.pread(descriptor, names.WINDOW, max(0, status.st_size - names.WINDOW))
        return names.complete(head, tail)
    finally:
        os.close(descriptor)


def _archive(folder: int, name: str, status: os.stat_result, day: Path) -> None:
    """Give the file a second name in `day`, durably: its own, or one with a number behind it."""
    day.mkdir(parents=True, exist_ok=True)
    with _opened_folder(day) as target:
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
        open(os.open(name, _READ, dir_fd=source), "rb", buffering=0) as reader,
        open(os.open(temporary, _CREATE, 0o660, dir_fd=target), "wb", buffering=0) as writer,
    ):
        while chunk := reader.read(CHUNK):
            _write_all(writer.fileno(), chunk)
        os.fsync(writer.fileno())
    try:
        os.link(temporary, free, src_dir_fd=target, dst_dir_fd=target, follow_symlinks=False)
    finally:
        os.unlink(temporary, dir_fd=target)


# ---------------------------------------------------------------------------------------------------- writing


class FolderOutlet:
    """A folder as a destination. A name appears at once with all its bytes, or not at all."""

    def __init__(self, out: Path, options: Options) -> None:
        self._out = out
        self._options = options
        self.money_safe = options.consumer_keeps

    def send(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        """Write all, make the folders durable once, then tell: no DONE before the disk has the name."""
        handovers = [self._place(parcel) for parcel in parcels]
        failed: dict[Path, str] = {}
        outcomes = list(zip(parcels, handovers, strict=True))
        for folder in {self._folder(parcel) for parcel, told in outcomes if told.known is Known.DONE}:
            try:
                with _opened_folder(folder) as descriptor:
                    os.fsync(descriptor)
            except OSError as error:
                failed[folder] = f"{folder} could not be made durable: {error.strerror}"
        for parcel, handover in outcomes:
            if handover.known is Known.DONE and self._folder(parcel) in failed:
                yield Handover(parcel.delivery, Known.UNKNOWN, failed[self._folder(parcel)])
            else:
                yield handover

    def _folder(self, parcel: Parcel) -> Path:
        return self._out / parcel.folder if self._options.home else self._out

    def _place(self, parcel: Parcel) -> Handover:
        unsafe = _unsafe(parcel)
        if unsafe:
            return Handover(parcel.delivery, Known.REFUSED, unsafe)
        folder = self._folder(parcel)
        try:
            if self._options.home:
                # Only the party's own subfolder is made: a home that is missing may be a share not mounted.
                with suppress(FileExistsError):
                    folder.mkdir()
            with _opened_folder(folder, follow=not self._options.home) as descriptor:
                for name, data in (*parcel.companions, (parcel.name, parcel.data)):
                    known, evidence = _place_file(descriptor, f".{parcel.delivery}.tmp", name, data)
                    if known is not Known.DONE:
                        return Handover(parcel.delivery, known, f"{folder / name}: {evidence}")
        except OSError as error:
            return Handover(parcel.delivery, Known.NOT_DONE, f"{folder}: {error.strerror}")
        return Handover(parcel.delivery, Known.DONE, f"{folder / parcel.name} {evidence}")

    def probe(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        """DONE when a file of that name and hash is in the folder or in one of the `probe` folders."""
        for parcel in parcels:
            yield self._probe(parcel)

    def _probe(self, parcel: Parcel) -> Handover:
        unsafe = _unsafe(parcel)
        if unsafe:
            return Handover(parcel.delivery, Known.REFUSED, unsafe)
        digest = hashlib.sha256(parcel.data).hexdigest()
        folder = self._folder(parcel)
        roots = {folder, self._out}
        places = [folder, *(root / extra for extra in self._options.probe for root in sorted(roots))]
        for place in places:
            try:
                with _opened_folder(place) as descriptor:
                    if _digest(descriptor, parcel.name) == digest:
                        return Handover(parcel.delivery, Known.DONE, f"{place / parcel.name} sha256:{digest}")
            except FileNotFoundError:
                if place == folder:
                    return Handover(parcel.delivery, Known.UNKNOWN, f"{place} is not there")
            except OSError as error:
                return Handover(parcel.delivery, Known.UNKNOWN, f"{place}: {error.strerror}")
        missing = f"{folder / parcel.name} is not there with sha256:{digest}"
        if self._options.consumer_keeps:
            return Handover(parcel.delivery, Known.NOT_DONE, missing)
        return Handover(parcel.delivery, Known.UNKNOWN, f"{missing}; the reader may have taken it")

    def close(self) -> None:
        """Nothing is held open between calls."""


def _unsafe(parcel: Parcel) -> str:
    """Why no file may be made of this parcel, or nothing."""
    for name in (parcel.name, parcel.delivery, parcel.folder, *(name for name, _ in parcel.companions)):
        if not names.safe(name):
            return f"{name!r} is not a safe file name"
    return ""


def _place_file(folder: int, temporary: str, name: str, data: bytes) -> tuple[Known, str]:
    """Make `name` appear whole. Raises OSError when surely nothing appeared; evidence is the hash or why."""
    digest = hashlib.sha256(data).hexdigest()
    there = _digest(folder, name)
    if there is None:
        _write_temporary(folder, temporary, data)
        try:
            os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            there = digest
        except FileExistsError:
            there = _digest(folder, name)
        except OSError as error:
            if error.errno in _SURELY_NOT_LINKED:
                raise
            return Known.UNKNOWN, f"link: {error.strerror}"
        finally:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
    if there == digest:
        # A crash between link and unlink leaves the temporary name behind; this try is the one to clear it.
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        return Known.DONE, f"sha256:{digest}"
    return Known.REFUSED, f"the name is taken by other content (sha256:{there})"


def _write_temporary(folder: int, temporary: str, data: bytes) -> None:
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder)
    descriptor = os.open(temporary, _CREATE, 0o660, dir_fd=folder)
    try:
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _digest(folder: int, name: str) -> str | None:
    """SHA-256 of a regular file; None when the name is free; "not a regular file" for anything else there."""
    try:
        if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            return "not a regular file"
        with open(os.open(name, _READ, dir_fd=folder), "rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


@contextmanager
def _opened_folder(path: Path, *, follow: bool = True) -> Iterator[int]:
    """A descriptor of the folder: what is done through it stays in it though the name be changed."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _reachable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unreachable(f"{path}: {error.strerror or error}") from error


def inlet(name: str, options: Options, ground: Ground) -> FolderInlet:
    """Read `in`. Raises DeclarationError when the endpoint has none."""
    folder = options.in_
    if folder is None and options.home and options.out is not None:
        folder = str(Path(options.out) / "outbound")
    if folder is None:
        raise DeclarationError(f"endpoint {name} is read but has no folder `in`")
    archive = ground.site / options.archive if options.archive else None
    return FolderInlet(ground.site / folder, archive, options)


def outlet(name: str, options: Options, ground: Ground) -> FolderOutlet:
    """Write `out`. Raises DeclarationError when the endpoint has none."""
    if options.out is None:
        raise DeclarationError(f"endpoint {name} is written to but has no folder `out`")
    return FolderOutlet(ground.site / options.out, options)
