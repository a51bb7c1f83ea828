"""What the journal's rows add up to: how many, how old, how fast. Read only. Each question is a query that an index
serves, whatever the journal's size; the one that looks at whole tables is `Journal.counts`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Table, and_, bindparam, func, or_, select

from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.journal.questions import OPEN_DELIVERY
from hub.journal.statements import Question, Row
from hub.message import DeliveryState, InterchangeState, MessageState

Counts = dict[str, dict[str, int]]
OPEN: tuple[tuple[Table, tuple[str, ...]], ...] = (
    (t.interchange, (InterchangeState.RECEIVED,)),
    (t.message, (MessageState.RELEASED, MessageState.ROUTED, MessageState.HELD)),
    (t.delivery, (*OPEN_DELIVERY, DeliveryState.RECEIPTED, DeliveryState.ACKNOWLEDGED)),
    (t.case, ("open",)),
)
"""States that rows leave again: few rows, and the ones that somebody may have to act on."""
PAGE = 5000
"""Events that are read at once."""
HANDED = (DeliveryState.SENT, DeliveryState.ANSWERED)


def open_counts(journal: Journal) -> Counts:
    """How many rows are in each of the states of OPEN, by table; 0 where none is."""
    result: Counts = {}
    for table, states in OPEN:
        query = select(table.c.state, func.count().label("n")).where(table.c.state.in_(states))
        found = {row["state"]: row["n"] for row in journal.rows(query.group_by(table.c.state))}
        result[table.name] = {str(state): found.get(state, 0) for state in states}
    return result


def waiting(journal: Journal) -> list[Row]:
    """The list of what waits, counted: owner, code, overdue, n."""
    w = t.waiting
    columns = (w.c.owner, w.c.code, w.c.overdue)
    return list(journal.rows(select(*columns, func.count().label("n")).group_by(*columns)))


def in_doubt(journal: Journal) -> tuple[int, datetime | None]:
    """How many deliveries are in doubt, and since when the one that has been so for longest."""
    d, w = t.delivery, t.waiting
    doubt = d.c.state == DeliveryState.IN_DOUBT
    [row] = journal.rows(
        select(func.count(d.c.id).label("n"), func.min(w.c.since).label("since"))
        .select_from(d.outerjoin(w, w.c.subject == d.c.id))
        .where(doubt)
    )
    return row["n"], row["since"]


def newest(journal: Journal, table: Table) -> Row | None:
    """Number and time of the newest seal or stamp; None when there is none."""
    return journal.row(select(table.c.number, table.c.at).order_by(table.c.number.desc()).limit(1))


def newest_event(journal: Journal) -> int:
    """The number of the newest event; 0 where nothing has happened."""
    return (journal.row(select(func.max(t.event.c.seq).label("seq"))) or {"seq": 0})["seq"] or 0


@dataclass(slots=True)
class Happened:
    """What happened between two looks: events by what they are; seconds from the arrival of a message until its
    delivery was sent or answered; the newest event that was seen. (On PostgreSQL an event may be committed after one
    with a higher number: the few that a look misses in this way are not made up.)"""

    last: int
    events: Counter[str] = field(default_factory=Counter)
    journeys: dict[str, list[float]] = field(default_factory=dict)


def happened(journal: Journal, after: int, most: int = 20 * PAGE) -> Happened:
    """What happened behind event `after`, the newest `most` events of it: no look ever reads a whole history."""
    seen = Happened(max(after, newest_event(journal) - most), journeys={state.value: [] for state in HANDED})
    while rows := journal.ask(_NEXT, after=seen.last):
        seen.events.update(row["what"] for row in rows)
        for row in rows:
            if row["arrived"] is not None:
                seen.journeys[row["what"]].append((row["at"] - row["arrived"]).total_seconds())
        seen.last = rows[-1]["seq"]
    return seen


_e, _d, _m, _i = t.event, t.delivery, t.message, t.interchange
_handed = and_(or_(*(_e.c.what == state for state in HANDED)), _d.c.id == _e.c.subject)
_of = _i.c.id == func.coalesce(_m.c.interchange, _d.c.message)
_arrived = func.coalesce(_i.c.received_at, _m.c.at, type_=_i.c.received_at.type).label("arrived")
_NEXT = Question(
    select(_e.c.seq, _e.c.what, _e.c.at, _arrived)
    .select_from(_e.outerjoin(_d, _handed).outerjoin(_m, _m.c.id == _d.c.message).outerjoin(_i, _of))
    .where(_e.c.seq > bindparam("after"))
    .order_by(_e.c.seq)
    .limit(PAGE)
)
"""The next events; `arrived` where one tells that a delivery was handed over or answered. What a case makes has begun
with itself."""


def unserved(journal: Journal) -> list[Row]:
    """What each endpoint has not taken, by state: endpoint, state, how many (n), since when the oldest (oldest), when
    the next is tried (next)."""
    d = t.delivery
    oldest, tried = func.min(d.c.at).label("oldest"), func.min(d.c.next_at).label("next")
    queued = select(d.c.endpoint, d.c.state, func.count().label("n"), oldest, tried)
    return list(journal.rows(queued.where(d.c.state.in_(OPEN_DELIVERY)).group_by(d.c.endpoint, d.c.state)))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of `values` do not pass. ValueError for none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
