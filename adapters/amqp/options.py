"""What an amqp endpoint may declare, and the queues that the hub declares when it may."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: Bytes that a name may have: 255 in AMQP (0-9-1, 4.2.5.3), of which `.dead` takes five.
LONGEST = 250


class Options(BaseModel):
    """Settings of an amqp endpoint. Sizes in bytes, times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: Secret reference of amqp[s]://user:password@host[:port][/vhost]. Without a user the certificate is the login.
    url: str = Field(pattern=r"^(env:|file:|\$)")
    #: Queue to which the hub publishes; with an `exchange`, the routing key, which may be empty.
    put: str | None = None
    #: Exchange at which the hub publishes; without it the broker's own, which knows every queue by its name.
    exchange: str = ""
    #: Queue from which the hub takes.
    get: str | None = Field(default=None, min_length=1)
    #: True: the hub declares these queues (not exchanges): durable quorum queues with a dead-letter queue.
    #: Otherwise they are the broker's owner's, who must make them so.
    declare: bool = False
    #: How often a declared queue hands out one message before it moves to the dead-letter queue. Every lost
    #: connection counts for every message that was under way.
    delivery_limit: int = Field(default=50, gt=0)
    #: Dead-letter queue of what is declared; without it `<queue>.dead`.
    dead: str | None = Field(default=None, min_length=1)
    #: Messages that the broker hands out ahead. So many of them, of max_size each, may be in memory.
    prefetch: int = Field(default=100, ge=1, le=1000)
    #: Longest wait for a connection and for the confirms of one batch.
    timeout: float = Field(default=30, gt=0)
    #: The broker hangs up after two intervals without a sign of life; the hub notices a dead broker as fast.
    heartbeat: int = Field(default=60, ge=1, le=3600)
    #: Larger messages are offered with their first bytes only; settled, they go to the dead-letter queue.
    max_size: int = Field(default=50_000_000, gt=0)
    #: PEM file, relative to the site: the only authorities that may vouch for the broker's TLS certificate.
    #: Without it those that the operating system knows.
    ca: str | None = None
    #: PEM file, relative to the site: the hub's TLS certificate with its private key.
    certificate: str | None = None
    #: True: whoever reads `put` does nothing twice for one message id, so an unknown outcome may be sent again.
    idempotent: bool = False

    @model_validator(mode="after")
    def _names_agree(self) -> Options:
        if any(len(name.encode()) > LONGEST for name in (self.put, self.get, self.exchange, self.dead) if name):
            raise ValueError(f"a name has more than {LONGEST} bytes")
        if self.exchange and self.put is None:
            raise ValueError("an exchange needs put, the routing key")
        if self.put == "" and not self.exchange:
            raise ValueError("put is empty: name a queue, or an exchange as well")
        if self.get is not None and self.get == self.put and not self.exchange:
            raise ValueError("put and get are the same queue: the hub would read what it sends")
        return self

    @property
    def reads(self) -> bool:
        return self.get is not None

    @property
    def writes(self) -> bool:
        return self.put is not None


def queues(queue: str, options: Options) -> list[tuple[str, dict[str, Any]]]:
    """Name and arguments of what a `declare: true` declares for one queue: the dead-letter queue first.

    Dead-lettering at least once needs all three: quorum, the strategy, and reject-publish (RabbitMQ >= 3.10,
    rabbitmq.com/docs/quorum-queues#dead-lettering)."""
    dead = options.dead or f"{queue}.dead"
    arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": options.delivery_limit,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": dead,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    return [(dead, {"x-queue-type": "quorum"}), (queue, arguments)]
