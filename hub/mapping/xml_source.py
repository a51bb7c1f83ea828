"""Paths over XML elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hub.mapping.path import Step, parse_path
from hub.mapping.plan import Loop, XmlFacts, like
from hub.mapping.reach import Chain, Reach
from hub.xml.schema import Schema


def xml(chain: Chain, steps: tuple[Step, ...], facts: XmlFacts, loop: Loop) -> tuple[Reach, Loop]:
    """Where `steps` lead from an item of `loop`, and what a loop over them would be. ValueError says what is near."""
    schema, above = facts.schema, loop.above
    names = (*above, *(step.name for step in steps if step.name != "#text"))
    check(schema, names)
    prefix = f"{{{schema.namespace}}}" if schema.namespace else ""
    attribute, at = "", above
    for step in steps:
        at = (*at, step.name)
        if step.name[0] in "@#":
            attribute = step.name[1:] if step.name[0] == "@" else ""
            break
        tests = [_test(schema, at, prefix, inner, value) for inner, value in step.tests]
        if len(at) == 1:  # at the top the first step is the root element itself
            if tests:
                chain.step(step, _picked(tests, step.nth))
            continue
        take = _elements(prefix + step.name, tests, step.nth)
        if step is steps[-1] and not tests:
            chain.end(take)
        else:
            chain.step(step, take)
    inner = Loop(loop.alias, (*loop.steps, *steps), names)
    read = loop.alias, "/".join(map(str, inner.steps))
    return Reach(read, "value", chain.nodes, chain.key, chain.depth, chain.outer, attribute=attribute), inner


def check(schema: Schema, names: tuple[str, ...]) -> None:
    """ValueError with what is near when the schema has no such path."""
    for depth in range(1, len(names) + 1):
        if not schema.has(names[:depth]):
            there = schema.children(names[: depth - 1])
            raise ValueError(f"{like(names[depth - 1], there)} in {'/'.join(names[: depth - 1]) or 'the document'}")


def _test(schema: Schema, at: tuple[str, ...], prefix: str, inner: str, value: str) -> tuple[str, str, str]:
    """(path to elements for lxml, attribute, value) of one test."""
    steps = parse_path(inner).steps
    names = [step.name for step in steps]
    check(schema, (*at, *names))
    attribute = names.pop()[1:] if names[-1][0] == "@" else ""
    return "/".join(prefix + name for name in names), attribute, value


def _holds(node: Any, test: tuple[str, str, str]) -> bool:
    inner, attribute, value = test
    nodes: Sequence[Any] = node.findall(inner) if inner else (node,)
    if attribute:
        return any(one.get(attribute) == value for one in nodes)
    return any((one.text or "").strip() == value for one in nodes)


def _picked(tests: list[tuple[str, str, str]], nth: int) -> Any:
    def take(run: Any, nodes: Any) -> Any:
        found = [one for one in nodes if all(_holds(one, test) for test in tests)]
        return found[nth - 1 : nth] if nth else found

    return take


def _elements(tag: str, tests: list[tuple[str, str, str]], nth: int) -> Any:
    pick = _picked(tests, nth)

    def below(run: Any, node: Any) -> Any:
        children = run.children.get(node)
        if children is None:
            children = run.children[node] = _by_tag(node)
        return children.get(tag, ())

    def take(run: Any, nodes: Any) -> Any:
        if len(nodes) == 1:
            children = run.children.get(nodes[0])
            return below(run, nodes[0]) if children is None else children.get(tag, ())
        return [child for node in nodes for child in below(run, node)]

    def picked(run: Any, nodes: Any) -> Any:
        return [child for node in nodes for child in pick(run, below(run, node))]

    return picked if tests or nth else take


def _by_tag(node: Any) -> dict[Any, list[Any]]:
    children: dict[Any, list[Any]] = {}
    for child in node:
        children.setdefault(child.tag, []).append(child)
    return children
