"""Order, status and repeats of segments: a message's segments become a tree of groups by its segment table.

The matching is greedy: the nearest place of the table, from here on and inner groups first, that takes the segment.
A place behind a missing mandatory part is taken only when there is no other. What cannot be placed is left out of the
tree and told; reading goes on, so that all is found at once.
"""

from __future__ import annotations

from functools import lru_cache

from hub.edifact.directory import MessageSpec, Node
from hub.edifact.model import Group, RawMessage, Segment
from hub.edifact.tokenizer import KEEP
from hub.finding import Finding, Place

CODES = frozenset(
    (
        "edifact.segment_missing",
        "edifact.segment_unexpected",
        "edifact.segment_repeats",
        "edifact.group_repeats",
    )
)
"""Findings about whole segments: CONTRL tells them by UCS, never by UCD."""


class _Level:
    """The children of one group, compiled.

    starts  by tag, the indexes that can take it, ascending
    needs   prefix sums of what is mandatory
    after   for each index that was used, by tag: the next index that takes it with nothing mandatory in between
    """

    __slots__ = ("after", "keys", "levels", "maxima", "needs", "nodes", "starts")

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes = nodes
        self.keys = [node.key for node in nodes]
        self.maxima = [node.max for node in nodes]
        self.levels = [_Level(node.children) if node.children else None for node in nodes]
        self.starts: dict[str, list[int]] = {}
        self.needs = [0]
        for index, node in enumerate(nodes):
            for tag in _first(node):
                self.starts.setdefault(tag, []).append(index)
            self.needs.append(self.needs[-1] + node.required)
        self.after = [self._after(index) for index in range(len(nodes))]

    def _after(self, used: int) -> dict[str, int]:
        needs = self.needs
        found: dict[str, int] = {}
        for tag, indexes in self.starts.items():
            index = next((index for index in indexes if index >= used), None)
            if index is not None and (index == used or needs[index] == needs[used + 1]):
                found[tag] = index
        return found


def _first(node: Node) -> list[str]:
    """Tags that `node` can start with; more than one where the trigger of a group is conditional."""
    if not node.children:
        return [node.key]
    tags: list[str] = []
    for child in node.children:
        tags += [tag for tag in _first(child) if tag not in tags]
        if child.required:
            break
    return tags


@lru_cache(maxsize=512)
def _compiled(spec: MessageSpec) -> _Level:
    return _Level(spec.nodes)


class _Frame:
    """One open group: the line of its table that was used last, and how often. 0 times: none was used yet."""

    __slots__ = ("count", "group", "index", "level")

    def __init__(self, level: _Level, group: Group) -> None:
        self.level = level
        self.group = group
        self.index = 0
        self.count = 0

    def gap(self, until: int) -> bool:
        """True when something mandatory between here and `until` has not come."""
        needs, at = self.level.needs, self.index
        if until == at:
            return False
        return needs[until] > (needs[at + 1] if self.count else needs[at])

    def full(self, index: int) -> bool:
        """True when the line has taken as many as it may."""
        return self.level.maxima[index] <= (self.count if index == self.index else 0)


def build(message: RawMessage, spec: MessageSpec) -> tuple[Group, list[Finding]]:
    """The message as a tree (UNH and UNT are parts of the root) and what is wrong with its structure."""
    root = Group("")
    walk = _Walk(message, _Frame(_compiled(spec), root))
    for segment in message.segments:
        walk.place(segment)
        if len(walk.findings) >= KEEP:
            return root, walk.findings
    walk.finish()
    return root, walk.findings


