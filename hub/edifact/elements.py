"""Status, format, length, date and code of every element and component, by the tables of one directory.

Each segment's rules are compiled once for a directory. EDI repeats itself: a segment whose very text was found right
is remembered, and not cut into elements again.

Repeated elements: in syntax version 4 by the repetition separator, below it as neighbouring positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache

from hub.edifact.directory import Directory
from hub.edifact.limits import KEEP
from hub.edifact.model import Element, RawMessage, Repeats, Segment, Separators
from hub.edifact.rules import Fault, Lists, Position, faults, further, position
from hub.finding import Finding, Place, Severity

__all__ = ["Lists", "check"]

_REMEMBERED, _LONGEST = 512, 100
"""Right texts kept for each tag, and how long one may be."""

_POSITIONS = 9999
"""Positions that one repeating element may take below syntax version 4."""

_READERS = ("UNH", "UNT")
"""Segments of which the reader tells what is missing."""

_SEVERITY: dict[str, Severity] = {"edifact.code_usual": "warning"}


def check(
    message: RawMessage, directory: Directory, *, version: str = "3", lists: Lists | None = None
) -> list[Finding]:
    """What is wrong with the elements of the message. Unknown segments are passed over: structure tells them.

    `version` is 0002 of the interchange. The answers of one `lists` may not change: for another day, another.
    """
    findings: list[Finding] = []
    repeating = version == "4"
    checkers = _checkers(_Same(directory), _Same(lists), repeating, message.separators)
    for segment in message.segments:
        tag = segment.tag
        checker = checkers.get(tag)
        if checker is None:
            if not directory.defines(tag):
                continue
            checker = checkers[tag] = _Checker(tag, directory, lists, repeating, message.separators)
        text = segment.unread
        if text in checker.known:
            continue
        if not (checker.clean(segment.elements) if text is None else checker.clean_text(text, segment)):
            findings += checker.tell(segment, message.reference)
            if len(findings) >= KEEP:
                break
        elif text is not None and len(text) <= _LONGEST:
            checker.keep(text)
    return findings


class _Same:
    """A key for what is one and the same, whether or not it can be compared."""

    __slots__ = ("it",)

    def __init__(self, it: object) -> None:
        self.it = it

    def __hash__(self) -> int:
        return id(self.it)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.it is other.it


@lru_cache(maxsize=64)
def _checkers(directory: _Same, lists: _Same, repeating: bool, separators: Separators) -> dict[str, _Checker]:
    """By tag. The separators are part of the key as the same text means something else with others."""
    return {}


class _Checker:
    """One segment of one directory. `clean` and, for what nobody has cut into elements yet, `clean_text` are True only
    when nothing is wrong, as with nearly every segment; `known` are texts of which it was."""

    __slots__ = ("clean", "clean_text", "known", "layouts")

    def __init__(self, tag: str, directory: Directory, lists: Lists | None, repeating: bool, signs: Separators) -> None:
        self.layouts = _layouts([position(spec, directory, lists) for spec in directory.segment(tag)], repeating)
        self.clean = _clean(self.layouts[0])
        self.clean_text = _clean_text(self.layouts[0], signs, self.clean)
        self.known: set[str | None] = set()

    def keep(self, text: str) -> None:
        if len(self.known) >= _REMEMBERED:
            self.known.clear()
        self.known.add(text)

    def tell(self, segment: Segment, reference: str) -> Iterator[Finding]:
        """Every fault of the segment; none when one of the ways of reading it has none."""
        told = [list(_segment_faults(segment.fresh(), layout)) for layout in self.layouts]
        for number, fault in [] if [] in told else told[0]:
            if fault.code == "edifact.element_missing" and segment.tag in _READERS:
                continue
            place = Place(
                reference,
                segment.number,
                segment.tag,
                number,
                fault.component,
                segment.offset,
                occurrence=fault.occurrence,
            )
            severity = _SEVERITY.get(fault.code, "error")
            yield Finding(fault.code, place, fault.found[:80], fault.expected, severity)


def _layouts(each: list[Position], repeating: bool) -> list[list[Position]]:
    """The ways in which positions may be meant. Below version 4 the repeats of the last element follow it; those of
    one in the middle either are not used, or each has a position of its own."""
    if repeating or not each:
        return [each]
    ways = [[*each, *_further(each[-1])]]
    if any(one.spec.max > 1 for one in each[:-1]):
        ways.append([at for one in each for at in (one, *_further(one))])
    return ways


def _further(one: Position) -> list[Position]:
    return [further(one)] * (min(one.spec.max, _POSITIONS) - 1)


def _clean(layout: list[Position]) -> Callable[[list[Element]], bool]:
    plan = [(one.right, one.most, one.fit) for one in layout]
    least = max((at for at, one in enumerate(layout, 1) if one.spec.required), default=0)
    allowed = len(plan)

    def clean(elements: list[Element]) -> bool:
        if not least <= len(elements) <= allowed:
            return False
        for values, (right, most, fit) in zip(elements, plan):  # noqa: B905 (twice as fast)
            if type(values) is Repeats:
                return False
            if len(values) == 1:
                value = values[0]
                if value in right or 0 < len(value) <= most:
                    continue
            if not fit(values):
                return False
        return True

    return clean


def _clean_text(
    layout: list[Position], signs: Separators, clean: Callable[[list[Element]], bool]
) -> Callable[[str, Segment], bool]:
    plan = [(one.right, one.most, one.fit) for one in layout]
    least = max((at for at, one in enumerate(layout, 1) if one.spec.required), default=0)
    allowed = len(plan)
    plus, colon, special = signs.element, signs.component, [sign for sign in (signs.release, signs.repetition) if sign]

    def clean_text(text: str, segment: Segment) -> bool:
        for sign in special:
            if sign in text:
                return clean(segment.fresh())
        raws = text.split(plus)
        if not least <= len(raws) <= allowed:
            return False
        for raw, (right, most, fit) in zip(raws, plan):  # noqa: B905
            # Of most elements it can be said without looking at their components.
            if raw in right or (0 < len(raw) <= most and colon not in raw):
                continue
            if not fit(raw.split(colon)):
                return False
        return True

    return clean_text


def _segment_faults(elements: list[Element], layout: list[Position]) -> Iterator[tuple[int, Fault]]:
    """Each fault of a segment with the number of its element."""
    allowed = len(layout)
    if any(map(_said, elements[allowed:])):
        yield allowed + 1, Fault("edifact.element_excess", None, str(len(elements)), str(allowed))
    for number, (values, one) in enumerate(zip(elements, layout, strict=False), 1):
        for fault in _repeated(values, one) if isinstance(values, Repeats) else faults(values, one.spec, one.rules):
            yield number, fault
    for number, one in enumerate(layout[len(elements) :], len(elements) + 1):
        if one.spec.required:
            yield number, Fault("edifact.element_missing", None, "", one.spec.id)


def _repeated(values: Repeats, first: Position) -> Iterator[Fault]:
    """Each fault of an element that is repeated, with its occurrence."""
    count, most = 1 + len(values.more), first.spec.max
    if count > most:
        yield Fault("edifact.element_repeats", None, str(count), str(most), most + 1)
    again = further(first)
    for turn, one in enumerate((values, *values.more), 1):
        for fault in faults(one, (first if turn == 1 else again).spec, first.rules):
            yield replace(fault, occurrence=turn)


def _said(values: Element) -> bool:
    return any(values) or (isinstance(values, Repeats) and any(map(any, values.more)))
