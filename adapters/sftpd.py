"""The SFTP front door: parties log in with a public key and see four folders of their own.

    outbound/  the party writes here; a complete file is taken at once and disappears
    inbound/   the hub's answers and messages; removing a file acknowledges it
    error/     what the hub refused, with the reason; may be removed
    archive/   YYYY-MM-DD/: what the hub has taken over; read-only

On disk a party's home holds those four folders and two hidden ones:

    .taken/<time_ns>-<8 hex>__<name>              whole uploads that wait for the hub
    .taken/<time_ns>-<8 hex>-over<size>__<name>   the first 4 KiB of an upload that passed max_size
    .handed/<delivery>                            empty: this delivery was laid into inbound or error

An upload is renamed into `.taken` and made durable before its close is answered: that answer is a promise.
Whoever writes, renames, removes or collects a file in outbound holds its flock, for door and inlet may be two
processes.
Paths are virtual and resolved by splitting alone; nothing that a client sends is ever a local path.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import functools
import hashlib
import hmac
import os
import re
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

from adapters import names
from hub.contract import Arrival, DoorEndpoint, Ground, Handover, Known, Parcel
from hub.errors import DeclarationError, Unreachable

if TYPE_CHECKING:
    import paramiko

FOLDERS = ("outbound", "inbound", "archive", "error")

SESSIONS_PER_PARTY = 8
SESSIONS = 64
#: Connections from one address that have not logged in yet.
STRANGERS = 16
#: Files that may wait for the hub at one party.
WAITING = 20_000
AUTH_SECONDS = 20.0
AUTH_TRIES = 3
#: Clients look for a file after they have uploaded it; for this long its path still answers.
REMEMBERED_SECONDS = 60.0
#: How much of an oversize upload is kept, so that the hub can tell whose it was.
KEPT = 4096
CHUNK = 256 * 1024

# draft-ietf-secsh-filexfer-02, section 7
OK, NO_SUCH_FILE, DENIED, FAILURE, UNSUPPORTED = 0, 2, 3, 4, 8

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_UNFINISHED = re.compile(r"\.?[A-Za-z0-9][A-Za-z0-9_.\-]{0,140}~?")
_TAKEN = re.compile(r"(\d{1,20})-[0-9a-f]{8}(?:-over(\d{1,20}))?__(.+)")
_KEY_TYPES = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521))\s+(\S+)")

README = """\
outbound/  请将报文上传到此目录。上传完成(关闭文件)后,平台立即取走,文件不再显示。
           建议先以 .part 等临时名上传,再改为正式名。内容被截断的文件会留在此处,可续传。
inbound/   平台发给贵方的回执和报文。取走后请删除,删除即表示已收到。
error/     平台退回的报文及原因。处理后可删除。
archive/   平台已接收的报文,按日期存放,只读。

outbound/  Upload here. When the upload is complete (the file is closed) the hub takes it and it disappears.
           Uploading under a temporary name such as .part and renaming it is welcome. A file whose content is
           cut stays here and can be resumed.
