"""Service characters and character sets: what UNA and UNB 0001 (ISO 9735-1) decide about how bytes become values."""

from __future__ import annotations

import re
from functools import lru_cache

from hub.edifact.model import Cut, Element, Repeats, Separators
from hub.finding import Finding, Place

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
    "UNOY": "utf-8",
}
"""Python codec of each syntax identifier (0001). UNOX (ISO 2022) shifts code tables with escapes: not readable."""

BLANK = " \t\r\n\0"
_SINGLE_BYTE_ASCII = re.compile(r"(ascii|us-?ascii|latin-?1|iso-?8859.*|utf-?8|cp125\d|windows-125\d)$", re.I)
# They stand for released characters; strict decoding never yields a lone surrogate.
NEVER = "\udfff"
"""Stands for a service character that there is not: no text holds it."""

_SENTINELS = "\ud800\ud801\ud802\ud803"


@lru_cache(maxsize=256)
def fits(separators: Separators, charset: str) -> bool:
    """False when a service character could be the second byte of a character of `charset` (GBK, Big5, …)."""
    if _SINGLE_BYTE_ASCII.match(charset):
        return True
    signs = separators.component + separators.element + separators.release + separators.terminator
    return all(sign < "0" or ":" <= sign < "@" for sign in signs + separators.repetition)


def advice(signs: str, offset: int) -> tuple[Separators, list[Finding]]:
    """UNA: component, element, decimal mark, release, repetition (space: none), terminator."""
    component, element, decimal, terminator = signs[0], signs[1], signs[2], signs[5]
    release, repetition = signs[3].strip(), signs[4].strip()
    used = [component, element, terminator] + [sign for sign in (release, repetition) if sign]
    bad = len(set(used)) < len(used) or any(sign.isalnum() or sign in " \0" or not sign.isascii() for sign in used)
    if bad or decimal.isalnum():
        place = Place(tag="UNA", offset=offset)
        return Separators(), [Finding("edifact.una_invalid", place, found=signs)]
    return Separators(component, element, decimal, release, repetition, terminator), []


@lru_cache(maxsize=64)
def cutter(separators: Separators) -> Cut:
    """A function that cuts text into elements.

    Released characters are set aside as sentinels, so that plain splitting stays right, and put back after it. A run
    of release characters pairs from its left end, as `str.replace` does.
    """
    component, element = separators.component, separators.element
    release, repetition = separators.release or NEVER, separators.repetition or NEVER
    signs = [sign for sign in (release, component, element, separators.repetition) if sign]
    aside = [(release + sign, sentinel) for sign, sentinel in zip(signs, _SENTINELS, strict=False)]
    back = {ord(sentinel): sign for sign, sentinel in zip(signs, _SENTINELS, strict=False)}

    def cut(text: str) -> list[Element]:
        if release in text or repetition in text:
            return special(text)
        return [raw.split(component) for raw in text.split(element)]

    def special(text: str) -> list[Element]:
        for pair, sentinel in aside:
            text = text.replace(pair, sentinel)
        text = text.replace(release, "")
        elements = [
            _repeats([one.split(component) for one in raw.split(repetition)])
            if repetition in raw
            else raw.split(component)
            for raw in text.split(element)
        ]
        if not text.isascii():
            for values in elements:
                for one in (values, *values.more) if isinstance(values, Repeats) else (values,):
                    one[:] = [value if value.isascii() else value.translate(back) for value in one]
        return elements

    return cut


def _repeats(occurrences: list[Element]) -> Repeats:
    first = Repeats(occurrences[0])
    first.more = occurrences[1:]
    return first


def odd_release(piece: str, release: str) -> bool:
    """True when the character behind `piece` is released."""
    return (len(piece) - len(piece.rstrip(release))) % 2 == 1


def segment_length(text: str, separators: Separators) -> int:
    """Where the first terminator that is not released stands."""
    at = text.find(separators.terminator)
    while at > 0 and separators.release and odd_release(text[:at], separators.release):
        at = text.find(separators.terminator, at + 1)
    return at


def printable(text: str) -> str:
    """ASCII only, the rest as escapes."""
    return text if text.isascii() else text.encode("ascii", "backslashreplace").decode("ascii")
