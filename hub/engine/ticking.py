"""The clock: what is late is filed, what the dead held is taken back (hub.clock), events are sealed and stamped
(hub.evidence.seal), and the hub is looked after (hub.engine.upkeep). One process of all machines is the clock."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from typing import Any

from hub import clock
from hub.contract import Ground
from hub.engine import ends, upkeep
from hub.evidence import authority, seal
from hub.identity.keys import load_certificates
from hub.journal.journal import Journal
from hub.site.site import Site

LOOK_EVERY = 0.5
"""Seconds between two looks of the clock."""

log = logging.getLogger("eport")


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
        clock.tick(site, journal, ends.now())
        seal.tick(site, journal, ends.now())

    stamper = _stamper(site)

    def stamp_heads() -> None:
        journal.locks.sure()
        if stamper is not None:
            stamper.tick(journal, ends.now())

    def failed(happened: Any) -> None:
        faults.append(happened.exception)
        stop.set()

    figures = _figures(site, journal, ground, stop)
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.add_listener(failed, EVENT_JOB_ERROR)
    for job in (look, stamp_heads):  # an authority that is slow delays no clock
        scheduler.add_job(job, "interval", seconds=LOOK_EVERY, coalesce=True, max_instances=1, next_run_time=ends.now())
    scheduler.start()
    for work, seconds in upkeep.jobs(site, journal, ground, ends.now):
        scheduler.add_job(work, "interval", seconds=seconds, coalesce=True, max_instances=1, next_run_time=ends.now())
    tellers = upkeep.Tellers(site, journal, ground, ends.now, stop)
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
