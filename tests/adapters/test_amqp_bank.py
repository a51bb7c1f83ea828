"""A party that executes orders, as a bank does: each once, by delivery id, whatever breaks between it and the hub.

The orders are manifests to customs; the amount of one is its number. What was executed stands in the party's own
database, written in one transaction per order, before the broker is told.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import timedelta
from itertools import count
from pathlib import Path

import pika
import pytest
from sqlalchemy import select

from adapters.amqp import consumer
from hub import courier
from hub.engine import gate
from hub.journal import tables as t
from hub.prove.load import Writer
from hub.tracing import held
from tests.adapters.rabbitmq import Broker, Proxy, proxy, until
from tests.adapters.test_amqp import by_queue, reads
from tests.journeys.conftest import Port

__all__ = ["proxy"]

#: The first test of a process may have to install and start the broker.
pytestmark = pytest.mark.timeout(420)

ORDERS = 12
NUMBERS = count(1)


class Bank:
    """Tellers at one queue, with one ledger. `faithless`: how often a teller loses its connection after it has executed
    an order, before it says so to the broker."""

    def __init__(self, broker: Broker, queue: str, ledger: Path) -> None:
        self.faithless = 0
        self._broker, self._queue, self._ledger = broker, queue, ledger
        self._stop = threading.Event()
        self._tellers: list[threading.Thread] = []
        with closing(self._open()) as database:
            database.execute("CREATE TABLE executed (id TEXT PRIMARY KEY, amount INTEGER NOT NULL)")
            database.execute("CREATE TABLE seen (id TEXT NOT NULL)")

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._ledger, isolation_level=None, timeout=20)
        database.execute("PRAGMA synchronous = FULL")
        return database

    def open(self, tellers: int = 1) -> None:
        self._tellers = [threading.Thread(target=self._work) for _ in range(tellers)]
        for teller in self._tellers:
            teller.start()

    def close(self) -> None:
        self._stop.set()
        for teller in self._tellers:
            teller.join(30)

    def _work(self) -> None:
        while not self._stop.is_set():
            with suppress(pika.exceptions.AMQPError), self._broker.channel() as channel:
                self._serve(channel)

    def _serve(self, channel: pika.adapters.blocking_connection.BlockingChannel) -> None:
        channel.basic_qos(prefetch_count=3)
        for method, properties, body in channel.consume(self._queue, inactivity_timeout=0.05):
            if method is None:
                if self._stop.is_set():
                    return
                continue
            order = re.search(rb"<ManifestNo>\D*([0-9]+)</ManifestNo>", body)
            if order is None:
                channel.basic_reject(method.delivery_tag, requeue=False)
                continue
            self._execute(properties.message_id, int(order[1]))
            if self.faithless:
                self.faithless -= 1
                return
            channel.basic_ack(method.delivery_tag)

    def _execute(self, id: str, amount: int) -> None:
        with closing(self._open()) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("INSERT INTO seen VALUES (?)", (id,))
            database.execute("INSERT OR IGNORE INTO executed VALUES (?, ?)", (id, amount))
            database.execute("COMMIT")

    def executed(self) -> dict[str, int]:
        with closing(self._open()) as database:
            return dict(database.execute("SELECT id, amount FROM executed"))

    def seen(self) -> int:
        with closing(self._open()) as database:
            return int(database.execute("SELECT count(*) FROM seen").fetchone()[0])


@pytest.fixture
def queue() -> str:
    return f"bank{next(NUMBERS)}"


@pytest.fixture
def port(tmp_path: Path, broker: Broker, proxy: Proxy, queue: str) -> Iterator[Port]:
    """A port that reaches its bank over a network that can be cut."""
    opened = Port(tmp_path)
    by_queue(opened, broker.url(port=proxy.port), queue, idempotent=True, timeout=5)
    until(lambda: reads(opened.inlets["customs"]))
    yield opened
    opened.close()


@pytest.fixture
def bank(port: Port, broker: Broker, queue: str, tmp_path: Path) -> Iterator[Bank]:
    opened = Bank(broker, f"{queue}.in", tmp_path / "ledger.db")
    yield opened
    opened.close()


def ordered(port: Port) -> dict[str, int]:
    """Delivery id -> amount, as the journal has it."""
    rows = port.journal.rows(select(t.delivery).where(t.delivery.c.endpoint == "customs"))
    found = {row["id"]: re.search(rb"<ManifestNo>\D*([0-9]+)", port.journal.payload(row["payload"])) for row in rows}
    return {id: int(order[1]) for id, order in found.items() if order}


def hand_over(port: Port, orders: int = ORDERS) -> None:
    """So many orders come in, and go out once."""
    writer = Writer(port.folder / "mappings", seed=5)
    for _ in range(orders):
        sent, data = writer.manifest()
        port.submit("tjline", sent.name, data)
    port.run()


def settle(port: Port) -> None:
    """Rounds of the courier, time passing, until the journal knows every order to be handed over."""
    rule, outlet = port.site.routes.endpoints["customs"], port.outlets["customs"]
    d = t.delivery
    assert outlet is not None

    def over() -> bool:
        port.now += timedelta(seconds=30)
        courier.resolve(port.journal, outlet, "customs", rule, port.now)
        courier.send(port.journal, outlet, "customs", rule, port.now)
        rows = port.journal.rows(select(d.c.state).where(d.c.endpoint == "customs"))
        return {row["state"] for row in rows} == {"sent"}

    until(over)


def each_once(port: Port, bank: Bank) -> bool:
    """Everything was executed, once: the sums agree, and so does every single order."""
    wanted, done = ordered(port), bank.executed()
    assert len(wanted) == ORDERS and done.keys() <= wanted.keys()
    return done == wanted and sum(done.values()) == sum(wanted.values())


def nothing(port: Port, proxy: Proxy, broker: Broker, bank: Bank) -> None:
    bank.open()


def confirm_lost(port: Port, proxy: Proxy, broker: Broker, bank: Bank) -> None:
    """The broker has the orders; what it says never comes."""
    proxy.at(40_000, lambda: (proxy.swallow(), threading.Timer(1, proxy.cut).start()))
    bank.open()


def broker_killed(port: Port, proxy: Proxy, broker: Broker, bank: Bank) -> None:
    broker.grow_old()
    proxy.at(40_000, broker.kill)


def teller_dies(port: Port, proxy: Proxy, broker: Broker, bank: Bank) -> None:
    bank.faithless = 4
    bank.open()


def two_tellers(port: Port, proxy: Proxy, broker: Broker, bank: Bank) -> None:
    """… and both lose their connections."""
    bank.faithless = 4
    bank.open(tellers=2)


Fault = Callable[[Port, Proxy, Broker, Bank], None]


@pytest.mark.parametrize("fault", [nothing, confirm_lost, broker_killed, teller_dies, two_tellers])
def test_every_order_is_executed_once(
    port: Port, proxy: Proxy, broker: Broker, bank: Bank, queue: str, fault: Fault
) -> None:
    fault(port, proxy, broker, bank)
    hand_over(port)
    if fault is broker_killed:
        broker.start()
        bank.open()
    settle(port)
    until(lambda: each_once(port, bank))
    until(lambda: broker.count(f"{queue}.in") == 0)
    bank.close()
    assert each_once(port, bank)
    if fault in (confirm_lost, teller_dies, two_tellers):
        assert bank.seen() > ORDERS, "nothing came twice: the fault did not happen"


def test_an_order_that_nobody_can_read_is_kept_and_shown_until_it_is_taken_away(
    port: Port, broker: Broker, bank: Bank, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "LOOK_AT_DEAD", 0.05)
    inlet, mine = port.inlets["customs"], gate.Source("customs")

    def shown() -> list[tuple[str, str, str]]:
        gate._take_and_tell(port.site, port.journal, inlet, {}, mine)
        return [(row["subject"], row["code"], row["detail"]) for row in held(port.journal)]

    bank.open()
    until(lambda: shown() == [])
    broker.put(f"{queue}.in", b"pay what you like", message_id="poison")
    until(lambda: shown() == [("source/customs", "source.left", f"1 in the queue {queue}.in.dead")])
    broker.put(f"{queue}.in", b"pay what you like", message_id="more")
    until(lambda: shown() == [("source/customs", "source.left", f"2 in the queue {queue}.in.dead")])
    assert [data for _, data in broker.take(f"{queue}.in.dead")] == [b"pay what you like"] * 2
    until(lambda: shown() == [])
    assert bank.executed() == {}
