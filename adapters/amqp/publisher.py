"""Publishing, and what is known afterwards."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from adapters.amqp.link import Link, Step, declaring
from adapters.amqp.options import Options, queues
from hub.contract import Handover, Known, Parcel
from hub.errors import AdapterError, Unreachable, Untrusted

if TYPE_CHECKING:
    import pika

#: Parcels, and bytes of them, that are under way at once. A parcel that is larger travels alone.
WINDOW = 100
WINDOW_BYTES = 4_000_000

_FRAME_OVERHEAD = 64

#: What a broker answers to the very message that it refuses (AMQP 0-9-1, 1.2 and rabbitmq.com/docs/channels).
_BY_CODE = {403: Known.NOT_DONE, 404: Known.NOT_DONE, 406: Known.REFUSED}


class AmqpOutlet:
    """A queue or an exchange as a destination."""

    def __init__(self, options: Options, parameters: pika.ConnectionParameters, put: str) -> None:
        self.money_safe = options.idempotent
        self._options = options
        self._exchange, self._key = options.exchange, put
        self._link = Link(parameters, options.timeout, self._prepare)
        self._proven = False
        self._last = 0.0
        self._published = 0
        self._under_way: dict[int, Parcel] = {}
        self._returned: dict[str, str] = {}
        self._told: dict[str, Handover] = {}

    def _prepare(self, channel: Any) -> list[Step]:
        self._proven, self._published = False, 0
        channel.add_on_return_callback(self._on_return)
        declared = queues(self._key, self._options) if self._options.declare and not self._exchange else []
        steps = [declaring(channel, name, arguments) for name, arguments in declared]
        return [*steps, lambda done: channel.confirm_delivery(self._on_confirm, callback=done)]

    def send(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        """Publish a window, wait for its confirms, tell; then the next. A fault that is not about the bytes ends it:
        what was not published yet is surely not done."""
        stopped = self._usable() if parcels else None
        for window in self._windows(parcels):
            stopped = stopped or (self._usable() if self._link.fault else None)
            if stopped is not None:
                known = Known.UNTRUSTED if isinstance(stopped, Untrusted) else Known.NOT_DONE
                yield from (Handover(parcel.delivery, known, f"not sent: {stopped}") for parcel in window)
                continue
            told = self._publish(window)
            if not any(one.known is Known.REFUSED for one in told):
                stopped = self._link.fault
            yield from told

    def probe(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        """A queue cannot be asked what it has had."""
        known, why = Known.UNKNOWN, "a queue cannot be asked"
        if self._options.idempotent:
            known, why = Known.NOT_DONE, "not asked: the same message id is safe to send again"
        return (Handover(parcel.delivery, known, why) for parcel in parcels)

    def close(self) -> None:
        """End the connection. A later send opens another."""
        self._link.close()

    def _windows(self, parcels: Sequence[Parcel]) -> Iterator[list[Parcel]]:
        """On a new channel the first parcel goes alone: what its exchange or our rights lack closes the channel, and
        with one under way it is known which one, and that it was not done."""
        window: list[Parcel] = []
        for parcel in parcels:
            full = len(window) >= (WINDOW if self._proven else 1)
            if window and (full or sum(len(one.data) for one in (*window, parcel)) > WINDOW_BYTES):
                yield window
                window = []
            window.append(parcel)
        if window:
            yield window

    def _usable(self) -> AdapterError | None:
        """None when the broker takes messages now, else why not. Nothing was sent then."""
        if time.monotonic() - self._last > self._options.heartbeat:
            self._link.close()
        old = self._link.ready
        try:
            self._link.open(self._options.timeout)
            if not self._link.answers() and old and not self._link.blocked:
                self._link.close()
                self._link.open(self._options.timeout)
                self._link.answers()
        except AdapterError as fault:
            return fault
        self._last = time.monotonic()
        if self._link.blocked:
            return Unreachable(f"{self._link.where}: the broker takes nothing now: {self._link.blocked}")
        return self._link.fault

    def _publish(self, window: Sequence[Parcel]) -> list[Handover]:
        self._told, self._returned, self._under_way = {}, {}, {}
        for parcel in window:
            properties = self._properties(parcel)
            if isinstance(properties, str):
                self._tell(parcel, Known.REFUSED, properties)
                continue
            self._published += 1
            self._under_way[self._published] = parcel
            self._link.channel.basic_publish(self._exchange, self._key, parcel.data, properties, mandatory=True)
        self._link.wait(lambda: not self._under_way, self._options.timeout)
        self._last = time.monotonic()
        if self._under_way:
            late = f"no confirm within {self._options.timeout:g} s {self._link.blocked}".rstrip()
            self._link.fail(Unreachable(f"{self._link.where}: {late}"))
            alone = len(self._under_way) == 1
            known = _BY_CODE.get(self._link.code, Known.UNKNOWN) if alone else Known.UNKNOWN
            for parcel in self._under_way.values():
                self._tell(parcel, known, str(self._link.fault))
        return [self._told[parcel.delivery] for parcel in window]

    def _tell(self, parcel: Parcel, known: Known, evidence: str) -> None:
        self._told[parcel.delivery] = Handover(parcel.delivery, known, evidence)

    def _on_return(self, _: Any, method: Any, properties: Any, body: bytes) -> None:
        # Comes before the confirm of the same message (rabbitmq.com/docs/confirms#when-publishes-are-confirmed).
        self._returned[properties.message_id] = f"{method.reply_code} {method.reply_text}"

    def _on_confirm(self, frame: Any) -> None:
        from pika.spec import Basic

        last = frame.method.delivery_tag
        tags = [tag for tag in self._under_way if tag <= last] if frame.method.multiple else [last]
        for tag in tags:
            parcel = self._under_way.pop(tag, None)
            if parcel is None:
                continue
            target = f"{self._exchange or 'queue'}/{self._key}"
            if isinstance(frame.method, Basic.Nack):
                self._tell(parcel, Known.NOT_DONE, f"the broker could not take it for {target}")
            elif parcel.delivery in self._returned:
                self._tell(parcel, Known.NOT_DONE, f"returned: {self._returned[parcel.delivery]}, {target}")
            else:
                self._proven = True
                self._tell(parcel, Known.DONE, f"confirmed by {self._link.where} for {target}")

    def _properties(self, parcel: Parcel) -> pika.BasicProperties | str:
        """The message's properties, the same on every try; or why it cannot be one."""
        import pika

        if len(parcel.companions) > 1:
            return "amqp carries one companion only"
        headers = {**(parcel.headers or {}), "Eport-Name": parcel.name, "Eport-Folder": parcel.folder}
        for _, signature in parcel.companions:
            headers["Eport-Signature"] = base64.b64encode(signature).decode("ascii")
        properties = pika.BasicProperties(
            message_id=parcel.delivery, delivery_mode=pika.DeliveryMode.Persistent.value, headers=headers
        )
        try:
            size = sum(map(len, properties.encode()))
        except (pika.exceptions.AMQPError, ValueError) as fault:
            return f"a header cannot be written: {type(fault).__name__}"
        limit = self._link.frame_max - _FRAME_OVERHEAD
        return properties if size <= limit else f"headers of {size} bytes are more than a frame holds"
