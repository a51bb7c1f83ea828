"""Where a value stands in the file that was sent: byte, segment, element and component, or XPath and line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from xml.parsers import expat

from lxml import etree

from hub.edifact import places
from hub.edifact.model import Envelope, Segment
from hub.finding import Finding, Place
from hub.lineage.marks import Mark, marks, named
from hub.mapping.lineage import Origin
from hub.records.tree import Document
from hub.site.site import Usage
from hub.xml import encoding

MOST_SHOWN = 200
"""Characters of a value that are told."""


@dataclass(frozen=True, slots=True)
class Source:
    """One value of a file. `path` as a person reads it: `SG4[2]/SG5/SG7/NAD C080/3036`; `place` is in the file."""

    file: str  # the id of the interchange, or the file's name
    kind: str
    path: str
    value: str
    place: Place


@dataclass(frozen=True)
class Received:
    """A message that came in. `data` is what places of `node` count in; `shift` is what to add for the file.

    document  of JSON, CSV and flat records: what knows where its values stood"""

    usage: Usage
    node: Any
    file: str
    data: bytes
    reference: str = ""
    envelope: Envelope | None = None
    shift: int = 0
    document: Document | None = None
    _seen: dict[Origin, Source] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def marks(self) -> dict[Any, Mark]:
        return marks(self.node)

    def source(self, origin: Origin) -> Source:
        """Where `origin` stands in the file."""
        known = Origin("", origin.node, origin.element, origin.component, origin.attribute)
        if known not in self._seen:
            found = self._segment(origin) if isinstance(origin.node, Segment) else self._element(origin)
            self._seen[known] = found
        return self._seen[known]

    def _segment(self, origin: Origin) -> Source:
        segment: Segment = origin.node
        mark = self.marks.get(segment)
        inside = named(self.usage.directory, segment.tag, origin.element, origin.component)
        path = f"{mark.path if mark else segment.tag} {inside}".strip()
        numbers = origin.element or None, origin.component or None
        place = Place(self.reference, segment.number, segment.tag, *numbers, offset=segment.offset)
        if self.envelope is not None:
            place = places.exact([Finding("", place)], self.data, self.envelope)[0].place
        value = segment.get(origin.element, origin.component or 1) if origin.element else ""
        if origin.element and not origin.component:
            value = ":".join(segment.elements[origin.element - 1])
        moved = replace(place, offset=(place.offset or 0) + self.shift)
        return Source(self.file, self.usage.name, path, value[:MOST_SHOWN], moved)

    def _element(self, origin: Origin) -> Source:
        mark = self.marks.get(origin.node)
        path = mark.path if mark else str(origin.node.tag)
        attribute = etree.QName(origin.attribute).localname if origin.attribute else ""
        value = str(origin.node.get(origin.attribute, "")) if attribute else (origin.node.text or "").strip()
        path += f"/@{attribute}" if attribute else ""
        return Source(self.file, self.usage.name, path, value[:MOST_SHOWN], self._place(origin.node, path, attribute))

    def _place(self, element: Any, path: str, attribute: str) -> Place:
        number = self._numbers.get(element)
        if self.document is not None:
            place = self.document.source.place(self.document.spots[number or 0], path)
            return replace(place, offset=(place.offset or 0) + self.shift)
        start, text, line = self._spots[number] if number is not None and number < len(self._spots) else (None, None, 0)
        offset = start if attribute or text is None else text
        column = 1 if offset is None else offset - self._text.rfind(b"\n", 0, offset)
        whole = offset if self._text == self.data else None  # in another encoding the byte is another
        return Place(offset=whole, line=line or None, column=column, path=path)

    @cached_property
    def _numbers(self) -> dict[Any, int]:
        return {element: number for number, element in enumerate(self.node.iter(etree.Element))}

    @cached_property
    def _text(self) -> bytes:
        text = encoding.decode(self.data)
        return text.encode() if isinstance(text, str) else self.data

    @cached_property
    def _spots(self) -> list[tuple[int, int | None, int]]:
        return list(_spots(self._text))


def _spots(data: bytes) -> Iterator[tuple[int, int | None, int]]:
    """(byte of the start tag, byte of the first text that is not blank, its line) of every element in the order of the
    document, which the gate (hub.xml.gate) has let in."""
    parser = expat.ParserCreate("utf-8")
    starts: list[tuple[int, int]] = []
    texts: dict[int, tuple[int, int]] = {}
    within: list[int] = []

    def start(_: str, __: dict[str, str]) -> None:
        within.append(len(starts))
        starts.append((parser.CurrentByteIndex, parser.CurrentLineNumber))

    def text(said: str) -> None:
        if within and said.strip() and within[-1] not in texts:
            blanks = said[: len(said) - len(said.lstrip())]
            texts[within[-1]] = (parser.CurrentByteIndex + len(blanks.encode()), parser.CurrentLineNumber)

    parser.StartElementHandler, parser.CharacterDataHandler = start, text
    parser.EndElementHandler = lambda _: within.pop() and None
    parser.Parse(data, True)
    for number, (at, line) in enumerate(starts):
        there = texts.get(number)
        yield (at, there[0], there[1]) if there else (at, None, line)
