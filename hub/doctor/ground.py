"""What the hub stands on: release, libraries, processes, disk, backup."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from time import perf_counter

from lxml import etree

from hub.doctor.line import Line, Patient, graded, span
from hub.engine import footing, roster
from hub.engine.roles import ROLES

SYNCS = 20
SLOW, STUCK = 0.05, 0.5
"""Seconds that half of the syncs may take before it is slow, and before nothing can go on like this."""
BACKUP = "backed-up"
"""Whoever has made a backup touches this file in the spool."""
BACKUP_EVERY = timedelta(days=1)


def release(p: Patient) -> Line:
    libxml2 = ".".join(str(part) for part in etree.LIBXML_VERSION)
    parts = (
        f"eport {version('eport-hub')}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        f"libxml2 {libxml2}",
    )
    return Line("release", "ok", " · ".join(parts))


def libraries(p: Patient) -> Line:
    """The versions that have no known hole in what reads strangers' bytes."""
    found = " · ".join(f"{name} {have or '-'}" for name, have in footing.versions().items())
    if weak := footing.weak():
        return Line("libraries", "bad", "; ".join(weak), f"pip install -U {' '.join(footing.LEAST)}")
    return Line("libraries", "ok", found)


def processes(p: Patient) -> Line:
    """Every role runs: on this machine, or, where many share a journal, perhaps on another."""
    running = Counter(one.role for one in roster.running(p.folder))
    deaths = {role: number for role, number in roster.deaths(p.folder).items() if number}
    shown = [f"{role} {running[role]}" for role in ROLES]
    shown += [f"died: {', '.join(f'{role} {number}' for role, number in deaths.items())}"] if deaths else []
    missing = [role for role in ROLES if not running[role]]
    if not missing:
        return Line("processes", "look" if deaths else "ok", " · ".join(shown))
    elsewhere = p.journal.engine.dialect.name == "postgresql" and p.journal.locks.held("clock")
    todo = "eport up" if len(missing) == len(ROLES) else f"eport run {missing[0]}"
    return Line("processes", "look" if elsewhere else "bad", " · ".join(shown), todo)


def disk(p: Patient) -> Line:
    """Bad where nothing is taken in any more (`limits: {disk: …}`), to be looked at below twice as much room."""
    room = shutil.disk_usage(p.folder / "spool")
    least = p.limits.disk.of(room.total)
    verdict = graded(-room.free, -2 * least, -least)
    shown = f"{room.free / 1e9:.1f} GB of {room.total / 1e9:.1f} GB ({room.free / room.total:.0%})"
    return Line("disk", verdict, shown, "" if verdict == "ok" else f"du -xh -d 2 {p.folder / 'spool'} | sort -h")


def syncing(p: Patient) -> Line:
    """How long the disk takes to promise that bytes are there: every commit waits for it."""
    times = []
    with tempfile.TemporaryFile(dir=p.folder / "spool") as file:
        for _ in range(SYNCS):
            file.write(bytes(4096))
            file.flush()
            began = perf_counter()
            os.fsync(file.fileno())
            times.append(perf_counter() - began)
    times.sort()
    middle = times[SYNCS // 2]
    verdict = graded(middle, SLOW, STUCK)
    todo = "" if verdict == "ok" else "iostat -x 1 5"
    return Line("fsync", verdict, f"p50 {middle * 1000:.1f} ms · max {times[-1] * 1000:.1f} ms", todo)


def backup(p: Patient) -> Line:
    todo = f"touch {p.folder / 'spool' / BACKUP}"
    try:
        made = datetime.fromtimestamp((p.folder / "spool" / BACKUP).stat().st_mtime, UTC)
    except FileNotFoundError:
        return Line("backup", "look", "-", todo)
    verdict = graded(p.age(made), BACKUP_EVERY, 7 * BACKUP_EVERY)
    return Line("backup", verdict, span(p.age(made)), "" if verdict == "ok" else todo)
