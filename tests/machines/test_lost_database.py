"""A process that loses PostgreSQL has lost its claims: it ends loudly, and its work goes to another, once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from hub import courier
from hub.contract import Handover, Known, Parcel
from hub.errors import JournalError, Lost, Stale
from hub.journal import engines
from hub.journal import tables as t
from hub.journal.changes import MINE, Outcome
from hub.journal.journal import Journal
from hub.journal.schema import upgrade
from hub.message import Interchange, new_id
from hub.prove import checker
from hub.prove.port import Port
from hub.site.model import Endpoint
from tests import postgresql

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@pytest.fixture
def journals(tmp_path: Path, database: str) -> Iterator[tuple[Journal, Journal]]:
    """The journals of two machines."""
    two = Journal(tmp_path / "one", "worker-1"), Journal(tmp_path / "two", "worker-2")
    upgrade(two[0].engine)
    yield two
    for journal in two:
        journal.close()


def cut(journal: Journal, by: Journal) -> None:
    """End the session that holds a journal's locks, as an administrator or a firewall may; its other ones live on."""
    pid = journal.locks._session.connection.driver_connection.info.backend_pid  # type: ignore[attr-defined]
    with by.engine.connect() as connection:
        assert connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid}).scalar_one()


def received(journal: Journal, key: str) -> None:
    stored = journal.spool.store([b"x"], 10)
    journal.accept_all([(Interchange(new_id(NOW), "e", "P", "a", key, stored.sha256, 1, NOW), stored)], NOW)


def opened(id: str) -> Outcome:
    outcome = Outcome()
    outcome.move("interchange", id, ("received",), {"holder": MINE}, state="opened", holder=None)
    return outcome


def pending(journal: Journal, count: int) -> None:
    outcome = Outcome()
    for number in range(count):
        sha = outcome.keep(b"parcel %d" % number)
        outcome.add(
            "delivery", id=f"D{number}", message="M.1", party="X", endpoint="e", kind="k", name=f"n{number}",
            payload=sha, folder="inbound", state="pending", order_key="", next_at=NOW, give_up_at=NOW, at=NOW,
        )  # fmt: skip
    journal.commit([outcome], NOW)


def test_locks_go_with_their_session_and_its_process_is_told(journals: tuple[Journal, Journal]) -> None:
    first, second = journals
    assert first.locks.hold("clock") and not second.locks.hold("clock")
    first.locks.sure()
    cut(first, second)
    assert second.locks.hold("clock")
    for ask in (lambda: first.locks.hold("clock"), first.locks.sure, lambda: first.locks.held("other")):
        with pytest.raises(JournalError, match="another one may go on"):
            ask()


def test_a_worker_that_lost_its_claim_commits_nothing(journals: tuple[Journal, Journal]) -> None:
    first, second = journals
    received(first, "one")
    [mine] = first.claim_interchanges(10)
    cut(first, second)
    assert second.take_back() == 1
    with pytest.raises(Stale):
        first.commit([opened(mine.id)], NOW)
    [theirs] = second.claim_interchanges(10)
    with pytest.raises(Stale):
        first.commit([opened(mine.id)], NOW)
    second.commit([opened(theirs.id)], NOW)
    received(second, "two")
    with pytest.raises(JournalError):
        first.claim_interchanges(10)


class Slow:
    """An outlet that can be asked, whose first handover takes until it is told to go on."""

    money_safe = True

    def __init__(self) -> None:
        self.there: dict[str, bytes] = {}
        self.handed: list[str] = []
        self.under_way, self.go_on = threading.Event(), threading.Event()

    def send(self, parcels: list[Parcel]) -> Iterator[Handover]:
        for parcel in parcels:
            self.under_way.set()
            assert self.go_on.wait(30)
            if parcel.name not in self.there:  # a name that is taken is refused, as folders and SFTP do
                self.there[parcel.name] = parcel.data
                self.handed.append(parcel.name)
            yield Handover(parcel.delivery, Known.DONE, "it is there")

    def probe(self, parcels: list[Parcel]) -> Iterator[Handover]:
        for parcel in parcels:
            yield Handover(parcel.delivery, Known.DONE if parcel.name in self.there else Known.NOT_DONE)

    def close(self) -> None: ...


