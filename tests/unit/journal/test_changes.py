"""One commit: everything or nothing, in the order in which a step said it, and one row for each thing that waits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub.errors import JournalError, Stale
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.schema import upgrade
from hub.journal.spool import INLINE
from hub.journal.statements import Plan

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "spool", "worker-1")
    upgrade(opened.engine)
    yield opened
    opened.close()


def delivery(outcome: Outcome, id: str, state: str = "pending", **more: Any) -> None:
    row = {
        "message": "M.1", "party": "CUSTOMS", "endpoint": "customs", "kind": "k", "name": id, "payload": "p",
        "folder": "inbound", "order_key": "", "next_at": NOW, "give_up_at": NOW + HOUR, "at": NOW,
    }  # fmt: skip
    outcome.add("delivery", id=id, state=state, **row, **more)


def message(outcome: Outcome, id: str, state: str = "routed", **more: Any) -> None:
    row = {
        "interchange": id.split(".")[0], "kind": "k", "system": "s", "sender": "A", "reference": "1", "keys": {},
        "document": "", "function": "original", "payload": "p", "canonical_kind": "", "canonical": "", "at": NOW,
    }  # fmt: skip
    outcome.add("message", id=id, state=state, **(row | more))


def planted(journal: Journal, *ids: str, state: str = "pending") -> None:
    outcome = Outcome()
    for id in ids:
        delivery(outcome, id, state)
    journal.commit([outcome], NOW)


def states(journal: Journal) -> dict[str, str]:
    return {row["id"]: row["state"] for row in journal.rows(select(t.delivery))}


def everything(journal: Journal) -> dict[str, list[Any]]:
    return {name: list(journal.rows(select(table))) for name, table in t.metadata.tables.items()}


# ---- all or nothing


def test_many_like_moves_are_refused_as_one_when_one_of_them_is_stale(journal: Journal) -> None:
    planted(journal, "D1", "D2", "D3")
    before = everything(journal)
    outcome = Outcome()
    for id in ("D1", "D2", "D4"):
        outcome.move("delivery", id, ("pending",), state="sending")
    with pytest.raises(Stale, match="D4"):
        journal.commit([outcome], NOW)
    assert everything(journal) == before


def test_one_stale_outcome_takes_its_whole_batch_with_it(journal: Journal) -> None:
    planted(journal, "D1")
    good, bad = Outcome(), Outcome()
    good.move("delivery", "D1", ("pending",), state="sending")
    good.keep(b"never stored")
    bad.move("delivery", "D1", ("held",), state="released")
    before = everything(journal)
    with pytest.raises(Stale):
        journal.commit([good, bad], NOW)
    assert everything(journal) == before


def test_a_row_that_is_there_already_makes_a_step_stale(journal: Journal) -> None:
    planted(journal, "D1")
    before = everything(journal)
    outcome = Outcome()
    outcome.event("D1", "must not stay")
    delivery(outcome, "D1")
    with pytest.raises(Stale):
        journal.commit([outcome], NOW)
    assert everything(journal) == before


def test_nothing_to_write_is_no_transaction(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_write", lambda: pytest.fail("it opened a transaction"))
    journal.commit([Outcome(), Outcome()], NOW)
    assert journal.rows(select(t.event)) == []


# ---- what a step relied on


def test_a_column_that_was_relied_on_must_still_hold_its_value(journal: Journal) -> None:
    seed = Outcome()
    message(seed, "X.1")
    journal.commit([seed], NOW)
    first, second = Outcome(), Outcome()
    for outcome, by in ((first, "X.2"), (second, "X.3")):
        outcome.move("message", "X.1", (), given={"superseded_by": ""}, superseded_by=by)
    journal.commit([first], NOW)
    with pytest.raises(Stale):
        journal.commit([second], NOW)
    assert journal.rows(select(t.message.c.superseded_by))[0][t.message.c.superseded_by] == "X.2"


def test_two_versions_in_one_commit_never_supersede_the_same_one(journal: Journal) -> None:
    seed = Outcome()
    message(seed, "X.1")
    journal.commit([seed], NOW)
    outcomes = [Outcome(), Outcome()]
    for outcome, by in zip(outcomes, ("X.2", "X.3"), strict=True):
        outcome.move("message", "X.1", (), given={"superseded_by": ""}, superseded_by=by)
    with pytest.raises(Stale):
        journal.commit(outcomes, NOW)


@pytest.mark.parametrize("where", ["before", "same commit"])
def test_a_row_that_was_relied_on_not_to_be_there_makes_a_step_stale(journal: Journal, where: str) -> None:
    there, relying = Outcome(), Outcome()
    message(there, "X.1", "done", document="DOC")
    relying.relied_on_none("message", sender="A", document="DOC", state=("routed", "done"))
    relying.event("X.2", "must not stay")
    if where == "before":
        journal.commit([there], NOW)
    with pytest.raises(Stale):
        journal.commit([relying] if where == "before" else [relying, there], NOW)
    assert journal.rows(select(t.event)) == []


@pytest.mark.parametrize("other", [{"sender": "B"}, {"document": "ELSE"}, {"state": "held"}])
def test_a_row_that_is_not_like_what_was_relied_on_does_no_harm(journal: Journal, other: dict[str, str]) -> None:
    outcome = Outcome()
    message(outcome, "X.1", **({"state": "done", "document": "DOC"} | other))
    outcome.relied_on_none("message", sender="A", document="DOC", state=("routed", "done"))
    journal.commit([outcome], NOW)
    assert len(journal.rows(select(t.message))) == 1


# ---- in order


def test_changes_of_one_row_are_made_in_the_order_in_which_they_were_said(journal: Journal) -> None:
    planted(journal, "D1", "D2")
    outcome = Outcome()
    outcome.move("delivery", "D1", ("pending",), state="sending", tries=1)
    outcome.move("delivery", "D2", ("pending",), state="held", reason="x")
    outcome.move("delivery", "D1", ("sending",), state="failed", reason="y")
    outcome.move("delivery", "D2", ("held",), state="released")
    outcome.move("delivery", "D1", ("failed",), state="held", reason="z")
    journal.commit([outcome], NOW)
    assert states(journal) == {"D1": "held", "D2": "released"}
    told = [(row["subject"], row["what"]) for row in journal.rows(select(t.event).order_by(t.event.c.seq))]
    assert [what for subject, what in told if subject == "D1"] == ["sending", "failed", "held"]
    assert [what for subject, what in told if subject == "D2"] == ["held", "released"]


def test_a_row_may_be_added_and_moved_in_one_commit(journal: Journal) -> None:
    outcome = Outcome()
    delivery(outcome, "D1")
    outcome.move("delivery", "D1", ("pending",), state="sending")
    journal.commit([outcome], NOW)
    assert states(journal) == {"D1": "sending"}


def test_a_change_that_is_no_change_of_state_is_no_event(journal: Journal) -> None:
    planted(journal, "D1")
    outcome = Outcome()
    outcome.move("delivery", "D1", (), overdue=True)
    journal.commit([outcome], NOW)
    assert journal.rows(select(t.event)) == []


def test_fifty_like_changes_are_one_statement(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"D{at}" for at in range(50)]
    planted(journal, *ids)
    said: list[str] = []
    execute = Plan.execute
    monkeypatch.setattr(Plan, "execute", lambda plan, *how: said.append(plan.sql) or execute(plan, *how))
    outcomes = [Outcome() for _ in ids]
    for id, outcome in zip(ids, outcomes, strict=True):
        outcome.move("delivery", id, ("pending",), state="sending", tries=1)
    journal.commit(outcomes, NOW)
    assert sum(statement.startswith("UPDATE delivery") for statement in said) == 1
    assert set(states(journal).values()) == {"sending"}


# ---- what waits


def wait(journal: Journal, id: str, code: str, now: datetime = NOW, owner: str = "") -> None:
    outcome = Outcome()
    outcome.wait("delivery", id, code, now + HOUR, "why", owner)
    journal.commit([outcome], now)


def listed(journal: Journal) -> list[tuple[str, str, datetime, bool]]:
    return [(w["subject"], w["code"], w["since"], w["overdue"]) for w in journal.rows(select(t.waiting))]


def test_who_acts_is_in_the_catalogue_unless_a_party_is_named(journal: Journal) -> None:
    wait(journal, "D1", "delivery.gave_up")
    wait(journal, "D2", "delivery.overdue", owner="CUSTOMS")
    assert [row["owner"] for row in journal.rows(select(t.waiting))] == ["operator", "CUSTOMS"]


def test_waiting_for_a_reason_that_the_catalogue_lacks_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Outcome().wait("delivery", "D1", "no.such_code", NOW)


def test_the_same_reason_again_keeps_its_row_and_another_one_replaces_it(journal: Journal) -> None:
    wait(journal, "D1", "endpoint.broken")
    wait(journal, "D1", "endpoint.broken", NOW + HOUR)
    assert listed(journal) == [("D1", "endpoint.broken", NOW, False)]
    wait(journal, "D1", "endpoint.stopped", NOW + 2 * HOUR)
    assert listed(journal) == [("D1", "endpoint.stopped", NOW + 2 * HOUR, False)]


def test_two_reasons_in_one_commit_are_one_row_with_the_last(journal: Journal) -> None:
    outcome = Outcome()
    outcome.wait("delivery", "D1", "delivery.overdue", NOW)
    outcome.wait("delivery", "D1", "delivery.gave_up", NOW)
    journal.commit([outcome], NOW)
    assert listed(journal) == [("D1", "delivery.gave_up", NOW, False)]


def test_what_changes_its_state_leaves_the_list_and_what_does_not_stays(journal: Journal) -> None:
    planted(journal, "D1", "D2")
    wait(journal, "D1", "delivery.overdue")
    wait(journal, "D2", "delivery.overdue")
    outcome = Outcome()
    outcome.move("delivery", "D1", (), state="answered")
    outcome.move("delivery", "D2", (), overdue=True)
    journal.commit([outcome], NOW)
    assert [subject for subject, *_ in listed(journal)] == ["D2"]
    rested = Outcome()
    rested.rest("D2")
    journal.commit([rested], NOW)
    assert listed(journal) == []


def test_what_changes_its_state_and_waits_anew_begins_anew(journal: Journal) -> None:
    planted(journal, "D1")
    wait(journal, "D1", "delivery.overdue")
    outcome = Outcome()
    outcome.move("delivery", "D1", (), state="receipted")
    outcome.wait("delivery", "D1", "delivery.overdue", NOW + 3 * HOUR)
    journal.commit([outcome], NOW + 2 * HOUR)
    assert listed(journal) == [("D1", "delivery.overdue", NOW + 2 * HOUR, False)]


def test_an_alarm_marks_the_row_and_a_refused_commit_leaves_the_list_alone(journal: Journal) -> None:
    wait(journal, "D1", "delivery.overdue")
    alarm = Outcome()
    alarm.alarm("D1")
    journal.commit([alarm], NOW)
    assert listed(journal) == [("D1", "delivery.overdue", NOW, True)]
    stale = Outcome()
    stale.rest("D1")
    stale.move("delivery", "nothing", ("pending",), state="sent")
    with pytest.raises(Stale):
        journal.commit([stale], NOW)
    assert listed(journal) == [("D1", "delivery.overdue", NOW, True)]


# ---- payloads, messages that are done, order of work


def test_equal_bytes_of_many_outcomes_are_stored_once(journal: Journal) -> None:
    outcomes = [Outcome(), Outcome()]
    shas = {outcome.keep(b"the same") for outcome in outcomes}
    for count, outcome in enumerate(outcomes):
        outcome.event(f"X{count}", "kept")
    journal.commit(outcomes, NOW)
    journal.commit(outcomes, NOW)
    assert len(shas) == 1 and len(journal.rows(select(t.payload))) == 1
    assert journal.payload(shas.pop()) == b"the same"


def test_many_payloads_are_read_at_once_and_a_missing_one_is_named(journal: Journal) -> None:
    outcome = Outcome()
    wanted = {outcome.keep(b"%d" % at): b"%d" % at for at in range(250)}
    wanted[outcome.keep(b"x" * (INLINE + 1))] = b"x" * (INLINE + 1)
    outcome.event("X", "kept")
    journal.commit([outcome], NOW)
    assert journal.payloads(list(wanted)) == wanted
    with pytest.raises(JournalError, match="0123"):
        journal.payloads([*wanted, "0123"])
    with pytest.raises(JournalError, match="0123"):
        journal.payload("0123")


@pytest.mark.parametrize(
    ("first", "second", "done"),
    [
        ("answered", "answered", True),
        ("refused", "cancelled", True),
        ("dead", "answered", True),
        ("answered", "held", False),
        ("answered", "released", False),
        ("answered", "in_doubt", False),
        ("answered", "sent", False),  # it owes an answer
    ],
)
def test_a_message_is_done_only_when_every_delivery_rests(
    journal: Journal, first: str, second: str, done: bool
) -> None:
    seed, outcome = Outcome(), Outcome()
    message(seed, "M.1")
    for id in ("D1", "D2"):
        delivery(seed, id, awaits="business")
    journal.commit([seed], NOW)
    outcome.move("delivery", "D1", (), state=first)
    outcome.move("delivery", "D2", (), state=second)
    journal.commit([outcome], NOW)
    assert journal.rows(select(t.message.c.state))[0]["state"] == ("done" if done else "routed")
    told = [row for row in journal.rows(select(t.event)) if row["subject"] == "M.1"]
    assert [row["what"] for row in told] == (["done"] if done else [])


@pytest.mark.parametrize("state", ["released", "pending", "failed", "sending", "in_doubt", "held"])
def test_a_version_that_is_not_there_yet_holds_back_the_next_one(journal: Journal, state: str) -> None:
    outcome = Outcome()
    delivery(outcome, "D1", state)
    outcome.changes[0].row["order_key"] = "doc"  # type: ignore[union-attr]
    outcome.changes[0].row["next_at"] = NOW + HOUR  # type: ignore[union-attr]
    delivery(outcome, "D2")
    outcome.changes[1].row["order_key"] = "doc"  # type: ignore[union-attr]
    journal.commit([outcome], NOW)
    assert journal.due("customs", NOW, 10) == []


def test_messages_are_taken_up_in_the_order_of_their_interchange(journal: Journal) -> None:
    outcome = Outcome()
    ids = ["A.1", "A.2", "A.9", "A.10", "A.11", "B.1", "B.2"]
    for id in reversed(ids):
        message(outcome, id, "released")
    journal.commit([outcome], NOW)
    assert [row["id"] for row in journal.in_state(t.message, ("released",), 50)] == ids
    assert [row["id"] for row in journal.in_state(t.message, ("released",), 3)] == ids[:3]
    assert journal.in_state(t.message, ("released",), 50, sender="B") == []
