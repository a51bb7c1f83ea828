"""What the roles ask the journal again and again, each compiled once (hub.journal.statements)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Table, and_, bindparam, delete, exists, func, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from hub.journal import tables as t
from hub.journal.statements import Among, Question, Row
from hub.message import AT_REST, DeliveryState, InterchangeState, MessageState

LOOKED_AT = 500
"""Deliveries at each end of an endpoint's queue among which senders take turns."""
OPEN_DELIVERY = ("released", "pending", "failed", "sending", "in_doubt", "held")
"""States in which a delivery holds back later ones of the same document to the same endpoint."""


def _unindexed(column: Any) -> Any:
    """The same value, in a way that no index is looked up for: SQLite, which knows nothing of how many rows share a
    state, would else prefer the index over states to the one over names."""
    return func.coalesce(column, "")


def _one_of(column: Any, values: Iterable[str]) -> ColumnElement[bool]:
    return or_(*(column == value for value in values))


# ---- gate

_i = t.interchange

BACKLOG = Question(
    select(_i.c.party, func.count().label("n")).where(_i.c.state == InterchangeState.RECEIVED).group_by(_i.c.party)
)
"""Unopened interchanges of each party."""

TAKEN = Question(select(_i.c.endpoint, _i.c.key).where(Among((_i.c.endpoint, _i.c.key), "keys")))
"""Which arrivals (endpoint, key) are here already."""

# ---- worker

_unopened = _i.c.state == InterchangeState.RECEIVED
_free = and_(_unopened, _i.c.holder.is_(None))
_at_work = select(_i.c.party).where(_unopened, _i.c.holder.is_not(None))
_suspected = select(_i.c.party).where(_unopened, _i.c.tries > 0)
_turn = func.row_number().over(partition_by=_i.c.party, order_by=_i.c.id).label("turn")
_fair = select(_i.c.id, _turn).where(_free, _i.c.party.not_in(_at_work), _i.c.party.not_in(_suspected)).subquery()


def _take(table: Table, free: Any, some: Any, columns: Iterable[Any], **values: Any) -> Question:
    """Claim the rows that the query `some` names, each claim counting a try."""
    take = update(table).where(free, table.c.id.in_(some.scalar_subquery()))
    taken = take.values(holder=bindparam("me"), tries=table.c.tries + 1, **values)
    columns = list(columns)
    return Question(taken.returning(*columns), columns)


UNOPENED = Question(select(_i.c.id).where(_free).limit(1))

TAKE_SUSPECT = _take(
    t.interchange,
    _free,
    select(_i.c.id).where(_free, _i.c.tries > 0, _i.c.party.not_in(_at_work)).order_by(_i.c.id).limit(1),
    _i.c,
)
"""One interchange that a worker died on, alone."""

TAKE = _take(
    t.interchange,
    _free,
    select(_fair.c.id).order_by(_fair.c.turn, _fair.c.id).limit(bindparam("limit")),
    _i.c,
)
"""Parties take turns; what one sent is opened in order."""

_c = t.case
_ripe = and_(_c.c.ripe, _c.c.holder.is_(None))

RIPE = Question(select(_c.c.id).where(_ripe).limit(1))

TAKE_SUSPECT_CASE = _take(
    t.case,
    _ripe,
    select(_c.c.id).where(_ripe, _c.c.tries > 0).order_by(_c.c.id).limit(1),
    (_c.c.id, _c.c.tries),
    ripe=False,
)

TAKE_CASES = _take(
    t.case,
    _ripe,
    select(_c.c.id).where(_ripe, _c.c.tries == 0).order_by(_c.c.id).limit(bindparam("limit")),
    (_c.c.id, _c.c.tries),
    ripe=False,
)

# ---- courier

_d, _earlier, _more = t.delivery, t.delivery.alias("earlier"), t.delivery.alias("more")
_WAITS = (DeliveryState.PENDING, DeliveryState.FAILED)
_now = bindparam("now", type_=_d.c.next_at.type)
_held_back = exists().where(
    _earlier.c.endpoint == _d.c.endpoint,
    _earlier.c.order_key == _d.c.order_key,
    _earlier.c.seq < _d.c.seq,
    _one_of(_earlier.c.state, OPEN_DELIVERY),
)

_endpoints = select(func.min(_d.c.endpoint).label("id")).cte("endpoints", recursive=True)
_next = select(func.min(_more.c.endpoint)).where(_more.c.endpoint > _endpoints.c.id).scalar_subquery()
_endpoints = _endpoints.union_all(select(_next).where(_endpoints.c.id.is_not(None)))

ENDPOINTS_DUE = Question(
    select(_endpoints.c.id).where(
        or_(
            *(
                exists().where(_d.c.endpoint == _endpoints.c.id, _d.c.state == state, _d.c.next_at <= _now)
                for state in _WAITS
            )
        )
    )
)
"""Endpoints that have a delivery to try now. It goes from endpoint to endpoint through the index, so a long queue costs
no more than a short one."""


