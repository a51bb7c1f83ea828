"""Where a path leads: the nodes that it comes to, and what is read at each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hub.mapping.facts import Read
from hub.mapping.plan import Find, Run


@dataclass(frozen=True, slots=True)
class Reach:
    """A compiled path.

    kind       what is there: a group, a segment, a whole composite, a value; an XML element counts as a value
    nodes      finds the groups, segments, elements or occurrences that it is read at
    cell       (element, component) of the first occurrence within a segment; component 0: a whole composite
    places     all such cells
    part       a component of an occurrence, from 1
    attribute  of an XML element
    depth      of `Run.seen` at which what it finds may be kept; `outer` when an inner loop can ask again
    """

    read: Read
    kind: Literal["group", "segment", "composite", "value"]
    nodes: Find
    key: Any
    depth: int
    outer: bool
    cell: tuple[int, int] | None = None
    places: tuple[tuple[int, int], ...] = ()
    part: int = 0
    attribute: str = ""
    example: str = ""


class Chain:
    """The steps of a path, each walked once for each item of the loop in which the path begins."""

    def __init__(self, shared: dict[Any, Find], depth: int, key: Any, nodes: Find, outer: bool) -> None:
        self.shared, self.depth, self.key, self.nodes, self.outer = shared, depth, key, nodes, outer

    def step(self, key: Any, take: Any) -> None:
        """Go on by `take`, a function of the run and the nodes so far; equal keys are equal steps."""
        self.key = (*self.key, key)
        if self.key not in self.shared:
            self.shared[self.key] = _remembered(self.nodes, take, len(self.shared), self.depth)
        self.nodes = self.shared[self.key]

    def end(self, take: Any) -> None:
        """The last step of a path that nobody else goes through."""
        above = self.nodes
        self.nodes = lambda run: take(run, above(run))


def _remembered(above: Find, take: Any, slot: int, depth: int) -> Find:
    def nodes(run: Run) -> Any:
        seen = run.seen[depth]
        found = seen.get(slot)
        if found is None:
            found = seen[slot] = take(run, above(run))
        return found

    return nodes
