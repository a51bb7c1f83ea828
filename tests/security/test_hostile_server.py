"""A partner's SFTP server that has turned against us (T12, T13): odd names and kinds of files, sizes that lie, files
without end, listings without end, bytes that change under the reader. Our own client, a real connection."""

from __future__ import annotations

import socket
import stat
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters import sftp
from hub.contract import Ground, Inlet
from hub.errors import Unreachable

WHOLE = b"UNB+UNOA:3+A+B+260101:0101+1'UNZ+0+1'"
REGULAR = stat.S_IFREG | 0o644


@dataclass
class Entry:
    """One remote file: what the server says of it and what it gives. `read` is asked for (offset, length)."""

    read: Callable[[int, int], bytes]
    size: int
    mode: int = REGULAR
    mtime: int = 1_000_000


def holding(data: bytes, size: int | None = None, mode: int = REGULAR) -> Entry:
    return Entry(lambda offset, length: data[offset : offset + length], len(data) if size is None else size, mode)


@dataclass
class Server:
    """Listens on loopback, lets anybody in and shows `files`. `told` is what was removed, renamed or written."""

    files: dict[str, Entry] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    lstats: int = 0
    on_lstat: Callable[[Server], None] = lambda server: None
    port: int = 0
    key: paramiko.PKey | None = None

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                transport = paramiko.Transport(connection)
                assert self.key is not None
                transport.add_server_key(self.key)
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _interface(self))
                transport.start_server(threading.Event(), _Open())


class _Open(paramiko.ServerInterface):
    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL  # type: ignore[attr-defined,no-any-return]

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return 0


def _interface(server: Server) -> type[paramiko.SFTPServerInterface]:
    def told(name: str) -> paramiko.SFTPAttributes | int:
        entry = server.files.get(name)
        if entry is None:
            return paramiko.SFTP_NO_SUCH_FILE
        shown = paramiko.SFTPAttributes()
        shown.filename, shown.st_mode, shown.st_size, shown.st_mtime = name, entry.mode, entry.size, entry.mtime
        shown.st_atime = entry.mtime
        return shown

    class Interface(paramiko.SFTPServerInterface):
        def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
            return [item for name in server.files if not isinstance(item := told(name), int)]

        def lstat(self, path: str) -> paramiko.SFTPAttributes | int:
            server.lstats += 1
            shown = told(path.rpartition("get/")[2])
            server.on_lstat(server)
            return shown

        stat = lstat

        def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
            entry = server.files.get(path.rpartition("get/")[2])
            if flags & 3 or entry is None:
                server.told.append(f"opened {path}")
                return paramiko.SFTP_NO_SUCH_FILE

            class Handle(paramiko.SFTPHandle):
                def read(self, offset: int, length: int) -> bytes | int:
                    return entry.read(offset, length)

            return Handle()

        def remove(self, path: str) -> int:
            server.told.append(f"removed {path}")
            return 0

    return Interface


