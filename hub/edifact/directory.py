"""Tables of facts of one directory release (segment tables, elements, codes) joined with those of the
service layer.

The files are schemas/edifact/<RELEASE>.txt, SERVICE3.txt (ISO 9735 syntax versions 1 to 3) and SERVICE4.txt. They hold
structural facts only and are not a UN/EDIFACT directory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from hub.edifact.spec import Component, ElementSpec, MessageSpec, Node
from hub.edifact.tables import Entry, Line, Tables, read

__all__ = ["Component", "Directories", "Directory", "ElementSpec", "MessageSpec", "Node"]

_SERVICE = {"SERVICE3": "3", "D3": "3", "22": "3", "SERVICE4": "4", "41": "4"}
"""Syntax versions by the names of the service layer; D:3, 2:2 and 4:1 are what CONTRL and AUTACK call themselves."""


@dataclass(frozen=True, eq=False)
class Directory:
    """One release joined with the service layer of one syntax version; read-only. What is asked for is parsed once.

    Every method raises DeclarationError, with file and line, where the tables are damaged."""

    release: str
    own: Tables
    service: Tables
    _messages: dict[str, MessageSpec] = field(default_factory=dict, repr=False)
    _segments: dict[str, tuple[ElementSpec, ...]] = field(default_factory=dict, repr=False)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)

    def types(self) -> tuple[str, ...]:
        """Message types of this release and of the service layer, sorted."""
        return tuple(sorted({*self.own.names("messages"), *self.service.names("messages")}))

    def tags(self) -> tuple[str, ...]:
        """Tags of the segments of this release and of the service layer, sorted."""
        return tuple(sorted({*self.own.names("segments"), *self.service.names("segments")}))

    def message(self, type: str) -> MessageSpec:
        """The segment table of a message type. KeyError names what is near."""
        if type not in self._messages:
            entry = self.own.message(type) or self.service.message(type)
            if entry is None:
                _unknown(type, f"message type of {self.release}", self.types())
            nodes = _nodes(entry.lines, 0, len(entry.lines))
            # Some tables begin behind UNH and end before UNT.
            if nodes[0].key != "UNH":
                nodes = (Node("UNH", True, 1), *nodes)
            if nodes[-1].key != "UNT":
                nodes = (*nodes, Node("UNT", True, 1))
            self._messages[type] = MessageSpec(type, entry.name or type, self.release, nodes)
        return self._messages[type]

    def defines(self, tag: str) -> bool:
        """True when `tag` is a segment here."""
        return tag in self._segments or self._parts("segments", tag) is not None

    def segment(self, tag: str) -> tuple[ElementSpec, ...]:
        """The element positions of a segment. KeyError names what is near."""
        if tag not in self._segments:
            entry = self._parts("segments", tag)
            if entry is None:
                _unknown(tag, f"segment of {self.release}", self.tags())
            self._segments[tag] = tuple(self._element(line) for line in entry.lines)
        return self._segments[tag]

    def _element(self, line: Line) -> ElementSpec:
        composite = self._parts("composites", line.id)
        if composite is None:
            alone = (Component(line.id, True, self._format(line)),)
            return ElementSpec(line.id, line.required, line.max, False, alone)
        return ElementSpec(line.id, line.required, line.max, True, self._components(composite))

    def _components(self, composite: Entry) -> tuple[Component, ...]:
        return tuple(Component(part.id, part.required, self._format(part)) for part in composite.lines)

    def _parts(self, section: str, id: str) -> Entry | None:
        return self.service.parts(section, id) or self.own.parts(section, id)

    def _format(self, line: Line) -> str:
        found = self.service.element(line.id) or self.own.element(line.id)
        if found is None:
            self.own.missing("elements", line.id)
        return line.format or found[1]

    def codes(self, id: str) -> dict[str, str]:
        """{code: short name} of a coded element; {} when it has no list."""
        if id not in self._codes:
            self._codes[id] = self.service.codes(id) or self.own.codes(id) or {}
        return self._codes[id]

    def composite(self, id: str) -> tuple[Component, ...]:
        """The components of a composite. KeyError names what is near."""
        entry = self._parts("composites", id)
        if entry is None:
            _unknown(id, f"composite of {self.release}", self.own.names("composites"))
        return self._components(entry)

    def element(self, id: str) -> tuple[str, str]:
        """(name, format) of an element; format "" when not known. KeyError names what is near."""
        found = self.service.element(id) or self.own.element(id)
        if found is None:
            _unknown(id, f"element of {self.release}", self.own.names("elements"))
        return found

    def segment_name(self, tag: str) -> str:
        """The name of a segment, "" when unknown."""
        entry = self._parts("segments", tag)
        return entry.name if entry else ""

    def element_name(self, id: str) -> str:
        """The name of an element or composite, "" when unknown."""
        found = self._parts("composites", id)
        name, _ = (found.name, "") if found else self.service.element(id) or self.own.element(id) or ("", "")
        return name

    def reach(self, type: str) -> frozenset[str]:
        """Tags of the segments of a message type, after all that it reaches has been read: damage is told here and not
        at the first message. A service segment that this syntax version does not have is passed over (UGH and UGT
        of later releases in version 3)."""
        tags = _tags(self.message(type).nodes)
        for tag in tags:
            if not self.defines(tag):
                if tag.startswith("U"):
                    continue
                self.own.missing("segments", tag)
            for spec in self.segment(tag):
                for part in spec.components:
                    self.codes(part.id)
        return frozenset(tags)

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


def _nodes(lines: tuple[Line, ...], start: int, stop: int) -> tuple[Node, ...]:
    """The lines from `start` to `stop`: those as deep as the first beside each other, the deeper ones below them."""
    nodes = []
    while start < stop:
        line, end = lines[start], start + 1
        while end < stop and lines[end].depth > line.depth:
            end += 1
        nodes.append(Node(line.id, line.required, line.max, _nodes(lines, start + 1, end)))
        start = end
    return tuple(nodes)


def _tags(nodes: tuple[Node, ...]) -> tuple[str, ...]:
    """Tags of the segments below `nodes`, each once."""
    found: dict[str, None] = {}
    for node in nodes:
        found |= dict.fromkeys(_tags(node.children) if node.children else (node.key,))
    return tuple(found)


def _unknown(key: str, what: str, known: Iterable[str]) -> NoReturn:
    near = get_close_matches(key, known, 3, 0.5)
    raise KeyError(f"{key} is not a {what}" + (f"; near: {', '.join(near)}" if near else ""))


class Directories:
    """The releases of one folder, each opened once on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tables: dict[str, Tables] = {}
        self._joined: dict[tuple[str, str], Directory] = {}

    def available(self) -> tuple[str, ...]:
        """Keys of the releases that are there, such as D96B."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.txt") if path.stem[:1] == "D"))

    def get(self, release: str, version: str = "3") -> Directory:
        """The directory of "D:96B", "D.96B" or "D96B" with the service segments of a syntax version ("4"; every other
        goes by "3"). CONTRL's own "D:3", "2:2" and "4:1" give the service layer alone.

        KeyError names what is there; OSError and DeclarationError where a file cannot be used."""
        key = release.replace(":", "").replace(".", "").upper()
        layer = f"SERVICE{_SERVICE.get(key) or ('4' if version == '4' else '3')}"
        own = layer if key in _SERVICE else key
        found = self._joined.get((own, layer))
        if found is None:
            if own != layer and own not in self.available():
                near = get_close_matches(own, self.available(), 3, 0.5) or self.available()
                raise KeyError(f"directory {release} is not here; there: {', '.join(near)}")
            tables = self._read(own)
            found = Directory(tables.release, tables, self._read(layer))
            self._joined[own, layer] = found
        return found

    def _read(self, name: str) -> Tables:
        if name not in self._tables:
            self._tables[name] = read(self.folder / f"{name}.txt")
        return self._tables[name]
