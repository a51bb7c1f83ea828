"""What a standard says of a place that a path leads to: which values, how many, and whether it must be there."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from hub.edifact.directory import Directory, Node
from hub.mapping.checking.domain import Domain
from hub.mapping.checking.particles import MANY, particles
from hub.mapping.edifact_source import GROUP
from hub.mapping.narrow import longest
from hub.mapping.path import Path, Step, parse_path
from hub.mapping.places import places, spec_of, whole
from hub.mapping.plan import EdifactFacts, Here, Loop, XmlFacts
from hub.mapping.sources import begin

Key = tuple[str, ...]
Known = frozenset[tuple[Key, tuple[str, ...]]]
"""Steps that are known to lead somewhere, with the loops that they begin in."""


@dataclass(frozen=True, slots=True)
class Test:
    """One test of a step: the element that is looked at may only have one of `codes` (None: any)."""

    value: str
    codes: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Located:
    """A path as the standards see it.

    key, steps  where it begins and how it goes on: equal ones are the same place
    gap         the part of the path that need not be there, "" when it must
    many        the part that may be there several times, "" when nothing is or the path says which
    times       how often, whatever the path says
    domain      of the values there; None when it is no value
    tests       of all its steps
    """

    key: Key
    steps: tuple[str, ...]
    gap: str
    many: str
    times: int
    domain: Domain | None
    tests: tuple[Test, ...] = ()


def locate(text: str, here: Here, known: Known = frozenset()) -> Located:
    """The place that a path, which has been compiled before, leads to."""
    path = Path((), members=text == "*") if text in (".", "*") else parse_path(text)
    start = begin(path, here)
    facts = here.facts[start.loop.alias]
    loops = tuple(map(str, here.loops[: start.depth + 1]))
    key: Key = (start.loop.alias, *loops)
    steps = tuple(map(str, path.steps))
    found = (
        _xml(facts, start.loop, path.steps) if isinstance(facts, XmlFacts) else _edifact(facts, start.loop, path.steps)
    )
    sure = max((n for n in range(len(steps) + 1) if (key, steps[:n]) in known), default=0)
    gap = "/".join(steps[: found.gap[-1] + 1]) if found.gap and found.gap[-1] >= sure else ""
    many = "/".join(steps[: found.many + 1]) if found.many >= 0 else ""
    if not steps and found.gap:
        gap = "."
    return Located(key, steps, gap, many, found.times, found.domain, found.tests)


def prefixes(place: Located) -> Known:
    """That there is something at a place, and at all that it is in."""
    return frozenset((place.key, place.steps[:n]) for n in range(1, len(place.steps) + 1))


@dataclass(slots=True)
class _Walk:
    """`gap`: indexes of steps that may lead nowhere; `many`: of the first that may lead to several, -1 without."""

    gap: list[int]
    many: int = -1
    times: int = 1
    domain: Domain | None = None
    tests: tuple[Test, ...] = ()

    def step(self, at: int, step: Step, required: bool, most: int) -> None:
        said = bool(step.tests or step.nth)
        if not required or step.tests or step.nth > 1:
            self.gap.append(at)
        if said:
            self.many = -1  # what was several before is no longer: the test says which
        elif most > 1 and self.many < 0:
            self.many = at
        self.times = min(self.times * (1 if step.nth else most), MANY)


# ---- XML


def _xml(facts: XmlFacts, loop: Loop, steps: tuple[Step, ...]) -> _Walk:
    schema, above, walk = particles(facts.schema), loop.above, _Walk([])
    for at, step in enumerate(steps):
        counts = schema.children(above) if above else None
        above = (*above, step.name)
        if step.name == "#text" or len(above) == 1:
            continue
        count = (counts or {}).get(step.name)
        walk.step(at, step, bool(count and count.least), count.most if count else 1)
        for inner, value in step.tests:
            names = tuple(one.name for one in parse_path(inner).steps)
            domain = schema.value((*above, *names))
            walk.tests = (*walk.tests, Test(value, domain.codes if domain else None))
    walk.domain = schema.value(above)
    if walk.domain and (walk.domain.form == "any" or walk.domain.takes("")):
        walk.gap.append(max(len(steps) - 1, 0))
    return walk


# ---- EDIFACT


def _edifact(facts: EdifactFacts, loop: Loop, steps: tuple[Step, ...]) -> _Walk:
    walk, above, tag, rest = _Walk([]), loop.above, loop.tag, list(steps)
    if loop.element:
        within = _of_item(facts, loop, steps)
        if within:
            return within
    while rest and not tag:
        step, at = rest.pop(0), len(steps) - len(rest) - 1
        lines = [node for node in _nodes(facts, above) if node.key == step.name]
        walk.step(at, step, any(node.required for node in lines), sum(node.max for node in lines))
        if GROUP.fullmatch(step.name):
            above = (*above, step.name)
            walk.tests = (*walk.tests, *(_group_test(facts, above, *test) for test in step.tests))
        else:
            tag = step.name
            walk.tests = (*walk.tests, *(_segment_test(facts.directory, tag, *test) for test in step.tests))
    if rest:
        _element(walk, facts.directory, tag, tuple(rest), len(steps) - 1)
    return walk


def _nodes(facts: EdifactFacts, above: tuple[str, ...]) -> tuple[Node, ...]:
    return facts.spec.node(above).children if above else facts.spec.nodes


def _element(walk: _Walk, directory: Directory, tag: str, steps: tuple[Step, ...], last: int) -> None:
    cells = places(directory, tag, steps)
    spec, part = spec_of(directory, tag, *cells[0])
    again = cells[0][0] > 1 and any(step.nth > 1 for step in steps)
    if not spec.required or again or (cells[0][1] and not part.required):
        walk.gap.append(last)
    if len(cells) > 1 and not any(step.nth for step in steps) and walk.many < 0:
        walk.many = last
    walk.times = min(walk.times * len(cells), MANY)
    walk.domain = element_domain(directory, tag, cells[0][0], max(cells[0][1], 1))


def _of_item(facts: EdifactFacts, loop: Loop, steps: tuple[Step, ...]) -> _Walk | None:
    """A path within an item that is an element; None when it leads elsewhere in the segment."""
    outer = loop.element.partition("/")[0]
    composite = whole(facts.directory, loop.tag, outer) and "/" not in loop.element
    if not steps:
        element = tuple(parse_path(loop.element).steps)
        walk = _Walk([])
        _element(walk, facts.directory, loop.tag, element, 0)
        return _Walk([0] if composite else [], domain=walk.domain)
    if not composite or len(steps) != 1:
        return None
    inner = (*parse_path(outer).steps, *steps)
    if not any(part.id == steps[0].name for part in facts.directory.composite(outer.partition("#")[0])):
        return None
    walk = _Walk([])
    cells = places(facts.directory, loop.tag, inner)
    _, part = spec_of(facts.directory, loop.tag, *cells[0])
    same = [cell for cell in cells if cell[0] == cells[0][0]]
    walk.step(0, steps[0], part.required, len(same))
    walk.domain = element_domain(facts.directory, loop.tag, *cells[0])
    return walk


def element_domain(directory: Directory, tag: str, element: int, component: int) -> Domain:
    """What an element may hold. It is a closed list only where nothing beside it can name another."""
    spec, part = spec_of(directory, tag, element, component)
    most, numeric = longest(part.repr)
    if numeric:
        return Domain("decimal", digits=most)
    codes = directory.codes(part.id)
    behind = {one.id for one in spec.components[component:]}
    if codes and not behind & {"1131", "3055"} and part.id not in ("1131", "3055"):
        fitting = frozenset(code for code in codes if not most or len(code) <= most)
        return Domain(codes=fitting, most=most)
    return Domain(most=most)


def _segment_test(directory: Directory, tag: str, inner: str, value: str) -> Test:
    cells = places(directory, tag, tuple(parse_path(inner).steps))
    return Test(value, element_domain(directory, tag, cells[0][0], max(cells[0][1], 1)).codes)


def _group_test(facts: EdifactFacts, above: tuple[str, ...], inner: str, value: str) -> Test:
    found = _edifact(facts, Loop("", (), above), tuple(parse_path(inner).steps))
    return Test(value, found.domain.codes if found.domain else None)


def near(code: str, codes: frozenset[str]) -> str:
    """Codes that may have been meant, or the first of them."""
    close = get_close_matches(code, codes, 4, 0.3) or sorted(codes)
    return ", ".join(close[:6])
