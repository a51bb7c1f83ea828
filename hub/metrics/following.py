"""What is too much for one scrape, kept up beside it: events since the last look, whole tables counted now and then."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram
from sqlalchemy.exc import DBAPIError

from hub import figures
from hub.engine.expiry import Expiry, expiries
from hub.journal.journal import Journal
from hub.site.site import Site

LOOK_EVERY = 1.0
"""Seconds between two looks at the events."""
COUNT_EVERY = 15.0
"""Seconds between two counts of whole tables, at least;"""
SPARING = 50
"""and at least so many times as long as the last count took: it never uses more than a fiftieth of one processor."""
SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1800, 3600, 14400, 86400)

log = logging.getLogger("eport")


@dataclass(slots=True)
class Following:
    """The figures that grow with the journal. `counts` are those of the last count, {} before the first."""

    site: Site
    folder: Path
    journal: Journal
    registry: CollectorRegistry
    counts: figures.Counts = field(default_factory=dict)
    expiries: list[Expiry] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        """Look until `stop`. A journal that cannot be read just now is looked at again."""
        events = Counter("eport_events", "State changes and decisions.", ["what"], registry=self.registry)
        journeys = Histogram(
            "eport_journey_seconds",
            "From the arrival of a message until one of its deliveries was sent, or answered with yes.",
            ["until"],
            buckets=SECONDS,
            registry=self.registry,
        )
        last, count_at = figures.newest_event(self.journal), 0.0
        while not stop.is_set():
            try:
                seen = figures.happened(self.journal, last)
                last = seen.last
                for what, number in seen.events.items():
                    events.labels(what).inc(number)
                for until, values in seen.journeys.items():
                    for seconds in values:
                        journeys.labels(until).observe(seconds)
                if time.monotonic() >= count_at:
                    began = time.monotonic()
                    self.counts, self.expiries = self.journal.counts(), expiries(self.site, self.folder)
                    count_at = time.monotonic() + max(COUNT_EVERY, SPARING * (time.monotonic() - began))
            except DBAPIError as fault:
                log.warning("metrics: the journal cannot be read: %s", fault.orig)
            stop.wait(LOOK_EVERY)
