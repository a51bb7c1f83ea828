"""After a restore the world is ahead of the journal: what happened between the backup and the loss happened, and the
journal does not know it. The fence is put up before anything runs again, and keeps the hub from doing it blindly.

a delivery that was not sent yet, or was under way      IN_DOUBT: the courier asks the endpoint before it sends
an interchange that was not opened, a message, delivery  waits for a person: what follows from it may have been made and
or case that a worker was to take up                     sent under other references
references                                               go on far behind those that were given out meanwhile

Nothing can be said of what came after the backup: it is lost, unless its sender has it still. Answers to what the hub
sent in that time come in as orphans (`receipts.orphan`) and tell which deliveries they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from hub.errors import Impossible
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.message import DeliveryState, InterchangeState, MessageState
from hub.site.site import Site

RESTORED = "journal.restored"
GAP = 10_000_000
"""References that are left out: more than a day of a hundred deliveries a second."""

D = DeliveryState
UNSENT = (D.PENDING, D.FAILED, D.SENDING)
HELD = (
    ("interchange", t.interchange, InterchangeState.RECEIVED, InterchangeState.QUARANTINED),
    ("message", t.message, MessageState.RELEASED, MessageState.HELD),
    ("delivery", t.delivery, D.RELEASED, D.HELD),
)
"""Table, state that a worker takes up -> state that waits for a person."""


def fence(site: Site, journal: Journal, by: str, why: str, now: datetime) -> dict[str, int]:
    """How many rows of each table wait now. One commit. Raises Impossible while a hub runs on this journal."""
    if not by.strip():
        raise Impossible("a decision needs the name of who decides")
    for part in ("clock", *(f"endpoint-{name}" for name in site.routes.endpoints)):
        if not journal.locks.hold(part):
            raise Impossible(f"a hub runs on this journal ({part}): stop it first")
    journal.take_back()
    for counter in journal.rows(select(t.counter.c.name).where(~t.counter.c.name.startswith("shared "))):
        journal.numbers(counter["name"], GAP)
    outcome, look_by = Outcome(), now + site.routes.attention
    counted: dict[str, int] = {}
    for name, table, was, state in HELD:
        for row in journal.rows(select(table.c.id).where(table.c.state == was)):
            outcome.move(name, row["id"], (was,), state=state, reason=RESTORED)
            _waits(outcome, counted, name, row, RESTORED, look_by)
    for row in journal.rows(select(t.delivery).where(t.delivery.c.state.in_(UNSENT))):
        outcome.move("delivery", row["id"], (row["state"],), state=D.IN_DOUBT, reason=RESTORED)
        _waits(outcome, counted, "delivery", row, "delivery.in_doubt", look_by)
    for row in journal.rows(select(t.case.c.id).where(t.case.c.ripe)):
        outcome.move("port_case", row["id"], (), ripe=False)
        _waits(outcome, counted, "case", row, RESTORED, look_by)
    outcome.event("journal", "decision", decision="fence", by=by, why=why, **counted)
    journal.commit([outcome], now)
    return counted


def _waits(
    outcome: Outcome, counted: dict[str, int], what: str, row: Mapping[Any, Any], code: str, look_by: datetime
) -> None:
    outcome.wait(what, row["id"], code, look_by)
    counted[what] = counted.get(what, 0) + 1
