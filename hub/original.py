"""The sender's own file as lines that a person can read: one segment each, or the lines of an XML document."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from hub.edifact.model import Envelope, Separators
from hub.finding import Finding
from hub.plain import plain, width
from hub.xml import encoding

CONTEXT = 60
"""Characters to both sides of a place that an excerpt shows."""
_REACH = 4096
"""Bytes to both sides of a place that are looked at for it."""


@dataclass(frozen=True, slots=True)
class Written:
    """How a file without an envelope is written: its codec, what ends a line of it, and what releases that sign."""

    charset: str = "utf-8"
    terminator: str = "\n"
    release: str = ""


class Original:
    """`data` in the character set and with the service characters of its envelope; XML in its own encoding."""

    def __init__(self, data: bytes, envelope: Envelope | Written | None = None) -> None:
        signs = envelope.separators if isinstance(envelope, Envelope) else envelope or Separators()
        self.codec = envelope.charset if envelope else "utf-8"
        self.terminator, self.release = signs.terminator.encode(), signs.release.encode()
        decoded = encoding.decode(data) if envelope is None and data.lstrip()[:1] == b"<" else None
        self.xml = isinstance(decoded, str)
        self.data = decoded.encode() if isinstance(decoded, str) else data

    @cached_property
    def starts(self) -> list[int]:
        """Where each line begins, in bytes."""
        starts, at = [0], 0
        while (at := self._behind(at)) < len(self.data):
            starts.append(at)
        return starts

    def _behind(self, at: int, last: int | None = None) -> int:
        """Where the next line begins: behind a terminator that is not released, and the line break that follows it."""
        plain = self.xml or self.terminator == b"\n"
        sign = b"\n" if plain else self.terminator
        last = len(self.data) if last is None else last
        end = self.data.find(sign, at, last)
        while end >= 0 and not plain and self._released(end):
            end = self.data.find(sign, end + 1, last)
        if end < 0:
            return last
        end += 1
        while end < last and self.data[end : end + 1] in (b"\r", b"\n") and not plain:
            end += 1
        return end

    def _begin(self, offset: int) -> int:
        """Where the line around `offset` begins, or _REACH before it."""
        plain = self.xml or self.terminator == b"\n"
        sign, first = b"\n" if plain else self.terminator, max(0, offset - _REACH)
        before = self.data.rfind(sign, first, offset)
        while before >= 0 and not plain and self._released(before):
            before = self.data.rfind(sign, first, before)
        start = max(first, before + 1)
        while start < offset and self.data[start : start + 1] in (b"\r", b"\n") and not plain:
            start += 1
        return start

    def _released(self, at: int) -> bool:
        """True when an odd run of release characters stands before `at`."""
        run = 0
        while self.release and self.data[at - run - 1 : at - run] == self.release:
            run += 1
        return run % 2 == 1

    def offset(self, finding: Finding) -> int | None:
        """Where in `data` a finding is; None where it names no place in the file."""
        place = finding.place
        if place.offset is not None:
            return place.offset if 0 <= place.offset <= len(self.data) else None
        if not (self.xml and place.line and place.line <= len(self.starts)):
            return None
        start, end = self._span(place.line - 1)
        head = self.data[start:end].decode("utf-8")[: (place.column or 1) - 1]
        return start + len(head.encode())

    def line_of(self, finding: Finding) -> int | None:
        """The line that a finding is about, from 0."""
        offset = self.offset(finding)
        return None if offset is None else bisect_right(self.starts, offset) - 1

    def line(self, number: int) -> str:
        """A line, fit for a terminal."""
        return self._shown(*self._span(number)).rstrip()

    def _span(self, number: int) -> tuple[int, int]:
        start = self.starts[number]
        return start, self.starts[number + 1] if number + 1 < len(self.starts) else len(self.data)

    def carets(self, number: int, finding: Finding) -> str:
        """What to print below line `number` so that it points at the finding's place, as wide as what was found."""
        start, end = self._span(number)
        offset = self.offset(finding) or start
        return " " * width(self._shown(start, offset)) + self._carets(offset, end, finding.found)

    def excerpt(self, finding: Finding) -> list[str]:
        """The piece of the file around the place, and carets below it; nothing where there is no place."""
        offset = self.offset(finding)
        if offset is None or not self.data:
            return []
        start = self._begin(offset)
        end = self._behind(offset, min(len(self.data), offset + _REACH))
        before, after = self._shown(start, offset)[-CONTEXT:], self._shown(offset, end)[:CONTEXT]
        return [(before + after).rstrip(), " " * width(before) + self._carets(offset, end, finding.found)[:CONTEXT]]

    def _carets(self, offset: int, end: int, found: str) -> str:
        return "^" * (width(found) if found and self._shown(offset, end).startswith(found) else 1)

    def _shown(self, start: int, end: int) -> str:
        text = self.data[start:end].decode(self.codec, "backslashreplace")
        return plain(text.replace("\n", " ").replace("\r", " "))
