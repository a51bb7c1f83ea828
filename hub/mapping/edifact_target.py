"""Writing EDIFACT: branches of a mapping file as closures that fill a segment group."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from hub.edifact.model import Group, Segment
from hub.mapping import lineage
from hub.mapping.branches import OPTIONS, chosen, is_choice, learn, learnt, looped, scope
from hub.mapping.edifact_source import GROUP
from hub.mapping.leaves import is_leaf, value
from hub.mapping.narrow import Fit, fit, longest, policies, transliterated
from hub.mapping.path import parse_path
from hub.mapping.places import places, spec_of
from hub.mapping.plan import EdifactFacts, Emit, Here, Leaf, Run, bad, like
from hub.mapping.rules import Branch, Listing, Rule, Spot, without
from hub.mapping.spread import Spread, fitting, is_spread, lines, spread

_ANY = sys.maxsize  # longer than every value


@dataclass(frozen=True, slots=True)
class _At:
    """Where a rule writes: groups down to it, the last the group that it fills."""

    facts: EdifactFacts
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Cell:
    """One value of a segment. `most`: characters that it may have; `fit`: what a longer one becomes."""

    element: int
    component: int
    literal: str
    leaf: Leaf
    most: int
    fit: Fit
    path: str
    spot: Spot


@dataclass(frozen=True, slots=True)
class _Lines:
    """One spread value of a segment: `cells` are (element, component) of its lines in order."""

    cells: tuple[tuple[int, int], ...]
    names: tuple[str, ...]
    spec: Spread
    leaf: Leaf
    policy: tuple[str, ...]
    target: str


def message(rule: Branch, here: Here, facts: EdifactFacts) -> Emit:
    """Fills a message: segments by tag, groups by SGn. Raises DeclarationError."""
    return _filled(rule, here, _At(facts), len(here.book.rules))


def _filled(rule: Branch, here: Here, at: _At, before: int) -> Emit:
    around, inner = scope(rule, here, "/".join(at.path))
    made = tuple(_children(inner, around.here, at))

    def emit(run: Run, group: Group) -> None:
        for child in made:
            child(run, group)

    return looped(emit, around, len(here.book.rules) - before)


def _children(rule: Branch, here: Here, at: _At) -> Iterator[Emit]:
    for (name, inner), key in zip(rule.entries, rule.keys or (rule.spot,) * len(rule.entries), strict=True):
        several = isinstance(inner, Listing)
        for one in inner.items if isinstance(inner, Listing) else (inner,):
            yield learnt(here, lambda n=name, o=one, k=key, s=several: _part(n, o, k, here, at, s))  # type: ignore[misc]


def _part(name: str, rule: Rule, key: Spot, here: Here, at: _At, several: bool) -> Emit:
    """A segment or a group, or a choice of them."""
    there = at.facts.spec.children(at.path)
    if name not in there:
        raise bad(key, "/".join((*at.path, name)), like(name, there))
    if not isinstance(rule, Branch):
        raise bad(rule.spot, name, "a branch")
    before = len(here.book.rules)
    target = "/".join((*at.path, name))
    around, inner = scope(rule, here, target)
    several = several or around.several
    if is_choice(inner):
        one = chosen(inner, around.here, lambda item, within: _part(name, item, key, within, at, several))
    elif GROUP.fullmatch(name):
        one = _group(name, inner, around.here, at, several)
    else:
        one = _segment(name, inner, around.here, at, several)
    return looped(one, around, len(here.book.rules) - before)


def _group(name: str, rule: Branch, here: Here, at: _At, several: bool) -> Emit:
    made = tuple(_children(rule, here, _At(at.facts, (*at.path, name))))

    def one(run: Run, parent: Group) -> None:
        group = Group(name)
        for child in made:
            child(run, group)
        if group.parts:
            parent.add(name, group)

    return lineage.grouped(one, name, several) if here.traced else one


# ---- segments


def _segment(tag: str, rule: Branch, here: Here, at: _At, several: bool) -> Emit:
    """A segment; not written when all that is in it are literals and it could have had more."""
    cells: list[_Cell] = []
    spreads: list[_Lines] = []
    literals = True
    for (path, inner), key in zip(rule.entries, rule.keys or (rule.spot,) * len(rule.entries), strict=True):
        path = path.removeprefix("./")
        target = "/".join((*at.path, tag, path))
        if isinstance(inner, Branch) and is_spread(inner):
            spreads.append(_lines(tag, path, inner, key, here, at.facts, target))
            literals = False
            continue
        cell = _cell(tag, path, inner, key, here, at.facts, target)
        literals = literals and bool(cell.literal)
        cells.append(cell)
    room = next(node.max for node in _siblings(at) if node.key == tag)
    one = _spreading(tag, cells, spreads, room, here.traced) if spreads else _written(tag, cells, literals)
    if not here.traced:
        return one
    texts = [(cell.path, cell.literal, cell.spot) for cell in cells if cell.literal]
    return lineage.finished(one, tag, several, texts)


def _siblings(at: _At) -> Any:
    return at.facts.spec.node(at.path).children if at.path else at.facts.spec.nodes


def _place(tag: str, path: str, key: Spot, facts: EdifactFacts) -> tuple[int, int]:
    try:
        return facts.directory.component_index(tag, path)
    except KeyError as unknown:
        raise bad(key, f"{tag}/{path}", str(unknown.args[0])) from unknown


def _cell(tag: str, path: str, rule: Rule, key: Spot, here: Here, facts: EdifactFacts, target: str) -> _Cell:
    element, component = _place(tag, path, key, facts)
    if not is_leaf(rule) or (isinstance(rule, Branch) and any(name in OPTIONS[:2] for name, _ in rule.entries)):
        raise bad(rule.spot, f"{tag}/{path}", "one value; a loop stands at the segment or its group")
    made = value(rule, here)
    policy = policies(dict(rule.entries).get("narrow")) if isinstance(rule, Branch) else ("reject",)
    learn(here, target, rule.spot, made, policy)
    most, numeric = longest(spec_of(facts.directory, tag, element, component)[1].repr)
    leaf = transliterated(made.leaf, rule.spot, target) if "transliterate" in policy else made.leaf
    most = most or _ANY
    fitted = fit(policy, most, numeric, rule.spot, target)
    if here.traced:
        leaf = lineage.valued(_fitted(leaf, most, fitted), path, rule.spot)
    return _Cell(element, component, made.literal or "", leaf, most, fitted, path, rule.spot)


def _fitted(leaf: Leaf, most: int, fitted: Fit) -> Leaf:
    def value(run: Run) -> str:
        made = leaf(run)
        return fitted(run, made) if len(made) > most else made

    return value


def _put(elements: list[list[str]], element: int, component: int, value: str) -> None:
    while len(elements) < element:
        elements.append([""])
    parts = elements[element - 1]
    while len(parts) < component:
        parts.append("")
    parts[component - 1] = value


def _written(tag: str, cells: list[_Cell], literals: bool) -> Emit:
    made = [(c.element, c.component, c.literal, c.leaf, c.most, c.fit) for c in cells]

    def one(run: Run, group: Group) -> None:
        elements: list[list[str]] = []
        real = literals
        for element, component, literal, value_of, most, fitted in made:
            if literal:
                value = literal
            else:
                value = value_of(run)
                if not value:
                    continue
                if len(value) > most:
                    value = fitted(run, value)
                    if not value:
                        continue
                real = True
            while len(elements) < element:
                elements.append([""])
            parts = elements[element - 1]
            while len(parts) < component:
                parts.append("")
            parts[component - 1] = value
        if real:
            group.add(tag, Segment(tag, elements))

    return one


# ---- long text


def _lines(tag: str, path: str, rule: Branch, key: Spot, here: Here, facts: EdifactFacts, target: str) -> _Lines:
    first = _place(tag, path, key, facts)
    cells = places(facts.directory, tag, parse_path(path).steps)
    _, part = spec_of(facts.directory, tag, *first)
    policy = policies(dict(rule.entries).get("narrow"))
    spec = spread(without(rule, ("narrow",)), here, longest(part.repr)[0], len(cells))
    learn(here, target, rule.spot, spec.value, policy)
    leaf = spec.value.leaf
    if "transliterate" in policy:
        leaf = transliterated(leaf, rule.spot, target)
    cells = tuple(islice(cells, spec.times))
    names = tuple(f"{path}#{number}" for number in range(1, len(cells) + 1))
    return _Lines(cells, names, spec, lineage.kept(leaf) if here.traced else leaf, policy, target)


def _spreading(tag: str, cells: list[_Cell], spreads: list[_Lines], room: int, traced: bool) -> Emit:
    """A segment with long text in it, and further ones like it where a text asks for `more`."""
    alone = _written(tag, [cell for cell in cells if not cell.literal], False)
    literals = [cell for cell in cells if cell.literal]

    def one(run: Run, group: Group) -> None:
        segments = max(room - len(group.parts.get(tag, ())), 1)
        texts = [_texts(run, long, segments, traced) for long in spreads]
        beside = Group("")
        alone(run, beside)
        turns = max(-(-len(text) // len(long.cells)) for text, long in zip(texts, spreads, strict=True))
        for turn in range(turns or len(beside.parts)):
            elements = [list(element) for segment in beside.segments() for element in segment.elements]
            for cell in literals:
                _put(elements, cell.element, cell.component, cell.literal)
            for text, long in zip(texts, spreads, strict=True):
                first = turn * len(long.cells)
                for place, line in zip(long.cells, text[first : first + len(long.cells)], strict=False):
                    _put(elements, *place, line)
            group.add(tag, Segment(tag, elements))

    return one


def _texts(run: Run, long: _Lines, segments: int, traced: bool) -> list[str]:
    """The lines of one text that there is room for in so many segments."""
    most = len(long.cells) * (segments if long.spec.more else 1)
    found = fitting(run, lines(long.leaf(run), long.spec.width), most, long.policy, long.spec, long.target)
    if traced:
        lineage.spread(run, found, long.names, long.spec.rule.spot)
    return found
