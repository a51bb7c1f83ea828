"""Paths over segment groups, segments and what is in them."""

from __future__ import annotations

import re
from typing import Any

from hub.edifact.model import Group, Segment
from hub.mapping.path import Step, parse_path
from hub.mapping.places import occurrences, places, whole, written
from hub.mapping.plan import EdifactFacts, Loop, like
from hub.mapping.reach import Chain, Reach

GROUP = re.compile(r"SG[0-9]+")


def edifact(chain: Chain, steps: tuple[Step, ...], facts: EdifactFacts, loop: Loop) -> tuple[Reach, Loop]:
    """Where `steps` lead from an item of `loop`, and what a loop over them would be. KeyError and ValueError say what
    is near."""
    at, tag, rest = loop.above, loop.tag, list(steps)
    absolute = (*loop.steps, *steps)
    if loop.element:
        found = _within(chain, steps, facts, loop)
        if found:
            return found
        absolute = (*loop.steps[: _segments(loop)], *steps)
        chain.step("segment", lambda run, nodes: [node.segment for node in nodes])
    if not tag:
        at = _groups(chain, rest, facts, at)
        if rest:
            tag = _segment(chain, rest.pop(0), facts, at)
    read = loop.alias, "/".join(map(str, absolute))
    inner = Loop(loop.alias, absolute, at, tag, written(tuple(rest)))
    common = read, chain.nodes, chain.key, chain.depth, chain.outer
    if not rest:
        kind: Any = "segment" if tag else "group"
        return _reach(kind, *common, example=_example(facts, at, tag)), inner
    _plain(rest)
    element, component = facts.directory.component_index(tag, inner.element)
    every = places(facts.directory, tag, tuple(rest))
    if len(rest) == 1 and whole(facts.directory, tag, rest[0].name):
        return _reach("composite", *common, cell=(element, 0), places=every), inner
    return _reach("value", *common, cell=(element, component), places=every), inner


def _reach(kind: Any, read: Any, nodes: Any, key: Any, depth: int, outer: bool, **more: Any) -> Reach:
    return Reach(read, kind, nodes, key, depth, outer, **more)


def _segments(loop: Loop) -> int:
    """How many steps of a loop lead to its segment."""
    return len(loop.steps) - len(loop.element.split("/"))


def _within(chain: Chain, steps: tuple[Step, ...], facts: EdifactFacts, loop: Loop) -> tuple[Reach, Loop] | None:
    """A component of an item that is an element; None when it is to be looked for in the whole segment."""
    read = loop.alias, "/".join(map(str, (*loop.steps, *steps)))
    common = read, chain.nodes, chain.key, chain.depth, chain.outer
    if not steps:
        kind = "composite" if whole(facts.directory, loop.tag, loop.element) else "value"
        return _reach(kind, *common, part=1), loop
    outer = loop.element.partition("#")[0]
    if len(steps) > 1 or "/" in outer or not whole(facts.directory, loop.tag, outer):
        return None
    try:
        _, component = facts.directory.component_index(loop.tag, f"{outer}/{written(steps)}")
    except KeyError:
        return None
    _plain(list(steps))
    inner = Loop(loop.alias, (*loop.steps, *steps), loop.above, loop.tag, f"{loop.element}/{written(steps)}")
    return _reach("value", *common, part=component), inner


def _plain(rest: list[Step]) -> None:
    if any(step.tests for step in rest):
        raise ValueError("a test at a segment or a group")


def _groups(chain: Chain, rest: list[Step], facts: EdifactFacts, at: tuple[str, ...]) -> tuple[str, ...]:
    """Take the groups off `rest`; the path of the last of them."""
    while rest:
        there = facts.spec.children(at)
        name = rest[0].name
        if name not in there:
            raise ValueError(f"{like(name, there)} in {'/'.join(at) or facts.spec.type}")
        if not GROUP.fullmatch(name):
            break
        step = rest.pop(0)
        at = (*at, name)
        tests = [(_inner(facts, at, inner), value) for inner, value in step.tests]
        if len(tests) == 1 and not step.nth:  # one look at the groups serves all values
            chain.step(name, _parts(name, [], 0))
            chain.step(step.tests[0][0], _by_texts(tests[0][0]))
            chain.step(("=", tests[0][1]), _of_value(tests[0][1]))
        else:
            chain.step(step if tests or step.nth else name, _parts(name, tests, step.nth))
    return at


