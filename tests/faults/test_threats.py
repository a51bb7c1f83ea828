"""Those who should not be here: strangers and greedy guests at the doors, files that eat memory, secrets that leak.
Each against a hub in its own processes; after each the next good file goes through."""

from __future__ import annotations

import base64
import io
import os
import re
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from hub.engine.doors import addresses
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.sandbox import show as shown
from hub.sandbox.sender import hand_in, sftp
from hub.sandbox.show import running, stage
from tests.faults.conftest import ARRIVAL, ROOT, manifest, many, names, until

MEGABYTE = 1 << 20


class Hub:
    """A hub that runs for all tests of this file, and its processes."""

    def __init__(self, site: Path, process: subprocess.Popen[bytes]) -> None:
        self.site, self.process = site, process
        self.door = addresses(site / "spool")["sftpd"]
        self.keys = site / "spool" / "keys"
        self.journal = Journal(site / "spool", "test")

    def role(self, name: str) -> int:
        """The process of a role: they are started in this order."""
        roles = ["gate", "worker", "courier", "clock"]
        return children(self.process.pid)[roles.index(name)]

    def state(self, name: str) -> str:
        i = t.interchange
        row = self.journal.row(select(i.c.state).where(i.c.name == name, i.c.state != "received"))
        return row["state"] if row else ""

    def works(self) -> None:
        """A good file over SFTP is answered and delivered, by the same processes as before."""
        data = manifest()
        name = f"{data.split(b'+')[data.split(b'+').index(b'785') + 1].decode()}.edi"
        inbox = self.site / "spool" / "boxes" / "customs" / "in"
        before = len(names(inbox))
        hand_in(self.site, "TJLINE", name, data)
        until(lambda: self.state(name) == "opened", what=name)
        until(lambda: len(names(inbox)) > before)
        log = (self.site / "spool" / "run" / "hub.log").read_text("utf-8")
        assert "starts again" not in log, log[-2000:]


def children(pid: int) -> list[int]:
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if int(file.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(file.parent.name))
    return sorted(found)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    site = tmp_path_factory.mktemp("site")
    stage(ROOT, site)
    with running(site) as process:
        opened = Hub(site, process)
        opened.works()
        yield opened
        opened.journal.close()


# ---- who may come in


def key(hub: Hub, name: str) -> paramiko.PKey:
    return paramiko.Ed25519Key.from_private_key_file(str(hub.keys / f"{name}.key"))


WAYS_IN: dict[str, Callable[[paramiko.Transport, Hub], object]] = {
    "an unknown user": lambda way, hub: way.auth_publickey("nobody", key(hub, "tjline")),
    "a stranger's key": lambda way, hub: way.auth_publickey("tjline", paramiko.RSAKey.generate(2048)),
    "another party's key": lambda way, hub: way.auth_publickey("tjline", key(hub, "bohai")),
    "the system's root": lambda way, hub: way.auth_publickey("root", key(hub, "tjline")),
    "a password": lambda way, hub: way.auth_password("tjline", "tjline", fallback=False),
    "nothing": lambda way, hub: way.auth_none("tjline"),
}


@pytest.mark.parametrize("who", WAYS_IN)
def test_nobody_comes_in_by(hub: Hub, who: str) -> None:
    way = paramiko.Transport(hub.door)
    try:
        way.start_client(timeout=10)
        with pytest.raises(paramiko.AuthenticationException):
            WAYS_IN[who](way, hub)
        assert not way.is_authenticated()
        with pytest.raises(paramiko.SSHException):
            way.open_session(timeout=5)
    finally:
        way.close()
    hub.works()


def test_a_shell_a_command_and_a_tunnel_are_refused(hub: Hub) -> None:
    way = paramiko.Transport(hub.door)
    try:
        way.connect(username="tjline", pkey=key(hub, "tjline"))
        for ask in ("get_pty", "invoke_shell"):
            with pytest.raises(paramiko.SSHException):
                getattr(way.open_session(timeout=5), ask)()
        with pytest.raises(paramiko.SSHException):
            way.open_session(timeout=5).exec_command("id")
        with pytest.raises(paramiko.ChannelException):
            way.open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1), timeout=5)
    finally:
        way.close()
    hub.works()