def _due(states: Iterable[str], most: Any, *, newest: bool = False) -> ColumnElement[bool]:
    """The first (or last) `most` deliveries of the endpoint in each of `states` that may be handed over now. Each is
    read in the order of the index, so the end of a long queue is not looked at; without coalesce the times would be
    looked up instead, and all that are due sorted each time."""
    may = (func.coalesce(_d.c.next_at, _now) <= _now, or_(_d.c.order_key == "", ~_held_back))
    order = _d.c.seq.desc() if newest else _d.c.seq
    each = [
        select(_d.c.seq)
        .where(_d.c.endpoint == bindparam("endpoint"), _d.c.state == state, *may)
        .order_by(order)
        .limit(most)
        .subquery()
        for state in states
    ]
    return or_(*(_d.c.seq.in_(select(some.c.seq)) for some in each))


DUE = Question(select(_d).where(_due(_WAITS, bindparam("limit"))).order_by(_d.c.seq).limit(bindparam("limit")))
"""Deliveries to hand over now: first of their document first, none that an earlier one holds back."""

_sender = func.coalesce(t.message.c.sender, "")
_queue = (
    select(_d.c.seq, func.row_number().over(partition_by=_sender, order_by=_d.c.seq).label("turn"))
    .select_from(_d.outerjoin(t.message, t.message.c.id == _d.c.message))
    .where(or_(_due(_WAITS, LOOKED_AT), _due(_WAITS, LOOKED_AT, newest=True)))
    .subquery()
)

DUE_IN_TURN = Question(
    select(_d).join(_queue, _queue.c.seq == _d.c.seq).order_by(_queue.c.turn, _d.c.seq).limit(bindparam("limit"))
)
"""The same with the senders taking turns. Of a long queue both ends are looked at: what has waited longest, and what
has come behind somebody's flood."""

STANDING = Question(select(t.endpoint).where(t.endpoint.c.id == bindparam("endpoint")))

# ---- commit

_m = t.message
_rests = or_(_one_of(_d.c.state, AT_REST), and_(_d.c.state == DeliveryState.SENT, _d.c.awaits == ""))
_mine = select(_d.c.message).where(Among([_d.c.id], "deliveries"))

LOCK_MESSAGES = Question(select(_m.c.id).where(_m.c.id.in_(_mine)).order_by(_m.c.id).with_for_update())
"""The messages of these deliveries, until the commit (PostgreSQL: the last two may come to rest in two commits)."""

FINISH_MESSAGES = Question(
    update(_m)
    .where(
        _m.c.id.in_(_mine),
        _unindexed(_m.c.state) == MessageState.ROUTED,
        ~exists().where(_d.c.message == _m.c.id, ~_rests).correlate(_m),
    )
    .values(state=MessageState.DONE)
    .returning(_m.c.id),
    [_m.c.id],
)
"""A message is done when each of its deliveries is at rest or sent with no answer owed."""

REST = Question(
    delete(t.waiting).where(Among([t.waiting.c.subject], "subjects")).returning(t.waiting.c.subject),
    [t.waiting.c.subject],
)
"""These wait no longer."""

_p = t.payload
USED = Question(
    update(_p)
    .where(Among([_p.c.sha256], "hashes"))
    .values(used_at=bindparam("now", type_=_p.c.used_at.type))
    .returning(_p.c.sha256, _p.c.removed_at),
    [_p.c.sha256, _p.c.removed_at],
)
"""These payloads are used anew (hub.journal.keeping)."""

PAYLOADS = Question(select(t.payload).where(Among([t.payload.c.sha256], "hashes")))


@lru_cache(maxsize=64)
def there(table: Table, columns: tuple[str, ...], several: tuple[tuple[str, tuple[str, ...]], ...]) -> Question:
    """One row of `table`, if there is any, whose `columns` have one of the values of `keys`, and each column of
    `several` one of the values beside it."""
    where = [_one_of(_unindexed(table.c[name]), values) for name, values in several]
    found = [next(iter(table.primary_key))]
    return Question(select(*found).where(Among([table.c[name] for name in columns], "keys"), *where).limit(1))


def keys(columns: Sequence[str], rows: Iterable[Row]) -> list[Any]:
    """The parameter `keys` for these columns of these rows."""
    if len(columns) == 1:
        return [row[columns[0]] for row in rows]
    return [[row[name] for name in columns] for row in rows]


@lru_cache(maxsize=64)
def having(table: Table, columns: tuple[str, ...]) -> Question:
    """Rows of `table` whose `columns` have one of the values of the parameter `keys`, oldest first."""
    order = table.c.seq if "seq" in table.c else next(iter(table.primary_key))
    return Question(select(table).where(Among([table.c[name] for name in columns], "keys")).order_by(order))


@lru_cache(maxsize=64)
def in_state(table: Table, states: tuple[str, ...], match: tuple[str, ...]) -> Question:
    """Rows of `table` in one of `states` whose columns `match` have the values of these parameters, oldest first."""
    order: list[Any] = [table.c.seq] if "seq" in table.c else [table.c.id]
    if table is t.message:  # the tenth of an interchange is behind the ninth
        order = [table.c.interchange, func.length(table.c.id), table.c.id]
    where = [_one_of(table.c.state, states), *(table.c[name] == bindparam(name) for name in match)]
    return Question(select(table).where(*where).order_by(*order).limit(bindparam("limit")))
