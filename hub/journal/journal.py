"""The journal: reads, claims, and the one way to write, `commit`.

Many outcomes go into one transaction (group commit: about ten times the rate of single ones). On SQLite writers take
the lock at BEGIN IMMEDIATE, WAL with synchronous=FULL is set and read back on every connection. A claim names the
process that holds it (hub.journal.locks); `take_back` returns what a dead process held.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ARRAY,
    Connection,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from hub.errors import Damaged, Gone, Stale
from hub.journal import engines, notices
from hub.journal import questions as q
from hub.journal import tables as t
from hub.journal.bell import Bell, Listening, Looking, wakes
from hub.journal.changes import MINE, Absent, Add, Alarm, Change, Happened, Move, Outcome, Rest, Wait
from hub.journal.locks import Holding, Locks, SessionLocks, queue
from hub.journal.spool import EVERYTHING, INLINE, Spool, Stored
from hub.journal.statements import Question, Row, inserting, moving
from hub.message import DeliveryState, Interchange, InterchangeState, MessageState

UNDONE = (InterchangeState.RECEIVED, MessageState.RELEASED, DeliveryState.RELEASED)
"""States in which something waits for a worker."""
RACES = {"23505", "40001", "40P01", "55P03"}
"""SQLSTATE of a row that is there already, of facts that have changed, of two commits that wait for each other, and of
a lock that was not had in time."""


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
        self.tried: dict[Table, list[str]] = {}  # what this round of a worker counted a try of
        url = url or os.environ.get("EPORT_DATABASE_URL")
        self.locks: Holding
        self.bell: Bell
        self.spool = Spool(folder / "payloads", EVERYTHING if url else INLINE)
        if url:
            self.engine = engines.postgresql(url)
            self.locks = SessionLocks(self.engine)
            self.bell = Listening(self.engine)
            self._queue: Callable[[], AbstractContextManager[None]] = nullcontext
        else:
            self.engine = engines.sqlite(folder / "journal.db")
            self.locks = Locks(folder / "run")
            self.bell = Looking()
            self._queue = partial(queue, folder / "journal.queue")

    def close(self) -> None:
        self.bell.close()
        self.locks.close()
        self.engine.dispose()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with (
            self.engine.connect().execution_options(writes=True) as connection,
            self._queue(),
            connection.begin(),
        ):
            yield connection

    def _ask(self, connection: Connection, question: Question, **parameters: Any) -> list[dict[str, Any]]:
        """The same inside a transaction."""
        return question.plan(self.engine.dialect).ask(connection.connection, parameters)

    def _turn(self, connection: Connection, names: Iterable[str]) -> None:
        """Writers that name the same thing take turns until they commit. On SQLite all writers do anyway."""
        wanted = sorted(set(names))
        if wanted and self.engine.dialect.name == "postgresql":
            lock = text("SELECT pg_advisory_xact_lock(hashtextextended(name, 1)) FROM unnest(:names) AS name")
            connection.execute(lock.bindparams(bindparam("names", type_=ARRAY(String))), {"names": wanted})

    def ask(self, question: Question, **parameters: Any) -> list[dict[str, Any]]:
        """Read rows. No lock is held afterwards."""
        plan = question.plan(self.engine.dialect)
        with plan.told():
            connection = self.engine.raw_connection()
        try:
            return plan.ask(connection, parameters)
        finally:
            connection.close()

    def rows(self, query: Any) -> Sequence[Row]:
        """The same for a query that is asked now and then."""
        with self.engine.connect() as connection:
            found: Sequence[Any] = connection.execute(query).mappings().all()
            return found

    def row(self, query: Any) -> Row | None:
        found = self.rows(query)
        return found[0] if found else None

    def payload(self, sha256: str) -> bytes:
        """The bytes of a payload, from its row or from the spool. Raises Gone or Damaged when they cannot be had."""
        return self.payloads([sha256])[sha256]

    def payloads(self, hashes: Sequence[str]) -> dict[str, bytes]:
        """Many payloads at once, by their hash. Raises Gone or Damaged when one of them cannot be had."""
        found, lost = self.sound(hashes)
        if lost:
            raise lost[min(lost)]
        return found

    def sound(self, hashes: Sequence[str]) -> tuple[dict[str, bytes], dict[str, Gone | Damaged]]:
        """The payloads, each checked against its hash, and why others cannot be had."""
        found: dict[str, bytes] = {}
        lost: dict[str, Gone | Damaged] = {}
        for at in range(0, len(hashes), 100):
            for row in self.ask(q.PAYLOADS, hashes=hashes[at : at + 100]):
                try:
                    found[row["sha256"]] = self._sound(row)
                except (Gone, Damaged) as fault:
                    lost[row["sha256"]] = fault
        for sha256 in set(hashes) - found.keys() - lost.keys():
            lost[sha256] = Damaged(sha256, "has no row")
        return found, lost

    def _sound(self, row: Row) -> bytes:
        sha256: str = row["sha256"]
        if row["removed_at"] is not None:
            raise Gone(sha256, row["removed_at"])
        data: bytes = self.spool.read(sha256) if row["data"] is None else row["data"]
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Damaged(sha256, "is no longer what was stored")
        return data

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
            self._payloads(connection, outcomes, now)
            for table, rows in _grouped(c for c in changes if isinstance(c, Add)):
                self._insert(connection, t.metadata.tables[table], rows)
            moves = [c for c in changes if isinstance(c, Move)]
            for alike in _alike(moves):
                self._move(connection, alike)
            self._still_absent(connection, [c for c in changes if isinstance(c, Absent)])
            moved = [m.id for m in moves if m.table == "delivery" and "state" in m.values]
            finished = self._finish_messages(connection, moved)
            waits = self._waiting(connection, changes, now)
            self._events(connection, [*changes, *(Happened(id, "done") for id in finished)], now)
            self.bell.ring(connection, wakes(changes))
        notices.tell(changes, waits)

    def _payloads(self, connection: Connection, outcomes: list[Outcome], now: datetime) -> None:
        wanted = {sha: data for outcome in outcomes for sha, data in outcome.payloads.items()}
        used = {sha for outcome in outcomes for sha in outcome.used}
        if not wanted and not used:
            return
        have, gone = self._used(connection, wanted.keys() | used, now)
        if used & gone:
            raise Stale(f"payload {min(used & gone)} is there no longer")
        fresh = []
        for sha, data in wanted.items():
            if sha not in have:
                inline = len(data) <= self.spool.inline
                if not inline:
                    self.spool.store([data], len(data))
                fresh.append({"sha256": sha, "size": len(data), "data": data if inline else None, "used_at": now})
        if fresh:
            self._insert(connection, t.payload, fresh)

    def _used(self, connection: Connection, hashes: Collection[str], now: datetime) -> tuple[set[str], set[str]]:
        """Which of these payloads are there, and used anew from now on; and which have lost their bytes, and so their
        row: they may be stored again."""
        there = self._ask(connection, q.USED, hashes=list(hashes), now=now)
        gone = {row["sha256"] for row in there if row["removed_at"] is not None}
        if gone:
            connection.execute(delete(t.payload).where(t.payload.c.sha256.in_(gone)))
        return {row["sha256"] for row in there} - gone, gone

    def _move(self, connection: Connection, alike: list[Move]) -> None:
        """Moves of one table, from the same states, that set the same columns: one statement for all of them."""
        first = alike[0]
        table = t.metadata.tables[first.table]
        plan = moving(table, first.was, tuple(first.given), tuple(first.values), self.engine.dialect)
        rows = [
            {
                "id_": move.id,
                **{f"given_{name}": self.name if value is MINE else value for name, value in move.given.items()},
                **{f"new_{name}": value for name, value in move.values.items()},
            }
            for move in alike
        ]
        if plan.execute(connection.connection, rows) != len(rows):
            raise Stale(f"{first.table} {', '.join(m.id for m in alike)[:200]}: no longer {'/'.join(first.was)}")

    def _insert(self, connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
        plan, more = inserting(table, tuple(rows[0]), self.engine.dialect)
        plan.execute(connection.connection, [more | row for row in rows] if more else rows)

    def _still_absent(self, connection: Connection, absent: list[Absent]) -> None:
        """One query for all that name the same columns and, where a column may have one of several, the same values."""
        groups: dict[tuple[object, ...], list[Absent]] = {}
        for one in absent:
            several = tuple(sorted((n, v) for n, v in one.match.items() if isinstance(v, tuple)))
            groups.setdefault((one.table, tuple(sorted(one.match)), several), []).append(one)
        for alike in groups.values():
            table, match = t.metadata.tables[alike[0].table], alike[0].match
            plain = tuple(sorted(n for n, v in match.items() if not isinstance(v, tuple)))
            several = tuple((n, v) for n, v in sorted(match.items()) if isinstance(v, tuple))
            if self._ask(connection, q.there(table, plain, several), keys=q.keys(plain, [one.match for one in alike])):
                raise Stale(f"{table.name} has such a row by now: {match}")

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
        if self.engine.dialect.name == "postgresql":
            self._ask(connection, q.LOCK_MESSAGES, deliveries=deliveries)
        return [row["id"] for row in self._ask(connection, q.FINISH_MESSAGES, deliveries=deliveries)]

    def _waiting(self, connection: Connection, changes: list[Change], now: datetime) -> list[Wait]:
        """Whatever changed its state has left the list; then those that wait now enter it, once. Which have entered."""
        w = t.waiting
        gone = {c.id for c in changes if isinstance(c, Move) and "state" in c.values}
        gone |= {c.subject for c in changes if isinstance(c, Rest)}
        if gone:
            self._ask(connection, q.REST, subjects=sorted(gone))
        alarms = [c.subject for c in changes if isinstance(c, Alarm)]
        if alarms:
            connection.execute(update(w).where(w.c.subject.in_(alarms)).values(overdue=True))
        waits = {c.subject: c for c in changes if isinstance(c, Wait)}
        if not waits:
            return []
        there = connection.execute(select(w.c.subject, w.c.code, w.c.detail).where(w.c.subject.in_(waits)))
        same = {row.subject: row.detail for row in there if row.code == waits[row.subject].code}
        for subject in (subject for subject, detail in same.items() if detail != waits[subject].detail):
            connection.execute(update(w).where(w.c.subject == subject).values(detail=waits[subject].detail))
        connection.execute(delete(w).where(w.c.subject.in_(waits.keys() - same.keys())))
        fresh = [wait for wait in waits.values() if wait.subject not in same]
        if fresh:
            connection.execute(insert(w), [asdict(wait) | {"since": now} for wait in fresh])
        return fresh

    def accept_all(self, arrivals: Sequence[tuple[Interchange, Stored]], now: datetime) -> list[str]:
        """Step 2: many arrivals, one commit. The ids of those that are new."""
        while True:
            with suppress(Stale), _raced():  # another gate took the same in: look again
                return self._accept(arrivals, now)

    def _accept(self, arrivals: Sequence[tuple[Interchange, Stored]], now: datetime) -> list[str]:
        with self._write() as connection:
            pairs = [(one.endpoint, one.key) for one, _ in arrivals]
            seen = {(row["endpoint"], row["key"]) for row in self._ask(connection, q.TAKEN, keys=pairs)}
            fresh = {(one.endpoint, one.key): (one, stored) for one, stored in arrivals}
            new = [pair for key, pair in fresh.items() if key not in seen]
            if not new:
                return []
            payloads = {stored.sha256: stored for _, stored in new}
            have, _ = self._used(connection, payloads.keys(), now)
            rows = [{"sha256": x.sha256, "size": x.size, "data": x.data, "used_at": now} for x in payloads.values()]
            if len(have) < len(rows):
                self._insert(connection, t.payload, [row for row in rows if row["sha256"] not in have])
            self._insert(
                connection, t.interchange, [received(one, stored.sha256, stored.size, now) for one, stored in new]
            )
            told = [
                {
                    "at": now,
                    "subject": one.id,
                    "what": "received",
                    "detail": told_of(one, stored.sha256),
                }
                for one, stored in new
            ]
            self._insert(connection, t.event, told)
            self.bell.ring(connection, ["worker"])
            return [one.id for one, _ in new]

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
        self.tried.clear()
        if not self.ask(q.UNOPENED):
            return []
        rows = self._claim(t.interchange, (q.TAKE_SUSPECT, q.TAKE), limit)
        return [Interchange(**{k: r[k] for k in Interchange.__slots__}) for r in sorted(rows, key=lambda r: r["id"])]

    def claim_cases(self, limit: int) -> list[tuple[str, int]]:
        """(case, tries) of ripe cases for this process; as with interchanges, a suspect alone."""
        if not self.ask(q.RIPE):
            return []
        rows = self._claim(t.case, (q.TAKE_SUSPECT_CASE, q.TAKE_CASES), limit)
        return [(row["id"], row["tries"]) for row in rows]

    def count_try(self, table: Table, id: str) -> int:
        """One more try at a row, counted before the work so that a crash counts; how many that makes."""
        take = update(table).where(table.c.id == id).values(tries=table.c.tries + 1).returning(table.c.tries)
        while True:
            with suppress(Stale), _raced(), self._write() as connection:
                tries: int = connection.execute(take).scalar_one()
                self.tried.setdefault(table, []).append(id)
                return tries

    def _claim(self, table: Table, ways: Sequence[Question], limit: int) -> list[dict[str, Any]]:
        """What the first of `ways` that takes anything takes."""
        self.locks.hold(self.name)
        with self._write() as connection:
            self._turn(connection, ["claim"])
            taken = (self._ask(connection, way, me=self.name, limit=limit) for way in ways)
            rows = next((rows for rows in taken if rows), [])
            self.tried.setdefault(table, []).extend(row["id"] for row in rows)
            return rows

    def forgive(self) -> None:
        """The database failed in this round: the tries that the round counted are taken back, or an innocent
        interchange would be set aside after a few such failures. What was done after all keeps its state."""
        with self._write() as connection:
            for table, ids in self.tried.items():
                undone = table.c.ripe.is_not(None) if table is t.case else table.c.state.in_(UNDONE)
                again = update(table).where(table.c.id.in_(ids), table.c.tries > 0, undone)
                connection.execute(again.values(tries=table.c.tries - 1))
        self.tried.clear()

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
                    self.bell.ring(connection, ["worker"])
        return freed

    def horizon(self) -> int:
        """The newest event's number, once no commit under way can add an older one. Raises Stale to try again later.

        PostgreSQL gives numbers out before the commit: SHARE waits for every writer of events and keeps new ones out
        while we look. `commit` and `accept_all` write events last, so nobody who has the lock waits for another. On
        SQLite writers are one behind the other."""
        newest = select(func.max(t.event.c.seq).label("seq"))
        if self.engine.dialect.name != "postgresql":
            return int(self.rows(newest)[0]["seq"] or 0)
        with _raced(), self._write() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '2s'"))
            connection.execute(text("LOCK TABLE event IN SHARE MODE"))
            return int(connection.execute(newest).scalar() or 0)

    # ---- reads of gate and courier

    def backlog(self) -> dict[str, int]:
        """How many interchanges of each party wait to be opened."""
        return {row["party"]: row["n"] for row in self.ask(q.BACKLOG)}

    def endpoints_due(self, now: datetime) -> set[str]:
        """Endpoints that have a delivery to try now."""
        return {row["id"] for row in self.ask(q.ENDPOINTS_DUE, now=now)}

    def due(self, endpoint: str, now: datetime, limit: int) -> Sequence[Row]:
        """Deliveries to hand over now: first of their document first, none that an earlier one holds back. When there
        are more than `limit`, those whose messages they carry take turns, so that no sender's flood delays another."""
        oldest = self.ask(q.DUE, endpoint=endpoint, now=now, limit=limit)
        if len(oldest) < limit or limit < 2:
            return oldest
        return self.ask(q.DUE_IN_TURN, endpoint=endpoint, now=now, limit=limit)

    def standing(self, endpoint: str) -> Row | None:
        """The endpoint's row; None when nothing ever went wrong there."""
        return next(iter(self.ask(q.STANDING, endpoint=endpoint)), None)

    def in_state(self, table: Table, states: Sequence[str], limit: int, **match: str) -> Sequence[Row]:
        """Rows of `table` in one of `states` whose columns have the values of `match`, oldest first."""
        return self.ask(q.in_state(table, tuple(states), tuple(match)), limit=limit, **match)

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


def told_of(one: Interchange, sha256: str) -> dict[str, str]:
    """What the event of a new interchange says."""
    return {"name": one.name, "party": one.party, "sha256": sha256, "endpoint": one.endpoint}


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
        "look_at": now,
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