inbound/   Answers and messages for you. Remove a file once you have it: removing it acknowledges it.
error/     What the hub refused, with the reason. May be removed.
archive/   What the hub has taken over, by day. Read-only.
"""


class Options(BaseModel):
    """One party's box. `keys` are OpenSSH public key lines, or file:PATH (relative to the site) of such.

    home              folder of the box, relative to the spool; default boxes/<endpoint name>
    max_size          bytes of one file
    quota             bytes that may wait for the hub (outbound and .taken together)
    incomplete_after  seconds without change after which a cut file in outbound is collected as it is
    """

    model_config = ConfigDict(extra="forbid")

    user: str
    keys: list[str]
    home: str | None = None
    max_size: int = 50_000_000
    quota: int = 1_000_000_000
    incomplete_after: float = 60


class Entry(NamedTuple):
    """What a client is told of a file or folder. `mode` is st_mode; times are seconds since the epoch."""

    name: str
    mode: int
    size: int
    mtime: int


# ------------------------------------------------------------------------------------ the folders of a party


def home_of(name: str, options: Options, ground: Ground) -> Path:
    """The folder of this endpoint's box, made if need be, with its README."""
    home = ground.spool / (options.home or f"boxes/{name}")
    for folder in (*FOLDERS, ".taken", ".handed"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    readme = home / "README.txt"
    if not readme.exists():
        readme.write_text(README, "utf-8")
    return home


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_regular(path: Path, flags: int) -> int:
    """Open without following a link or waiting for a pipe. OSError also for what is not a regular file."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PermissionError("not a regular file")
    return descriptor


def _hold(path: Path, flags: int) -> int:
    """Open `path` and lock it for this descriptor alone. OSError when another holds it or it has moved."""
    descriptor = _open_regular(path, flags)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.lstat(path).st_ino != os.fstat(descriptor).st_ino:
            raise FileNotFoundError("taken meanwhile")
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _whole(descriptor: int) -> bool | None:
    """`names.complete` of an open file, by its two ends."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, names.WINDOW, max(0, size - names.WINDOW))
    return names.complete(os.pread(descriptor, names.WINDOW, 0), tail)


def _uploadable(name: str) -> bool:
    """True when a party may use `name` in outbound: a safe name, or the temporary form of one."""
    return names.safe(name) or (names.temporary(name) and _UNFINISHED.fullmatch(name) is not None)


class Box:
    """One party's home as its sessions see it. Every method is safe for several threads.

    Methods take virtual paths, answer SFTP status codes or entries, and raise OSError only.
    """

    def __init__(self, home: Path, max_size: int, quota: int) -> None:
        self.home = home
        self.max_size = max_size
        self.quota = quota
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
        found = _entry(local, parts[-1] if parts else "/")
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
        return _open_regular(local, os.O_RDONLY)

    def write(self, path: str, create: bool, exclusive: bool, truncate: bool) -> Upload | None:
        """Open a file in outbound for writing; None when writing is not allowed there."""
        local, parts = self.local(path), self.parts(path)
        if local is None or len(parts) != 2 or parts[0] != "outbound":
            return None
        if self.used()[1] >= WAITING:
            raise OSError("too many files wait")
        flags = os.O_RDWR | (os.O_CREAT if create else 0) | (os.O_EXCL if create and exclusive else 0)
        descriptor = _hold(local, flags)
        if truncate:
            os.ftruncate(descriptor, 0)
        return Upload(self, local, descriptor)

    def remove(self, path: str) -> int:
        """Remove a file: pick-up acknowledged, refusal seen, or an own unfinished upload given up."""
        local, parts = self.local(path), self.parts(path)
        if local is None or len(parts) != 2 or parts[0] not in ("outbound", "inbound", "error"):
            return DENIED
        descriptor = _hold(local, os.O_RDONLY)
        try:
            os.unlink(local)
            _fsync_folder(local.parent)
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
        descriptor = _hold(source, os.O_RDWR)
        try:
            with self._lock:
                if os.path.lexists(target):
                    return FAILURE
                os.rename(source, target)
            os.fsync(descriptor)
            _fsync_folder(target.parent)
            self.take_if_whole(target, descriptor, lost=False)
        finally:
            os.close(descriptor)
        return OK

    def take_if_whole(self, local: Path, descriptor: int, lost: bool) -> bool:
        """Move a finished upload into .taken, durably. The caller holds it and has made its content durable.

        lost  the connection broke before the close: then only evidence in the content counts"""
        if names.temporary(local.name):
            return False
        whole = _whole(descriptor)
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
        entry = _entry(local, name)
        taken = self.home / ".taken" / f"{time.time_ns():019d}-{os.urandom(4).hex()}{mark}__{name}"
        os.rename(local, taken)
        _fsync_folder(taken.parent)
        _fsync_folder(local.parent)
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


def _size(item: os.DirEntry[str]) -> int:
    try:
        return item.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0


def _entry(local: Path, name: str) -> Entry | None:
    try:
        found = os.lstat(local)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISDIR(found.st_mode):
        return Entry(name, stat.S_IFDIR | 0o750, 0, int(found.st_mtime))
    if stat.S_ISREG(found.st_mode):
        return Entry(name, stat.S_IFREG | 0o640, found.st_size, int(found.st_mtime))
    return None


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
        found = os.fstat(self._descriptor)
        return Entry(self._local.name, stat.S_IFREG | 0o640, found.st_size, int(found.st_mtime))

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
                    _fsync_folder(self._local.parent)
        finally:
            os.close(descriptor)


# ---------------------------------------------------------------------------------------------- the protocol


@dataclass(frozen=True, slots=True)
class Party:
    """Who may log in: the public key blobs (RFC 4253, 6.6) and the box they open."""

    user: str
    blobs: tuple[bytes, ...]
    box: Box


def key_blobs(lines: Sequence[str], ground: Ground) -> tuple[bytes, ...]:
    """The key blobs of OpenSSH public key lines; `file:PATH` stands for the lines of that file.

    Raises DeclarationError for a line that is no usable public key."""
    blobs: list[bytes] = []
    for line in lines:
        if line.startswith("file:"):
            try:
                text = ground.secret(line)
            except (OSError, UnicodeDecodeError) as error:
                raise DeclarationError(f"{line}: cannot be read") from error
            inner = [item.strip() for item in text.splitlines()]
            blobs.extend(key_blobs([item for item in inner if item and not item.startswith("#")], ground))
            continue
        found = _KEY_TYPES.search(line)
        if found is None:
            raise DeclarationError(f"not an OpenSSH public key line: {line[:40]}")
        try:
            blob = base64.b64decode(found[2], validate=True)
        except binascii.Error as error:
            raise DeclarationError(f"not an OpenSSH public key line: {line[:40]}") from error
        if not blob.startswith(len(found[1]).to_bytes(4, "big") + found[1].encode()):
            raise DeclarationError(f"key and key type differ: {line[:40]}")
        blobs.append(blob)
    return tuple(blobs)


class _Protocol(NamedTuple):
    """paramiko's classes filled with our rules; made on first use because importing paramiko is slow."""

    server: Callable[[_Door], paramiko.ServerInterface]
    handler: type[paramiko.SFTPServer]
    interface: type[paramiko.SFTPServerInterface]


def _answering(step: Callable[[], int]) -> int:
    """Run a step that answers a status; an OSError becomes the status that says it."""
    try:
        return step()
    except FileNotFoundError:
        return NO_SUCH_FILE
    except PermissionError:
        return DENIED
    except OSError:
        return FAILURE


@functools.cache
def _protocol() -> _Protocol:
    import paramiko
    from paramiko import common

    def attributes(entry: Entry) -> paramiko.SFTPAttributes:
        told = paramiko.SFTPAttributes()
        told.filename = entry.name
        told.st_mode, told.st_size = entry.mode, entry.size
        told.st_uid = told.st_gid = 0
        told.st_atime = told.st_mtime = entry.mtime
        return told

    class Reading(paramiko.SFTPHandle):
        def __init__(self, descriptor: int, name: str) -> None:
            super().__init__()
            self._descriptor = descriptor
            self._name = name

        def read(self, offset: int, length: int) -> bytes | int:
            return os.pread(self._descriptor, min(length, CHUNK), offset)

        def write(self, offset: int, data: object) -> int:
            return DENIED

        def stat(self) -> paramiko.SFTPAttributes | int:
            found = os.fstat(self._descriptor)
            return attributes(Entry(self._name, stat.S_IFREG | 0o640, found.st_size, int(found.st_mtime)))

        def chattr(self, attr: paramiko.SFTPAttributes) -> int:
            return OK

        def close(self) -> None:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)

    class Writing(paramiko.SFTPHandle):
        def __init__(self, upload: Upload, append: bool, lost: Callable[[], bool]) -> None:
            super().__init__()
            self._upload = upload
            self._append = append
            self._lost = lost

        def read(self, offset: int, length: int) -> bytes | int:
            return DENIED

        def write(self, offset: int, data: object) -> int:
            content = bytes(data)  # type: ignore[call-overload]
            return _answering(lambda: self._upload.write(None if self._append else offset, content))

        def stat(self) -> paramiko.SFTPAttributes | int:
            return attributes(self._upload.entry())

        def chattr(self, attr: paramiko.SFTPAttributes) -> int:
            return OK

        def close(self) -> None:
            self._upload.close(self._lost())

    class Interface(paramiko.SFTPServerInterface):
        def __init__(self, server: paramiko.ServerInterface, *rest: object) -> None:
            super().__init__(server)
            self._box: Box = server.party.box  # type: ignore[attr-defined]
            self._ended = False

        def session_ended(self) -> None:
            self._ended = True

        def canonicalize(self, path: str) -> str:
            return "/" + "/".join(Box.parts(path))

        def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
            opened: list[paramiko.SFTPHandle] = []

            def step() -> int:
                if flags & (os.O_WRONLY | os.O_RDWR):
                    bits = (os.O_CREAT, os.O_EXCL, os.O_TRUNC)
                    create, exclusive, truncate = (bool(flags & bit) for bit in bits)
                    upload = self._box.write(path, create, exclusive, truncate)
                    if upload is None:
                        return DENIED
                    opened.append(Writing(upload, bool(flags & os.O_APPEND), lambda: self._ended))
                else:
                    descriptor = self._box.read(path)
                    if descriptor is None:
                        return DENIED
                    opened.append(Reading(descriptor, Box.parts(path)[-1]))
                return OK

            status = _answering(step)
            return opened[0] if opened else status

        def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
            found = self._box.listing(path)
            return NO_SUCH_FILE if found is None else [attributes(entry) for entry in found]

        def stat(self, path: str) -> paramiko.SFTPAttributes | int:
            found = self._box.entry(path)
            return NO_SUCH_FILE if found is None else attributes(found)

        def lstat(self, path: str) -> paramiko.SFTPAttributes | int:
            return self.stat(path)

        def chattr(self, path: str, attr: paramiko.SFTPAttributes) -> int:
            return NO_SUCH_FILE if self._box.entry(path) is None else OK

        def remove(self, path: str) -> int:
            return _answering(lambda: self._box.remove(path))

        def rename(self, oldpath: str, newpath: str) -> int:
            return _answering(lambda: self._box.rename(oldpath, newpath))

        def posix_rename(self, oldpath: str, newpath: str) -> int:
            return self.rename(oldpath, newpath)

        def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:
            return DENIED

        def rmdir(self, path: str) -> int:
            return DENIED

        def readlink(self, path: str) -> str | int:
            return UNSUPPORTED

        def symlink(self, target_path: str, path: str) -> int:
            return DENIED

    class Handler(paramiko.SFTPServer):
        def __init__(self, channel: paramiko.Channel, name: str, server: paramiko.ServerInterface, door: _Door) -> None:
            super().__init__(channel, name, server, Interface)
            door.handlers.add(self)

        def _check_file(self, request_number: int, msg: paramiko.Message) -> None:
            # It offers only MD5 and SHA-1, and a range beyond the end of the file would never finish.
            self._send_status(request_number, UNSUPPORTED)  # type: ignore[attr-defined]

    class Server(paramiko.ServerInterface):
        def __init__(self, door: _Door) -> None:
            self.party: Party | None = None
            self.failures = 0
            self._door = door

        def get_allowed_auths(self, username: str) -> str:
            return "publickey"

        def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
            party = self._door.parties.get(username)
            shown = key.asbytes()
            known = [hmac.compare_digest(shown, blob) for blob in (party.blobs if party else ())]
            if self.failures < AUTH_TRIES and party and any(known):
                self.party = party
                return common.AUTH_SUCCESSFUL
            self.failures += 1
            return common.AUTH_FAILED

        def check_channel_request(self, kind: str, chanid: int) -> int:
            if kind != "session":
                return common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
            if not self._door.admitted(self):
                return common.OPEN_FAILED_RESOURCE_SHORTAGE
            return common.OPEN_SUCCEEDED

        def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
            return name == "sftp" and super().check_channel_subsystem_request(channel, name)

    return _Protocol(Server, Handler, Interface)


