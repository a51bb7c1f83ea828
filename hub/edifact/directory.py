"""Tables of facts of one directory release (segment tables, elements, codes) joined with those of the
service layer.

The files are schemas/edifact/<RELEASE>.json and SERVICE3.json. They hold structural facts only and are not a
UN/EDIFACT directory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

SERVICE = "SERVICE3"
_SERVICE_KEYS = frozenset((SERVICE, "D3", "22"))  # CONTRL names itself D:3 or 2:2


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


@dataclass(frozen=True, eq=False)
class Directory:
    """One release joined with the service layer; read-only."""

    release: str
    raw: dict[str, Any]

    @cached_property
    def _messages(self) -> dict[str, MessageSpec]:
        return {}

    @cached_property
    def _segments(self) -> dict[str, tuple[ElementSpec, ...]]:
        return {}

    def types(self) -> tuple[str, ...]:
        """Message types of this release, sorted."""
        return tuple(sorted(self.raw["messages"]))

    def message(self, type: str) -> MessageSpec:
        """The segment table of a message type. KeyError names what is near."""
        if type not in self._messages:
            raw = _named(self.raw["messages"], type, f"message type of {self.release}")
            nodes = tuple(_nodes(raw["struct"]))
            # Some tables begin behind UNH and end before UNT.
            if nodes[0].key != "UNH":
                nodes = (Node("UNH", True, 1), *nodes)
            if nodes[-1].key != "UNT":
                nodes = (*nodes, Node("UNT", True, 1))
            self._messages[type] = MessageSpec(type, raw.get("name", type), self.release, nodes)
        return self._messages[type]

    def segment(self, tag: str) -> tuple[ElementSpec, ...]:
        """The element positions of a segment. KeyError names what is near."""
        if tag not in self._segments:
            raw = _named(self.raw["segments"], tag, f"segment of {self.release}")
            self._segments[tag] = tuple(self._element(line) for line in raw["elements"])
        return self._segments[tag]

    def _element(self, line: list[Any]) -> ElementSpec:
        id, status, most = line[0], line[1], line[2]
        composite = self.raw["composites"].get(id)
        if composite is None:
            picture = (line[3] if len(line) > 3 else None) or ""
            return ElementSpec(id, status == "M", most, False, (Component(id, True, picture),))
        parts = tuple(
            Component(part[0], part[1] == "M", (part[2] if len(part) > 2 else None) or "")
            for part in composite["elements"]
        )
        return ElementSpec(id, status == "M", most, True, parts)

    def codes(self, id: str) -> dict[str, str]:
        """{code: short name} of a coded element; {} when it has no list."""
        found: dict[str, str] = self.raw["codes"].get(id, {})
        return found

    def segment_name(self, tag: str) -> str:
        """The name of a segment, "" when unknown."""
        return str(self.raw["segments"].get(tag, {}).get("name", ""))

    def element_name(self, id: str) -> str:
        """The name of an element or composite, "" when unknown."""
        if id in self.raw["composites"]:
            return str(self.raw["composites"][id].get("name", ""))
        return str(self.raw["elements"].get(id, [""])[0])

    def component_index(self, tag: str, path: str) -> tuple[int, int]:
        """(element number, component number), both from 1, of a path within segment `tag`.

        "1225" or "3036#2": the n-th occurrence of this element in the segment, simple or within a composite.
        "C080/3036", "C519#2/3225", "C080/3036#2": the n-th occurrence within the n-th such composite.
        "C080" alone: its first component. KeyError names what is near.
        """
        steps = [_step(step) for step in path.split("/")]
        positions = self._positions(tag)
        known: list[str] = []
        for _, spec in positions:
            known.append(spec.id)
            if spec.composite:
                known += [part.id for part in spec.components]
                known += [f"{spec.id}/{part.id}" for part in spec.components]
        if len(steps) == 2:
            (outer, outer_turn), (inner, inner_turn) = steps
            places = [(number, spec) for number, spec in positions if spec.composite and spec.id == outer]
            if len(places) >= outer_turn:
                number, spec = places[outer_turn - 1]
                turns = [index for index, part in enumerate(spec.components, 1) if part.id == inner]
                if len(turns) >= inner_turn:
                    return number, turns[inner_turn - 1]
        elif len(steps) == 1:
            id, turn = steps[0]
            found = [(number, 1) for number, spec in positions if spec.id == id]
            if not found:
                found = [
                    (number, index)
                    for number, spec in positions
                    for index, part in enumerate(spec.components, 1)
                    if part.id == id
                ]
            if len(found) >= turn:
                return found[turn - 1]
        near = get_close_matches(path, dict.fromkeys(known), 3, 0.5) or list(dict.fromkeys(known))[:12]
        raise KeyError(f"{path} is not in {tag} of {self.release}; near: {', '.join(near)}")

    def _positions(self, tag: str) -> list[tuple[int, ElementSpec]]:
        """Element positions. A repeating last element takes further positions (how syntax 1–3 sends it)."""
        specs = self.segment(tag)
        positions = list(enumerate(specs, 1))
        if specs:
            positions += [(len(specs) + extra, specs[-1]) for extra in range(1, min(specs[-1].max, 100))]
        return positions


def _step(step: str) -> tuple[str, int]:
    id, _, turn = step.partition("#")
    if turn and not (turn.isascii() and turn.isdecimal() and 0 < len(turn) < 4 and int(turn)):
        raise KeyError(f"{step}: what follows # is a number from 1")
    return id, int(turn or 1)


def _nodes(struct: list[list[Any]]) -> Iterator[Node]:
    for line in struct:
        children = tuple(_nodes(line[3])) if len(line) > 3 else ()
        yield Node(line[0], line[1] == "M", line[2], children)


def _named(table: dict[str, Any], key: str, what: str) -> Any:
    if key not in table:
        near = get_close_matches(key, table, 3, 0.5)
        raise KeyError(f"{key} is not a {what}" + (f"; near: {', '.join(near)}" if near else ""))
    return table[key]


def load(path: Path, service: Path | None = None) -> Directory:
    """Read one release file joined with the service file beside it (or `service`).

    OSError when a file is missing, ValueError when it is not JSON.
    """
    own = json.loads(path.read_text("utf-8"))
    layer = json.loads((service or path.with_name(f"{SERVICE}.json")).read_text("utf-8"))
    tables: dict[str, Any] = {}
    for table in ("messages", "segments", "composites", "elements", "codes"):
        below, above = layer.get(table, {}), own.get(table, {})
        tables[table] = {**below, **above} if table == "messages" else {**above, **below}
    return Directory(own.get("release") or own.get("directory") or path.stem, tables)


class Directories:
    """The releases of one folder, each read once on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loaded: dict[str, Directory] = {}

    def available(self) -> tuple[str, ...]:
        """Keys of the releases that are there, such as D96B."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.json") if path.stem[:1] == "D"))

    def get(self, release: str) -> Directory:
        """The directory of "D:96B", "D.96B" or "D96B"; CONTRL's own "D:3" and "2:2" give the service layer.

        KeyError names what is there."""
        key = release.replace(":", "").replace(".", "").upper()
        if key in _SERVICE_KEYS:
            key = SERVICE
        if key not in self._loaded:
            if key != SERVICE and key not in self.available():
                near = get_close_matches(key, self.available(), 3, 0.5) or self.available()
                raise KeyError(f"directory {release} is not here; there: {', '.join(near)}")
            self._loaded[key] = load(self.folder / f"{key}.json")
        return self._loaded[key]
