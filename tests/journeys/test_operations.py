"""A hub in its own processes, looked at from outside: its metrics, its log, its figures as they change, its doctor; and
what the doctor says of copies of its journal that somebody has damaged."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from hub.doctor.examination import OF_JOURNAL, OF_MACHINE, OF_SITE, examine
from hub.doctor.line import Line, Patient
from hub.engine import identity, roster
from hub.journal.journal import Journal
from hub.sandbox.sender import hand_in
from hub.sandbox.show import running, stage
from hub.site.load import load
from hub.site.model import Limits, Room

ROOT = Path(__file__).parents[2]
ORIGINAL = (ROOT / "mappings" / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()
HOSTILE = "x\nERROR gate[1] all is lost"
Samples = dict[str, list[tuple[dict[str, str], float]]]
Found = TypeVar("Found")


class Hub:
    """One running hub and the address of its metrics."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    def get(self, path: str = "/metrics") -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, ""

    def metrics(self) -> Samples:
        found: Samples = {}
        for family in families(self.get()[1]):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
        return found

    def value(self, name: str, **labels: str) -> float:
        return sum(value for had, value in self.metrics().get(name, []) if labels.items() <= had.items())

    def log(self) -> list[str]:
        return (self.folder / "spool" / "run" / "hub.log").read_text("utf-8").splitlines()

    def eport(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hub.cli", *words, "--site", str(self.folder)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)


def until(found: Callable[[], Found], seconds: float = 60) -> Found:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.1)
    raise AssertionError("it did not come")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A port without agencies, which has taken in a manifest: customs and terminal are folders."""
    folder = tmp_path_factory.mktemp("hub")
    ports = stage(ROOT, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EPORT_LOG", "json")
        with running(folder):
            hub = Hub(folder, ports["metrics"])
            until(lambda: [line for line in hub.log() if "metrics on" in line])
            hand_in(folder, "TJLINE", "mft.edi", ORIGINAL)
            until(lambda: hub.value("eport_journey_seconds_count", until="sent") >= 2)
            yield hub


# ---- metrics


def test_every_metric_has_help_and_is_documented(hub: Hub) -> None:
    page = (ROOT / "docs" / "operate.md").read_text("utf-8")
    served = list(families(hub.get()[1]))
    assert len(served) > 20
    for family in served:
        assert family.documentation.strip()[-1] in ".;" or family.documentation.endswith(")."), family.name
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}`" in page, name
    named = set(re.findall(r"`(eport_[a-z_]+)`", page))
    assert named <= {f"{f.name}_total" if f.type == "counter" else f.name for f in served}


def test_metrics_tell_what_happened(hub: Hub) -> None:
    assert hub.value("eport_events_total", what="received") >= 1
    assert hub.value("eport_deliveries", state="held") == 0
    assert until(lambda: hub.value("eport_interchanges", state="opened")) >= 1
    assert hub.value("eport_endpoint_state", endpoint="customs", state="open") == 1
    assert hub.value("eport_unopened_limit", party="TJLINE") == 500
    assert hub.value("eport_spool_size_bytes") > hub.value("eport_spool_free_bytes") > 0
    expires = [value for labels, value in hub.metrics()["eport_certificate_expires_timestamp_seconds"]]
    assert len(expires) >= 3 and min(expires) > time.time() + 300 * 86400
    running = {labels["role"]: value for labels, value in hub.metrics()["eport_process_resident_memory_bytes"]}
    assert running.keys() == {"gate", "worker", "courier", "clock"} and min(running.values()) > 10_000_000
    assert 0 < hub.value("eport_scrape_seconds") < 5


def test_nothing_but_metrics_is_served(hub: Hub) -> None:
    assert hub.get("/")[0] == hub.get("/metrics/../etc/passwd")[0] == 404


def test_a_death_is_counted_logged_with_its_code_and_shown_by_the_doctor(hub: Hub) -> None:
    [worker] = [one.pid for one in roster.running(hub.folder) if one.role == "worker"]
    os.kill(worker, signal.SIGKILL)
    until(lambda: hub.value("eport_role_deaths_total", role="worker") == 1)
    until(lambda: [one for one in roster.running(hub.folder) if one.role == "worker"])
    [said] = [row for row in map(json.loads, hub.log()) if row.get("code") == "hub.role_died"]
    assert (
        said["role"] == "hub" and said["level"] == "error" and said["message"].startswith("role worker ended with -9")
    )
    assert "died: worker 1" in look(hub.folder, "processes").found


def test_an_address_that_is_taken_stops_no_clock(tmp_path: Path) -> None:
    ports = stage(ROOT, tmp_path)
    with socket.create_server(("127.0.0.1", ports["metrics"])), running(tmp_path):
        hub = Hub(tmp_path, ports["metrics"])
        until(lambda: [line for line in hub.log() if "metrics cannot listen" in line])
        hand_in(tmp_path, "TJLINE", "mft.edi", ORIGINAL)
        boxes = tmp_path / "spool" / "boxes" / "customs" / "in"
        until(lambda: [path for path in boxes.iterdir() if not path.name.startswith(".")])
        assert {one.role for one in roster.running(tmp_path)} == {"gate", "worker", "courier", "clock"}
        assert len([line for line in hub.log() if "metrics cannot listen" in line]) == 1


# ---- the log


def test_every_line_of_the_log_is_an_object(hub: Hub) -> None:
    hand_in(hub.folder, "BOHAI", "call.edi", (ROOT / "mappings/vessel/cases/01-arrival/in.edi").read_bytes())
    rows = until(lambda: [row for row in map(json.loads, hub.log()) if row.get("code") == "endpoint.broken"])
    for row in rows:  # nobody plays inspection and border
        assert row["endpoint"] in ("inspection", "border") and row["role"] == "courier" and row["level"] == "error"
    assert len({row["endpoint"] for row in rows}) == len(rows)
    assert all({"time", "level", "role", "pid", "logger", "message"} <= json.loads(line).keys() for line in hub.log())


def test_a_file_with_a_hostile_name_adds_no_line_of_its_own(hub: Hub) -> None:
    (hub.folder / "spool" / "boxes" / "customs" / "out" / HOSTILE).write_bytes(b"nothing that anybody knows")
    until(lambda: hub.value("eport_events_total", what="rejected"))
    assert all(json.loads(line)["message"] for line in hub.log())


# ---- status --watch


def test_the_watch_in_a_pipe_prints_lines(hub: Hub) -> None:
    command = [sys.executable, "-m", "hub.cli", "status", "--watch", "0.2", "--site", str(hub.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        seen: list[list[str]] = []
        while len({row[0] for row in seen}) < 2:
            seen.append(watching.stdout.readline().rstrip("\n").split("\t"))
        watching.send_signal(signal.SIGINT)
        rest = watching.stdout.read()
    assert watching.returncode == 0 and "Traceback" not in rest
    kinds = {row[1] for row in seen}
    assert {"interchange", "message", "delivery", "endpoint"} <= kinds
    assert all(float(row[4]) == 0 and int(row[3]) > 0 for row in seen if row[1] == "message")


def test_the_watch_as_json_tells_rates_and_journeys(hub: Hub) -> None:
    command = [sys.executable, "-m", "hub.cli", "status", "--watch", "0.2", "--json", "--site", str(hub.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())
        hand_in(hub.folder, "TJLINE", "again.edi", ORIGINAL)
        looks = [first]
        while not any(look["rates"].get("interchange", {}).get("duplicate") for look in looks):
            looks.append(json.loads(watching.stdout.readline()))
        watching.send_signal(signal.SIGINT)
        watching.stdout.read()
    assert watching.returncode == 0 and first["rates"] == {}


def test_the_watch_in_a_terminal_draws_until_interrupted(hub: Hub) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "hub.cli", "status", "--watch", "0.2", "--site", str(hub.folder)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    watching = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    drawn = b""
    deadline = time.monotonic() + 60
    while drawn.count(b"Ctrl-C") < 3 and time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            drawn += os.read(master, 65536)
    watching.send_signal(signal.SIGINT)
    assert watching.wait(30) == 0
    os.close(master)
    assert drawn.count(b"Ctrl-C") >= 3 and b"\x1b[" in drawn  # drawn anew, in colour
    assert b"delivery" in drawn and b"endpoint" in drawn and b"Traceback" not in drawn


# ---- doctor


def now() -> datetime:
    return datetime.now(UTC)


def test_the_doctor_of_a_sound_hub_finds_nothing_bad(hub: Hub) -> None:
    done = hub.eport("doctor", "--json")
    page = {row["check"]: row for row in json.loads(done.stdout)}
    assert [row for row in page.values() if row["verdict"] == "bad"] == [] and done.returncode == 0
    assert page.keys() == {"declarations", *OF_MACHINE, *OF_SITE, *OF_JOURNAL}
    assert page["backup"]["verdict"] == "look" and page["backup"]["todo"].startswith("touch ")
    assert "journal_mode wal" in page["database"]["found"] and "lxml" in page["libraries"]["found"]


def test_the_page_speaks_both_languages_and_is_plain_in_a_pipe(hub: Hub) -> None:
    assert [line.split("\t")[0] for line in hub.eport("doctor").stdout.splitlines()].count("ok") > 15
    titles = {lang: json.loads(hub.eport("doctor", "--json", "--lang", lang).stdout) for lang in ("zh", "en")}
    assert "磁盘空闲" in [row["title"] for row in titles["zh"]] and "disk free" in [
        row["title"] for row in titles["en"]
    ]


@pytest.fixture
def copy(hub: Hub, tmp_path: Path) -> Path:
    """The hub's site with its journal as it is now, to be damaged. Nothing runs there."""
    for name in ("routes.yaml", "mappings", "schemas", "spool/keys"):
        source = hub.folder / name
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    with (
        closing(sqlite3.connect(hub.folder / "spool" / "journal.db")) as running,
        closing(sqlite3.connect(tmp_path / "spool" / "journal.db")) as mine,
    ):
        running.backup(mine)
    return tmp_path