@dataclass(slots=True)
class _Session:
    """One connection. `server` is our ServerInterface: it knows the party once somebody has logged in."""

    transport: paramiko.Transport
    server: paramiko.ServerInterface
    address: str
    since: float

    @property
    def party(self) -> Party | None:
        party: Party | None = getattr(self.server, "party", None)
        return party if self.transport.is_authenticated() else None

    def end(self) -> None:
        """Close the connection. paramiko leaves its handshake timer running where the handshake failed."""
        self.transport.close()
        self.transport.packetizer.complete_handshake()

    @property
    def failures(self) -> int:
        return int(getattr(self.server, "failures", 0))


class _Door:
    """The listening server: one thread accepts connections and ends those that are over, late or too many."""

    def __init__(self, listen: tuple[str, int], parties: dict[str, Party], host_key: paramiko.PKey) -> None:
        self.parties = parties
        self.handlers: set[paramiko.SFTPServer] = set()
        self._host_key = host_key
        self._sessions: list[_Session] = []
        self._stop = threading.Event()
        family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
        self._socket = socket.create_server(listen, family=family, backlog=64)
        self._socket.settimeout(0.2)
        host, port = self._socket.getsockname()[:2]
        self.address: tuple[str, int] = (host, port)
        self._thread = threading.Thread(target=self._serve, name="sftpd", daemon=True)
        self._thread.start()

    def admitted(self, server: paramiko.ServerInterface) -> bool:
        """True when this connection is among the first SESSIONS_PER_PARTY of its party."""
        mine = [item for item in tuple(self._sessions) if item.party and item.transport.is_active()]
        party = next((item.party for item in mine if item.server is server), None)
        same = [item.server for item in mine if party and item.party is party]
        return server in same[:SESSIONS_PER_PARTY]

    def close(self) -> None:
        """Stop listening, end the sessions, join the threads. Complete uploads are kept."""
        self._stop.set()
        self._thread.join()
        self._socket.close()
        for session in self._sessions:
            session.end()
        for session in self._sessions:
            session.transport.join(10)
        for handler in tuple(self.handlers):
            if handler.is_alive():
                handler.join(10)
        self._sessions.clear()

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._sweep()
            try:
                connection, peer = self._socket.accept()
            except OSError:
                # Nobody came, the caller hung up, or descriptors ran out: look after the others first.
                self._stop.wait(0.01)
                continue
            self._welcome(connection, str(peer[0]))

    def _welcome(self, connection: socket.socket, address: str) -> None:
        import paramiko

        strangers = [item for item in self._sessions if item.address == address and item.party is None]
        if len(self._sessions) >= SESSIONS or len(strangers) >= STRANGERS:
            connection.close()
            return
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        protocol = _protocol()
        try:
            transport = paramiko.Transport(connection)
            transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = AUTH_SECONDS
            transport.add_server_key(self._host_key)
            transport.set_subsystem_handler("sftp", protocol.handler, self)
            transport.set_keepalive(15)
            server = protocol.server(self)
            self._sessions.append(_Session(transport, server, address, time.monotonic()))
            transport.start_server(threading.Event(), server)
        except (OSError, EOFError, paramiko.SSHException):
            connection.close()

    def _sweep(self) -> None:
        now = time.monotonic()
        for session in tuple(self._sessions):
            late = session.party is None and now - session.since > AUTH_SECONDS
            surplus = session.party is not None and not self.admitted(session.server)
            if late or surplus or session.failures >= AUTH_TRIES or not session.transport.is_active():
                session.end()
                self._sessions.remove(session)
        for handler in tuple(self.handlers):
            if handler.ident is not None and not handler.is_alive():
                self.handlers.discard(handler)


