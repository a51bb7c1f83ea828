"""Where values stand in a text. A place is counted in UTF-16 units from 0, as a browser counts."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from hub.edifact.model import Separators
from hub.finding import Place

Span = tuple[int, int]
_PLAIN = re.compile(r"[^,;\t\r\n}\]]*")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?', re.S)


class Part(NamedTuple):
    """One place of an EDIFACT text, in characters: element 0 is the tag."""

    tag: str
    element: int
    component: int
    start: int
    end: int
    value: str


@dataclass(frozen=True)
class Sheet:
    """One text: `data` are its bytes in `codec`; `separators` only where it is EDIFACT."""

    text: str
    data: bytes
    codec: str = "utf-8"
    separators: Separators | None = None

    def at(self, place: Place, value: str = "") -> Span | None:
        """What stands at a place; the line where it has no byte; None for a place that names neither."""
        if place.offset is not None and 0 <= place.offset <= len(self.data):
            start = self._character(place.offset)
            return self._units(start, self._end(start, place, value))
        if place.line and place.line <= len(self._lines) and not place.file:
            return self.line(place.line)
        return None

    def line(self, number: int) -> Span:
        """A line from 1 without the blanks around it."""
        start = self._lines[number - 1]
        end = self._lines[number] - 1 if number < len(self._lines) else len(self.text)
        line = self.text[start:end]
        return self._units(start + len(line) - len(line.lstrip()), start + len(line.rstrip()))

    def line_of(self, units: int) -> int:
        """The line from 1 that a place is in."""
        return bisect_right([self._units(line, line)[0] for line in self._lines], units)

    def units(self, start: int, end: int) -> Span:
        """A span of characters as the browser counts it."""
        return self._units(start, end)

    def _end(self, start: int, place: Place, value: str) -> int:
        if self.separators is not None:
            return self._of_edifact(start, place)
        if self.text.lstrip("\ufeff \r\n\t").startswith("<"):
            stop = self.text.find(">" if self.text[start : start + 1] == "<" else "<", start)
            stop = len(self.text) if stop < 0 else stop + (self.text[start : start + 1] == "<")
            return start + len(self.text[start:stop].rstrip())
        if value and self.text.startswith(value, start):
            return start + len(value)
        found = _QUOTED.match(self.text, start) or _PLAIN.match(self.text, start)
        return found.end() if found else start

    def _of_edifact(self, start: int, place: Place) -> int:
        """The end of a component, of a whole element, or of the tag of a segment."""
        if not place.element:
            return start + len(place.tag or "")
        return (self._components if place.component else self._elements).get(start, start)

    def _character(self, offset: int) -> int:
        return offset if self.data.isascii() else len(self.data[:offset].decode(self.codec, "replace"))

    def _units(self, start: int, end: int) -> Span:
        if not self._wide:
            return start, end
        return start + bisect_right(self._wide, start - 1), end + bisect_right(self._wide, end - 1)

    @cached_property
    def _wide(self) -> list[int]:
        """Characters that take two units."""
        return [at for at, sign in enumerate(self.text) if sign > "\uffff"]

    @cached_property
    def _lines(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    @cached_property
    def parts(self) -> list[Part]:
        """Every tag, element and component of an EDIFACT text."""
        return list(_parts(self.text, self.separators)) if self.separators else []

    @cached_property
    def _components(self) -> dict[int, int]:
        return {part.start: part.end for part in self.parts}

    @cached_property
    def _elements(self) -> dict[int, int]:
        """The ends of whole elements by their starts."""
        ends: dict[int, int] = {}
        start = 0
        for part in self.parts:
            start = part.start if part.component <= 1 else start
            ends[start] = part.end
        return ends


def _parts(text: str, signs: Separators) -> Iterator[Part]:
    """ISO 9735-1 clause 8: what a release character stands before is no sign."""
    every = (signs.component, signs.element, signs.repetition, signs.terminator)
    cut = "|".join(re.escape(sign) for sign in every if sign.strip())
    sign = re.compile(f"{re.escape(signs.release)}.|{cut}" if signs.release.strip() else cut, re.S)
    head = text.lstrip("\ufeff \r\n\t")
    start = _behind(text, len(text) - len(head) + (9 if head.startswith("UNA") else 0))
    tag, element, component = "", 0, 1
    for match in sign.finditer(text, start):
        found = match[0]
        if found not in every:
            continue
        value = text[start : match.start()]
        tag = tag or value
        yield Part(tag, element, component if element else 0, start, match.start(), value)
        start = match.end()
        if found == signs.terminator:
            start, tag, element, component = _behind(text, start), "", 0, 1
        elif found == signs.element:
            element, component = element + 1, 1
        else:
            component = component + 1 if found == signs.component else 1


def _behind(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \r\n\t":
        at += 1
    return at
