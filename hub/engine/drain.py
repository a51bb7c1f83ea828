"""A graceful end. The gate of every hub on this machine takes nothing in any more (SIGUSR1), all that can be finished
now is finished, then the roles of this machine are told to stop (SIGTERM). Sources keep what they have; the next
`eport up` goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from hub import draining
from hub.engine import roster
from hub.errors import JournalError
from hub.journal.journal import Journal

LOOK = 0.2
CALM = 3
"""Looks in a row that find nothing to finish: between two steps of a message there may be none in sight."""
PATIENCE = 30.0
"""Seconds that the roles get to end, a little more than their supervisor gives them."""


def drain(folder: Path, journal: Journal, limit: timedelta, now: Callable[[], datetime]) -> dict[str, int]:
    """Drain and stop what runs on this machine. What could have been finished and was not, {} for nothing.

    Raises JournalError when nothing runs here, or does not end."""
    heads = _heads(folder)
    if not heads:
        raise JournalError(f"no hub runs in {folder}")
    until = time.monotonic() + limit.total_seconds()
    _tell(heads, signal.SIGUSR1)
    shut_by = min(until, time.monotonic() + PATIENCE)
    while not _shut(folder) and time.monotonic() < shut_by:
        time.sleep(LOOK)
    rest = _finish(journal, until, now)
    _tell(_heads(folder), signal.SIGTERM)
    ended = time.monotonic() + PATIENCE
    while roster.running(folder) or roster.supervised(folder):
        if time.monotonic() > ended:
            raise JournalError(f"roles in {folder} do not end: {', '.join(p.role for p in roster.running(folder))}")
        time.sleep(LOOK)
    return rest


def _finish(journal: Journal, until: float, now: Callable[[], datetime]) -> dict[str, int]:
    """Wait until nothing that came before now can be finished, or time is up; what is left of it."""
    before, calm, rest = now(), 0, {"": 1}
    while calm < CALM and time.monotonic() < until:
        rest = draining.unfinished(journal, before, now())
        calm = 0 if rest else calm + 1
        time.sleep(LOOK)
    return rest


def _heads(folder: Path) -> list[int]:
    """Whom to tell: the supervisor, who tells its children, or every role that runs by itself."""
    if roster.supervised(folder):
        return [int((folder / "spool" / "run" / "hub.pid").read_text("ascii"))]
    return [process.pid for process in roster.running(folder)]


def _shut(folder: Path) -> bool:
    """True when every gate here has said that it takes nothing in."""
    gates = [process.pid for process in roster.running(folder) if process.role == "gate"]
    return all((folder / "spool" / "run" / f"shut-{pid}").exists() for pid in gates)


def _tell(pids: list[int], what: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, what)