def _host_key(ground: Ground) -> paramiko.PKey:
    """The door's Ed25519 key, made on the first start, readable by its owner alone."""
    import paramiko
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = ground.spool / "keys" / "sftpd_host_ed25519"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(fresh, path)
        _fsync_folder(path.parent)
    return paramiko.Ed25519Key.from_private_key_file(path)


def door(listen: tuple[str, int], endpoints: Sequence[DoorEndpoint], ground: Ground) -> _Door:
    """Listen on (host, port) for all these parties. DeclarationError: an unusable key, a user named twice."""
    parties: dict[str, Party] = {}
    for endpoint in endpoints:
        options = endpoint.options
        if not isinstance(options, Options):
            raise DeclarationError(f"{endpoint.name}: not the options of sftpd")
        if options.user in parties:
            raise DeclarationError(f"{endpoint.name}: user {options.user} is another endpoint's")
        box = Box(home_of(endpoint.name, options, ground), options.max_size, options.quota)
        parties[options.user] = Party(options.user, key_blobs(options.keys, ground), box)
    return _Door(listen, parties, _host_key(ground))


# ---------------------------------------------------------------------------------- the hub's side of the box


class _Inlet:
    """Whole uploads in .taken, oldest first, then cut ones that lie unchanged in outbound."""

    def __init__(self, home: Path, incomplete_after: float) -> None:
        self._home = home
        self._incomplete_after = incomplete_after

    def collect(self, limit: int) -> Sequence[Arrival]:
        found: list[Arrival] = []
        for parsed in filter(None, map(_TAKEN.fullmatch, sorted(os.listdir(self._home / ".taken")))):
            entry = _entry(self._home / ".taken" / parsed[0], parsed[0])
            if entry and len(found) < limit:
                found.append(Arrival(parsed[0], parsed[3], int(parsed[2] or entry.size)))
        return found + self._stale(limit - len(found)) if len(found) < limit else found

    def _stale(self, limit: int) -> list[Arrival]:
        oldest = time.time_ns() - int(self._incomplete_after * 1e9)
        found = []
        for item in os.scandir(self._home / "outbound"):
            if not names.safe(item.name) or names.temporary(item.name):
                continue
            state = _state(Path(item.path))
            if state and state[0] <= oldest and not _held(Path(item.path)):
                found.append((state[0], Arrival(f"{item.name}:{state[0]}:{state[1]}", item.name, state[1])))
        return [arrival for _, arrival in sorted(found, key=lambda pair: pair[0])][:limit]

    def read(self, arrival: Arrival) -> Iterator[bytes]:
        path, _ = self._place(arrival)
        try:
            descriptor = _open_regular(path, os.O_RDONLY)
        except OSError as error:
            raise Unreachable(f"{arrival.name}: {error.strerror or 'cannot be opened'}") from error
        with os.fdopen(descriptor, "rb") as file:
            if not self._unchanged(arrival, file.fileno()):
                raise Unreachable(f"{arrival.name}: changed since it was collected")
            while chunk := file.read(CHUNK):
                yield chunk

    def settle(self, arrival: Arrival) -> None:
        path, time_ns = self._place(arrival)
        try:
            descriptor = _hold(path, os.O_RDONLY)
        except FileNotFoundError:
            return
        except BlockingIOError:
            # The party is resuming the upload: what it makes of the file is a new arrival.
            return
        except OSError as error:
            raise Unreachable(f"{arrival.name}: {error.strerror or 'cannot be opened'}") from error
        try:
            if self._unchanged(arrival, descriptor):
                self._archive(path, arrival.name, time_ns)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Nothing is held open."""

    def _place(self, arrival: Arrival) -> tuple[Path, int]:
        """Where the arrival lies and when it came, from its key alone."""
        parsed = _TAKEN.fullmatch(arrival.key)
        if parsed and "/" not in arrival.key:
            return self._home / ".taken" / arrival.key, int(parsed[1])
        name, _, rest = arrival.key.partition(":")
        if not names.safe(name) or not re.fullmatch(r"\d+:\d+", rest):
            raise Unreachable(f"{arrival.name}: not a key of this inlet")
        return self._home / "outbound" / name, int(rest.partition(":")[0])

    @staticmethod
    def _unchanged(arrival: Arrival, descriptor: int) -> bool:
        if _TAKEN.fullmatch(arrival.key):
            return True
        found = os.fstat(descriptor)
        return arrival.key.partition(":")[2] == f"{found.st_mtime_ns}:{found.st_size}"

    def _archive(self, path: Path, name: str, time_ns: int) -> None:
        day = self._home / "archive" / datetime.fromtimestamp(time_ns / 1e9, UTC).date().isoformat()
        if not day.exists():
            day.mkdir(exist_ok=True)
            _fsync_folder(day.parent)
        target, number = day / name, 1
        while os.path.lexists(target):
            number += 1
            end = f"-{number}{Path(name).suffix}"
            target = day / (Path(name).stem[: 128 - len(end)] + end)
        os.rename(path, target)
        _fsync_folder(day)
        _fsync_folder(path.parent)


def _state(path: Path) -> tuple[int, int] | None:
    """(mtime in ns, size) of a regular file, or None."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return (found.st_mtime_ns, found.st_size) if stat.S_ISREG(found.st_mode) else None


