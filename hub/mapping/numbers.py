"""Numbers as decimals: what is a number, arithmetic that is the same everywhere, units of measure."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation

_PLAIN = re.compile(r"-?[0-9]{1,35}(?:[.,][0-9]{1,35})?")
_EXACT = Context(prec=76, rounding=ROUND_HALF_UP)
_QUOTIENT = Context(prec=30, rounding=ROUND_HALF_UP)
PLACES = 15  # decimal places that may be asked for


def decimal(text: str) -> Decimal:
    """A plain decimal; the decimal mark may be a comma. Not what Decimal takes beside it: NaN, 1E+9 (nine letters that
    become a gigabyte of zeros), digits of other scripts. ValueError on anything else."""
    if not _PLAIN.fullmatch(text):
        raise ValueError(text)
    return Decimal(text.replace(",", "."))


def maybe(text: str) -> Decimal | None:
    """The number that `text` is, or None."""
    return Decimal(text.replace(",", ".")) if _PLAIN.fullmatch(text) else None


def plain(number: Decimal) -> str:
    """Without exponent and without zeros at the end."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def total(left: Decimal, right: Decimal) -> Decimal:
    return _EXACT.add(left, right)


def rounded(text: str, places: int) -> str:
    """Commercially: a half goes away from zero. ValueError when there are too many digits."""
    try:
        return format(_EXACT.quantize(decimal(text), Decimal(1).scaleb(-places)), "f")
    except InvalidOperation as fault:
        raise ValueError(text) from fault


def times(text: str, factor: Decimal) -> str:
    return plain(_EXACT.multiply(decimal(text), factor))


UNITS = {
    "KGM": ("mass", "1"),
    "GRM": ("mass", "0.001"),
    "TNE": ("mass", "1000"),
    "LBR": ("mass", "0.45359237"),
    "STN": ("mass", "907.18474"),
    "LTN": ("mass", "1016.0469088"),
    "MTR": ("length", "1"),
    "MMT": ("length", "0.001"),
    "CMT": ("length", "0.01"),
    "KMT": ("length", "1000"),
    "INH": ("length", "0.0254"),
    "FOT": ("length", "0.3048"),
    "NMI": ("length", "1852"),
    "MTQ": ("volume", "1"),
    "LTR": ("volume", "0.001"),
    "DMQ": ("volume", "0.001"),
    "CMQ": ("volume", "0.000001"),
    "FTQ": ("volume", "0.028316846592"),
    "MTK": ("area", "1"),
    "FTK": ("area", "0.09290304"),
    "SEC": ("time", "1"),
    "MIN": ("time", "60"),
    "HUR": ("time", "3600"),
    "DAY": ("time", "86400"),
}
"""UNECE Recommendation 20: what a unit measures, and how many of its base unit it is (exact by definition)."""


def converted(text: str, from_: str, to: str) -> str:
    """A number of one unit in another of the same kind."""
    exact = _EXACT.multiply(decimal(text), Decimal(UNITS[from_][1]))
    return plain(_QUOTIENT.divide(exact, Decimal(UNITS[to][1])))
