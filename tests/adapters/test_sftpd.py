"""The front door, spoken to by OpenSSH's sftp and by paramiko over real sockets."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest
from paramiko import common

from adapters import sftpd
from adapters.sftpd import box, disk, hubside, server
from adapters.sftpd.hubside import BoxInlet, BoxOutlet
from adapters.sftpd.server import SftpDoor
from hub.contract import DoorEndpoint, Ground, Known, Parcel
from hub.errors import DeclarationError

WHOLE = b"UNB+UNOA:1+A+B+260101:0000+1'UNH+1+APERAK:D:96B:UN'UNT+2+1'UNZ+1+1'"
CUT = WHOLE[:40]

needs_openssh = pytest.mark.skipif(shutil.which("sftp") is None, reason="OpenSSH's sftp is not installed")


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Poll; fail when it does not come true in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"did not come true in time; {threading.enumerate()}"
        time.sleep(0.02)


def key_pair(path: Path) -> str:
    """Write an Ed25519 private key; return the public key line."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, s.NoEncryption()))
    path.chmod(0o600)
    return key.public_key().public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH).decode()


@dataclass
class Port:
    """Two parties, `bohai` and `other`, before one door."""

    ground: Ground
    door: SftpDoor
    options: dict[str, sftpd.Options]

    @property
    def home(self) -> Path:
        return self.ground.spool / "boxes" / "bohai"

    def key(self, user: str = "bohai") -> Path:
        return self.ground.site / user

    def inlet(self, user: str = "bohai") -> BoxInlet:
        return sftpd.inlet(user, self.options[user], self.ground)

    def outlet(self, user: str = "bohai") -> BoxOutlet:
        return sftpd.outlet(user, self.options[user], self.ground)

    def taken(self) -> list[tuple[str, bytes]]:
        inlet = self.inlet()
        return [(arrival.name, b"".join(inlet.read(arrival))) for arrival in inlet.collect(100)]

    def sftp(self, *commands: str, user: str = "bohai", key: str = "") -> subprocess.CompletedProcess[str]:
        """Run OpenSSH's sftp with a batch; it stops at the first command that fails."""
        arguments = [
            "sftp",
            "-q",
            "-b",
            "-",
            "-P",
            str(self.door.address[1]),
            "-i",
            str(self.key(key or user)),
        ]
        for option in (
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "LogLevel=ERROR",
        ):
            arguments += ["-o", option]
        arguments += ["-F", "none", f"{user}@127.0.0.1"]
        batch = "\n".join(commands) + "\n"
        return subprocess.run(arguments, input=batch, capture_output=True, text=True, timeout=60, check=False)

    def transport(self, user: str = "bohai") -> paramiko.Transport:
        transport = paramiko.Transport(socket.create_connection(self.door.address, 10))
        transport.start_client(timeout=10)
        transport.auth_publickey(user, paramiko.Ed25519Key.from_private_key_file(str(self.key(user))))
        return transport

    def client(self, user: str = "bohai") -> paramiko.SFTPClient:
        client = paramiko.SFTPClient.from_transport(self.transport(user))
        assert client is not None
        return client


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    ground = Ground(tmp_path / "site", tmp_path / "spool")
    ground.site.mkdir()
    ground.spool.mkdir()
    options = {}
    for user in ("bohai", "other"):
        (ground.site / f"{user}.pub").write_text(key_pair(ground.site / user) + " somebody\n")
        options[user] = sftpd.Options(
            user=user, keys=[f"file:{user}.pub"], max_size=200_000, quota=500_000, incomplete_after=0.3
        )
    key_pair(ground.site / "stranger")
    door = sftpd.door(("127.0.0.1", 0), [DoorEndpoint(name, item) for name, item in options.items()], ground)
    before = threading.active_count()
    yield Port(ground, door, options)
    door.close()
    until(lambda: threading.active_count() < before)


@pytest.fixture
def client(port: Port) -> Iterator[paramiko.SFTPClient]:
    client = port.client()
    yield client
    client.get_channel().get_transport().close()  # type: ignore[union-attr]


