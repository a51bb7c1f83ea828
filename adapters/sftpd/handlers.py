"""SFTP requests of one session, told to the party's box (draft-ietf-secsh-filexfer-02 as paramiko speaks it)."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

import paramiko
from paramiko.sftp import CMD_OPEN, CMD_OPENDIR

from adapters.sftpd import disk
from adapters.sftpd.box import DENIED, FAILURE, NO_SUCH_FILE, OK, UNSUPPORTED, Box, Upload
from adapters.sftpd.disk import Entry

CHUNK = 256 * 1024
#: Bytes of one request, as OpenSSH allows them.
PACKET = 256 * 1024
#: Files and listings that one session may have open: each holds a descriptor, or a folder's whole list, of the gate.
HANDLES = 32
#: What a client is told beside the code: lftp shows it, OpenSSH has words of its own.
WORDS = {
    DENIED: "Permission denied: README.txt says what may be done where, and under which names",
    FAILURE: "Failure: the file is too large, the box is full, or the name is taken",
}


def answering(step: Callable[[], int]) -> int:
    """Run a step that answers a status; an OSError becomes the status that says it."""
    try:
        return step()
    except FileNotFoundError:
        return NO_SUCH_FILE
    except PermissionError:
        return DENIED
    except OSError:
        return FAILURE


def attributes(entry: Entry) -> paramiko.SFTPAttributes:
    """An entry as the protocol tells it; owners are nobody's business."""
    told = paramiko.SFTPAttributes()
    told.filename = entry.name
    told.st_mode, told.st_size = entry.mode, entry.size
    told.st_uid = told.st_gid = 0
    told.st_atime = told.st_mtime = entry.mtime
    return told


class Reading(paramiko.SFTPHandle):
    """A file that a client fetches."""

    def __init__(self, descriptor: int, name: str) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._name = name

    def read(self, offset: int, length: int) -> bytes | int:
        return os.pread(self._descriptor, min(length, CHUNK), offset)

    def write(self, offset: int, data: object) -> int:
        return DENIED

    def stat(self) -> paramiko.SFTPAttributes | int:
        return attributes(disk.opened_entry(self._descriptor, self._name))

    def chattr(self, attr: paramiko.SFTPAttributes) -> int:
        return OK

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Writing(paramiko.SFTPHandle):
    """A file that a client uploads. `lost` tells whether the session has ended before the close."""

    def __init__(self, upload: Upload, append: bool, lost: Callable[[], bool]) -> None:
        super().__init__()
        self._upload = upload
        self._append = append
        self._lost = lost

    def read(self, offset: int, length: int) -> bytes | int:
        return DENIED

    def write(self, offset: int, data: object) -> int:
        content = bytes(data)  # type: ignore[call-overload]
        return answering(lambda: self._upload.write(None if self._append else offset, content))

    def stat(self) -> paramiko.SFTPAttributes | int:
        return attributes(self._upload.entry())

    def chattr(self, attr: paramiko.SFTPAttributes) -> int:
        return OK

    def close(self) -> None:
        self._upload.close(self._lost())


class Interface(paramiko.SFTPServerInterface):
    """One session's requests. `server` is the Doorkeeper that let the party in."""

    def __init__(self, server: paramiko.ServerInterface, *rest: object) -> None:
        super().__init__(server)
        self._box: Box = server.party.box  # type: ignore[attr-defined]
        self._ended = False

    @property
    def refusal(self) -> str:
        """Why this party can hand nothing in now, or ""."""
        return self._box.refusal

    def session_started(self) -> None:
        with suppress(OSError):
            self._box.tidy()

    def session_ended(self) -> None:
        self._ended = True

    def canonicalize(self, path: str) -> str:
        return "/" + "/".join(Box.parts(path))

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        opened: list[paramiko.SFTPHandle] = []

        def step() -> int:
            if flags & (os.O_WRONLY | os.O_RDWR):
                create, exclusive, truncate = (bool(flags & bit) for bit in (os.O_CREAT, os.O_EXCL, os.O_TRUNC))
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

        status = answering(step)
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
        return answering(lambda: self._box.remove(path))

    def rename(self, oldpath: str, newpath: str) -> int:
        return answering(lambda: self._box.rename(oldpath, newpath))

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
    """The thread of one session. It enters itself into `running`, so that the door can join it."""

    def __init__(
        self, channel: paramiko.Channel, name: str, server: paramiko.ServerInterface, running: set[Handler]
    ) -> None:
        super().__init__(channel, name, server, Interface)
        running.add(self)

    def _send_status(self, request_number: int, code: int, desc: str | None = None) -> None:
        # "Failure" alone tells a client nothing: while nothing is taken in, the text of the status says why.
        shut = getattr(self.server, "refusal", "") if code == FAILURE else ""
        super()._send_status(request_number, code, desc or shut or WORDS.get(code))  # type: ignore[misc]

    def _read_packet(self) -> tuple[int, bytes]:
        # Its own takes 16 MB in one packet, and copies all of it again for every 32 KiB that come.
        head: bytes = self._read_all(4)  # type: ignore[attr-defined]
        size = int.from_bytes(head, "big")
        if not 0 < size <= PACKET:
            raise paramiko.SFTPError(f"a packet of {size} bytes")
        data: bytes = self._read_all(size)  # type: ignore[attr-defined]
        return data[0], data[1:]

    def _process(self, kind: int, request_number: int, msg: paramiko.Message) -> None:
        opened = len(self.file_table) + len(self.folder_table)
        if kind in (CMD_OPEN, CMD_OPENDIR) and opened >= HANDLES:
            self._send_status(request_number, FAILURE, "too many files are open")
            return
        super()._process(kind, request_number, msg)  # type: ignore[misc]

    def finish_subsystem(self) -> None:
        super().finish_subsystem()
        if self.sock is not None:
            self.sock.close()  # else it stays open until the collector of garbage comes by

    def _check_file(self, request_number: int, msg: paramiko.Message) -> None:
        # It offers only MD5 and SHA-1, and a range beyond the end of the file would never finish.
        self._send_status(request_number, UNSUPPORTED)
