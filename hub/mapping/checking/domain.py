"""The values that a place of a standard may hold, or that a rule may give, and whether one fits into the other."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from hub.mapping import numbers

Form = Literal["any", "text", "integer", "decimal", "date", "date-time"]
Fault = Literal["refused", "long", "form", "letters"]
NUMERIC = ("integer", "decimal")
_FOREIGN = re.compile(r"\\[pPicIC]|-\[|&&")
"""What patterns of XML Schema have and Python's do not; nothing is said of those."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A set of texts.

    form      what they look like; "any" when nothing is known
    codes     all of them, when it is a closed list
    patterns  each a choice of patterns, one of which must match
    least     characters; most: 0 when there is no bound
    digits    of a number, 0 when there is no bound; decimals: of them behind the mark, None when there is no bound
    name      of the identifier or type that they are, such as imo-number
    wide      True when letters of any script may be in it
    """

    form: Form = "text"
    codes: frozenset[str] | None = None
    patterns: tuple[tuple[str, ...], ...] = ()
    least: int = 0
    most: int = 0
    digits: int = 0
    decimals: int | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    name: str = ""
    wide: bool = False

    def takes(self, text: str) -> bool:
        """False when `text` is surely none of these."""
        if self.codes is not None and text not in self.codes:
            return False
        if self.form in NUMERIC and not self._number(text):
            return False
        if self.form in ("date", "date-time") and not text[:1].isdigit():
            return False
        if self.form not in NUMERIC and (len(text) < self.least or (self.most and len(text) > self.most)):
            return False
        return all(any(_matches(one, text) for one in choice) for choice in self.patterns)

    def _number(self, text: str) -> bool:
        found = numbers.maybe(text.removeprefix("+"))
        if found is None or (self.form == "integer" and found != found.to_integral_value()):
            return False
        if (self.low is not None and found < self.low) or (self.high is not None and found > self.high):
            return False
        written = found.as_tuple()
        behind = max(-int(written.exponent), 0)
        if self.decimals is not None and behind > self.decimals:
            return False
        return not self.digits or max(len(written.digits), behind) <= self.digits

    def united(self, other: Domain) -> Domain:
        """What is in one of them."""
        if "any" in (self.form, other.form):
            return Domain("any")
        same = self.form == other.form
        both = self.codes is not None and other.codes is not None
        return Domain(
            self.form if same else "text",
            (self.codes or frozenset()) | (other.codes or frozenset()) if both else None,
            self.patterns if self.patterns == other.patterns else (),
            min(self.least, other.least),
            max(self.most, other.most) if self.most and other.most else 0,
            max(self.digits, other.digits) if self.digits and other.digits else 0,
            None if self.decimals is None or other.decimals is None else max(self.decimals, other.decimals),
            None if self.low is None or other.low is None else min(self.low, other.low),
            None if self.high is None or other.high is None else max(self.high, other.high),
            self.name if self.name == other.name else "",
            self.wide or other.wide,
        )


@lru_cache(maxsize=4096)
def _matches(pattern: str, text: str) -> bool:
    if _FOREIGN.search(pattern):
        return True
    try:
        return re.fullmatch(pattern, text) is not None
    except re.error:
        return True


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a value does not always go into a place; `sure` when it never does."""

    fault: Fault
    found: str
    expected: str
    sure: bool = False


def misfits(value: Domain, place: Domain) -> list[Misfit]:
    """Everything that keeps some of `value` from `place`."""
    if "any" in (value.form, place.form):
        return []
    if value.codes is not None:
        return _codes(value.codes, place)
    found = _form(value, place) or _length(value, place)
    if value.wide and not place.wide and place.form == "text" and place.codes is None and not place.patterns:
        found.append(Misfit("letters", "Unicode", "EDIFACT"))
    return found


def _codes(codes: frozenset[str], place: Domain) -> list[Misfit]:
    bad = sorted(code for code in codes if code and not place.takes(code))
    if not bad:
        return []
    sure = len(bad) == len(codes - {""})
    lengths = place.most and all(len(code) > place.most for code in bad)
    return [Misfit("long" if lengths else "refused", ", ".join(bad[:12]), said(place), sure)]


def _length(value: Domain, place: Domain) -> list[Misfit]:
    if place.name and place.name == value.name:
        return []
    if place.form in NUMERIC and value.form in NUMERIC:
        if place.digits and not 0 < value.digits <= place.digits:
            return [Misfit("long", said(value), said(place))]
        return []
    most = value.most or (value.digits and value.digits + 2)
    if place.most and not 0 < most <= place.most and place.form == "text":
        return [Misfit("long", said(value), said(place))]
    return []


def _form(value: Domain, place: Domain) -> list[Misfit]:
    if _fits(value, place):
        return []
    return [Misfit("form", said(value), said(place))]


def _fits(value: Domain, place: Domain) -> bool:
    if place.codes is not None:
        return False
    if place.name and value.name == place.name:
        return True
    if place.form in NUMERIC:
        return _number_fits(value, place)
    if place.form in ("date", "date-time"):
        return value.form == place.form
    return set(place.patterns) <= set(value.patterns) and max(value.least, 1) >= place.least


def _number_fits(value: Domain, place: Domain) -> bool:
    if value.form not in NUMERIC or (place.form == "integer" and value.form != "integer"):
        return False
    if place.decimals is not None and value.form != "integer" and not _rounded(value, place.decimals):
        return False
    if place.low is not None and (value.low is None or value.low < place.low):
        return False
    if place.high is not None and not _below(value, place.high):
        return False
    return set(place.patterns) <= set(value.patterns) or not place.patterns or value.low is not None


def _rounded(value: Domain, decimals: int) -> bool:
    return value.decimals is not None and value.decimals <= decimals


def _below(value: Domain, high: Decimal) -> bool:
    if value.high is not None:
        return value.high <= high
    return bool(value.digits) and Decimal(10) ** value.digits - 1 <= high


def said(domain: Domain) -> str:
    """As a person reads it: "date", "text of at most 35", "one of 1, 2"."""
    if domain.codes is not None:
        listed = sorted(domain.codes)
        return f"one of {', '.join(listed[:8])}{' …' if len(listed) > 8 else ''}"
    if domain.patterns:
        return f"{domain.name} {' | '.join(domain.patterns[-1])}".strip()
    if domain.name:
        return domain.name
    if domain.form in NUMERIC:
        behind = f", {domain.decimals} decimals" if domain.decimals is not None and domain.form == "decimal" else ""
        range = "".join(
            f" {sign} {bound}" for sign, bound in (("≥", domain.low), ("≤", domain.high)) if bound is not None
        )
        return f"{domain.form}{f' of {domain.digits} digits' if domain.digits else ''}{behind}{range}"
    return f"{domain.form}{f' of at most {domain.most}' if domain.most else ''}"


def texts(*codes: str) -> Domain:
    """A closed list."""
    longest = max(map(len, codes), default=0)
    return Domain(codes=frozenset(codes), least=min(map(len, codes), default=0), most=longest)


def narrowed(domain: Domain, most: int) -> Domain:
    """The beginnings of so many characters."""
    if domain.codes is not None:
        return texts(*(code[:most] for code in domain.codes))
    most = min(domain.most or most, most)
    return replace(domain, form="text", patterns=(), name="", most=most, digits=0) if domain.most != most else domain