PATHS = (
    "/../tjline/outbound/{}",
    "../tjline/inbound/{}",
    "../../keys/hub.key",
    "outbound/../../tjline/inbound/{}",
    "/etc/passwd",
    ".taken/{}",
    ".handed/{}",
    "outbound/a/b",
    "outbound/..",
    "inbound//..//..//keys//hub.key",
    "outbound/\0{}",
)


@pytest.mark.parametrize("path", PATHS, ids=ascii)
def test_a_party_reaches_nothing_but_its_own_folders(hub: Hub, path: str) -> None:
    secret = hub.site / "spool" / "boxes" / "tjline" / "inbound" / "secret.edi"
    secret.write_bytes(b"not yours")
    path = path.format("secret.edi")
    with sftp(hub.door, "bohai", hub.keys / "bohai.key") as session:
        for mode in ("r", "w", "a", "x", "r+"):
            with pytest.raises(OSError):
                session.open(path, mode).close()
        for step in (session.remove, session.listdir, session.mkdir, session.rmdir):
            assert _refused_or_own(step, path)
        with pytest.raises(OSError):
            session.rename("outbound/x.edi", path)
        with pytest.raises(OSError):
            session.symlink(path, "outbound/link.edi")
        with pytest.raises(OSError):
            session.symlink("/etc/passwd", path)
    assert secret.read_bytes() == b"not yours"
    secret.unlink()
    hub.works()


def _refused_or_own(step: Callable[[str], Any], path: str) -> bool:
    """True when a step is refused, or what it shows are the party's own folders."""
    try:
        result = step(path)
    except OSError:
        return True
    return isinstance(result, list) and set(result) <= {"outbound", "inbound", "archive", "error", "README.txt"}


def test_a_party_changes_no_modes_owners_or_times_and_overwrites_nothing(hub: Hub) -> None:
    box = hub.site / "spool" / "boxes" / "bohai"
    answer = box / "inbound" / "answer.edi"
    answer.write_bytes(b"from the hub")
    before = answer.stat()
    with sftp(hub.door, "bohai", hub.keys / "bohai.key") as session:
        for step in (
            lambda: session.chmod("inbound/answer.edi", 0o777),
            lambda: session.chown("inbound/answer.edi", 0, 0),
            lambda: session.utime("inbound/answer.edi", (1, 1)),
            lambda: session.truncate("inbound/answer.edi", 0),
            lambda: session.rename("inbound/answer.edi", "inbound/mine.edi"),
            lambda: session.posix_rename("outbound/x.part", "inbound/answer.edi"),
            lambda: session.open("inbound/answer.edi", "w").close(),
            lambda: session.open("README.txt", "w").close(),
        ):
            with suppress(OSError):
                step()
        after = answer.stat()
        assert (after.st_mode, after.st_mtime_ns, after.st_size) == (before.st_mode, before.st_mtime_ns, before.st_size)
        session.putfo(io.BytesIO(b"UNB+one"), "outbound/one.edi.part", confirm=False)
        session.putfo(io.BytesIO(b"UNB+two"), "outbound/two.edi.part", confirm=False)
        with pytest.raises(OSError):
            session.posix_rename("outbound/one.edi.part", "outbound/two.edi.part")
        assert (box / "outbound" / "two.edi.part").read_bytes() == b"UNB+two"
        session.remove("outbound/one.edi.part")
        session.remove("outbound/two.edi.part")
        session.remove("inbound/answer.edi")
    hub.works()


@pytest.mark.parametrize("name", ["has space.edi", "舱单.edi", "new\nline.edi", "-rf", "a" * 251 + ".edi"])
def test_a_name_that_no_answer_could_have_is_refused_at_the_upload(hub: Hub, name: str) -> None:
    with sftp(hub.door, "tjline", hub.keys / "tjline.key") as session:
        with pytest.raises(OSError):
            session.putfo(io.BytesIO(manifest()), f"outbound/{name}")
        assert session.listdir("outbound") == []
    hub.works()


# ---- greed


def test_a_huge_folder_is_listed_and_costs_the_gate_little(hub: Hub) -> None:
    folder = hub.site / "spool" / "boxes" / "bohai" / "inbound"
    for number in range(10_000):
        (folder / f"answer-{number:06}.edi").touch()
    with peak(hub.role("gate")) as grown, sftp(hub.door, "bohai", hub.keys / "bohai.key") as session:
        began = time.monotonic()
        assert len(session.listdir("inbound")) == 10_000
        assert time.monotonic() - began < 20
    assert grown() < 64 * MEGABYTE
    for path in folder.iterdir():
        path.unlink()
    hub.works()


