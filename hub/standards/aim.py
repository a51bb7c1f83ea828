"""Where a guide's rule points: a path of the mapping grammar, made exact against the facts of a kind.

EDIFACT  BGM/1001, RFF/C506/1154          this element wherever the segment stands
         /RFF/C506/1154                   only right below the message
         SG7/NAD[3035=CN]/C080/3036       in this group; the groups above it need not be written
         SG7[3035=CN]/RFF                 a filter of a group is one of the segment that it begins with
         SG7[RFF/1153=VA]/NAD             or of another segment right in it
XML      Manifest/Consignment[Number=1]/Goods/Weight, Manifest/@version
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hub.declaration import near
from hub.edifact.directory import Component, ElementSpec, MessageSpec, Node
from hub.edifact.model import Group, Repeats, Segment
from hub.mapping.path import Path, Step, parse_path
from hub.mapping.plan import EdifactFacts, Facts, XmlFacts
from hub.xml.schema import Schema

_GROUP = re.compile(r"SG[0-9]+")
_COMPOSITE = re.compile(r"[CS][0-9]{3}")


@dataclass(frozen=True, slots=True)
class Level:
    """One step down: a group, a segment or an XML element.

    tests   what must hold there: ((tag, element, component), value) of a segment or of one right in a group, or
            (name of child or @attribute, value)
    """

    name: str
    tests: tuple[tuple[Any, str], ...] = ()

    def fits(self, node: Any) -> bool:
        """True when the tests hold at `node`."""
        return all(_holds(node, place, value) for place, value in self.tests)


def _holds(node: Any, place: Any, value: str) -> bool:
    if isinstance(node, Segment):
        return node.get(*place[1:]) == value
    if isinstance(node, Group):
        return any(_holds(part, place, value) for part in node.parts.get(place[0], ()))
    return _own(node, place) == value


def _own(node: Any, name: str) -> str | None:
    """An attribute, or the text of a child."""
    own: str | None = node.get(name[1:]) if name.startswith("@") else node.findtext(name)
    return own


@dataclass(frozen=True, slots=True)
class Aim:
    """One exact place. `levels` lead down from the message or, in XML, from below the root element.

    element, component  as in a Place; 0: the whole segment; component 0: a simple element or the whole composite
    attribute           of an XML element
    begins              True for a segment that its group begins with: the group is there when it is
    before              keys that stand before the last level, and itself: what is missing is missed behind them
    anywhere            True when it is one of all places of its segment, without a filter
    """

    levels: tuple[Level, ...]
    element: int = 0
    component: int = 0
    attribute: str = ""
    begins: bool = False
    before: frozenset[str] = frozenset()
    anywhere: bool = False

    @property
    def inner(self) -> bool:
        """True for a part of a segment and for an attribute, False for segment, group or XML element."""
        return bool(self.element or self.attribute)

    @property
    def tag(self) -> str:
        """The last level."""
        return self.levels[-1].name if self.levels else ""

    def covers(self, other: Aim) -> bool:
        """True when every place of `other` is a place of this one."""
        if len(self.levels) > len(other.levels) or (self.inner and len(self.levels) < len(other.levels)):
            return False
        for mine, its in zip(self.levels, other.levels, strict=False):
            if mine.name != its.name or not set(mine.tests) <= set(its.tests):
                return False
        if self.attribute:
            return self.attribute == other.attribute
        return self.element in (0, other.element) and self.component in (0, other.component)


def aims(text: str, facts: Facts) -> tuple[Aim, ...]:
    """The places that `text` names. ValueError or KeyError says what is wrong and what there is."""
    path = parse_path(text)
    if path.source or path.up:
        raise ValueError("a path of a guide begins with a segment, a group or the root element")
    if isinstance(facts, XmlFacts):
        return (_xml(path.steps, facts.schema),)
    return tuple(_edifact(path, facts))


def part(aim: Aim, facts: EdifactFacts) -> tuple[ElementSpec, Component | None] | None:
    """What the standard says of the element, and of the component where it is one value; None for larger parts."""
    if not aim.element:
        return None
    specs = facts.directory.segment(aim.tag)
    spec = specs[min(aim.element, len(specs)) - 1]
    if spec.composite:
        return spec, spec.components[aim.component - 1] if aim.component else None
    return spec, spec.components[0]


# ---- XML


def _xml(steps: tuple[Step, ...], schema: Schema) -> Aim:
    names = tuple(step.name for step in steps)
    if not schema.has(names):
        near = ", ".join(schema.children(names[:-1])[:12])
        raise ValueError(f"the schema has no {'/'.join(names)}; there is {near}")
    attribute = names[-1][1:] if names[-1].startswith("@") else ""
    prefix = f"{{{schema.namespace}}}" if schema.namespace else ""
    levels = []
    for at, step in enumerate(steps[: -1 if attribute else None], 1):
        for inner, _ in step.tests:
            if not schema.has((*names[:at], inner)):
                raise ValueError(f"the schema has no {'/'.join((*names[:at], inner))}")
        tests = tuple((name if name.startswith("@") else prefix + name, value) for name, value in step.tests)
        levels.append(Level(prefix + step.name, tests))
    return Aim(tuple(levels[1:]), attribute=attribute)


# ---- EDIFACT


def _edifact(path: Path, facts: EdifactFacts) -> Iterator[Aim]:
    steps = list(path.steps)
    first = steps[0].name
    starts = [way for way in _ways(facts.spec.nodes, first) if len(way) == 1 or not path.root]
    if not starts:
        there = facts.spec.children() if path.root else _tags(facts.spec.nodes)
        raise ValueError(
            f"{first} is not in {facts.spec.type} of {facts.spec.release}; near: {near(first, set(there))}"
        )
    anywhere = not (path.root or _GROUP.fullmatch(first) or steps[0].tests)
    for way in starts:
        yield replace(_below(way, steps, facts), anywhere=anywhere)


def _ways(nodes: tuple[Node, ...], key: str, above: tuple[Node, ...] = ()) -> Iterator[tuple[Node, ...]]:
    """Every way down to a node with this key; where a level has it at several lines, the first stands for all."""
    seen = set()
    for node in nodes:
        if node.key == key and key not in seen:
            seen.add(key)
            yield (*above, node)
        yield from _ways(node.children, key, (*above, node))


def _tags(nodes: tuple[Node, ...]) -> Iterator[str]:
    """Every group and segment."""
    for node in nodes:
        yield node.key
        yield from _tags(node.children)


def _below(way: tuple[Node, ...], steps: list[Step], facts: EdifactFacts) -> Aim:
    levels = [Level(node.key) for node in way[:-1]]
    nodes = list(way)
    levels.append(_level(nodes[-1], steps[0], facts))
    rest = steps[1:]
    while rest and nodes[-1].children:
        node = _child(nodes[-1], rest[0].name)
        nodes.append(node)
        levels.append(_level(node, rest.pop(0), facts))
    if nodes[-1].children:
        return Aim(tuple(levels), before=_before(nodes, facts.spec))
    begins = len(nodes) > 1 and nodes[-2].children[0] is nodes[-1]
    if begins:  # a filter on the segment is one on its group
        levels[-2] = replace(levels[-2], tests=levels[-2].tests + levels[-1].tests)
        levels[-1] = Level(levels[-1].name)
    aim = Aim(tuple(levels), begins=begins, before=_before(nodes[:-1] if begins else nodes, facts.spec))
    return _pointed(aim, rest, facts) if rest else aim


def _child(node: Node, name: str) -> Node:
    found = next((child for child in node.children if child.key == name), None)
    if found is None:
        there = " ".join(dict.fromkeys(child.key for child in node.children))
        raise ValueError(f"{name} is not in {node.key}; there: {there}")
    return found


def _level(node: Node, step: Step, facts: EdifactFacts) -> Level:
    if step.nth:
        raise ValueError(f"{step}: # counts elements, not segments or groups")
    tests = []
    for inner, value in step.tests:
        tag, rest = node.trigger, inner
        if node.children and "/" in inner and inner.partition("/")[0] in {child.key for child in node.children}:
            tag, _, rest = inner.partition("/")
        tests.append(((tag, *facts.directory.component_index(tag, rest)), value))
    return Level(node.key, tuple(tests))


def _before(nodes: list[Node], spec: MessageSpec) -> frozenset[str]:
    """Keys that stand before the last of `nodes` in its level, and its own."""
    level = nodes[-2].children if len(nodes) > 1 else spec.nodes
    return frozenset(node.key for node in level[: level.index(nodes[-1]) + 1])


def _pointed(aim: Aim, steps: list[Step], facts: EdifactFacts) -> Aim:
    if any(step.tests for step in steps):
        raise ValueError("a filter belongs to a segment or a group")
    text = "/".join(f"{step.name}#{step.nth}" if step.nth > 1 else step.name for step in steps)
    element, component = facts.directory.component_index(aim.tag, text)
    specs = facts.directory.segment(aim.tag)
    composite = specs[min(element, len(specs)) - 1].composite
    whole = len(steps) == 1 and _COMPOSITE.fullmatch(steps[0].name)
    return replace(aim, element=element, component=component if composite and not whole else 0)


# ---- walking


def found(node: Any, levels: tuple[Level, ...]) -> Iterator[tuple[Any, ...]]:
    """Every chain of nodes that `levels` lead to, each from `node` itself down."""
    chains: list[tuple[Any, ...]] = [(node,)]
    for level in levels:
        chains = [(*chain, child) for chain in chains for child in _children(chain[-1], level)]
    return iter(chains)


def reached(node: Any, levels: tuple[Level, ...]) -> list[Any]:
    """The last node of every chain that `found` would give, faster."""
    nodes = [node]
    for level in levels:
        if not nodes:
            break
        nodes = [child for one in nodes for child in _children(one, level)]
    return nodes


def _children(node: Any, level: Level) -> list[Any]:
    parts: list[Any] = node.parts.get(level.name, []) if isinstance(node, Group) else [*node.iterchildren(level.name)]
    return [one for one in parts if level.fits(one)] if level.tests and parts else parts


def values(node: Any, aim: Aim) -> list[str]:
    """The values of the aim at a segment or an XML element, without empty ones; those of all repetitions (syntax 4)."""
    if not isinstance(node, Segment):
        text = node.get(aim.attribute) if aim.attribute else node.text
        return [text.strip()] if text and text.strip() else []
    elements, at = node.elements, aim.component - 1 if aim.component else 0
    if len(elements) < aim.element:
        return []
    once = elements[aim.element - 1]
    if isinstance(once, Repeats):
        return [one[at] for one in (once, *once.more) if len(one) > at and one[at]]
    return [once[at]] if len(once) > at and once[at] else []


def present(node: Any, aim: Aim) -> bool:
    """True when there is anything at the aim: a value, or a component of a composite, or what an element holds."""
    if isinstance(node, Group):
        return True
    if isinstance(node, Segment):
        if not aim.element:
            return True
        if aim.component:
            return bool(values(node, aim))
        return len(node.elements) >= aim.element and any(node.elements[aim.element - 1])
    if aim.attribute:
        return bool(values(node, aim))
    return bool(values(node, aim) or len(node) or node.attrib)
