"""Receipts at five levels, by the rules of hub.receipts alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.journal.changes import Move, Outcome
from hub.message import LEVELS, Answer, ReceiptState
from hub.receipts import judge, settle

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def delivery(state: str = "sent", awaits: str = "business", due: datetime = NOW + timedelta(hours=1)) -> Any:
    return {"id": "D", "message": "M", "state": state, "awaits": awaits, "due_at": due, "sent_at": NOW}


def answer(level: str, accepted: bool | None = True) -> Answer:
    return Answer(level, accepted, "CUSTOMS", {"reference": "E1"})


def had(level: str, accepted: bool = True) -> Any:
    return {"level": level, "accepted": accepted, "state": "matched"}


def reached(level: str, accepted: bool = True, state: str = "sent") -> str:
    outcome = Outcome()
    settle(outcome, "R", "CUSTOMS", delivery(state), ReceiptState.MATCHED, answer(level, accepted), NOW)
    [move] = [change for change in outcome.changes if isinstance(change, Move)]
    assert move.was == (state,)
    return str(move.values["state"])


@pytest.mark.parametrize(
    ("level", "state"),
    list(zip(LEVELS, ("sent", "receipted", "acknowledged", "answered", "answered"), strict=True)),
)
def test_a_yes_at_each_level_says_how_far_the_delivery_is(level: str, state: str) -> None:
    assert reached(level) == state


@pytest.mark.parametrize("level", LEVELS)
def test_a_no_at_any_level_refuses_the_delivery(level: str) -> None:
    assert reached(level, accepted=False) == "refused"


def test_a_transport_receipt_ends_a_doubt() -> None:
    assert reached("transport", state="in_doubt") == "sent"


@pytest.mark.parametrize("low", range(len(LEVELS)))
@pytest.mark.parametrize("high", range(len(LEVELS)))
def test_levels_may_come_in_rising_order_only(low: int, high: int) -> None:
    first, then = LEVELS[high], LEVELS[low]
    found = judge(delivery(), [had(first)], answer(then), NOW)
    if low == high:
        assert found is ReceiptState.DUPLICATE
    else:
        assert found is (ReceiptState.OUT_OF_ORDER if low < high else ReceiptState.MATCHED)


@pytest.mark.parametrize("level", LEVELS)
def test_a_no_after_a_yes_of_the_same_level_or_a_higher_one_contradicts(level: str) -> None:
    for higher in LEVELS[LEVELS.index(level) :]:
        assert judge(delivery(), [had(higher)], answer(level, False), NOW) is ReceiptState.CONTRADICTORY


@pytest.mark.parametrize("level", LEVELS)
def test_only_the_awaited_level_can_be_late(level: str) -> None:
    late = judge(delivery(due=NOW - timedelta(seconds=1)), [], answer(level), NOW)
    assert (late is ReceiptState.LATE) == (level == "business")


def test_what_answers_nothing_is_an_orphan() -> None:
    assert judge(None, [], answer("business"), NOW) is ReceiptState.ORPHAN


def test_a_question_moves_nothing() -> None:
    outcome = Outcome()
    assert not settle(outcome, "R", "CUSTOMS", delivery(), ReceiptState.MATCHED, answer("business", None), NOW)
    assert not [change for change in outcome.changes if isinstance(change, Move)]
