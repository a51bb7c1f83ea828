"""All readings of a message side by side, for when the nearest place is not the right one.

A reading is a line of the table for each segment. First only readings without a fault are followed; when none reaches
the end, readings with faults are, and the one with the fewest is taken. Their number is bounded, so the time is linear.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from operator import attrgetter
from typing import NamedTuple

from hub.edifact.levels import START, Step, Table
from hub.edifact.model import Segment
from hub.edifact.tokenizer import KEEP

GROUP_OVER, SEGMENT_OVER, LATE, LACKING, ASTRAY, WITHIN = 1000, 1001, 1001, 1002, 1003, 10
"""What faults weigh: a group or a segment too many, one that comes behind its place, something mandatory missing, a
segment that has no place, another that belongs to it. Of two readings with as many faults the lighter one is the more
usual mistake."""


class _Lacks(dict[int, int]):
    """Weight of so many mandatory lines missing at one place: more than one is likely to be one mistake."""

    def __missing__(self, count: int) -> int:
        self[count] = LACKING + 400 * (count - 1)
        return self[count]


LACKS = _Lacks({0: 0})

EXACT_WIDTH = 256
"""Readings without a fault that are followed at once: no table of the UN/EDIFACT directories comes near it."""

SLACK = 1500
"""How much worse than the best a reading may be and still be followed."""

HOPELESS = 2 * KEEP * ASTRAY
"""Reading ends here: more faults than are kept, even if two make one finding."""

FAR = 1 << 60


class Stray(Enum):
    """A segment that has no place: ALONE is a fault of its own, WITHIN belongs to the one before it (the same again,
    or a segment of the group that it starts).
    """

    ALONE = "alone"
    WITHIN = "within"


Steps = list[Step | Stray]
"""For each segment the step that was taken; shorter where reading ended."""

_NONE: frozenset[str] = frozenset()


Trail = tuple["Trail | None", Step | Stray]
"""The steps of a reading, last first."""


class _Reading(NamedTuple):
    """One way to read the segments so far.

    weight  of its faults
    line    of the last segment that has a place
    counts  occurrences at each depth of that line
    stray   tags that belong to the last segment that has no place
    trail   the steps
    """

    weight: int
    line: int
    counts: tuple[int, ...]
    stray: frozenset[str]
    trail: Trail | None


def best(segments: Sequence[Segment], table: Table) -> Steps:
    """The reading with the fewest faults; of several the one that takes the nearest places."""
    start = [_Reading(0, START, (0,), _NONE, None)]
    readings = _Follower(table, segments, faults=False).follow(start)
    if not readings:
        readings = _Follower(table, segments, faults=True).follow(start)
    trail = readings[0].trail
    steps: Steps = []
    while trail is not None:
        trail, step = trail
        steps.append(step)
    return steps[::-1]


def _width(length: int) -> int:
    """Readings with faults that are followed at once: fewer in a long message, so that it stays quick."""
    return max(3, min(16, 10_000 // (length + 1)))


class _Follower:
    """Takes readings through the segments. `endless`: more than there are segments, so a maximum nobody can exceed."""

    __slots__ = ("endless", "faults", "segments", "table", "width")

    def __init__(self, table: Table, segments: Sequence[Segment], faults: bool) -> None:
        self.table = table
        self.segments = segments
        self.faults = faults
        self.endless = len(segments)
        self.width = _width(len(segments)) if faults else EXACT_WIDTH

    def follow(self, readings: list[_Reading]) -> list[_Reading]:
        """The readings that reach the end, best first. Without faults there may be none."""
        last = len(self.segments) - 1
        for number, segment in enumerate(self.segments):
            readings = self.advance(readings, segment.tag, number == last)
            if not readings:
                return []
            if readings[0].weight > HOPELESS:
                return readings
        rest = self.table.rest
        if not self.faults:
            return [reading for reading in readings if not rest[reading.line]]
        return sorted(readings, key=lambda reading: reading.weight + LACKS[rest[reading.line]])

    def advance(self, readings: list[_Reading], tag: str, last: bool) -> list[_Reading]:
        """Every reading of one segment more, best first."""
        found: dict[tuple[int, tuple[int, ...], frozenset[str]], _Reading] = {}
        limit = FAR if last else readings[0].weight + ASTRAY + SLACK  # the end of the message always has its place
        for reading in readings:
            following = self.placed(reading, tag, limit)
            if self.faults and not (last and following):
                following.append(self.astray(reading, tag))
            for one in following:
                key = one.line, one.counts, one.stray
                if key not in found or one.weight < found[key].weight:
                    found[key] = one
                    limit = min(limit, one.weight + SLACK)
        return self.pruned([reading for reading in found.values() if reading.weight <= limit])

    def placed(self, reading: _Reading, tag: str, limit: int) -> list[_Reading]:
        """The reading with the segment at each place it can have."""
        found: list[_Reading] = []
        for step in self.table.moves[reading.line][tag]:
            weight = reading.weight + LACKS[step.lack]
            if weight > limit or (step.lack and not self.faults):
                break
            over, counts = self.counted(reading.counts, step)
            if self.faults or not over:
                found.append(_Reading(weight + over, step.line, counts, _NONE, (reading.trail, step)))
        return found

    def astray(self, reading: _Reading, tag: str) -> _Reading:
        """The reading with the segment left out."""
        weight, line, counts, stray, trail = reading
        if tag in stray:
            return _Reading(weight + WITHIN, line, counts, stray, (trail, Stray.WITHIN))
        fault = ASTRAY if self.table.passed(line, tag) is None else LATE
        return _Reading(weight + fault, line, counts, self.table.within[tag], (trail, Stray.ALONE))

    def counted(self, counts: tuple[int, ...], step: Step) -> tuple[int, tuple[int, ...]]:
        """Weight of a maximum that a step exceeds, and the occurrences behind it. A maximum is exceeded once, however
        many more follow.
        """
        _, depth, again, most, _, opens, _ = step
        over, count = 0, 1
        if again:
            count = counts[depth]
            if most < self.endless:
                if count == most:
                    over = GROUP_OVER if opens else SEGMENT_OVER
                count = min(count, most) + 1
        behind = (*counts[:depth], count)
        return over, behind + (1,) * len(opens) if opens else behind

    def pruned(self, readings: list[_Reading]) -> list[_Reading]:
        """Best first, without those that another one makes needless: at the same line, no heavier, no fuller."""
        readings.sort(key=_weight)
        kept: list[_Reading] = []
        lines: dict[int, list[_Reading]] = {}
        for reading in readings:
            others = lines.setdefault(reading.line, [])
            if not any(_covers(other, reading) for other in others):
                others.append(reading)
                kept.append(reading)
                if len(kept) == self.width:
                    break
        return kept


_weight = attrgetter("weight")


def _covers(one: _Reading, other: _Reading) -> bool:
    """True when what can follow `other`, at the same line, can follow `one`."""
    if other.stray and other.stray != one.stray:
        return False
    return all(count <= more for count, more in zip(one.counts, other.counts, strict=True))