def test_a_courier_cut_off_from_the_database_and_not_from_the_endpoint_hands_over_nothing_twice(
    journals: tuple[Journal, Journal],
) -> None:
    """SENDING was committed before the first courier began; the second asks the endpoint before it sends, and sends
    under the same name, so one of the two finds it taken."""
    first, second = journals
    pending(first, 3)
    outlet, rule = Slow(), Endpoint(adapter="memory")
    assert first.locks.hold("endpoint-e")
    sending = threading.Thread(target=courier.send, args=(first, outlet, "e", rule, NOW))
    sending.start()
    assert outlet.under_way.wait(30)
    cut(first, second)
    assert second.locks.hold("endpoint-e")
    courier.resolve(second, outlet, "e", rule, NOW)  # nothing is there yet
    later = NOW + rule.retry.longest
    outlet.go_on.set()
    courier.send(second, outlet, "e", rule, later)
    sending.join()
    assert sorted(outlet.handed) == ["n0", "n1", "n2"]
    assert {row["state"] for row in second.rows(select(t.delivery.c.state))} == {"sent"}


@pytest.mark.slow
def test_a_hub_whose_database_dies_and_comes_back_goes_on_and_loses_nothing(tmp_path: Path, database: str) -> None:
    with postgresql.own_server() as server:
        server.create("hub")
        port = Port(tmp_path / "port", 1, database=f"{server.url}/hub")
        port.may_fall = True
        try:
            port.open()
            port.run(3)
            server.stop("immediate")
            began = time.monotonic()
            port.run(30, lambda: len(port.ended) >= 4, loaded=False)
            assert len(port.ended) >= 4, "a role did not notice"
            assert time.monotonic() - began < 15
            server.start()
            sent = port.sent
            port.run(20, lambda: port.sent > sent + 5)
            assert port.rest() == []
            assert checker.check(port.ground()) == []
        finally:
            port.close()


def test_what_was_worked_on_when_the_database_went_away_is_not_to_blame(journals: tuple[Journal, Journal]) -> None:
    """Six failures of the database in a row, and no interchange counts as one that breaks workers."""
    one, two = journals
    received(two, "a")
    for _ in range(6):
        worker = Journal(one.spool.folder.parent, f"worker-{new_id(NOW)}")
        [claimed] = worker.claim_interchanges(10)
        assert claimed.tries == 1
        cut(worker, two)
        with pytest.raises(Lost) as lost:
            worker.locks.sure()
        assert engines.failed(lost.value)
        worker.forgive()
        worker.close()
        two.take_back()


def test_everything_that_a_round_tried_is_forgiven_and_nothing_that_is_done(journals: tuple[Journal, Journal]) -> None:
    one, _ = journals
    d = t.delivery
    pending(one, 3)
    with one.engine.begin() as connection:
        connection.execute(update(d).where(d.c.id != "D2").values(state="released"))
    for id in ("D0", "D1", "D2"):
        assert one.count_try(d, id) == 1
    one.forgive()
    assert {row["id"]: row["tries"] for row in one.rows(select(d.c.id, d.c.tries))} == {"D0": 0, "D1": 0, "D2": 1}


def test_only_a_database_that_went_away_is_forgiven(journals: tuple[Journal, Journal]) -> None:
    one, two = journals
    with one.engine.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with two.engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        with pytest.raises(DBAPIError) as gone:
            connection.execute(text("SELECT 1"))
    assert engines.failed(gone.value)
    with two.engine.connect() as connection, pytest.raises(DBAPIError) as wrong:
        connection.execute(text("SELECT 1 / 0"))
    assert not engines.failed(wrong.value)
