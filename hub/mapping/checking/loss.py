"""What a mapping does not read: places of its sources' standards, and values that messages really hold."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Map
from dataclasses import dataclass
from typing import Any

from hub.edifact.directory import Node
from hub.edifact.model import Group
from hub.mapping.checking.particles import Particles, particles
from hub.mapping.edifact_source import GROUP
from hub.mapping.facts import RuleFact
from hub.mapping.path import Path, parse_path
from hub.mapping.places import elements, places
from hub.mapping.plan import EdifactFacts, Facts, Here, Run, XmlFacts
from hub.mapping.rules import Spot
from hub.mapping.sources import reach

_SERVICE = ("UNH", "UNT", "UNS")
DEEPEST = 12  # elements within elements, of schemas that have no end


@dataclass(frozen=True, slots=True)
class Unread:
    """One place that no rule reads. A group, a segment or a branch stands for all that is in it.

    path      as a mapping would write it
    required  True when the standard demands it
    sample    a value that was found there, "" when none was looked for
    """

    alias: str
    path: str
    required: bool
    sample: str = ""


# ---- by the standards


def unread(rules: tuple[RuleFact, ...], sources: Map[str, Facts]) -> list[Unread]:
    """Places of the sources' standards that no rule reads, in the order of the standard."""
    found: list[Unread] = []
    for alias, facts in sources.items():
        paths = [parse_path(path) for name, path in dict.fromkeys(_reads(rules)) if name == alias and path]
        if isinstance(facts, XmlFacts):
            read = {tuple(step.name for step in path.steps) for path in paths}
            schema = particles(facts.schema)
            for root in sorted({path[0] for path in read}):
                found += _branch(schema, (root,), read | set(_tested(paths)), alias, frozenset())
        else:
            found += _level(facts, facts.spec.nodes, (), _cells(facts, paths), alias)
    return found


def _reads(rules: tuple[RuleFact, ...]) -> Iterator[tuple[str, str]]:
    for rule in rules:
        yield from rule.reads


def _tested(paths: list[Path]) -> Iterator[tuple[str, ...]]:
    """What tests look at."""
    for path in paths:
        for at, step in enumerate(path.steps, 1):
            for inner, _ in step.tests:
                names = tuple(one.name for one in parse_path(inner).steps)
                yield (*(one.name for one in path.steps[:at]), *names)


def _branch(
    schema: Particles, path: tuple[str, ...], read: set[tuple[str, ...]], alias: str, within: frozenset[str]
) -> Iterator[Unread]:
    for name, count in (schema.children(path) or {}).items():
        inner = (*path, name)
        below = any(one[: len(inner)] == inner and len(one) > len(inner) for one in read)
        if not below and inner not in read:
            yield Unread(alias, "/".join(inner), bool(count.least))
        elif below and len(inner) < DEEPEST:
            yield from _branch(schema, inner, read, alias, within)


Cells = dict[tuple[str, ...], set[tuple[int, int]]]
"""By groups and tag: (element, component) that are read."""


def _cells(facts: EdifactFacts, paths: list[Path]) -> Cells:
    cells: Cells = {}
    for path in paths:
        names = [step.name for step in path.steps]
        depth = next((at for at, name in enumerate(names) if not GROUP.fullmatch(name)), len(names))
        groups = tuple(names[:depth])
        cells.setdefault(groups, set())
        for at, step in enumerate(path.steps[:depth], 1):
            for inner, _ in step.tests:
                _add(facts, cells, (*groups[:at], *(one.name for one in parse_path(inner).steps)), inner, at)
        if depth < len(names):
            where = cells.setdefault((*groups, names[depth]), set())
            for inner, _ in path.steps[depth].tests:
                where |= _whole(facts, names[depth], places(facts.directory, names[depth], parse_path(inner).steps))
            if path.steps[depth + 1 :]:
                found = places(facts.directory, names[depth], path.steps[depth + 1 :])
                where |= _whole(facts, names[depth], found)
    return cells


def _add(facts: EdifactFacts, cells: Cells, full: tuple[str, ...], inner: str, above: int) -> None:
    """A test of a group looks into one of its segments."""
    steps = parse_path(inner).steps
    depth = next((at for at, step in enumerate(steps) if not GROUP.fullmatch(step.name)), len(steps))
    tag = steps[depth].name
    where = cells.setdefault(full[: above + depth + 1], set())
    where |= _whole(facts, tag, places(facts.directory, tag, steps[depth + 1 :]))


def _whole(facts: EdifactFacts, tag: str, found: tuple[tuple[int, int], ...]) -> set[tuple[int, int]]:
    """With every component of what is read as a whole."""
    every: set[tuple[int, int]] = set()
    specs = dict(elements(facts.directory, tag))
    for element, component in found:
        parts = len(specs[element].components)
        every |= {(element, component)} if component else {(element, part) for part in range(1, parts + 1)}
    return every


