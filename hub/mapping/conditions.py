"""Conditions: what `when:` may say.

path · path = 'x' · path != 'x' · path < 5 · path >= '2026-01-01' · path = other/path · path in ['a', 'b'] · not …
and {all: [...]}, {any: [...]}, {not: ...} of these. A `$name` may stand for a path.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from hub.mapping import moments, numbers
from hub.mapping.plan import Here, Leaf, Run, When, bad, like
from hub.mapping.rules import Listing, Rule, Spot, Text
from hub.mapping.sources import exists, first

_SAID = re.compile(r"'[^']*'")
_LIST = re.compile(r"\[\s*('[^']*'\s*(?:,\s*'[^']*'\s*)*)\]")
_SIGNS = ("!=", "<=", ">=", "=", "<", ">")
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
_EXPECTED = "path, path = 'x', path in ['a', 'b'], path < 5, not …, or all, any, not with others below"


@dataclass(frozen=True, slots=True)
class Condition:
    """`holds` in a run; `said` is how a person reads it."""

    holds: When
    said: str


def condition(rule: Rule, here: Here) -> Condition:
    """What a rule under `when:` says. Raises DeclarationError."""
    if isinstance(rule, Text):
        return Condition(_text(rule.value, here, rule.spot), rule.value)
    if isinstance(rule, Listing) or len(rule.entries) != 1:
        raise bad(rule.spot, "several conditions", "all: or any: with a list below")
    (name, inner), key = rule.entries[0], rule.keys[0] if rule.keys else rule.spot
    if name == "not":
        return _negated(condition(inner, here))
    if name not in ("all", "any"):
        raise bad(key, name, like(name, ("all", "any", "not")))
    if not isinstance(inner, Listing) or not inner.items:
        raise bad(inner.spot, name, "a list of conditions")
    each = [condition(item, here) for item in inner.items]
    said = f" {'and' if name == 'all' else 'or'} ".join(f"({one.said})" for one in each)
    tests = tuple(one.holds for one in each)
    if name == "all":
        return Condition(lambda run: all(test(run) for test in tests), said)
    return Condition(lambda run: any(test(run) for test in tests), said)


def _negated(inner: Condition) -> Condition:
    holds = inner.holds
    return Condition(lambda run: not holds(run), f"not ({inner.said})")


def _text(text: str, here: Here, spot: Spot) -> When:
    text = text.strip()
    if text.startswith("not "):
        holds = _text(text[4:], here, spot)
        return lambda run: not holds(run)
    left, sign, right = split(text)
    if not left or (sign and not right):
        raise bad(spot, text, _EXPECTED)
    if not sign:
        if left.startswith("$"):
            named = _operand(left, here, spot)
            return lambda run: bool(named(run))
        anything = exists(left, here, spot)
        return lambda run: bool(anything(run))
    value = _operand(left, here, spot)
    if sign == "in":
        wanted = _LIST.fullmatch(right)
        if not wanted:
            raise bad(spot, right, "['a', 'b']")
        known = frozenset(quoted(wanted[1]))
        return lambda run: value(run) in known
    return _compared(value, sign, right, here, spot)


def split(text: str) -> tuple[str, str, str]:
    """(left, sign or "in", right) around the first sign outside brackets and quotes; ("…", "", "") without one."""
    depth, at, quoted = 0, 0, False
    while at < len(text):
        char = text[at]
        quoted ^= char == "'"
        depth += (char == "[") - (char == "]") if not quoted else 0
        if not quoted and not depth:
            sign = next((sign for sign in _SIGNS if text.startswith(sign, at)), "")
            if sign:
                return text[:at].strip(), sign, text[at + len(sign) :].strip()
            if text.startswith(" in ", at):
                return text[:at].strip(), "in", text[at + 4 :].strip()
        at += 1
    return text, "", ""


def quoted(text: str) -> list[str]:
    """The quoted texts of a condition, without their quotes."""
    return [one[1:-1] for one in _SAID.findall(text)]


def _operand(text: str, here: Here, spot: Spot) -> Leaf:
    if text.startswith("$"):
        name = text[1:]
        here.book.page.context[name] = None
        return lambda run: run.context.get(name, "")
    return first(text, here, spot)


def _compared(value: Leaf, sign: str, right: str, here: Here, spot: Spot) -> When:
    same = sign == "="
    if _SAID.fullmatch(right):
        wanted = right[1:-1]
        if sign in ("=", "!="):
            return lambda run: (value(run) == wanted) is same
        if moments.instant(wanted, "UTC") is None:
            raise bad(spot, right, "a number such as 5, or a date such as '2026-01-31'")
        return partial(_ordered, value, _ORDER[sign], lambda run: wanted, spot)
    number = numbers.maybe(right)
    if number is not None:
        return partial(_numeric, value, _ORDER[sign], number, sign == "!=")
    other = _operand(right, here, spot)
    if sign in ("=", "!="):
        return lambda run: (value(run) == other(run)) is same
    return partial(_ordered, value, _ORDER[sign], other, spot)


def _numeric(value: Leaf, order: Callable[[Any, Any], bool], wanted: Decimal, otherwise: bool, run: Run) -> bool:
    """`otherwise` of what is no number."""
    found = numbers.maybe(value(run))
    return otherwise if found is None else order(found, wanted)


def _ordered(value: Leaf, order: Callable[[Any, Any], bool], other: Leaf, spot: Spot, run: Run) -> bool:
    """Two numbers or two moments; False when one is not there, and a finding when they cannot be compared."""
    left, right = value(run), other(run)
    if not (left and right):
        return False
    zone = run.context.get("zone", "UTC")
    for read in (numbers.maybe, partial(moments.instant, zone=zone)):
        pair: list[Any] = [read(text) for text in (left, right)]
        if None not in pair:
            return order(*pair)
    run.wrong(spot, f"{left} compared with {right}", left)
    return False
