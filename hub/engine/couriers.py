"""The courier: hands over what is due, a thread for each endpoint (hub.courier), so a slow one delays no other."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import timedelta

from hub import courier
from hub.contract import Ground
from hub.engine import ends
from hub.engine.stride import Stride
from hub.errors import AdapterError, DeclarationError
from hub.journal.journal import Journal
from hub.site.site import Site

PROBE_EVERY = timedelta(seconds=10)
"""Time between two looks for evidence of what is in doubt."""

log = logging.getLogger("eport")


@dataclass(slots=True)
class Round:
    """One endpoint's thread: its bell, and the fault that ended it."""

    endpoint: str
    bell: threading.Event
    fault: BaseException | None = None


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
            for name in journal.endpoints_due(ends.now()) & rounds.keys():
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
                ends.file_fault(site, journal, mine.endpoint, fault)
                stop.wait(1)
    except BaseException as fault:
        mine.fault = fault
        stop.set()
        raise


def _serve(site: Site, journal: Journal, ground: Ground, mine: Round, stop: threading.Event) -> bool:
    """Rounds until `stop`; True at once where the endpoint takes nothing."""
    out = ends.outlet(site, mine.endpoint, ground)
    if out is None:
        return True
    rule = site.routes.endpoints[mine.endpoint]
    probed, stride = ends.now() - PROBE_EVERY, Stride(courier.BATCH)
    try:
        while not stop.is_set():
            mine.bell.clear()
            journal.locks.sure()
            at = ends.now()
            if abs(at - probed) >= PROBE_EVERY:  # the time of day may have been set back
                probed = at
                courier.resolve(journal, out, mine.endpoint, rule, at)
            sent = stride.take(lambda most: courier.send(journal, out, mine.endpoint, rule, ends.now(), most))
            if sent == 0:
                mine.bell.wait(PROBE_EVERY.total_seconds())
            elif sent < courier.BATCH:
                stop.wait(ends.IDLE)  # what becomes due meanwhile shares the next commit
    finally:
        out.close()
    return False
