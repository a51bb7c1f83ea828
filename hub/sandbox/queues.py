"""Customs over queues, where there is a broker: two queues for this run alone, made before it and deleted after it.

Customs takes each message id once, however often the broker hands it out, as the amqp adapter asks of its readers
(`idempotent: true`); the same id is answered with the same bytes.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

import adapters
from hub.contract import Ground
from hub.errors import Impossible, Unreachable

VARIABLE = "EPORT_AMQP_URL"
"""Environment variable with the URL of a broker at which queues may be made."""
AGAIN = 0.3
"""Seconds before another try at a broker that is away."""

Take = Callable[[bytes, bytes, str], bytes]
"""(delivery, its detached signature or b"", file name) -> the signed answer; b"" for none."""


def lay(folder: Path, url: str) -> None:
    """Give customs an amqp endpoint in the site in `folder`, and make its queues.

    Raises DeclarationError without pika or with an unusable URL, Unreachable without a broker."""
    run = secrets.token_hex(4)
    options = {
        "url": "file:spool/keys/customs-broker",
        "put": f"eport.{run}.customs.in",
        "get": f"eport.{run}.customs.out",
        "declare": True,
        "idempotent": True,
    }
    secret = folder / "spool" / "keys" / "customs-broker"
    secret.touch(mode=0o600)
    secret.write_text(url, "utf-8")
    path = folder / "routes.yaml"
    block = r"(?m)^  customs:\n    adapter: folder\n    options: .*\n"
    by_queue = f"  customs:\n    adapter: amqp\n    options: {json.dumps(options)}\n"
    routes, count = re.subn(block, by_queue, path.read_text("utf-8"))
    if count != 1:
        raise Impossible("routes.yaml has no customs endpoint by folder that queues could take the place of")
    path.write_text(routes, "utf-8")
    with _channel(folder) as (channel, queues):
        for name, arguments in queues.items():
            channel.queue_declare(name, durable=True, arguments=arguments)


def used(folder: Path) -> bool:
    """True when customs is reached by queue."""
    return bool(_rule(folder)["adapter"] == "amqp")


def forget(folder: Path) -> None:
    """Delete the queues. To be called when no hub is there to make them anew."""
    with _channel(folder) as (channel, queues):
        for name in queues:
            channel.queue_delete(name)


def _rule(folder: Path) -> dict[str, Any]:
    rule: dict[str, Any] = yaml.safe_load((folder / "routes.yaml").read_text("utf-8"))["endpoints"]["customs"]
    return rule


@contextmanager
def _channel(folder: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A channel in confirm mode, and every queue with its arguments. Raises Unreachable."""
    amqp: Any = adapters.load("amqp")
    options = amqp.Options.model_validate(_rule(folder)["options"])
    where = amqp.parameters("customs", options, Ground(folder, folder / "spool"))
    import pika

    try:
        connection = pika.BlockingConnection(where)
        try:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel, dict([*amqp.queues(options.put, options), *amqp.queues(options.get, options)])
        finally:
            if connection.is_open:
                connection.close()
    except (pika.exceptions.AMQPError, OSError) as fault:
        raise Unreachable(f"{where.host}:{where.port}: {type(fault).__name__} {fault}".strip()) from fault


class Reader:
    """Customs itself: a thread that reads, answers, and then acknowledges, until `close`."""

    def __init__(self, folder: Path, take: Take) -> None:
        options = _rule(folder)["options"]
        self._folder, self._take = folder, take
        self._in, self._out = options["put"], options["get"]
        self._taken: dict[str, tuple[bytes, bytes]] = {}  # message id -> (what came, what was said)
        self._stop = threading.Event()
        self.faults: list[str] = []
        self._thread = threading.Thread(target=self._run, name="agency-CUSTOMS", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """What waits in the queue is still taken."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                with _channel(self._folder) as (channel, _):
                    self._serve(channel)
                return
            except Unreachable:
                if self._stop.wait(AGAIN):
                    return
            except Exception as fault:
                self.faults.append(f"{type(fault).__name__}: {fault}")
                raise

    def _serve(self, channel: Any) -> None:
        channel.basic_qos(prefetch_count=20)
        for method, properties, body in channel.consume(self._in, inactivity_timeout=0.02):
            if method is not None:
                self._answer(channel, properties, body)
                channel.basic_ack(method.delivery_tag)
            elif self._stop.is_set():
                return

    def _answer(self, channel: Any, properties: Any, body: bytes) -> None:
        import base64

        import pika

        id, headers = properties.message_id, properties.headers
        if id not in self._taken:
            signature = base64.b64decode(headers.get("Eport-Signature", ""))
            self._taken[id] = body, self._take(body, signature, headers["Eport-Name"])
        before, said = self._taken[id]
        if before != body:
            self.faults.append(f"message {id} came again with other bytes")
        if said:
            name = f"answer-{Path(headers['Eport-Name']).stem}.xml"
            told = pika.BasicProperties(message_id=f"answer-{id}", delivery_mode=2, headers={"Eport-Name": name})
            channel.basic_publish("", self._out, said, told, mandatory=True)
