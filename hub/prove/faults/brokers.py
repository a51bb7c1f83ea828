"""F9: the RabbitMQ between the hub and CUSTOMS is killed, drops its connections, has no memory, or is stopped. On a
node of its own that starts with the row."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec

from hub.prove import rabbitmq
from hub.prove.faults.row import Row, Run, reached
from hub.prove.port import Port

Trouble = Callable[[Run, Port, rabbitmq.Node], None]


def needs() -> str:
    if find_spec("pika") is None:
        return "needs the extra: pip install 'eport-hub[amqp]'"
    return "" if rabbitmq.there() else "needs a RabbitMQ server (Debian: rabbitmq-server)"


def killed(run: Run, port: Port, node: rabbitmq.Node) -> None:
    """The node loses power and comes back with what it had written."""
    node.grow_old()
    node.kill()
    port.run(run.random.uniform(0.2, 1.5))
    node.start()


def dropped(run: Run, port: Port, node: rabbitmq.Node) -> None:
    """Every connection is closed by an administrator."""
    node.ctl("close_all_connections", "a proof")


def alarmed(run: Run, port: Port, node: rabbitmq.Node) -> None:
    """The node blocks who publishes."""
    with node.alarm():
        port.run(run.random.uniform(1.0, 3.0))


def stopped(run: Run, port: Port, node: rabbitmq.Node) -> None:
    """The broker is stopped in order, and started."""
    node.ctl("stop_app")
    port.run(run.random.uniform(0.2, 1.5))
    node.ctl("start_app")


TROUBLES: tuple[Trouble, ...] = (dropped, killed, alarmed, stopped)


def troubles(run: Run) -> None:
    """All of them in turn, under load."""
    where = run.folder / "broker"
    where.mkdir(parents=True)
    with closing(rabbitmq.Node(where)) as node, run.port(wires=True, broker=node.url()) as port:
        port.run(run.patience, lambda: reached(port, "CUSTOMS") > 0)
        for number in range(run.wanted):
            TROUBLES[number % len(TROUBLES)](run, port, node)
            run.recovers(port)
            run.done()


ROWS = (Row("F9", "RabbitMQ dies, drops connections, blocks, is stopped", troubles, 40, 2, needs),)
