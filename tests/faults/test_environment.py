"""Bad days around the hub: no space, no key, no partner, a damaged journal. It says clearly what is wrong, takes and
overwrites nothing that it cannot keep, and goes on by itself when the trouble is over."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paramiko
import pytest
from sqlalchemy import select

from hub import decisions
from hub.engine import identity
from hub.engine.doors import addresses
from hub.identity.ca import Authority
from hub.identity.keys import Signer, load_certificates, parse_key
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.sandbox.agencies import Sandbox
from hub.sandbox.ground import prepare
from hub.sandbox.sender import hand_in
from hub.sandbox.show import running, stage
from tests.faults.conftest import ARRIVAL, ROOT, manifest, names, still_works, submit, until
from tests.journeys.conftest import START


def refused_start(site: Path, code: int = 3) -> str:
    """What `eport up` says when it cannot start, without a traceback."""
    command = [sys.executable, "-m", "hub.cli", "up", "--site", str(site)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@contextmanager
def starting(site: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`eport up` whose doors need not open; its log outside of the spool."""
    with log.open("wb") as file:
        hub = subprocess.Popen([sys.executable, "-m", "hub.cli", "up", "--site", str(site)], stdout=file, stderr=file)
        try:
            yield hub
        finally:
            hub.terminate()
            hub.wait(60)


def change(site: Path, pattern: str, new: str) -> None:
    """Change one place of routes.yaml."""
    routes = site / "routes.yaml"
    text, count = re.subn(pattern, new, routes.read_text("utf-8"))
    assert count == 1
    routes.write_text(text, "utf-8")


def by_folder(site: Path, party: str) -> Path:
    """Let a party come by a folder outside of the spool; its outbound."""
    change(
        site, rf"(?m)^  {party}:.*$", f"  {party}: {{adapter: folder, options: {{out: outside/{party}, home: true}}}}"
    )
    for name in ("outbound", "inbound", "error"):
        (site / "outside" / party / name).mkdir(parents=True)
    return site / "outside" / party / "outbound"


def asked(site: Path) -> list[str]:
    """The manifests that customs was sent."""
    inbox = site / "spool" / "boxes" / "customs" / "in"
    everything = b"".join((inbox / name).read_bytes() for name in names(inbox))
    return [number.decode() for number in re.findall(rb"<ManifestNo>([^<]+)", everything)]


def works(site: Path) -> None:
    """A good file over SFTP reaches customs and is answered."""
    data = manifest()
    number = data.split(b"+")[data.split(b"+").index(b"785") + 1].decode()
    door = until(lambda: _door(site), what="a door that is open")
    assert door
    hand_in(site, "TJLINE", f"{number}.edi", data)
    until(lambda: number in asked(site), what=number)
    until(lambda: [n for n in names(site / "spool" / "boxes" / "tjline" / "inbound") if n.startswith(number)])


def _door(site: Path) -> bool:
    address = addresses(site / "spool").get("sftpd")
    if address is None:
        return False
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0


@pytest.fixture
def journal(site: Path) -> Iterator[Journal]:
    opened = Journal(site / "spool", "test")
    yield opened
    opened.close()


def endpoint(journal: Journal, name: str) -> str:
    row = journal.row(select(t.endpoint.c.state).where(t.endpoint.c.id == name))
    return row["state"] if row else ""


def waits(journal: Journal) -> set[str]:
    return {row["code"] for row in journal.rows(select(t.waiting.c.code))}


# ---- it does not start


def test_a_journal_of_garbage_is_refused_and_not_overwritten(site: Path) -> None:
    path = site / "spool" / "journal.db"
    path.write_bytes(b"this is no database " * 500)
    said = refused_start(site)
    assert str(site / "spool") in said and "not a database" in said
    assert path.read_bytes() == b"this is no database " * 500
    path.unlink()
    with running(site):
        works(site)


def test_a_journal_that_was_cut_is_refused_and_not_overwritten(site: Path) -> None:
    with running(site):
        pass
    path = site / "spool" / "journal.db"
    cut = path.read_bytes()[:6000]
    path.write_bytes(cut)
    assert "malformed" in refused_start(site) or "journal" in refused_start(site)
    assert path.read_bytes() == cut


def test_an_expired_certificate_of_the_hub_is_told_at_start(tmp_path: Path) -> None:
    past = datetime.now(UTC) - timedelta(days=30)
    keys = tmp_path / "spool" / "keys"
    authority = Authority(keys)
    authority.init(past, "Test port CA")
    identity.write(authority.issue("TJEPORT", past, days=1), keys / "hub")
    stage(ROOT, tmp_path)
    said = refused_start(tmp_path)
    assert "TJEPORT" in said and "valid from" in said and "issue a new one" in said
    identity.store(authority, "TJEPORT", keys / "hub", datetime.now(UTC))
    with running(tmp_path):
        works(tmp_path)


