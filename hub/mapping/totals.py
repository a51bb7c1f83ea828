"""Numbers of a loop: count, sum, smallest and largest of what a path finds, position, running total."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hub.mapping import numbers
from hub.mapping.plan import NUMBER, Here, Leaf, Run, bad, like, word
from hub.mapping.rules import Rule, Spot
from hub.mapping.sources import once, text_of

_FOLDS: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "sum": numbers.total,
    "min": lambda left, right: min(left, right),
    "max": lambda left, right: max(left, right),
}


def count(rule: Rule, here: Here) -> Leaf:
    """How many there are at a path; 0 when there are none."""
    return once(word(rule), here, rule.spot, lambda run, found: str(len(found)), values=False)


def number(rule: Rule, here: Here) -> Leaf:
    """The position, from 1, in the innermost loop, or with ../ in one above it: of those that are written."""
    said = word(rule)
    up = said.count("../")
    loops = [depth for depth, loop in enumerate(here.loops) if loop.counted]
    if said != "loop" and (not up or said != "../" * up):
        raise bad(rule.spot, said, like(said, ("loop", "../")))
    if up >= len(loops):
        raise bad(rule.spot, said, "a loop around it")
    depth = loops[-1 - up]
    here.loops[depth].asked.add(NUMBER)
    return lambda run: str(run.seen[depth + 1][NUMBER])


def running(value: Leaf, here: Here, spot: Spot) -> Leaf:
    """The total of `value` so far, over the innermost loop."""
    depth = next((d for d in range(len(here.loops) - 1, -1, -1) if here.loops[d].counted), None)
    if depth is None:
        raise bad(spot, "running", "a loop around it")
    slot, above = len(here.shared), depth
    here.shared["running", slot] = value

    def leaf(run: Run) -> str:
        text = value(run)
        so_far: Decimal = run.seen[above].get(slot, Decimal(0))
        if text:
            try:
                so_far = numbers.total(so_far, numbers.decimal(text))
            except ValueError:
                return run.wrong(spot, "running", text)
            run.seen[above][slot] = so_far
        return numbers.plain(so_far)

    return leaf


def folded(how: str, rule: Rule, here: Here) -> Leaf:
    """The sum, min or max of the numbers at a path; "" when there are none. It is made once for each item of the loop
    in which the path begins."""
    text = word(rule)
    fold = _FOLDS[how]

    def value(run: Run, values: Any) -> str:
        found: Decimal | None = None
        for said in filter(None, map(text_of, values)):
            number = numbers.maybe(said)
            if number is None:
                return run.wrong(rule.spot, text, said)
            found = number if found is None else fold(found, number)
        return "" if found is None else numbers.plain(found)

    return once(text, here, rule.spot, value)
