"""What a guide asks beyond the standard: mandatory here, not used, shorter, of fewer codes, an identifier, fewer times.

A rule looks at every place of its path. Of an element it looks at each segment (in XML each parent) that there is; of
a segment, a group or an XML element at each part that it stands in. So `SG7/NAD[3035=CN]` with `status: required`
asks for a consignee in every group that can hold SG7.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from hub.edifact.model import Group, Segment
from hub.finding import Finding, Place
from hub.mapping.plan import Facts
from hub.standards import identifiers
from hub.standards.aim import Aim, Level, aims, found, present, reached, values

_CONDITION = re.compile(r"(.+?)\s*(!?=)\s*'([^']*)'\s*$")
_SHOWN = 80
ASPECTS: dict[str, dict[str, Any]] = {
    "status": {"status": ""},
    "length": {"shortest": 0, "longest": 0},
    "codes": {"codes": None, "listed": ""},
    "identifier": {"identifier": ""},
    "repeat": {"repeat": 0},
}
"""What a rule can say, and what holds it when it does not."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Another path that has something; that says `value`; or, `same` False, that does not say it."""

    aims: tuple[Aim, ...]
    value: str | None = None
    same: bool = True
    text: str = ""

    def holds(self, chain: tuple[Any, ...], levels: tuple[Level, ...]) -> bool:
        """Looked at in the smallest part that both paths have in common; `chain` are the nodes of `levels`."""
        nodes = [(end[-1], aim) for aim in self.aims for end in self._found(aim, chain, levels)]
        if self.value is None:
            return any(present(node, aim) for node, aim in nodes)
        said = self.value in [value for node, aim in nodes for value in values(node, aim)]
        return said is self.same

    @staticmethod
    def _found(aim: Aim, chain: tuple[Any, ...], levels: tuple[Level, ...]) -> Iterator[tuple[Any, ...]]:
        common = 0
        for mine, its in zip(aim.levels, levels, strict=False):
            if mine.name != its.name or mine.tests not in ((), its.tests):
                break
            common += 1
        return found(chain[common], aim.levels[common:])


