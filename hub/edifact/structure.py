"""Order, status and repeats of segments: a message's segments become a tree of groups by its segment table.

Reading is greedy: the nearest place of the table, from here on and inner groups first. Where the same tag may stand in
several places that can be wrong, so when it fails all readings are followed side by side (hub.edifact.readings) and
the one with the fewest faults is taken. What cannot be placed is left out of the tree and told.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, islice

from hub.edifact.directory import MessageSpec, Node
from hub.edifact.levels import START, Step, Table, table
from hub.edifact.model import Group, RawMessage, Segment
from hub.edifact.readings import Stray, best
from hub.edifact.tokenizer import KEEP
from hub.finding import Finding, Place

CODES = frozenset(
    (
        "edifact.segment_missing",
        "edifact.segment_unexpected",
        "edifact.segment_order",
        "edifact.segment_repeats",
        "edifact.group_repeats",
    )
)
"""Findings about whole segments: CONTRL tells them by UCS, never by UCD."""


def build(message: RawMessage, spec: MessageSpec) -> tuple[Group, list[Finding]]:
    """The message as a tree (UNH and UNT are parts of the root) and what is wrong with its structure.

    Findings by ISO 9735-4 §UCS (0096): something missing is told at the last segment before its place, a missing group
    by its first segment; all else at the segment itself. A missing UNT is the reader's finding already.
    """
    compiled = table(spec)
    root = _greedy(message.segments, compiled)
    if root is not None:
        return root, []
    telling = _Telling(message, compiled)
    steps = best(message.segments, compiled)
    for segment, step in zip(message.segments, steps, strict=False):
        telling.take(segment, step)
    if len(steps) == len(message.segments):
        telling.finish()
    return telling.groups[0], list(islice(telling.findings.values(), KEEP))


def _greedy(segments: Sequence[Segment], compiled: Table) -> Group | None:
    """The tree by the nearest places; None when that leaves something wrong."""
    root = Group("")
    groups, counts = [root] * compiled.deepest, [0] * compiled.deepest
    moves, at = compiled.moves, START
    for segment in segments:
        for line, depth, again, most, lack, opens, key in moves[at][segment.tag]:  # noqa: B007 (used behind the loop)
            if lack:
                return None
            if not again:
                counts[depth] = 1
                break
            if counts[depth] < most:
                counts[depth] += 1
                break
        else:
            return None
        at = line
        for name in opens:
            group = Group(name)
            groups[depth].add(name, group)
            depth += 1
            groups[depth] = group
            counts[depth] = 1
        parts = groups[depth].parts
        if key in parts:
            parts[key].append(segment)
        else:
            parts[key] = [segment]
    return None if compiled.rest[at] else root


def _named(node: Node) -> str:
    return f"{node.key} ({node.trigger})" if node.children else node.key


class _Telling:
    """Builds the tree of a reading that has faults, and tells them.

    gaps    by tag: the finding that it is missing, and the tag that came instead
    strays  by tag: the finding that it has no place
    """

    def __init__(self, message: RawMessage, compiled: Table) -> None:
        self.message = message
        self.table = compiled
        self.groups = [Group("")] * compiled.deepest
        self.counts = [0] * compiled.deepest
        self.line = START
        self.last: Segment | None = None
        self.numbers = count()
        self.findings: dict[int, Finding] = {}
        self.gaps: dict[str, tuple[int, str]] = {}
        self.strays: dict[str, int] = {}

    def take(self, segment: Segment, step: Step | Stray) -> None:
        """The next segment at its place, or left out."""
        if isinstance(step, Step):
            restart = self.table.restart(step)
            step = restart or step
            if not (restart and self.counts[step.depth] >= step.most):  # that it starts once too often says it all
                self.missing(self.table.lacking(self.line, step), segment.tag)
            self.count(segment, step)
            self.groups[self.open(step)].add(step.key, segment)
            self.line = step.line
        elif step is Stray.ALONE:
            self.stray(segment)
        self.last = segment

    def open(self, step: Step) -> int:
        """Open the groups of a step; the depth of the innermost."""
        depth = step.depth
        for name in step.opens:
            group = Group(name)
            self.groups[depth].add(name, group)
            depth += 1
            self.groups[depth] = group
            self.counts[depth] = 1
        return depth

    def count(self, segment: Segment, step: Step) -> None:
        """One occurrence more; the first one too many is told."""
        depth = step.depth
        self.counts[depth] = self.counts[depth] + 1 if step.again else 1
        if step.again and self.counts[depth] == step.most + 1:
            code = "edifact.group_repeats" if step.opens else "edifact.segment_repeats"
            self.tell(code, segment, (*step.opens, step.key)[0], str(step.most))

    def missing(self, nodes: list[Node], instead: str) -> None:
        """What is mandatory and has not come, told at the last segment before its place. Where it came too early, it
        is out of order.
        """
        for node in nodes:
            early = self.strays.pop(node.trigger, None)
            if early is None:
                self.gaps[node.trigger] = self.tell("edifact.segment_missing", self.last, "", _named(node)), instead
            else:
                stray = self.findings[early]
                self.findings[early] = Finding("edifact.segment_order", stray.place, node.trigger, instead)

    def stray(self, segment: Segment) -> None:
        """A segment without a place. Where it was missing before or has a place further up, it is out of order; where
        it would start a group that is full, that is told."""
        tag = segment.tag
        passed = self.table.passed(self.line, tag)
        starts = (step for step in self.table.moves[self.line][tag] if step.again and step.opens)
        full = next((step for step in starts if self.counts[step.depth] >= step.most), None)
        if full is not None:
            self.count(segment, full)
        elif tag in self.gaps:
            number, instead = self.gaps.pop(tag)
            del self.findings[number]
            self.tell("edifact.segment_order", segment, tag, instead)
        elif passed is not None:
            self.strays[tag] = self.tell("edifact.segment_order", segment, tag, _named(passed))
        else:
            self.strays[tag] = self.tell("edifact.segment_unexpected", segment, tag)

    def finish(self) -> None:
        """The end of the message."""
        whole = bool(self.message.segments) and self.message.segments[-1].tag == "UNT"
        self.missing([node for node in self.table.resting(self.line) if whole or node.key != "UNT"], "UNT")

    def tell(self, code: str, segment: Segment | None, found: str = "", expected: str = "") -> int:
        place = Place(self.message.reference)
        if segment is not None:
            place = Place(self.message.reference, segment.number, segment.tag, offset=segment.offset)
        number = next(self.numbers)
        self.findings[number] = Finding(code, place, found[:40], expected)
        return number
