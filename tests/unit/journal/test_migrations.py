"""Upgrading: nothing is lost, two machines may begin at once, a kill leaves the old schema, a running hub goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, event, inspect, text

from hub.engine import supervisor
from hub.errors import JournalError
from hub.journal import schema, tables
from hub.journal.journal import Journal
from hub.journal.schema import upgrade
from tests.journeys.conftest import ROOT, Port, port

__all__ = ["port"]

BOTH = True
NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
MANIFEST = (ROOT / "mappings" / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()
SHA = "0" * 64
COMMIT = -2
"""Stands for the statement that ends an upgrade."""


def filled(folder: Path) -> None:
    """A journal as the first release left it: something in every table, a manifest that nobody has opened yet."""
    journal = Journal(folder / "spool", "old")
    upgrade(journal.engine, "0001")
    rows = _rows(journal.spool.store([MANIFEST], 1 << 20).sha256)
    old = MetaData()
    old.reflect(journal.engine)
    with journal.engine.begin() as connection:
        for name, row in rows.items():
            connection.execute(old.tables[name].insert(), row)
    assert set(old.tables) == {*rows, "alembic_version"}
    journal.close()


def _rows(sha: str) -> dict[str, dict[str, Any]]:
    clock = {"next_at": NOW, "give_up_at": NOW + timedelta(days=1), "at": NOW, "overdue": False, "tries": 0}
    return {
        "payload": {"sha256": sha, "size": len(MANIFEST), "data": MANIFEST},
        "interchange": {"id": "1KB4ZA", "endpoint": "tjline", "party": "TJLINE", "name": "old.edi", "key": "old.edi:1",
                        "sha256": sha, "size": len(MANIFEST), "received_at": NOW, "state": "received", "reason": "",
                        "original": "", "tries": 0, "holder": None},
        "message": {"id": "1KB4Z0.1", "interchange": "1KB4Z0", "kind": "k", "system": "s", "sender": "BOHAI",
                    "reference": "1", "keys": {"call": "1"}, "document": "1", "function": "original", "payload": SHA,
                    "frame": "", "charset": "", "canonical_kind": "", "canonical": "", "state": "done", "reason": "",
                    "supersedes": "", "superseded_by": "", "test": False, "case": "", "tries": 0, "at": NOW},
        "delivery": {"id": "1KB4Z0.1-CUSTOMS", "message": "1KB4Z0.1", "party": "CUSTOMS",
                     "endpoint": "customs", "kind": "k", "name": "n.xml", "payload": SHA, "signature": "",
                     "folder": "inbound", "state": "answered", "reason": "", "order_key": "", "awaits": "business",
                     "due_at": NOW, "sent_at": NOW, **clock},
        "envelope": {"party": "BOHAI", "reference": "R", "interchange": "1KB4Z0", "sha256": SHA},
        "document": {"party": "BOHAI", "key": "k", "message": "1KB4Z0.1", "sha256": SHA},
        "reference": {"party": "CUSTOMS", "name": "reference", "value": "E1", "delivery": "1KB4Z0.1-CUSTOMS"},
        "receipt": {"id": "1KB4Z2.1", "message": "1KB4Z2.1", "delivery": "1KB4Z0.1-CUSTOMS", "party": "CUSTOMS",
                    "level": "business", "accepted": True, "state": "matched", "number": "", "reasons": [], "at": NOW},
        "port_case": {"id": "vessel/1", "system": "vessel", "sender": "BOHAI", "state": "open", "stages": {},
                      "outcome": "", "version": 0, "opened_at": NOW, "closed_at": None, "due_at": None,
                      "overdue": False, "ripe": False, "tries": 0, "holder": None},
        "case_event": {"case": "vessel/1", "at": NOW, "what": "message", "name": "k", "message": "1KB4Z0.1",
                       "subject": ""},
        "event": {"at": NOW, "subject": "1KB4Z0", "what": "received", "detail": {"name": "n"}},
        "waiting": {"subject": "customs", "what": "endpoint", "code": "endpoint.stopped", "detail": "",
                    "owner": "operator", "since": NOW, "due_at": NOW, "overdue": False},
        "endpoint": {"id": "customs", "state": "open", "reason": "", "failures": 0, "next_at": None, "since": NOW},
        "counter": {"name": "reference", "value": 4711},
    }  # fmt: skip


def contents(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, by what the tables are now."""
    now = MetaData()
    now.reflect(engine)
    with engine.connect() as connection:
        return {
            name: [dict(row) for row in connection.execute(table.select()).mappings()]
            for name, table in now.tables.items()
        }


def columns(engine: Engine) -> dict[str, dict[str, Any]]:
    """Table -> column -> what the database says of it."""
    looked = inspect(engine)
    return {
        name: {c["name"]: c | {"type": str(c["type"])} for c in looked.get_columns(name)}
        for name in looked.get_table_names()
    }


