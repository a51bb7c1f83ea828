"""The roles of a hub as loops over the journey's steps, each run by one process (hub.engine.supervisor).

gate     takes in what sources hold, one thread per source, and opens the doors    (intake)
worker   opens, checks, routes, advances                    (journey.work)
courier  hands over, one thread per endpoint                (courier.send): a slow endpoint delays no other
clock    files what is late, takes back what the dead held  (clock.tick); seals and stamps the events  (evidence.seal)

A fault that a role cannot handle ends its process, loudly; nothing is lost, and the supervisor starts it again. An
adapter's unforeseen fault ends only that endpoint's round: the endpoint is filed as broken and tried again later. So
does a key or token that cannot be had; one that is not who it should be is held.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import adapters
from hub import clock, conditions, courier, intake, journey
from hub.contract import Door, Ground, Handover, Inlet, Known, Leaving, Outlet, closing
from hub.engine import doors, upkeep
from hub.engine.stride import Stride
from hub.errors import AdapterError, DeclarationError, Stale, Untrusted
from hub.evidence import authority, seal
from hub.identity.keys import load_certificates
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.numbers import Numbers
from hub.message import EndpointState
from hub.site.site import Site

IDLE = 0.05
"""Seconds that a role rests after a round that was not full."""
PROBE_EVERY = timedelta(seconds=10)
REST = 2.0
"""Seconds between two looks at a source that was out of reach."""
HANGING = 1.0
"""Seconds that the gate waits at its end for a source that does not answer."""
LOOK_FOR_KEYS = timedelta(seconds=2)
"""Time between two looks for the key or token of a party that cannot come in without it."""
SHUT = threading.Event()
"""Set by SIGUSR1: the gate in this process takes nothing in any more (hub.engine.drain)."""
LOOK_EVERY = 0.5
"""Seconds between two looks of the clock."""

log = logging.getLogger("eport")


def now() -> datetime:
    return datetime.now(UTC)


def run(role: str, site: Site, journal: Journal, ground: Ground, stop: threading.Event) -> None:
    """One role until `stop` is set."""
    ROLES[role](site, journal, ground, stop)


@dataclass(slots=True)
class Round:
    """One endpoint's thread: its bell, whether nothing is taken in here, what its source leaves lying (None: not told
    yet), how fast its party may send (None: as it likes), the fault that ended it."""

    endpoint: str
    bell: threading.Event
    shut: bool = False
    left: str | None = None
    pace: intake.Pace | None = None
    fault: BaseException | None = None


# ---- gate


def gate(site: Site, journal: Journal, ground: Ground, stop: threading.Event) -> None:
    """A thread for each source, so that one which never answers delays no other; this one watches what waits."""
    opened = doors.open_all(site, ground)
    sources = _sources(site, journal, ground)
    shut = _shut(site, ground)
    waits = _waits(site, journal, now(), shut)
    _turn_away(opened, ground, shut)
    rounds = {name: Round(name, threading.Event(), pace=_pace(site, name)) for name in sources}
    threads = {
        name: threading.Thread(
            target=_take_in, args=(site, journal, inlet, waits, rounds[name], stop), name=f"gate-{name}"
        )
        for name, inlet in sources.items()
    }
    for thread in threads.values():
        thread.daemon = True
        thread.start()
    try:
        looked = now() - LOOK_FOR_KEYS
        outside: dict[str, str] | None = None
        while not journal.bell.wait(stop, "gate"):
            journal.locks.sure()
            before, shut = shut, _shut(site, ground)
            waits.update(_waits(site, journal, now(), shut))
            for one in rounds.values():
                one.shut = bool(shut)
            if shut != before:
                _turn_away(opened, ground, shut)
            if abs(now() - looked) >= LOOK_FOR_KEYS:
                looked, missing = now(), doors.keyless(opened)
                if missing != outside:
                    _tell_keyless(site, journal, missing, looked)
                outside = missing
    finally:
        stop.set()
        for thread in threads.values():
            thread.join(HANGING)
        doors.refuse((), ground, "")
        closing([*opened, *(inlet for name, inlet in sources.items() if not threads[name].is_alive())])
    for one in rounds.values():
        if one.fault:
            raise one.fault


def _take_in(
    site: Site, journal: Journal, inlet: Inlet, waits: dict[str, int], mine: Round, stop: threading.Event
) -> None:
    """Serve one source as long as no other process does; rest a while when it is out of reach. It rests unless a round
    was full: what comes meanwhile shares the next commit. A fault of the journal ends the whole role."""
    source, held = f"source-{mine.endpoint}", False
    try:
        while not stop.is_set():
            if mine.shut:
                journal.locks.drop(source)  # another machine may take in
            held = not mine.shut and (held or journal.locks.hold(source))
            if not held:
                stop.wait(1)
                continue
            try:
                if _take_and_tell(site, journal, inlet, waits, mine) < intake.BATCH:
                    stop.wait(IDLE)
            except AdapterError:
                stop.wait(REST)
    except BaseException as fault:
        mine.fault = fault
        stop.set()


def _take_and_tell(site: Site, journal: Journal, inlet: Inlet, waits: dict[str, int], mine: Round) -> int:
    """Take in what the source holds, and tell when what it leaves lying is no longer the same."""
    at = now()
    taken = take_from(site, journal, mine.endpoint, inlet, at, waits, mine.pace)
    if isinstance(inlet, Leaving) and (left := inlet.left()) != mine.left:
        with suppress(Stale):  # another gate was faster: next time
            intake.tell_left(journal, mine.endpoint, left, at + site.routes.endpoints[mine.endpoint].attention, at)
            mine.left = left
    return taken


def gate_round(site: Site, journal: Journal, sources: dict[str, Inlet], at: datetime) -> int:
    """Take in what these sources hold, one after the other. One that is out of reach is passed over."""
    waits, taken = _waits(site, journal, at), 0
    for endpoint, inlet in sources.items():
        with suppress(AdapterError):
            taken += take_from(site, journal, endpoint, inlet, at, waits)
    return taken


def _shut(site: Site, ground: Ground) -> str:
    """Why nothing at all is taken in now, or "". What is here goes on its way."""
    if SHUT.is_set():
        return "the hub is being drained"
    return "" if conditions.room(ground.spool, site.routes.limits.disk) else "the disk is nearly full"


def _turn_away(opened: Sequence[Door], ground: Ground, shut: str) -> None:
    """Have the doors say why they take nothing in, or take in again."""
    doors.refuse(opened, ground, shut)
    if shut:
        log.warning("nothing is taken in: %s", shut)
    else:
        log.info("the gate is open")


def _waits(site: Site, journal: Journal, at: datetime, shut: str = "") -> dict[str, int]:
    """How many interchanges of each party wait to be opened; more than anybody may have, while the gate is `shut` or
    what happens here has not been time-stamped for too long."""
    if shut or seal.stopped(site, journal, at):
        return dict.fromkeys(site.parties, sys.maxsize)
    return dict.fromkeys(site.parties, 0) | journal.backlog()


def _pace(site: Site, endpoint: str) -> intake.Pace | None:
    """How fast the party at an endpoint may send; None: as fast as it likes."""
    rate = next((party.rate for party in site.parties.values() if party.at == endpoint), None)
    return intake.Pace(rate.most, rate.span, rate.most, now()) if rate else None


def _tell_keyless(site: Site, journal: Journal, missing: dict[str, str], at: datetime) -> None:
    """Who cannot come in for want of a key is on the list of what waits, as door/ENDPOINT, until it is there."""
    outcome = Outcome()
    for endpoint, rule in site.routes.endpoints.items():
        if endpoint in missing:
            outcome.wait("door", f"door/{endpoint}", "door.no_key", at + rule.attention, missing[endpoint])
        else:
            outcome.rest(f"door/{endpoint}")
    with suppress(Stale):  # another gate was faster
        journal.commit([outcome], at)


def take_from(
    site: Site,
    journal: Journal,
    endpoint: str,
    inlet: Inlet,
    at: datetime,
    waits: dict[str, int],
    pace: intake.Pace | None = None,
) -> int:
    """Take in what one source holds. `waits`: how many interchanges of each party wait to be opened; a flooding party's
    stay at the source, as do those above its pace. Raises AdapterError when it cannot be reached, or is not who it
    should be (then it is held)."""
    party = next((name for name, party in site.parties.items() if party.at == endpoint), None)
    if party is None or waits.get(party, 0) >= site.parties[party].backlog:
        return 0
    most = min(intake.BATCH, pace.allows(at)) if pace else intake.BATCH
    if most == 0:
        return 0
    try:
        taken = intake.accept(inlet, journal, endpoint, party, site.parties[party].max_size, at, most)
    except Untrusted as fault:
        _hold(site, journal, endpoint, fault, at)
        raise
    waits[party] = waits.get(party, 0) + taken  # until the next look
    if pace:
        pace.left -= taken
    return taken


def _sources(site: Site, journal: Journal, ground: Ground) -> dict[str, Inlet]:
    """Every inlet that can be opened. One that cannot, because a key is missing, closes no other."""
    opened: dict[str, Inlet] = {}
    for name in site.routes.endpoints:
        try:
            made: Inlet | None = _open(site, name, ground, "inlet")
        except DeclarationError as fault:
            _file_fault(site, journal, name, fault)
        else:
            opened |= {name: made} if made is not None else {}
    return opened


def _hold(site: Site, journal: Journal, endpoint: str, fault: Untrusted, at: datetime) -> None:
    """A source that is not who it should be gets nothing either, until a person looks."""
    standing = journal.standing(endpoint)
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
    numbers, stride = Numbers(journal), Stride(journey.BATCH)
    while not stop.is_set():
        if stride.take(lambda most: journey.work(site, journal, numbers, now(), most)) == 0:
            journal.bell.wait(stop, "worker")


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
        while not journal.bell.wait(stop, "courier"):
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
                log.exception("endpoint %s", mine.endpoint, extra={"endpoint": mine.endpoint})
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
    probed, stride = now() - PROBE_EVERY, Stride(courier.BATCH)
    try:
        while not stop.is_set():
            mine.bell.clear()
            journal.locks.sure()
            at = now()
            if abs(at - probed) >= PROBE_EVERY:  # the time of day may have been set back
                probed = at
                courier.resolve(journal, out, mine.endpoint, rule, at)
            sent = stride.take(lambda most: courier.send(journal, out, mine.endpoint, rule, now(), most))
            if sent == 0:
                mine.bell.wait(PROBE_EVERY.total_seconds())
            elif sent < courier.BATCH:
                stop.wait(IDLE)  # what becomes due meanwhile shares the next commit
    finally:
        out.close()
    return False


def _file_fault(site: Site, journal: Journal, endpoint: str, fault: AdapterError | DeclarationError) -> None:
    """The endpoint's adapter failed in a way that nobody foresaw: it rests, and somebody should look."""
    outcome = Outcome()
    at = now()
    rule = site.routes.endpoints[endpoint]
    standing = journal.standing(endpoint)
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
        journal.locks.sure()
        journal.take_back()
        clock.tick(site, journal, now())
        seal.tick(site, journal, now())

    stamper = _stamper(site)

    def stamp_heads() -> None:
        journal.locks.sure()
        if stamper is not None:
            stamper.tick(journal, now())

    def failed(happened: Any) -> None:
        faults.append(happened.exception)
        stop.set()

    figures = _figures(site, journal, ground, stop)
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.add_listener(failed, EVENT_JOB_ERROR)
    for job in (look, stamp_heads):  # an authority that is slow delays no clock
        scheduler.add_job(job, "interval", seconds=LOOK_EVERY, coalesce=True, max_instances=1, next_run_time=now())
    scheduler.start()
    for work, seconds in upkeep.jobs(site, journal, ground, now):
        scheduler.add_job(work, "interval", seconds=seconds, coalesce=True, max_instances=1, next_run_time=now())
    tellers = upkeep.Tellers(site, journal, ground, now, stop)
    _keep_ticking(scheduler, stop)
    scheduler.shutdown()
    tellers.join()
    faults += tellers.faults
    if figures is not None:
        figures.join()
    for fault in faults:
        raise fault


