"""The way to the next UNB: what may stand before it, UNA, and by which service characters it is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache

from hub.edifact.limits import limit
from hub.edifact.model import Separators
from hub.edifact.separators import BLANK, advice
from hub.edifact.source import Source
from hub.finding import Finding, Place

BETWEEN = BLANK + "\x1a"
"""What is passed over between interchanges: blanks, line breaks, NUL, and ^Z that old systems write at the end."""

UNA_SIZE = 9
_AHEAD = 512
"""Bytes that are looked at to know a UNB."""

_FOREIGN = {
    "\0\0\xfe\xff": "UTF-32",
    "\xff\xfe\0\0": "UTF-32",
    "\0\0\0U": "UTF-32",
    "U\0\0\0": "UTF-32",
    "\xfe\xff": "UTF-16",
    "\xff\xfe": "UTF-16",
    "\0U\0N": "UTF-16",
    "U\0N\0": "UTF-16",
    "\xe4\xd5\xc1": "EBCDIC",
    "\xe4\xd5\xc2": "EBCDIC",
    "\x1f\x8b": "gzip",
    "PK\x03\x04": "zip",
}
"""How a file begins that holds no interchange as it is: in more than one byte for a letter, in EBCDIC, or packed."""

_BEGINS_FOREIGN = re.compile("|".join(map(re.escape, _FOREIGN)))
STANDARD = Separators()

NOT_ONE = "edifact.no_interchange"
NO_UNB = "edifact.unb_missing"
_JUNK = {"UNA": "edifact.una_invalid", "UIB": "edifact.interactive"}
_WITHOUT_UNB = re.compile(r"UN[GHTEZ][^A-Za-z0-9]")


@dataclass(slots=True)
class Header:
    """Where an interchange begins. The source stands at its UNB.

    start       offset of UNA, or of UNB where none stands before it
    una         the nine characters it is read by, "" for the standard ones
    separators  what they say
    findings    what is wrong with UNA
    """

    start: int
    una: str
    separators: Separators
    findings: list[Finding] = field(default_factory=list)


def foreign(source: Source) -> Finding | None:
    """Told of a file that is written in a way no interchange can be read in."""
    source.reach(4)
    match = _BEGINS_FOREIGN.match(source.text)
    return Finding("edifact.encoding", Place(offset=0), found=_FOREIGN[match.group()]) if match else None


def skip_mark(source: Source) -> None:
    """Go behind the byte order mark of UTF-8."""
    source.reach(3)
    if source.text.startswith("\xef\xbb\xbf"):
        source.at = 3


def find_header(source: Source, una: str, bound: int) -> tuple[Header | None, list[Finding]]:
    """The next header, if there is one, and what else stood before it.

    `una`: that of the interchange before. Not more than `bound` bytes are passed over.
    """
    said: list[Finding] = []
    start = source.offset
    known = {"+", una[4]} if una else {"+"}
    here, anywhere = _patterns("".join(sorted(known)))
    junk = False
    while True:
        if not junk:
            _pass_blanks(source, said)
        source.reach(_AHEAD)
        text, at = source.text, source.at
        if at == len(text):
            return None, said
        if not junk:
            if text[at] in BETWEEN:
                continue
            if here.match(text, at):
                return _header(source, una), said
            junk = True
            said.append(_junk(source))
        match = anywhere.search(text, at)
        if match:
            source.at = match.start()
            return _header(source, una), said
        # The last bytes are kept: a header may begin there.
        source.at = max(at, len(text) - 64)
        if source.offset - start > bound:
            said.append(limit("interchange", bound, source.offset))
            source.at = len(text)
            return None, said
        if not source.fill():
            source.at = len(source.text)
            return None, said


def late(said: list[Finding], last: bool) -> tuple[tuple[Finding, ...], list[Finding]]:
    """What stands behind an interchange: told of it, and told of the next one; `last`: there is none."""
    behind = tuple(
        replace(finding, code="edifact.data_after_unz", place=Place(offset=finding.place.offset))
        if finding.code in (NOT_ONE, NO_UNB)
        else finding
        for finding in said
        if last or finding.code != "edifact.nul"
    )
    return behind, [] if last else [finding for finding in said if finding.code == "edifact.nul"]


def begins(source: Source, separators: Separators) -> bool:
    """True when the source stands at a UNA or UNB that opens an interchange."""
    source.reach(_AHEAD)
    return bool(_patterns(separators.element)[0].match(source.text, source.at))


def _pass_blanks(source: Source, said: list[Finding]) -> None:
    """Go behind what may stand between interchanges; NUL is told, once."""
    start = source.offset
    blank = source.pass_over(BETWEEN)
    if "\0" in blank and not any(finding.code == "edifact.nul" for finding in said):
        said.append(Finding("edifact.nul", Place(offset=start + blank.index("\0"))))


def _junk(source: Source) -> Finding:
    """What stands here is neither blank nor an interchange."""
    missing = _unb_missing(source.text, source.at)
    if missing is not None:
        found = source.text[missing : missing + 32].encode("latin-1").decode("ascii", "backslashreplace")
        return Finding(NO_UNB, Place(tag="UNB", offset=source.base + missing), found, "UNB")
    code = _JUNK.get(source.text[source.at : source.at + 3], NOT_ONE)
    return Finding(code, Place(offset=source.offset), found=source.shown(), expected="UNA, UNB")


def _unb_missing(text: str, at: int) -> int | None:
    """Where UNB should stand: before another service segment, or behind a UNA that can be used. None: elsewhere."""
    if _WITHOUT_UNB.match(text, at):
        return at
    signs = text[at + 3 : at + UNA_SIZE]
    if not text.startswith("UNA", at) or len(signs) < UNA_SIZE - 3 or advice(signs, at)[1]:
        return None
    behind = at + UNA_SIZE
    while text[behind : behind + 1] in tuple(BLANK):
        behind += 1
    follows = text[behind : behind + 4]
    tagged = follows[:3].isalnum() and follows[:3] != "UNB" and follows[3:] == signs[1]
    return behind if tagged or not follows else None


def _header(source: Source, inherited: str) -> Header:
    """What the UNA or UNB at which the source stands says."""
    text, at = source.text, source.at
    start = source.offset
    if text.startswith("UNA", at):
        una = text[at : at + UNA_SIZE]
        separators, findings = advice(una[3:], start)
        source.at += UNA_SIZE
        source.pass_over()
        sign = source.text[source.at + 3 : source.at + 4]
        if not findings and sign != separators.element:
            findings.append(Finding("edifact.una_differs", Place(tag="UNB", offset=source.offset), sign, una[4]))
            if sign == STANDARD.element:
                separators = STANDARD
        return Header(start, "" if findings else una, separators, findings)
    if inherited and _reads(source, inherited):
        return Header(start, inherited, advice(inherited[3:], start)[0])
    return Header(start, "", STANDARD)


def _reads(source: Source, una: str) -> bool:
    """True when the UNB here can have been written with `una`: some write UNA before the first interchange only."""
    component, element, terminator = una[3], una[4], una[8]
    head = source.text[source.at : source.at + _AHEAD]
    if head[3:4] != element or element != STANDARD.element:
        return head[3:4] == element
    if head[4:8].isalnum() and head[8:9] not in (component, element):
        return False
    end = re.search(rf"[{re.escape(terminator)}'][ \t\r\n]*UN[A-Z]", head[4:])
    return end is None or end.group()[0] == terminator


@lru_cache(maxsize=64)
def _patterns(elements: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A header at this very place, and one anywhere; `elements`: what may separate elements where UNA is absent."""
    signs = "".join(re.escape(sign) for sign in elements)
    advised = r"UNA(?s:.{6})[ \t\r\n]{0,40}UNB"
    plain = rf"UNB[{signs}]"
    return (
        re.compile(rf"{advised}|{plain}"),
        re.compile(rf"{advised}|{plain}[A-Za-z]{{4}}[^A-Za-z0-9]"),
    )
