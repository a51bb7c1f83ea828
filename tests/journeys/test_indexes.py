"""Nothing that the roles ask again and again reads a whole table: a hub with a long history is as fast as a new one."""

from __future__ import annotations

import re
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from hub import conditions, retention
from hub.alarms import filing
from hub.evidence import seal

ORIGINAL = (Path(__file__).parents[2] / "mappings" / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()
LONG = "case_event|delivery|document|envelope|event|interchange|message|payload|port_case|receipt|reference"
WHOLE = re.compile(rf"SCAN ({LONG})\b")
AGAIN = ("SELECT", "UPDATE", "DELETE", "WITH")


def plans(database: sqlite3.Connection, statements: list[str]) -> dict[str, str]:
    """For each kind of statement, how SQLite goes about it."""
    found: dict[str, str] = {}
    for statement in statements:
        kind = re.sub(r"'[^']*'|\b[0-9]+\b", "?", statement)
        if statement.startswith(AGAIN) and kind not in found:
            steps = database.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            found[kind] = "\n".join(step[3] for step in steps)
    return found


@pytest.fixture
def asked(port: Any) -> list[str]:
    """Every statement as the database gets it."""
    said: list[str] = []

    @event.listens_for(port.journal.engine, "checkout")
    def _listen(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_trace_callback(said.append)

    return said


def test_no_round_of_any_role_reads_a_whole_table(port: Any, asked: list[str]) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    port.answer(
        "CUSTOMS",
        "a.xml",
        '<CustomsAnswer xmlns="urn:eport:manifest:customs-answer:1"><Reference>E000000001</Reference>'
        "<Number>TJL2611230001</Number><Status>01</Status><At>2026-11-23T08:30:00+08:00</At></CustomsAnswer>",
    )
    port.run()
    port.submit("tjline", "again.edi", ORIGINAL)
    port.run()
    port.journal.take_back()
    for look in (filing.file, seal.tick, retention.clear):
        look(port.site, port.journal, port.now + timedelta(hours=1))
    conditions.watch(port.site, port.journal, port.folder, port.now)
    database = sqlite3.connect(port.folder / "spool" / "journal.db")
    found = plans(database, asked)
    database.close()
    assert len(found) > 40
    whole = {kind: plan for kind, plan in found.items() if WHOLE.search(plan)}
    assert not whole, "\n\n".join(f"{kind}\n{plan}" for kind, plan in whole.items())
