"""Reading: paths of a mapping file as closures over native segments and XML elements."""

from __future__ import annotations

import re
from typing import Any

from hub.mapping.path import Path, Step, parse_path
from hub.mapping.plan import EdifactFacts, Find, Here, Leaf, Run, XmlFacts, bad
from hub.mapping.rules import Spot
from hub.xml.schema import Schema

_GROUP = re.compile(r"SG[0-9]+")
_COMPOSITE = re.compile(r"C[0-9]{3}")


Last = tuple[int, int] | str | None
"""What is read at the nodes of a path: (element, component; 0 for a whole composite), an attribute, or they."""


def find(text: str, here: Here, spot: Spot) -> Find:
    """A closure that gives everything at a path."""
    if text == ".":
        return lambda run: run.items[-1:]
    nodes, last = _compiled(text, here, spot)
    if last is None:
        return nodes
    if isinstance(last, str):
        return lambda run: [value for node in nodes(run) if (value := node.get(last)) is not None]
    element, component = last
    if component:
        return lambda run: [value for node in nodes(run) if (value := node.get(element, component))]
    return lambda run: [node.elements[element - 1] for node in nodes(run) if len(node.elements) >= element]


def first(text: str, here: Here, spot: Spot) -> Leaf:
    """A closure that gives the text of the first that `find` would, "" when there is none."""
    if text != ".":
        nodes, last = _compiled(text, here, spot)
        if isinstance(last, tuple) and last[1]:
            return _first_value(nodes, last[0] - 1, last[1] - 1)
    everything = find(text, here, spot)

    def leaf(run: Run) -> str:
        found = everything(run)
        return text_of(found[0]) if found else ""

    return leaf


def _first_value(nodes: Find, element: int, component: int) -> Leaf:
    def leaf(run: Run) -> str:
        for node in nodes(run):
            elements = node.elements
            if element < len(elements):
                values = elements[element]
                if component < len(values) and values[component]:
                    return str(values[component])
        return ""

    return leaf


