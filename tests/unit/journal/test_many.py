"""Many processes on one journal: nothing is claimed twice, no number is given twice, no message stays open for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from hub.errors import Stale
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.schema import upgrade
from hub.message import Interchange, new_id

BOTH = True
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def together(count: int, work: Callable[[int], None]) -> None:
    """Run `work` in so many threads that start at once; the first fault of any is raised here."""
    gate, faults = threading.Barrier(count), []

    def run(number: int) -> None:
        gate.wait()
        try:
            work(number)
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def several(folder: Path, count: int) -> list[Journal]:
    journals = [Journal(folder / "spool", f"process-{number}") for number in range(count)]
    upgrade(journals[0].engine)
    return journals


def close(journals: list[Journal]) -> None:
    for journal in journals:
        journal.close()


def test_an_interchange_is_claimed_by_one_process_only(tmp_path: Path, database: str) -> None:
    journals = several(tmp_path, 4)
    stored = journals[0].spool.store([b"x"], 10)
    arrivals = [
        (Interchange(new_id(NOW), "e", f"P{n % 8}", "a", f"k{n}", stored.sha256, 1, NOW), stored) for n in range(120)
    ]
    journals[0].accept_all(arrivals, NOW)
    claimed: list[list[str]] = [[] for _ in journals]

    def work(number: int) -> None:
        claimed[number] += [one.id for one in journals[number].claim_interchanges(10)]

    together(4, work)
    everything = [id for some in claimed for id in some]
    assert len(everything) == len(set(everything)) >= 10
    close(journals)


def test_one_arrival_taken_in_by_two_gates_at_once_is_one_interchange(tmp_path: Path, database: str) -> None:
    journals = several(tmp_path, 4)
    stored = journals[0].spool.store([b"x"], 10)

    def work(number: int) -> None:
        one = Interchange(new_id(NOW), "e", "P", "a", "same key", stored.sha256, 1, NOW)
        journals[number].accept_all([(one, stored)], NOW)

    together(4, work)
    assert len(journals[0].rows(select(t.interchange))) == 1
    close(journals)


def test_processes_at_once_are_given_different_numbers(tmp_path: Path, database: str) -> None:
    journals = several(tmp_path, 4)
    given: list[int] = []

    def work(number: int) -> None:
        for _ in range(10):
            given.extend(journals[number].numbers("reference", 3))

    together(4, work)
    assert sorted(given) == list(range(1, 121))
    close(journals)


def test_a_message_whose_last_deliveries_rest_in_two_commits_at_once_is_done(tmp_path: Path, database: str) -> None:
    journals = several(tmp_path, 2)
    seed = Outcome()
    for number in range(20):
        seed.add(
            "message", id=f"M{number}.1", interchange="M", kind="k", system="s", sender="B", reference="1", keys={},
            document="", function="original", payload="p", canonical_kind="", canonical="", state="routed", at=NOW,
        )  # fmt: skip
        for party in range(2):
            seed.add(
                "delivery", id=f"D{number}-{party}", message=f"M{number}.1", party="X", endpoint="e", kind="k",
                name="n", payload="p", folder="inbound", state="sending", order_key="", next_at=NOW,
                give_up_at=NOW + timedelta(days=1), at=NOW,
            )  # fmt: skip
    journals[0].commit([seed], NOW)

    def work(party: int) -> None:
        for number in range(20):
            outcome = Outcome()
            outcome.move("delivery", f"D{number}-{party}", ("sending",), state="sent")
            journals[party].commit([outcome], NOW)

    together(2, work)
    assert {row["state"] for row in journals[0].rows(select(t.message.c.state))} == {"done"}
    close(journals)


def test_what_relied_on_nothing_being_there_does_not_pass_what_is_added_meanwhile(
    tmp_path: Path, database: str
) -> None:
    journals = several(tmp_path, 2)
    passed: list[str] = []
    match = {"sender": "B", "kind": "k", "document": "1", "state": ("routed", "done")}

    def work(number: int) -> None:
        outcome = Outcome()
        id = f"M{number}.1"
        if number == 0:
            outcome.relied_on_none("message", **match)
        outcome.add(
            "message", id=id, interchange="M", kind="k", system="s", sender="B", reference="1", keys={}, document="1",
            function="original", payload="p", canonical_kind="", canonical="", at=NOW,
            state="held" if number == 0 else "routed",
        )  # fmt: skip
        try:
            journals[number].commit([outcome], NOW)
            passed.append(id)
        except Stale:
            return

    together(2, work)
    order = [row["subject"] for row in journals[0].rows(select(t.event).order_by(t.event.c.seq))]
    assert "M1.1" in passed and order == []  # a plain row is no event
    held = journals[0].row(select(t.message).where(t.message.c.id == "M0.1"))
    assert (held is not None) == ("M0.1" in passed)
    again = Outcome()
    again.relied_on_none("message", **match)
    again.event("x", "must not be")
    try:
        journals[0].commit([again], NOW)
        raise AssertionError("the row is there")
    except Stale:
        pass
    close(journals)
