"""A segment table, compiled: every line of a segment, and every step from one such line to the next segment.

A line of a segment has one place in the table, so it says which groups are open. A step goes forward within an open
group, into new groups if need be, or begins one more occurrence of the segment or of an open group. What is mandatory
and is passed over by a step is its lack.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from hub.edifact.directory import MessageSpec, Node

START = 0
"""The line before the first segment of a message."""

FAULTY_STEPS = 6
"""Steps kept that lack something, of each line and tag: the ones that lack least, first those into a group by its
start."""


class Step(NamedTuple):
    """From one line to another.

    line   the line it leads to
    depth  the open group it stays in, 0 = the message
    again  the line of the table at `depth` occurs once more; else it is the first time here
    most   maximum of that line
    lack   mandatory lines passed over
    opens  keys of the groups that are opened, outermost first
    key    key of the segment
    """

    line: int
    depth: int
    again: bool
    most: int
    lack: int
    opens: tuple[str, ...]
    key: str


class Level:
    """The lines of one group, or of the message. `needs[i]`: how many before line i are mandatory."""

    __slots__ = ("needs", "nodes")

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes = nodes
        self.needs = [0]
        for node in nodes:
            self.needs.append(self.needs[-1] + node.required)

    def between(self, after: int, until: int) -> list[Node]:
        """What is mandatory behind line `after` and before line `until`."""
        return [node for node in self.nodes[after + 1 : until] if node.required]


class Line:
    """One line of a segment: index and level at each depth, and what is mandatory deeper than a depth.

    before[d]  lines that come before this one in the levels deeper than d
    behind[d]  lines that come after it in the levels deeper than d
    """

    __slots__ = ("before", "behind", "levels", "nodes", "path")

    def __init__(self, path: tuple[int, ...], levels: tuple[Level, ...]) -> None:
        self.path = path
        self.levels = levels
        self.nodes = tuple(level.nodes[at] for level, at in zip(levels, path, strict=True) if at >= 0)
        self.before = [0] * len(path)
        self.behind = [0] * len(path)
        for depth in range(len(path) - 2, -1, -1):
            needs, at = levels[depth + 1].needs, path[depth + 1]
            self.before[depth] = self.before[depth + 1] + needs[at]
            self.behind[depth] = self.behind[depth + 1] + needs[-1] - needs[at + 1]


class _Moves(dict[str, tuple[Step, ...]]):
    """By tag: the steps from one line. Those without a lack come first, inner groups and near places first."""

    __slots__ = ("line", "table")

    def __init__(self, table: Table, line: Line) -> None:
        self.table = table
        self.line = line

    def __missing__(self, tag: str) -> tuple[Step, ...]:
        targets = self.table.by_tag.get(tag)
        if targets is None:
            return ()
        found = [step for target in targets for step in self.table.between(self.line, target)]
        found.sort(key=self._rank)
        right = sum(not step.lack for step in found)
        self[tag] = tuple(found[: right + FAULTY_STEPS])
        return self[tag]

    def _rank(self, step: Step) -> tuple[int, bool, int, tuple[int, ...]]:
        target = self.table.lines[step.line]
        return step.lack, target.before[step.depth] > 0, -step.depth, target.path


class _Within(dict[str, frozenset[str]]):
    """By tag: itself and every tag of the groups that it starts."""

    def __init__(self, lines: list[Line]) -> None:
        found: dict[str, set[str]] = {}
        for line in lines:
            tag = line.nodes[-1].key if line.nodes else ""
            for node in line.nodes:
                found.setdefault(node.trigger, {node.trigger}).add(tag)
        super().__init__({tag: frozenset(tags) for tag, tags in found.items()})

    def __missing__(self, tag: str) -> frozenset[str]:
        return frozenset((tag,))


class Table:
    """A compiled segment table.

    lines    every line of a segment; the first is START
    moves    for each line, by tag, its steps; made when first asked for
    rest     for each line, how many mandatory lines are behind it, to the end of the message
    within   by tag: itself and every tag of the groups that it starts
    deepest  levels of groups, the message counted
    """

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        top = Level(nodes)
        self.lines = [Line((-1,), (top,)), *_lines(top, (), ())]
        self.deepest = max(len(line.path) for line in self.lines)
        self.by_tag: dict[str, list[int]] = {}
        for number, line in enumerate(self.lines):
            if number != START:
                self.by_tag.setdefault(line.nodes[-1].key, []).append(number)
        self.moves = [_Moves(self, line) for line in self.lines]
        self.within = _Within(self.lines)
        self._passed: dict[tuple[int, str], Node | None] = {}
        self.rest = [line.behind[0] + top.needs[-1] - top.needs[line.path[0] + 1] for line in self.lines]

    def between(self, source: Line, number: int) -> Iterator[Step]:
        """Every step from a line to the line `number`."""
        target = self.lines[number]
        here, there = source.path, target.path
        same = 0
        for at, to in zip(here, there, strict=False):
            if at != to:
                break
            same += 1
        keys = [node.key for node in target.nodes]
        for depth in range(same):
            lack = source.behind[depth] + target.before[depth]
            yield Step(number, depth, True, target.nodes[depth].max, lack, tuple(keys[depth:-1]), keys[-1])
        if same < len(here) and there[same] > here[same]:
            needs = target.levels[same].needs
            lack = source.behind[same] + needs[there[same]] - needs[here[same] + 1] + target.before[same]
            yield Step(number, same, False, target.nodes[same].max, lack, tuple(keys[same:-1]), keys[-1])

    def lacking(self, number: int, step: Step) -> list[Node]:
        """The mandatory lines that a step from line `number` passes over, in the order of the table."""
        source, target = self.lines[number], self.lines[step.line]
        nodes = self._behind(source, step.depth)
        if not step.again:
            nodes += target.levels[step.depth].between(source.path[step.depth], target.path[step.depth])
        for level, at in zip(target.levels[step.depth + 1 :], target.path[step.depth + 1 :], strict=True):
            nodes += level.between(-1, at)
        return nodes

    def resting(self, number: int) -> list[Node]:
        """The mandatory lines behind a line, to the end of the message."""
        line = self.lines[number]
        return self._behind(line, 0) + line.levels[0].between(line.path[0], len(line.levels[0].nodes))

    def restart(self, step: Step) -> Step | None:
        """The step once more into a group, where `step` repeats the segment that starts it (which it does once)."""
        target = self.lines[step.line]
        depth = len(target.path) - 2
        if depth < 0 or target.path[-1] or not step.again or step.depth != depth + 1 or step.most != 1:
            return None
        group = target.nodes[depth]
        return step._replace(depth=depth, most=group.max, opens=(group.key,))

    def passed(self, number: int, tag: str) -> Node | None:
        """What `tag` comes before: the line that was reached in the open group that has `tag` further up. None: there
        is no such group."""
        if tag not in self.by_tag:
            return None
        if (number, tag) not in self._passed:
            self._passed[number, tag] = self._find_passed(number, tag)
        return self._passed[number, tag]

    def _find_passed(self, number: int, tag: str) -> Node | None:
        line = self.lines[number]
        for level, at, node in zip(line.levels[::-1], line.path[::-1], line.nodes[::-1], strict=False):
            if any(above.trigger == tag for above in level.nodes[: max(at, 0)]):
                return node
        return None

    def _behind(self, line: Line, depth: int) -> list[Node]:
        nodes: list[Node] = []
        for at in range(len(line.path) - 1, depth, -1):
            level = line.levels[at]
            nodes += level.between(line.path[at], len(level.nodes))
        return nodes


def _lines(level: Level, path: tuple[int, ...], above: tuple[Level, ...]) -> Iterator[Line]:
    levels = (*above, level)
    for at, node in enumerate(level.nodes):
        if node.children:
            yield from _lines(Level(node.children), (*path, at), levels)
        else:
            yield Line((*path, at), levels)


@lru_cache(maxsize=512)
def table(spec: MessageSpec) -> Table:
    """The compiled table of a message type, made once."""
    return Table(spec.nodes)
