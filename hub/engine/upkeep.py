"""What the clock's process does beside looking at what is late, each at its own pace: it files alarms and watches the
hub itself, takes away bytes whose time is over, and tells alarms, a thread for each, so that a mail server which never
answers delays nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from hub import conditions, retention
from hub.alarms import filing, telling
from hub.contract import Ground
from hub.journal.journal import Journal
from hub.site.site import Site

PAUSE = 30.0
"""Seconds between two notices of one alarm: what begins to wait meanwhile is told together."""
LOOK = 1.0
HANGING = 1.0
"""Seconds that the clock waits at its end for an alarm that is just being told."""

Now = Callable[[], datetime]


def jobs(site: Site, journal: Journal, ground: Ground, now: Now) -> list[tuple[Callable[[], object], float]]:
    """What is to be done, and after how many seconds again."""
    return [
        (lambda: filing.file(site, journal, now()), 1.0),
        (lambda: conditions.watch(site, journal, ground.spool, now()), 10.0),
        (lambda: retention.clear(site, journal, now()), 10.0),
        (lambda: retention.collect(journal, now()), 60.0),
    ]


class Tellers:
    """One thread for each alarm. A fault of the journal ends the whole role, see `fault`."""

    def __init__(self, site: Site, journal: Journal, ground: Ground, now: Now, stop: threading.Event) -> None:
        self._site, self._journal, self._ground, self._now, self._stop = site, journal, ground, now, stop
        self.faults: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._tell, args=(name,), name=f"alarm-{name}", daemon=True)
            for name in site.routes.alarms
        ]
        for thread in self._threads:
            thread.start()

    def _tell(self, name: str) -> None:
        try:
            while not self._stop.is_set():
                told = telling.tell(self._site, self._journal, self._ground, name, self._now())
                self._stop.wait(PAUSE if told else LOOK)
        except BaseException as fault:
            self.faults.append(fault)
            self._stop.set()

    def join(self) -> None:
        """Wait a moment for those that are just telling. What was not committed is told again by the next clock."""
        for thread in self._threads:
            thread.join(HANGING)
