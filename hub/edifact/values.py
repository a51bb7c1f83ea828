"""The form of one value: kind of characters, length, decimal notation (ISO 9735:1988 §10; ISO 9735-1:2002 §10).

Lengths count characters as they stand behind un-escaping. In numeric values the minus sign and the decimal mark do
not count; the mark is a comma or a point, whatever UNA says, and has a digit on either side. Neither thousands marks
nor exponents are numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

Judge = Callable[[str], str | None]
"""Of a value that is not empty: the code of what is wrong with it, or None."""

_PICTURE = re.compile(r"(an|a|n)(\.\.)?([0-9]+)$")
_NUMBER = re.compile(r"-?[0-9]+([.,][0-9]+)?", re.ASCII)
_DIGIT_MISSING = re.compile(r"-?[.,][0-9]+", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9.,]*[.,][0-9.,]*", re.ASCII)


def most(picture: str) -> int:
    """The length up to which every value has the form `picture`; 0 when more than the length has to be asked."""
    match = _PICTURE.match(picture)
    return int(match[3]) if match and match[1] == "an" and match[2] else 0


@cache
def judge(picture: str) -> Judge:
    """The judge of `picture`: an..35, n6, a3. A picture that is not known (some tables lack a few) refuses nothing."""
    match = _PICTURE.match(picture)
    if not match:
        return lambda value: None
    longest = int(match[3])
    shortest = 1 if match[2] else longest

    def length(size: int) -> str | None:
        if size > longest:
            return "edifact.element_too_long"
        return "edifact.element_too_short" if size < shortest else None

    def alphanumeric(value: str) -> str | None:
        return length(len(value))

    def alphabetic(value: str) -> str | None:
        if any(sign.isdigit() for sign in value):
            return "edifact.character_type"
        return length(len(value))

    def numeric(value: str) -> str | None:
        if value.isdecimal() and value.isascii():
            return length(len(value))
        if not _NUMBER.fullmatch(value):
            return _number_fault(value)
        return length(sum(map(str.isdecimal, value)))

    return {"an": alphanumeric, "a": alphabetic, "n": numeric}[match[1]]


def _number_fault(value: str) -> str:
    if _DIGIT_MISSING.fullmatch(value):
        return "edifact.decimal_digit_missing"
    if _DECIMAL.fullmatch(value):
        return "edifact.decimal_invalid"
    return "edifact.character_type"
