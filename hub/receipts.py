"""Steps 5, 8 and 10: find what an answer answers, let it close or refuse the delivery, tell the sender."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hub.desk import Desk
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.recall import Recall
from hub.journal.statements import Row
from hub.lineage.answer import told
from hub.message import LEVELS, Answer, DeliveryState, ReceiptState
from hub.opening import OpenedMessage

_REACHED = {
    "transport": DeliveryState.SENT,
    "syntax": DeliveryState.RECEIPTED,
    "application": DeliveryState.ACKNOWLEDGED,
    "business": DeliveryState.ANSWERED,
    "closing": DeliveryState.ANSWERED,
}


def take(desk: Desk, outcome: Outcome, id: str, party: str, message: OpenedMessage) -> None:
    """Steps 5 and 8 for message `id`, an answer from `party`: settle what it answers and wake the case."""
    answer = message.answer
    if answer is None:
        return
    answered = correlate(desk.recall, party, answer)
    had = desk.recall.rows(t.receipt, ("delivery",), answered["id"]) if answered else []
    state = judge(answered, had, answer, desk.now)
    if answered is not None and state in (ReceiptState.MATCHED, ReceiptState.LATE):
        answer = told(desk, outcome, id, party, answered, answer)
    moved = settle(outcome, id, party, answered, state, answer, desk.now)
    if state in (ReceiptState.ORPHAN, ReceiptState.CONTRADICTORY):
        about = str(answered["id"]) if answered else ""
        owner = party if answered else ""
        outcome.wait("message", id, f"receipts.{state}", desk.look_by, about, owner)
    if answered is None or not moved:
        return
    final = answer.level == answered["awaits"] or not answer.accepted
    if answered["overdue"] and not final:
        outcome.wait("delivery", answered["id"], "delivery.overdue", desk.look_by, owner=party)
    asked = desk.recall.one(t.message, ("id",), answered["message"])
    if final and asked is not None and asked["case"]:
        verdict = f"{party} {'accepted' if answer.accepted else 'refused'}"
        row = {"case": asked["case"], "at": desk.now, "what": "answer", "name": verdict, "message": id}
        outcome.add("case_event", **row, subject=asked["id"])
        outcome.move("port_case", asked["case"], (), ripe=True)


QUOTED = ("party", "name", "value")
"""The columns of a reference that an answer quotes."""


def correlate(recall: Recall, party: str, answer: Answer) -> Row | None:
    """The newest delivery to `party` that every reference the answer quotes belongs to; None for an orphan."""
    ids: set[str] | None = None
    for name, value in answer.by.items():
        if value:
            found = {row["delivery"] for row in recall.rows(t.reference, QUOTED, party, name, value)}
            ids = found if ids is None else ids & found
    if not ids:
        return None
    return max((row for id in ids for row in recall.rows(t.delivery, ("id",), id)), key=lambda row: int(row["seq"]))


def judge(delivery: Row | None, had: Sequence[Row], answer: Answer, now: datetime) -> ReceiptState:
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
    delivery: Row | None,
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
    sent_at = delivery["sent_at"] or now  # it has arrived, whatever the transport knew
    outcome.move("delivery", subject, (delivery["state"],), state=reached, sent_at=sent_at)
    return True