def test_certificates_that_are_named_and_not_there_are_told_at_start(site: Path) -> None:
    change(site, r"(?m)^zone: .*$", r"zone: Asia/Shanghai\nidentity: {roots: [keys/none.pem]}")
    said = refused_start(site, code=2)
    assert "routes.yaml" in said and "none.pem cannot be read" in said


def test_a_key_that_others_may_read_is_told_at_start(site: Path) -> None:
    (site / "spool" / "keys" / "hub.key").chmod(0o644)
    said = refused_start(site)
    assert "hub.key" in said and "chmod 600" in said


def test_a_hub_that_runs_keeps_its_identity_when_the_new_one_is_unusable(site: Path) -> None:
    with running(site) as hub:
        (site / "spool" / "keys" / "hub.key").chmod(0o644)
        hub.send_signal(signal.SIGHUP)
        log = site / "spool" / "run" / "hub.log"
        until(lambda: "not taken over" in log.read_text("utf-8"), what="the refusal in the log")
        assert hub.poll() is None
        works(site)


# ---- it starts, and waits for what is missing


def test_a_door_whose_port_is_taken_is_told_and_opens_when_it_is_free(site: Path, tmp_path: Path) -> None:
    port = int(re.findall(r'sftp: "127.0.0.1:(\d+)"', (site / "routes.yaml").read_text("utf-8"))[0])
    log = tmp_path / "hub.log"
    with socket.create_server(("127.0.0.1", port)) as taken, starting(site, log):
        said = until(lambda: re.findall(r"ERROR.*", log.read_text("utf-8")))
        assert f"sftpd door cannot listen on 127.0.0.1:{port}: Address already in use" in said[0]
        assert "Traceback" not in log.read_text("utf-8")
        taken.close()
        until(lambda: addresses(site / "spool"))
        works(site)


def test_without_its_keys_the_hub_says_which_file_it_misses_and_goes_on_once_it_is_there(
    site: Path, tmp_path: Path, journal: Journal
) -> None:
    shutil.rmtree(site / "spool" / "keys")
    log = tmp_path / "hub.log"
    with starting(site, log):
        said = until(lambda: re.findall(r"ERROR.*cannot come in.*", log.read_text("utf-8")))
        assert "file:spool/keys/bohai.pub" in said[0]
        until(lambda: "door.no_key" in waits(journal))
        prepare(ROOT, site)
        until(lambda: "door.no_key" not in waits(journal))
        works(site)


def test_a_missing_key_of_one_party_keeps_no_other_out(site: Path, journal: Journal) -> None:
    key = site / "spool" / "keys" / "bohai.pub"
    kept = key.read_bytes()
    key.unlink()
    with running(site):
        until(lambda: "door.no_key" in waits(journal))
        works(site)
        with pytest.raises((OSError, paramiko.SSHException)):
            hand_in(site, "BOHAI", "call.edi", ARRIVAL)
        key.write_bytes(kept)
        until(lambda: "door.no_key" not in waits(journal))
        hand_in(site, "BOHAI", "call.edi", ARRIVAL)


def test_a_missing_key_of_one_endpoint_stops_no_other(site: Path, journal: Journal) -> None:
    (site / "spool" / "keys" / "border-host.pub").unlink()
    with running(site):
        hand_in(site, "BOHAI", "call.edi", ARRIVAL)
        for agency in ("customs", "maritime"):
            until(lambda agency=agency: names(site / "spool" / "boxes" / agency / "in"), what=agency)
        until(lambda: "endpoint.faulty" in waits(journal))
        works(site)


# ---- it runs, and the world around it fails


def test_a_border_server_that_is_another_gets_nothing_and_holds_its_endpoint(
    site: Path, ports: dict[str, int], journal: Journal
) -> None:
    own = site / "spool" / "sandbox" / "border" / "keys" / "sftpd_host_ed25519"
    own.unlink()  # its server makes another host key
    with running(site) as hub:
        children = gates(hub.pid)
        sandbox = Sandbox(site, ports["border"], ports["inspection"], ports["http"])
        try:
            hand_in(site, "BOHAI", "call.edi", ARRIVAL)
            until(lambda: endpoint(journal, "border") == "held")
            assert "endpoint.untrusted" in waits(journal)
            until(lambda: sandbox.desks["CUSTOMS"].asked)
            works(site)
        finally:
            sandbox.close()
        assert sandbox.desks["BORDER"].asked == {}
        box = site / "spool" / "sandbox" / "border" / "boxes" / "box"
        box = box if box.exists() else site / "spool" / "sandbox" / "border" / "box"
        assert box.exists() and not [p for p in box.rglob("*") if p.is_file() and p.name != "README.txt"]
        assert gates(hub.pid) == children, "a role died of it"


