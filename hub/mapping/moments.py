"""Dates and times: C507 of EDIFACT, xs:date and xs:dateTime, and the formats of data element 2379."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

FORMATS = {
    "2": "%d%m%y",
    "101": "%y%m%d",
    "102": "%Y%m%d",
    "201": "%y%m%d%H%M",
    "203": "%Y%m%d%H%M",
    "204": "%Y%m%d%H%M%S",
}
"""Data element 2379 as strftime writes it. Years of two digits are 1969 to 2068 (POSIX)."""
DAYS = frozenset(("2", "101", "102"))
_LENGTHS = {code: len(datetime(2026, 1, 1).strftime(form)) for code, form in FORMATS.items()}  # noqa: DTZ001


def read(value: str, code: str) -> datetime:
    """The local time that `value` is in format 2379 `code`. ValueError when it is none."""
    if len(value) != _LENGTHS.get(code) or not (value.isdecimal() and value.isascii()):
        raise ValueError(f"{value!r} in format {code!r}")
    if FORMATS[code][:2] == "%Y":  # as strptime, which is ten times slower
        hour, minute, second = (int(value[at : at + 2] or 0) for at in (8, 10, 12))
        return datetime(int(value[:4]), int(value[4:6]), int(value[6:8]), hour, minute, second)  # noqa: DTZ001
    return datetime.strptime(value, FORMATS[code])  # noqa: DTZ007


def moment(value: str | Sequence[str]) -> datetime:
    """Of a composite (2005:2380:2379) or of an xs:date or xs:dateTime, which may have an offset. ValueError."""
    if not isinstance(value, str):
        parts = [*value[1:3], "", ""] if len(value) > 1 else [*value[:1], "", ""]
        return read(parts[0], parts[1])
    if not value[:1].isdigit() or not value.isascii() or value[4:5] != "-":
        raise ValueError(value)
    return datetime.fromisoformat(value)


def _zone(context: Mapping[str, str]) -> ZoneInfo:
    return ZoneInfo(context.get("zone", "UTC"))


def _zoned(value: str | Sequence[str], context: Mapping[str, str]) -> datetime:
    """With the offset that it says, or that of the port's zone."""
    found = moment(value)
    return found if found.tzinfo else found.replace(tzinfo=_zone(context))


def to_date(value: str | Sequence[str], context: Mapping[str, str]) -> str:
    """xs:date, of the day as it was written."""
    return moment(value).date().isoformat()


def to_date_time(value: str | Sequence[str], context: Mapping[str, str]) -> str:
    """xs:dateTime with an offset: the one it was written with, else that of `context["zone"]`."""
    return _zoned(value, context).isoformat()


def to_format(value: str | Sequence[str], code: str, context: Mapping[str, str]) -> str:
    """In format 2379 `code`; times are those of `context["zone"]`."""
    if code in DAYS:
        return _written(moment(value), code)
    try:
        return _written(_zoned(value, context).astimezone(_zone(context)), code)
    except OverflowError as fault:  # the first and the last day that there is
        raise ValueError(str(value)) from fault


def _written(moment: datetime, code: str) -> str:
    return moment.strftime(FORMATS[code].replace("%Y", f"{moment.year:04d}"))  # %Y has no leading zeros on Linux


def from_format(value: str, code: str) -> str:
    """Text in format 2379 `code` as xs:date or, without an offset, xs:dateTime."""
    found = read(value, code)
    return found.date().isoformat() if code in DAYS else found.isoformat()


def day(text: str) -> date | None:
    """The day of an xs:date, an xs:dateTime or eight digits (format 102 and longer); None of anything else."""
    try:
        return read(text[:8], "102").date() if text[:8].isdecimal() else moment(text).date()
    except ValueError:
        return None


def instant(text: str, zone: str) -> datetime | None:
    """What two of them are compared by, None when it is no moment."""
    try:
        found = moment(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))
