"""Who waits is woken by whoever makes work, and by nobody else; without the bell he still looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from hub.journal import bell
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.schema import upgrade
from hub.message import Interchange, new_id

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@contextmanager
def journals(folder: Path) -> Iterator[tuple[Journal, Journal]]:
    """One who rings and one who waits, who listens already."""
    ringer, waiter = Journal(folder / "spool", "ringer"), Journal(folder / "spool", "waiter")
    upgrade(ringer.engine)
    try:
        yield ringer, waiter
    finally:
        ringer.close()
        waiter.close()


def waited(waiter: Journal, role: str) -> float:
    """Seconds until the waiter was woken."""
    began = time.monotonic()
    waiter.bell.wait(threading.Event(), role)
    return time.monotonic() - began


def accept(journal: Journal) -> None:
    stored = journal.spool.store([b"x"], 10)
    journal.accept_all([(Interchange(new_id(NOW), "e", "P", "a", new_id(NOW), stored.sha256, 1, NOW), stored)], NOW)


def delivery(number: int, state: str) -> Outcome:
    outcome = Outcome()
    outcome.add(
        "delivery", id=f"D{number}", message="M.1", party="X", endpoint="e", kind="k", name="n", payload="p",
        folder="inbound", state=state, order_key="", next_at=NOW, give_up_at=NOW + timedelta(days=1), at=NOW,
    )  # fmt: skip
    return outcome


@postgresql
def test_work_wakes_the_role_that_has_it_and_no_other(tmp_path: Path, database: str) -> None:
    with journals(tmp_path) as (ringer, worker):
        waited(worker, "worker")  # listens from now on
        accept(ringer)
        assert waited(worker, "worker") < bell.LOOK / 2
        ringer.commit([delivery(1, "pending")], NOW)
        assert waited(worker, "worker") >= bell.LOOK
        courier = Journal(tmp_path / "spool", "courier")
        waited(courier, "courier")
        ringer.commit([delivery(2, "pending")], NOW)
        assert waited(courier, "courier") < bell.LOOK / 2
        courier.close()


@postgresql
def test_what_was_rolled_back_rings_nobody(tmp_path: Path, database: str) -> None:
    with journals(tmp_path) as (ringer, waiter):
        waited(waiter, "courier")
        with ringer.engine.connect() as connection, connection.begin() as transaction:
            ringer.bell.ring(connection, ["courier"])
            transaction.rollback()
        assert waited(waiter, "courier") >= bell.LOOK


@postgresql
def test_a_bell_whose_connection_dies_looks_often_and_listens_again(tmp_path: Path, database: str) -> None:
    with journals(tmp_path) as (ringer, waiter):
        waited(waiter, "worker")
        with ringer.engine.connect() as connection:
            listening = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN eport_worker'"
            assert connection.execute(text(listening)).scalars().all() == [True]
        assert waited(waiter, "worker") < bell.LOOK  # it notices, and looks
        waited(waiter, "worker")
        accept(ringer)
        assert waited(waiter, "worker") < bell.LOOK / 2


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_whoever_waits_sees_that_he_is_told_to_stop(tmp_path: Path, database: str) -> None:
    with journals(tmp_path) as (_, waiter):
        waited(waiter, "worker")
        stop = threading.Event()
        threading.Timer(0.02, stop.set).start()
        began = time.monotonic()
        assert waiter.bell.wait(stop, "worker")
        assert time.monotonic() - began < bell.LOOK / 2


def test_who_is_woken_by_what() -> None:
    outcome = delivery(1, "pending")
    outcome.move("port_case", "c", (), ripe=True)
    assert bell.wakes(outcome.changes) == {"courier", "worker"}
    told = Outcome()
    told.move("delivery", "D1", ("sending",), state="sent")
    told.event("D1", "sent")
    assert bell.wakes(told.changes) == set()