def put(client: paramiko.SFTPClient, name: str, data: bytes) -> None:
    with client.open(f"/outbound/{name}", "wb") as file:
        file.write(data)


# ------------------------------------------------------------------------------------------- OpenSSH's sftp


@needs_openssh
def test_openssh_put_is_taken_and_not_listed(port: Port, tmp_path: Path) -> None:
    (tmp_path / "A.edi").write_bytes(WHOLE)
    upload, fetch = f"put -p {tmp_path}/A.edi outbound/A.edi", f"get README.txt {tmp_path}/r"
    result = port.sftp(upload, "ls -1 outbound", "ls -1", fetch)
    assert result.returncode == 0, result.stderr
    assert "A.edi\n" not in result.stdout.split("ls -1 outbound")[1].split("sftp>")[0]
    assert all(folder in result.stdout for folder in ("outbound", "inbound", "archive", "error", "README.txt"))
    assert port.taken() == [("A.edi", WHOLE)]
    assert "报文" in (tmp_path / "r").read_text("utf-8")


@needs_openssh
def test_openssh_put_under_temporary_name_then_rename(port: Port, tmp_path: Path) -> None:
    (tmp_path / "A.edi").write_bytes(WHOLE)
    assert port.sftp("cd outbound", f"put {tmp_path}/A.edi A.edi.part").returncode == 0
    assert port.taken() == []
    assert port.sftp("cd outbound", "rename A.edi.part A.edi").returncode == 0
    assert port.taken() == [("A.edi", WHOLE)]


@needs_openssh
def test_openssh_resumes_a_cut_upload(port: Port, tmp_path: Path) -> None:
    local = tmp_path / "A.edi"
    local.write_bytes(CUT)
    assert port.sftp(f"put {local} outbound/A.edi").returncode == 0
    assert (port.home / "outbound" / "A.edi").read_bytes() == CUT
    assert os.listdir(port.home / ".taken") == []
    local.write_bytes(WHOLE)
    result = port.sftp(f"reput {local} outbound/A.edi")
    assert result.returncode == 0, result.stderr
    assert port.taken() == [("A.edi", WHOLE)]


@needs_openssh
def test_openssh_fetches_and_removes(port: Port, tmp_path: Path) -> None:
    assert [item.known for item in port.outlet().send([Parcel("d1", "R.edi", WHOLE)])] == [Known.DONE]
    result = port.sftp(f"get inbound/R.edi {tmp_path}/got", "rm inbound/R.edi")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "got").read_bytes() == WHOLE
    assert not (port.home / "inbound" / "R.edi").exists()
    assert [item.known for item in port.outlet().probe([Parcel("d1", "R.edi", WHOLE)])] == [Known.DONE]
    assert [item.known for item in port.outlet().send([Parcel("d1", "R.edi", WHOLE)])] == [Known.DONE]
    assert not (port.home / "inbound" / "R.edi").exists(), "a second send must not deliver again"


@needs_openssh
def test_openssh_key_of_another_is_refused(port: Port) -> None:
    for key in ("stranger", "other"):
        result = port.sftp("ls", key=key)
        assert (result.returncode, result.stderr) == (255, "Connection closed\n")
    assert port.sftp("ls", key="bohai").returncode == 0


@needs_openssh
@pytest.mark.parametrize(
    "command",
    [
        "symlink /etc/passwd outbound/A.edi",
        "mkdir outbound/deep",
        "mkdir new",
        "rmdir inbound",
        "get ../../other/outbound/secret.edi /dev/null",
        "get /etc/passwd /dev/null",
        "get .taken/x /dev/null",
        "ls .handed",
        "rename outbound/mine.edi.part inbound/mine.edi",
        "rename outbound/mine.edi.part ../mine.edi",
        "put /etc/hostname inbound/A.edi",
        "put /etc/hostname ../../escape.edi",
        "put /etc/hostname outbound/-x.edi",
        "put /etc/hostname 'outbound/a b.edi'",
        "rm README.txt",
        "rm archive/2026-01-01/A.edi",
    ],
)
def test_openssh_is_refused(port: Port, command: str) -> None:
    (port.home / "outbound" / "mine.edi.part").write_bytes(WHOLE)
    (port.home.parent / "other" / "outbound" / "secret.edi").write_bytes(WHOLE)
    (port.home / "archive" / "2026-01-01").mkdir()
    (port.home / "archive" / "2026-01-01" / "A.edi").write_bytes(WHOLE)
    before = sorted(str(path) for path in port.ground.spool.rglob("*"))
    result = port.sftp(command)
    assert result.returncode != 0, result.stdout
    assert sorted(str(path) for path in port.ground.spool.rglob("*")) == before


