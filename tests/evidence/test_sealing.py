"""What happens is sealed in order, once, and for good."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError

from hub.errors import Stale
from hub.evidence import canonical, merkle, seal
from hub.evidence.head import digest, parse
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from tests.evidence.conftest import BROKEN, found, happened, journey, look, sealed

BOTH = True


def heads(port: Any) -> list[Any]:
    return [parse(row["head"]) for row in port.journal.rows(select(t.seal).order_by(t.seal.c.number))]


# ---- sealing


def test_every_event_is_under_one_head_and_each_head_names_the_one_before(port: Any) -> None:
    journey(port)
    port.submit("tjline", "bad.edi", BROKEN)
    port.run()
    sealed(port)
    rows = port.journal.rows(select(t.event).order_by(t.event.c.seq))
    known = heads(port)
    assert [head.number for head in known] == [1, 2, 3] and sum(head.count for head in known) == len(rows)
    for head in known:
        leaves = [merkle.leaf(canonical.event(row)) for row in rows if head.first <= row["seq"] <= head.last]
        assert (len(leaves), merkle.root(leaves).hex()) == (head.count, head.root)
    data = [row["head"] for row in port.journal.rows(select(t.seal.c.head).order_by(t.seal.c.number))]
    assert [head.previous for head in known] == ["", digest(data[0]), digest(data[1])]
    assert sealed(port) == 0 and len(heads(port)) == 3
    clean = look(port, payloads=True)
    assert (clean.findings, clean.heads, clean.events, clean.unsealed) == ([], 3, len(rows), 0)
    assert clean.payloads > 5


def test_it_is_due_after_a_while_or_after_so_many(small: Any) -> None:
    rule = small.site.routes.evidence
    assert seal.tick(small.site, small.journal, small.now) == 0
    happened(small, 3)
    assert seal.tick(small.site, small.journal, small.now + rule.every - timedelta(seconds=1)) == 0
    assert seal.tick(small.site, small.journal, small.now + rule.every) == 3
    happened(small, rule.events - 1)
    assert seal.tick(small.site, small.journal, small.now) == 0
    happened(small, 1)
    assert seal.tick(small.site, small.journal, small.now) == rule.events


def test_more_than_fits_under_one_head_gets_several(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "MOST", 4)
    happened(small, 10)
    assert sealed(small) == 10
    assert [head.count for head in heads(small)] == [4, 4, 2] and not found(small)


def test_what_a_rolled_back_commit_leaves_out_is_no_gap(small: Any) -> None:
    happened(small, 1)
    outcome = Outcome()
    outcome.event("x", "lost")
    outcome.move("message", "none", ("routed",), state="done")
    with pytest.raises(Stale):
        small.journal.commit([outcome], small.now)
    happened(small, 1)
    assert sealed(small) == 2 and not found(small)


def test_two_clocks_make_no_fork(small: Any) -> None:
    happened(small, 2)
    second = Outcome()
    second.add("seal", **seal._sealed(small.site, small.journal.rows(select(t.event)), None, small.now))
    assert sealed(small) == 2
    with pytest.raises(Stale):
        small.journal.commit([second], small.now)
    assert len(heads(small)) == 1 and not found(small)


def test_events_with_any_text_are_sealed(small: Any) -> None:
    outcome = Outcome()
    outcome.event("x", "said", text="天津 \u0007 \u2028 \ud83d\udea2", none=None, yes=True, many=[1, {"a": "b"}])
    small.journal.commit([outcome], small.now)
    assert sealed(small) == 1 and not found(small)


def test_a_commit_under_way_is_waited_for(small: Any, tmp_path: Path) -> None:
    """On PostgreSQL a number given out first may be committed last; no head may pass it by. SQLite has one writer."""
    other = Journal(tmp_path / "spool", "slow")
    row = {"at": small.now, "subject": "slow", "what": "happened", "detail": {}}
    slow = other.engine.connect().execution_options(writes=True)
    under_way = slow.begin()
    slow.execute(insert(t.event), [row])
    if other.engine.dialect.name == "postgresql":
        happened(small, 1, "fast")  # a later number, committed earlier
        with pytest.raises(Stale):
            small.journal.horizon()
        assert seal.tick(small.site, small.journal, small.now + timedelta(hours=1)) == 0
        writer = threading.Thread(target=happened, args=(small, 1, "behind"))
        writer.start()
        writer.join(20)
        assert not writer.is_alive()
        under_way.commit()
    else:
        assert small.journal.horizon() == 0
        under_way.commit()
        happened(small, 1, "fast")
        happened(small, 1, "behind")
    slow.close()
    other.close()
    assert sealed(small) == 3 and heads(small)[0].first == 1 and not found(small)


def test_a_certificate_that_cannot_sign_is_on_the_list_and_stops_no_clock(small: Any) -> None:
    happened(small, 1)
    late = small.now + timedelta(days=3000)
    assert seal.tick(small.site, small.journal, late) == 0
    [row] = small.journal.rows(select(t.waiting))
    assert (row["subject"], row["code"], row["owner"]) == ("seal", "evidence.unsealed", "operator")
    assert seal.tick(small.site, small.journal, late) == 0
    assert seal.tick(small.site, small.journal, small.now + timedelta(days=1)) == 2
    assert small.journal.rows(select(t.waiting)) == []


# ---- nothing is changed afterwards


@pytest.mark.parametrize("table", [t.event, t.seal, t.stamp], ids=str)
@pytest.mark.parametrize("what", ["UPDATE {} SET {}={}", "DELETE FROM {}"])
def test_the_database_itself_refuses(small: Any, table: Any, what: str) -> None:
    happened(small, 1)
    sealed(small)
    stamp = Outcome()
    stamp.add("stamp", number=1, response=b"x", at=small.now)
    small.journal.commit([stamp], small.now)
    column = "seq" if table is t.event else "number"
    with pytest.raises(DBAPIError, match="never changed"), small.journal.engine.begin() as connection:
        connection.execute(text(what.format(table.name, column, column)))


def test_events_of_the_journey_carry_the_hashes_of_the_bytes(port: Any) -> None:
    """Every payload that a row names is named by an event of that row, so it is sealed with it."""
    journey(port)
    port.submit("tjline", "bad.edi", BROKEN)
    port.run()
    sealed(port)
    said: dict[str, set[str]] = {}
    for row in port.journal.rows(select(t.event)):
        said.setdefault(row["subject"], set()).update(str(value) for value in row["detail"].values())
    for table, columns in ((t.interchange, ["sha256"]), (t.message, ["payload", "canonical"]),
                           (t.delivery, ["payload", "signature"])):  # fmt: skip
        for row in port.journal.rows(select(table)):
            assert {row[column] for column in columns} - {""} <= said[row["id"]], (table.name, row["id"])


def test_no_event_holds_what_cannot_be_sealed(port: Any) -> None:
    journey(port)
    count = port.journal.rows(select(func.count().label("n")).select_from(t.event))[0]["n"]
    assert look(port).events == count
