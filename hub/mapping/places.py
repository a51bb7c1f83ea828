"""Where things stand in a segment: every place of an element, and one occurrence of it as an item of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hub.edifact.directory import Component, Directory, ElementSpec
from hub.edifact.model import Repeats, Segment
from hub.mapping.path import Step


class Occurrence:
    """One occurrence of an element or component of a segment; `component` 0 is a whole element."""

    __slots__ = ("component", "element", "parts", "segment")

    def __init__(self, segment: Segment, element: int, component: int, parts: list[str]) -> None:
        self.segment = segment
        self.element = element
        self.component = component
        self.parts = parts


def written(steps: tuple[Step, ...]) -> str:
    """Steps within a segment as `Directory.component_index` takes them."""
    return "/".join(f"{step.name}#{step.nth}" if step.nth else step.name for step in steps)


def elements(directory: Directory, tag: str) -> Iterator[tuple[int, ElementSpec]]:
    """Element positions; a repeating last one takes further positions (how syntax 1-3 sends it)."""
    specs = directory.segment(tag)
    yield from enumerate(specs, 1)
    if specs:
        yield from ((len(specs) + extra, specs[-1]) for extra in range(1, min(specs[-1].max, 100)))


def whole(directory: Directory, tag: str, text: str) -> bool:
    """True when `text` names a composite and none of its components."""
    return any(spec.composite and spec.id == text.partition("#")[0] for spec in directory.segment(tag))


def spec_of(directory: Directory, tag: str, element: int, component: int) -> tuple[ElementSpec, Component]:
    """What the standard says of one place; of a composite its first component stands for it."""
    specs = directory.segment(tag)
    spec = specs[min(element, len(specs)) - 1]
    return spec, spec.components[max(component, 1) - 1]


def places(directory: Directory, tag: str, steps: tuple[Step, ...]) -> tuple[tuple[int, int], ...]:
    """Every (element, component) that the steps name, those without # at all occurrences; component 0: a composite.

    KeyError names what is near."""
    directory.component_index(tag, written(steps))
    named = [(number, spec) for number, spec in elements(directory, tag) if spec.id == steps[0].name]
    if len(steps) == 1 and not named:
        inner = [
            (number, index)
            for number, spec in elements(directory, tag)
            for index, part in enumerate(spec.components, 1)
            if part.id == steps[0].name
        ]
        return tuple(_nth(inner, steps[0].nth))
    outer = _nth(named, steps[0].nth)
    if len(steps) == 1:
        return tuple((number, 0 if spec.composite else 1) for number, spec in outer)
    return tuple(
        (number, index)
        for number, spec in outer
        for index in _nth([i for i, part in enumerate(spec.components, 1) if part.id == steps[1].name], steps[1].nth)
    )


def _nth(found: list[Any], nth: int) -> list[Any]:
    return found[nth - 1 : nth] if nth else found


def occurrences(segment: Segment, where: tuple[tuple[int, int], ...]) -> Iterator[Occurrence]:
    """What there is at these places, repetitions (syntax 4) too, without what is empty."""
    every = segment.elements
    for element, component in where:
        if element > len(every):
            continue
        once = every[element - 1]
        for one in (once, *once.more) if isinstance(once, Repeats) else (once,):
            if not component:
                if any(one):
                    yield Occurrence(segment, element, 0, one)
            elif component <= len(one) and one[component - 1]:
                yield Occurrence(segment, element, component, [one[component - 1]])
