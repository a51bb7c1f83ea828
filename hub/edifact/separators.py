"""Service characters: what UNA (ISO 9735-1) decides about how text becomes values."""

from __future__ import annotations

from functools import lru_cache

from hub.edifact.model import Cut, Element, Repeats, Separators
from hub.finding import Finding, Place

BLANK = " \t\r\n\0"

NEVER = "\udfff"
"""Stands for a service character that there is not: no text holds it."""

# They stand for released characters; strict decoding never yields a lone surrogate.
_SENTINELS = "\ud800\ud801\ud802\ud803"


def advice(signs: str, offset: int) -> tuple[Separators, list[Finding]]:
    """UNA: component, element, decimal mark, release, repetition (space: none), terminator."""
    component, element, decimal, terminator = signs[0], signs[1], signs[2], signs[5]
    release, repetition = signs[3].replace(" ", ""), signs[4].replace(" ", "")
    within = [sign for sign in (component, element, release, repetition) if sign]
    used = [*within, terminator]
    odd = any(sign.isalnum() or not sign.isascii() for sign in (*used, decimal))
    if odd or len(set(used)) < len(used) or any(sign in BLANK for sign in within) or terminator in " \t\0":
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
    back = list(zip(_SENTINELS, signs, strict=False))

    def cut(text: str) -> list[Element]:
        if release in text or repetition in text:
            return special(text)
        return [raw.split(component) for raw in text.split(element)]

    def special(text: str) -> list[Element]:
        if release in text:
            for pair, sentinel in aside:
                text = text.replace(pair, sentinel)
            text = text.replace(release, "")
        return [
            raw.split(component) if repetition not in raw and raw.isascii() else odd(raw) for raw in text.split(element)
        ]

    def odd(raw: str) -> Element:
        first, *more = [[restored(value) for value in one.split(component)] for one in raw.split(repetition)]
        return _repeats(first, more) if more else first

    def restored(value: str) -> str:
        if not value.isascii():
            for sentinel, sign in back:
                value = value.replace(sentinel, sign)
        return value

    return cut


def _repeats(first: Element, more: list[Element]) -> Repeats:
    repeated = Repeats(first)
    repeated.more = more
    return repeated


def odd_release(piece: str, release: str) -> bool:
    """True when the character behind `piece` is released."""
    return (len(piece) - len(piece.rstrip(release))) % 2 == 1


def released(text: str, at: int, release: str) -> bool:
    """True when text[at] is released: an odd number of release characters stands before it."""
    start = at
    while start and text[start - 1] == release:
        start -= 1
    return (at - start) % 2 == 1


def segment_end(text: str, at: int, separators: Separators) -> int:
    """Where the first terminator from `at` on stands that is not released; -1 when there is none."""
    end = text.find(separators.terminator, at)
    while end > 0 and separators.release and released(text, end, separators.release):
        end = text.find(separators.terminator, end + 1)
    return end


def segments_end(text: str, at: int, end: int, separators: Separators) -> int:
    """Where the last terminator of text[at:end] stands that is not released; -1 when there is none."""
    last = text.rfind(separators.terminator, at, end)
    while last >= 0 and separators.release and released(text, last, separators.release):
        last = text.rfind(separators.terminator, at, last)
    return last


def printable(text: str) -> str:
    """ASCII only, the rest as escapes."""
    return text if text.isascii() else text.encode("ascii", "backslashreplace").decode("ascii")
