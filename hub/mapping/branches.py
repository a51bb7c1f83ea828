"""Branches: what stands before the children of one (each, at, when, choose), the same for every target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hub.errors import DeclarationError
from hub.mapping.facts import RuleFact
from hub.mapping.leaves import Value, choices, quiet
from hub.mapping.loops import looping
from hub.mapping.plan import MEMBERS, NUMBER, Emit, Find, Here, Run, When, bad, word
from hub.mapping.rules import Branch, Rule, Spot, without
from hub.mapping.sources import every, inside

OPTIONS = ("each", "at", "when")


@dataclass(frozen=True, slots=True)
class Scope:
    """What stands before the children: they are written for each of `items`, where `when` holds."""

    here: Here  # inside
    items: Find | None
    when: When | None
    spot: Spot

    @property
    def several(self) -> bool:
        """True when it may be written more than once."""
        return self.items is not None and self.here.loops[-1].counted


def scope(rule: Branch, here: Here, target: str) -> tuple[Scope, Branch]:
    """The scope of a branch, and the branch without it. Raises DeclarationError."""
    options = dict(rule.entries)
    if "each" in options and "at" in options:
        raise bad(options["at"].spot, "each and at", "one of them")
    inner, items, when = here, None, None
    if "each" in options:
        items, inner = looping(options["each"], here)
    elif "at" in options:
        items, inner = _at(options["at"], here)
    if "when" in options:
        when, said = quiet(options["when"], inner)
        inner = inner.under(said)
    page = here.book.turn()
    if items is not None or when is not None:
        fact = RuleFact(target, rule.spot, tuple(page.reads), leaf=False, **_around(inner))
        here.book.rules.append(replace(fact, context=tuple(page.context)))
    return Scope(inner, items, when, rule.spot), without(rule, OPTIONS)


def _at(rule: Rule, here: Here) -> tuple[Find, Here]:
    """The first at a path, once."""
    text = word(rule)
    everything = every(text, replace(here, traced=False), rule.spot)
    return lambda run: everything(run)[:1], inside(here, text, rule.spot, counted=False)


def _around(here: Here) -> dict[str, Any]:
    loops = tuple(str(loop) for loop in here.loops if loop.counted)
    return {"loops": loops, "conditions": here.conditions}


def learn(here: Here, target: str, spot: Spot, made: Value, narrow: tuple[str, ...] = ("reject",)) -> None:
    """Write the fact of a value that was just compiled into the book."""
    page = here.book.turn()
    fact = RuleFact(
        target,
        spot,
        tuple(page.reads),
        tuple(page.functions),
        page.table,
        made.literal,
        narrow,
        tuple(page.context),
        optional=made.optional,
        **_around(here),
    )
    here.book.rules.append(fact)


def learnt(here: Here, make: Callable[[], Emit]) -> Emit:
    """What `make` compiles; its mistakes are kept in the book, so that those behind it are found too."""
    try:
        return make()
    except DeclarationError as fault:
        here.book.mistakes.extend(fault.findings)
        here.book.turn()
        return lambda run, parent: None


def looped(one: Emit, scope: Scope, values: int) -> Emit:
    """`one` under its condition, once or for each item; it writes so many values each time."""
    items, when, spot = scope.items, scope.when, scope.spot
    if items is None:
        return _conditional(one, when)
    asked = scope.here.loops[-1].asked
    if asked or scope.here.loops[-1].grouped:
        return _numbered(one, scope, max(values, 1))
    cost = max(values, 1)

    def emit(run: Run, parent: Any) -> None:
        found = items(run)
        if not run.afford(len(found) * cost, spot):
            return
        around, seen = run.items, run.seen
        for item in found:  # as Run.enter and Run.leave, without the calls
            around.append(item)
            seen.append({})
            if when is None or when(run):
                one(run, parent)
            around.pop()
            seen.pop()

    return emit


def _conditional(one: Emit, when: When | None) -> Emit:
    if when is None:
        return one

    def emit(run: Run, parent: Any) -> None:
        if when(run):
            one(run, parent)

    return emit


def _numbered(one: Emit, scope: Scope, cost: int) -> Emit:
    """A loop whose rules ask for its position, or for the members of its groups."""
    items, when, spot, grouped = scope.items, scope.when, scope.spot, scope.here.loops[-1].grouped

    def emit(run: Run, parent: Any) -> None:
        found = items(run) if items else ()
        if not run.afford(len(found) * cost, spot):
            return
        number = 0
        for item in found:
            run.enter(item[0] if grouped else item)
            run.seen[-1][MEMBERS] = item
            if when is None or when(run):
                number += 1
                run.seen[-1][NUMBER] = number
                one(run, parent)
            run.leave()

    return emit


def chosen(rule: Branch, here: Here, make: Callable[[Rule, Here], Emit]) -> Emit:
    """`choose:` under a name: the first branch whose `when` holds. Raises DeclarationError."""
    [(_, listed)] = rule.entries
    pairs: list[tuple[When | None, Emit]] = []
    before: tuple[str, ...] = ()
    for item, when in choices(listed):
        holds, said = quiet(when, here) if when is not None else (None, "")
        where = here.under(*before, *([said] if said else []))
        pairs.append((holds, make(item, where)))
        before = (*before, f"not ({said})")

    def emit(run: Run, parent: Any) -> None:
        for when, one in pairs:
            if when is None or when(run):
                one(run, parent)
                return

    return emit


def is_choice(rule: Rule) -> bool:
    """True when the branch is nothing but `choose`. Raises DeclarationError when there is more beside it."""
    if not isinstance(rule, Branch) or all(name != "choose" for name, _ in rule.entries):
        return False
    if len(rule.entries) > 1:
        raise bad(rule.spot, "choose with others beside it", "the others in each of its branches")
    return True
