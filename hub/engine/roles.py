"""The roles as loops over the journey's steps. Each round takes `now`; a loop only waits when a round did nothing.

gate     takes in what sources hold          (intake)
worker   opens, checks, routes, advances     (journey.work)
courier  hands over, one thread per endpoint (delivery.send): a slow endpoint delays no other
clock    files what is late                  (journey.tick)
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import adapters
from hub import delivery, intake, journey
from hub.contract import Ground, Inlet, Outlet
from hub.errors import Unreachable
from hub.journal.journal import Journal
from hub.journal.numbers import Numbers
from hub.site.site import Site

ROLES = ("gate", "worker", "courier", "clock")
PROBE_EVERY = timedelta(seconds=30)


def now() -> datetime:
    return datetime.now(UTC)


def inlets(site: Site, ground: Ground) -> dict[str, Inlet]:
    """Every endpoint's inlet, by endpoint, for adapters that have one."""
    return {name: made for name in site.routes.endpoints if (made := _open(site, name, ground, "inlet")) is not None}


def outlet(site: Site, endpoint: str, ground: Ground) -> Outlet | None:
    """The endpoint's outlet, or None where the adapter has none."""
    made: Outlet | None = _open(site, endpoint, ground, "outlet")
    return made


def _open(site: Site, endpoint: str, ground: Ground, what: str) -> Any:
    rule = site.routes.endpoints[endpoint]
    module = adapters.load(rule.adapter)
    make = getattr(module, what, None)
    return make(endpoint, module.Options.model_validate(rule.options), ground) if make else None


def gate_round(site: Site, journal: Journal, sources: dict[str, Inlet], at: datetime) -> int:
    """Take in what every source holds. A source that is out of reach delays no other."""
    owner = {party.at: name for name, party in site.parties.items() if party.at}
    taken = 0
    for endpoint, inlet in sources.items():
        party = owner.get(endpoint)
        if party is None:
            continue
        try:
            taken += intake.accept(inlet, journal, endpoint, party, site.parties[party].max_size, at)
        except Unreachable:
            continue
    return taken


def courier_round(site: Site, journal: Journal, endpoint: str, out: Outlet, at: datetime) -> int:
    """Hand over what is due at one endpoint."""
    return delivery.send(journal, out, endpoint, site.routes.endpoints[endpoint].retry, at)


def loop(stop: threading.Event, step: Callable[[], int], idle: float = 0.1) -> None:
    """Repeat `step` until `stop`; wait only when it found nothing to do."""
    while not stop.is_set():
        if step() == 0:
            stop.wait(idle)


def run(role: str, site: Site, journal: Journal, ground: Ground, stop: threading.Event) -> None:
    """One role until `stop` is set."""
    if role == "gate":
        sources = inlets(site, ground)
        loop(stop, lambda: gate_round(site, journal, sources, now()))
    elif role == "worker":
        numbers = Numbers(journal)
        loop(stop, lambda: journey.work(site, journal, numbers, now()))
    elif role == "clock":
        loop(stop, lambda: journey.tick(journal, now()), idle=1.0)
    else:
        _couriers(site, journal, ground, stop)


def _couriers(site: Site, journal: Journal, ground: Ground, stop: threading.Event) -> None:
    threads = []
    for endpoint in site.routes.endpoints:
        out = outlet(site, endpoint, ground)
        if out is not None:
            target = threading.Thread(
                target=_courier, args=(site, journal, endpoint, out, stop), name=f"courier-{endpoint}"
            )
            target.start()
            threads.append(target)
    for thread in threads:
        thread.join()


def _courier(site: Site, journal: Journal, endpoint: str, out: Outlet, stop: threading.Event) -> None:
    retry = site.routes.endpoints[endpoint].retry
    probed = now() - PROBE_EVERY

    def step() -> int:
        nonlocal probed
        at = now()
        if at - probed >= PROBE_EVERY:
            probed = at
            delivery.resolve(journal, out, endpoint, retry, at)
        return courier_round(site, journal, endpoint, out, at)

    loop(stop, step)
    out.close()
