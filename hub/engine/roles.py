"""The roles of a hub as loops over the journey's steps, each run by one process (hub.engine.supervisor).

gate     takes in what sources hold, one thread per source, and opens the doors    (intake)
worker   opens, checks, routes, advances                    (journey.work)
courier  hands over, one thread per endpoint                (courier.send): a slow endpoint delays no other
clock    files what is late, takes back what the dead held  (clock.tick)

A fault that a role cannot handle ends its process, loudly; nothing is lost, and the supervisor starts it again. An
adapter's unforeseen fault ends only that endpoint's round: the endpoint is filed as broken and tried again later. So
does a key or token that cannot be had; one that is not who it should be is held.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

import adapters
from hub import clock, courier, intake, journey
from hub.contract import Ground, Handover, Inlet, Known, Outlet, closing
from hub.engine import doors
from hub.errors import AdapterError, DeclarationError, Stale, Untrusted
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.numbers import Numbers
from hub.message import EndpointState
from hub.site.site import Site

IDLE = 0.05
"""Seconds that a role rests when a round found nothing to do."""
PROBE_EVERY = timedelta(seconds=10)
REST = 2.0
"""Seconds between two looks at a source that was out of reach."""
HANGING = 1.0
"""Seconds that the gate waits at its end for a source that does not answer."""
LOOK_EVERY = 0.5
"""Seconds between two looks of the clock."""

log = logging.getLogger("eport")


def now() -> datetime:
    return datetime.now(UTC)


def run(role: str, site: Site, journal: Journal, ground: Ground, stop: threading.Event) -> None:
    """One role until `stop` is set."""
    ROLES[role](site, journal, ground, stop)


def loop(stop: threading.Event, step: Callable[[], int], idle: float = IDLE) -> None:
    """Repeat `step` until `stop`; rest only when it found nothing to do."""
    while not stop.is_set():
        if step() == 0:
            stop.wait(idle)


@dataclass(slots=True)
class Round:
    """One endpoint's thread: its bell, and the fault that ended it."""

    endpoint: str
    bell: threading.Event
    fault: BaseException | None = None


# ---- gate


def gate(site: Site, journal: Journal, ground: Ground, stop: threading.Event) -> None:
    """A thread for each source, so that one which never answers delays no other; this one watches what waits."""
    opened = doors.open_all(site, ground)
    sources = _sources(site, journal, ground)
    waits = journal.backlog()
    rounds = {name: Round(name, threading.Event()) for name in sources}
    threads = {
        name: threading.Thread(
            target=_take_in, args=(site, journal, {name: inlet}, waits, rounds[name], stop), name=f"gate-{name}"
        )
        for name, inlet in sources.items()
    }
    for thread in threads.values():
        thread.daemon = True
        thread.start()
    try:
        while not stop.wait(IDLE):
            waits.update(dict.fromkeys(waits, 0) | journal.backlog())
    finally:
        stop.set()
        for thread in threads.values():
            thread.join(HANGING)
        closing([*opened, *(inlet for name, inlet in sources.items() if not threads[name].is_alive())])
    for one in rounds.values():
        if one.fault:
            raise one.fault


def _take_in(
    site: Site, journal: Journal, source: dict[str, Inlet], waits: dict[str, int], mine: Round, stop: threading.Event
) -> None:
    """Serve one source; rest a while when it is out of reach. A fault of the journal ends the whole role."""
    ((endpoint, inlet),) = source.items()
    try:
        while not stop.is_set():
            try:
                loop(stop, lambda: take_from(site, journal, endpoint, inlet, now(), waits))
            except AdapterError:
                stop.wait(REST)
    except BaseException as fault:
        mine.fault = fault
        stop.set()


def gate_round(site: Site, journal: Journal, sources: dict[str, Inlet], at: datetime) -> int:
    """Take in what these sources hold, one after the other. One that is out of reach is passed over."""
    waits, taken = journal.backlog(), 0
    for endpoint, inlet in sources.items():
        with suppress(AdapterError):
            taken += take_from(site, journal, endpoint, inlet, at, waits)
    return taken


def take_from(site: Site, journal: Journal, endpoint: str, inlet: Inlet, at: datetime, waits: dict[str, int]) -> int:
    """Take in what one source holds. `waits`: how many interchanges of each party wait to be opened; a flooding party's
    stay at the source. Raises AdapterError when it cannot be reached, or is not who it should be (then it is held)."""
    party = next((name for name, party in site.parties.items() if party.at == endpoint), None)
    if party is None or waits.get(party, 0) >= site.parties[party].backlog:
        return 0
    try:
        return intake.accept(inlet, journal, endpoint, party, site.parties[party].max_size, at)
    except Untrusted as fault:
        _hold(site, journal, endpoint, fault, at)
        raise


def _sources(site: Site, journal: Journal, ground: Ground) -> dict[str, Inlet]:
    """Every inlet that can be opened. One that cannot, because a key is missing, closes no other."""
    opened: dict[str, Inlet] = {}
    for name in site.routes.endpoints:
        try:
            made: Inlet | None = _open(site, name, ground, "inlet")
        except DeclarationError as fault:
            log.error("endpoint %s is not read: %s", name, fault)
            _file_fault(site, journal, name, fault)
        else:
            opened |= {name: made} if made is not None else {}
    return opened


