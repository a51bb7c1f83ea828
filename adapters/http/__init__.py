"""Messages over HTTP: POST to a party, and a door at which parties submit.

One endpoint goes both ways. So that an agency gets deliveries and posts its answers, routes.yaml says:

    doors: {http: "127.0.0.1:8022"}
    parties:
      INSPECTION: {title: {en: Inspection}, role: agency, at: inspection, signed: true}
    endpoints:
      inspection:
        adapter: http
        options:
          url: https://inspection.example/eport/receive   # the hub posts here
          token: env:INSPECTION_TOKEN                      # what the hub presents there
          submit_token: file:secrets/inspection-submit     # what the agency presents at our door
          status_url: https://inspection.example/eport/received
          ca: trust/inspection-ca.pem                      # only if no public authority vouches for the agency
        sign: {xml: xmldsig}

and the agency posts to `https://<our door>/submit/inspection`. Tokens are references (env:NAME or file:PATH,
relative to the site), two different ones: neither side can act as the other. An endpoint with `url` alone is only
written to, one with `submit_token` alone only read.

Outgoing: `Idempotency-Key` is the delivery id, the same over all tries, `Eport-Name` the file name,
`Eport-Signature` the detached signature in base64, `Authorization` the bearer token. What an answer means:

    2xx, 409 (already has it)             done; the body of a 2xx is the answer
    307, 308, 401, 407, 408, 425,
    429, 503                              not done, try again
    other 4xx                             refused
    other 3xx and 5xx, cut after sending  unknown
    certificate or TLS not as it must be  untrusted

Whoever is posted to must do nothing twice for one Idempotency-Key; if that cannot be had, say `idempotent: false`, and
name a `status_url` at which the hub can ask: GET <status_url>/<key> tells 200 or 404.

Incoming: `POST /submit/<endpoint>` with `Authorization: Bearer`, optional `Eport-Name` and `Idempotency-Key`.
202 is sent when the message is on the disk, 200 when the key is already known with the same bytes, 422 with
other bytes. `GET /submit/<endpoint>/<key>` tells 200 or 404, so it serves as `status_url`. `GET /ping` tells
that the door is open. 401 and 413 are sent by the headers alone, before the body is read. The signature of a message
is inside it (XMLDSig): the door takes no detached one. The door speaks plain HTTP: put a TLS proxy before it.

    options  what an endpoint may declare     mailbox  what was submitted, on the disk
    client   posting, and what is known then  server   the door; wire: refusing before the body is read
    dialing  addresses that no URL leads to
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from adapters import names
from adapters.http.client import HttpOutlet
from adapters.http.mailbox import HttpInlet, Mailbox
from adapters.http.options import Options
from hub.contract import DoorEndpoint, Ground
from hub.errors import DeclarationError

if TYPE_CHECKING:
    from adapters.http.server import Desk, HttpDoor

__all__ = ["Options", "door", "inlet", "outlet"]


def _folder(endpoint: str, ground: Ground) -> Path:
    if not names.safe(endpoint):
        raise DeclarationError(f"endpoint {endpoint!r} cannot be the name of a folder")
    return ground.spool / "http" / endpoint


def inlet(name: str, options: Options, ground: Ground) -> HttpInlet:
    """What the door keeps for the endpoint `name`."""
    return HttpInlet(_folder(name, ground), options.max_size)


def outlet(name: str, options: Options, ground: Ground) -> HttpOutlet:
    """Post to `url`. Raises DeclarationError when the endpoint has none."""
    if options.url is None:
        raise DeclarationError(f"endpoint {name} is written to but has no `url`")
    return HttpOutlet(options, ground)


def door(listen: tuple[str, int], endpoints: Sequence[DoorEndpoint], ground: Ground) -> HttpDoor:
    """Listen on (host, port); port 0 takes a free one. Raises Unreachable when the port cannot be had.

    Where a token cannot be had that endpoint alone stays closed, see `keyless` of the door."""
    # Here, because only the door needs waitress.
    from adapters.http.server import HttpDoor

    return HttpDoor(listen, dict(_desks(endpoints, ground)), ground)


def _desks(endpoints: Sequence[DoorEndpoint], ground: Ground) -> Iterator[tuple[str, Desk]]:
    """The endpoints at which somebody may submit."""
    from adapters.http.server import Desk

    for endpoint in endpoints:
        options = endpoint.options
        if not isinstance(options, Options):
            raise DeclarationError(f"endpoint {endpoint.name} has no http options")
        if options.submit_token is None:
            continue
        mailbox = Mailbox(_folder(endpoint.name, ground))
        yield endpoint.name, Desk(mailbox, options.submit_token, options.max_size)