def look_into(pid: int) -> None:
    """The hub lets no other process of its user look into its own (hub.engine.footing): only root does."""
    if not os.access(f"/proc/{pid}/fd", os.R_OK):
        pytest.skip("only root looks into a process that has closed its memory")


def threads_and_files(pid: int) -> tuple[int, int]:
    look_into(pid)
    return len(os.listdir(f"/proc/{pid}/task")), len(os.listdir(f"/proc/{pid}/fd"))


def test_strangers_who_only_connect_are_few_and_leave_nothing_behind(hub: Hub) -> None:
    gate = hub.role("gate")
    before = threads_and_files(gate)
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(hub.door, timeout=5))
        until(lambda: threads_and_files(gate)[0] > before[0])
        assert threads_and_files(gate)[1] < before[1] + 64
    until(lambda: sum(threads_and_files(gate)) <= sum(before) + 2, what=f"as before: {before}")
    until(lambda: comes_in(hub))  # those who were still in the queue are let go one by one
    hub.works()


def comes_in(hub: Hub) -> bool:
    try:
        with sftp(hub.door, "tjline", hub.keys / "tjline.key") as session:
            return bool(session.listdir("."))
    except (OSError, EOFError, paramiko.SSHException):
        return False


def test_garbage_at_the_doors_is_no_trouble(hub: Hub) -> None:
    http = addresses(hub.site / "spool")["http"]
    for door in (hub.door, http):
        for data in (
            b"\0" * 5000,
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
            os.urandom(2000),
            b"SSH-1.5-x\r\n",
        ):
            with socket.create_connection(door, timeout=5) as stranger, suppress(OSError):
                stranger.sendall(data)
                stranger.settimeout(1)
                stranger.recv(200)
    hub.works()


def test_a_sender_who_opens_and_never_writes_leaves_no_thread_and_no_file_open(hub: Hub) -> None:
    gate = hub.role("gate")
    before = threads_and_files(gate)
    for number in range(5):
        way = paramiko.Transport(hub.door)
        way.connect(username="tjline", pkey=key(hub, "tjline"))
        session = paramiko.SFTPClient.from_transport(way)
        assert session is not None
        session.open(f"outbound/slow-{number}.edi", "w")
        if number % 2:
            session.open(f"outbound/slow-{number}-too.edi", "w").write(b"UNB+UNOA:3+TJ")
        way.sock.close()  # the line is cut, without good-bye
        way.close()
    until(lambda: sum(threads_and_files(gate)) <= sum(before) + 2, what=f"as before: {before}")
    with sftp(hub.door, "tjline", hub.keys / "tjline.key") as session:
        for name in session.listdir("outbound"):
            session.remove(f"outbound/{name}")
    hub.works()


def test_a_guest_who_sits_on_his_session_does_not_keep_others_out(hub: Hub) -> None:
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(sftp(hub.door, "bohai", hub.keys / "bohai.key"))
        hub.works()


# ---- memory


@contextmanager
def peak(*pids: int) -> Iterator[Callable[[], int]]:
    """By how many bytes the most grown of these processes has grown beyond what it had, at its peak."""
    for pid in pids:
        look_into(pid)
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = {pid: memory(pid, "VmRSS") for pid in pids}
    yield lambda: max(memory(pid, "VmHWM") - before[pid] for pid in pids)


def memory(pid: int, what: str) -> int:
    found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def test_a_hundred_megabytes_by_folder_are_refused_in_little_memory(hub: Hub) -> None:
    path = hub.site / "spool" / "boxes" / "terminal" / "outbound" / ".huge.edi"
    path.write_bytes(manifest())
    with path.open("r+b") as file:
        file.seek(100_000_000 - 20)
        file.write(b"'UNZ+1+TJ26112301'\n ")
    with peak(hub.role("gate"), hub.role("worker")) as grown:
        path.rename(path.with_name("huge.edi"))
        until(lambda: hub.state("huge.edi") == "rejected")
        error = hub.site / "spool" / "boxes" / "terminal" / "error"
        until(lambda: [name for name in names(error) if name.endswith("huge.edi.error.json")])
    assert grown() < 64 * MEGABYTE
    [told] = [name for name in names(error) if name.endswith("huge.edi.error.json")]
    assert b"opening.too_large" in (error / told).read_bytes()
    assert not path.with_name("huge.edi").exists()
    hub.works()


