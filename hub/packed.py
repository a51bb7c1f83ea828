"""Gzip, where an agreement has it: bounded before a byte too many is made."""

from __future__ import annotations

import zlib

from hub.finding import Finding, Place

_GZIP = 31  # zlib's word for: a gzip header, the largest window
_RATIO = 100
_SMALL = 1_000_000
"""Up to so many bytes any ratio is an honest one; above, what packs better than 1:100 is a bomb (reliability T3)."""


def unpacked(data: bytes, most: int) -> bytes | Finding:
    """What `data` holds, at most `most` bytes of it, or what is wrong. Several members follow each other (RFC 1952)."""
    bound = min(most, max(_SMALL, len(data) * _RATIO))
    parts: list[bytes] = []
    room, rest = bound, data
    while rest or not parts:
        machine = zlib.decompressobj(_GZIP)
        try:
            part = machine.decompress(rest, room + 1)
        except zlib.error as fault:
            return Finding("packed.not_gzip", Place(offset=len(data) - len(rest)), str(fault))
        parts.append(part)
        room -= len(part)
        if room < 0:
            return Finding("packed.too_large", Place(), str(len(data)), str(bound))
        if not machine.eof:
            return Finding("packed.truncated", Place(offset=len(data)), str(len(data)))
        rest = machine.unused_data
    return b"".join(parts)
