"""What a person decides does what it says, stays in the events with name and reason, and is refused everywhere else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub import decisions
from hub.errors import Impossible
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.message import DeliveryState, EndpointState, InterchangeState, MessageState

ORIGINAL = (Path(__file__).parents[2] / "mappings" / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()
BY, WHY = "LI", "spoken to them"
STATES = {
    "delivery": DeliveryState,
    "message": MessageState,
    "interchange": InterchangeState,
    "endpoint": EndpointState,
    "port_case": ("open", "closed"),
}


# ---- one row in every state that there is


def plant(port: Any, table: str, state: str, id: str, **more: Any) -> str:
    """One row of `table` in `state`."""
    now = port.now
    rows: dict[str, dict[str, Any]] = {
        "delivery": {
            "message": f"{id}M", "party": "CUSTOMS", "endpoint": "customs", "kind": "customs-manifest", "name": id,
            "payload": "p", "folder": "inbound", "order_key": "", "next_at": now, "give_up_at": now, "at": now,
        },
        "message": {
            "interchange": "X", "kind": "cuscar-d95b", "system": "manifest", "sender": "TJLINE", "reference": "1",
            "keys": {}, "document": id, "function": "original", "payload": "p", "canonical_kind": "", "canonical": "",
            "at": now,
        },
        "interchange": {
            "endpoint": "tjline", "party": "TJLINE", "name": id, "key": id, "sha256": "s", "size": 1,
            "received_at": now,
        },
        "endpoint": {"since": now},
        "port_case": {"system": "manifest", "sender": "TJLINE", "stages": {}, "opened_at": now},
    }  # fmt: skip
    outcome = Outcome()
    outcome.add(table, **{"id": id, "state": state, **rows[table], **more})
    port.journal.commit([outcome], now)
    return id


def let_wait(port: Any, table: str, id: str, code: str) -> None:
    outcome = Outcome()
    outcome.wait(table, id, code, port.now + timedelta(hours=4))
    port.journal.commit([outcome], port.now)


def whole(port: Any) -> dict[str, list[dict[str, Any]]]:
    """Everything that the journal knows."""
    return {name: [dict(row) for row in port.journal.rows(select(table))] for name, table in t.metadata.tables.items()}


def decided(port: Any, id: str) -> list[dict[str, str]]:
    e = t.event
    rows = port.journal.rows(select(e.c.detail).where(e.c.subject == id, e.c.what == "decision"))
    return [row["detail"] for row in rows]


def state(port: Any, table: str, id: str) -> str:
    rows = t.metadata.tables[table]
    return str(port.journal.row(select(rows).where(rows.c.id == id))["state"])


def waits(port: Any, id: str) -> bool:
    return port.journal.row(select(t.waiting).where(t.waiting.c.subject == id)) is not None


Decide = Callable[[Any, str], str]


def release(port: Any, id: str) -> str:
    return decisions.release(port.site, port.journal, id, BY, WHY, port.now)


def resend(port: Any, id: str) -> str:
    return decisions.resend(port.site, port.journal, id, BY, WHY, port.now)


def cancel(port: Any, id: str) -> str:
    return decisions.cancel(port.journal, id, BY, WHY, port.now)


def arrived(port: Any, id: str) -> str:
    return decisions.settle(port.journal, id, True, BY, "WANG", WHY, port.now)


def not_arrived(port: Any, id: str) -> str:
    return decisions.settle(port.journal, id, False, BY, "WANG", WHY, port.now)


def hold(port: Any, id: str) -> str:
    return decisions.hold(port.site, port.journal, id, BY, WHY, port.now)


ALLOWED: dict[tuple[Decide, str], dict[str, tuple[str, str]]] = {
    # (decision, table): {state before: (state afterwards, the word in the event)}; refused in every other state
    (release, "delivery"): {"held": ("released", "release"), "dead": ("pending", "resend")},
    (release, "message"): {"held": ("released", "release")},
    (release, "interchange"): {"quarantined": ("received", "release")},
    (release, "endpoint"): {"held": ("open", "release"), "broken": ("open", "release")},
    (release, "port_case"): {},
    (resend, "delivery"): dict.fromkeys(("dead", "failed", "sent", "receipted"), ("pending", "resend")),
    (resend, "message"): {},
    (resend, "interchange"): {},
    (resend, "endpoint"): {},
    (resend, "port_case"): {},
    (cancel, "delivery"): dict.fromkeys(("pending", "failed", "held", "dead"), ("cancelled", "cancel")),
    (cancel, "message"): {"held": ("cancelled", "cancel")},
    (cancel, "interchange"): dict.fromkeys(("quarantined", "conflict"), ("rejected", "cancel")),
    (cancel, "endpoint"): {},
    (cancel, "port_case"): {},
    (arrived, "delivery"): {"in_doubt": ("sent", "settle")},
    (arrived, "message"): {},
    (arrived, "interchange"): {},
    (arrived, "endpoint"): {},
    (arrived, "port_case"): {},
    (not_arrived, "delivery"): {"in_doubt": ("pending", "settle")},
}


@pytest.mark.parametrize(("decide", "table"), ALLOWED, ids=lambda one: getattr(one, "__name__", one))
def test_a_decision_changes_what_it_says_and_is_refused_in_every_other_state(
    port: Any, decide: Decide, table: str
) -> None:
    for name in STATES[table]:
        id = plant(port, table, str(name), f"{name}-1")
        let_wait(port, table, id, "opening.document_conflict") if name in ALLOWED[decide, table] else None
        before = whole(port)
        if name not in ALLOWED[decide, table]:
            with pytest.raises(Impossible, match=id):
                decide(port, id)
            assert whole(port) == before, f"{decide.__name__} {name}"
            continue
        after, word = ALLOWED[decide, table][name]
        assert decide(port, id) == after == state(port, table, id)
        [event] = decided(port, id)
        assert event["decision"] == word and event["why"] == WHY and BY in event["by"]
        assert not waits(port, id)


@pytest.mark.parametrize("decide", [release, resend, cancel, arrived, hold])
def test_what_nobody_knows_cannot_be_decided(port: Any, decide: Decide) -> None:
    before = whole(port)
    with pytest.raises(Impossible, match="nothing-like-it"):
        decide(port, "nothing-like-it")
    assert whole(port) == before


@pytest.mark.parametrize("by", ["", "   "])
def test_a_decision_without_a_name_is_refused(port: Any, by: str) -> None:
    held = plant(port, "delivery", "held", "D1")
    before = whole(port)
    with pytest.raises(Impossible, match="name"):
        decisions.release(port.site, port.journal, held, by, WHY, port.now)
    with pytest.raises(Impossible, match="name"):
        decisions.hold(port.site, port.journal, "customs", by, WHY, port.now)
    assert whole(port) == before


# ---- held for a reason


def test_a_document_conflict_is_never_released(port: Any) -> None:
    id = plant(port, "message", "held", "M1", reason="opening.document_conflict M0")
    with pytest.raises(Impossible):
        release(port, id)
    assert cancel(port, id) == "cancelled"


def test_what_a_case_could_not_make_is_not_released_but_may_be_cancelled(port: Any) -> None:
    id = plant(port, "message", "held", "C0FFEE", interchange="", reason="xml.value nonsense")
    with pytest.raises(Impossible):
        release(port, id)
    assert cancel(port, id) == "cancelled"


def test_a_delivery_that_was_given_up_goes_with_the_bytes_that_it_has(port: Any) -> None:
    for decide in (release, resend):
        id = plant(port, "delivery", "held", decide.__name__, reason="delivery.gave_up connection refused")
        assert decide(port, id) == "pending"
        row = port.journal.row(select(t.delivery).where(t.delivery.c.id == id))
        assert row["give_up_at"] == port.now + timedelta(days=1) and row["payload"] == "p"


def test_a_delivery_that_was_never_made_cannot_be_sent_again(port: Any) -> None:
    id = plant(port, "delivery", "held", "D1", reason="edifact.character_type nonsense")
    with pytest.raises(Impossible):
        resend(port, id)
    assert state(port, "delivery", id) == "held"


def test_an_orphan_that_was_cleared_up_leaves_the_list_and_stays_done(port: Any) -> None:
    id = plant(port, "message", "done", "M1")
    let_wait(port, "message", id, "receipts.orphan")
    assert cancel(port, id) == "done" and not waits(port, id)
    with pytest.raises(Impossible):
        cancel(port, id)


def test_a_case_is_released_only_when_it_broke_the_worker(port: Any) -> None:
    late, broken = plant(port, "port_case", "open", "manifest/A/1"), plant(port, "port_case", "open", "manifest/A/2")
    let_wait(port, "case", late, "case.overdue")
    let_wait(port, "case", broken, "opening.poison")
    with pytest.raises(Impossible):
        release(port, late)
    assert waits(port, late)
    assert release(port, broken) == "open" and not waits(port, broken)
    row = port.journal.row(select(t.case).where(t.case.c.id == broken))
    assert row["ripe"] and row["tries"] == 0


# ---- two persons, endpoints


@pytest.mark.parametrize("second", ["", " ", "LI", "li", " Li "])
def test_one_person_alone_settles_no_doubt(port: Any, second: str) -> None:
    id = plant(port, "delivery", "in_doubt", "D1")
    before = whole(port)
    with pytest.raises(Impossible, match="two different persons"):
        decisions.settle(port.journal, id, True, BY, second, WHY, port.now)
    assert whole(port) == before


def test_the_event_of_a_settled_doubt_names_both(port: Any) -> None:
    id = plant(port, "delivery", "in_doubt", "D1")
    arrived(port, id)
    assert [event["by"] for event in decided(port, id)] == ["LI, WANG"]


def test_a_delivery_that_two_persons_know_to_be_lost_is_tried_again_and_not_given_up(port: Any) -> None:
    id = plant(port, "delivery", "in_doubt", "D1", at=port.now - timedelta(days=2), give_up_at=port.now)
    not_arrived(port, id)
    row = port.journal.row(select(t.delivery).where(t.delivery.c.id == id))
    assert row["next_at"] == port.now < row["give_up_at"]


@pytest.mark.parametrize("before", ["", *(str(name) for name in EndpointState)])
def test_an_endpoint_is_held_whatever_it_was_and_released_again(port: Any, before: str) -> None:
    if before:
        plant(port, "endpoint", before, "customs", failures=2)
    assert hold(port, "customs") == "held" == state(port, "endpoint", "customs")
    row = port.journal.row(select(t.waiting))
    assert (row["subject"], row["code"], row["owner"]) == ("customs", "endpoint.stopped", "operator")
    port.submit("tjline", "a.edi", ORIGINAL)
    port.run()
    assert port.files("customs", "in") == [] and len(port.files("terminal", "inbound")) == 1
    assert release(port, "customs") == "open"
    port.run()
    assert len(port.files("customs", "in")) == 1 and not waits(port, "customs")
    assert [event["decision"] for event in decided(port, "customs")] == ["hold", "release"]


def test_a_second_hold_is_one_more_event_and_one_row(port: Any) -> None:
    hold(port, "customs")
    hold(port, "customs")
    assert len(port.journal.rows(select(t.waiting))) == 1 and len(decided(port, "customs")) == 2


# ---- seen from outside


def test_the_same_bytes_go_once_more_under_the_same_name(port: Any) -> None:
    port.submit("tjline", "a.edi", ORIGINAL)
    port.run()
    [asked] = port.files("customs", "in")
    data = asked.read_bytes()
    asked.unlink()  # they say that they cannot find it
    [row] = [row for row in port.journal.rows(select(t.delivery)) if row["party"] == "CUSTOMS"]
    assert resend(port, row["id"]) == "pending"
    port.run()
    [again] = port.files("customs", "in")
    assert (again.name, again.read_bytes()) == (asked.name, data)


def test_what_is_cancelled_goes_nowhere_and_ends_its_message(port: Any) -> None:
    hold(port, "customs")
    port.submit("tjline", "a.edi", ORIGINAL)
    port.run()
    [row] = [row for row in port.journal.rows(select(t.delivery)) if row["party"] == "CUSTOMS"]
    cancel(port, row["id"])
    release(port, "customs")
    port.run()
    assert port.files("customs", "in") == []
    assert state(port, "message", row["message"]) == "done"