def key_line(path: Path) -> str:
    key = Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, s.NoEncryption()))
    path.chmod(0o600)
    return key.public_key().public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH).decode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server()
    pinned = key_line(tmp_path / "host")
    (tmp_path / "pin").write_text(pinned)
    key_line(tmp_path / "own")
    made.key = paramiko.Ed25519Key.from_private_key_file(str(tmp_path / "host"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made.port = listener.getsockname()[1]
        thread = threading.Thread(target=made.serve, args=(listener,), daemon=True)
        thread.start()
        yield made
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.fixture
def inlet(server: Server, tmp_path: Path) -> Iterator[Inlet]:
    options = sftp.Options(
        host="127.0.0.1",
        port=server.port,
        user="eport",
        key="file:own",
        host_keys=["file:pin"],
        get="get",
        timeout=1,
        stable=0,
        max_size=1_000_000,
    )
    opened = sftp.inlet("partner", options, Ground(tmp_path, tmp_path))
    yield opened
    opened.close()


def offered(inlet: Inlet) -> list[str]:
    inlet.collect(100)
    return [arrival.name for arrival in inlet.collect(100)]


def test_only_regular_files_are_offered_and_no_name_that_is_a_path(server: Server, inlet: Inlet) -> None:
    server.files = {
        "good.edi": holding(WHOLE),
        "link.edi": holding(WHOLE, mode=stat.S_IFLNK | 0o777),
        "pipe.edi": holding(WHOLE, mode=stat.S_IFIFO | 0o644),
        "device.edi": holding(WHOLE, mode=stat.S_IFBLK | 0o644),
        "socket.edi": holding(WHOLE, mode=stat.S_IFSOCK | 0o644),
        "folder.edi": holding(WHOLE, mode=stat.S_IFDIR | 0o755),
        "no-kind.edi": holding(WHOLE, mode=0o644),
        "../../../etc/cron.d/evil": holding(WHOLE),
        "..evil.edi": holding(WHOLE),
        "/absolute.edi": holding(WHOLE),
        "a/b.edi": holding(WHOLE),
        "nul\0.edi": holding(WHOLE),
        "": holding(WHOLE),
        ".": holding(WHOLE),
        "..": holding(WHOLE),
    }
    assert offered(inlet) == ["good.edi"]
    assert server.told == []


@pytest.mark.parametrize("name", ["two\nlines.edi", "\x1b[2Jred.edi", "-rf", "a" * 255, "$(id).edi", "舱单.edi"])
def test_an_odd_name_is_never_more_than_a_name(server: Server, inlet: Inlet, name: str) -> None:
    """Whether it is taken or left: it names a file at the partner and nothing here."""
    server.files = {name: holding(WHOLE), "good.edi": holding(WHOLE)}
    assert set(offered(inlet)) - {name} == {"good.edi"}
    for arrival in inlet.collect(10):
        assert "/" not in arrival.name and b"".join(inlet.read(arrival)) == WHOLE
        inlet.settle(arrival)
    assert all(told.startswith("removed get/") and told.count("/") == 1 for told in server.told)


def test_a_size_that_lies_gives_no_arrival_and_no_half_file(server: Server, inlet: Inlet) -> None:
    server.files = {
        "short.edi": holding(WHOLE[:20] + WHOLE[-17:], size=len(WHOLE) + 5),
        "long.edi": holding(WHOLE + WHOLE, size=len(WHOLE)),
        "negative.edi": holding(WHOLE, size=2**63),
    }
    for arrival in inlet.collect(100):
        with suppress(Unreachable):
            assert len(b"".join(inlet.read(arrival))) <= arrival.size
    assert server.told == []


def test_a_file_without_end_costs_what_was_agreed_and_no_more(server: Server, inlet: Inlet) -> None:
    """It says that it is huge, begins and ends like a whole interchange, and has bytes wherever one reads."""
    size = 2**40

    def read(offset: int, length: int) -> bytes:
        return (WHOLE[offset:] if offset < len(WHOLE) else b"") + b"A" * (length - len(WHOLE)) + b"'UNZ+0+1'"

    server.files = {"endless.edi": Entry(read, size)}
    found = inlet.collect(10)
    tracemalloc.start()
    began = time.monotonic()
    taken = 0
    with suppress(Unreachable):
        for arrival in found:
            for chunk in inlet.read(arrival):
                taken += len(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken <= 1_000_001 and peak < 32_000_000 and time.monotonic() - began < 10


def test_a_file_that_drips_is_given_up_in_time(server: Server, inlet: Inlet) -> None:
    def drip(offset: int, length: int) -> bytes:
        time.sleep(0.3)
        return WHOLE[offset : offset + 1]

    server.files = {"slow.edi": Entry(drip, len(WHOLE))}
    began = time.monotonic()
    for _ in range(2):
        with suppress(Unreachable):
            for arrival in inlet.collect(10):
                b"".join(inlet.read(arrival))
    assert time.monotonic() - began < 20
    assert server.told == []


def test_a_listing_of_very_many_files_ends(server: Server, inlet: Inlet) -> None:
    server.files = {f"x{number}": holding(b"", mode=stat.S_IFIFO) for number in range(10_000)}
    server.files["zz.edi"] = holding(WHOLE)
    began = time.monotonic()
    with suppress(Unreachable):
        assert offered(inlet) == ["zz.edi"]
    assert time.monotonic() - began < 20


def test_a_file_that_changes_between_the_look_and_the_end_is_not_taken(server: Server, inlet: Inlet) -> None:
    server.files = {"swap.edi": holding(WHOLE)}
    [arrival] = inlet.collect(10)
    other = holding(WHOLE.replace(b"UNOA", b"UNOB"))
    other.mtime += 1
    before = server.lstats

    def swap(server: Server) -> None:
        if server.lstats == before + 1:  # behind the first look of the reader, before its first byte
            server.files["swap.edi"] = other

    server.on_lstat = swap
    with pytest.raises(Unreachable):
        b"".join(inlet.read(arrival))
    inlet.settle(arrival)
    assert server.told == []
    [again] = inlet.collect(10)
    assert again.key != arrival.key and b"".join(inlet.read(again)) == WHOLE.replace(b"UNOA", b"UNOB")


def test_a_link_in_the_place_of_a_file_that_was_offered_is_neither_read_nor_removed(
    server: Server, inlet: Inlet
) -> None:
    server.files = {"later.edi": holding(WHOLE)}
    [arrival] = inlet.collect(10)
    server.files = {"later.edi": holding(WHOLE, mode=stat.S_IFLNK | 0o777)}
    with pytest.raises(Unreachable):
        b"".join(inlet.read(arrival))
    inlet.settle(arrival)
    assert server.told == []
