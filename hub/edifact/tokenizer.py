"""Text to segments at the speed of `str.split`: one interchange is cut, body segments are collected by message.

A whole window of text is looked at once. Where it holds nothing but the usual signs of its level, every segment is
taken as it stands; elsewhere each goes through hub.edifact.careful.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hub.edifact.careful import Careful
from hub.edifact.header import begins
from hub.edifact.limits import KEEP, Limits, limit
from hub.edifact.model import Element, Repeats, Segment, Separators
from hub.edifact.separators import BLANK, odd_release, printable, segment_end, segments_end
from hub.edifact.source import Source
from hub.finding import Finding, Place

__all__ = ["KEEP", "Limits", "Tokenizer", "limit"]

SERVICE = frozenset(("UNZ", "UNH", "UNT", "UNG", "UNE", "UNO"))
_HEADERS = ("UNA", "UNB")
_BREAKS = ("\r", "\n")
_LAST = re.compile("UN[ABZ]")
_TAG = re.compile(r"[A-Z][A-Z0-9]{2}\Z")
_REFUSED = {"UIB": "edifact.interactive", "UIH": "edifact.interactive", "USH": "edifact.security"}
"""What may stand outside messages by ISO 9735-3 and -5, and is not taken in."""

_ordinary: set[str] = set()
"""Tags met that are as they should be and of no service segment; there cannot be more than 33,696."""


class Tokenizer:
    """Cuts one interchange. Who reads its service segments moves it along:

    segments  the open message, UNH and what followed; empty outside one, and then segments are stray
    found     where findings go
    number    of the last segment, UNB = 1
    astray    a stray segment was told; only the first of a run is
    strange   a sign outside the level was told; only the first of a message is
    careful   the service characters and the character set, known for good once UNB is read
    excess    why the reading ended before the data did
    """

    careful: Careful

    def __init__(self, source: Source, separators: Separators, limits: Limits, found: list[Finding]) -> None:
        self.source = source
        self.limits = limits
        self.found = found
        self.separators = separators
        self.segments: list[Segment] = []
        self.number = 0
        self.astray = False
        self.strange = False
        self.excess: Finding | None = None
        self._nul = False
        self._bound = source.offset + limits.interchange
        self._short = min(limits.components, limits.element, limits.segment)

    def note(self, finding: Finding) -> None:
        if len(self.found) < KEEP:
            self.found.append(finding)

    @property
    def message(self) -> str | None:
        """0062 of the open message."""
        return self.segments[0].get(1) if self.segments else None

    def place(self, segment: Segment, element: int | None = None, component: int | None = None) -> Place:
        return Place(self.message, segment.number, segment.tag, element, component, segment.offset)

    def opening(self) -> str | None:
        """The text of the UNB at which the source stands; None when the data ends or is past a limit before its end."""
        while True:
            source = self.source
            end = segment_end(source.text, source.at, self.separators)
            if end >= 0:
                return source.text[source.at : end]
            if not self._more():
                return None

    def services(self) -> Iterator[tuple[Segment, int]]:
        """Each service segment and the offset behind it, up to the end of the data or to `excess`."""
        source = self.source
        while not self.excess:
            window = self._window()
            if window:
                plain = self.careful.mark(window)
                mark = plain or self.separators.terminator
                pieces, done = self._pieces(window, mark)
                walk = self._as_they_are if plain and self._within(pieces, done) else self._one_by_one
                yield from walk(pieces, source.offset, mark)
                source.at = done - source.base
                continue
            left = source.left
            if left and begins(source, self.separators):  # what ends its segments may be another sign
                tag = source.text[source.at : source.at + 3]
                yield Segment(tag, [], self.number, source.offset), source.offset
            elif source.left == left and not self._more():
                return

    def _window(self) -> str:
        """Whole segments with the line break behind the last; "" when there is none yet.

        They end before what may end the interchange, or are that alone: what follows may be cut by other signs.
        """
        source, separators = self.source, self.separators
        start = source.offset
        self._blank(source.pass_over(), start)
        text, at = source.text, source.at
        last = _LAST.search(text, at)
        end = segments_end(text, at, last.start() if last else len(text), separators)
        if end < 0 and last:
            end = segment_end(text, last.start(), separators)
        if end < 0:
            return ""
        end += 1
        while text[end : end + 1] in _BREAKS:
            end += 1
        return text[at:end]

    def _pieces(self, window: str, mark: str) -> tuple[list[str], int]:
        """The segments of the window, which end with `mark`, and the offset behind the last."""
        pieces = window.split(mark)
        release = self.separators.release
        if release and release + mark in window:
            pieces = _rejoined(pieces, release, mark)
        return pieces, self.source.offset + len(window) - len(pieces.pop())

    def _within(self, pieces: list[str], done: int) -> bool:
        """False when one of them, or all together, may be past a limit."""
        longest = max(map(len, pieces))
        room = self.limits.segments - len(self.segments)
        return longest <= self._short and done <= self._bound and len(pieces) <= room

    def _as_they_are(self, pieces: list[str], offset: int, mark: str) -> Iterator[tuple[Segment, int]]:
        """Segments that need no second look, with `mark` behind each."""
        step, close = len(mark), mark.index(self.separators.terminator) + 1
        cut, plus = self.careful.cut, self.separators.element
        segments = self.segments
        known = _ordinary if segments else ()
        place = len(segments)
        self.number -= place
        for piece in pieces:
            tag, sign, text = piece.partition(plus)
            place += 1
            if tag in known:
                segments.append(Segment(tag, None if sign else [], place, offset, text, cut))
                offset += len(piece) + step
                continue
            self.number += place
            yield from self._other(tag, sign, text, offset, offset + len(piece) + close)
            offset += len(piece) + step
            segments = self.segments
            known = _ordinary if segments else ()
            place = len(segments)
            self.number -= place
        self.number += place

    def _one_by_one(self, pieces: list[str], offset: int, mark: str) -> Iterator[tuple[Segment, int]]:
        """Segments of which each is looked at, with `mark` behind each."""
        plus, close = self.separators.element, mark.index(self.separators.terminator) + 1
        behind = offset
        for piece in pieces:
            offset, behind = behind, behind + len(piece) + len(mark)
            end = offset + len(piece) + close
            text = piece.lstrip(BLANK)
            self._blank(piece[: len(piece) - len(text)], offset)
            offset += len(piece) - len(text)
            if not text:
                if self.separators.terminator not in _BREAKS and len(self.found) < KEEP:
                    self.note(Finding("edifact.segment_empty", Place(self.message, offset=offset)))
                continue
            if text[:3] in _HEADERS and self._begins(offset):
                yield Segment(text[:3], [], self.number, offset), end
                return
            if end > self._bound:
                self.excess = limit("interchange", self.limits.interchange, offset)
            if self.excess or self._exceeds(text, offset):
                return
            opens = text.startswith("UNH")
            if not opens and len(self.found) < KEEP:
                self.tell(text, offset)
            tag, sign, rest = self.careful.text(text).partition(plus)
            self.number += 1
            yield from self._other(tag, sign, rest, offset, end)
            if opens:  # what is wrong with it is the message's
                self.tell(text, offset, 1)
            if self.excess:
                return

    def _other(self, tag: str, sign: str, text: str, offset: int, end: int) -> Iterator[tuple[Segment, int]]:
        """Any segment: of service, of the open message, or stray."""
        if tag[:3] in _HEADERS and self._begins(offset):
            yield Segment(tag[:3], [], self.number, offset), end
            return
        elements: list[Element] | None = None if sign else []
        cut = self.careful.cut
        if not _TAG.match(tag):
            tag = self._odd_tag(tag, offset)
        elif tag not in SERVICE and tag not in _HEADERS:
            _ordinary.add(tag)
        if tag in SERVICE:
            yield Segment(tag, elements, self.number, offset, text, cut), end
        elif self.segments:
            self.segments.append(Segment(tag, elements, len(self.segments) + 1, offset, text, cut))
            if len(self.segments) > self.limits.segments:
                self.excess = limit("segments", self.limits.segments, offset)
        else:
            self.stray(tag, offset)

    def _begins(self, offset: int) -> bool:
        """True when an interchange begins at this UNA or UNB: the letters alone may be data."""
        self.source.at = offset - self.source.base
        return begins(self.source, self.separators)

    def tell(self, text: str, offset: int, number: int = 0) -> None:
        """What is wrong with the text of a segment; `number` where it is not the next one."""
        number = number or (len(self.segments) + 1 if self.segments else self.number + 1)
        tag = text[:3] if _TAG.match(text[:3]) else None
        for fault in self.careful.faults(text):
            if fault.code == "edifact.repertoire":
                if self.strange:
                    continue
                self.strange = True
            place = Place(self.message, number, tag, offset=offset + fault.at)
            self.note(Finding(fault.code, place, fault.found, fault.expected, fault.severity))

    def _odd_tag(self, tag: str, offset: int) -> str:
        """The tag without explicit nesting (ISO 9735 §9.2); told, as is what is not three capital letters or digits."""
        head, nesting, _ = tag.partition(self.separators.component)
        if len(self.found) < KEEP:
            if nesting:
                place = Place(self.message, tag=head, offset=offset)
                self.note(Finding("edifact.nesting", place, found=printable(tag[:40])))
            if head.isascii() and head.isprintable() and not _TAG.match(head):  # what cannot be printed was told
                number = len(self.segments) + 1 if self.segments else self.number
                self.note(Finding("edifact.tag", Place(self.message, number, offset=offset), found=head[:16]))
        return head

    def _blank(self, blank: str, offset: int) -> None:
        """NUL between segments is told, once."""
        if "\0" in blank and not self._nul:
            self._nul = True
            self.note(Finding("edifact.nul", Place(offset=offset + blank.index("\0"))))

    def stray(self, tag: str, offset: int) -> None:
        if not self.astray:
            self.astray = True
            place = Place(segment=self.number, tag=tag[:3], offset=offset)
            code = _REFUSED.get(tag, "edifact.outside_message")
            self.note(Finding(code, place, found=printable(tag[:16])))

    def _exceeds(self, piece: str, offset: int) -> bool:
        """True, and `excess` is set, when the segment is past a limit."""
        limits, separators = self.limits, self.separators
        if len(piece) > limits.segment:
            self.excess = limit("segment", limits.segment, offset)
        elif len(piece) > limits.element or piece.count(separators.component) >= limits.components:
            for element in self.careful.cut(piece):
                for one in (element, *element.more) if isinstance(element, Repeats) else (element,):
                    if len(one) > limits.components:
                        self.excess = limit("components", limits.components, offset)
                    elif len(max(one, key=len)) > limits.element:
                        self.excess = limit("element", limits.element, offset)
                    if self.excess:
                        return True
        return self.excess is not None

    def _more(self) -> bool:
        """Read on. False when the data ends or is past a limit."""
        source, limits = self.source, self.limits
        if source.offset > self._bound:
            self.excess = limit("interchange", limits.interchange, source.offset)
        elif source.left > limits.segment:
            self.excess = limit("segment", limits.segment, source.offset)
        elif source.fill():
            return True
        elif source.left:
            release = self.separators.release
            if release and odd_release(source.text, release):
                self.note(Finding("edifact.release_at_end", Place(offset=source.offset + source.left)))
            self.note(Finding("edifact.cut", Place(offset=source.offset), source.shown(), self.separators.terminator))
            source.at = len(source.text)
        return False


def _rejoined(pieces: list[str], release: str, terminator: str) -> list[str]:
    """Pieces between terminators that were not released; the last one is what is left behind them."""
    joined: list[str] = []
    held: list[str] = []
    last = pieces.pop()
    for piece in pieces:
        if piece.endswith(release) and odd_release(piece, release):
            held.append(piece)
        elif held:
            joined.append(terminator.join((*held, piece)))
            held = []
        else:
            joined.append(piece)
    joined.append(terminator.join((*held, last)))
    return joined
