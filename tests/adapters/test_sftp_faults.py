"""What a partner's server and the network to it can do to us: each told for what it is, nothing lost, nothing twice."""

from __future__ import annotations

import errno
import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import paramiko
import pytest

from adapters import sftp
from adapters.sftp.outlet import SftpOutlet
from hub.contract import Ground, Handover, Known, Parcel
from hub.errors import Unreachable, Untrusted
from tests.adapters.network import Proxy, until
from tests.adapters.openssh import Sshd, key_pair, rsa_pair

WHOLE = b"UNB+UNOA:1+A+B+260101:0000+1'UNH+1+APERAK:D:96B:UN'UNT+2+1'UNZ+1+1'"
LARGE = Parcel("d1", "A.edi", WHOLE + b"\n" * 300_000, companions=(("A.edi.p7s", b"s" * 500),))
SMALL = Parcel("d1", "A.edi", WHOLE)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    server = Sshd(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def proxy(sshd: Sshd) -> Iterator[Proxy]:
    opened = Proxy(sshd.port)
    yield opened
    opened.close()


@contextmanager
def outlet(sshd: Sshd, **changes: object) -> Iterator[SftpOutlet]:
    opened = sftp.outlet("partner", sshd.options(**changes), sshd.ground)
    try:
        yield opened
    finally:
        opened.close()


def sent(out: SftpOutlet, parcel: Parcel) -> Handover:
    (told,) = out.send([parcel])
    return told


def probed(out: SftpOutlet, parcel: Parcel) -> Known:
    (told,) = out.probe([parcel])
    return told.known


def whole_and_alone(sshd: Sshd, parcel: Parcel) -> bool:
    """Every file of the parcel lies there with its bytes, once, and nothing else."""
    there = {path.name: path.read_bytes() for path in sshd.put.iterdir()}
    return there == {parcel.name: parcel.data, **dict(parcel.companions)}


# ---- the server's disk


@pytest.fixture
def on_small_disk(tmp_path: Path) -> Iterator[Sshd]:
    """A server whose `put` is a file system of 128 KiB."""
    put = tmp_path / "put"
    put.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", put], check=True)
    server = Sshd(tmp_path)
    yield server
    server.kill()
    subprocess.run(["umount", "-l", put], check=True)


@needs_root
@pytest.mark.parametrize("fault", ["size=128k", "ro"])
def test_a_disk_that_takes_nothing_is_not_done_and_everything_goes_afterwards(on_small_disk: Sshd, fault: str) -> None:
    put = on_small_disk.put
    subprocess.run(["mount", "-o", f"remount,{fault}", put], check=True)
    with outlet(on_small_disk) as out:
        for _ in range(2):
            told = sent(out, LARGE)
            assert told.known is Known.NOT_DONE, told.evidence
            assert LARGE.name not in os.listdir(put)
        assert probed(out, LARGE) is (Known.UNKNOWN if fault == "ro" else Known.NOT_DONE)
        subprocess.run(["mount", "-o", "remount,rw,size=2m", put], check=True)
        assert sent(out, LARGE).known is Known.DONE
    assert whole_and_alone(on_small_disk, LARGE)


# ---- connections that end


def test_a_server_killed_in_mid_write_is_not_done_and_the_rest_is_replaced(sshd: Sshd, proxy: Proxy) -> None:
    with outlet(sshd, port=proxy.port) as out:
        assert sent(out, Parcel("d0", "0.edi", WHOLE)).known is Known.DONE
        part = sshd.put / ".d1.tmp"
        proxy.at(200_000, lambda: (until(lambda: part.stat().st_size), sshd.kill()))
        told = sent(out, LARGE)
        assert told.known is Known.NOT_DONE, told.evidence
        until(lambda: sshd.process is None)
        sshd.start()
        assert 0 < part.stat().st_size < len(LARGE.data)
        assert probed(out, LARGE) is Known.NOT_DONE
        assert sent(out, LARGE).known is Known.DONE
    (sshd.put / "0.edi").unlink()
    assert whole_and_alone(sshd, LARGE)


@pytest.mark.parametrize("server_lives", [True, False])
def test_the_rename_is_done_and_its_answer_is_swallowed(
    sshd: Sshd, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, server_lives: bool
) -> None:
    rename = paramiko.SFTPClient.rename

    def unheard(client: paramiko.SFTPClient, old: str, new: str) -> None:
        proxy.swallow()
        if not server_lives:
            threading.Thread(target=lambda: (until((sshd.put / SMALL.name).exists), sshd.kill())).start()
        rename(client, old, new)

    with outlet(sshd, port=proxy.port, timeout=0.8) as out:
        with monkeypatch.context() as patch:
            patch.setattr(paramiko.SFTPClient, "rename", unheard)
            told = sent(out, SMALL)
        assert told.known is (Known.DONE if server_lives else Known.UNKNOWN), told.evidence
        if not server_lives:
            until(lambda: sshd.process is None)
            assert probed(out, SMALL) is Known.UNKNOWN
            sshd.start()
        assert probed(out, SMALL) is Known.DONE
        assert sent(out, SMALL).known is Known.DONE
    assert whole_and_alone(sshd, SMALL)


def test_a_connection_cut_anywhere_is_told_honestly(sshd: Sshd, proxy: Proxy) -> None:
    """At many bytes, in the hand-over's own requests and in their answers: what is said to be done is there, what is
    said not to be done is not, and the next try makes it good."""
    with outlet(sshd, port=proxy.port) as out:
        assert sent(out, Parcel("d", "warm.edi", WHOLE)).known is Known.DONE
        before = dict(proxy.passed)
        assert sent(out, Parcel("d", "total.edi", WHOLE)).known is Known.DONE
    total = {way: proxy.passed[way] - before[way] for way in proxy.passed}
    seen = set()
    for number in range(16):
        outward, part = number % 2 == 0, (number // 2 + 1) / 8
        parcel = Parcel(f"d{number}", f"{number}.edi", WHOLE)
        with outlet(sshd, port=proxy.port, timeout=3) as out:
            assert sent(out, Parcel("d", "warm.edi", WHOLE)).known is Known.DONE
            proxy.at(int(total[outward] * part), proxy.cut, outward)
            told = sent(out, parcel)
            there = (sshd.put / parcel.name).exists()
            assert there is (told.known is Known.DONE), (number, told)
            assert Known.DONE in [sent(out, parcel).known for _ in range(2)]
            seen.add(told.known)
    assert seen == {Known.DONE, Known.NOT_DONE}
    names = {f"{number}.edi" for number in range(16)} | {"warm.edi", "total.edi"}
    assert {path.name for path in sshd.put.iterdir()} == names
    assert {path.read_bytes() for path in sshd.put.iterdir()} == {WHOLE}


def test_a_server_that_falls_silent_is_given_up_in_time(sshd: Sshd, proxy: Proxy) -> None:
    with outlet(sshd, port=proxy.port, timeout=0.5) as out:
        assert sent(out, Parcel("d0", "0.edi", WHOLE)).known is Known.DONE
        proxy.at(100_000, proxy.freeze)
        began = time.monotonic()
        assert sent(out, LARGE).known is Known.NOT_DONE
        assert probed(out, LARGE) is Known.UNKNOWN
        assert time.monotonic() - began < 8
        proxy.thaw()
        until(lambda: sent(out, LARGE).known is Known.DONE)
    (sshd.put / "0.edi").unlink()
    assert whole_and_alone(sshd, LARGE)


# ---- who may come in


def test_a_host_key_that_changes_is_untrusted_until_it_is_pinned(sshd: Sshd, tmp_path: Path) -> None:
    with outlet(sshd) as out:
        assert sent(out, Parcel("d0", "0.edi", WHOLE)).known is Known.DONE
        sshd.kill()
        fresh = key_pair(tmp_path / "host")
        sshd.start()
        told = sent(out, SMALL)
        assert told.known is Known.UNTRUSTED and told.evidence.count("SHA256:") == 2
        assert probed(out, SMALL) is Known.UNTRUSTED
    source = sftp.inlet("partner", sshd.options(), sshd.ground)
    with pytest.raises(Untrusted):
        source.collect(1)
    assert os.listdir(sshd.put) == ["0.edi"]
    with outlet(sshd, host_keys=[sshd.host_key, fresh]) as out:
        assert sent(out, SMALL).known is Known.DONE


def test_sha1_in_the_handshake_is_spoken_only_where_it_is_named(tmp_path: Path) -> None:
    line = rsa_pair(tmp_path / "old")
    old = ["diffie-hellman-group14-sha1", "ssh-rsa"]
    sshd = Sshd(
        tmp_path,
        f"HostKey {tmp_path}/old\nKexAlgorithms {old[0]}\nHostKeyAlgorithms {old[1]}\n"
        "PubkeyAcceptedAlgorithms ssh-rsa\nCiphers aes128-ctr\nMACs hmac-sha2-256",
    )
    try:
        for legacy in ([], old[:1], old[1:]):
            with outlet(sshd, host_keys=[line], key="file:rsa", legacy=legacy) as out:
                told = sent(out, SMALL)
                assert told.known is Known.NOT_DONE and "no acceptable" in told.evidence
        with outlet(sshd, host_keys=[key_pair(tmp_path / "other")], key="file:rsa", legacy=old) as out:
            assert sent(out, SMALL).known is Known.UNTRUSTED
        assert os.listdir(sshd.put) == []
        with outlet(sshd, host_keys=[line], key="file:rsa", legacy=old) as out:
            assert sent(out, SMALL).known is Known.DONE
        assert whole_and_alone(sshd, SMALL)
    finally:
        sshd.stop()


@pytest.mark.parametrize("limit", ["MaxStartups 1:100:1", "MaxSessions 0"])
def test_a_server_with_no_room_for_us_is_not_done(tmp_path: Path, limit: str) -> None:
    sshd = Sshd(tmp_path, limit)
    try:
        with outlet(sshd, timeout=3) as out:
            with socket.create_connection(("127.0.0.1", sshd.port)) as other:
                other.recv(4)  # it is served, and logs in never
                assert sent(out, SMALL).known is Known.NOT_DONE
            assert os.listdir(sshd.put) == []
            if limit.startswith("MaxSessions"):
                sshd.kill()
                sshd.configure("")
                sshd.start()
            until(lambda: sent(out, SMALL).known is Known.DONE)
        assert whole_and_alone(sshd, SMALL)
    finally:
        sshd.stop()


# ---- a server that tells what is not so


class Odd(paramiko.SFTPServerInterface):
    """Lists `shown`, whatever there is; `files` is what can be opened, by name, or the error for it."""

    shown: list[tuple[str, int]] = []  # noqa: RUF012
    files: dict[str, bytes | int] = {}  # noqa: RUF012

    def list_folder(self, path: str) -> Any:
        return [self._attributes(name, size) for name, size in self.shown]

    def lstat(self, path: str) -> Any:
        found = self.files.get(path.rpartition("/")[2])
        if found is None:
            return paramiko.SFTP_NO_SUCH_FILE
        return self._attributes("", len(found) if isinstance(found, bytes) else dict(self.shown)[path[1:]])

    def open(self, path: str, flags: int, attr: Any) -> Any:
        found = self.files.get(path.rpartition("/")[2], errno.ENOENT)
        if not isinstance(found, bytes):
            return paramiko.SFTPServer.convert_errno(found)
        handle = paramiko.SFTPHandle(flags)
        read, write = os.pipe()
        os.write(write, found)
        os.close(write)
        handle.read = lambda offset, length: found[offset : offset + length]  # type: ignore[method-assign]
        os.close(read)
        return handle

    def remove(self, path: str) -> int:
        self.files.pop(path.rpartition("/")[2], None)
        return paramiko.SFTP_OK

    @staticmethod
    def _attributes(name: str, size: int) -> paramiko.SFTPAttributes:
        made = paramiko.SFTPAttributes()
        made.filename, made.longname = name, name
        made.st_mode, made.st_size, made.st_mtime, made.st_atime = 0o100644, size, 1000, 1000
        made._flags = made.FLAG_SIZE | made.FLAG_PERMISSIONS | made.FLAG_AMTIME  # type: ignore[attr-defined]
        return made


class Open(paramiko.ServerInterface):
    """Lets everybody in."""

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """odd(shown, files) -> an inlet of a server that behaves so."""
    line = key_pair(tmp_path / "host")
    key_pair(tmp_path / "own")
    host = paramiko.Ed25519Key.from_private_key_file(str(tmp_path / "host"))
    listener = socket.create_server(("127.0.0.1", 0))
    sessions: list[paramiko.Transport] = []
    opened: list[Any] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                session = paramiko.Transport(listener.accept()[0])
                sessions.append(session)
                session.add_server_key(host)
                session.set_subsystem_handler("sftp", paramiko.SFTPServer, Odd)
                with suppress(paramiko.SSHException, EOFError):
                    session.start_server(server=Open())

    thread = threading.Thread(target=serve)
    thread.start()

    def make(shown: list[tuple[str, int]], files: dict[str, bytes | int], **changes: object) -> Any:
        Odd.shown, Odd.files = shown, files
        settings = {"host": "127.0.0.1", "port": listener.getsockname()[1], "user": "u", "key": "file:own"}
        settings |= {"host_keys": [line], "get": "/", "timeout": 5, **changes}
        opened.append(sftp.inlet("partner", sftp.Options.model_validate(settings), Ground(tmp_path, tmp_path)))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)
    for session in sessions:
        session.close()
        session.packetizer.complete_handshake()  # its timer


def test_a_stale_listing_offers_nothing_that_is_not_there(odd: Callable[..., Any]) -> None:
    here = len(WHOLE)
    inlet = odd([("gone.edi", here), ("grown.edi", 10), ("A.edi", here)], {"A.edi": WHOLE, "grown.edi": WHOLE})
    assert [arrival.name for arrival in inlet.collect(10)] == ["A.edi"]


def test_a_file_that_goes_on_for_ever_or_ends_too_soon_is_not_taken(odd: Callable[..., Any]) -> None:
    inlet = odd([("A.edi", len(WHOLE))], {"A.edi": WHOLE})
    [arrival] = inlet.collect(10)
    Odd.files = {"A.edi": WHOLE[:30]}
    with pytest.raises(Unreachable, match="changed"):
        list(inlet.read(arrival))
    Odd.files = {"A.edi": WHOLE * 1000}
    with pytest.raises(Unreachable, match="changed"):
        list(inlet.read(arrival))
    inlet.settle(arrival)
    assert "A.edi" in Odd.files, "what is another file now stays"


def test_what_is_left_there_is_told_once_and_no_more_when_it_is_gone(
    odd: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    here = len(WHOLE)
    shown = [("../../etc/passwd", here), ("secret.edi", here), ("A.edi", here)]
    inlet = odd(shown, {"A.edi": WHOLE, "secret.edi": errno.EACCES})
    with caplog.at_level(logging.WARNING, "eport.sftp"):
        for _ in range(3):
            assert [arrival.name for arrival in inlet.collect(10)] == ["A.edi"]
    assert inlet.left() == "'../../etc/passwd' is a path; 'secret.edi' cannot be read by us"
    assert len(caplog.records) == 2
    Odd.files["secret.edi"] = WHOLE
    del Odd.shown[0]
    assert [arrival.name for arrival in inlet.collect(10)] == ["A.edi", "secret.edi"]
    assert inlet.left() == ""
