"""Character sets: which codec UNB 0001 and 0133 ask for, and what each level lets stand in an interchange."""

from __future__ import annotations

import re
from functools import lru_cache

from hub.edifact.model import Separators

CHARSETS = {
    "UNOA": "ascii",
    "UNOB": "ascii",
    "UNOC": "latin-1",
    "UNOD": "iso8859-2",
    "UNOE": "iso8859-5",
    "UNOF": "iso8859-7",
    "UNOG": "iso8859-3",
    "UNOH": "iso8859-4",
    "UNOI": "iso8859-6",
    "UNOJ": "iso8859-8",
    "UNOK": "iso8859-9",
    "UNOL": "iso8859-15",
    "UNOW": "utf-8",
    "UNOX": "ascii",
    "UNOY": "utf-8",
}
"""Python codec of each syntax identifier (0001). UNOX is read as far as it does not shift (ISO 2022 escapes)."""

ENCODINGS = {"1": "ascii", "2": "", "4": "cp850", "7": "utf-8", "ZZZ": ""}
"""Codec of each character encoding (0133, syntax version 4); "" leaves it to 0001. Not readable: EBCDIC (3), UCS-2 (5),
UCS-4 (6), UTF-16 (8)."""

_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,-()/='+:?!\"%&*;<>"
_ASCII = "".join(map(chr, range(32, 127)))
REPERTOIRE = {"UNOA": _UPPER, "UNOB": _UPPER + "abcdefghijklmnopqrstuvwxyz"}
"""The signs of levels A and B (ISO 9735-1 annex A); every other level has all of ASCII that can be printed."""

_SINGLE_BYTE_ASCII = re.compile(r"(ascii|us-?ascii|latin-?1|iso-?8859.*|utf-?8|cp850|cp125\d|windows-125\d)$", re.I)


def codec(syntax: str, encoding: str) -> str | None:
    """The codec for 0001 and 0133 ("" when not given); None when there is none."""
    if encoding and encoding not in ENCODINGS:
        return None
    return ENCODINGS.get(encoding, "") or CHARSETS.get(syntax)


@lru_cache(maxsize=256)
def fits(separators: Separators, charset: str) -> bool:
    """False when a service character could be the second byte of a character of `charset` (GBK, Big5, …)."""
    if _SINGLE_BYTE_ASCII.match(charset):
        return True
    signs = separators.component + separators.element + separators.release + separators.terminator
    return all(sign < "0" or ":" <= sign < "@" for sign in signs + separators.repetition)


@lru_cache(maxsize=64)
def usual(level: str, separators: Separators) -> bytes:
    """The bytes that need no second look at this level ("": by agreement)."""
    signs = separators.component + separators.element + separators.release + separators.repetition
    return (REPERTOIRE.get(level, _ASCII) + signs + separators.terminator).encode("latin-1")
