"""Promises of the journal, looked at where it is alive: every open row, and the newest ones. Each is one statement, so
it sees the journal at one moment, whatever commits beside it. The whole history is looked at by `eport prove`.

I1 conservation     what was taken in is stored whole, and reaches somebody
I2 one acceptance   no delivery has two answers of the same level that count
I5 receipts         an answer belongs to a delivery, or is on the list of orphans
I7 states           rows are where their history says; what waits is on the list, what is on the list waits
"""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Select, String, Table, and_, cast, exists, func, or_, select, union_all

from hub.doctor.line import Line, Patient
from hub.errors import JournalError
from hub.journal import tables as t
from hub.message import DeliveryState, EndpointState, InterchangeState, MessageState, ReceiptState

RECENT = 1000
"""Rows of a table, the newest ones, that are looked at."""
BYTES = 20
"""Payloads that are read and hashed again."""
SHOWN, MOST = 3, 100
COUNTS = (ReceiptState.MATCHED, ReceiptState.LATE)
WAITS: tuple[tuple[Table, str, tuple[str, ...]], ...] = (
    (t.interchange, "interchange", (InterchangeState.CONFLICT, InterchangeState.QUARANTINED)),
    (t.message, "message", (MessageState.HELD,)),
    (t.delivery, "delivery", (DeliveryState.HELD, DeliveryState.DEAD, DeliveryState.IN_DOUBT)),
    (t.endpoint, "endpoint", (EndpointState.HELD, EndpointState.BROKEN)),
)
"""Rows in these states are on the list of what waits."""


def conservation(p: Patient) -> Line:
    """Every interchange was told of, has its bytes and, once opened, messages, or pieces where it went apart; every
    routed message goes somewhere."""
    i, m, d = t.interchange, t.message, t.delivery
    new = select(i).order_by(i.c.id.desc()).limit(RECENT).subquery()
    told = exists().where(t.event.c.subject == new.c.id, t.event.c.what == "received")
    stored = exists().where(t.payload.c.sha256 == new.c.sha256)
    opened = exists().where(m.c.interchange == new.c.id)
    piece = i.alias("piece")
    apart = exists().where(piece.c.id == new.c.id + "-0001")
    unwhole = or_(
        ~told,
        ~stored,
        and_(new.c.state == InterchangeState.OPENED, ~opened),
        and_(new.c.state == InterchangeState.SPLIT, ~apart),
    )
    routed = select(m).where(m.c.state == MessageState.ROUTED).order_by(m.c.id.desc()).limit(RECENT).subquery()
    nowhere = and_(routed.c.case == "", ~exists().where(d.c.message == routed.c.id))
    of_none = select(d).order_by(d.c.seq.desc()).limit(RECENT).subquery()
    has_message = exists().where(m.c.id == of_none.c.message) | exists().where(i.c.id == of_none.c.message)
    return _line(
        p,
        "conservation",
        select(new.c.id).where(unwhole),
        select(routed.c.id).where(nowhere),
        select(of_none.c.id).where(~has_message),
    )


def stored_bytes(p: Patient) -> Line:
    """The newest payloads are what their names say, unless the time of keeping them is over."""
    i, b = t.interchange, t.payload
    query = select(i.c.id, i.c.sha256).join(b, b.c.sha256 == i.c.sha256).where(b.c.removed_at.is_(None))
    rows = p.journal.rows(query.order_by(i.c.id.desc()).limit(BYTES))
    return _said("bytes", [row["id"] for row in rows if not _whole(p, row["sha256"])])


def _whole(p: Patient, sha256: str) -> bool:
    try:
        return hashlib.sha256(p.journal.payload(sha256)).hexdigest() == sha256
    except JournalError:
        return False


def acceptance(p: Patient) -> Line:
    r = t.receipt
    new = select(r).where(r.c.state.in_(COUNTS)).order_by(r.c.id.desc()).limit(RECENT).subquery()
    twice = select(new.c.delivery).where(new.c.accepted).group_by(new.c.delivery, new.c.level).having(func.count() > 1)
    return _line(p, "acceptance", twice)


def receipts(p: Patient) -> Line:
    r, d = t.receipt, t.delivery
    new = select(r).order_by(r.c.id.desc()).limit(RECENT).subquery()
    known = exists().where(d.c.id == new.c.delivery)
    orphan = new.c.state == ReceiptState.ORPHAN
    return _line(p, "receipts", select(new.c.id).where(or_(and_(orphan, known), and_(~orphan, ~known))))


def history(p: Patient) -> Line:
    """The last state that the events tell of is the state of the row."""
    tables = ((t.interchange, InterchangeState), (t.delivery, DeliveryState))
    return _line(p, "history", *(_untold(table, tuple(states)) for table, states in tables))


def _untold(table: Table, states: tuple[str, ...]) -> Select[Any]:
    e, order = t.event, table.c.seq if "seq" in table.c else table.c.id
    new = select(table.c.id, table.c.state).order_by(order.desc()).limit(RECENT // 2).subquery()
    said = select(e.c.what).where(e.c.subject == new.c.id, e.c.what.in_(states)).order_by(e.c.seq.desc()).limit(1)
    return select(new.c.id).where(func.coalesce(said.scalar_subquery(), "") != new.c.state)


def waits(p: Patient) -> Line:
    """Nothing waits silently; and nothing that rests is on the list."""
    w = t.waiting
    listed = [
        select(cast(table.c.id, String).label("id")).where(
            table.c.state.in_(states), ~exists().where(w.c.subject == table.c.id)
        )
        for table, _, states in WAITS
    ]
    idle = []
    for table, what, states in WAITS:
        resting = [w.c.what == what, table.c.state.not_in(states), w.c.code.not_like("receipts.%")]
        if "overdue" in table.c:
            resting.append(~table.c.overdue)
        idle.append(select(w.c.subject.label("id")).join(table, table.c.id == w.c.subject).where(*resting))
    return _line(p, "waits", union_all(*listed, *idle))


def _line(p: Patient, check: str, *queries: Any) -> Line:
    """The ids that the queries find are those of broken promises."""
    return _said(check, [next(iter(row.values())) for query in queries for row in p.journal.rows(query.limit(MOST))])


def _said(check: str, wrong: list[Any]) -> Line:
    if not wrong:
        return Line(check, "ok", "0")
    shown = " ".join(str(id) for id in wrong[:SHOWN])
    more = f" + {len(wrong) - SHOWN}" if len(wrong) > SHOWN else ""
    return Line(check, "bad", f"{shown}{more}", f"eport trace {wrong[0]}")
