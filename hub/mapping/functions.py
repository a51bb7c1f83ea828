"""The closed list of functions that `as:` may name. Each takes components and raises ValueError on bad input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from stdnum import imo, iso6346

Function = Callable[[Sequence[str], Mapping[str, str]], str]
_FORMATS = {"102": "%Y%m%d", "203": "%Y%m%d%H%M", "204": "%Y%m%d%H%M%S"}


def _moment(parts: Sequence[str]) -> datetime:
    value, code = [*parts[1:3], "", ""][:2] if len(parts) > 1 else (parts[0], "")
    if code not in _FORMATS or len(value) != len(datetime(2000, 1, 1).strftime(_FORMATS[code])):  # noqa: DTZ001
        raise ValueError(f"{value!r} in format {code!r}")
    return datetime.strptime(value, _FORMATS[code])  # noqa: DTZ007


def date_time(parts: Sequence[str], context: Mapping[str, str]) -> str:
    """C507 (2005:2380:2379) to xs:dateTime with the offset of the zone in `context["zone"]`."""
    return _moment(parts).replace(tzinfo=ZoneInfo(context["zone"])).isoformat()


def date(parts: Sequence[str], context: Mapping[str, str]) -> str:
    """C507 (2005:2380:2379) to xs:date."""
    return _moment(parts).date().isoformat()


def number(parts: Sequence[str], context: Mapping[str, str]) -> str:
    """A plain decimal with a point; the decimal mark may be a comma."""
    try:
        value = Decimal(parts[0].replace(",", "."))
    except InvalidOperation as error:
        raise ValueError(parts[0]) from error
    if not value.is_finite():
        raise ValueError(parts[0])
    return format(value, "f")


def imo_number(parts: Sequence[str], context: Mapping[str, str]) -> str:
    """Seven digits with a right check digit."""
    if not imo.is_valid(parts[0]):
        raise ValueError(parts[0])
    return str(imo.compact(parts[0]))


def container_number(parts: Sequence[str], context: Mapping[str, str]) -> str:
    """ISO 6346 with a right check digit."""
    if not iso6346.is_valid(parts[0]):
        raise ValueError(parts[0])
    return str(iso6346.compact(parts[0]))


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
