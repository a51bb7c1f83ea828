"""The second look at a segment: line breaks, control characters, signs outside the level, bytes to be decoded.

Nearly every window of text needs none: it holds nothing but the usual signs of its level (ISO 9735-1 annex A).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from hub.edifact.charsets import usual
from hub.edifact.model import Separators
from hub.edifact.separators import cutter, released
from hub.finding import Severity

_BREAK = re.compile("[\r\n]")
_BREAKS = ("\r", "\n")
_UNPRINTED = bytes(set(range(256)) - set(range(32, 127)))


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the text of a segment, and at which of its bytes."""

    code: str
    at: int
    found: str = ""
    expected: str = ""
    severity: Severity = "error"


class Careful:
    """How the text of one interchange is looked at. `level` is 0001 where its repertoire counts, else ""."""

    __slots__ = ("_trailing", "_usual", "charset", "cut", "level", "separators")

    def __init__(self, separators: Separators, charset: str, level: str, version: str) -> None:
        self.separators = separators
        self.charset = charset
        self.cut = cutter(separators)
        self.level = level
        self._usual = usual(level, separators)
        self._trailing = _trailing(separators) if version == "4" else ()

    def mark(self, window: str) -> str | None:
        """What ends each segment of this text, line break and all; None when one of them may need a second look."""
        terminator = self.separators.terminator
        odd = window.encode("latin-1").translate(None, self._usual)
        mark = _line_end(window, odd, self.separators) if odd else terminator
        if mark is None or window[0] <= " " or window[0] == terminator:
            return None
        if mark + " " in window or mark + mark[0] in window:
            return None
        return None if any(pair in window for pair in self._trailing) else mark

    def text(self, piece: str) -> str:
        """One segment in the interchange's character set; where that cannot be, one character for each byte."""
        if self.separators.terminator in _BREAKS:
            piece = piece.removesuffix("\r")
        if piece.isascii() or self.charset == "ascii":
            return piece
        try:
            return piece.encode("latin-1").decode(self.charset)
        except UnicodeDecodeError:
            return piece

    def faults(self, piece: str) -> Iterator[Fault]:
        """What is wrong with one segment, at most one of each kind: a hostile one could give one a byte."""
        if self.separators.terminator in _BREAKS:
            piece = piece.removesuffix("\r")
        if self._trailing:
            yield from self._trailing_faults(piece)
        raw = piece.encode("latin-1")
        odd = raw.translate(None, self._usual)
        if odd:
            try:
                text = raw.decode(self.charset)
            except UnicodeDecodeError as error:
                shown = raw[error.start : error.start + 4].hex(" ")
                yield Fault("edifact.undecodable", error.start, shown, self.charset)
                text = raw.decode("ascii", "replace")  # of it only what is ASCII is looked at
            yield from self._odd_faults(piece, text, odd)

    def _odd_faults(self, piece: str, text: str, odd: bytes) -> Iterator[Fault]:
        broken = _BREAK.search(piece) if b"\n" in odd or b"\r" in odd else None
        if broken:
            yield Fault("edifact.line_break", broken.start())
        control = _control(self.separators).search(text)
        if control:
            sign = control.group()
            at = piece.index(sign) if sign < "\x80" else len(text[: control.start()].encode(self.charset))
            yield Fault("edifact.nul" if sign == "\0" else "edifact.control", at, f"0x{ord(sign):02x}")
        strange = odd.translate(None, _UNPRINTED).decode("latin-1")
        if strange:
            yield Fault("edifact.repertoire", piece.index(strange[0]), strange[0], self.level, "warning")

    def _trailing_faults(self, piece: str) -> Iterator[Fault]:
        """The first separator with nothing behind it (ISO 9735-1 version 4, 0085 = 45)."""
        text = piece + self.separators.terminator
        found = [at for pair in self._trailing for at in _unreleased(text, pair, self.separators.release)]
        if found:
            yield Fault("edifact.trailing_separator", min(found), text[min(found)], severity="warning")


careful = lru_cache(maxsize=256)(Careful)
"""The one for these separators, character set, level and version."""


def _line_end(window: str, odd: bytes, separators: Separators) -> str | None:
    """Terminator and line break where each segment ends in the same and no break stands elsewhere."""
    if odd.strip(b"\r\n"):
        return None
    terminator, release = separators.terminator, separators.release
    if terminator == "\n":
        mark, breaks = "\r\n", 1
    else:
        kind = "\r\n" if len(set(odd)) == 2 else odd[:1].decode("latin-1")
        mark, breaks = terminator + kind, len(kind)
    ends = window.count(mark)
    if ends * breaks != len(odd):
        return None
    others = window.count(terminator) - ends
    if not release:
        return None if others else mark
    # The terminators without a break must all be released ones, and none with a break.
    pair = release + terminator
    if release + mark in window or release + pair in window or others != window.count(pair):
        return None
    return mark


@lru_cache(maxsize=64)
def _control(separators: Separators) -> re.Pattern[str]:
    service = separators.component + separators.element + separators.release + separators.repetition
    signs = {chr(code) for code in (*range(32), *range(127, 160))} - set(service + separators.terminator + "\r\n")
    return re.compile(f"[{re.escape(''.join(sorted(signs)))}]")


@lru_cache(maxsize=64)
def _trailing(separators: Separators) -> tuple[str, ...]:
    component, element, terminator = separators.component, separators.element, separators.terminator
    repetition = separators.repetition
    pairs = [component + element, component + terminator, element + terminator]
    if repetition:
        pairs += [component + repetition, repetition + element, repetition + terminator]
    return tuple(pairs)


def _unreleased(text: str, pair: str, release: str) -> Iterator[int]:
    """Where `pair` first stands unreleased."""
    at = text.find(pair)
    while at >= 0:
        if not (release and released(text, at, release)):
            yield at
            return
        at = text.find(pair, at + 1)
