"""The gate: takes in what sources hold, a thread for each, and opens the doors (hub.intake). What may not come in now
stays where it is: for its party's backlog or pace, a full disk, a drain, or want of time stamps."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from hub import conditions, courier, intake
from hub.contract import Door, Ground, Handover, Inlet, Known, Leaving, closing
from hub.engine import doors, ends
from hub.errors import AdapterError, DeclarationError, Stale, Untrusted
from hub.evidence import seal
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.message import EndpointState
from hub.site.site import Site

REST = 2.0
"""Seconds between two looks at a source that was out of reach."""
HANGING = 1.0
"""Seconds that the gate waits at its end for a source that does not answer."""
LOOK_FOR_KEYS = timedelta(seconds=2)
"""Time between two looks for the key or token of a party that cannot come in without it."""
SHUT = threading.Event()
"""Set by SIGUSR1: the gate in this process takes nothing in any more (hub.engine.drain)."""

log = logging.getLogger("eport")


@dataclass(slots=True)
class Source:
    """One source's thread: whether nothing is taken in here, what the source leaves lying (None: not told yet), how
    fast its party may send (None: as it likes), the fault that ended it."""

    endpoint: str
    shut: bool = False
    left: str | None = None
    pace: intake.Pace | None = None
    fault: BaseException | None = None


def gate(site: Site, journal: Journal, ground: Ground, stop: threading.Event) -> None:
    """A thread for each source, so that one which never answers delays no other; this one watches what waits."""
    opened = doors.open_all(site, ground)
    sources = _sources(site, journal, ground)
    shut = _shut(site, ground)
    waits = _waits(site, journal, ends.now(), shut)
    _turn_away(opened, ground, shut)
    rounds = {name: Source(name, pace=_pace(site, name)) for name in sources}
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
        looked = ends.now() - LOOK_FOR_KEYS
        outside: dict[str, str] | None = None
        while not journal.bell.wait(stop, "gate"):
            journal.locks.sure()
            before, shut = shut, _shut(site, ground)
            waits.update(_waits(site, journal, ends.now(), shut))
            for one in rounds.values():
                one.shut = bool(shut)
            if shut != before:
                _turn_away(opened, ground, shut)
            if abs(ends.now() - looked) >= LOOK_FOR_KEYS:
                looked, missing = ends.now(), doors.keyless(opened)
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
    site: Site, journal: Journal, inlet: Inlet, waits: dict[str, int], mine: Source, stop: threading.Event
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
                    stop.wait(ends.IDLE)
            except AdapterError:
                stop.wait(REST)
    except BaseException as fault:
        mine.fault = fault
        stop.set()


def _take_and_tell(site: Site, journal: Journal, inlet: Inlet, waits: dict[str, int], mine: Source) -> int:
    """Take in what the source holds, and tell when what it leaves lying is no longer the same."""
    at = ends.now()
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
    return intake.Pace(rate.most, rate.span, rate.most, ends.now()) if rate else None


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
            made: Inlet | None = ends.open_end(site, name, ground, "inlet")
        except DeclarationError as fault:
            ends.file_fault(site, journal, name, fault)
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
