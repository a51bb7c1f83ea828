"""What the tables of one release say, as objects: segment tables of messages, element positions of segments."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Node:
    """One line of a segment table: a segment, or a group with its children. `key` is "NAD" or "SG7"."""

    key: str
    required: bool
    max: int
    children: tuple[Node, ...] = ()

    @property
    def trigger(self) -> str:
        """The tag that a segment is or a group starts with."""
        return self.children[0].trigger if self.children else self.key


@dataclass(frozen=True, eq=False)
class MessageSpec:
    """The segment table of one message type in one release."""

    type: str
    name: str
    release: str
    nodes: tuple[Node, ...]

    def node(self, path: tuple[str, ...]) -> Node:
        """The node at `path`, for example ("SG7", "SG9", "NAD"). KeyError names what is near."""
        nodes = self.nodes
        found: Node | None = None
        for depth, key in enumerate(path):
            found = next((node for node in nodes if node.key == key), None)
            if found is None:
                above = "/".join(path[:depth]) or self.type
                raise KeyError(f"{key} is not in {above}; there: {', '.join(_unique(nodes))}")
            nodes = found.children
        if found is None:
            raise KeyError("empty path")
        return found

    def children(self, path: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Keys below the group at `path` (() = the message), in the order of the table, each once."""
        return _unique(self.node(path).children if path else self.nodes)


def _unique(nodes: tuple[Node, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(node.key for node in nodes))


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a composite, or a simple element. `repr` is as printed: an..35, n6; "" when not
    known.
    """

    id: str
    required: bool
    repr: str


@dataclass(frozen=True, slots=True)
class ElementSpec:
    """One element position of a segment. `composite` is True for Cnnn/Snnn ids."""

    id: str
    required: bool
    max: int
    composite: bool
    components: tuple[Component, ...]
