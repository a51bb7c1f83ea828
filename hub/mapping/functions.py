"""The closed list of functions that `as:` may name, with what each takes and gives.

A function is a word (`as: trim`) or a word with its argument (`as: {pad: [6, "0"]}`); several make a list. A function
raises ValueError on a value that it cannot take, which becomes a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Literal

from hub.mapping import moments, numbers
from hub.mapping.plan import bad, like, word
from hub.mapping.rules import Branch, Listing, Rule, Spot, Text
from hub.standards import identifiers

Type = Literal["text", "number", "moment", "composite"]
Call = Callable[[Any, Mapping[str, str]], str]
LONGEST = 1_000_000  # characters of a value that a function makes
WIDEST = 1_000  # characters that pad fills up to
_APART = str.maketrans("", "", " -")
_TEXTS: frozenset[Type] = frozenset(("text", "number", "moment"))
_NUMBERS: frozenset[Type] = frozenset(("text", "number"))
_MOMENTS: frozenset[Type] = frozenset(("text", "moment", "composite"))


@dataclass(frozen=True, slots=True)
class Function:
    """`make` builds it for the argument that was written, None when there was none; it raises ValueError with what is
    to be written. A text may turn out to be a number or a moment; the other way round nothing is guessed."""

    takes: frozenset[Type]
    gives: Type
    make: Callable[[Rule | None], Call]


@dataclass(frozen=True, slots=True)
class Step:
    """One function of a rule, ready to be called."""

    name: str  # with its argument
    call: Call
    takes: frozenset[Type]
    gives: Type


def step(rule: Rule) -> Step:
    """A function as a mapping file writes it. Raises DeclarationError."""
    name, argument, spot = _parts(rule)
    function = FUNCTIONS.get(name)
    if function is None:
        raise bad(spot, name, like(name, FUNCTIONS))
    try:
        call = function.make(argument)
    except ValueError as fault:
        raise bad(argument.spot if argument else spot, name, str(fault)) from fault
    said = [name, *(_words(argument) if argument else ())]
    return Step(" ".join(said), call, function.takes, function.gives)


def _parts(rule: Rule) -> tuple[str, Rule | None, Spot]:
    if isinstance(rule, Text):
        return rule.value, None, rule.spot
    if isinstance(rule, Branch) and len(rule.entries) == 1:
        return *rule.entries[0], rule.keys[0] if rule.keys else rule.spot
    raise bad(rule.spot, "several words", "a function, or {function: argument}")


def _words(rule: Rule) -> list[str]:
    if isinstance(rule, Text):
        return [rule.value]
    if isinstance(rule, Listing):
        return [word(item) for item in rule.items]
    return [f"{name}={word(inner)}" for name, inner in rule.entries]


# ---- arguments


def _alone(call: Call) -> Callable[[Rule | None], Call]:
    """A function that takes no argument."""

    def make(rule: Rule | None) -> Call:
        if rule is not None:
            raise ValueError("the word alone")
        return call

    return make


def _whole(rule: Rule, least: int, most: int) -> int:
    text = word(rule)
    if not (text.isascii() and text.isdecimal() and least <= int(text[:9]) <= most):
        raise ValueError(f"a whole number from {least} to {most}")
    return int(text)


def _pad(rule: Rule | None) -> Call:
    if not isinstance(rule, Listing) or len(rule.items) != 2 or len(word(rule.items[1])) != 1:
        raise ValueError('{pad: [width, "character"]}')
    width, filler = _whole(rule.items[0], 1, WIDEST), word(rule.items[1])
    return lambda value, _: value.rjust(width, filler)


def _slice(rule: Rule | None) -> Call:
    if not isinstance(rule, Listing) or len(rule.items) != 2:
        raise ValueError("{slice: [first character, last character]}, counted from 1")
    start = _whole(rule.items[0], 1, LONGEST)
    stop = _whole(rule.items[1], start, LONGEST)
    return lambda value, _: value[start - 1 : stop]


def _replace(rule: Rule | None) -> Call:
    if not isinstance(rule, Branch) or not rule.entries or not all(old for old, _ in rule.entries):
        raise ValueError("{replace: {text: other text}}")
    pairs = [(old, word(new)) for old, new in rule.entries]

    def call(value: str, _: Mapping[str, str]) -> str:
        for old, new in pairs:
            if len(value) + value.count(old) * (len(new) - len(old)) > LONGEST:
                raise ValueError(value[:80])
            value = value.replace(old, new)
        return value

    return call


def _round(rule: Rule | None) -> Call:
    if rule is None:
        raise ValueError("{round: decimal places}")
    places = _whole(rule, 0, numbers.PLACES)
    return lambda value, _: numbers.rounded(value, places)


def _times(rule: Rule | None) -> Call:
    factor = numbers.maybe(word(rule)) if rule else None
    if factor is None:
        raise ValueError("{times: number}")
    known: Decimal = factor
    return lambda value, _: numbers.times(value, known)


def _unit(rule: Rule | None) -> Call:
    if not isinstance(rule, Listing) or len(rule.items) != 2:
        raise ValueError("{unit: [KGM, TNE]}, from and to")
    from_, to = (word(item) for item in rule.items)
    for unit in (from_, to):
        if unit not in numbers.UNITS:
            raise ValueError(like(unit, numbers.UNITS))
    if numbers.UNITS[from_][0] != numbers.UNITS[to][0]:
        same = (unit for unit, (kind, _) in numbers.UNITS.items() if kind == numbers.UNITS[from_][0])
        raise ValueError(f"a unit of {numbers.UNITS[from_][0]}: {', '.join(sorted(same))}")
    return lambda value, _: numbers.converted(value, from_, to)


def _code(rule: Rule | None, known: Any) -> str:
    code = word(rule) if rule else ""
    if code not in known:
        raise ValueError(f"a format of data element 2379: {', '.join(known)}")
    return code


def _date(rule: Rule | None) -> Call:
    if rule is None:
        return moments.to_date
    code = _code(rule, sorted(moments.DAYS))
    return lambda value, context: moments.to_format(value, code, context)


def _moment(rule: Rule | None) -> Call:
    code = _code(rule, [code for code in moments.FORMATS if code not in moments.DAYS])
    return lambda value, context: moments.to_format(value, code, context)


def _read(rule: Rule | None) -> Call:
    code = _code(rule, list(moments.FORMATS))
    return lambda value, _: moments.from_format(value, code)


# ---- functions


def _letters(value: str, _: Mapping[str, str]) -> str:
    return "".join(c for c in value if c.isalpha())


def _digits(value: str, _: Mapping[str, str]) -> str:
    return "".join(c for c in value if c in "0123456789")


def _identifier(value: str, _: Mapping[str, str], name: str, prefix: str) -> str:
    """The value when it is right as `hub.standards.identifiers` has it; `prefix`, blanks and hyphens may be around a
    right one."""
    for tried in (value, value.translate(_APART).upper().removeprefix(prefix)):
        if identifiers.check(name, tried) is None:
            return tried
    raise ValueError(value)


def _text(call: Call) -> Function:
    return Function(_TEXTS, "text", _alone(call))


FUNCTIONS: dict[str, Function] = {
    "trim": _text(lambda value, _: value.strip()),
    "upper": _text(lambda value, _: value.upper()),
    "lower": _text(lambda value, _: value.lower()),
    "digits": _text(_digits),
    "letters": _text(_letters),
    "collapse": _text(lambda value, _: " ".join(value.split())),
    "pad": Function(_TEXTS, "text", _pad),
    "slice": Function(_TEXTS, "text", _slice),
    "replace": Function(_TEXTS, "text", _replace),
    "number": Function(_NUMBERS, "number", _alone(lambda value, _: format(numbers.decimal(value), "f"))),
    "round": Function(_NUMBERS, "number", _round),
    "times": Function(_NUMBERS, "number", _times),
    "unit": Function(_NUMBERS, "number", _unit),
    "date": Function(_MOMENTS, "moment", _date),
    "date-time": Function(_MOMENTS, "moment", _alone(moments.to_date_time)),
    "edifact-date": Function(_MOMENTS, "text", _alone(lambda value, c: moments.to_format(value, "203", c))),
    "moment": Function(_MOMENTS, "text", _moment),
    "read": Function(frozenset(("text",)), "moment", _read),
    **{
        name: _text(partial(_identifier, name=name, prefix="IMO" if name == "imo-number" else ""))
        for name in sorted(identifiers.NAMES)
    },
}