def _level(
    facts: EdifactFacts, nodes: tuple[Node, ...], above: tuple[str, ...], cells: Cells, alias: str
) -> Iterator[Unread]:
    for node in nodes:
        path = (*above, node.key)
        if node.key in _SERVICE:
            continue
        if not any(read[: len(path)] == path for read in cells):
            yield Unread(alias, "/".join(path), node.required)
        elif node.children:
            yield from _level(facts, node.children, path, cells, alias)
        else:
            yield from _segment(facts, path, cells.get(path, set()), alias)


def _segment(facts: EdifactFacts, path: tuple[str, ...], read: set[tuple[int, int]], alias: str) -> Iterator[Unread]:
    turns: dict[str, int] = {}
    for number, spec in enumerate(facts.directory.segment(path[-1]), 1):
        turns[spec.id] = turns.get(spec.id, 0) + 1
        name = spec.id if turns[spec.id] == 1 else f"{spec.id}#{turns[spec.id]}"
        left = [at for at in range(1, len(spec.components) + 1) if (number, at) not in read]
        if len(left) == len(spec.components):
            yield Unread(alias, "/".join((*path, name)), spec.required)
        else:
            for at in left:
                yield Unread(alias, "/".join((*path, name, _component(spec, at))), spec.components[at - 1].required)


def _component(spec: Any, at: int) -> str:
    id = spec.components[at - 1].id
    turn = sum(part.id == id for part in spec.components[:at])
    return id if turn == 1 else f"{id}#{turn}"


# ---- by messages


def lost(rules: tuple[RuleFact, ...], sources: Map[str, Facts], nodes: Map[str, Any]) -> list[Unread]:
    """Values of these sources that no rule reads; of each place the first."""
    found: dict[tuple[str, str], Unread] = {}
    for alias, facts in sources.items():
        seen = _seen(rules, alias, facts, nodes[alias])
        values = _document(nodes[alias]) if isinstance(facts, XmlFacts) else _message(facts, nodes[alias], ())
        for where, path, value in values:
            if where not in seen:
                found.setdefault((alias, path), Unread(alias, path, False, value))
    return list(found.values())


def _seen(rules: tuple[RuleFact, ...], alias: str, facts: Facts, node: Any) -> set[Any]:
    """(segment, element, component) and (XML element, attribute) that rules look at."""
    here, run = Here({alias: facts}, {}), Run({alias: node}, {})
    seen: set[Any] = set()
    for name, path in dict.fromkeys(_reads(rules)):
        if name != alias or not path:
            continue
        found = reach(path, here, Spot("", 1, 1))
        if isinstance(facts, XmlFacts):
            seen |= {(one, found.attribute) for one in found.nodes(run)}
        elif found.places:
            for segment in found.nodes(run):
                cells = _whole(facts, segment.tag, found.places)
                seen |= {(id(segment), element, component) for element, component in cells}
        seen |= _looked(parse_path(path), here, run) if isinstance(facts, EdifactFacts) else set()
    return seen


def _looked(path: Path, here: Here, run: Run) -> set[Any]:
    """What tests look at: every segment, to find the right one."""
    seen: set[Any] = set()
    [facts] = here.facts.values()
    for at, step in enumerate(path.steps):
        for inner, _ in step.tests:
            bare = "/".join((*(one.name for one in path.steps[: at + 1]), inner))
            found = reach(bare, here, Spot("", 1, 1))
            for segment in found.nodes(run):
                seen |= {(id(segment), *cell) for cell in _whole(facts, segment.tag, found.places)}  # type: ignore[arg-type]
    return seen


def _document(root: Any) -> Iterator[tuple[Any, str, str]]:
    for one in root.iter():
        if not isinstance(one.tag, str):
            continue
        path = "/".join(step.tag.rpartition("}")[2] for step in (*reversed(list(one.iterancestors())), one))
        if one.text and one.text.strip():
            yield (one, ""), path, one.text.strip()
        for name, value in one.attrib.items():
            yield (one, name), f"{path}/@{name.rpartition('}')[2]}", value


def _message(facts: EdifactFacts, group: Group, above: tuple[str, ...]) -> Iterator[tuple[Any, str, str]]:
    for key, parts in group.parts.items():
        for part in parts:
            if isinstance(part, Group):
                yield from _message(facts, part, (*above, key))
            elif key not in _SERVICE:
                yield from _values(facts, part, (*above, key))


def _values(facts: EdifactFacts, segment: Any, path: tuple[str, ...]) -> Iterator[tuple[Any, str, str]]:
    specs = dict(elements(facts.directory, segment.tag))
    qualifier = segment.elements[0][0] if segment.elements and segment.elements[0] else ""
    first = specs[1].components[0] if specs else None
    coded = first is not None and facts.directory.codes(first.id) and qualifier
    tag = f"{path[-1]}[{first.id}={qualifier}]" if coded and first else path[-1]
    for number, element in enumerate(segment.elements, 1):
        spec = specs.get(number)
        for at, value in enumerate(element, 1):
            if value and spec and at <= len(spec.components):
                name = f"{spec.id}/{_component(spec, at)}" if spec.composite else spec.id
                yield (id(segment), number, at), "/".join((*path[:-1], tag, name)), value
