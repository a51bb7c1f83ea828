"""What an answer points to, in the message that it answers.

Bill[2]/ReceiverName  /CustomsManifest/Head/ShipIMO  Person[3]/@role  names, from the root or from any step on
SG8/TDT/C222/8213     TDT/8028                       the same in EDIFACT; 8213 alone is every such element
NAD(7) 4.1            (7)                            the seventh segment, UNH being the first; its element, component
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from hub.edifact.model import Segment
from hub.lineage.marks import Cell, Mark, Steps, inner
from hub.site.site import Usage

LONGEST = 500
"""Characters of a pointer that are read."""
MOST = 20
"""Places that one pointer may mean."""
_NUMBERS = re.compile(r"(?:[A-Z]{3})?\(([0-9]{1,6})\)(?:\s+([0-9]{1,3})(?:\.([0-9]{1,3}))?)?")
_STEP = re.compile(r"(?:[\w.-]+:)?(@?[\w.#-]+)(?:\[([1-9][0-9]{0,6})\])?")


@dataclass(frozen=True, slots=True)
class Named:
    """One place that is pointed to. `value`: what stands there, "" for nothing and for a whole element or segment."""

    cell: Cell
    path: str
    value: str = ""


def plain(pointer: str) -> str:
    """A pointer without its numbers and without what stands before the names: what a rule may be found by; "" for
    numbers."""
    steps = _steps(pointer)
    return "/".join(name for name, _ in steps) if steps else ""


def above(pointer: str) -> str:
    """The pointer without its last name; "" where it has but one."""
    return pointer.strip().rstrip("/").rpartition("/")[0].rstrip("/")


def found(pointer: str, marks: Mapping[Any, Mark], usage: Usage) -> list[Named]:
    """The places of a document, whose marks these are, that a pointer means; [] for nothing at all. Never raises."""
    pointer = pointer.strip()
    if not pointer or len(pointer) > LONGEST:
        return []
    if match := _NUMBERS.fullmatch(pointer):
        number, element, component = (int(text or 0) for text in match.groups())
        return list(_numbered(marks, usage, number, element, component))[:MOST]
    steps = _steps(pointer)
    whole = pointer.startswith("/") and not pointer.startswith("//")
    places = _segments(steps, whole, marks, usage) if usage.directory else _elements(steps, whole, marks)
    return list(islice(places, MOST)) if steps else []


def _steps(pointer: str) -> list[tuple[str, int]]:
    """(name, number or 0) of each step; [] where one cannot be read."""
    steps = []
    for text in pointer.strip().lstrip("/").split("/"):
        match = _STEP.fullmatch(text)
        if match is None:
            return []
        steps.append((match[1], int(match[2] or 0)))
    return steps


def _fits(asked: list[tuple[str, int]], there: Steps, whole: bool) -> bool:
    """True where the asked steps are the last ones of those that are there, or all of them."""
    if len(asked) > len(there) or (whole and len(asked) != len(there)):
        return False
    tail = there[len(there) - len(asked) :]
    return all(name == known and number in (0, nth) for (name, number), (known, nth) in zip(asked, tail, strict=True))


# ---- XML


def _elements(steps: list[tuple[str, int]], whole: bool, marks: Mapping[Any, Mark]) -> Iterator[Named]:
    attribute = steps.pop()[0][1:] if steps and steps[-1][0].startswith("@") else ""
    for element, mark in marks.items():
        if not _fits(steps, mark.steps, whole):
            continue
        if not attribute:
            yield Named(Cell(mark.steps), mark.path, (element.text or "").strip() if not len(element) else "")
        elif (value := element.get(attribute)) is not None:
            yield Named(Cell(mark.steps, attribute=attribute), f"{mark.path}/@{attribute}", value)


# ---- EDIFACT


def _numbered(marks: Mapping[Any, Mark], usage: Usage, number: int, element: int, component: int) -> Iterator[Named]:
    for segment, mark in marks.items():
        if isinstance(segment, Segment) and segment.number == number:
            numbers = f" {element}.{component}" if component else f" {element}" if element else ""
            if element and not component and not _composite(usage, segment.tag, element):
                component = 1
            value = segment.get(element, component) if component else ""
            yield Named(Cell(mark.steps, element, component), f"{mark.path}({number}){numbers}", value)


def _composite(usage: Usage, tag: str, element: int) -> bool:
    specs = usage.directory.segment(tag) if usage.directory and usage.directory.defines(tag) else ()
    return bool(specs) and specs[min(element, len(specs)) - 1].composite


def _segments(steps: list[tuple[str, int]], whole: bool, marks: Mapping[Any, Mark], usage: Usage) -> Iterator[Named]:
    for cut in range(len(steps), -1, -1):
        above, below = steps[:cut], "/".join(name for name, _ in steps[cut:])
        places = list(islice(_inside(above, below, whole and bool(above), marks, usage), MOST))
        if places:
            yield from places
            return


def _inside(
    above: list[tuple[str, int]], below: str, whole: bool, marks: Mapping[Any, Mark], usage: Usage
) -> Iterator[Named]:
    """Segments whose own steps, or those of a group around them, end with `above`; the element `below` in each."""
    seen: set[Steps] = set()
    for segment, mark in marks.items():
        if not below:
            depth = next((n for n in range(len(above), len(mark.steps) + 1) if _fits(above, mark.steps[:n], whole)), 0)
            if depth and mark.steps[:depth] not in seen:
                seen.add(mark.steps[:depth])
                yield Named(Cell(mark.steps[:depth]), "/".join(mark.path.split("/")[:depth]))
        elif _fits(above, mark.steps, whole):
            at = _element(usage, segment.tag, below)
            if at and (value := segment.get(at[0], at[1] or 1)):
                yield Named(Cell(mark.steps, *at), f"{mark.path}/{below}", value)


def _element(usage: Usage, tag: str, path: str) -> tuple[int, int] | None:
    try:
        return inner(usage.directory, tag, path) if usage.directory else None
    except (KeyError, ValueError):
        return None
