"""Streaming reader: bytes in chunks -> Envelope, RawMessage …, Trailer, for every interchange of a file.

Memory is bounded by the largest message. What is wrong is a Finding on the part it belongs to, never an exception.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hub.edifact.charsets import CHARSETS, fits
from hub.edifact.envelope import Interchange
from hub.edifact.header import find_header, foreign, late, skip_mark
from hub.edifact.limits import Limits
from hub.edifact.model import Envelope, RawMessage, Trailer
from hub.edifact.pieces import Piece, pieces
from hub.edifact.source import Source
from hub.finding import Finding, Place

__all__ = ["CHARSETS", "Limits", "Piece", "envelope", "fits", "pieces", "read"]


def read(
    chunks: Iterable[bytes], limits: Limits | None = None, charset: str | None = None
) -> Iterator[Envelope | RawMessage | Trailer]:
    """Every interchange of the data: one Envelope, its messages, one Trailer; repeated.

    `charset` is a Python codec agreed with the partner; it wins over UNB 0001 and 0133. Data without any UNB gives
    only a Trailer that says so. Past a limit, or at a package (UNO), a Trailer with the finding ends the reading.
    Never raises for what the data holds; LookupError when `charset` is not a codec.
    """
    if charset is not None:
        "".encode(charset)
    limits = limits or Limits()
    source = Source(chunks)
    unreadable = foreign(source)
    if unreadable:
        yield Trailer("", 0, 0, (unreadable,))
        return
    skip_mark(source)
    header, said = find_header(source, "", limits.interchange)
    if header is None:
        yield Trailer("", 0, source.offset, tuple(said) or (Finding("edifact.empty", Place(offset=0)),))
    while header:
        reading = Interchange(source, header, limits, charset, [*said, *header.findings])
        una = header.una
        for part in reading.parts():
            if isinstance(part, Trailer) and not reading.stopped:
                header, said = find_header(source, una, limits.interchange)
                behind, said = late(said, header is None)
                part = replace(part, findings=part.findings + behind) if behind else part
            yield part
        if reading.stopped:
            return


def envelope(data: bytes, charset: str | None = None) -> Envelope | None:
    """The first UNB of `data`, read no further; None when there is none. LookupError when `charset` is not a codec."""
    part = next(read([data], charset=charset), None)
    return part if isinstance(part, Envelope) else None
