"""What a hub still has to do before it stands still: what can be finished now, and what waits for somebody else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select

from hub import courier
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.journal.questions import OPEN_DELIVERY
from hub.message import DeliveryState, InterchangeState, MessageState

D = DeliveryState
AWAITING = (D.SENT, D.RECEIPTED, D.ACKNOWLEDGED)


def unfinished(journal: Journal, before: datetime, now: datetime) -> dict[str, int]:
    """What came before `before` and can be finished now, by kind; {} when there is nothing.

    What waits for a later try, an answer, or a person is none of it. What comes after `before`, at another machine,
    is not ours to wait for."""
    i, m, d, c = t.interchange, t.message, t.delivery, t.case
    counts = {
        "interchanges": _count(journal, i, i.c.state == InterchangeState.RECEIVED, i.c.received_at <= before),
        "messages": _count(journal, m, m.c.state == MessageState.RELEASED, m.c.at <= before),
        "cases": _count(journal, c, or_(c.c.ripe, c.c.holder.is_not(None)), c.c.opened_at <= before),
        "deliveries": _count(journal, d, d.c.state.in_((D.RELEASED, D.SENDING)), d.c.at <= before),
    }
    for endpoint in journal.endpoints_due(now):
        most = courier.allowance(journal.standing(endpoint), now)
        if most == courier.BATCH:  # one that lets nothing through is only tried now and then
            due = journal.due(endpoint, now, most)
            counts["deliveries"] += sum(row["at"] <= before for row in due)
    return {kind: count for kind, count in counts.items() if count}


def _count(journal: Journal, table: Any, *where: Any) -> int:
    return int(journal.rows(select(func.count().label("n")).select_from(table).where(*where))[0]["n"])


def left(journal: Journal) -> list[dict[str, Any]]:
    """What goes on when the hub does: [{"endpoint", "state", "awaits" (level of the answer that is owed, or ""),
    "count", "why"}]."""
    d, e = t.delivery, t.endpoint
    owed = and_(d.c.state.in_(AWAITING), d.c.awaits != "")
    columns = (d.c.endpoint, d.c.state, d.c.awaits)
    query = select(*columns, func.count().label("count"), func.max(d.c.reason).label("why"))
    rows = journal.rows(query.where(or_(d.c.state.in_(OPEN_DELIVERY), owed)).group_by(*columns).order_by(*columns))
    stopped = {
        row["id"]: f"{row['state']}: {row['reason']}" for row in journal.rows(select(e).where(e.c.state != "open"))
    }
    found = []
    for row in rows:
        answer = row["awaits"] if row["state"] in AWAITING else ""
        why = stopped.get(row["endpoint"], "") or row["why"]
        found.append({**row, "awaits": answer, "why": "" if answer else why})
    return found