def _keep_ticking(scheduler: Any, stop: threading.Event) -> None:
    """Until `stop`. The scheduler waits for a time of day: when that is set back, its jobs would rest until then."""
    known = time.time() - time.monotonic()
    while not stop.wait(LOOK_EVERY):
        seen = time.time() - time.monotonic()
        if abs(seen - known) > 1:
            log.warning("the time of day was changed by %.0f s", seen - known)
            known = seen
            for job in scheduler.get_jobs():
                job.modify(next_run_time=datetime.now(UTC))


def _figures(site: Site, journal: Journal, ground: Ground, stop: threading.Event) -> threading.Thread | None:
    """The door for metrics, where one is declared."""
    if not site.routes.doors.metrics:
        return None
    from hub.metrics import door

    thread = threading.Thread(target=door.serve, args=(site, ground.site, journal, stop), name="metrics")
    thread.start()
    return thread


def _stamper(site: Site) -> seal.Stamper | None:
    """The time-stamp authority that routes.yaml names. Raises IdentityError where its roots cannot be read."""
    rule = site.routes.evidence.stamp
    if rule is None:
        return None
    roots = tuple(root for name in rule.roots for root in load_certificates(site.folder / name))
    return seal.Stamper(rule, roots, authority.ask)


ROLES: dict[str, Callable[[Site, Journal, Ground, threading.Event], None]] = {
    "gate": gate,
    "worker": worker,
    "courier": couriers,
    "clock": ticking,
}
