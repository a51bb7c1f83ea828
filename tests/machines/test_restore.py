"""The drill: backup of a port under load, loss of everything, restore, fence, start. What was acknowledged before the
backup is there; nothing is handed over twice; what came after the backup is lost and can be named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select

from hub import decisions
from hub.errors import Impossible
from hub.fence import GAP, RESTORED, fence
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.schema import upgrade
from hub.message import Interchange, new_id
from hub.prove import checker
from hub.prove.port import Port
from hub.site.load import load
from tests import postgresql
from tests.journeys.conftest import ROOT

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NEVER = {"delivered twice", "handed over twice", "one reference, two contents", "out of order", "taken in twice",
         "other bytes", "payload missing", "payload changed", "reference twice", "never accepted"}  # fmt: skip
ON_ITS_WAY = """
SELECT id FROM interchange WHERE state = 'received' UNION ALL SELECT id FROM port_case WHERE ripe UNION ALL
SELECT id FROM delivery WHERE state IN ('released', 'pending', 'sending', 'failed', 'in_doubt')
"""


@dataclass
class Keeping:
    """How this database is backed up, lost and restored."""

    url: str
    backup: Callable[[Path, Path], None]
    lose: Callable[[Path], None]
    restore: Callable[[Path, Path], None]


def by_sqlite() -> Keeping:
    def backup(spool: Path, to: Path) -> None:
        subprocess.run(["sqlite3", spool / "journal.db", f".backup {to / 'journal.db'}"], check=True)
        shutil.copytree(spool / "payloads", to / "payloads")

    def lose(spool: Path) -> None:
        for path in spool.glob("journal.db*"):
            path.unlink()
        shutil.rmtree(spool / "payloads")

    def restore(spool: Path, source: Path) -> None:
        shutil.copy(source / "journal.db", spool / "journal.db")
        shutil.copytree(source / "payloads", spool / "payloads")

    return Keeping("", backup, lose, restore)


@contextmanager
def by_postgresql() -> Iterator[Keeping]:
    with postgresql.own_server() as server:
        server.create("hub")
        url, dump = f"{server.url}/hub", server.folder / "hub.dump"

        def run(name: str, *arguments: object) -> None:
            subprocess.run(server.program(name, *arguments), check=True, capture_output=True, cwd=server.folder)

        def lose(_: Path) -> None:
            with psycopg.connect(f"{server.url}/postgres", autocommit=True) as connection:
                connection.execute("DROP DATABASE hub WITH (FORCE)")

        def restore(*_: Path) -> None:
            server.create("hub")
            run("pg_restore", "-d", url, dump)

        yield Keeping(url, lambda *_: run("pg_dump", "-Fc", "-f", dump, url), lose, restore)


@pytest.fixture(params=["sqlite", "postgresql"])
def keeping(request: pytest.FixtureRequest) -> Iterator[Keeping]:
    if request.param == "postgresql":
        with by_postgresql() as made:
            yield made
    elif shutil.which("sqlite3") is None:
        pytest.skip("no sqlite3")
    else:
        yield by_sqlite()


def acknowledged(port: Port) -> set[str]:
    """Files that are no longer where their senders put them."""
    waiting = {path.name for home in port.homes.values() for path in (home / "outbound").iterdir()}
    return {sent["name"] for sent in checker.lines(port.evidence / "sent.jsonl")} - waiting


@pytest.mark.slow
def test_what_was_acknowledged_before_the_backup_is_there_and_nothing_goes_out_twice(
    tmp_path: Path, keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    if keeping.url:
        monkeypatch.setenv("EPORT_DATABASE_URL", keeping.url)
    port = Port(tmp_path / "port", 3, database=keeping.url)
    spool, copy = port.site / "spool", tmp_path / "backup"
    copy.mkdir()
    try:
        port.open()
        port.run(60, lambda: port.sent >= 25)
        before = acknowledged(port)
        keeping.backup(spool, copy)
        port.run(60, lambda: port.sent >= 40)
        port.down()
        keeping.lose(spool)
        keeping.restore(spool, copy)
        command = [sys.executable, "-m", "hub.cli", "fence", "--by", "LI", "--why", "drill", "--site", str(port.site)]
        assert subprocess.run(command, capture_output=True, text=True).returncode == 0
        port.up()
        for _ in range(3):
            port.hand_in(*port.writer.manifest())
        assert port.run(60, lambda: not acknowledged(port) ^ all_sent(port) and not moving(port), loaded=False)
        ground = port.ground()
    finally:
        port.close()
    found = checker.check(ground)
    assert [str(one) for one in found if one.code in NEVER] == []
    lost = {one.subject for one in found if one.code == "lost"}
    assert len(before) > 15 and not lost & before
    there = {row["name"] for row in ground.tables["interchange"]}
    assert lost == all_sent(port) - there, "what came after the backup can be named"
    newest = [sent["name"] for sent in ground.sent[-3:]]
    states = {row["name"]: row["state"] for row in ground.tables["interchange"]}
    assert [states[name] for name in newest] == ["opened"] * 3


def all_sent(port: Port) -> set[str]:
    return {sent["name"] for sent in checker.lines(port.evidence / "sent.jsonl")}


def moving(port: Port) -> bool:
    return bool(port.eyes.ask(ON_ITS_WAY))


# ---- the fence by itself


@pytest.fixture
def journal(tmp_path: Path, database: str) -> Iterator[Journal]:
    opened = Journal(tmp_path / "spool", "restored")
    upgrade(opened.engine)
    yield opened
    opened.close()


def delivery(outcome: Outcome, id: str, state: str) -> None:
    outcome.add(
        "delivery", id=id, message="M.1", party="CUSTOMS", endpoint="customs", kind="k", name=id,
        payload=outcome.keep(b"x"), folder="inbound", state=state, order_key="", next_at=NOW, give_up_at=NOW, at=NOW,
    )  # fmt: skip


BOTH = True


def test_the_fence_lets_nothing_go_on_blindly_and_a_person_lets_it_go(journal: Journal, database: str) -> None:
    site = load(ROOT)
    stored = journal.spool.store([b"x"], 10)
    one = Interchange(new_id(NOW), "tjline", "TJLINE", "a", "k", stored.sha256, 1, NOW)
    journal.accept_all([(one, stored)], NOW)
    journal.numbers("reference", 5)
    outcome = Outcome()
    for state in ("pending", "failed", "sending", "sent", "held"):
        delivery(outcome, f"D-{state}", state)
    outcome.add(
        "port_case", id="vessel/1", system="vessel", sender="BOHAI", state="open", stages={}, opened_at=NOW, ripe=True
    )
    journal.commit([outcome], NOW)
    assert fence(site, journal, "LI", "restored", NOW) == {"interchange": 1, "delivery": 3, "case": 1}
    states = {row["id"]: row["state"] for row in journal.rows(select(t.delivery.c.id, t.delivery.c.state))}
    assert {id for id, state in states.items() if state == "in_doubt"} == {"D-pending", "D-failed", "D-sending"}
    assert states["D-sent"] == "sent" and states["D-held"] == "held"
    assert journal.numbers("reference", 1)[0] == 5 + GAP + 1
    codes = {row["subject"]: row["code"] for row in journal.rows(select(t.waiting))}
    assert codes == {
        one.id: RESTORED, "vessel/1": RESTORED,
        **dict.fromkeys(("D-pending", "D-failed", "D-sending"), "delivery.in_doubt"),
    }  # fmt: skip
    assert journal.claim_interchanges(10) == [] and journal.claim_cases(10) == []
    decisions.release(site, journal, one.id, "LI", "customs has nothing", NOW)
    decisions.release(site, journal, "vessel/1", "LI", "nobody has anything", NOW)
    assert [claimed.id for claimed in journal.claim_interchanges(10)] == [one.id]
    assert [id for id, _ in journal.claim_cases(10)] == ["vessel/1"]


def test_a_fence_is_not_put_up_around_a_hub_that_runs(journal: Journal, tmp_path: Path, database: str) -> None:
    running = Journal(tmp_path / "spool", "clock")
    running.locks.hold("clock")
    with pytest.raises(Impossible, match="stop it first"):
        fence(load(ROOT), journal, "LI", "", NOW)
    running.close()
