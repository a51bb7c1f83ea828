"""The journal: reads, claims, and the one way to write, `commit`.

Many outcomes go into one transaction (group commit: about ten times the rate of single ones). On SQLite writers take
the lock at BEGIN IMMEDIATE, WAL with synchronous=FULL is set and read back on every connection. A claim names the
process that holds it; `take_back` returns what a dead process held.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    and_,
    create_engine,
    event,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError

from hub.errors import JournalError, Stale
from hub.journal import tables as t
from hub.journal.changes import Add, Happened, Move, Outcome
from hub.journal.spool import INLINE, Spool, Stored
from hub.message import AT_REST, DeliveryState, Interchange, InterchangeState

OPEN_DELIVERY = ("pending", "failed", "sending", "in_doubt", "held")
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


class Journal:
    """One hub's memory. `name` is this process's name in claims; `folder` the spool's folder."""

    def __init__(self, folder: Path, name: str, url: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.spool = Spool(folder / "payloads")
        self.engine = create_engine(url or f"sqlite:///{folder / 'journal.db'}")
        if self.engine.dialect.name == "sqlite":
            _sqlite(self.engine)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

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

    # ---- writing

    def commit(self, outcomes: Iterable[Outcome], now: datetime) -> None:
        """Write all outcomes in one transaction.

        Raises Stale when a row that a step relied on has changed, or a row that it adds is there already: nothing
        is written, the caller reads again and repeats."""
        outcomes = list(outcomes)
        with self._write() as connection:
            try:
                self._payloads(connection, outcomes)
                for outcome in outcomes:
                    self._apply(connection, outcome, now)
            except IntegrityError as clash:
                raise Stale(str(clash.orig)) from clash

    def _payloads(self, connection: Connection, outcomes: list[Outcome]) -> None:
        wanted = {sha: data for outcome in outcomes for sha, data in outcome.payloads.items()}
        if not wanted:
            return
        query = select(t.payload.c.sha256).where(t.payload.c.sha256.in_(wanted))
        have = set(connection.execute(query).scalars())
        fresh = []
        for sha, data in wanted.items():
            if sha not in have:
                if len(data) > INLINE:
                    self.spool.store([data], len(data))
                fresh.append({"sha256": sha, "size": len(data), "data": data if len(data) <= INLINE else None})
        if fresh:
            connection.execute(insert(t.payload), fresh)

    def _apply(self, connection: Connection, outcome: Outcome, now: datetime) -> None:
        for change in outcome.changes:
            if isinstance(change, Add):
                connection.execute(insert(t.metadata.tables[change.table]), change.row)
            elif isinstance(change, Happened):
                row = {"at": now, "subject": change.subject, "what": change.what, "detail": change.detail}
                connection.execute(insert(t.event), row)
            else:
                self._move(connection, change, now)

    def _move(self, connection: Connection, change: Move, now: datetime) -> None:
        table = t.metadata.tables[change.table]
        where = table.c.id == change.id
        if change.was:
            where = and_(where, table.c.state.in_(change.was))
        if connection.execute(update(table).where(where).values(change.values)).rowcount == 0:
            raise Stale(f"{change.table} {change.id} is no longer {'/'.join(change.was)}")
        state = change.values.get("state")
        if state is not None:
            row = {
                "at": now,
                "subject": change.id,
                "what": state,
                "detail": {"why": change.values.get("reason", "")},
            }
            connection.execute(insert(t.event), row)
        if change.table == "delivery" and state is not None:
            self._finish_message(connection, change.id)

    def _finish_message(self, connection: Connection, delivery: str) -> None:
        """A message is done when each of its deliveries is at rest or sent with no answer owed."""
        m, d = t.message, t.delivery
        rests = or_(d.c.state.in_(AT_REST), and_(d.c.state == DeliveryState.SENT, d.c.awaits == ""))
        mine = select(d.c.message).where(d.c.id == delivery).scalar_subquery()
        still_open = exists().where(d.c.message == m.c.id, ~rests)
        connection.execute(update(m).where(m.c.id == mine, m.c.state == "routed", ~still_open).values(state="done"))

    def accept_all(self, arrivals: Sequence[tuple[Interchange, Stored]], now: datetime) -> list[str]:
        """Step 2: many arrivals, one commit. The ids of those that are new."""
        fresh = []
        with self._write() as connection:
            for interchange, stored in arrivals:
                seen = select(t.interchange.c.id).where(
                    t.interchange.c.endpoint == interchange.endpoint, t.interchange.c.key == interchange.key
                )
                if connection.execute(seen).first():
                    continue
                have = select(t.payload.c.sha256).where(t.payload.c.sha256 == stored.sha256)
                if not connection.execute(have).first():
                    row = {"sha256": stored.sha256, "size": stored.size, "data": stored.data}
                    connection.execute(insert(t.payload), row)
                connection.execute(
                    insert(t.interchange),
                    {
                        "id": interchange.id,
                        "endpoint": interchange.endpoint,
                        "party": interchange.party,
                        "name": interchange.name,
                        "key": interchange.key,
                        "sha256": stored.sha256,
                        "size": stored.size,
                        "received_at": now,
                        "state": InterchangeState.RECEIVED,
                    },
                )
                detail = {"name": interchange.name, "sha256": stored.sha256, "endpoint": interchange.endpoint}
                row = {"at": now, "subject": interchange.id, "what": "received", "detail": detail}
                connection.execute(insert(t.event), row)
                fresh.append(interchange.id)
        return fresh

    def numbers(self, counter: str, count: int) -> range:
        """The next `count` numbers of a counter, never given twice (gaps are possible after a crash)."""
        with self._write() as connection:
            c = t.counter
            done = connection.execute(update(c).where(c.c.name == counter).values(value=c.c.value + count))
            if done.rowcount == 0:
                connection.execute(insert(c), {"name": counter, "value": count})
            last: int = connection.execute(select(c.c.value).where(c.c.name == counter)).scalar_one()
        return range(last - count + 1, last + 1)

    # ---- claims

    def claim_interchanges(self, limit: int) -> list[Interchange]:
        """Received interchanges for this process, oldest first; each counts a try, so that a crash counts."""
        i = t.interchange
        free = (
            select(i.c.id)
            .where(i.c.state == InterchangeState.RECEIVED, i.c.holder.is_(None))
            .order_by(i.c.id)
            .limit(limit)
        )
        take = update(i).where(i.c.id.in_(free.scalar_subquery())).values(holder=self.name, tries=i.c.tries + 1)
        rows = self._claim(take.returning(*i.c))
        return [Interchange(**{k: r[k] for k in Interchange.__slots__}) for r in sorted(rows, key=lambda r: r["id"])]

    def claim_cases(self, limit: int) -> list[str]:
        """Ripe cases for this process."""
        c = t.case
        free = select(c.c.id).where(c.c.ripe, c.c.holder.is_(None)).order_by(c.c.id).limit(limit)
        take = update(c).where(c.c.id.in_(free.scalar_subquery())).values(holder=self.name, ripe=False)
        return [row["id"] for row in self._claim(take.returning(c.c.id))]

    def _claim(self, statement: Any) -> Sequence[RowMapping]:
        with self._write() as connection:
            return connection.execute(statement).mappings().all()

    def release(self, interchanges: Iterable[str] = (), cases: Iterable[str] = ()) -> None:
        """Give claims back unworked."""
        with self._write() as connection:
            for table, ids in ((t.interchange, list(interchanges)), (t.case, list(cases))):
                if ids:
                    values: dict[str, Any] = {"holder": None}
                    if table is t.case:
                        values["ripe"] = True
                    connection.execute(update(table).where(table.c.id.in_(ids)).values(values))

    def take_back(self, alive: Callable[[str], bool]) -> int:
        """Free what processes hold that are not `alive`; how many rows."""
        freed = 0
        with self._write() as connection:
            for table in (t.interchange, t.case):
                holders = connection.execute(select(table.c.holder).distinct()).scalars().all()
                dead = [h for h in holders if h is not None and not alive(h)]
                if dead:
                    values: dict[str, Any] = {"holder": None}
                    if table is t.case:
                        values["ripe"] = True
                    freed += connection.execute(update(table).where(table.c.holder.in_(dead)).values(values)).rowcount
        return freed

    # ---- the courier's reads

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

    def in_state(self, endpoint: str, states: Sequence[str]) -> Sequence[RowMapping]:
        d = t.delivery
        return self.rows(select(d).where(d.c.endpoint == endpoint, d.c.state.in_(states)).order_by(d.c.seq))

    def counts(self) -> dict[str, dict[str, int]]:
        """How many rows in each state, by table: what `eport status` shows."""
        result: dict[str, dict[str, int]] = {}
        for table in (t.interchange, t.message, t.delivery, t.receipt, t.case):
            query = select(table.c.state, func.count().label("n")).group_by(table.c.state)
            result[str(table.name)] = {row["state"]: row["n"] for row in self.rows(query)}
        return result