def gates(pid: int) -> list[int]:
    """The processes below `pid`, in the order of their start: gate, worker, courier, clock."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return sorted(found)


@pytest.mark.slow
def test_agencies_that_are_down_get_everything_once_when_they_are_up(
    site: Path, ports: dict[str, int], journal: Journal
) -> None:
    routes = site / "routes.yaml"
    routes.write_text(routes.read_text("utf-8").replace("longest: 30s", "longest: 1s"), "utf-8")
    d = t.delivery
    with running(site):
        hand_in(site, "BOHAI", "call.edi", ARRIVAL)
        failed = select(d.c.party).where(d.c.state == "failed", d.c.tries >= 2)
        until(lambda: {row["party"] for row in journal.rows(failed)} == {"INSPECTION", "BORDER"})
        until(lambda: "endpoint.broken" in waits(journal))
        works(site)
        sandbox = Sandbox(site, ports["border"], ports["inspection"], ports["http"])
        try:
            cleared = select(t.case.c.outcome).where(t.case.c.outcome == "cleared")
            until(lambda: journal.rows(cleared), 40, "the case cleared")
            asked = {name: list(desk.asked.values()) for name, desk in sandbox.desks.items()}
            assert asked["INSPECTION"] == asked["BORDER"] == [1]
            assert endpoint(journal, "border") == endpoint(journal, "inspection") == "open"
        finally:
            sandbox.close()


@pytest.mark.parametrize("trouble", ["missing", "a file", "read-only"])
def test_an_agency_whose_folder_cannot_be_written_gets_it_later(port: Any, trouble: str) -> None:
    inbox = port.home("customs") / "in"
    with unwritable(inbox, trouble):
        submit(port, "mft.edi", manifest())
        state = port.journal.row(select(t.delivery.c.state).where(t.delivery.c.party == "CUSTOMS"))
        assert state["state"] == "failed"
        assert len(port.files("terminal", "inbound")) == 1
    inbox.mkdir(exist_ok=True)
    port.now += timedelta(minutes=30)
    port.run()
    assert len(port.files("customs", "in")) == 1
    still_works(port)


@contextmanager
def unwritable(folder: Path, trouble: str) -> Iterator[None]:
    """`folder` cannot be written to, also by root."""
    if trouble == "read-only" and os.getuid() == 0:
        with mounted(folder, "ro"):
            yield
    elif trouble == "read-only":
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
    else:
        folder.rmdir()
        if trouble == "a file":
            folder.touch()
        yield
        folder.unlink(missing_ok=True)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small file system of its own at `folder`; skips where this test may not mount."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_certificate_that_expires_while_the_hub_runs_holds_deliveries_until_there_is_another(port: Any) -> None:
    issued = port.authority.issue("TJEPORT", START - timedelta(days=1), days=2)
    short = Signer(parse_key(issued.private_key), load_certificates(issued.certificate)[0])
    good, port.site = port.site, replace(port.site, signer=short)
    submit(port, "in-time.edi", manifest())
    assert len(port.files("customs", "in")) == 1
    port.now += timedelta(days=2)
    submit(port, "late.edi", manifest())
    d = t.delivery
    [held] = port.journal.rows(select(d).where(d.c.state == "held"))
    assert held["party"] == "CUSTOMS" and "identity.unusable" in held["reason"] and "issue a new one" in held["reason"]
    assert len(port.files("customs", "in")) == 1 and len(port.files("terminal", "inbound")) == 2
    waiting = port.journal.row(select(t.waiting.c.code).where(t.waiting.c.subject == held["id"]))
    assert waiting["code"] == "delivery.not_made"
    port.site = good
    decisions.release(port.site, port.journal, held["id"], "Wang", "new certificate", port.now)
    port.run()
    assert len(port.files("customs", "in")) == 2
    still_works(port)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("large", [True, False], ids=["into files", "into rows"])
def test_a_full_disk_takes_nothing_from_its_source_and_loses_nothing(tmp_path: Path, large: bool) -> None:
    site, log = tmp_path / "site", tmp_path / "hub.log"
    (site / "spool").mkdir(parents=True)
    with mounted(site / "spool", "size=24m"):
        stage(ROOT, site)
        outbound = by_folder(site, "tjline")
        with (site / "routes.yaml").open("a", encoding="utf-8") as routes:
            routes.write("\nlimits: {disk: 0%}\n")  # without the watermark, which would keep the gate from trying
        blanks = b"\n" * 300_000 if large else b""  # with them it is too large for a row: a file of the spool
        files = {f"mft-{n}.edi": manifest(n).replace(b"UNH+1", blanks + b"UNH+1") for n in range(700_001, 700_006)}
        with starting(site, log) as hub:
            until(lambda: addresses(site / "spool"))
            filler = site / "spool" / "filler"
            fill(filler)
            for name, data in files.items():
                (outbound / f".{name}").write_bytes(data)
                (outbound / f".{name}").rename(outbound / name)
            until(lambda: re.search(r"No space left on device|disk is full", log.read_text("utf-8", "replace")))
            until(lambda: "starts again" in log.read_text("utf-8", "replace"), what="a loud end")
            if large:
                assert names(outbound) == sorted(files)
            filler.unlink()
            wanted = [f"TJL{number:010d}" for number in range(700_001, 700_006)]
            until(lambda: len(asked(site)) >= len(wanted), 60, "all manifests at customs")
            until(lambda: not names(outbound))
            until(lambda: len(names(site / "outside" / "tjline" / "inbound")) == len(files))
            assert sorted(asked(site)) == wanted
            assert hub.poll() is None
            works_over_sftp_too(site)
        journal = Journal(site / "spool", "test")
        states = [row["state"] for row in journal.rows(select(t.interchange.c.state))]
        journal.close()
        assert states == ["opened"] * (len(files) + 1)
        assert not list((site / "spool" / "payloads").glob(".in-*"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
def test_at_the_watermark_nothing_is_taken_in_and_what_is_here_goes_out(tmp_path: Path) -> None:
    site, log = tmp_path / "site", tmp_path / "hub.log"
    (site / "spool").mkdir(parents=True)
    with mounted(site / "spool", "size=64m"):
        stage(ROOT, site)
        outbound = by_folder(site, "tjline")
        customs = site / "spool" / "boxes" / "customs" / "in"
        with starting(site, log) as hub:
            until(lambda: addresses(site / "spool"))
            filler = site / "spool" / "filler"
            filler.write_bytes(bytes(61_500_000))
            until(lambda: "nothing is taken in: the disk is nearly full" in log.read_text("utf-8", "replace"))
            (outbound / "mft.edi").write_bytes(manifest(700_100))
            until(lambda: "port.disk_low" in log.read_text("utf-8", "replace"), what="the line in the list")
            assert names(outbound) == ["mft.edi"] and names(customs) == []
            with pytest.raises(OSError, match="the disk is nearly full"):
                hand_in(site, "BOHAI", "call.edi", ARRIVAL)
            filler.unlink()
            until(lambda: len(names(customs)) == 1, 60, "the manifest at customs")
            works_over_sftp_too(site)
            assert hub.poll() is None and "starts again" not in log.read_text("utf-8", "replace")


def fill(path: Path) -> None:
    """Take all the space that there is."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 512):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass


def works_over_sftp_too(site: Path) -> None:
    hand_in(site, "BOHAI", "call.edi", ARRIVAL)
    until(lambda: names(site / "spool" / "boxes" / "maritime" / "in"))


@pytest.mark.slow
def test_a_journal_that_somebody_locks_for_forty_seconds_costs_only_time(site: Path) -> None:
    with running(site) as hub:
        works(site)
        other = sqlite3.connect(site / "spool" / "journal.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        since = time.monotonic()
        hand_in(site, "TJLINE", "locked.edi", manifest(710_001))
        until(lambda: time.monotonic() - since > 40, 60)
        assert "TJL0000710001" not in asked(site)
        other.execute("ROLLBACK")
        other.close()
        until(lambda: "TJL0000710001" in asked(site), 40, "the manifest at customs")
        assert hub.poll() is None
        works(site)
        assert asked(site).count("TJL0000710001") == 1


def test_a_partner_who_accepts_and_never_speaks_delays_nobody_at_the_gate(site: Path, ports: dict[str, int]) -> None:
    with socket.create_server(("127.0.0.1", ports["border"])), running(site):
        for _ in range(3):
            began = time.monotonic()
            works(site)
            assert time.monotonic() - began < 5
