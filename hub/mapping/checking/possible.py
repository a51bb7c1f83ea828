"""What a value of a mapping can be, and what the functions of `as:` make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from hub.mapping.checking.conditions import Place
from hub.mapping.checking.domain import Domain, texts
from hub.mapping.functions import step
from hub.mapping.moments import DAYS
from hub.mapping.plan import word
from hub.mapping.rules import Branch, Rule
from hub.standards import identifiers


@dataclass(frozen=True, slots=True)
class Possible:
    """What a value can be.

    gap     what need not be there, so that it comes out empty; "" when it never does
    many    what may be there several times, of which only the first is taken
    places  where there is a value at one of these, this is one; None when that cannot be said
    """

    domain: Domain
    gap: str = ""
    many: str = ""
    places: frozenset[Place] | None = frozenset()

    def or_else(self, other: Possible) -> Possible:
        """This one, or the other where there is none."""
        if not self.gap:
            return self
        places = self.places | other.places if self.places is not None and other.places is not None else None
        many = self.many or other.many
        return Possible(self.domain.united(other.domain), other.gap and self.gap, many, places)


def stepped(made: Possible, rule: Rule) -> Possible:
    """After one function."""
    one = step(rule)
    name = one.name.partition(" ")[0]
    argument = rule.entries[0][1] if isinstance(rule, Branch) else None
    if made.domain.codes is not None and one.gives == "text" and name not in ("moment", "edifact-date"):
        return _of_codes(made, one.call)
    domain = _FUNCTIONS[name](made.domain, argument)
    gap = made.gap
    if name in ("digits", "letters") or (name == "slice" and word(argument.items[0]) != "1"):  # type: ignore[union-attr]
        gap = gap or name
    if name == "replace" and any(not word(new) for _, new in argument.entries):  # type: ignore[union-attr]
        gap = gap or name
    return replace(made, domain=domain, gap=gap)


def _of_codes(made: Possible, call: Any) -> Possible:
    found: list[str] = []
    for code in made.domain.codes or ():
        try:
            found.append(call(code, {}))
        except ValueError:
            continue
    gap = made.gap or ("" if all(found) and found else "as")
    return replace(made, domain=texts(*filter(None, found)), gap=gap)


def _same(domain: Domain, argument: Rule | None) -> Domain:
    return replace(domain, form="text" if domain.form != "any" else "any")


def _other(domain: Domain, argument: Rule | None) -> Domain:
    """Of other letters and no longer."""
    return Domain(most=domain.most, wide=domain.wide, least=min(domain.least, 1))


def _digits(domain: Domain, argument: Rule | None) -> Domain:
    return Domain(most=domain.most, patterns=(("[0-9]*",),))


def _padded(domain: Domain, argument: Rule | None) -> Domain:
    width = int(word(argument.items[0]))  # type: ignore[union-attr]
    return replace(
        _same(domain, None), patterns=(), name="", least=width, most=max(domain.most, width) if domain.most else 0
    )


def _sliced(domain: Domain, argument: Rule | None) -> Domain:
    start, stop = (int(word(one)) for one in argument.items)  # type: ignore[union-attr]
    return Domain(most=stop - start + 1, wide=domain.wide)


def _rounded(domain: Domain, argument: Rule | None) -> Domain:
    places = int(word(argument))  # type: ignore[arg-type]
    base = domain if domain.form in ("integer", "decimal") else Domain("decimal")
    return replace(base, form="decimal" if places else "integer", decimals=places, patterns=(), name="")


def _numeric(domain: Domain, argument: Rule | None) -> Domain:
    return domain if domain.form in ("integer", "decimal") else Domain("decimal")


def _day(domain: Domain, argument: Rule | None, form: Any, given: str = "") -> Domain:
    code = given or (word(argument) if argument else "")
    if not code:
        return Domain(form)
    long = {"2": 6, "101": 6, "102": 8, "201": 10, "203": 12, "204": 14}[code]
    return Domain(least=long, most=long, patterns=((f"[0-9]{{{long}}}",),))


def _read(domain: Domain, argument: Rule | None) -> Domain:
    return Domain("date" if word(argument) in DAYS else "any")  # type: ignore[arg-type]


def _identifier(domain: Domain, argument: Rule | None, name: str) -> Domain:
    return Domain(most=domain.most, name=name)


_FUNCTIONS: dict[str, Callable[[Domain, Rule | None], Domain]] = {
    "trim": _same,
    "upper": _other,
    "lower": _other,
    "collapse": _other,
    "letters": _other,
    "digits": _digits,
    "pad": _padded,
    "slice": _sliced,
    "replace": lambda domain, _: Domain(wide=domain.wide),
    "number": _numeric,
    "round": _rounded,
    "times": lambda domain, _: Domain("decimal"),
    "unit": lambda domain, _: Domain("decimal"),
    "date": partial(_day, form="date"),
    "date-time": partial(_day, form="date-time"),
    "edifact-date": partial(_day, form="text", given="203"),
    "moment": partial(_day, form="text"),
    "read": _read,
    **{name: partial(_identifier, name=name) for name in identifiers.NAMES},
}
