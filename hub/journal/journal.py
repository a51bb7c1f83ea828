"""The journal: reads, claims, and the one way to write, `commit`.

Many outcomes go into one transaction (group commit: about ten times the rate of single ones). On SQLite writers take
the lock at BEGIN IMMEDIATE, WAL with synchronous=FULL is set and read back on every connection. A claim names the
process that holds it (hub.journal.locks); `take_back` returns what a dead process held.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ARRAY,
    Connection,
    Engine,
    String,
    Table,
    and_,
    bindparam,
    create_engine,
    delete,
    event,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import DBAPIError, IntegrityError

from hub.errors import JournalError, Stale
from hub.journal import tables as t
from hub.journal.changes import Absent, Add, Alarm, Change, Happened, Move, Outcome, Rest, Wait
from hub.journal.locks import Holding, Locks, SessionLocks
from hub.journal.spool import INLINE, Spool, Stored
from hub.journal.statements import inserting, moving
from hub.message import AT_REST, DeliveryState, Interchange, InterchangeState

OPEN_DELIVERY = ("released", "pending", "failed", "sending", "in_doubt", "held")
"""States in which a delivery holds back later ones of the same document to the same endpoint."""


def _sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _promise(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy's begin event below issues BEGIN
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=30000")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
        level = cursor.execute("PRAGMA synchronous").fetchone()[0]
        cursor.close()
        if mode != "wal" or level != 2:
            raise JournalError(f"SQLite refuses WAL with synchronous=FULL (has {mode}, {level})")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(url: str) -> Engine:
    """READ COMMITTED: guarded updates, unique keys and, where a step relies on rows that are not there, advisory locks
    of the transaction (`_turn`) give what BEGIN IMMEDIATE gives on SQLite. SERIALIZABLE would too, but its page locks
    clash on small tables: measured at less than half the rate."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise JournalError("a journal on PostgreSQL needs the extra: pip install 'eport-hub[postgresql]'") from None
    url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    settings = {"options": "-c timezone=utc -c synchronous_commit=on"}
    return create_engine(url, connect_args=settings, pool_size=40, pool_pre_ping=True)


RACES = {"23505", "40001", "40P01"}
"""SQLSTATE of a row that is there already, of facts that have changed, and of two commits that wait for each other."""


@contextmanager
def _raced() -> Iterator[None]:
    """Raises Stale for a commit that another one was faster than."""
    try:
        yield
    except DBAPIError as clash:
        if isinstance(clash, IntegrityError) or getattr(clash.orig, "sqlstate", "") in RACES:
            raise Stale(str(clash.orig)) from clash
        raise