@needs_openssh
def test_openssh_sees_no_link_in_its_folders(port: Port, tmp_path: Path) -> None:
    (port.home / "inbound" / "A.edi").symlink_to("/etc/passwd")
    os.mkfifo(port.home / "inbound" / "B.edi")
    result = port.sftp("ls -1 inbound")
    assert "A.edi" not in result.stdout and "B.edi" not in result.stdout
    assert port.sftp(f"get inbound/A.edi {tmp_path}/x").returncode != 0
    assert port.sftp(f"get inbound/B.edi {tmp_path}/x").returncode != 0


# ------------------------------------------------------------------------------------------------- paramiko


def test_put_with_confirm_succeeds(port: Port, client: paramiko.SFTPClient, tmp_path: Path) -> None:
    (tmp_path / "A.edi").write_bytes(WHOLE)
    attributes = client.put(str(tmp_path / "A.edi"), "/outbound/A.edi", confirm=True)
    assert attributes.st_size == len(WHOLE)
    client.utime("/outbound/A.edi", (1, 1))
    assert client.listdir("/outbound") == []
    assert port.taken() == [("A.edi", WHOLE)]


def test_same_name_twice_is_two_arrivals(port: Port, client: paramiko.SFTPClient) -> None:
    put(client, "A.edi", WHOLE)
    put(client, "A.edi", WHOLE)
    arrivals = port.inlet().collect(10)
    assert [arrival.name for arrival in arrivals] == ["A.edi", "A.edi"]
    assert len({arrival.key for arrival in arrivals}) == 2
    assert port.inlet().collect(1) == arrivals[:1]


def test_settle_archives_without_overwriting_and_may_be_repeated(port: Port, client: paramiko.SFTPClient) -> None:
    put(client, "A.edi", WHOLE)
    put(client, "A.edi", WHOLE + b"\n")
    inlet = port.inlet()
    for arrival in inlet.collect(10):
        inlet.settle(arrival)
        inlet.settle(arrival)
    assert inlet.collect(10) == []
    (day,) = client.listdir("/archive")
    assert sorted(client.listdir(f"/archive/{day}")) == ["A-2.edi", "A.edi"]
    with client.open(f"/archive/{day}/A.edi") as file:
        assert file.read() == WHOLE
    with pytest.raises(PermissionError):
        client.remove(f"/archive/{day}/A.edi")


@pytest.mark.parametrize(("data", "taken"), [(WHOLE, True), (CUT, False), (b"free text", False), (b"", False)])
def test_lost_connection_is_taken_only_on_evidence(port: Port, data: bytes, taken: bool) -> None:
    client = port.client()
    file = client.open("/outbound/A.edi", "wb")
    file.write(data)
    file.flush()
    assert file.stat().st_size == len(data)
    transport = client.get_channel().get_transport()  # type: ignore[union-attr]
    transport.sock.shutdown(socket.SHUT_RDWR)
    transport.close()
    until(lambda: not [item for item in port.door.handlers if item.is_alive()])
    assert bool(os.listdir(port.home / ".taken")) == taken
    assert (port.home / "outbound" / "A.edi").exists() != taken


def test_empty_and_unknown_files_are_complete_when_closed(port: Port, client: paramiko.SFTPClient) -> None:
    put(client, "empty.edi", b"")
    put(client, "text.txt", b"free text")
    assert port.taken() == [("empty.edi", b""), ("text.txt", b"free text")]