class _Walk:
    __slots__ = ("findings", "frames", "last", "message")

    def __init__(self, message: RawMessage, frame: _Frame) -> None:
        self.message = message
        self.frames = [frame]
        self.findings: list[Finding] = []
        self.last: Segment | None = None

    def place(self, segment: Segment) -> None:
        """The usual case: the innermost group that takes the tag, every group within it complete. Else `seek`."""
        tag, frames = segment.tag, self.frames
        depth = deepest = len(frames) - 1
        while True:
            frame = frames[depth]
            level, at, count = frame.level, frame.index, frame.count
            index = level.after[at].get(tag) if count else None
            if index == at and count >= level.maxima[at]:
                if level.starts[tag][-1] > at:
                    break
                index = None
            if index is not None:
                if depth < deepest:
                    del frames[depth + 1 :]
                if level.levels[index] is None:
                    frame.count = count + 1 if index == at else 1
                    frame.index = index
                    parts, key = frame.group.parts, level.keys[index]
                    if key in parts:
                        parts[key].append(segment)
                    else:
                        parts[key] = [segment]
                else:
                    self.enter(frame, index, segment)
                self.last = segment
                return
            if not depth or not count or level.needs[-1] != level.needs[at + 1]:
                break
            depth -= 1
        self.seek(segment)

    def seek(self, segment: Segment) -> None:
        """The first place that takes the tag without a gap, else with one, else beyond a maximum; what is wrong is
        told.
        """
        tag = segment.tag
        target = self.search(tag, strict=True) or self.search(tag, strict=False)
        over = False
        if target is None:
            target = self.search(tag, strict=False, over=True)
            over = target is not None
        if target is None:
            self.tell("edifact.segment_unexpected", segment, found=tag)
            self.last = segment
            return
        depth, index = target
        while len(self.frames) - 1 > depth:
            self.missing(self.frames.pop(), None)
        frame = self.frames[-1]
        self.missing(frame, index)
        if over:
            group = frame.level.levels[index] is not None
            code = "edifact.group_repeats" if group else "edifact.segment_repeats"
            self.tell(code, segment, frame.level.keys[index], str(frame.level.maxima[index]))
        self.enter(frame, index, segment)
        self.last = segment

    def search(self, tag: str, strict: bool, over: bool = False) -> tuple[int, int] | None:
        """(frame, line) that takes the tag. strict: nothing mandatory may be skipped. over: maxima do not count."""
        for depth in range(len(self.frames) - 1, -1, -1):
            frame = self.frames[depth]
            for index in frame.level.starts.get(tag, ()):
                if index < frame.index or (frame.full(index) and not over):
                    continue
                if strict and frame.gap(index):
                    break
                return depth, index
            if strict and depth and frame.gap(len(frame.level.keys)):
                return None
        return None

    def enter(self, frame: _Frame, index: int, segment: Segment) -> None:
        """Put the segment at `index`, through as many new groups as it starts."""
        while True:
            frame.count = frame.count + 1 if frame.index == index else 1
            frame.index = index
            key = frame.level.keys[index]
            level = frame.level.levels[index]
            if level is None:
                frame.group.add(key, segment)
                return
            group = Group(key)
            frame.group.add(key, group)
            frame = _Frame(level, group)
            self.frames.append(frame)
            index = level.starts[segment.tag][0]

    def missing(self, frame: _Frame, until: int | None) -> None:
        """Tell what is mandatory and has not come between the frame's place and `until` (None: its end)."""
        stop = len(frame.level.keys) if until is None else until
        if not frame.gap(stop):
            return
        for at in range(frame.index, stop):
            node = frame.level.nodes[at]
            if node.required and not (frame.count and at == frame.index):
                wanted = f"{node.key} ({node.trigger})" if node.children else node.key
                self.tell("edifact.segment_missing", self.last, expected=wanted)

    def finish(self) -> None:
        """The end of the message. A missing UNT is the reader's finding already."""
        while self.frames:
            self.missing(self.frames.pop(), None)
        if not self.message.segments or self.message.segments[-1].tag != "UNT":
            self.findings = [f for f in self.findings if f.code != "edifact.segment_missing" or f.expected != "UNT"]

    def tell(self, code: str, segment: Segment | None, found: str = "", expected: str = "") -> None:
        place = Place(self.message.reference)
        if segment is not None:
            place = Place(self.message.reference, segment.number, segment.tag, offset=segment.offset)
        self.findings.append(Finding(code, place, found[:40], expected))