@pytest.mark.slow
def test_a_hundred_megabytes_over_sftp_are_refused_in_little_memory(hub: Hub) -> None:
    with peak(hub.role("gate"), hub.role("worker")) as grown:
        with (
            sftp(hub.door, "tjline", hub.keys / "tjline.key") as session,
            pytest.raises(OSError),
            session.open("outbound/endless.edi", "w") as file,
        ):
            file.set_pipelined(True)
            file.write(manifest()[:-30])
            for _ in range(100):
                file.write(b"A" * MEGABYTE)
        until(lambda: hub.state("endless.edi") == "rejected")
    assert grown() < 64 * MEGABYTE
    error = hub.site / "spool" / "boxes" / "tjline" / "error"
    [told] = until(lambda: [name for name in names(error) if name.endswith("endless.edi.error.json")])
    assert b"opening.too_large" in (error / told).read_bytes()
    hub.works()


def fat(size: int) -> bytes:
    """One good manifest of about so many bytes, most of them free text."""
    text = manifest().replace(b"\n", b"")
    free = b"FTX+AAI+++" + b":".join([b"A" * 70] * 5) + b"'"
    text = text.replace(b"FTX+AAA+++PUMPS FOR LIQUIDS'", b"FTX+AAA+++PUMPS FOR LIQUIDS'" + free * 8)
    at, end = text.index(b"CNI+2"), text.index(b"UNT+")
    goods = text[at:end]
    more = (
        goods.replace(b"CNI+2", b"CNI+%d" % (n + 2)).replace(b"PUSTXG2611002", b"PUSTXG%07d" % n)
        for n in range(size // len(goods))
    )
    body = text[:at] + b"".join(more)
    count = body[body.index(b"UNH") :].count(b"'")
    return body + b"UNT+%d+1'" % count + text[text.index(b"UNZ") :]


@pytest.mark.slow
def test_twenty_megabytes_within_the_agreed_limit_are_taken(hub: Hub) -> None:
    data = fat(20_000_000)
    with peak(hub.role("gate")) as gate, peak(hub.role("worker")) as worker:
        began = time.monotonic()
        hand_in(hub.site, "TJLINE", "fat.edi", data)
        until(lambda: hub.state("fat.edi"), 90)
        print(f"{len(data)} bytes in {time.monotonic() - began:.1f} s; gate +{gate()}, worker +{worker()} bytes")
        assert hub.state("fat.edi") == "opened"
        assert gate() < 64 * MEGABYTE and worker() < 20 * len(data) + 64 * MEGABYTE
    hub.works()


def long(segments: int) -> bytes:
    """One good manifest of about so many segments."""
    text = manifest().replace(b"\n", b"")
    at, end = text.index(b"CNI+2"), text.index(b"UNT+")
    goods = text[at:end]
    more = (
        goods.replace(b"CNI+2", b"CNI+%d" % (n + 2)).replace(b"PUSTXG2611002", b"PUSTXG%07d" % n)
        for n in range(segments // goods.count(b"'"))
    )
    body = text[:at] + b"".join(more)
    count = body[body.index(b"UNH") :].count(b"?'")
    count = body[body.index(b"UNH") :].count(b"'") - count + 1
    return body + b"UNT+%d+1'" % count + text[text.index(b"UNZ") :]


@pytest.mark.slow
def test_a_message_of_a_hundred_thousand_segments_is_taken(hub: Hub) -> None:
    data = long(100_000)
    with peak(hub.role("worker")) as worker:
        began = time.monotonic()
        hand_in(hub.site, "TJLINE", "long.edi", data)
        until(lambda: hub.state("long.edi"), 90)
        print(f"{len(data)} bytes in {time.monotonic() - began:.1f} s; worker +{worker()} bytes")
        assert hub.state("long.edi") == "opened"
        assert worker() < 512 * MEGABYTE
    hub.works()


@pytest.mark.slow
def test_five_hundred_good_messages_in_one_interchange_delay_others_by_seconds(hub: Hub) -> None:
    began = time.monotonic()
    hand_in(hub.site, "TJLINE", "many.edi", many(500))
    until(lambda: hub.state("many.edi") == "opened", 60)
    print(f"500 messages in {time.monotonic() - began:.1f} s")
    hub.works()


# ---- secrets


def secrets(folder: Path) -> dict[str, list[bytes]]:
    """Every secret of a site, by its file: tokens, and the private half of each key as it may be written down."""
    found = {}
    for path in sorted((folder / "spool").rglob("*")):
        if path.is_file() and path.stat().st_size < 20_000:
            data = path.read_bytes()
            if path.suffix == ".token":
                found[str(path)] = [data.strip()]
            elif data.startswith(b"-----BEGIN") and b"PRIVATE KEY-----" in data:
                found[str(path)] = spellings(private_half(data))
    return found


def private_half(pem: bytes) -> bytes:
    """The number that makes a private key private: the rest of its file is its public half."""
    if b"OPENSSH" in pem:
        key = serialization.load_ssh_private_key(pem, None)
        assert isinstance(key, Ed25519PrivateKey)
        return key.private_bytes_raw()
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return key.private_numbers().private_value.to_bytes(32, "big")


def spellings(secret: bytes) -> list[bytes]:
    """Bytes, hexadecimal, and base64 however it is aligned; the edges depend on the neighbours."""
    aligned = [base64.b64encode(bytes(shift) + secret)[4:40] for shift in range(3)]
    return [secret, secret.hex().encode(), secret.hex().upper().encode(), *aligned]


def test_keys_and_tokens_are_readable_for_their_owner_alone(hub: Hub) -> None:
    found = secrets(hub.site)
    assert {Path(name).name for name in found} >= {"hub.key", "ca.key", "tjline.key", "inspection.token"}
    for name in found:
        assert stat.S_IMODE(os.stat(name).st_mode) in (0o600, 0o400), name
    assert stat.S_IMODE((hub.keys / "ca.key").stat().st_mode) == 0o400
    assert stat.S_IMODE((hub.keys / "sftpd_host_ed25519").stat().st_mode) == 0o600


def test_a_whole_demo_writes_no_secret_into_its_log_its_journal_or_its_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: dict[str, list[bytes]] = {}
    written: dict[str, bytes] = {}

    @contextmanager
    def watched(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
        with running(folder) as process:
            yield process
        seen.update(secrets(folder))
        for path in (folder / "spool").rglob("*"):
            if path.is_file() and (path.name.startswith("journal.db") or path.parent.name == "run"):
                written[path.name] = path.read_bytes()

    monkeypatch.setattr(shown, "running", watched)
    assert shown.show(ROOT, once=True, as_json=True, lang="en", usual=False)
    said = capsys.readouterr()
    written["output"] = (said.out + said.err).encode()
    assert len(seen) > 8 and len(written["hub.log"]) > 100 and len(written["journal.db"]) > 10_000
    for name, lines in seen.items():
        for where, data in written.items():
            assert not [line for line in lines if line in data], f"{name} in {where}"
    assert not [where for where, data in written.items() if b"PRIVATE KEY" in data]


def test_a_refused_login_writes_no_key_and_no_password_into_the_log(hub: Hub) -> None:
    way = paramiko.Transport(hub.door)
    way.start_client(timeout=10)
    with pytest.raises(paramiko.AuthenticationException):
        way.auth_password("tjline", "canary-password-4711", fallback=False)
    way.close()
    host, port = addresses(hub.site / "spool")["http"]
    for token in ("canary-token-4711", "x"):
        url = f"http://{host}:{port}/submit/inspection"
        said = httpx2.post(url, content=b"<a/>", headers={"Authorization": f"Bearer {token}"}, timeout=10)
        assert said.status_code == 401 and "canary" not in said.text
    hub.works()
    assert b"4711" not in (hub.site / "spool" / "run" / "hub.log").read_bytes()


def test_nothing_of_this_took_a_role_down(hub: Hub) -> None:
    """Last in the file: the processes are those that were started."""
    assert len(children(hub.process.pid)) == 4
    assert threading.active_count() < 20
    hand_in(hub.site, "BOHAI", "call.edi", ARRIVAL)
    until(lambda: hub.state("call.edi") == "opened")
    assert "Traceback" not in (hub.site / "spool" / "run" / "hub.log").read_text("utf-8")
