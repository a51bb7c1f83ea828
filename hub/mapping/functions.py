"""The closed list of functions that `as:` may name. Each takes components and raises ValueError on bad input."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from stdnum import imo, iso6346

Function = Callable[[Sequence[str], Mapping[str, str]], str]
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,35}(?:[.,][0-9]{1,35})?")
_DIGITS = {"102": 8, "203": 12, "204": 14}  # CCYYMMDD, with HHMM, with SS


def _moment(parts: Sequence[str]) -> datetime:
    value, code = [*parts[1:3], "", ""][:2] if len(parts) > 1 else (parts[0], "")
    if len(value) != _DIGITS.get(code) or not (value.isdecimal() and value.isascii()):
        raise ValueError(f"{value!r} in format {code!r}")
    hour, minute, second = (int(value[at : at + 2] or 0) for at in (8, 10, 12))
    return datetime(int(value[:4]), int(value[4:6]), int(value[6:8]), hour, minute, second)  # noqa: DTZ001


def date_time(parts: Sequence[str], context: Mapping[str, str]) -> str:
    """C507 (2005:2380:2379) to xs:dateTime with the offset of the zone in `context["zone"]`."""
    return _moment(parts).replace(tzinfo=ZoneInfo(context["zone"])).isoformat()


def date(parts: Sequence[str], context: Mapping[str, str]) -> str:
    """C507 (2005:2380:2379) to xs:date."""
    return _moment(parts).date().isoformat()


def number(parts: Sequence[str], context: Mapping[str, str]) -> str:
    """A plain decimal with a point; the decimal mark may be a comma. Not what Decimal takes beside it: NaN, 1E+9 (nine
    letters that become a gigabyte of zeros), digits of other scripts."""
    if not _PLAIN_NUMBER.fullmatch(parts[0]):
        raise ValueError(parts[0])
    return format(Decimal(parts[0].replace(",", ".")), "f")


@lru_cache(maxsize=4096)
def _ship(text: str) -> str:
    return str(imo.validate(text))


@lru_cache(maxsize=4096)
def _container(text: str) -> str:
    """A container comes several times in one message: with its seals, and with everything that is in it."""
    return str(iso6346.validate(text))


def imo_number(parts: Sequence[str], context: Mapping[str, str]) -> str:
    """Seven digits with a right check digit."""
    try:
        return _ship(parts[0])
    except ValueError as error:
        raise ValueError(parts[0]) from error


def container_number(parts: Sequence[str], context: Mapping[str, str]) -> str:
    """ISO 6346 with a right check digit."""
    try:
        return _container(parts[0])
    except ValueError as error:
        raise ValueError(parts[0]) from error


def edifact_date(parts: Sequence[str], context: Mapping[str, str]) -> str:
    """xs:dateTime to CCYYMMDDHHMM (2379 = 203) in the zone `context["zone"]`."""
    return datetime.fromisoformat(parts[0]).astimezone(ZoneInfo(context["zone"])).strftime("%Y%m%d%H%M")


FUNCTIONS: dict[str, Function] = {
    "edifact-date": edifact_date,
    "date-time": date_time,
    "date": date,
    "number": number,
    "imo-number": imo_number,
    "container-number": container_number,
    "upper": lambda parts, _: parts[0].upper(),
    "trim": lambda parts, _: parts[0].strip(),
    "digits": lambda parts, _: "".join(c for c in parts[0] if c in "0123456789"),
}
