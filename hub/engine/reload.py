"""New declarations for a hub that runs: when its files have changed, and what became of them.

The supervisor looks, reads and checks (hub.engine.supervisor); what it found is kept in spool/run/declarations.json,
where `eport status` finds it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from hub.engine import roster
from hub.finding import Finding
from hub.rejection import as_rows

EVERY = 0.5
"""Seconds between two looks."""
_TOLD = "declarations.json"
_Stamps = dict[str, tuple[int, int, int]]


class Watch:
    """Looks at routes.yaml and at the files of mappings/ and schemas/, golden cases apart.

    A change is told when two looks have found the same: whoever writes several files, or a long one, may finish."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.next = 0.0
        self.known = self.fresh = _stamps(folder)

    def changed(self, now: float) -> bool:
        """True once for each change. `now` in seconds of a clock that only goes on."""
        if now < self.next:
            return False
        self.next = now + EVERY
        before, self.fresh = self.fresh, _stamps(self.folder)
        if self.fresh == self.known or self.fresh != before:
            return False
        self.known = self.fresh
        return True

    def settle(self) -> None:
        """What is there now is about to be read."""
        self.known = self.fresh = _stamps(self.folder)


def _stamps(folder: Path) -> _Stamps:
    """Of each file what changes when it is written or replaced."""
    return {file: stamp for room in ("routes.yaml", "mappings", "schemas") for file, stamp in _below(folder / room)}


def _below(path: Path) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """What goes while one looks is not there."""
    with suppress(FileNotFoundError):
        if path.is_dir():
            for name in os.listdir(path):
                if name != "cases" and not name.startswith(".") and not name.endswith("~"):
                    yield from _below(path / name)
        else:
            found = path.stat()
            yield str(path), (found.st_mtime_ns, found.st_size, found.st_ino)


# ---- what became of them


def active(folder: Path, fingerprint: str, at: datetime) -> None:
    """The declarations in the files are those that run."""
    _write(folder, {"state": "active", "fingerprint": fingerprint, "at": at.isoformat(), "findings": []})


def refused(folder: Path, fingerprint: str, findings: Sequence[Finding], why: str, at: datetime) -> None:
    """The declarations in the files are wrong; those with this fingerprint stay. `why` where there is no finding."""
    rows = as_rows(findings)
    told = {"state": "refused", "fingerprint": fingerprint, "at": at.isoformat(), "why": why, "findings": rows}
    _write(folder, told)


def standing(folder: Path) -> dict[str, Any]:
    """What was told last: state, at, the fingerprint of what runs, why, findings; {} when no `eport up` runs here."""
    if not roster.supervised(folder):
        return {}
    try:
        found: dict[str, Any] = json.loads(_file(folder).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return found


def _write(folder: Path, told: dict[str, Any]) -> None:
    file = _file(folder)
    fresh = file.with_suffix(".new")
    with suppress(OSError):  # a full disk is no reason for the supervisor to end
        fresh.write_text(json.dumps(told, ensure_ascii=False), "utf-8")
        fresh.rename(file)


def _file(folder: Path) -> Path:
    return folder / "spool" / "run" / _TOLD
