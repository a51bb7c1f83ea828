"""One line of the page, and what the checks look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from hub.journal.journal import Journal
from hub.site.model import Limits

Verdict = Literal["ok", "look", "bad"]


@dataclass(frozen=True, slots=True)
class Line:
    """What one check says. `check` is a key of table `check` in the catalogue (title and remedy in both languages),
    `found` what was seen, the same in every language; `todo` the command to type next, "" where all is well."""

    check: str
    verdict: Verdict
    found: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """One hub. The checks only read, but for a few bytes that the check of the disk writes and removes. `limits` are
    the site's, or the usual ones where its declarations cannot be read."""

    folder: Path
    journal: Journal
    now: datetime
    limits: Limits = field(default_factory=Limits)

    def age(self, since: datetime) -> timedelta:
        return self.now - since


def graded(value: timedelta | float, look: timedelta | float, bad: timedelta | float) -> Verdict:
    """`look` above the first limit, `bad` above the second."""
    return "bad" if value > bad else "look" if value > look else "ok"  # type: ignore[operator]


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them; ok for none."""
    return max(verdicts, key=("ok", "look", "bad").index, default="ok")


def span(time: timedelta) -> str:
    """A time as its two largest units: 3 d 4 h, 12 m 5 s, 0.4 s."""
    seconds = max(0.0, time.total_seconds())
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    first = next(at for at, (number, _) in enumerate(parts) if number)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number)