def look(folder: Path, check: str, at: datetime | None = None) -> Line:
    """One check alone."""
    journal = Journal(folder / "spool", "test")
    try:
        return (OF_JOURNAL | OF_MACHINE)[check](Patient(folder, journal, at or now()))
    finally:
        journal.close()


def damage(folder: Path, *statements: str) -> None:
    """As somebody does who may do everything in the database: its triggers keep nobody from it."""
    with closing(sqlite3.connect(folder / "spool" / "journal.db")) as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            assert database.execute(statement).rowcount > 0, statement
        database.commit()


RECEIPT = """INSERT INTO receipt (id, message, delivery, party, level, accepted, state, number, reasons, at)
    VALUES ('{0}', 'm', {1}, 'CUSTOMS', 'business', 1, 'matched', '', '[]', '2026-11-23 00:00:00')"""
ANY = "(SELECT id FROM delivery ORDER BY seq LIMIT 1)"
WAIT = """INSERT INTO waiting (subject, what, code, detail, owner, since, due_at, overdue)
    VALUES ({0}, '{1}', '{2}', '', 'operator', '2026-11-23 00:00:00', '2026-11-23 00:00:00', {3})"""


@pytest.mark.parametrize(
    ("check", "statements"),
    [
        ("history", ["UPDATE delivery SET state = 'answered' WHERE state = 'sent'"]),
        ("history", ["DELETE FROM event WHERE what = 'opened'"]),
        ("conservation", ["DELETE FROM message"]),
        ("conservation", ["DELETE FROM event WHERE what = 'received'"]),
        ("bytes", ["UPDATE payload SET data = x'00' WHERE sha256 IN (SELECT sha256 FROM interchange)"]),
        ("receipts", [RECEIPT.format("r1", "'nothing'")]),
        ("acceptance", [RECEIPT.format("r1", ANY), RECEIPT.format("r2", ANY)]),
        ("waits", [f"UPDATE delivery SET state = 'held' WHERE id = {ANY}"]),
        ("waits", [WAIT.format("(SELECT id FROM delivery WHERE state = 'sent')", "delivery", "delivery.in_doubt", 0)]),
        ("schema", ["UPDATE alembic_version SET version_num = '0000'"]),
        ("poison", [WAIT.format("'x'", "interchange", "opening.poison", 0)]),
        ("clocks", ["UPDATE event SET at = '2999-01-01 00:00:00'"]),
        ("endpoints", ["INSERT INTO endpoint VALUES ('far', 'broken', '', 3, NULL, '2020-01-01 00:00:00')"]),
        ("unopened", ["UPDATE interchange SET state = 'received', received_at = '2020-01-01 00:00:00'"]),
        ("undelivered", ["UPDATE delivery SET state = 'pending', at = '2020-01-01 00:00:00'"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_damaged_journal_is_bad(copy: Path, check: str, statements: list[str]) -> None:
    assert look(copy, check).verdict in ("ok", "look")
    damage(copy, *statements)
    line = look(copy, check)
    assert line.verdict == "bad" and line.todo


@pytest.mark.parametrize("whole", [True, False])
def test_a_journal_that_cannot_be_read_is_bad_and_hides_nothing_else(copy: Path, whole: bool) -> None:
    if whole:
        with closing(sqlite3.connect(copy / "spool" / "journal.db")) as database:
            database.execute("DROP TABLE interchange")
    else:
        (copy / "spool" / "journal.db").write_bytes(b"this is no database" * 100)
    page = {line.check: line for line in examine(copy, now())}
    assert page["database"].verdict == "bad" and page["disk"].verdict in ("ok", "look")
    assert page.keys() == {"declarations", "database", *OF_MACHINE, *OF_SITE}


def test_what_nobody_has_looked_at_and_what_is_late_is_to_be_looked_at(copy: Path) -> None:
    damage(copy, WAIT.format("'d'", "delivery", "delivery.overdue", 1))
    late, waiting = look(copy, "late"), look(copy, "waiting")
    assert late.verdict == waiting.verdict == "look"
    assert "delivery.overdue 1" in late.found and "unattended 1" in waiting.found


def test_certificates_that_end_soon(copy: Path) -> None:
    site = identity.ready(load(copy), copy)
    journal = Journal(copy / "spool", "test")
    ages = (0, 60, 780, 820)  # certificates are for 825 days
    lines = [OF_SITE["certificates"](Patient(copy, journal, now() + timedelta(days=age)), site) for age in ages]
    journal.close()
    assert [line.verdict for line in lines] == ["ok", "ok", "look", "bad"]
    assert all(line.todo.startswith("eport cert issue ") for line in lines[2:])


def test_a_disk_on_which_nothing_is_taken_in_is_bad(copy: Path) -> None:
    room = shutil.disk_usage(copy)
    percent = 100 * room.free // room.total
    journal = Journal(copy / "spool", "test")
    least = (Room(min(99, percent + 2), 0), Room(0, room.free - room.total // 100), Room(0, 1))
    patients = [Patient(copy, journal, now(), Limits(disk=one)) for one in least]
    journal.close()
    assert [OF_MACHINE["disk"](one).verdict for one in patients] == ["bad", "look", "ok"]


def test_a_backup_ages(copy: Path) -> None:
    (copy / "spool" / "backed-up").touch()
    ages = [now() + timedelta(days=days) for days in (0, 2, 8)]
    assert [look(copy, "backup", at).verdict for at in ages] == ["ok", "look", "bad"]


def test_declarations_that_cannot_be_read_hide_nothing_else(copy: Path) -> None:
    (copy / "routes.yaml").write_text("port: [", "utf-8")
    page = {line.check: line for line in examine(copy, now())}
    assert page["declarations"].verdict == "bad" and page["declarations"].todo == "eport check"
    assert page.keys() == {"declarations", *OF_MACHINE, *OF_JOURNAL}


def test_the_command_says_by_its_exit_code_that_something_is_bad(copy: Path) -> None:
    done = Hub(copy, 0).eport("doctor")
    assert done.returncode == 1 and "bad\tprocesses\tgate 0" in done.stdout  # nothing runs on the copy
    none = Hub(copy / "nowhere", 0).eport("doctor")
    assert none.returncode == 2 and "eport up" in none.stderr
