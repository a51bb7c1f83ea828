"""Dates, times and periods as element 2379 names them: `CCYYMMDDHHMM`, `YYWWD`, `CCYYMMDD-CCYYMMDD` …

The names of the codes of 2379 are their pictures, the same in every directory from D.94A to D.21B. A hyphen between
two halves may be left out in the value, as the notes of the code list ask.
"""

from __future__ import annotations

import re
from calendar import isleap, monthrange
from collections.abc import Callable
from functools import cache

Right = Callable[[str], bool]

_NAMED = {"CC": "century", "YY": "year", "MM": "month", "DD": "day", "DDD": "ordinal", "HH": "hour", "SS": "second"}
_PLAIN = {
    "ZHHMM": r"[+-](?:0\d|1[0-4])[0-5]\d",
    "ZZZ": r"[A-Za-z0-9+-]{3}",
    "MMMM": r"\d{4}",
    "FFF": r"\d{3}",
    "WW": r"(?:0[1-9]|[1-4]\d|5[0-3])",
    "W": "[1-6]",
    "D": "[1-7]",
    "T": "T",
    "S": r"\d",
    "B": "[12]",
    "A": "[123]",
    "Q": "[1-4]",
    "PP": r"\d\d",
    "P": "[123]",
}
"""Parts of a picture that need no calendar. Z is the sign of an offset from UTC, ZZZ the letters of a zone."""

_PART = re.compile("|".join(sorted((*_NAMED, *_PLAIN), key=len, reverse=True)))


@cache
def judge(picture: str) -> Right | None:
    """Whether a value is a real date, time or period of this picture; None for what is no picture (801, "Year")."""
    halves = _halves(picture)
    if not halves:
        return None
    pattern = re.compile("-?".join(_pattern(half, at) for at, half in enumerate(halves)), re.ASCII)
    turns = range(len(halves))

    def right(value: str) -> bool:
        found = pattern.fullmatch(value)
        if found is None:
            return False
        numbers = {name: int(digits) for name, digits in found.groupdict().items()}
        return all(
            _real({name[:-1]: number for name, number in numbers.items() if name[-1] == str(at)}) for at in turns
        )

    return right


def _halves(picture: str) -> list[list[str]]:
    """The parts of a picture; two lists where it is a period, which may be written without hyphen (HHMMHHMM)."""
    halves: list[list[str]] = []
    for half in picture.split("-"):
        parts = _PART.findall(half)
        if "".join(parts) != half or not parts:
            return []
        again = next((at for at in range(1, len(parts)) if parts[at] == parts[0]), len(parts))
        halves += [parts[:again], parts[again:]] if again < len(parts) else [parts]
    return halves


def _pattern(parts: list[str], half: int) -> str:
    """MM behind HH are minutes, else a month."""
    pieces = []
    for at, part in enumerate(parts):
        name = _NAMED.get(part)
        if part == "MM" and "HH" in parts[:at]:
            name = "minute"
        pieces.append(rf"(?P<{name}{half}>\d{{{len(part)}}})" if name else _PLAIN[part])
    return "".join(pieces)


def _real(said: dict[str, int]) -> bool:
    """True when the calendar has this date and the clock this time; 24:00 is the end of a day."""
    year = said.get("century", 20) * 100 + said.get("year", 0)
    if "century" in said and "year" in said and not year:
        return False
    if "year" not in said:
        year = 2000
    if not 1 <= said.get("month", 1) <= 12:
        return False
    days = monthrange(year, said["month"])[1] if "month" in said else 31
    if not 1 <= said.get("day", 1) <= days or not 1 <= said.get("ordinal", 1) <= 365 + isleap(year):
        return False
    hour, minute, second = said.get("hour", 0), said.get("minute", 0), said.get("second", 0)
    return (hour < 24 or (hour == 24 and minute == second == 0)) and minute < 60 and second < 60