def _hold(site: Site, journal: Journal, endpoint: str, fault: Untrusted, at: datetime) -> None:
    """A source that is not who it should be gets nothing either, until a person looks."""
    standing = journal.row(select(t.endpoint).where(t.endpoint.c.id == endpoint))
    if standing is not None and standing["state"] == EndpointState.HELD:
        return
    told = [Handover("", Known.UNTRUSTED, str(fault))]
    with suppress(Stale):  # its courier was faster
        journal.commit([courier.judge(standing, endpoint, told, site.routes.endpoints[endpoint], at)], at)


def inlets(site: Site, ground: Ground) -> dict[str, Inlet]:
    """Every endpoint's inlet, by endpoint, where it goes that way."""
    return {name: made for name in site.routes.endpoints if (made := _open(site, name, ground, "inlet")) is not None}


def outlet(site: Site, endpoint: str, ground: Ground) -> Outlet | None:
    """The endpoint's outlet, or None where it goes the other way only."""
    made: Outlet | None = _open(site, endpoint, ground, "outlet")
    return made


def _open(site: Site, endpoint: str, ground: Ground, what: str) -> Any:
    rule = site.routes.endpoints[endpoint]
    module = adapters.load(rule.adapter)
    options = module.Options.model_validate(rule.options)
    goes = options.reads if what == "inlet" else options.writes
    return getattr(module, what)(endpoint, options, ground) if goes else None


# ---- worker


def worker(site: Site, journal: Journal, ground: Ground, stop: threading.Event) -> None:
    numbers = Numbers(journal)
    loop(stop, lambda: journey.work(site, journal, numbers, now()))


# ---- courier


def couriers(site: Site, journal: Journal, ground: Ground, stop: threading.Event) -> None:
    """A thread for each endpoint; this one watches the journal and wakes them."""
    rounds = {name: Round(name, threading.Event()) for name in site.routes.endpoints}
    threads = [
        threading.Thread(target=_courier, args=(site, journal, ground, one, stop), name=f"courier-{one.endpoint}")
        for one in rounds.values()
    ]
    for thread in threads:
        thread.start()
    try:
        while not stop.wait(IDLE):
            for name in journal.endpoints_due(now()) & rounds.keys():
                rounds[name].bell.set()
    finally:
        stop.set()
        for one in rounds.values():
            one.bell.set()
        for thread in threads:
            thread.join()
    for one in rounds.values():
        if one.fault:
            raise one.fault


def _courier(site: Site, journal: Journal, ground: Ground, mine: Round, stop: threading.Event) -> None:
    """Serve one endpoint as long as no other process does. A fault of the journal ends the whole role."""
    try:
        while not stop.is_set():
            try:
                if not journal.locks.hold(f"endpoint-{mine.endpoint}") or _serve(site, journal, ground, mine, stop):
                    stop.wait(1)
            except (AdapterError, DeclarationError) as fault:
                log.exception("endpoint %s", mine.endpoint)
                _file_fault(site, journal, mine.endpoint, fault)
                stop.wait(1)
    except BaseException as fault:
        mine.fault = fault
        stop.set()
        raise


def _serve(site: Site, journal: Journal, ground: Ground, mine: Round, stop: threading.Event) -> bool:
    """Rounds until `stop`; True at once where the endpoint takes nothing."""
    out = outlet(site, mine.endpoint, ground)
    if out is None:
        return True
    rule = site.routes.endpoints[mine.endpoint]
    probed = now() - PROBE_EVERY
    try:
        while not stop.is_set():
            mine.bell.clear()
            at = now()
            if at - probed >= PROBE_EVERY:
                probed = at
                courier.resolve(journal, out, mine.endpoint, rule, at)
            if courier.send(journal, out, mine.endpoint, rule, at) == 0:
                mine.bell.wait(PROBE_EVERY.total_seconds())
    finally:
        out.close()
    return False


def _file_fault(site: Site, journal: Journal, endpoint: str, fault: AdapterError | DeclarationError) -> None:
    """The endpoint's adapter failed in a way that nobody foresaw: it rests, and somebody should look."""
    outcome = Outcome()
    at = now()
    rule = site.routes.endpoints[endpoint]
    standing = journal.row(select(t.endpoint).where(t.endpoint.c.id == endpoint))
    failures = (standing["failures"] if standing else 0) + 1
    courier.enter(outcome, standing, endpoint, EndpointState.BROKEN, str(fault), failures, at + PROBE_EVERY, at)
    outcome.wait("endpoint", endpoint, "endpoint.faulty", at + rule.attention, str(fault))
    journal.commit([outcome], at)


# ---- clock


def ticking(site: Site, journal: Journal, ground: Ground, stop: threading.Event) -> None:
    """APScheduler only ticks: what is due stands in the journal, so a missed tick is made up by the next one."""
    from apscheduler.events import EVENT_JOB_ERROR
    from apscheduler.schedulers.background import BackgroundScheduler

    while not journal.locks.hold("clock"):  # another process is the clock; if it dies, this one is
        if stop.wait(LOOK_EVERY):
            return
    faults: list[BaseException] = []

    def look() -> None:
        journal.take_back()
        clock.tick(site, journal, now())

    def failed(happened: Any) -> None:
        faults.append(happened.exception)
        stop.set()

    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.add_listener(failed, EVENT_JOB_ERROR)
    scheduler.add_job(look, "interval", seconds=LOOK_EVERY, coalesce=True, max_instances=1, next_run_time=now())
    scheduler.start()
    stop.wait()
    scheduler.shutdown()
    for fault in faults:
        raise fault


ROLES: dict[str, Callable[[Site, Journal, Ground, threading.Event], None]] = {
    "gate": gate,
    "worker": worker,
    "courier": couriers,
    "clock": ticking,
}