def condition(text: str, facts: Facts) -> Condition:
    """`path`, `path = 'x'` or `path != 'x'`, as in mappings. ValueError or KeyError says what is wrong."""
    compared = _CONDITION.match(text)
    if not compared:
        return Condition(aims(text, facts), text=text)
    return Condition(aims(compared[1], facts), compared[3], compared[2] == "=", text)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """One rule. `by` says where it is written; what is not asked is empty, 0 or None."""

    at: str
    aims: tuple[Aim, ...]
    by: str = ""
    why: str = ""
    status: str = ""  # required, not-used
    shortest: int = 0
    longest: int = 0  # characters
    codes: frozenset[str] | None = None
    listed: str = ""  # the name of the code list that `codes` were taken from
    identifier: str = ""
    repeat: int = 0  # at most so often in the part that it stands in
    when: Condition | None = None
    number: int = 0  # which rule of its file, from 0

    @property
    def aspects(self) -> list[str]:
        """What the rule says: keys of ASPECTS."""
        return [name for name, held in ASPECTS.items() if any(getattr(self, at) != no for at, no in held.items())]

    def only(self, aspects: Collection[str]) -> Narrowing:
        """The rule without what is not in `aspects`."""
        silent: dict[str, Any] = {}
        for name in ASPECTS:
            silent |= {} if name in aspects else ASPECTS[name]
        return replace(self, **silent)

    def contradicts(self, other: Narrowing) -> bool:
        """True when both speak of the same at one path under one condition, and say different things."""
        if self.at != other.at or (self.when and self.when.text) != (other.when and other.when.text):
            return False
        shared = set(self.aspects) & set(other.aspects)
        return any(getattr(self, at) != getattr(other, at) for name in shared for at in ASPECTS[name])

    def check(self, root: Any) -> Iterator[Finding]:
        """What a message (Group or root element) has against this rule."""
        for aim in self.aims:
            above = aim.levels[: holder(aim)]
            if self.when is None:
                nodes = reached(root, above)
            else:
                nodes = [chain[-1] for chain in found(root, above) if self.when.holds(chain, above)]
            below = aim.levels[len(above) :]
            for node in nodes:
                there = [one for one in reached(node, below) if present(one, aim)]
                if self.status or self.repeat:
                    yield from self._counted(root, aim, node, there)
                for one in there:
                    for value in _said(one, aim):
                        for code, expected in self._faults(value):
                            yield self._tell(code, _place(root, aim, one), value, expected)

    def _counted(self, root: Any, aim: Aim, node: Any, there: list[Any]) -> Iterator[Finding]:
        """Whether the place is there in one part that it stands in: a segment or parent, or a group."""
        if self.status == "required" and not there:
            yield self._missing(root, aim, node)
        if self.status == "not-used":
            for one in there:
                yield self._tell("guide.not_used", _place(root, aim, one), "".join(_said(one, aim)[:1]))
        if self.repeat and len(there) > self.repeat:
            yield self._tell("guide.repeats", _place(root, aim, there[self.repeat]), str(len(there)), str(self.repeat))

    def _faults(self, value: str) -> list[tuple[str, str]]:
        """(code, what was expected) of what is wrong with one value."""
        faults = []
        size = len(value)
        if self.longest and size > self.longest:
            faults.append(("guide.too_long", str(self.longest)))
        if size < self.shortest:
            faults.append(("guide.too_short", str(self.shortest)))
        if self.codes is not None and value not in self.codes:
            faults.append(("guide.code", self.listed or ", ".join(sorted(self.codes)[:12])))
        wrong = identifiers.check(self.identifier, value) if self.identifier else None
        if wrong is not None:
            faults.append(("guide.identifier", wrong))
        return faults

    def _missing(self, root: Any, aim: Aim, node: Any) -> Finding:
        place = _place(root, aim, node) if aim.inner or not isinstance(root, Group) else _behind(root, aim, node)
        return self._tell("guide.condition" if self.when else "guide.required", place, expected=self.at)

    def _tell(self, code: str, place: Place, found: str = "", expected: str = "") -> Finding:
        args = {
            "at": self.at,
            "when": self.when.text if self.when else "",
            "identifier": self.identifier,
            "length": str(len(found)),
            "rule": self.by,
            "why": self.why,
        }
        return Finding(code, place, found[:_SHOWN], expected, args=args)


def holder(aim: Aim) -> int:
    """How many levels lead to the part that the aim stands in: a group and the segment it begins with are one."""
    return len(aim.levels) if aim.inner else len(aim.levels) - 1 - aim.begins


def _said(node: Any, aim: Aim) -> list[str]:
    """The values that a rule may speak of: of one element, or of an XML element without children."""
    if isinstance(node, Segment):
        return values(node, aim) if aim.element else []
    return [] if isinstance(node, Group) else values(node, aim)


def _place(root: Any, aim: Aim, node: Any) -> Place:
    if not isinstance(root, Group):
        return Place(path=root.getroottree().getpath(node), line=node.sourceline)
    segment = node if isinstance(node, Segment) else next(node.segments())
    element, component = aim.element or None, aim.component or None
    return Place(_reference(root), segment.number, segment.tag, element, component, segment.offset)


def _behind(root: Group, aim: Aim, node: Group) -> Place:
    """Where a segment or group is missed: at the last segment of what may stand before it (ISO 9735-4, UCS 0096)."""
    parts = [part for key in aim.before for part in node.parts.get(key, ())]
    segments = [one for part in parts for one in ([part] if isinstance(part, Segment) else part.segments())]
    last = max(segments, key=lambda segment: segment.number, default=None)
    if last is None:
        return Place(_reference(root))
    return Place(_reference(root), last.number, last.tag, offset=last.offset)


def _reference(root: Group) -> str:
    header = root.parts.get("UNH", ())
    return header[0].get(1) if header and isinstance(header[0], Segment) else ""