def in_a_process(work: Callable[[], None]) -> int:
    """pid of a child that does `work`; it ends with 0 when that went well."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_everything_of_the_first_release_is_there_and_a_hub_works_on_it(tmp_path: Path, database: str) -> None:
    filled(tmp_path)
    journal = Journal(tmp_path / "spool", "new")
    before = contents(journal.engine)
    upgrade(journal.engine)
    after = contents(journal.engine)
    journal.close()
    for table, rows in before.items():
        if table != "alembic_version":
            kept = [{name: row[name] for name in rows[0]} for row in after[table]]
            assert kept == rows, table
    port = Port(tmp_path)
    try:
        port.run()
        assert port.column(tables.interchange, "state") == ["opened"]
        [sent] = port.files("customs", "in")
        assert b"E000004712" in sent.read_bytes()
    finally:
        port.close()


def test_machines_that_start_at_once_upgrade_once(tmp_path: Path, database: str) -> None:
    filled(tmp_path)

    def work() -> None:
        journal = Journal(tmp_path / "spool", "one of four")
        upgrade(journal.engine)
        journal.close()

    assert [ended(pid) for pid in [in_a_process(work) for _ in range(4)]] == [0, 0, 0, 0]
    journal = Journal(tmp_path / "spool", "after")
    assert len(contents(journal.engine)["alembic_version"]) == 1
    assert [row["value"] for row in contents(journal.engine)["counter"]] == [4711]
    journal.close()


def test_a_kill_at_any_statement_of_an_upgrade_leaves_the_old_schema(tmp_path: Path, database: str) -> None:
    filled(tmp_path)
    journal = Journal(tmp_path / "spool", "witness")
    old = columns(journal.engine), contents(journal.engine)
    journal.engine.dispose()
    killed = [COMMIT]
    while ended(in_a_process(partial(upgrade_until, tmp_path, killed[-1]))):
        assert (columns(journal.engine), contents(journal.engine)) == old, f"at statement {killed[-1]}"
        journal.engine.dispose()
        killed.append(max(1, killed[-1] + 3))
    assert len(killed) > 5
    assert contents(journal.engine)["alembic_version"] != old[1]["alembic_version"]
    journal.close()


def upgrade_until(folder: Path, statement: int) -> None:
    """Upgrade; die by SIGKILL before the so-manyeth statement."""
    engine, past = Journal(folder / "spool", "killed").engine, iter(range(1, 1000))

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if statement == COMMIT:
        event.listen(engine, "commit", die)
    else:
        event.listen(engine, "before_cursor_execute", lambda *_: next(past) == statement and die())
    upgrade(engine)


def test_a_journal_of_a_newer_release_is_refused_by_both_names(tmp_path: Path, database: str) -> None:
    journal = Journal(tmp_path / "spool", "old hub")
    upgrade(journal.engine)
    with journal.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    head = ScriptDirectory.from_config(schema._config()).get_current_head()
    with pytest.raises(JournalError, match=f"revision 0999.*knows {head}"):
        supervisor.prepare(tmp_path)
    journal.close()


def test_every_migration_only_adds(tmp_path: Path, database: str) -> None:
    journal = Journal(tmp_path / "spool", "test")
    scripts = list(ScriptDirectory.from_config(schema._config()).walk_revisions())[::-1]
    before: dict[str, dict[str, Any]] = {}
    for script in scripts:
        upgrade(journal.engine, script.revision)
        after = columns(journal.engine)
        for table, had in before.items():
            assert had.keys() <= after[table].keys(), script.revision
            for name in after[table].keys() - had.keys():
                one = after[table][name]
                assert one["nullable"] or one["default"], f"{script.revision}: {table}.{name} must be given a value"
            assert all(after[table][name]["nullable"] == had[name]["nullable"] for name in had), script.revision
        before = after
    journal.close()


def test_a_hub_goes_on_while_the_schema_grows_under_it(port: Port, database: str) -> None:
    port.submit("tjline", "before.edi", MANIFEST)
    port.run()
    other = Journal(port.folder / "spool", "another release")
    with other.engine.begin() as connection:
        for table in ("interchange", "message", "delivery", "payload", "event", "waiting", "port_case"):
            connection.execute(text(f"ALTER TABLE {table} ADD COLUMN later TEXT"))
        connection.execute(text("CREATE TABLE later (id INTEGER PRIMARY KEY)"))
        connection.execute(text("CREATE INDEX later_state ON delivery (state, later)"))
    other.close()
    again = MANIFEST.replace(b"TJ26112301", b"TJ26112399").replace(b"TJL2611230001", b"TJL2611230099")
    port.submit("tjline", "after.edi", again)
    port.run()
    assert len(port.files("customs", "in")) == 2