def _segment(chain: Chain, step: Step, facts: EdifactFacts, at: tuple[str, ...]) -> str:
    cells = [(_cells(facts, step.name, inner), value) for inner, value in step.tests]
    if step.nth:  # of each group
        chain.step(step, _parts(step.name, [(_texts(where), value) for where, value in cells], step.nth))
        return step.name
    chain.step(step.name, _parts(step.name, [], 0))
    for where, value in cells:
        if len(where) == 1:  # one look at the segments serves all values that this element is tested for
            chain.step(where, _by_value(*where[0]))
            chain.step(("=", value), _of_value(value))
        else:
            chain.step((where, value), _those([(_texts(where), value)], 0))
    return step.name


def _by_value(element: int, component: int) -> Any:
    element, component = element - 1, component - 1

    def take(run: Any, nodes: Any) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for node in nodes:
            elements, value = node.elements, ""
            if element < len(elements) and component < len(elements[element]):
                value = elements[element][component]
            found.setdefault(value, []).append(node)
        return found

    return take


def _by_texts(texts: Any) -> Any:
    def take(run: Any, nodes: Any) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for node in nodes:
            for value in dict.fromkeys(texts(node)):
                found.setdefault(value, []).append(node)
        return found

    return take


def _of_value(value: str) -> Any:
    return lambda run, found: found.get(value, ())


def _example(facts: EdifactFacts, at: tuple[str, ...], tag: str) -> str:
    name = tag or next((key for key in facts.spec.children(at) if not GROUP.fullmatch(key)), "")
    spec = facts.directory.segment(name)[0]
    inner = f"{spec.id}/{spec.components[0].id}" if spec.composite else spec.id
    return inner if tag else f"{name}/{inner}"


# ---- tests


def _cells(facts: EdifactFacts, tag: str, inner: str) -> tuple[tuple[int, int], ...]:
    """Where the texts of a segment stand that an inner path leads to."""
    steps = parse_path(inner).steps
    if len(steps) == 1 and whole(facts.directory, tag, steps[0].name):
        return (facts.directory.component_index(tag, inner),)
    return places(facts.directory, tag, steps)


def _texts(where: tuple[tuple[int, int], ...]) -> Any:
    if len(where) == 1:
        element, component = where[0]
        return lambda node: (node.get(element, component),)
    return lambda node: [one.parts[0] for one in occurrences(node, where)]


def _inner(facts: EdifactFacts, at: tuple[str, ...], inner: str) -> Any:
    """Texts of a group at an inner path."""
    steps = list(parse_path(inner).steps)
    keys: list[str] = []
    while steps and GROUP.fullmatch(steps[0].name):
        keys.append(steps.pop(0).name)
    for depth, name in enumerate([*keys, *(step.name for step in steps[:1])]):
        there = facts.spec.children((*at, *keys[:depth]))
        if name not in there:
            raise ValueError(f"{like(name, there)} in {'/'.join((*at, *keys[:depth]))}")
    if len(steps) < 2:
        raise ValueError(f"an element in [{inner}=…], such as {_example(facts, (*at, *keys), '')}")
    tag = steps[0].name
    where = _cells(facts, tag, written(tuple(steps[1:])))
    if not keys and len(where) == 1:
        element, component = where[0]
        return lambda node: [one.get(element, component) for one in node.parts.get(tag, ())]
    cells = _texts(where)
    path = (*keys, tag)

    def texts(node: Group) -> Any:
        nodes: list[Any] = [node]
        for key in path:
            nodes = [part for one in nodes for part in one.parts.get(key, ())]
        return [text for one in nodes for text in cells(one)]

    return texts


def _parts(key: str, tests: list[tuple[Any, str]], nth: int) -> Any:
    if tests or nth:
        those = _those(tests, nth)
        return lambda run, nodes: [part for node in nodes for part in those(run, node.parts.get(key, ()))]

    def take(run: Any, nodes: Any) -> Any:
        if len(nodes) == 1:
            return nodes[0].parts.get(key, ())
        return [part for node in nodes for part in node.parts.get(key, ())]

    return take


def _those(tests: list[tuple[Any, str]], nth: int) -> Any:
    def take(run: Any, nodes: Any) -> list[Segment | Group]:
        found = [node for node in nodes if all(value in texts(node) for texts, value in tests)]
        return found[nth - 1 : nth] if nth else found

    return take
