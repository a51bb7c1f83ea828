"""Who runs on this machine: each role's process holds a lock whose name tells role and process id, in spool/run."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hub.journal.locks import Locks

_NAME = re.compile(r"role-([a-z]+)-([0-9]+)\.lock")
_DEATHS = "deaths.json"


@dataclass(frozen=True, slots=True)
class Process:
    """One running role. Memory in bytes, time of the processor in seconds; 0 where this system does not tell."""

    role: str
    pid: int
    memory: int = 0
    processor: float = 0.0


def enter(folder: Path, role: str) -> Locks:
    """This process runs `role` of the site in `folder` until the lock is closed or the process ends."""
    locks = Locks(_run(folder))
    while not locks.hold(f"role-{role}-{os.getpid()}"):
        time.sleep(0.001)  # somebody is just looking whether we run
    return locks


def running(folder: Path) -> list[Process]:
    """Every role that runs here, with what it uses, in the order of their names."""
    locks = Locks(_run(folder))
    found = []
    for path in sorted(_run(folder).glob("role-*.lock")):
        name = _NAME.fullmatch(path.name)
        if name and locks.held(path.stem):
            found.append(Process(name[1], int(name[2]), *_usage(int(name[2]))))
    return found


def supervised(folder: Path) -> bool:
    """True while `eport up` runs here."""
    return Locks(_run(folder)).held("hub")


def _usage(pid: int) -> tuple[int, float]:
    """Resident memory and processor time of a process, by proc(5): fields 14, 15 and 24 of stat."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return 0, 0.0
    ticks = int(stat[11]) + int(stat[12])
    return int(stat[21]) * os.sysconf("SC_PAGE_SIZE"), ticks / os.sysconf("SC_CLK_TCK")


def write_deaths(folder: Path, deaths: Mapping[str, int]) -> None:
    """How often each role has died, and was started again, since `eport up` began."""
    path = _run(folder) / _DEATHS
    fresh = path.with_suffix(".new")
    with suppress(OSError):  # a full disk is no reason for the supervisor to end as well
        fresh.write_text(json.dumps(deaths), "utf-8")
        fresh.rename(path)


def deaths(folder: Path) -> dict[str, int]:
    """What was written; {} when `eport up` has never run here."""
    try:
        found: dict[str, int] = json.loads((_run(folder) / _DEATHS).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return found


def _run(folder: Path) -> Path:
    return folder / "spool" / "run"