def text_of(value: Any) -> str:
    """The text of a string, a composite (its first component) or an XML element."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return str(value[0]) if value else ""
    return (value.text or "").strip()


def _compiled(text: str, here: Here, spot: Spot) -> tuple[Find, Last]:
    try:
        path = parse_path(text)
        depth, groups, tag, alias = _start(path, here)
        facts = here.facts[alias]
        if isinstance(facts, XmlFacts):
            return _xml(_Chain(here, depth, alias), path.steps, facts.schema, groups)
        return _edifact(_Chain(here, depth, alias), path.steps, facts, groups, tag)
    except (KeyError, ValueError) as fault:
        raise bad(spot, text, str(fault.args[0] if fault.args else fault)) from fault


def inside(here: Here, path: Path, spot: Spot) -> Here:
    """`here` within a loop over `path`."""
    try:
        _, groups, _, alias = _start(path, here)
    except ValueError as fault:
        raise bad(spot, str(path), str(fault)) from fault
    names = [step.name for step in path.steps]
    tag = ""
    if isinstance(here.facts[alias], EdifactFacts) and not _GROUP.fullmatch(names[-1]):
        tag = names.pop()
    return Here(here.facts, here.tables, (*here.loops, (alias, (*groups, *names), tag)), here.shared)


def _start(path: Path, here: Here) -> tuple[int, tuple[str, ...], str, str]:
    """(loop that a path begins in, -1 for a source; groups or elements above it; its segment; the source's alias)."""
    if path.source or path.root or not here.loops or path.up >= len(here.loops):
        alias = path.source or (here.loops[0][0] if here.loops else next(iter(here.facts)))
        if alias not in here.facts:
            raise ValueError(f"no source {alias}; there are {', '.join(here.facts)}")
        return -1, (), "", alias
    depth = len(here.loops) - 1 - path.up
    alias, groups, tag = here.loops[depth]
    return depth, groups, tag, alias


class _Chain:
    """The steps of a path, each walked once for each item of the loop in which the path begins."""

    def __init__(self, here: Here, depth: int, alias: str) -> None:
        self.shared = here.shared
        self.depth = depth + 1
        self.key: tuple[Any, ...] = (here.loops[: depth + 1], alias)
        self.nodes: Find = (lambda run: (run.sources[alias],)) if depth < 0 else (lambda run: (run.items[depth],))

    def step(self, key: Any, take: Any) -> None:
        """Go on by `take`, a function of the run and the nodes so far; equal keys are equal steps."""
        self.key = (*self.key, key)
        if self.key not in self.shared:
            self.shared[self.key] = self._remembered(self.nodes, take, len(self.shared), self.depth)
        self.nodes = self.shared[self.key]

    def end(self, take: Any) -> Find:
        """The last step of a path that nobody else goes through."""
        above = self.nodes
        return lambda run: take(run, above(run))

    @staticmethod
    def _remembered(above: Find, take: Any, slot: int, depth: int) -> Find:
        def nodes(run: Run) -> Any:
            seen = run.seen[depth]
            found = seen.get(slot)
            if found is None:
                found = seen[slot] = take(run, above(run))
            return found

        return nodes


# ---- XML


def _xml(chain: _Chain, steps: tuple[Step, ...], schema: Schema, above: tuple[str, ...]) -> tuple[Find, Last]:
    names = tuple(step.name for step in steps)
    if not schema.has((*above, *names)):
        near = ", ".join(schema.children((*above, *names[:-1]))[:12])
        raise ValueError(f"the schema has no {'/'.join((*above, *names))}; there is {near}")
    prefix = f"{{{schema.namespace}}}" if schema.namespace else ""
    left = steps if above else steps[1:]  # at the top the first step is the root element itself
    for step in left:
        if step.name[0] == "@":
            return chain.nodes, step.name[1:]
        take = _elements(prefix + step.name, [(prefix + inner, value) for inner, value in step.tests])
        if step is left[-1] and not step.tests:
            return chain.end(take), None
        chain.step(step, take)
    return chain.nodes, None


def _elements(tag: str, tests: list[tuple[str, str]]) -> Any:
    def below(run: Run, node: Any) -> Any:
        children = run.children.get(node)
        if children is None:
            children = run.children[node] = _by_tag(node)
        return children.get(tag, ())

    def take(run: Run, nodes: Any) -> Any:
        found = below(run, nodes[0]) if len(nodes) == 1 else [child for node in nodes for child in below(run, node)]
        if tests:
            return [one for one in found if all(one.findtext(inner) == value for inner, value in tests)]
        return found

    return take


def _by_tag(node: Any) -> dict[Any, list[Any]]:
    children: dict[Any, list[Any]] = {}
    for child in node:
        children.setdefault(child.tag, []).append(child)
    return children


# ---- EDIFACT


def _edifact(
    chain: _Chain, steps: tuple[Step, ...], facts: EdifactFacts, above: tuple[str, ...], tag: str
) -> tuple[Find, Last]:
    rest = list(steps)
    if not tag:
        at = above
        while rest and rest[0].name not in facts.spec.children(at):
            raise ValueError(f"{rest[0].name} is not in {'/'.join(at) or facts.spec.type}: {names_of(facts, at)}")
        while rest and _GROUP.fullmatch(rest[0].name):
            name = rest.pop(0).name
            at = (*at, name)
            chain.step(name, _parts(name))
            if rest and rest[0].name not in facts.spec.children(at):
                raise ValueError(f"{rest[0].name} is not in {'/'.join(at)}: {names_of(facts, at)}")
        if rest:
            step = rest.pop(0)
            tag = step.name
            chain.step(tag, _parts(tag))
            for inner, value in step.tests:
                chain.step((inner, value), _having(*_place(facts, tag, inner), value))
    return chain.nodes, _place(facts, tag, "/".join(_written(s) for s in rest)) if rest else None


def names_of(facts: EdifactFacts, at: tuple[str, ...]) -> str:
    """What there is at a place, for a finding."""
    return " ".join(facts.spec.children(at))


def _written(step: Step) -> str:
    return f"{step.name}#{step.nth}" if step.nth > 1 else step.name


def _place(facts: EdifactFacts, tag: str, path: str) -> tuple[int, int]:
    """(element, component) of a component path; component 0 for a whole composite."""
    if _COMPOSITE.fullmatch(path):
        for number, spec in enumerate(facts.directory.segment(tag), 1):
            if spec.id == path:
                return number, 0
    return facts.directory.component_index(tag, path)


def _parts(key: str) -> Any:
    def take(run: Run, nodes: Any) -> Any:
        if len(nodes) == 1:
            return nodes[0].parts.get(key, ())
        return [part for node in nodes for part in node.parts.get(key, ())]

    return take


def _having(element: int, component: int, value: str) -> Any:
    return lambda run, nodes: [node for node in nodes if node.get(element, component) == value]
