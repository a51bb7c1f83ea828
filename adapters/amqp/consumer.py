"""Taking from a queue: the broker hands out ahead, the hub acknowledges after its commit."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapters import names
from adapters.amqp.link import Link, Step, declaring
from adapters.amqp.options import Options, queues
from hub.contract import Arrival
from hub.errors import AdapterError, Unreachable

if TYPE_CHECKING:
    import pika

CHUNK = 256 * 1024
#: Longest that one look at a queue takes, also while the broker is out of reach: other sources wait for it.
LOOK = 0.25
#: Seconds of rest after a connection that failed.
REST = 1.0
#: Seconds between two looks at the dead-letter queues.
LOOK_AT_DEAD = 10.0

LOG = logging.getLogger("eport.amqp")


@dataclass(slots=True)
class _Held:
    """A message that the broker has handed out: the bytes that will be read, and every delivery of it."""

    arrival: Arrival
    data: bytes
    tags: list[int] = field(default_factory=list)


class AmqpInlet:
    """A queue as a source. What was handed out stays in memory until it is settled or the connection is lost; then the
    broker hands it out again, under the same key."""

    def __init__(self, options: Options, parameters: pika.ConnectionParameters, get: str) -> None:
        self._options = options
        self._queue = get
        self._link = Link(parameters, options.timeout, self._prepare)
        self._held: dict[str, _Held] = {}
        self._rest_until = 0.0
        self._why: AdapterError | None = None
        self._declared = _declared(get, options)
        self._dead: dict[str, int] = {}
        self._dead_at = 0.0

    def _prepare(self, channel: Any) -> list[Step]:
        self._held.clear()
        self._dead_at = time.monotonic()
        channel.add_on_cancel_callback(self._on_cancel)
        return [
            *(declaring(channel, name, arguments, self._on_declared) for name, arguments in self._declared.items()),
            lambda done: channel.basic_qos(prefetch_count=self._options.prefetch, callback=done),
            lambda done: channel.basic_consume(self._queue, self._on_message, callback=done),
        ]

    def collect(self, limit: int) -> Sequence[Arrival]:
        """What the broker has handed out, in that order."""
        if self._why is not None and time.monotonic() < self._rest_until:
            raise type(self._why)(str(self._why))
        self._why = None
        try:
            if not self._link.open(LOOK):
                raise Unreachable(f"{self._link.where}: still connecting")
            self._count_dead()
            self._link.drain(lambda: len(self._held) >= limit, LOOK)
            if self._link.fault is not None:
                raise self._link.fault
        except AdapterError as fault:
            self._held.clear()
            if not self._link.opening:
                self._why, self._rest_until = fault, time.monotonic() + REST
            raise
        return [held.arrival for held in self._held.values()][:limit]

    def read(self, arrival: Arrival) -> Iterator[bytes]:
        """Chunks of 256 KiB, at most max_size + 1 bytes in all. Raises Unreachable when it is not held any more."""
        held = self._held.get(arrival.key)
        if held is None:
            raise Unreachable(f"{arrival.key} was settled, or goes back to the queue with its connection")
        for start in range(0, len(held.data), CHUNK):
            yield held.data[start : start + CHUNK]

    def settle(self, arrival: Arrival) -> None:
        """Acknowledge it. After a lost connection there is nothing to do: it comes again and is known by its key.

        One that is too large is rejected instead, so that a queue with a dead-letter queue keeps it there whole."""
        held = self._held.pop(arrival.key, None)
        if held is None or not self._link.ready:
            return
        for tag in held.tags:
            if arrival.size > self._options.max_size:
                self._link.channel.basic_reject(tag, requeue=False)
            else:
                self._link.channel.basic_ack(tag)
        self._link.wait(lambda: False, 0)

    def left(self) -> str:
        """How many messages wait in the dead-letter queues of what is declared, both ways; a little old."""
        return ", ".join(f"{count} in the queue {name}" for name, count in sorted(self._dead.items()) if count)

    def close(self) -> None:
        """End the connection; what was not settled goes back to its queue."""
        self._link.close()
        self._held.clear()

    def _on_message(self, _: Any, method: Any, properties: Any, body: bytes) -> None:
        arrival = Arrival(key(properties, body), _name(properties), len(body))
        held = self._held.setdefault(arrival.key, _Held(arrival, body[: self._options.max_size + 1]))
        held.tags.append(method.delivery_tag)

    def _on_cancel(self, _: Any) -> None:
        self._link.fail(Unreachable(f"{self._link.where}: the queue {self._queue} was deleted"))

    def _count_dead(self) -> None:
        """Ask now and then; the answers come with a later look. Declaring what is there changes nothing."""
        if time.monotonic() - self._dead_at < LOOK_AT_DEAD:
            return
        self._dead_at = time.monotonic()
        for name in self._dead:
            declaring(self._link.channel, name, self._declared[name], self._on_declared)(lambda: None)

    def _on_declared(self, frame: Any) -> None:
        name, count = frame.method.queue, frame.method.message_count
        if "x-dead-letter-routing-key" in self._declared[name]:
            return
        if count > self._dead.get(name, 0):
            LOG.warning("%s messages wait in the dead-letter queue %s", count, name)
        self._dead[name] = count


def _declared(get: str, options: Options) -> dict[str, dict[str, Any]]:
    """Name and arguments of every queue that the hub makes itself, of both ways."""
    ways = [get] if options.exchange or not options.put else [get, options.put]
    return dict(one for way in ways for one in queues(way, options)) if options.declare else {}


def key(properties: Any, body: bytes) -> str:
    """What identifies a message however often it is delivered: the sender's message id and the hash of the bytes.

    An id that comes again with other bytes is thus another arrival, not a lost one. Without an id all that the sender
    gave is hashed; who sends the same bytes twice on purpose has to give an id, or a timestamp."""
    digest = hashlib.sha256(body)
    if properties.message_id:
        return f"{properties.message_id}:{digest.hexdigest()[:32]}"
    # What begins with x- is written by the broker, and differs between deliveries.
    headers = sorted((str(name), repr(value)) for name, value in (properties.headers or {}).items())
    own = [header for header in headers if not header[0].startswith("x-")]
    given = (properties.app_id, properties.type, properties.correlation_id, properties.timestamp, own)
    digest.update(repr(given).encode())
    return f"unnamed:{digest.hexdigest()}"


def _name(properties: Any) -> str:
    """The sender's name for it: Eport-Name, else its message id, where that can be a name."""
    offered = ((properties.headers or {}).get("Eport-Name"), properties.message_id)
    return next((name for name in offered if isinstance(name, str) and names.safe(name)), "message")
