"""Names for the places of a document: steps from its root, each with its number among those of its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from lxml import etree

from hub.edifact.directory import Directory
from hub.edifact.model import Group, Segment
from hub.mapping.edifact_source import GROUP
from hub.mapping.path import parse_path
from hub.mapping.places import places, spec_of
from hub.site.site import Usage

Steps = tuple[tuple[str, int], ...]
_STEP = re.compile(r"([^\[\]]+)(?:\[([0-9]+)\])?")


class Cell(NamedTuple):
    """One value of a document: of a segment an element and component from 1, of an XML element its text or an
    attribute."""

    steps: Steps
    element: int = 0
    component: int = 0
    attribute: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a segment or an element stands; `path` has the numbers only where there are several."""

    steps: Steps
    path: str


def marks(root: Any) -> dict[Any, Mark]:
    """Every segment of a message, or every element of a document."""
    if isinstance(root, Group):
        return dict(_groups(root, Mark((), "")))
    name = etree.QName(root).localname
    return dict(_elements(root, Mark(((name, 1),), name)))


def _groups(group: Group, above: Mark) -> Iterator[tuple[Any, Mark]]:
    for name, parts in group.parts.items():
        for number, part in enumerate(parts, 1):
            mark = _below(above, name, number, len(parts) > 1)
            if isinstance(part, Segment):
                yield part, mark
            else:
                yield from _groups(part, mark)


def _elements(element: Any, mark: Mark) -> Iterator[tuple[Any, Mark]]:
    yield element, mark
    children = [(child, etree.QName(child).localname) for child in element.iterchildren(etree.Element)]
    total: dict[str, int] = {}
    for _, name in children:
        total[name] = total.get(name, 0) + 1
    count: dict[str, int] = {}
    for child, name in children:
        count[name] = count.get(name, 0) + 1
        yield from _elements(child, _below(mark, name, count[name], total[name] > 1))


def _below(above: Mark, name: str, number: int, several: bool) -> Mark:
    shown = f"{name}[{number}]" if several else name
    return Mark((*above.steps, (name, number)), f"{above.path}/{shown}" if above.path else shown)


def cell_of(target: str, usage: Usage) -> Cell:
    """The place that a trace names: `Bill[2]/Name`, `Box/@id`, `SG2[2]/EQD/C237/8260`."""
    names = target.split("/")
    if usage.directory is None:
        attribute = names.pop()[1:] if names[-1].startswith("@") else ""
        return Cell(tuple(map(_step, names)), attribute=attribute)
    at = next((at for at, name in enumerate(names) if not GROUP.fullmatch(_step(name)[0])), len(names) - 1)
    element, component = inner(usage.directory, _step(names[at])[0], "/".join(names[at + 1 :]))
    return Cell(tuple(map(_step, names[: at + 1])), element, component)


def inner(directory: Directory, tag: str, path: str) -> tuple[int, int]:
    """(element, component) of a path within a segment; component 0 is a whole composite. KeyError, ValueError."""
    return places(directory, tag, parse_path(path).steps)[0]


def _step(text: str) -> tuple[str, int]:
    match = _STEP.fullmatch(text)
    return (match[1], int(match[2] or 1)) if match else (text, 1)


def named(directory: Directory | None, tag: str, element: int, component: int) -> str:
    """An element of a segment by its names, C080/3036; its numbers where the standard has none."""
    if not element:
        return ""
    numbers = f"{element}.{component}" if component else str(element)
    if directory is None or not directory.defines(tag) or element > len(directory.segment(tag)):
        return numbers
    if component > len(directory.segment(tag)[element - 1].components):
        return numbers
    spec, part = spec_of(directory, tag, element, component)
    if not spec.composite:
        return spec.id
    if not component:
        return spec.id
    turn = sum(other.id == part.id for other in spec.components[:component])
    return f"{spec.id}/{part.id}#{turn}" if turn > 1 else f"{spec.id}/{part.id}"
