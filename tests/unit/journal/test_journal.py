"""The journal keeps what it says it keeps: once, whole, in order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select, text

from hub.errors import JournalError, Stale
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.schema import upgrade
from hub.journal.spool import INLINE, Stored, TooLarge
from hub.message import Interchange, new_id

BOTH = True
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path: Path, database: str) -> Iterator[Journal]:
    opened = Journal(tmp_path / "spool", "worker-1")
    upgrade(opened.engine)
    yield opened
    opened.close()


def arrival(journal: Journal, key: str, data: bytes = b"x") -> tuple[Interchange, Stored]:
    stored = journal.spool.store([data], 10_000_000)
    return Interchange(new_id(NOW), "bohai", "BOHAI", "a.edi", key, stored.sha256, stored.size, NOW), stored


def delivery_row(id: str, **more: object) -> dict[str, object]:
    row: dict[str, object] = {
        "id": id, "message": "M.1", "party": "CUSTOMS", "endpoint": "customs", "kind": "k", "name": id,
        "payload": "p", "folder": "inbound", "state": "pending", "order_key": "", "next_at": NOW,
        "give_up_at": NOW + timedelta(days=1), "at": NOW,
    }  # fmt: skip
    return row | more


def test_migrations_make_exactly_the_tables_that_the_code_uses(journal: Journal) -> None:
    with journal.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), t.metadata) == []


def test_every_connection_is_durable(journal: Journal) -> None:
    promises = {
        "sqlite": {"PRAGMA synchronous": 2, "PRAGMA journal_mode": "wal"},
        "postgresql": {"SHOW synchronous_commit": "on", "SHOW fsync": "on"},
    }
    with journal.engine.connect() as connection:
        for question, answer in promises[journal.engine.dialect.name].items():
            assert connection.execute(text(question)).scalar() == answer


def test_an_arrival_seen_again_is_taken_once(journal: Journal) -> None:
    first, again = arrival(journal, "k1"), arrival(journal, "k1")
    assert journal.accept_all([first], NOW) == [first[0].id]
    assert journal.accept_all([again], NOW) == []
    assert len(journal.rows(select(t.interchange))) == 1


def test_equal_bytes_sent_again_are_another_interchange(journal: Journal) -> None:
    journal.accept_all([arrival(journal, "k1"), arrival(journal, "k2")], NOW)
    assert len(journal.rows(select(t.interchange))) == 2
    assert len(journal.rows(select(t.payload))) == 1


def test_a_claim_is_held_until_its_holder_is_dead(journal: Journal, tmp_path: Path) -> None:
    journal.accept_all([arrival(journal, "k1")], NOW)
    other = Journal(tmp_path / "spool", "worker-2")
    assert len(journal.claim_interchanges(10)) == 1
    assert other.claim_interchanges(10) == []
    assert other.take_back() == 0
    journal.locks.close()  # what the death of its process does
    assert other.take_back() == 1
    claimed = other.claim_interchanges(10)
    assert [one.tries for one in claimed] == [2]  # the crash counted
    other.close()


def test_a_commit_on_changed_facts_writes_nothing(journal: Journal) -> None:
    seed = Outcome()
    seed.add("delivery", **delivery_row("D1", state="sent"))
    journal.commit([seed], NOW)
    outcome = Outcome()
    outcome.event("D1", "must not stay")
    outcome.move("delivery", "D1", ("sending",), state="failed")
    with pytest.raises(Stale):
        journal.commit([outcome], NOW)
    assert journal.rows(select(t.event).where(t.event.c.what == "must not stay")) == []


def test_large_payloads_lie_in_the_spool_and_a_flipped_byte_is_found(journal: Journal, database: str) -> None:
    if database == "postgresql":
        pytest.skip("on PostgreSQL every machine has to see the bytes: they are in their row")
    data = b"a" * (INLINE + 1)
    journal.accept_all([arrival(journal, "k1", data)], NOW)
    sha = journal.rows(select(t.payload))[0]["sha256"]
    assert journal.payload(sha) == data
    journal.spool.path(sha).write_bytes(b"b" + data[1:])
    with pytest.raises(JournalError):
        journal.payload(sha)


def test_a_stream_over_its_limit_leaves_nothing(journal: Journal) -> None:
    with pytest.raises(TooLarge):
        journal.spool.store((b"x" * 100_000 for _ in range(10)), 500_000)
    assert [p for p in journal.spool.folder.rglob("*") if p.is_file()] == []


def test_later_versions_of_a_document_wait_for_earlier_ones(journal: Journal) -> None:
    with journal.engine.begin() as connection:
        for id, key, state in (("D1", "doc", "failed"), ("D2", "doc", "pending"), ("D3", "other", "pending")):
            due = NOW + timedelta(hours=1) if state == "failed" else NOW
            connection.execute(insert(t.delivery), delivery_row(id, order_key=key, state=state, next_at=due))
    assert [row["id"] for row in journal.due("customs", NOW, 10)] == ["D3"]
    assert [row["id"] for row in journal.due("customs", NOW + timedelta(hours=2), 10)] == ["D1", "D3"]


def test_a_message_is_done_when_its_last_delivery_rests(journal: Journal) -> None:
    seed = Outcome()
    seed.add(
        "message", id="M.1", interchange="M", kind="k", system="s", sender="B", reference="1", keys={}, document="",
        function="original", payload="p", canonical_kind="", canonical="", state="routed", at=NOW,
    )  # fmt: skip
    seed.add("delivery", **delivery_row("D1", awaits="business", state="sent"))
    seed.add("delivery", **delivery_row("D2", state="sending"))
    journal.commit([seed], NOW)

    def state() -> str:
        return str(journal.rows(select(t.message))[0]["state"])

    one, two = Outcome(), Outcome()
    one.move("delivery", "D2", ("sending",), state="sent")
    journal.commit([one], NOW)
    assert state() == "routed"  # D1 still owes an answer
    two.move("delivery", "D1", ("sent",), state="answered")
    journal.commit([two], NOW)
    assert state() == "done"


def test_numbers_are_never_given_twice(journal: Journal, tmp_path: Path) -> None:
    other = Journal(tmp_path / "spool", "worker-2")
    given = [*journal.numbers("reference", 3), *other.numbers("reference", 3), *journal.numbers("reference", 1)]
    assert given == [1, 2, 3, 4, 5, 6, 7]
    other.close()
