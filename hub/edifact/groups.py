"""UNG … UNE: which group is open, what was counted in it, and what ISO 9735-1 has against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hub.edifact.limits import KEEP
from hub.edifact.model import FunctionalGroup, Segment
from hub.finding import Finding, Place

Placed = Callable[[Segment, int | None, int | None], Place]

_MANDATORY = (
    (1, 1, "0038"),
    (2, 1, "S006 0040"),
    (3, 1, "S007 0044"),
    (4, 1, "S004 0017"),
    (4, 2, "S004 0019"),
    (5, 1, "0048"),
    (6, 1, "0051"),
    (7, 1, "S008 0052"),
)
_MANDATORY_4 = ((5, 1, "0048"),)


class References:
    """References already given. Runs of numbers counted upwards, which nearly everybody writes, take no room."""

    __slots__ = ("_others", "_runs")

    def __init__(self) -> None:
        self._runs: dict[int, tuple[int, int]] = {}
        self._others: set[str] = set()

    def taken(self, reference: str) -> bool:
        """True when it was given before; it is from now on."""
        if reference.isdecimal() and reference.isascii() and len(reference) < 15:
            number, size = int(reference), len(reference)
            first, last = self._runs.get(size, (number, number - 1))
            if first <= number <= last:
                return True
            if number == last + 1:
                self._runs[size] = (first, number)
                return reference in self._others
        if reference in self._others:
            return True
        self._others.add(reference)
        return False


@dataclass(slots=True)
class Group:
    """One UNG while its messages are read."""

    header: FunctionalGroup
    findings: list[Finding] = field(default_factory=list)
    references: References = field(default_factory=References)
    messages: int = 0
    first: str = ""

    def kind(self, type: str) -> str:
        """What its messages are: the type that UNG names, else that of the first message (`type`, when it is that)."""
        self.first = self.first or self.header.type or type
        return self.first

    def note(self, finding: Finding) -> None:
        if len(self.findings) < KEEP:
            self.findings.append(finding)


def opened(segment: Segment, version: str, place: Placed) -> Group:
    """The group that this UNG opens."""
    group = Group(
        FunctionalGroup(
            type=segment.get(1),
            sender=segment.get(2, 1),
            sender_qualifier=segment.get(2, 2),
            recipient=segment.get(3, 1),
            recipient_qualifier=segment.get(3, 2),
            reference=segment.get(5),
            agency=segment.get(6),
            version=segment.get(7, 1),
            release=segment.get(7, 2),
            offset=segment.offset,
        )
    )
    for element, component, name in _MANDATORY_4 if version == "4" else _MANDATORY:
        if not segment.get(element, component):
            group.note(Finding("edifact.ung_incomplete", place(segment, element, component), expected=name))
    return group
