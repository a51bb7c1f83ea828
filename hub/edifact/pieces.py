"""A file cut into its interchanges, without reading what is in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from hub.edifact.header import UNA_SIZE, begins, find_header, foreign, late, skip_mark
from hub.edifact.model import Separators
from hub.edifact.separators import BLANK, released, segment_end
from hub.edifact.source import Source
from hub.finding import Finding

_SERVICE = re.compile("UN[ABOZ]")


@dataclass(frozen=True, slots=True)
class Piece:
    """One interchange of a file.

    data  UNA (its own, or the one it inherits) and UNB up to UNZ; where UNZ is missing up to the next UNA or UNB, or
          the end of the file; where it has packages (UNO), which nobody reads, up to the end of the file too
    base  what to add to a place in `data` for the place in the file
    said  what is no interchange and stands before the first or behind this one; places are those of the file
    """

    data: bytes
    base: int
    said: tuple[Finding, ...] = ()

    def place(self, finding: Finding) -> Finding:
        """`finding` of `data` with its place in the file."""
        offset = finding.place.offset
        if offset is None or not self.base:
            return finding
        return replace(finding, place=replace(finding.place, offset=offset + self.base))


def pieces(data: bytes, charset: str | None = None) -> list[Piece]:
    """Every interchange of `data` in order, [] when it holds none (`read` tells why): what `read` finds, one by one.

    Blanks, line breaks, NUL, ^Z and a byte order mark between them are passed over. Linear in the length of `data`.
    """
    source = Source([data], block=len(data) or 1)
    if foreign(source):
        return []
    skip_mark(source)
    header, before = find_header(source, "", len(data))
    found: list[Piece] = []
    while header is not None:
        inherited = header.una if header.start == source.offset else ""
        start, una = header.start, header.una
        end = _end(source, header.separators)
        source.at = end
        header, said = find_header(source, una, len(data))
        behind, said = late(said, header is None)
        piece = data[start:end] if start or end < len(data) else data
        if inherited:
            piece = inherited.encode("latin-1") + piece
        found.append(Piece(piece, start - (UNA_SIZE if inherited else 0), (*before, *behind)))
        before = said
    return found


def _end(source: Source, separators: Separators) -> int:
    """One behind the interchange at whose UNB the source stands."""
    text = source.text
    for match in _SERVICE.finditer(text, source.at + 3):
        at, tag = match.start(), match.group()
        if not _opens_segment(text, at, separators):
            continue
        if tag in ("UNA", "UNB"):
            source.at = at
            if begins(source, separators):
                return at
        elif text[at + 3 : at + 4] in (separators.element, separators.component, separators.terminator, ""):
            end = segment_end(text, at, separators) if tag == "UNZ" else -1
            return end + 1 or len(text)
    return len(text)


def _opens_segment(text: str, at: int, separators: Separators) -> bool:
    """True when nothing but blanks stands between text[at] and a terminator that is not released."""
    before = at - 1
    while text[before] != separators.terminator and text[before] in BLANK:
        before -= 1
    if text[before] != separators.terminator:
        return False
    return not (separators.release and released(text, before, separators.release))