def test_cut_file_is_collected_after_a_while_and_settled(port: Port, client: paramiko.SFTPClient) -> None:
    put(client, "A.edi", CUT)
    inlet = port.inlet()
    until(lambda: inlet.collect(10))
    (arrival,) = inlet.collect(10)
    assert (arrival.name, b"".join(inlet.read(arrival))) == ("A.edi", CUT)
    inlet.settle(arrival)
    inlet.settle(arrival)
    assert client.listdir("/outbound") == []
    assert inlet.collect(10) == []


def test_cut_file_being_resumed_is_left_alone(port: Port, client: paramiko.SFTPClient) -> None:
    put(client, "A.edi", CUT)
    inlet = port.inlet()
    until(lambda: inlet.collect(10))
    (arrival,) = inlet.collect(10)
    with client.open("/outbound/A.edi", "ab") as file:
        assert inlet.collect(10) == []
        inlet.settle(arrival)
        file.write(WHOLE[len(CUT) :])
    inlet.settle(arrival)
    assert port.taken() == [("A.edi", WHOLE)]


def test_two_writers_of_one_name_are_refused(port: Port, client: paramiko.SFTPClient) -> None:
    with client.open("/outbound/A.edi", "wb") as file:
        with pytest.raises(OSError, match="Failure"):
            client.open("/outbound/A.edi", "wb")
        with pytest.raises(OSError, match="Failure"):
            client.remove("/outbound/A.edi")
        with pytest.raises(OSError, match="Failure"):
            client.rename("/outbound/A.edi", "/outbound/B.edi")
        file.write(WHOLE)
    assert port.taken() == [("A.edi", WHOLE)]


def test_rename_never_overwrites(port: Port, client: paramiko.SFTPClient) -> None:
    put(client, "A.edi", CUT)
    put(client, "B.edi.part", WHOLE)
    for rename in (client.rename, client.posix_rename):
        with pytest.raises(OSError, match="Failure"):
            rename("/outbound/B.edi.part", "/outbound/A.edi")
    assert (port.home / "outbound" / "A.edi").read_bytes() == CUT


def test_oversize_fails_and_is_offered_by_its_size_alone(port: Port, client: paramiko.SFTPClient) -> None:
    with pytest.raises(OSError, match="Failure"):
        put(client, "big.edi", WHOLE + b" " * 300_000)
    inlet = port.inlet()
    until(lambda: inlet.collect(10))
    (arrival,) = inlet.collect(10)
    assert arrival.name == "big.edi"
    assert arrival.size > port.options["bohai"].max_size
    data = b"".join(inlet.read(arrival))
    assert data.startswith(WHOLE)
    assert len(data) == 4096
    assert client.listdir("/outbound") == []


def test_quota_fails_without_a_trace(port: Port, client: paramiko.SFTPClient) -> None:
    for number in range(2):
        put(client, f"{number}.txt", b"x" * 199_000)
    with pytest.raises(OSError, match="Failure"):
        put(client, "last.txt", b"x" * 199_000)
    until(lambda: client.listdir("/outbound") == [])
    assert [name for name, _ in port.taken()] == ["0.txt", "1.txt"]


def test_parties_do_not_see_each_other(port: Port, client: paramiko.SFTPClient) -> None:
    other = port.client("other")
    put(client, "A.edi", CUT)
    assert other.listdir("/outbound") == []
    assert other.normalize("/../../bohai/outbound/..") == "/bohai"
    with pytest.raises(FileNotFoundError):
        other.stat("/../bohai/outbound/A.edi")
    other.get_channel().get_transport().close()  # type: ignore[union-attr]


def test_more_sessions_than_allowed_are_refused(port: Port) -> None:
    clients = [port.client() for _ in range(server.SESSIONS_PER_PARTY)]
    with pytest.raises((paramiko.SSHException, EOFError, OSError)):
        port.client()
    assert clients[0].listdir("/") == ["README.txt", "archive", "error", "inbound", "outbound"]
    other = port.client("other")
    for client in [*clients, other]:
        client.get_channel().get_transport().close()  # type: ignore[union-attr]


