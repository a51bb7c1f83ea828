"""One party's box as its sessions see it: virtual paths, uploads, quota, and when a file is whole.

An upload is renamed into `.taken` and made durable before its close is answered: that answer is a promise.
Paths are virtual and resolved by splitting alone; nothing that a client sends is ever a local path.
"""

from __future__ import annotations

import os
import re
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

from adapters import names
from adapters.sftpd import disk
from adapters.sftpd.disk import FOLDERS, Entry

#: Files that may wait for the hub at one party.
WAITING = 20_000
#: Clients look for a file after they have uploaded it; for this long its path still answers.
REMEMBERED_SECONDS = 60.0
#: Abandoned uploads are looked for at most this often.
TIDY_SECONDS = 600.0
#: How much of an oversize upload is kept, so that the hub can tell whose it was.
KEPT = 4096

# draft-ietf-secsh-filexfer-02, section 7
OK, NO_SUCH_FILE, DENIED, FAILURE, UNSUPPORTED = 0, 2, 3, 4, 8

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_UNFINISHED = re.compile(r"\.?[A-Za-z0-9][A-Za-z0-9_.\-]{0,140}~?")


def _uploadable(name: str) -> bool:
    """True when a party may use `name` in outbound: a safe name, or the temporary form of one."""
    return names.safe(name) or (names.temporary(name) and _UNFINISHED.fullmatch(name) is not None)


class Box:
    """One party's home as its sessions see it. Every method is safe for several threads.

    Methods take virtual paths, answer SFTP status codes or entries, and raise OSError only.
    """

    def __init__(self, home: Path, max_size: int, quota: int, abandoned_after: float) -> None:
        self.home = home
        self.max_size = max_size
        self.quota = quota
        self.refusal = ""
        self._abandoned_after = abandoned_after
        self._tidied = float("-inf")
        self._lock = threading.Lock()
        self._recent: dict[str, tuple[float, Entry]] = {}
        self._used = (0, 0)
        self._counted = float("-inf")

    @staticmethod
    def parts(path: str) -> tuple[str, ...]:
        """Resolve a virtual path by splitting: `.` and empty parts vanish, `..` stops at the root."""
        found: list[str] = []
        for part in path.split("/"):
            if part == "..":
                del found[-1:]
            elif part not in ("", "."):
                found.append(part)
        return tuple(found)

    def local(self, path: str) -> Path | None:
        """The file or folder behind a virtual path, whether or not it exists; None when there can be none."""
        parts = self.parts(path)
        match parts:
            case () | ("README.txt",):
                allowed = True
            case (folder,):
                allowed = folder in FOLDERS
            case ("outbound", name):
                allowed = _uploadable(name)
            case ("inbound" | "error", name):
                allowed = names.safe(name)
            case ("archive", day):
                allowed = _DAY.fullmatch(day) is not None
            case ("archive", day, name):
                allowed = _DAY.fullmatch(day) is not None and names.safe(name)
            case _:
                allowed = False
        return self.home.joinpath(*parts) if allowed else None

    def entry(self, path: str) -> Entry | None:
        """What is at `path` or was taken from there a moment ago; None for nothing, links, special files."""
        local = self.local(path)
        if local is None:
            return None
        parts = self.parts(path)
        found = disk.entry(local, parts[-1] if parts else "/")
        if found is None and len(parts) == 2 and parts[0] == "outbound":
            return self._remembered(parts[1])
        return found

    def listing(self, path: str) -> list[Entry] | None:
        """The entries of a folder by name; None when there is no such folder."""
        local = self.local(path)
        entry = self.entry(path)
        if local is None or entry is None or not stat.S_ISDIR(entry.mode):
            return None
        parts = self.parts(path)
        children = [*FOLDERS, "README.txt"] if not parts else os.listdir(local)
        found = (self.entry("/".join((*parts, child))) for child in sorted(children) if self._visible(parts, child))
        return [entry for entry in found if entry is not None]

    def _visible(self, parts: tuple[str, ...], child: str) -> bool:
        return self.local("/".join((*parts, child))) is not None

    def read(self, path: str) -> int | None:
        """Open a file for reading: a descriptor, or None when reading is not allowed there."""
        local, parts = self.local(path), self.parts(path)
        if local is None or parts[:1] not in (("README.txt",), ("inbound",), ("archive",), ("error",)):
            return None
        return disk.open_regular(local, os.O_RDONLY)

    def write(self, path: str, create: bool, exclusive: bool, truncate: bool) -> Upload | None:
        """Open a file in outbound for writing; None when writing is not allowed there."""
        local, parts = self.local(path), self.parts(path)
        if local is None or len(parts) != 2 or parts[0] != "outbound":
            return None
        if self.refusal:
            raise OSError(self.refusal)
        self.tidy()
        if self.used()[1] >= WAITING:
            raise OSError("too many files wait")
        flags = os.O_RDWR | (os.O_CREAT if create else 0) | (os.O_EXCL if create and exclusive else 0)
        descriptor = disk.hold(local, flags)
        if truncate:
            os.ftruncate(descriptor, 0)
        return Upload(self, local, descriptor)

    def remove(self, path: str) -> int:
        """Remove a file: pick-up acknowledged, refusal seen, or an own unfinished upload given up."""
        local, parts = self.local(path), self.parts(path)
        if local is None or len(parts) != 2 or parts[0] not in ("outbound", "inbound", "error"):
            return DENIED
        descriptor = disk.hold(local, os.O_RDONLY)
        try:
            os.unlink(local)
            disk.fsync_folder(local.parent)
        finally:
            os.close(descriptor)
        return OK

    def rename(self, old: str, new: str) -> int:
        """Rename within outbound, never over another file. A whole file with a final name is taken."""
        source, target = self.local(old), self.local(new)
        for parts in (self.parts(old), self.parts(new)):
            if len(parts) != 2 or parts[0] != "outbound":
                return DENIED
        if source is None or target is None:
            return DENIED
        descriptor = disk.hold(source, os.O_RDWR)
        try:
            with self._lock:
                if os.path.lexists(target):
                    return FAILURE
                os.rename(source, target)
            os.fsync(descriptor)
            disk.fsync_folder(target.parent)
            self.take_if_whole(target, descriptor, lost=False)
        finally:
            os.close(descriptor)
        return OK

    def take_if_whole(self, local: Path, descriptor: int, lost: bool) -> bool:
        """Move a finished upload into .taken, durably. The caller holds it and has made its content durable.

        lost  the connection broke before the close: then only evidence in the content counts"""
        if names.temporary(local.name):
            return False
        whole = disk.whole(descriptor)
        if whole is False or (lost and whole is not True):
            return False
        self._take(local, descriptor, local.name)
        return True

    def take_oversize(self, local: Path, descriptor: int, size: int) -> None:
        """Keep the first 4 KiB of an upload that passed max_size, so that the hub can tell its sender."""
        name = local.name.lstrip(".").rstrip("~")[:128]
        os.ftruncate(descriptor, min(KEPT, os.fstat(descriptor).st_size))
        os.fsync(descriptor)
        self._take(local, descriptor, name, f"-over{size}", remember=False)

    def _take(self, local: Path, descriptor: int, name: str, mark: str = "", remember: bool = True) -> None:
        entry = disk.entry(local, name)
        taken = self.home / ".taken" / f"{time.time_ns():019d}-{os.urandom(4).hex()}{mark}__{name}"
        os.rename(local, taken)
        disk.fsync_folder(taken.parent)
        disk.fsync_folder(local.parent)
        if entry and remember:
            with self._lock:
                self._forget()
                self._recent[name] = (time.monotonic(), entry)

    def _remembered(self, name: str) -> Entry | None:
        with self._lock:
            self._forget()
            return self._recent[name][1] if name in self._recent else None

    def _forget(self) -> None:
        limit = time.monotonic() - REMEMBERED_SECONDS
        self._recent = {name: kept for name, kept in self._recent.items() if kept[0] > limit}

    def used(self) -> tuple[int, int]:
        """Bytes and files that wait for the hub; counted at most once a second."""
        with self._lock:
            if time.monotonic() - self._counted > 1:
                sizes = [_size(item) for folder in ("outbound", ".taken") for item in os.scandir(self.home / folder)]
                self._used, self._counted = (sum(sizes), len(sizes)), time.monotonic()
            return self._used

    def grow(self, size: int) -> bool:
        """Account for `size` more bytes; False when the quota does not hold them."""
        used = self.used()[0]
        with self._lock:
            if used + size > self.quota:
                return False
            self._used = (self._used[0] + size, self._used[1])
            return True

    def tidy(self) -> None:
        """Remove the party's abandoned uploads, at most every TIDY_SECONDS.

        A client that breaks off leaves a temporary name behind. The hub never collects such a file, but it counts
        against the quota until the party can upload nothing more. So a session's start and the opening of a file
        for writing look for those that nobody has touched for `abandoned_after`: before the quota is needed, and
        without a thread of its own. What a session is writing is held and stays.
        """
        with self._lock:
            if time.monotonic() - self._tidied < TIDY_SECONDS:
                return
            self._tidied, self._counted = time.monotonic(), float("-inf")
        oldest = time.time_ns() - int(self._abandoned_after * 1e9)
        for item in os.scandir(self.home / "outbound"):
            if names.temporary(item.name):
                with suppress(OSError):
                    disk.remove_unchanged_since(Path(item.path), oldest)


