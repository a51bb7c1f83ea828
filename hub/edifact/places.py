"""From element and component to the byte where it stands.

    exact(findings, data, envelope) -> tuple[Finding, ...]

`findings` as reader, structure and elements made them of `data` (their offset is that of the segment), `data` the bytes
that were read, `envelope` the Envelope of the interchange they are in. Called once all is judged, for findings only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hub.edifact.model import Envelope, Separators
from hub.edifact.separators import released, segment_end
from hub.finding import Finding, Place

_WINDOWS = (4096, 65536, 1_000_000)
"""Bytes in which a segment is looked for, before it is in all that follows."""

Span = tuple[int, int]


def exact(findings: Iterable[Finding], data: bytes, envelope: Envelope) -> tuple[Finding, ...]:
    """The findings, each that names an element with the offset of that element, component and occurrence.

    What is missing stands where it should begin: at the end of its element, or of its segment. A finding without
    element or offset, or at whose offset no such segment begins, stays as it is; so a second call changes nothing.
    """
    segments: dict[int, _Raw] = {}
    moved = []
    for finding in findings:
        place = finding.place
        if place.element is not None and place.offset is not None and place.tag:
            if place.offset not in segments and data.startswith(place.tag.encode(), place.offset):
                segments[place.offset] = _Raw(data, place.offset, envelope)
            raw = segments.get(place.offset)
            if raw:
                finding = replace(finding, place=replace(place, offset=place.offset + raw.at(place, place.element)))
        moved.append(finding)
    return tuple(moved)


class _Raw:
    """One segment as it was sent, cut once however many findings it has."""

    __slots__ = ("charset", "elements", "parts", "separators", "text")

    def __init__(self, data: bytes, offset: int, envelope: Envelope) -> None:
        self.separators = envelope.separators
        raw = _segment(data, offset, envelope.separators)
        self.charset = envelope.charset
        try:
            self.text = raw.decode(self.charset)
        except UnicodeDecodeError:  # was told, and read a character for each byte
            self.charset = "latin-1"
            self.text = raw.decode("latin-1")
        self.parts: dict[tuple[Span, str], list[Span]] = {}
        self.elements = list(_spans(self.text, (0, len(self.text)), self.separators.element, self.separators.release))

    def at(self, place: Place, element: int) -> int:
        """Bytes from the start of the segment to the place."""
        if element >= len(self.elements):
            return self._bytes(len(self.text))
        span = self.elements[element]
        if self.separators.repetition:
            span = self._part(span, self.separators.repetition, place.occurrence or 1)
        if place.component is not None:
            span = self._part(span, self.separators.component, place.component)
        return self._bytes(span[0])

    def _part(self, span: Span, sign: str, number: int) -> Span:
        """The part of this number, from 1; the end of the whole where there are not so many."""
        parts = self.parts.get((span, sign))
        if parts is None:
            parts = self.parts[span, sign] = list(_spans(self.text, span, sign, self.separators.release))
        return parts[number - 1] if number <= len(parts) else (span[1], span[1])

    def _bytes(self, index: int) -> int:
        return len(self.text[:index].encode(self.charset))


def _segment(data: bytes, offset: int, separators: Separators) -> bytes:
    for size in (*_WINDOWS, len(data)):
        end = segment_end(data[offset : offset + size].decode("latin-1"), 0, separators)
        if end >= 0:
            return data[offset : offset + end]
    return data[offset:]


def _spans(text: str, span: Span, sign: str, release: str) -> Iterator[Span]:
    """The parts between every `sign` that is not released."""
    start, end = span
    at = text.find(sign, start, end)
    while at >= 0:
        if not (release and released(text, at, release)):
            yield start, at
            start = at + 1
        at = text.find(sign, at + 1, end)
    yield start, end
