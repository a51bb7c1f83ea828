"""Bytes go when the agreed time is over, and never before: for random histories, and for what reads them afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, insert, select, update

from hub import retention
from hub.errors import Gone, Stale
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.schema import upgrade
from hub.message import DeliveryState, Interchange, InterchangeState, MessageState

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
KEEP = 30 * DAY
SHAS = [c * 64 for c in "abcdef"]
TABLES = (t.waiting, t.receipt, t.delivery, t.message, t.case, t.interchange, t.payload)


def site(keep: timedelta | None = KEEP) -> Any:
    return SimpleNamespace(routes=SimpleNamespace(retention=SimpleNamespace(payloads=keep)))


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    opened = Journal(tmp_path_factory.mktemp("journal"), "test")
    upgrade(opened.engine)
    yield opened
    opened.close()


def clear_all(journal: Journal) -> None:
    with journal._write() as connection:
        for table in TABLES:
            connection.execute(delete(table))


# ---- random histories

hours = st.integers(0, 60 * 24)
shas = st.sampled_from(SHAS)
finals = st.sampled_from(["answered", "refused", "cancelled", "dead", "sent"])
deliveries = st.tuples(
    st.one_of(finals, st.sampled_from([s.value for s in DeliveryState])),
    st.booleans(),
    hours,
    st.none() | hours,
    shas,
    st.none() | shas,
    st.lists(hours, max_size=2),
)
message_states = st.one_of(st.sampled_from(["done", "routed"]), st.sampled_from([s.value for s in MessageState]))
messages = st.tuples(
    message_states,
    hours,
    shas,
    st.none() | shas,
    st.sampled_from(["", "", "x/one", "x/two"]),
    st.lists(deliveries, max_size=2),
)
states = st.one_of(st.just("opened"), st.sampled_from([s.value for s in InterchangeState]))
interchanges = st.tuples(states, hours, shas, st.lists(messages, max_size=2), st.lists(deliveries, max_size=1))
histories = st.tuples(
    st.lists(interchanges, min_size=1, max_size=6),
    st.fixed_dictionaries(
        {name: st.tuples(st.booleans(), hours, st.lists(messages, max_size=1)) for name in ("x/one", "x/two")}
    ),
    st.sets(st.integers(0, 40), max_size=2),  # which subjects wait
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=3),  # which message answers which delivery
)


class History:
    """Rows of a history, each with the times that it must have; payloads used when the last row began to refer."""

    def __init__(self, drawn: Any) -> None:
        came, cases, waits, answers = drawn
        self.rows: dict[Any, list[dict[str, Any]]] = {table: [] for table in TABLES}
        self.used: dict[str, datetime] = {}
        for number, (state, hour, sha, own, replies) in enumerate(came):
            id, at = f"I{number}", START + timedelta(hours=hour)
            self.rows[t.interchange].append(
                {
                    "id": id,
                    "endpoint": "e",
                    "party": "P",
                    "name": id,
                    "key": id,
                    "sha256": sha,
                    "size": 1,
                    "received_at": at,
                    "state": state,
                    "look_at": at,
                }
            )
            self.use(at, sha)
            for index, one in enumerate(own):
                self.message(f"{id}.{index}", id, at, one)
            for index, one in enumerate(replies):
                self.delivery(f"{id}-{index}", id, at, one)
        named = {row["case"] for row in self.rows[t.message]} - {""}
        for name in sorted(named):
            closed, hour, made = cases[name]
            begun = max(row["at"] for row in self.rows[t.message] if row["case"] == name)
            end = begun + timedelta(hours=hour)
            self.rows[t.case].append(
                {
                    "id": name,
                    "system": "x",
                    "sender": "P",
                    "state": "closed" if closed else "open",
                    "stages": {},
                    "opened_at": begun,
                    "closed_at": end if closed else None,
                }
            )
            for index, (state, hour, sha, canonical, _, sent) in enumerate(made):
                self.message(f"C{name}{index}", "", begun, (state, hour, sha, canonical, name, sent))
        every = [row["id"] for table in (t.interchange, t.message, t.delivery, t.case) for row in self.rows[table]]
        for number in sorted(waits):
            if number < len(every):
                self.rows[t.waiting].append(
                    {
                        "subject": every[number],
                        "what": "x",
                        "code": "x",
                        "detail": "",
                        "owner": "x",
                        "since": START,
                        "due_at": START,
                    }
                )
        incoming = [row for row in self.rows[t.message] if row["interchange"]]
        for message, delivery in answers:
            if message < len(incoming) and delivery < len(self.rows[t.delivery]):
                self.receipt(incoming[message], self.rows[t.delivery][delivery]["id"])

    def use(self, at: datetime, *hashes: str | None) -> None:
        for sha in hashes:
            if sha:
                self.used[sha] = max(at, self.used.get(sha, at))

    def message(self, id: str, interchange: str, begun: datetime, drawn: Any) -> None:
        state, hour, sha, canonical, case, sent = drawn
        at = begun + timedelta(hours=hour)
        self.rows[t.message].append(
            {
                "id": id,
                "interchange": interchange,
                "kind": "k",
                "system": "x",
                "sender": "P",
                "reference": "",
                "keys": {},
                "document": "",
                "function": "",
                "payload": sha,
                "canonical": canonical or "",
                "canonical_kind": "",
                "state": state,
                "case": case,
                "at": at,
            }
        )
        self.use(at, sha, canonical)
        for index, one in enumerate(sent):
            self.delivery(f"{id}-{index}", id, at, one)

    def delivery(self, id: str, message: str, begun: datetime, drawn: Any) -> None:
        state, owed, hour, sent, sha, signature, receipts = drawn
        at = begun + timedelta(hours=hour)
        self.rows[t.delivery].append(
            {
                "id": id,
                "message": message,
                "party": "Q",
                "endpoint": "e",
                "kind": "k",
                "name": id,
                "payload": sha,
                "signature": signature or "",
                "folder": "inbound",
                "state": state,
                "order_key": "",
                "next_at": at,
                "give_up_at": at,
                "awaits": "business" if owed else "",
                "at": at,
                "sent_at": None if sent is None else at + timedelta(hours=sent),
            }
        )
        self.use(at, sha, signature)
        for index, hour in enumerate(receipts):
            self.rows[t.receipt].append(
                {
                    "id": f"{id}r{index}",
                    "message": "",
                    "delivery": id,
                    "party": "Q",
                    "level": "business",
                    "state": "matched",
                    "number": "",
                    "reasons": [],
                    "at": at + timedelta(hours=hour),
                }
            )

    def receipt(self, message: dict[str, Any], delivery: str) -> None:
        row = {
            "id": f"{message['id']}>{delivery}",
            "message": message["id"],
            "delivery": delivery,
            "party": "Q",
            "level": "business",
            "state": "matched",
            "number": "",
            "reasons": [],
            "at": message["at"],
        }
        if all(had["id"] != row["id"] for had in self.rows[t.receipt]):
            self.rows[t.receipt].append(row)

    def write(self, journal: Journal) -> None:
        clear_all(journal)
        with journal._write() as connection:
            for table, rows in self.rows.items():
                if rows:
                    connection.execute(insert(table), rows)
            given = [{"sha256": sha, "size": 1, "data": b"x", "used_at": at} for sha, at in self.used.items()]
            connection.execute(insert(t.payload), given)

    # what must hold, said row by row and without families

    def open_rows(self, before: datetime) -> set[str]:
        """Ids of interchanges, messages and deliveries that are not final, or not older than agreed."""
        waits = {row["subject"] for row in self.rows[t.waiting]}
        cases = {row["id"]: row for row in self.rows[t.case]}
        found = set(waits)
        for row in self.rows[t.delivery]:
            handed = row["state"] in ("sent", "receipted", "acknowledged") and not row["awaits"]
            said = [r["at"] for r in self.rows[t.receipt] if r["delivery"] == row["id"]]
            times = [row["at"], row["sent_at"] or row["at"], *said]
            if max(times) > before or not (handed or row["state"] in ("answered", "refused", "dead", "cancelled")):
                found.add(row["id"])
        for row in self.rows[t.message]:
            case = cases.get(row["case"])
            pending = case is not None and (
                case["state"] == "open" or case["closed_at"] > before or case["id"] in waits
            )
            mine = [d["id"] for d in self.rows[t.delivery] if d["message"] == row["id"]]
            answers = [r["delivery"] for r in self.rows[t.receipt] if r["message"] == row["id"]]
            undecided = row["state"] == "routed" and case is None and not mine
            if (
                row["state"] in ("held", "released")
                or row["at"] > before
                or pending
                or undecided
                or any(id in found for id in mine)
                or any(self._undone(id) for id in answers)
            ):
                found.add(row["id"])
        for row in self.rows[t.interchange]:
            mine = [m["id"] for m in self.rows[t.message] if m["interchange"] == row["id"]]
            mine += [d["id"] for d in self.rows[t.delivery] if d["message"] == row["id"]]
            over = row["state"] in ("opened", "split", "rejected", "duplicate") and row["received_at"] <= before
            if not over or any(id in found for id in mine):
                found.add(row["id"])
        return found

    def _undone(self, id: str) -> bool:
        [row] = [d for d in self.rows[t.delivery] if d["id"] == id]
        handed = row["state"] in ("sent", "receipted", "acknowledged") and not row["awaits"]
        return not handed and row["state"] not in ("answered", "refused", "dead", "cancelled")

    def needed(self, before: datetime) -> set[str]:
        """Payloads that some open row refers to."""
        kept = self.open_rows(before)
        columns = [
            (t.interchange, ("sha256",)),
            (t.message, ("payload", "canonical")),
            (t.delivery, ("payload", "signature")),
        ]
        return {row[c] for table, names in columns for row in self.rows[table] if row["id"] in kept for c in names} - {
            ""
        }


def removed(journal: Journal) -> set[str]:
    return {
        row["sha256"] for row in journal.rows(select(t.payload.c.sha256).where(t.payload.c.removed_at.is_not(None)))
    }


many = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@many
@given(drawn=histories, days=st.lists(st.integers(0, 200), min_size=1, max_size=4), some=st.sampled_from([1, 200]))
def test_nothing_that_is_open_or_younger_than_agreed_ever_goes(
    journal: Journal, drawn: Any, days: list[int], some: int
) -> None:
    history = History(drawn)
    history.write(journal)
    for day in sorted(days):
        now = START + day * DAY
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(retention, "BATCH", some)
            patch.setattr(retention, "ROUNDS", 2)
            retention.clear(site(), journal, now)
        assert not removed(journal) & history.needed(now - KEEP)


@many
@given(drawn=histories, days=st.lists(st.integers(0, 200), max_size=3))
def test_everything_goes_when_all_of_it_is_over(journal: Journal, drawn: Any, days: list[int]) -> None:
    history = History(drawn)
    history.write(journal)
    for day in sorted(days):
        retention.clear(site(), journal, START + day * DAY)
    with journal._write() as connection:
        connection.execute(delete(t.waiting))
        connection.execute(update(t.interchange).values(state="opened"))
        connection.execute(update(t.message).values(state="done"))
        connection.execute(update(t.delivery).values(state="answered"))
        connection.execute(update(t.case).values(state="closed", closed_at=START))
    for extra in range(3):
        retention.clear(site(), journal, START + (1000 + 2 * extra) * DAY)
    assert removed(journal) == history.used.keys()


# ---- what it is for others


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path, "test")
    upgrade(opened.engine)
    yield opened
    opened.close()


def taken_in(journal: Journal, data: bytes, at: datetime, name: str = "a") -> str:
    stored = journal.spool.store([data], 10**7)
    [id] = journal.accept_all([(Interchange(name, "e", "P", name, name, stored.sha256, len(data), at), stored)], at)
    with journal._write() as connection:
        connection.execute(update(t.interchange).where(t.interchange.c.id == id).values(state="rejected"))
    return stored.sha256


def test_without_a_time_nothing_ever_goes(own: Journal) -> None:
    sha = taken_in(own, b"x", START)
    assert retention.clear(site(None), own, START + 10_000 * DAY) == 0
    assert own.payload(sha) == b"x"


def test_bytes_that_are_gone_are_told_of_and_may_come_again(own: Journal) -> None:
    sha, now = taken_in(own, b"once", START), START + 31 * DAY
    assert retention.clear(site(), own, now) == 4
    with pytest.raises(Gone, match="was kept until 2026-02-01") as gone:
        own.payload(sha)
    assert gone.value.finding().code == "journal.removed"
    outcome = Outcome()
    outcome.use(sha)
    outcome.event("x", "y")
    with pytest.raises(Stale):
        own.commit([outcome], now)
    taken_in(own, b"once", now, "b")
    assert own.payload(sha) == b"once"
    assert retention.clear(site(), own, now + DAY) == 0
    events = own.rows(select(t.event.c.detail).where(t.event.c.subject == "retention"))
    assert [row["detail"]["payloads"] for row in events] == [1]


def test_the_file_of_a_removed_payload_goes_and_one_that_is_needed_stays(own: Journal) -> None:
    big = {n: bytes([n]) * 300_000 for n in (1, 2, 3)}
    shas = {n: taken_in(own, data, START + (40 * DAY if n == 2 else 0 * DAY), str(n)) for n, data in big.items()}
    now = START + 45 * DAY
    retention.clear(site(), own, now)
    stray = own.spool.folder / ".in-crashed"
    stray.write_bytes(b"half")
    fresh = own.spool.folder / ".in-fresh"
    fresh.write_bytes(b"half")
    for path in (stray, own.spool.path(shas[1]), own.spool.path(shas[2])):
        then = (now - 2 * DAY).timestamp()
        os.utime(path, (then, then))
    os.utime(own.spool.path(shas[3]), (now.timestamp(), now.timestamp()))  # as if it were just stored anew
    os.utime(fresh, (now.timestamp(), now.timestamp()))
    gone = sum(retention.collect(own, now + timedelta(minutes=turn)) for turn in range(256))
    assert gone == 2
    assert not stray.exists() and fresh.exists()
    assert [own.spool.path(shas[n]).exists() for n in (1, 2, 3)] == [False, True, True]
    assert own.payload(shas[2]) == big[2]


def test_a_round_with_nothing_to_do_reads_by_index(own: Journal) -> None:
    with own._write() as connection:
        row = {"endpoint": "e", "party": "P", "name": "n", "sha256": "x", "size": 1, "state": "opened"}
        came = [row | {"id": f"I{n}", "key": str(n), "received_at": START, "look_at": START} for n in range(500)]
        connection.execute(insert(t.interchange), came)
    said: list[str] = []
    event.listen(own.engine, "before_cursor_execute", lambda *call: said.append(call[2]))
    retention.clear(site(), own, START + DAY)
    assert {words.split()[0] for words in said} == {"BEGIN", "SELECT"}
    assert len([words for words in said if words != "BEGIN"]) == 3
    with own.engine.connect() as connection:
        for column, table in (("look_at", "interchange"), ("used_at", "payload")):
            query = f"EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {column} < '2026' ORDER BY {column} LIMIT 5"
            plan = " ".join(row[3] for row in connection.exec_driver_sql(query))
            assert "INDEX" in plan and "TEMP B-TREE" not in plan
        kept = "EXPLAIN QUERY PLAN SELECT id FROM interchange WHERE interchange.look_at > interchange.received_at"
        assert "interchange_kept" in " ".join(row[3] for row in connection.exec_driver_sql(kept))