class Journal:
    """One hub's memory. `name` is this process's name in claims; `folder` the spool's folder; `url` of the database,
    else $EPORT_DATABASE_URL, else SQLite in the folder."""

    def __init__(self, folder: Path, name: str, url: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.spool = Spool(folder / "payloads")
        url = url or os.environ.get("EPORT_DATABASE_URL")
        self.locks: Holding
        if url:
            self.engine = _postgresql(url)
            self.locks = SessionLocks(self.engine)
            self._inline = 1 << 30  # every machine has to see the bytes
        else:
            self.engine = create_engine(f"sqlite:///{folder / 'journal.db'}")
            _sqlite(self.engine)
            self.locks = Locks(folder / "run")
            self._inline = INLINE

    def close(self) -> None:
        self.locks.close()
        self.engine.dispose()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    def _turn(self, connection: Connection, names: Iterable[str]) -> None:
        """Writers that name the same thing take turns until they commit. On SQLite all writers do anyway."""
        wanted = sorted(set(names))
        if wanted and self.engine.dialect.name == "postgresql":
            lock = text("SELECT pg_advisory_xact_lock(hashtextextended(name, 1)) FROM unnest(:names) AS name")
            connection.execute(lock.bindparams(bindparam("names", type_=ARRAY(String))), {"names": wanted})

    def rows(self, query: Any) -> Sequence[RowMapping]:
        """Read rows. No lock is held afterwards."""
        with self.engine.connect() as connection:
            return connection.execute(query).mappings().all()

    def row(self, query: Any) -> RowMapping | None:
        found = self.rows(query)
        return found[0] if found else None

    def payload(self, sha256: str) -> bytes:
        """The bytes of a payload, from its row or from the spool."""
        found = self.row(select(t.payload.c.data).where(t.payload.c.sha256 == sha256))
        if found is None:
            raise JournalError(f"no payload {sha256}")
        data: bytes | None = found["data"]
        return data if data is not None else self.spool.read(sha256)

    def payloads(self, hashes: Sequence[str]) -> dict[str, bytes]:
        """Many payloads at once, by their hash."""
        found: dict[str, bytes] = {}
        for at in range(0, len(hashes), 100):
            some = hashes[at : at + 100]
            for row in self.rows(select(t.payload).where(t.payload.c.sha256.in_(some))):
                found[row["sha256"]] = self.spool.read(row["sha256"]) if row["data"] is None else row["data"]
        missing = set(hashes) - found.keys()
        if missing:
            raise JournalError(f"no payload {min(missing)}")
        return found

    # ---- writing

    def commit(self, outcomes: Iterable[Outcome], now: datetime) -> None:
        """Write all outcomes in one transaction.

        Raises Stale when a row that a step relied on has changed, or a row that it adds is there already: nothing
        is written, the caller reads again and repeats."""
        outcomes = list(outcomes)
        changes = [change for outcome in outcomes for change in outcome.changes]
        if not changes:
            return
        with _raced(), self._write() as connection:
            self._turn(connection, _documents(changes))
            self._payloads(connection, outcomes)
            for table, rows in _grouped(c for c in changes if isinstance(c, Add)):
                self._insert(connection, t.metadata.tables[table], rows)
            moves = [c for c in changes if isinstance(c, Move)]
            for alike in _alike(moves):
                self._move(connection, alike)
            self._still_absent(connection, [c for c in changes if isinstance(c, Absent)])
            moved = [m.id for m in moves if m.table == "delivery" and "state" in m.values]
            finished = self._finish_messages(connection, moved)
            self._waiting(connection, changes, now)
            self._events(connection, [*changes, *(Happened(id, "done") for id in finished)], now)

    def _payloads(self, connection: Connection, outcomes: list[Outcome]) -> None:
        wanted = {sha: data for outcome in outcomes for sha, data in outcome.payloads.items()}
        if not wanted:
            return
        query = select(t.payload.c.sha256).where(t.payload.c.sha256.in_(wanted))
        have = set(connection.execute(query).scalars())
        fresh = []
        for sha, data in wanted.items():
            if sha not in have:
                inline = len(data) <= self._inline
                if not inline:
                    self.spool.store([data], len(data))
                fresh.append({"sha256": sha, "size": len(data), "data": data if inline else None})
        if fresh:
            self._insert(connection, t.payload, fresh)

    def _move(self, connection: Connection, alike: list[Move]) -> None:
        """Moves of one table, from the same states, that set the same columns: one statement for all of them."""
        first = alike[0]
        table = t.metadata.tables[first.table]
        plan = moving(table, first.was, tuple(first.given), tuple(first.values), self.engine.dialect)
        rows = [
            {
                "id_": move.id,
                **{f"given_{name}": value for name, value in move.given.items()},
                **{f"new_{name}": value for name, value in move.values.items()},
            }
            for move in alike
        ]
        if plan.execute(connection, rows) != len(rows):
            raise Stale(f"{first.table} {', '.join(m.id for m in alike)[:200]}: no longer {'/'.join(first.was)}")

    def _insert(self, connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
        plan, more = inserting(table, tuple(rows[0]), self.engine.dialect)
        plan.execute(connection, [more | row for row in rows] if more else rows)

    def _still_absent(self, connection: Connection, absent: list[Absent]) -> None:
        """One query for all that name the same columns and, where a column may have one of several, the same values."""
        groups: dict[tuple[object, ...], list[Absent]] = {}
        for one in absent:
            several = tuple(sorted((n, v) for n, v in one.match.items() if isinstance(v, tuple)))
            groups.setdefault((one.table, tuple(sorted(one.match)), several), []).append(one)
        for alike in groups.values():
            columns = t.metadata.tables[alike[0].table].c
            plain = sorted(n for n, v in alike[0].match.items() if not isinstance(v, tuple))
            keys = [tuple(one.match[n] for n in plain) for one in alike]
            where = [tuple_(*(columns[n] for n in plain)).in_(keys)]
            where += [columns[n].in_(v) for n, v in alike[0].match.items() if isinstance(v, tuple)]
            if connection.execute(select(exists().where(*where))).scalar_one():
                raise Stale(f"{alike[0].table} has such a row by now: {alike[0].match}")

    def _events(self, connection: Connection, changes: list[Change], now: datetime) -> None:
        """What happened, and every change of a state, in the order of the changes."""
        rows: list[dict[str, Any]] = []
        for change in changes:
            if isinstance(change, Happened):
                rows.append({"at": now, "subject": change.subject, "what": change.what, "detail": change.detail})
            elif isinstance(change, Move) and "state" in change.values:
                detail = {"why": change.values.get("reason", ""), **change.told}
                rows.append({"at": now, "subject": change.id, "what": change.values["state"], "detail": detail})
        if rows:
            self._insert(connection, t.event, rows)

    def _finish_messages(self, connection: Connection, deliveries: list[str]) -> Sequence[str]:
        """A message is done when each of its deliveries is at rest or sent with no answer owed. Which are done now."""
        if not deliveries:
            return []
        m, d = t.message, t.delivery
        if self.engine.dialect.name == "postgresql":  # the last two deliveries may come to rest in two commits at once
            whole = select(m.c.id).where(m.c.id.in_(select(d.c.message).where(d.c.id.in_(deliveries))))
            connection.execute(whole.order_by(m.c.id).with_for_update())
        rests = or_(d.c.state.in_(AT_REST), and_(d.c.state == DeliveryState.SENT, d.c.awaits == ""))
        mine = select(d.c.message).where(d.c.id.in_(deliveries))
        still_open = exists().where(d.c.message == m.c.id, ~rests)
        done = update(m).where(m.c.id.in_(mine), m.c.state == "routed", ~still_open).values(state="done")
        return connection.execute(done.returning(m.c.id)).scalars().all()

    def _waiting(self, connection: Connection, changes: list[Change], now: datetime) -> None:
        """Whatever changed its state has left the list; then those that wait now enter it, once."""
        w = t.waiting
        gone = {c.id for c in changes if isinstance(c, Move) and "state" in c.values}
        gone |= {c.subject for c in changes if isinstance(c, Rest)}
        if gone:
            connection.execute(delete(w).where(w.c.subject.in_(gone)))
        alarms = [c.subject for c in changes if isinstance(c, Alarm)]
        if alarms:
            connection.execute(update(w).where(w.c.subject.in_(alarms)).values(overdue=True))
        waits = {c.subject: c for c in changes if isinstance(c, Wait)}
        if not waits:
            return
        there = connection.execute(select(w.c.subject, w.c.code).where(w.c.subject.in_(waits)))
        same = {row.subject for row in there if row.code == waits[row.subject].code}
        connection.execute(delete(w).where(w.c.subject.in_(waits.keys() - same)))
        fresh = [asdict(wait) | {"since": now} for wait in waits.values() if wait.subject not in same]
        if fresh:
            connection.execute(insert(w), fresh)

    def accept_all(self, arrivals: Sequence[tuple[Interchange, Stored]], now: datetime) -> list[str]:
        """Step 2: many arrivals, one commit. The ids of those that are new."""
        while True:
            with suppress(Stale), _raced():  # another gate took the same in: look again
                return self._accept(arrivals, now)

    def _accept(self, arrivals: Sequence[tuple[Interchange, Stored]], now: datetime) -> list[str]:
        i, p = t.interchange, t.payload
        with self._write() as connection:
            pairs = tuple_(i.c.endpoint, i.c.key).in_([(one.endpoint, one.key) for one, _ in arrivals])
            seen = {(row.endpoint, row.key) for row in connection.execute(select(i.c.endpoint, i.c.key).where(pairs))}
            fresh = {(one.endpoint, one.key): (one, stored) for one, stored in arrivals}
            new = [pair for key, pair in fresh.items() if key not in seen]
            if not new:
                return []
            payloads = {stored.sha256: stored for _, stored in new}
            have = set(connection.execute(select(p.c.sha256).where(p.c.sha256.in_(payloads))).scalars())
            rows = [{"sha256": x.sha256, "size": x.size, "data": self._bytes(x)} for x in payloads.values()]
            if len(have) < len(rows):
                connection.execute(insert(p), [row for row in rows if row["sha256"] not in have])
            connection.execute(insert(i), [received(one, stored.sha256, stored.size, now) for one, stored in new])
            told = [
                {
                    "at": now,
                    "subject": one.id,
                    "what": "received",
                    "detail": {"name": one.name, "sha256": stored.sha256, "endpoint": one.endpoint},
                }
                for one, stored in new
            ]
            connection.execute(insert(t.event), told)
            return [one.id for one, _ in new]

    def _bytes(self, stored: Stored) -> bytes | None:
        """What the row of a payload holds: None for bytes that stay in the spool."""
        if stored.data is None and stored.size <= self._inline and self._inline > INLINE:
            return self.spool.read(stored.sha256)
        return stored.data

    def numbers(self, counter: str, count: int) -> range:
        """The next `count` numbers of a counter, never given twice (gaps are possible after a crash)."""
        while True:
            with suppress(Stale), _raced():
                return self._numbers(counter, count)

    def _numbers(self, counter: str, count: int) -> range:
        with self._write() as connection:
            c = t.counter
            done = connection.execute(update(c).where(c.c.name == counter).values(value=c.c.value + count))
            if done.rowcount == 0:
                connection.execute(insert(c), {"name": counter, "value": count})
            last: int = connection.execute(select(c.c.value).where(c.c.name == counter)).scalar_one()
        return range(last - count + 1, last + 1)

    # ---- claims

    def claim_interchanges(self, limit: int) -> list[Interchange]:
        """Received interchanges for this process; each claim counts a try, so that a crash counts.

        Parties take turns, so that a flood from one delays no other. One that was claimed before (its worker died)
        is claimed alone: if it kills again, it takes no innocent one with it. What a party sent is opened in order:
        as long as a process works on some of it, or died on it, the rest waits."""
        i = t.interchange
        unopened = i.c.state == InterchangeState.RECEIVED
        free = and_(unopened, i.c.holder.is_(None))
        at_work = select(i.c.party).where(unopened, i.c.holder.is_not(None))
        suspected = select(i.c.party).where(unopened, i.c.tries > 0)
        if self.row(select(i.c.id).where(free).limit(1)) is None:
            return []
        turn = func.row_number().over(partition_by=i.c.party, order_by=i.c.id).label("turn")
        fair = select(i.c.id, turn).where(free, i.c.party.not_in(at_work), i.c.party.not_in(suspected)).subquery()
        batch = select(fair.c.id).order_by(fair.c.turn, fair.c.id).limit(limit)
        suspect = select(i.c.id).where(free, i.c.tries > 0, i.c.party.not_in(at_work)).order_by(i.c.id).limit(1)
        rows: Sequence[RowMapping] = []
        for some in (suspect, batch):
            take = (
                update(i).where(free, i.c.id.in_(some.scalar_subquery())).values(holder=self.name, tries=i.c.tries + 1)
            )
            rows = rows or self._claim(take.returning(*i.c))
        return [Interchange(**{k: r[k] for k in Interchange.__slots__}) for r in sorted(rows, key=lambda r: r["id"])]

    def claim_cases(self, limit: int) -> list[tuple[str, int]]:
        """(case, tries) of ripe cases for this process; as with interchanges, a suspect alone."""
        c = t.case
        free = and_(c.c.ripe, c.c.holder.is_(None))
        if self.row(select(c.c.id).where(free).limit(1)) is None:
            return []
        suspect = select(c.c.id).where(free, c.c.tries > 0).order_by(c.c.id).limit(1)
        batch = select(c.c.id).where(free, c.c.tries == 0).order_by(c.c.id).limit(limit)
        rows: Sequence[RowMapping] = []
        for some in (suspect, batch):
            claimed = {"holder": self.name, "ripe": False, "tries": c.c.tries + 1}
            take = update(c).where(free, c.c.id.in_(some.scalar_subquery())).values(claimed)
            rows = rows or self._claim(take.returning(c.c.id, c.c.tries))
        return [(row["id"], row["tries"]) for row in rows]

    def count_try(self, table: Table, id: str) -> int:
        """One more try at a row, counted before the work so that a crash counts; how many that makes."""
        take = update(table).where(table.c.id == id).values(tries=table.c.tries + 1).returning(table.c.tries)
        while True:
            with suppress(Stale), _raced(), self._write() as connection:
                tries: int = connection.execute(take).scalar_one()
                return tries

    def _claim(self, statement: Any) -> Sequence[RowMapping]:
        self.locks.hold(self.name)
        with self._write() as connection:
            self._turn(connection, ["claim"])
            return connection.execute(statement).mappings().all()

    def take_back(self) -> int:
        """Free what dead processes hold; how many rows."""
        freed = 0
        i, c = t.interchange, t.case
        claimed = ((i, i.c.state == InterchangeState.RECEIVED), (c, c.c.ripe.in_((True, False))))  # so an index serves
        for table, where in claimed:
            query = select(table.c.holder).where(where, table.c.holder.is_not(None)).distinct()
            holders = [row["holder"] for row in self.rows(query)]
            dead = [holder for holder in holders if not self.locks.held(holder)]
            if dead:
                values: dict[str, Any] = {"holder": None}
                if table is t.case:
                    values["ripe"] = True
                free = update(table).where(where, table.c.holder.in_(dead)).values(values)
                with suppress(Stale), _raced(), self._write() as connection:  # the next look frees what is left
                    freed += connection.execute(free).rowcount
        return freed

    # ---- reads of gate and courier

    def backlog(self) -> dict[str, int]:
        """How many interchanges of each party wait to be opened."""
        i = t.interchange
        query = select(i.c.party, func.count().label("n")).where(i.c.state == InterchangeState.RECEIVED)
        return {row["party"]: row["n"] for row in self.rows(query.group_by(i.c.party))}

    def endpoints_due(self, now: datetime) -> set[str]:
        """Endpoints that have a delivery to try now."""
        d = t.delivery
        query = select(d.c.endpoint).where(d.c.state.in_(("pending", "failed")), d.c.next_at <= now).distinct()
        return {row["endpoint"] for row in self.rows(query)}

    def due(self, endpoint: str, now: datetime, limit: int) -> Sequence[RowMapping]:
        """Deliveries to hand over now: first of their document first, none that an earlier one holds back."""
        d, earlier = t.delivery, t.delivery.alias("earlier")
        held_back = exists().where(
            earlier.c.endpoint == d.c.endpoint,
            earlier.c.order_key == d.c.order_key,
            earlier.c.seq < d.c.seq,
            earlier.c.state.in_(OPEN_DELIVERY),
        )
        return self.rows(
            select(d)
            .where(
                d.c.endpoint == endpoint,
                d.c.state.in_(("pending", "failed")),
                d.c.next_at <= now,
                or_(d.c.order_key == "", ~held_back),
            )
            .order_by(d.c.seq)
            .limit(limit)
        )

    def in_state(self, table: Table, states: Sequence[str], limit: int, **match: str) -> Sequence[RowMapping]:
        """Rows of `table` in one of `states` whose columns have the values of `match`, oldest first."""
        order: list[Any] = [table.c.seq] if "seq" in table.c else [table.c.id]
        if table is t.message:  # the tenth of an interchange is behind the ninth
            order = [table.c.interchange, func.length(table.c.id), table.c.id]
        where = [table.c.state.in_(states), *(table.c[name] == value for name, value in match.items())]
        return self.rows(select(table).where(*where).order_by(*order).limit(limit))

    def counts(self) -> dict[str, dict[str, int]]:
        """How many rows in each state, by table: what `eport status` shows."""
        result: dict[str, dict[str, int]] = {}
        for table in (t.interchange, t.message, t.delivery, t.receipt, t.case):
            query = select(table.c.state, func.count().label("n")).group_by(table.c.state)
            result[str(table.name)] = {row["state"]: row["n"] for row in self.rows(query)}
        return result


def _grouped(adds: Iterable[Add]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Rows that one INSERT can take: same table, same columns."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for add in adds:
        groups.setdefault((add.table, *sorted(add.row)), []).append(add.row)
    for (table, *_), rows in groups.items():
        yield table, rows


def received(one: Interchange, sha256: str, size: int, now: datetime) -> dict[str, Any]:
    """The row of a new interchange."""
    return {
        "id": one.id,
        "endpoint": one.endpoint,
        "party": one.party,
        "name": one.name,
        "key": one.key,
        "sha256": sha256,
        "size": size,
        "received_at": now,
        "state": InterchangeState.RECEIVED,
    }


def _alike(moves: list[Move]) -> Iterable[list[Move]]:
    """Moves that one statement can make, in the order of the first of each kind. One that must come after another of
    the same row starts a new kind."""
    groups: dict[tuple[object, ...], list[Move]] = {}
    last: dict[tuple[str, str], tuple[object, ...]] = {}
    for count, move in enumerate(moves):
        kind: tuple[object, ...] = (move.table, move.was, tuple(sorted(move.given)), tuple(sorted(move.values)))
        before = last.get((move.table, move.id))
        if before is not None and before != kind:
            kind = (*kind, count)
        last[move.table, move.id] = kind
        groups.setdefault(kind, []).append(move)
    return groups.values()


def _documents(changes: Iterable[Change]) -> Iterator[str]:
    """The documents whose versions these changes add or rely on: a name for each."""
    for change in changes:
        row = change.row if isinstance(change, Add) else change.match if isinstance(change, Absent) else {}
        if isinstance(change, Add | Absent) and change.table == "message" and row.get("document"):
            yield f"{row.get('sender')}/{row.get('kind')}/{row['document']}"