def _size(item: os.DirEntry[str]) -> int:
    try:
        return item.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0


class Upload:
    """One file being written. Belongs to one session; holds the file's lock until it is closed."""

    def __init__(self, box: Box, local: Path, descriptor: int) -> None:
        self._box = box
        self._local = local
        self._descriptor = descriptor
        self._over_size = 0
        self._over_quota = False

    def entry(self) -> Entry:
        """The size so far."""
        return disk.opened_entry(self._descriptor, self._local.name)

    def write(self, offset: int | None, data: bytes) -> int:
        """Write at `offset`, or at the end when None. FAILURE for good once a limit is passed."""
        size = os.fstat(self._descriptor).st_size
        start = size if offset is None else offset
        end = start + len(data)
        if end > self._box.max_size:
            self._over_size = max(self._over_size, end)
        elif end > size and not self._box.grow(end - size):
            self._over_quota = True
        if self._over_size or self._over_quota:
            return FAILURE
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, start)
            view, start = view[written:], start + written
        return OK

    def close(self, lost: bool) -> None:
        """Finish: take a whole file, leave a cut one, remove one that passed a limit. May be called again."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        try:
            if self._over_size:
                self._box.take_oversize(self._local, descriptor, self._over_size)
            elif self._over_quota:
                os.unlink(self._local)
            else:
                os.fsync(descriptor)
                if not self._box.take_if_whole(self._local, descriptor, lost):
                    disk.fsync_folder(self._local.parent)
        finally:
            os.close(descriptor)