def test_only_public_keys_and_three_tries(port: Port) -> None:
    transport = paramiko.Transport(socket.create_connection(port.door.address, 10))
    transport.start_client(timeout=10)
    with pytest.raises(paramiko.BadAuthenticationType) as refused:
        transport.auth_password("bohai", "secret", fallback=False)
    assert refused.value.allowed_types == ["publickey"]
    stranger = paramiko.Ed25519Key.from_private_key_file(str(port.key("stranger")))
    for _ in range(server.AUTH_TRIES):
        with pytest.raises(paramiko.SSHException):
            transport.auth_publickey("bohai", stranger)
    until(lambda: not transport.is_active())
    transport.close()


def packet(payload: bytes) -> bytes:
    """An unencrypted SSH packet (RFC 4253, 6)."""
    padding = 8 - (5 + len(payload)) % 8 + 8
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


NO_ALGORITHMS = packet(b"\x14" + bytes(16) + bytes(4 * 10) + bytes(5))
GARBAGE = {
    "nothing": b"",
    "http": b"GET / HTTP/1.1\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01" + bytes(range(256)) * 2,
    "no end": b"x" * 100_000,
    "no text": b"\xff\xfe\r\n" * 200,
    "a greeting": b"SSH-2.0-x\r\n",
    "a greeting and noise": b"SSH-2.0-x\r\n" + bytes(range(256)) * 2,
    "an early packet": b"SSH-2.0-x\r\n" + packet(b"\x5a" + bytes(30)),
    "names that are no text": b"SSH-2.0-x\r\n" + packet(b"\x14" + bytes(16) + b"\0\0\0\4\xff\xfe\xfd\xfc" * 10),
}


