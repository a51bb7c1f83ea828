"""Steps 5, 8 and 10: find what an answer answers, let it close or refuse the delivery, tell the sender."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.engine import RowMapping

from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.message import LEVELS, Answer, DeliveryState, ReceiptState
from hub.opening import OpenedMessage
from hub.site.site import Site

_REACHED = {
    "syntax": DeliveryState.RECEIPTED,
    "application": DeliveryState.ACKNOWLEDGED,
    "business": DeliveryState.ANSWERED,
}


def take(
    site: Site, journal: Journal, outcome: Outcome, id: str, party: str, message: OpenedMessage, now: datetime
) -> None:
    """Steps 5 and 8 for message `id`, an answer from `party`: settle what it answers and wake the case."""
    answer = message.answer
    if answer is None:
        return
    answered = correlate(journal, party, answer)
    had = earlier(journal, answered["id"]) if answered else []
    state = judge(answered, had, answer, now)
    moved = settle(outcome, id, party, answered, state, answer, now)
    if state in (ReceiptState.ORPHAN, ReceiptState.CONTRADICTORY):
        about = str(answered["id"]) if answered else ""
        outcome.wait("message", id, f"receipts.{state}", now + site.routes.attention, about)
    if answered is None or not moved:
        return
    final = answer.level == answered["awaits"] or not answer.accepted
    if answered["overdue"] and not final:
        outcome.wait("delivery", answered["id"], "delivery.overdue", now + site.routes.attention, owner=party)
    m = t.message
    asked = journal.row(select(m).where(m.c.id == answered["message"]))
    if final and asked is not None and asked["case"]:
        verdict = f"{party} {'accepted' if answer.accepted else 'refused'}"
        row = {"case": asked["case"], "at": now, "what": "answer", "name": verdict, "message": id}
        outcome.add("case_event", **row, subject=asked["id"])
        outcome.move("port_case", asked["case"], (), ripe=True)


def correlate(journal: Journal, party: str, answer: Answer) -> RowMapping | None:
    """The newest delivery to `party` that every reference the answer quotes belongs to; None for an orphan."""
    r, d = t.reference, t.delivery
    ids: set[str] | None = None
    for name, value in answer.by.items():
        if value:
            query = select(r.c.delivery).where(r.c.party == party, r.c.name == name, r.c.value == value)
            found = {row["delivery"] for row in journal.rows(query)}
            ids = found if ids is None else ids & found
    if not ids:
        return None
    return journal.row(select(d).where(d.c.id.in_(ids)).order_by(d.c.seq.desc()))


def earlier(journal: Journal, delivery: str) -> Sequence[RowMapping]:
    """The receipts that a delivery has had."""
    r = t.receipt
    return journal.rows(select(r).where(r.c.delivery == delivery).order_by(r.c.at))


def judge(delivery: RowMapping | None, had: Sequence[RowMapping], answer: Answer, now: datetime) -> ReceiptState:
    """What kind of receipt this is, given what came before."""
    if delivery is None:
        return ReceiptState.ORPHAN
    settled = [row for row in had if row["state"] in (ReceiptState.MATCHED, ReceiptState.LATE)]
    for row in settled:
        if row["level"] == answer.level:
            same = row["accepted"] == answer.accepted
            return ReceiptState.DUPLICATE if same else ReceiptState.CONTRADICTORY
        if row["accepted"] is False:
            return ReceiptState.DUPLICATE if answer.accepted is False else ReceiptState.CONTRADICTORY
    if any(LEVELS.index(row["level"]) > LEVELS.index(answer.level) for row in settled):
        if answer.accepted is False:
            return ReceiptState.CONTRADICTORY
        return ReceiptState.OUT_OF_ORDER
    late = delivery["due_at"] is not None and now > delivery["due_at"] and answer.level == delivery["awaits"]
    return ReceiptState.LATE if late else ReceiptState.MATCHED


def settle(
    outcome: Outcome,
    message: str,
    party: str,
    delivery: RowMapping | None,
    state: ReceiptState,
    answer: Answer,
    now: datetime,
) -> bool:
    """Record a receipt; True when it moved its delivery. Only a matched or late one may."""
    subject = delivery["id"] if delivery else ""
    outcome.add(
        "receipt",
        id=f"{message}>{subject}",
        message=message,
        delivery=subject,
        party=party,
        level=answer.level,
        accepted=answer.accepted,
        state=state,
        number=answer.number,
        reasons=[list(reason) for reason in answer.reasons],
        at=now,
    )
    outcome.event(subject or message, f"receipt {state}", level=answer.level, accepted=answer.accepted, by=message)
    if delivery is None or state not in (ReceiptState.MATCHED, ReceiptState.LATE) or answer.accepted is None:
        return False
    if answer.number:
        outcome.add("reference", party=party, name="number", value=answer.number, delivery=subject)
    reached = _REACHED[answer.level] if answer.accepted else DeliveryState.REFUSED
    if answer.accepted and answer.level == delivery["awaits"]:
        reached = DeliveryState.ANSWERED
    outcome.move("delivery", subject, (delivery["state"],), state=reached)
    return True
