"""Text to segments at the speed of `str.split`: one interchange is cut, body segments are collected by message.

Bytes are looked at as latin-1 text, so an index is a byte offset; only segments that hold non-ASCII bytes are decoded
again, strictly, with the character set of the interchange.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hub.edifact.model import Element, Repeats, Segment, Separators
from hub.edifact.separators import BLANK, NEVER, cutter, odd_release, printable
from hub.finding import Finding, Place

SERVICE = frozenset(("UNA", "UNB", "UNZ", "UNH", "UNT", "UNG", "UNE", "UNO"))
KEEP = 1000
"""Findings kept of one message or one interchange: a hostile file could give one a byte."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is read. `interchange`, `segment` and `element` in bytes; `segments` counts one message,
    `messages` one interchange."""

    interchange: int = 50_000_000
    segment: int = 65536
    element: int = 4096
    components: int = 100
    segments: int = 200_000
    messages: int = 10_000


def limit(what: str, bound: int, offset: int) -> Finding:
    """The finding that ends the reading."""
    return Finding("edifact.limit", Place(offset=offset), expected=str(bound), args={"what": what})


class Source:
    """The text not yet read. `base` is the byte offset of text[0]."""

    __slots__ = ("_blocks", "base", "text")

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.text = ""
        self.base = 0
        self._blocks = blocks

    def fill(self) -> bool:
        """Append one more block; False at the end of the data."""
        block = next(self._blocks, None)
        if block is None:
            return False
        self.text += block.decode("latin-1")
        return True

    def skip(self, count: int) -> None:
        self.text = self.text[count:]
        self.base += count

    def shown(self) -> str:
        """The beginning of the text, for a finding."""
        return self.text[:32].encode("latin-1", "replace").decode("ascii", "backslashreplace")


class Tokenizer:
    """Cuts one interchange. Who reads its service segments moves it along:

    segments    the open message, UNH and what followed; empty outside one, and then segments are stray
    found       where findings go
    separators  and charset, known for good once UNB is read
    astray      a stray segment was told; only the first of a run is
    excess      why the reading ended before the data did
    """

    def __init__(
        self, source: Source, separators: Separators, limits: Limits, charset: str, found: list[Finding]
    ) -> None:
        self.source = source
        self.separators = separators
        self.limits = limits
        self.charset = charset
        self.found = found
        self.segments: list[Segment] = []
        self.number = 0
        self.bound = source.base + limits.interchange
        self.astray = False
        self.excess: Finding | None = None
        self._nul = False

    def note(self, finding: Finding) -> None:
        if len(self.found) < KEEP:
            self.found.append(finding)

    def place(self, segment: Segment, element: int | None = None, component: int | None = None) -> Place:
        message = self.segments[0].get(1) if self.segments else None
        return Place(message, segment.number, segment.tag, element, component, segment.offset)

    def services(self) -> Iterator[tuple[Segment, int]]:
        """Each service segment and the offset behind it, up to the end of the data or to `excess`."""
        source, limits = self.source, self.limits
        signs = self.separators
        terminator, plus, release = signs.terminator, signs.element, signs.release or NEVER
        cut = cutter(signs)
        suspect = min(limits.components, limits.element, limits.segment)
        bound, most = self.bound, limits.segments
        while True:
            text, at = source.text, source.base
            careful = self._careful(text)
            pieces = text.split(terminator)
            if release + terminator in text:
                pieces = _rejoined(pieces, release, terminator)
            pieces.pop()
            segments, number = self.segments, self.number
            for piece in pieces:
                offset = at
                at += len(piece) + 1
                if at > bound:
                    self.excess = limit("interchange", limits.interchange, offset)
                    return
                if piece < "!":  # empty, or begins with white space or a control character
                    stripped = piece.lstrip(BLANK)
                    offset += len(piece) - len(stripped)
                    piece = stripped
                    if not piece:
                        if terminator not in "\r\n" and len(self.found) < KEEP:  # a file may be nothing else
                            self.note(Finding("edifact.segment_empty", Place(offset=offset)))
                        continue
                if at - offset > suspect and self._exceeds(piece, offset):
                    return
                if careful:
                    self.number = number
                    piece = self._cleaned(piece, offset)
                tag, sign, piece = piece.partition(plus)
                elements: list[Element] | None = None if sign else []
                if not tag.isalnum():
                    elements = cut(tag + sign + piece)
                    tag = self._tag(elements.pop(0), offset)
                number += 1
                if tag in SERVICE:
                    self.number = number
                    yield Segment(tag, elements, number, offset, piece, cut), at
                    segments, cut = self.segments, cutter(self.separators)
                elif segments:
                    segments.append(Segment(tag, elements, len(segments) + 1, offset, piece, cut))
                    if len(segments) > most:
                        self.excess = limit("segments", most, offset)
                        return
                else:
                    self.number = number
                    self.stray(tag, offset)
            self.number = number
            if not self._more(at):
                return

    def _careful(self, text: str) -> bool:
        """True when segments of this text may hold line breaks or characters to decode. NUL is told, once."""
        if "\0" in text and not self._nul:
            self._nul = True
            self.note(Finding("edifact.nul", Place(offset=self.source.base + text.index("\0"))))
        end = self.separators.terminator
        if end in "\r\n" or not text.isascii():
            return True
        breaks = text.count("\n") + text.count("\r")
        return breaks > 0 and (
            (self.separators.release or NEVER) + end in text
            or breaks != text.count(end + "\n") + text.count(end + "\r") + text.count(end + "\r\n")
        )

    def _cleaned(self, piece: str, offset: int) -> str:
        """The segment without the rest of its line end, decoded; a line break within is told."""
        if self.separators.terminator in "\r\n":
            piece = piece.removesuffix("\r")
        elif "\n" in piece or "\r" in piece:
            self.note(Finding("edifact.line_break", Place(segment=len(self.segments) + 1, offset=offset)))
        return piece if piece.isascii() else self.decoded(piece, offset)

    def decoded(self, piece: str, offset: int) -> str:
        """The segment in the interchange's character set. Undecodable: a finding, and one character for each byte."""
        raw = piece.encode("latin-1")
        try:
            return raw.decode(self.charset)
        except UnicodeDecodeError as error:
            message = self.segments[0].get(1) if self.segments else None
            number = len(self.segments) + 1 if self.segments else self.number + 1
            tag = piece[:3] if piece[:3].isalnum() and piece[:3].isascii() else None
            place = Place(message, number, tag, offset=offset + error.start)
            self.note(Finding("edifact.undecodable", place, raw[error.start : error.start + 4].hex(" "), self.charset))
            return piece

    def _tag(self, head: Element, offset: int) -> str:
        """The tag of a segment; told when it has components (explicit nesting, ISO 9735 §9.2)."""
        if len(head) > 1:
            self.note(Finding("edifact.nesting", Place(tag=head[0], offset=offset), found=":".join(head)))
        return head[0]

    def stray(self, tag: str, offset: int) -> None:
        if not self.astray:
            self.astray = True
            place = Place(segment=self.number, tag=tag[:3], offset=offset)
            self.note(Finding("edifact.outside_message", place, found=printable(tag[:16])))

    def _exceeds(self, piece: str, offset: int) -> bool:
        """True, and `excess` is set, when the segment is past a limit."""
        limits, separators = self.limits, self.separators
        if len(piece) > limits.segment:
            self.excess = limit("segment", limits.segment, offset)
        elif len(piece) > limits.element or piece.count(separators.component) >= limits.components:
            for element in cutter(separators)(piece):
                for one in (element, *element.more) if isinstance(element, Repeats) else (element,):
                    if len(one) > limits.components:
                        self.excess = limit("components", limits.components, offset)
                    elif len(max(one, key=len)) > limits.element:
                        self.excess = limit("element", limits.element, offset)
                    if self.excess:
                        return True
        return self.excess is not None

    def _more(self, done: int) -> bool:
        """Go behind `done` and read on. False when the data ends or is past a limit."""
        source, limits, separators = self.source, self.limits, self.separators
        if done > self.bound:
            self.excess = limit("interchange", limits.interchange, done)
            return False
        # White space alone may go on for ever between two segments.
        rest = source.text[done - source.base :].lstrip(BLANK)
        source.skip(len(source.text) - len(rest))
        if len(rest) > limits.segment:
            self.excess = limit("segment", limits.segment, source.base)
        elif source.fill():
            return True
        elif rest:
            if separators.release and odd_release(rest, separators.release):
                self.note(Finding("edifact.release_at_end", Place(offset=source.base + len(rest))))
            self.note(Finding("edifact.cut", Place(offset=source.base), source.shown(), separators.terminator))
            source.skip(len(rest))
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
