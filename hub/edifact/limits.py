"""How much of an interchange is read at most, and how many findings are kept."""

from __future__ import annotations

from dataclasses import dataclass

from hub.finding import Finding, Place

KEEP = 1000
"""Findings kept of one message or one interchange: a hostile file could give one a byte."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is read. `interchange`, `segment` and `element` in bytes; `segments` counts one message,
    `messages` one interchange, and so many groups it may have too."""

    interchange: int = 50_000_000
    segment: int = 65536
    element: int = 4096
    components: int = 100
    segments: int = 200_000
    messages: int = 10_000


def limit(what: str, bound: int, offset: int) -> Finding:
    """The finding that ends the reading."""
    return Finding("edifact.limit", Place(offset=offset), expected=str(bound), args={"what": what})
