"""What a batch knows is read once, in few queries, and is what the journal says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.errors import JournalError
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.recall import Recall
from hub.journal.schema import upgrade
from hub.journal.statements import Plan, Row

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
QUOTED = ("party", "name", "value")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "spool", "worker-1")
    upgrade(opened.engine)
    outcome = Outcome()
    for at in range(3):
        for delivery in ("D1", "D2"):
            outcome.add("reference", party="CUSTOMS", name="reference", value=f"E{at}", delivery=delivery)
    for name in ("second", "first"):
        outcome.add("case_event", case="C", at=NOW, what="message", name=name)
    opened.commit([outcome], NOW)
    yield opened
    opened.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every query that the journal is asked."""
    said: list[str] = []
    ask = Plan.ask

    def noted(plan: Plan, connection: Any, parameters: Row) -> list[dict[str, Any]]:
        said.append(plan.sql)
        return ask(plan, connection, parameters)

    monkeypatch.setattr(Plan, "ask", noted)
    return said


def key(at: int) -> tuple[str, str, str]:
    return "CUSTOMS", "reference", f"E{at}"


def test_many_keys_are_one_query_and_are_not_asked_for_again(journal: Journal, asked: list[str]) -> None:
    recall = Recall(journal)
    found = recall.fetch(t.reference, QUOTED, [key(0), key(1), key(0), key(7)])
    assert [(row["value"], row["delivery"]) for row in found] == [
        ("E0", "D1"),
        ("E0", "D2"),
        ("E1", "D1"),
        ("E1", "D2"),
    ]
    assert len(recall.rows(t.reference, QUOTED, *key(1))) == 2
    assert recall.rows(t.reference, QUOTED, *key(7)) == [] and recall.one(t.reference, QUOTED, *key(7)) is None
    recall.fetch(t.reference, QUOTED, [key(0), key(7)])
    assert len(asked) == 1


def test_keys_may_come_from_a_generator(journal: Journal) -> None:
    found = Recall(journal).fetch(t.reference, QUOTED, (key(at) for at in range(3)))
    assert len(found) == 6


def test_what_was_not_fetched_is_read_through(journal: Journal, asked: list[str]) -> None:
    recall = Recall(journal)
    assert len(recall.rows(t.reference, QUOTED, *key(2))) == 2
    row = recall.one(t.reference, QUOTED, *key(2))
    assert row is not None and row["delivery"] == "D1" and len(asked) == 1


def test_any_number_of_keys_is_one_query(journal: Journal, asked: list[str]) -> None:
    found = Recall(journal).fetch(t.reference, QUOTED, [key(at) for at in range(40_000)])
    assert len(found) == 6 and len(asked) == 1


def test_rows_with_a_number_come_in_its_order(journal: Journal) -> None:
    rows = Recall(journal).rows(t.case_event, ("case",), "C")
    assert [row["name"] for row in rows] == ["second", "first"]


def test_different_columns_of_one_table_are_different_questions(journal: Journal) -> None:
    recall = Recall(journal)
    assert len(recall.rows(t.reference, ("delivery",), "D1")) == 3
    assert recall.rows(t.reference, ("party",), "D1") == []


def test_a_fresh_recall_sees_what_was_committed_meanwhile_and_an_old_one_does_not(journal: Journal) -> None:
    old = Recall(journal)
    assert old.rows(t.reference, QUOTED, *key(9)) == []
    outcome = Outcome()
    outcome.add("reference", party="CUSTOMS", name="reference", value="E9", delivery="D9")
    journal.commit([outcome], NOW)
    assert old.rows(t.reference, QUOTED, *key(9)) == []
    assert len(Recall(journal).rows(t.reference, QUOTED, *key(9))) == 1


def test_payloads_are_read_once(journal: Journal, asked: list[str]) -> None:
    outcome = Outcome()
    shas = [outcome.keep(data) for data in (b"one", b"two")]
    outcome.event("X", "kept")
    journal.commit([outcome], NOW)
    asked.clear()
    recall = Recall(journal)
    recall.fetch_payloads(sha for sha in shas)
    assert [recall.payload(sha) for sha in shas] == [b"one", b"two"]
    recall.fetch_payloads(shas)
    assert sum("payload" in query for query in asked) == 1
    with pytest.raises(JournalError):
        recall.payload("no such hash")
