"""A whole hub in its own processes: files over real SFTP, by paramiko and by the OpenSSH client; roles that die."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from hub.engine.doors import addresses
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.sandbox.sender import hand_in, sftp
from hub.sandbox.show import running, stage

ROOT = Path(__file__).parents[2]
ORIGINAL = (ROOT / "mappings" / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()


def wait_for(found: Callable[[], list[str]], seconds: float = 30) -> list[str]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = found()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError("it did not come")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    stage(ROOT, tmp_path)
    return tmp_path


@pytest.fixture
def hub(site: Path) -> Iterator[subprocess.Popen[bytes]]:
    with running(site) as started:
        yield started


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.exists() else []


def _open(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0


def children(pid: int) -> dict[int, int]:
    """pid -> parent of every process below `pid`."""
    found: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found[int(stat.parent.name)] = pid
    return found


def test_a_file_over_sftp_is_answered_and_delivered(site: Path, hub: subprocess.Popen[bytes], tmp_path: Path) -> None:
    import io

    with sftp(addresses(site / "spool")["sftpd"], "tjline", site / "spool" / "keys" / "tjline.key") as session:
        session.putfo(io.BytesIO(ORIGINAL), "outbound/mft.edi")
        [answer] = wait_for(lambda: [n for n in session.listdir("inbound") if "CONTRL" in n])
        with session.open(f"inbound/{answer}") as file:
            assert b"UCI+TJ26112301+" in file.read()
    assert len(wait_for(lambda: names(site / "spool" / "boxes" / "customs" / "in"))) == 1


@pytest.mark.skipif(shutil.which("sftp") is None, reason="no OpenSSH client")
def test_the_openssh_client_uploads_and_fetches(site: Path, hub: subprocess.Popen[bytes], tmp_path: Path) -> None:
    host, port = addresses(site / "spool")["sftpd"]
    mine = tmp_path / "mft.edi"
    mine.write_bytes(ORIGINAL)
    options = [
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        f"UserKnownHostsFile={tmp_path / 'known'}",
        "-o",
        "BatchMode=yes",
    ]
    command = ["sftp", "-q", "-P", str(port), "-i", str(site / "spool" / "keys" / "tjline.key"), *options]

    def say(*lines: str) -> str:
        done = subprocess.run(
            [*command, "-b", "-", f"tjline@{host}"], input="\n".join(lines), capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    say(f"put {mine} outbound/mft.edi")
    wait_for(lambda: [line for line in say("ls -1 inbound").splitlines() if "CONTRL" in line])


def test_a_role_that_dies_is_started_again_and_nothing_is_lost(site: Path, hub: subprocess.Popen[bytes]) -> None:
    roles = children(hub.pid)
    assert len(roles) == 4
    for pid in roles:
        os.kill(pid, signal.SIGKILL)
    again = wait_for(lambda: [str(pid) for pid in children(hub.pid) if pid not in roles][3:], 20)
    assert again
    wait_for(lambda: ["open"] if _open(addresses(site / "spool")["sftpd"]) else [])
    hand_in(site, "TJLINE", "late.edi", ORIGINAL)
    wait_for(lambda: names(site / "spool" / "boxes" / "customs" / "in"))


def test_when_the_supervisor_is_killed_its_roles_end_and_another_can_start(site: Path) -> None:
    with running(site) as hub:
        roles = list(children(hub.pid))
        hub.kill()
        hub.wait()
        wait_for(lambda: ["gone"] if not any(Path(f"/proc/{pid}").exists() for pid in roles) else [], 30)
    (site / "spool" / "run" / "doors.json").unlink()
    with running(site) as again:
        assert again.poll() is None


def test_a_second_hub_in_the_same_folder_is_refused(site: Path, hub: subprocess.Popen[bytes]) -> None:
    import sys

    command = [sys.executable, "-m", "hub.cli", "up", "--site", str(site)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "another hub" in done.stderr


def test_declarations_are_read_again_and_bad_ones_are_not_taken_over(site: Path, hub: subprocess.Popen[bytes]) -> None:
    routes = site / "routes.yaml"
    good = routes.read_text("utf-8")
    before = set(children(hub.pid))
    routes.write_text(good.replace("adapter: folder", "adapter: foldr"), "utf-8")
    hub.send_signal(signal.SIGHUP)
    log = site / "spool" / "run" / "hub.log"
    wait_for(lambda: [line for line in log.read_text("utf-8").splitlines() if "not taken over" in line])
    assert set(children(hub.pid)) == before
    routes.write_text(good + "# one more line\n", "utf-8")
    hub.send_signal(signal.SIGHUP)
    wait_for(lambda: [str(pid) for pid in children(hub.pid) if pid not in before][3:], 30)


def test_one_dead_endpoint_delays_no_other(site: Path, hub: subprocess.Popen[bytes]) -> None:
    arrival = (ROOT / "mappings" / "vessel" / "cases" / "01-arrival" / "in.edi").read_bytes()
    hand_in(site, "BOHAI", "call.edi", arrival)
    for agency in ("customs", "maritime"):  # nobody plays inspection and border: their endpoints are dead
        wait_for(lambda agency=agency: names(site / "spool" / "boxes" / agency / "in"))
    journal = Journal(site / "spool", "test")
    d = t.delivery
    dead = (d.c.endpoint.in_(("inspection", "border")), d.c.state == "failed")
    wait_for(lambda: [row["id"] for row in journal.rows(select(d.c.id).where(*dead))][1:])
    wait_for(lambda: [row["id"] for row in journal.rows(select(t.endpoint.c.id).where(t.endpoint.c.state == "broken"))])
    journal.close()
