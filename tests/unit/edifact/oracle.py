"""What a segment table accepts, by derivatives: what may still come behind each segment. Slow, plain, and without any
code of hub.edifact.structure.

Pending is what may still come, in order: each line with how often it has occurred already. A group occurs by at least
one of its segments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from hub.edifact.directory import Node

Pending = tuple[tuple[Node, int], ...]
States = frozenset[Pending]


def start(nodes: tuple[Node, ...]) -> States:
    return frozenset((tuple((node, 0) for node in nodes),))


def behind(pending: Pending, tag: str) -> Iterator[Pending]:
    """All that may come when `tag` has come."""
    for at, (node, times) in enumerate(pending):
        if times < node.max:
            later = ((node, times + 1), *pending[at + 1 :])
            if node.children:
                inner = tuple((child, 0) for child in node.children)
                yield from ((*rest, *later) for rest in behind(inner, tag))
            elif node.key == tag:
                yield later
        if node.required and not times:
            return


class Oracle:
    """One segment table. What was worked out is kept: the same states come again and again."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.start = start(nodes)
        self.step = cache(self._step)

    def _step(self, states: States, tag: str) -> States:
        return frozenset(rest for pending in states for rest in behind(pending, tag))

    def states(self, tags: Sequence[str]) -> list[States]:
        """The states before each tag and behind the last."""
        found = [self.start]
        for tag in tags:
            found.append(self.step(found[-1], tag))
        return found

    def ends(self, states: States) -> bool:
        return any(all(times or not node.required for node, times in pending) for pending in states)

    def accepts(self, tags: Sequence[str]) -> bool:
        return self.ends(self.states(tags)[-1])

    def dead(self, tags: Sequence[str]) -> int | None:
        """Number (from 1) of the first segment that no reading takes; one more than there are when only the end is
        wrong; None: accepted."""
        states = self.start
        for number, tag in enumerate(tags, 1):
            states = self.step(states, tag)
            if not states:
                return number
        return None if self.ends(states) else len(tags) + 1
