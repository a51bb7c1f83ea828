"""The roles of a hub as loops over the journey's steps, each run by one process (hub.engine.supervisor).

gate     takes in what sources hold, one thread per source, and opens the doors     (hub.engine.gate)
worker   opens, checks, routes, advances                                            (journey.work)
courier  hands over, one thread per endpoint                                        (hub.engine.couriers)
clock    files what is late, takes back what the dead held, seals, alarms, tidies   (hub.engine.ticking)

A fault that a role cannot handle ends its process, loudly; nothing is lost, and the supervisor starts it again. An
adapter's unforeseen fault ends only that endpoint's round: the endpoint is filed as broken and tried again later. So
does a key or token that cannot be had; one that is not who it should be is held.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from hub import journey
from hub.contract import Ground
from hub.engine import ends
from hub.engine.couriers import couriers
from hub.engine.gate import gate
from hub.engine.stride import Stride
from hub.engine.ticking import ticking
from hub.journal.journal import Journal
from hub.journal.numbers import Numbers
from hub.site.site import Site


def run(role: str, site: Site, journal: Journal, ground: Ground, stop: threading.Event) -> None:
    """One role until `stop` is set."""
    ROLES[role](site, journal, ground, stop)


def worker(site: Site, journal: Journal, ground: Ground, stop: threading.Event) -> None:
    numbers, stride = Numbers(journal), Stride(journey.BATCH)
    while not stop.is_set():
        if stride.take(lambda most: journey.work(site, journal, numbers, ends.now(), most)) == 0:
            journal.bell.wait(stop, "worker")


ROLES: dict[str, Callable[[Site, Journal, Ground, threading.Event], None]] = {
    "gate": gate,
    "worker": worker,
    "courier": couriers,
    "clock": ticking,
}
