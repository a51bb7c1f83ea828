"""How one finding is told in a CONTRL: its code (0085), its service segment (0013, 0135) and its place (S011).

Which codes there are, and at which level of the message, depends on the version of CONTRL (ISO 9735-4; D:3 goes with
syntax versions 1 to 3, 4:1 with version 4). What has no code at its level is told as 18, unspecified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hub.catalogue import contrl_code
from hub.edifact.model import Element
from hub.finding import Finding, Place

UNSPECIFIED = "18"
_LAST_0098, _LAST_0136 = 999, 999_999


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Form:
    """One version of CONTRL.

    version, release  its own 0052 and 0054
    agency            the length of 0051
    uci … ucd         the codes of each level
    tags              service segments that a fault of UCI, UCF and UCM may be told of
    instead           codes of the other version that have another word here
    """

    version: str
    release: str
    agency: int
    uci: frozenset[str]
    ucf: frozenset[str]
    ucm: frozenset[str]
    ucs: frozenset[str]
    ucd: frozenset[str]
    tags: frozenset[str]
    instead: dict[str, str]

    def code(self, finding: Finding, level: frozenset[str]) -> str:
        """0085 of the finding at a level."""
        code = contrl_code(finding) or UNSPECIFIED
        code = self.instead.get(code, code)
        return code if code in level else UNSPECIFIED

    def chosen(self, findings: Sequence[Finding], level: frozenset[str]) -> Finding | None:
        """The one that is told where there is room for one: with a code of its own, and if it can be with one that
        could not be told of a segment or an element below."""
        below = self.ucs | self.ucd
        return min(
            findings,
            key=lambda one: (self.code(one, level) == UNSPECIFIED, self.code(one, below) != UNSPECIFIED),
            default=None,
        )

    def detail(self, finding: Finding | None, level: frozenset[str]) -> list[Element]:
        """0085, 0013 and S011 of UCI, UCF and UCM; [] for None."""
        if finding is None:
            return []
        tag = finding.place.tag if finding.place.tag in self.tags else ""
        where = self.where(finding.place) if tag else None
        return [[self.code(finding, level)], [tag or ""], *([where] if where else [])]

    def where(self, place: Place) -> Element | None:
        """S011: 0098 counts the tag as 1, 0104 and 0136 (version 4) count from 1. None without an element, and for
        numbers that S011 has no room for."""
        if not place.element or place.element >= _LAST_0098:
            return None
        component = str(place.component) if place.component and place.component <= _LAST_0098 else ""
        where = [str(place.element + 1), component]
        if self is FORM_4 and place.occurrence and place.occurrence <= _LAST_0136:
            where.append(str(place.occurrence))
        return where


FORM_3 = Form(
    "D",
    "3",
    2,
    uci=_codes("2 7 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 32 33"),
    ucf=_codes("12 13 14 15 16 17 18 21 22 23 25 26 27 28 29 30 31 32 33 37 39 40"),
    ucm=_codes("12 13 14 15 16 17 18 21 22 23 25 26 27 28 29 30 31 34 37 39 40"),
    ucs=_codes("12 13 14 15 16 18 21 22 27 34 35 36"),
    ucd=_codes("12 13 14 15 16 18 19 21 22 27 34 37 38 39 40"),
    tags=_codes("UNA UNB UNG UNE UNZ UNH UNT"),
    instead={"46": "21"},
)
FORM_4 = Form(
    "4",
    "1",
    3,
    uci=_codes("2 7 12 13 14 15 16 17 18 20 21 22 23 24 25 26 28 29 30 32 33 45 46 47 48"),
    ucf=_codes("7 12 13 14 15 16 17 18 21 22 23 25 26 28 29 30 32 33 37 39 40 45 47 48"),
    ucm=_codes("7 12 13 14 15 16 17 18 21 22 23 25 26 28 29 30 33 37 39 40 45 47 48"),
    ucs=_codes("12 13 14 15 16 18 21 22 35 36 45 48"),
    ucd=_codes("12 13 14 15 16 18 21 22 35 37 39 40 45 48"),
    tags=_codes("UNB UNG UNE UNZ UNH UNT UNO UNP"),
    instead={},
)
