"""Messages over queues: AMQP 0-9-1 as RabbitMQ (3.10 or later) speaks it, through pika.

One endpoint goes both ways. So that customs gets deliveries by queue and answers by queue, routes.yaml says:

    endpoints:
      customs:
        adapter: amqp
        options:
          url: file:secrets/customs-broker     # amqps://user:password@broker.example/vhost
          ca: trust/customs-ca.pem             # only if no public authority vouches for the broker
          put: customs.in                      # a queue; with `exchange: NAME` a routing key
          get: customs.out
          declare: true                        # the broker is ours: quorum queues, each with a .dead beside it
        sign: {xml: xmldsig, edifact: cms}

It needs pika: `pip install 'eport-hub[amqp]'`.

Outgoing: persistent, `message_id` is the delivery id, the same over all tries; headers `Eport-Name` (file name),
`Eport-Folder`, and `Eport-Signature`, the detached signature in base64. A batch is published at once and waits once
for its confirms. What is known then:

    confirmed                                        done
    returned (nothing is bound), refused by the
    queue (nack), no such exchange, no right to      not done, try again: the bytes are not at fault
    publish, alarm of the broker's memory or disk,
    login refused, no connection
    larger than the broker takes                     refused
    connection or channel lost before the confirm,
    no confirm within `timeout`                      unknown
    certificate or TLS not as it must be             untrusted

A queue cannot be asked what it has had, so an unknown outcome stays unknown until a receipt or a person settles it.
RabbitMQ removes no duplicates: whoever reads the queue does nothing twice for one message id; if that is agreed, say
`idempotent: true`, and the hub sends an unknown one again.

Incoming: a message is acknowledged only after the journal's commit, so a crash in between brings it again, under the
same key: the sender's `message_id` with the hash of the bytes. Senders have to set one; of those who do not, the same
bytes with the same properties are one arrival. `Eport-Name` is echoed in answers. The signature of a message is inside
it (XMLDSig). What is too large is offered with its first bytes, so that its sender is told, and then rejected: a queue
with a dead-letter queue keeps it there whole, another drops it. What was handed out `delivery_limit` times in vain goes
the same way. With `declare: true` it is logged, and stands in `eport held`, how many wait there and in the dead-letter
queue of `put`; such a queue is read like any other, by the `get` of an endpoint that declares nothing.

Make queues before they are needed: RabbitMQ 3.10 notes only every three minutes which quorum queues it has, and a node
that loses power earlier loses a new one with all its messages, confirmed ones too (measured with 3.10.8).

    options  what an endpoint may declare                    publisher  sending, and what is known then
    link     one connection, turned by its caller's thread   consumer   taking, and settling after the commit
"""

from __future__ import annotations

from adapters.amqp.consumer import AmqpInlet
from adapters.amqp.link import parameters
from adapters.amqp.options import Options, queues
from adapters.amqp.publisher import AmqpOutlet
from hub.contract import Ground
from hub.errors import DeclarationError

__all__ = ["Options", "inlet", "outlet", "parameters", "queues"]


def inlet(name: str, options: Options, ground: Ground) -> AmqpInlet:
    """Take from `get`. Raises DeclarationError when there is none, or pika or a secret cannot be had."""
    if options.get is None:
        raise DeclarationError(f"endpoint {name} is read but has no `get`")
    return AmqpInlet(options, parameters(name, options, ground), options.get)


def outlet(name: str, options: Options, ground: Ground) -> AmqpOutlet:
    """Publish to `put`. Raises DeclarationError when there is none, or pika or a secret cannot be had."""
    if options.put is None:
        raise DeclarationError(f"endpoint {name} is written to but has no `put`")
    return AmqpOutlet(options, parameters(name, options, ground), options.put)