def lines_logged(port: Port, log: pytest.LogCaptureFixture, data: bytes) -> list[tuple[str, int]]:
    """(logger, level) of what is logged from INFO up until a connection that sends `data` is over and forgotten."""
    log.set_level(logging.INFO)
    with socket.create_connection(port.door.address, 10) as connection, suppress(OSError):
        until(lambda: port.door._sessions)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    until(lambda: not port.door._sessions)
    return [(record.name, record.levelno) for record in log.records]


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_a_port_scan_is_one_quiet_line(port: Port, caplog: pytest.LogCaptureFixture, data: bytes) -> None:
    assert lines_logged(port, caplog, data) == [("eport.sftpd", logging.INFO)]
    assert "127.0.0.1 did not log in" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_client_without_a_common_algorithm_is_one_warning(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    data = b"SSH-2.0-old\r\n" + NO_ALGORITHMS
    assert lines_logged(port, caplog, data) == [("eport.sftpd", logging.WARNING)]
    assert "no acceptable" in caplog.text


def test_refused_keys_are_one_line_and_a_login_is_none(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "eport.sftpd")
    stranger = paramiko.Ed25519Key.from_private_key_file(str(port.key("stranger")))
    transport = paramiko.Transport(socket.create_connection(port.door.address, 10))
    transport.start_client(timeout=10)
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_publickey("bohai", stranger)
    transport.close()
    until(lambda: not port.door._sessions)
    assert [record.message for record in caplog.records if record.name == "eport.sftpd"] == [
        "127.0.0.1 did not log in: 'keys refused'"
    ]
    caplog.clear()
    port.transport().close()
    until(lambda: not port.door._sessions)
    assert [record for record in caplog.records if record.name == "eport.sftpd"] == []


def test_a_fault_of_our_own_is_still_told_in_full(
    port: Port, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(keeper: server.Doorkeeper, username: str, key: paramiko.PKey) -> int:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(server.Doorkeeper, "check_auth_publickey", broken)
    with pytest.raises(paramiko.SSHException):
        port.transport()
    until(lambda: not port.door._sessions)
    told = [record.message for record in caplog.records if record.name == server.CHANNEL]
    assert any("a bug of ours" in line for line in told)
    assert any("in broken" in line for line in told), "the traceback"


def test_a_fault_after_the_login_is_still_told_in_full(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    transport = port.transport()
    until(lambda: any(session.party for session in port.door._sessions))
    message = paramiko.Message()
    message.add_byte(bytes([common.MSG_CHANNEL_EOF]))
    message.add_int(77)
    transport._send_message(message)  # type: ignore[attr-defined]
    until(lambda: not port.door._sessions)
    told = [record.message for record in caplog.records if record.name == server.CHANNEL]
    assert "Channel request for unknown channel 77" in told
    transport.close()


@pytest.mark.parametrize("weak", ["aes256-cbc", "3des-cbc", "hmac-sha1", "hmac-md5"])
def test_the_door_speaks_no_legacy_algorithm(port: Port, weak: str) -> None:
    transport = paramiko.Transport(socket.create_connection(port.door.address, 10))
    security = transport.get_security_options()
    if weak.startswith("hmac"):
        security.digests = (weak,)
    else:
        security.ciphers = (weak,)
    with pytest.raises(paramiko.SSHException, match="no acceptable"):
        transport.start_client(timeout=10)
    transport.close()
    transport.packetizer.complete_handshake()


def test_garbage_and_hang_ups_do_not_stop_the_door(port: Port) -> None:
    for garbage in GARBAGE.values():
        with socket.create_connection(port.door.address, 10) as connection, suppress(OSError):
            connection.sendall(garbage)
    client = port.client()
    put(client, "A.edi", WHOLE)
    assert port.taken() == [("A.edi", WHOLE)]
    client.get_channel().get_transport().close()  # type: ignore[union-attr]


def test_host_key_is_kept_and_private(port: Port) -> None:
    path = port.ground.spool / "keys" / "sftpd_host_ed25519"
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    again = sftpd.door(("127.0.0.1", 0), [], port.ground)
    again.close()
    assert path.read_bytes() == before


def test_unusable_keys_and_doubled_users_are_told(port: Port) -> None:
    for lines in (["ssh-dss AAAA"], ["ssh-ed25519 AAAAB3NzaC1yc2E="], ["file:none.pub"], ["ssh-ed25519 A"]):
        with pytest.raises(DeclarationError):
            server.key_blobs(lines, port.ground)
    missing = sftpd.Options(user="late", keys=["file:late.pub"])
    alone = sftpd.door(("127.0.0.1", 0), [DoorEndpoint("a", missing)], port.ground)
    assert list(alone.keyless()) == ["a"] and "late.pub" in alone.keyless()["a"]
    alone.close()
    twice = [DoorEndpoint(name, port.options["bohai"]) for name in ("a", "b")]
    with pytest.raises(DeclarationError, match="another endpoint"):
        sftpd.door(("127.0.0.1", 0), twice, port.ground)


def test_a_missing_key_keeps_its_own_party_out_until_it_is_there(tmp_path: Path) -> None:
    ground = Ground(tmp_path / "site", tmp_path / "spool")
    for folder in (ground.site, ground.spool):
        folder.mkdir()
    lines = {user: key_pair(ground.site / user) for user in ("bohai", "late")}
    (ground.site / "bohai.pub").write_text(lines["bohai"])
    ends = {user: sftpd.Options(user=user, keys=[f"file:{user}.pub"]) for user in lines}
    door = sftpd.door(("127.0.0.1", 0), [DoorEndpoint(user, options) for user, options in ends.items()], ground)
    port = Port(ground, door, ends)
    try:
        port.transport().close()
        with pytest.raises(paramiko.AuthenticationException):
            port.transport("late")
        (ground.site / "late.pub").write_text("no key at all")
        assert "not an OpenSSH public key line" in door.keyless()["late"]
        (ground.site / "late.pub").write_text(lines["late"])
        assert door.keyless() == {}
        port.transport("late").close()
    finally:
        door.close()


# ------------------------------------------------------------------------------------------------ left behind


def days_ago(path: Path, days: float) -> None:
    then = time.time() - days * 86_400
    os.utime(path, (then, then))


def test_a_new_session_finds_its_abandoned_uploads_gone(port: Port) -> None:
    outbound = port.home / "outbound"
    for name, days in (("old.edi.part", 2), (".old.edi", 2), ("fresh.edi.part", 0.5), ("cut.edi", 2)):
        (outbound / name).write_bytes(CUT)
        days_ago(outbound / name, days)
    (port.home.parent / "other" / "outbound" / "theirs.part").write_bytes(CUT)
    days_ago(port.home.parent / "other" / "outbound" / "theirs.part", 2)
    client = port.client()
    assert client.listdir("/outbound") == ["cut.edi", "fresh.edi.part"]
    assert (port.home.parent / "other" / "outbound" / "theirs.part").exists()
    client.get_channel().get_transport().close()  # type: ignore[union-attr]


def test_abandoned_uploads_of_a_party_that_never_comes_back_go_too(port: Port) -> None:
    outbound = port.home / "outbound"
    for name, days in (("old.edi.part", 2), ("fresh.edi.part", 0.5)):
        (outbound / name).write_bytes(CUT)
        days_ago(outbound / name, days)
    assert list(port.inlet().collect(10)) == []
    assert [path.name for path in outbound.iterdir()] == ["fresh.edi.part"]


def test_while_nothing_is_taken_in_the_door_says_why_and_still_gives_out(
    port: Port, client: paramiko.SFTPClient
) -> None:
    (port.home / "inbound" / "answer.edi").write_bytes(b"answer")
    port.door.refuse("the disk is nearly full")
    with pytest.raises(OSError, match="the disk is nearly full"):
        put(client, "A.txt", b"x")
    with client.open("/inbound/answer.edi") as file:
        assert file.read() == b"answer"
    port.door.refuse("")
    put(client, "A.txt", b"x")
    until(lambda: [name for name, _ in port.taken()] == ["A.txt"])


def test_abandoned_uploads_no_longer_fill_the_quota(
    port: Port, client: paramiko.SFTPClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        put(client, f"{number}.part", b"x" * 199_000)
    with pytest.raises(OSError, match="Failure"):
        put(client, "A.txt", b"x" * 199_000)
    until(lambda: client.listdir("/outbound") == ["0.part", "1.part"])
    for number in range(2):
        days_ago(port.home / "outbound" / f"{number}.part", 2)
    monkeypatch.setattr(box, "TIDY_SECONDS", 0)
    put(client, "A.txt", b"x" * 199_000)
    assert client.listdir("/outbound") == []
    assert [name for name, _ in port.taken()] == ["A.txt"]


def test_an_upload_that_is_open_is_not_abandoned(
    port: Port, client: paramiko.SFTPClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(box, "TIDY_SECONDS", 0)
    with client.open("/outbound/A.edi.part", "wb") as file:
        file.write(CUT)
        file.flush()
        assert file.stat().st_size == len(CUT)
        days_ago(port.home / "outbound" / "A.edi.part", 2)
        put(client, "B.edi", WHOLE)
        assert client.listdir("/outbound") == ["A.edi.part"]
        file.write(WHOLE[len(CUT) :])
    client.rename("/outbound/A.edi.part", "/outbound/A.edi")
    assert [name for name, _ in port.taken()] == ["B.edi", "A.edi"]


def test_the_age_of_abandoned_uploads_is_told_to_the_party(port: Port) -> None:
    assert "24 hours" in (port.home / "README.txt").read_text("utf-8")
    options = sftpd.Options(user="u", keys=[], abandoned_after=5400)
    sftpd.inlet("third", options, port.ground)
    assert "超过 1.5 小时" in (port.ground.spool / "boxes" / "third" / "README.txt").read_text("utf-8")


def test_markers_that_nobody_will_ask_for_are_removed(port: Port) -> None:
    parcels = [Parcel(f"d{number}", f"{number}.edi", WHOLE) for number in range(3)]
    assert {item.known for item in port.outlet().send(parcels)} == {Known.DONE}
    for parcel in parcels:
        (port.home / "inbound" / parcel.name).unlink()
    days_ago(port.home / ".handed" / "d0", hubside.MARKERS_KEPT_DAYS + 1)
    days_ago(port.home / ".handed" / "d1", hubside.MARKERS_KEPT_DAYS - 1)
    again = port.outlet()
    assert [item.known for item in again.probe(parcels)] == [Known.DONE] * 3
    assert [item.known for item in again.send(parcels)] == [Known.DONE] * 3, "the old marker answers once more"
    assert os.listdir(port.home / "inbound") == []
    assert sorted(os.listdir(port.home / ".handed")) == ["d1", "d2"]


def test_an_old_marker_of_a_try_that_failed_is_made_new(port: Port) -> None:
    parcel = Parcel("d1", "A.edi", WHOLE)
    first = port.outlet()
    first._prepare(parcel)
    first._mark([parcel])
    days_ago(port.home / ".handed" / "d1", hubside.MARKERS_KEPT_DAYS + 1)
    assert [item.known for item in port.outlet().send([parcel])] == [Known.DONE]
    (port.home / "inbound" / "A.edi").unlink()
    assert [item.known for item in port.outlet().send([parcel])] == [Known.DONE]
    assert os.listdir(port.home / "inbound") == []


# ------------------------------------------------------------------------------------------- the hub's side


def test_outlet_lays_companions_and_data_into_the_folder(port: Port, client: paramiko.SFTPClient) -> None:
    parcels = [
        Parcel("d1", "A.edi", WHOLE, companions=(("A.edi.p7s", b"signature"),)),
        Parcel("d2", "B.edi", b"why", folder="error"),
        Parcel("d3", "C.edi", b"x", folder="outbound"),
    ]
    known = [item.known for item in port.outlet().send(parcels)]
    assert known == [Known.DONE, Known.DONE, Known.REFUSED]
    assert client.listdir("/inbound") == ["A.edi", "A.edi.p7s"]
    assert client.listdir("/error") == ["B.edi"]
    client.remove("/error/B.edi")
    assert [item.known for item in port.outlet().probe(parcels)] == [Known.DONE, Known.DONE, Known.REFUSED]


def test_outlet_never_overwrites(port: Port) -> None:
    outlet = port.outlet()
    assert [item.known for item in outlet.send([Parcel("d1", "A.edi", WHOLE)])] == [Known.DONE]
    assert [item.known for item in outlet.send([Parcel("d2", "A.edi", CUT)])] == [Known.REFUSED]
    assert (port.home / "inbound" / "A.edi").read_bytes() == WHOLE


def test_outlet_prepared_but_not_renamed_is_not_done(port: Port) -> None:
    parcel = Parcel("d1", "A.edi", WHOLE)
    assert [item.known for item in port.outlet().probe([parcel])] == [Known.NOT_DONE]
    outlet = port.outlet()
    outlet._prepare(parcel)
    outlet._mark([parcel])
    assert [item.known for item in port.outlet().probe([parcel])] == [Known.NOT_DONE]
    assert [item.known for item in port.outlet().send([parcel])] == [Known.DONE]
    assert sorted(os.listdir(port.home / "inbound")) == ["A.edi"]


def test_outlet_without_its_folders_does_nothing_and_knows_nothing(port: Port) -> None:
    parcel = Parcel("d1", "A.edi", WHOLE)
    outlet = port.outlet()
    port.home.rename(port.home.with_name("unmounted"))
    assert [item.known for item in outlet.send([parcel])] == [Known.NOT_DONE]
    assert [item.known for item in outlet.probe([parcel])] == [Known.UNKNOWN]


def test_outlet_is_in_doubt_only_about_what_it_has_named(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    outlet = port.outlet()
    named: list[str] = []
    rename, fsync_folder = os.rename, disk.fsync_folder

    def naming(old: Path, new: Path) -> None:
        if Path(new).name == "B.edi":
            raise OSError(28, "No space left on device")
        rename(old, new)
        named.append(Path(new).name)

    def failing(folder: Path) -> None:
        if "A.edi" in named:
            raise OSError(5, "Input/output error")
        fsync_folder(folder)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", naming)
        patch.setattr(disk, "fsync_folder", failing)
        told = list(outlet.send([Parcel("d1", "A.edi", WHOLE), Parcel("d2", "B.edi", WHOLE)]))
    assert [item.known for item in told] == [Known.UNKNOWN, Known.NOT_DONE]
    assert [item.known for item in outlet.send([Parcel("d2", "B.edi", WHOLE)])] == [Known.DONE]