def _held(path: Path) -> bool:
    """True when a session is writing this file (or it is gone)."""
    try:
        os.close(_hold(path, os.O_RDONLY))
    except OSError:
        return True
    return False


class _Outlet:
    """Lays parcels into the party's inbound or error folder.

    A parcel is prepared under a hidden name, its marker is made durable, then it is renamed. So a marker
    without the hidden file proves the handover even when the party has picked the file up and removed it.
    """

    money_safe = True

    def __init__(self, home: Path) -> None:
        self._home = home

    def send(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        lock = os.open(self._home / ".handed", os.O_RDONLY | os.O_DIRECTORY)
        try:
            # One outlet at a time: the look at the final name and the rename must not be torn apart.
            fcntl.flock(lock, fcntl.LOCK_EX)
            results = self._batch(parcels)
        finally:
            os.close(lock)
        yield from results

    def _batch(self, parcels: Sequence[Parcel]) -> list[Handover]:
        results = {parcel.delivery: self._prepare(parcel) for parcel in parcels}
        ready = [parcel for parcel in parcels if results[parcel.delivery] is None]
        try:
            self._mark(ready)
            failed = ""
        except OSError as error:
            failed = error.strerror or "cannot be written"
        for parcel in ready:
            results[parcel.delivery] = _not_done(parcel, failed) if failed else self._publish(parcel)
        try:
            self._fsync_folders(ready)
        except OSError as error:
            for parcel in ready:
                evidence = error.strerror or "fsync failed"
                results[parcel.delivery] = Handover(parcel.delivery, Known.UNKNOWN, evidence)
        return [found for parcel in parcels if (found := results[parcel.delivery]) is not None]

    def _mark(self, parcels: Sequence[Parcel]) -> None:
        self._fsync_folders(parcels)
        for parcel in parcels:
            os.close(os.open(self._marker(parcel), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640))
        if parcels:
            _fsync_folder(self._home / ".handed")

    def _fsync_folders(self, parcels: Sequence[Parcel]) -> None:
        for folder in {parcel.folder for parcel in parcels}:
            _fsync_folder(self._home / folder)

    def probe(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        for parcel in parcels:
            found = self._refusal(parcel) or self._evidence(parcel)
            yield found or _not_done(parcel, "never laid down")

    def close(self) -> None:
        """Nothing is held open."""

    def _marker(self, parcel: Parcel) -> Path:
        return self._home / ".handed" / parcel.delivery

    def _hidden(self, parcel: Parcel, number: int = 0) -> Path:
        return self._home / parcel.folder / f".{parcel.delivery}.{number}.tmp"

    def _refusal(self, parcel: Parcel) -> Handover | None:
        """REFUSED for what can never be laid down here."""
        every = [parcel.name, *(name for name, _ in parcel.companions)]
        if parcel.folder not in ("inbound", "error"):
            return Handover(parcel.delivery, Known.REFUSED, f"no folder {parcel.folder}")
        if not names.safe(parcel.delivery) or not all(map(names.safe, every)):
            return Handover(parcel.delivery, Known.REFUSED, "name is not safe")
        return None

    def _evidence(self, parcel: Parcel) -> Handover | None:
        """DONE when the parcel is there, or was there and has been picked up."""
        final = self._home / parcel.folder / parcel.name
        digest = hashlib.sha256(parcel.data).hexdigest()
        if _same(final, parcel.data):
            return Handover(parcel.delivery, Known.DONE, f"{parcel.folder}/{parcel.name} sha256:{digest}")
        if self._marker(parcel).exists() and not os.path.lexists(self._hidden(parcel)):
            return Handover(parcel.delivery, Known.DONE, f"{parcel.folder}/{parcel.name} picked up")
        return None

    def _prepare(self, parcel: Parcel) -> Handover | None:
        """Write the hidden files; a Handover when there is nothing left to do."""
        refused = self._refusal(parcel)
        if refused:
            return refused
        try:
            done = self._evidence(parcel)
            if done:
                return done
            for name, data in (*parcel.companions, (parcel.name, parcel.data)):
                final = self._home / parcel.folder / name
                if os.path.lexists(final) and not _same(final, data):
                    evidence = f"{parcel.folder}/{name} has other content"
                    return Handover(parcel.delivery, Known.REFUSED, evidence)
            # An old marker may stand beside an old hidden file: that is replaced by renaming, so that the
            # marker stands alone at no moment.
            for number, data in enumerate((parcel.data, *(data for _, data in parcel.companions))):
                _write_durably(self._hidden(parcel, number), data)
        except OSError as error:
            return _not_done(parcel, error.strerror or "cannot be written")
        return None

    def _publish(self, parcel: Parcel) -> Handover:
        """Give the hidden files their names, the data last."""
        folder = self._home / parcel.folder
        every = [*enumerate((name for name, _ in parcel.companions), 1), (0, parcel.name)]
        try:
            for number, name in every:
                os.rename(self._hidden(parcel, number), folder / name)
        except OSError as error:
            return _not_done(parcel, error.strerror or "cannot be renamed")
        digest = hashlib.sha256(parcel.data).hexdigest()
        return Handover(parcel.delivery, Known.DONE, f"{parcel.folder}/{parcel.name} sha256:{digest}")


def _not_done(parcel: Parcel, evidence: str) -> Handover:
    return Handover(parcel.delivery, Known.NOT_DONE, evidence)


def _write_durably(path: Path, data: bytes) -> None:
    """Write beside `path`, fsync, rename over it. The caller fsyncs the folder."""
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(fresh, path)


def _same(path: Path, data: bytes) -> bool:
    """True when a regular file at `path` holds exactly `data`."""
    state = _state(path)
    try:
        return state is not None and state[1] == len(data) and path.read_bytes() == data
    except FileNotFoundError:
        return False


def inlet(name: str, options: Options, ground: Ground) -> _Inlet:
    """What this party has uploaded. Works whether or not the door runs in this process."""
    return _Inlet(home_of(name, options, ground), options.incomplete_after)


def outlet(name: str, options: Options, ground: Ground) -> _Outlet:
    """This party's inbound and error folders."""
    return _Outlet(home_of(name, options, ground))
