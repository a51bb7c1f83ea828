"""The folders of one box on the disk, and the few file operations whose order makes them safe."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from typing import NamedTuple

from adapters import names

FOLDERS = ("outbound", "inbound", "archive", "error")

README = """\
outbound/  请将报文上传到此目录。上传完成(关闭文件)后,平台立即取走,文件不再显示。
           建议先以 .part 等临时名上传,再改为正式名。内容被截断的文件会留在此处,可续传。
           临时名文件超过 {hours:g} 小时无变动即被删除。
inbound/   平台发给贵方的回执和报文。取走后请删除,删除即表示已收到。
error/     平台退回的报文及原因。处理后可删除。
archive/   平台已接收的报文,按日期存放,只读。

outbound/  Upload here. When the upload is complete (the file is closed) the hub takes it and it disappears.
           Uploading under a temporary name such as .part and renaming it is welcome. A file whose content is
           cut stays here and can be resumed. A temporary file that nobody touches for {hours:g} hours is removed.
inbound/   Answers and messages for you. Remove a file once you have it: removing it acknowledges it.
error/     What the hub refused, with the reason. May be removed.
archive/   What the hub has taken over, by day. Read-only.
"""


class Entry(NamedTuple):
    """What a client is told of a file or folder. `mode` is st_mode; times are seconds since the epoch."""

    name: str
    mode: int
    size: int
    mtime: int


def prepare(home: Path, abandoned_after: float) -> Path:
    """Make the folders of a box if need be, with its README; `home` itself."""
    for folder in (*FOLDERS, ".taken", ".handed"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    readme = home / "README.txt"
    if not readme.exists():
        readme.write_text(README.format(hours=abandoned_after / 3600), "utf-8")
    return home


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: Path, flags: int) -> int:
    """Open without following a link or waiting for a pipe. OSError also for what is not a regular file."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PermissionError("not a regular file")
    return descriptor


def hold(path: Path, flags: int) -> int:
    """Open `path` and lock it for this descriptor alone. OSError when another holds it or it has moved."""
    descriptor = open_regular(path, flags)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.lstat(path).st_ino != os.fstat(descriptor).st_ino:
            raise FileNotFoundError("taken meanwhile")
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def remove_unchanged_since(path: Path, oldest: int) -> None:
    """Remove a file that was last changed before `oldest` (ns). OSError when it is held, gone or no file."""
    if os.lstat(path).st_mtime_ns >= oldest:
        return
    descriptor = hold(path, os.O_RDONLY)
    try:
        if os.fstat(descriptor).st_mtime_ns < oldest:
            os.unlink(path)
    finally:
        os.close(descriptor)


def held(path: Path) -> bool:
    """True when a session is writing this file (or it is gone)."""
    try:
        os.close(hold(path, os.O_RDONLY))
    except OSError:
        return True
    return False


def entry(path: Path, name: str) -> Entry | None:
    """What is at `path`, to be shown as `name`; None for nothing, links, special files."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISDIR(found.st_mode):
        return Entry(name, stat.S_IFDIR | 0o750, 0, int(found.st_mtime))
    if stat.S_ISREG(found.st_mode):
        return Entry(name, stat.S_IFREG | 0o640, found.st_size, int(found.st_mtime))
    return None


def opened_entry(descriptor: int, name: str) -> Entry:
    """The entry of an open regular file."""
    found = os.fstat(descriptor)
    return Entry(name, stat.S_IFREG | 0o640, found.st_size, int(found.st_mtime))


def state(path: Path) -> tuple[int, int] | None:
    """(mtime in ns, size) of a regular file, or None."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return (found.st_mtime_ns, found.st_size) if stat.S_ISREG(found.st_mode) else None


def whole(descriptor: int) -> bool | None:
    """`names.complete` of an open file, by its two ends."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, names.WINDOW, max(0, size - names.WINDOW))
    return names.complete(os.pread(descriptor, names.WINDOW, 0), tail)


def write_durably(path: Path, data: bytes) -> None:
    """Write beside `path`, fsync, rename over it. The caller fsyncs the folder."""
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(fresh, path)


def same(path: Path, data: bytes) -> bool:
    """True when a regular file at `path` holds exactly `data`."""
    found = state(path)
    try:
        return found is not None and found[1] == len(data) and path.read_bytes() == data
    except FileNotFoundError:
        return False
