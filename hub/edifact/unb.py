"""UNB: what it says, and what ISO 9735-1 has against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date

from hub.edifact.charsets import codec, fits
from hub.edifact.model import Envelope, Segment, Separators
from hub.edifact.separators import printable
from hub.finding import Finding, Place

Placed = Callable[[Segment, int | None, int | None], Place]

VERSIONS = ("1", "2", "3", "4")
_REPETITION = "*"
_MANDATORY = ((1, 1, "S001 0001"), (1, 2, "S001 0002"), (2, 1, "S002 0004"), (3, 1, "S003 0010"), (5, 1, "0020"))
_LONGEST = ((2, 1, 35), (2, 2, 4), (3, 1, 35), (3, 2, 4), (5, 1, 14))
"""(element, component, length) of what names an interchange: 0004, 0007, 0010, 0007, 0020."""
_ELEMENTS = 11
_CODES = ((9, "0031", ("", "1")), (11, "0035", ("", "1", "5")))
_CODES_4 = ((9, "0031", ("", "1", "2")), (11, "0035", ("", "1", "2", "3", "4", "5")))


def charset(segment: Segment, agreed: str | None) -> str | None:
    """The codec of the interchange: `agreed`, or what S001 asks for; None when that cannot be read."""
    return agreed or codec(segment.get(1).upper(), segment.get(1, 4) if segment.get(1, 2) == "4" else "")


def settled(advised: Separators, version: str) -> Separators:
    """The service characters for good: repetition is known from version 4 on, `*` where UNA names none.

    Below it the fifth character of UNA is reserved: partners set it and still use it as data.
    """
    if version != "4":
        return replace(advised, repetition="") if advised.repetition else advised
    used = (advised.component, advised.element, advised.release, advised.terminator)
    return advised if advised.repetition or _REPETITION in used else replace(advised, repetition=_REPETITION)


def opened(segment: Segment, codec: str, separators: Separators, findings: tuple[Finding, ...]) -> Envelope:
    """The envelope that this UNB opens."""
    version = segment.get(1, 2)
    return Envelope(
        syntax=segment.get(1).upper(),
        version=version,
        sender=segment.get(2, 1),
        sender_qualifier=segment.get(2, 2),
        recipient=segment.get(3, 1),
        recipient_qualifier=segment.get(3, 2),
        prepared=segment.get(4, 1) + segment.get(4, 2),
        reference=segment.get(5),
        application=segment.get(7),
        ack_requested=segment.get(9) == "1",
        receipt_requested=version == "4" and segment.get(9) == "2",
        test=segment.get(11) not in ("", "0"),
        charset=codec,
        separators=separators,
        offset=segment.offset,
        findings=findings,
    )


def faults(segment: Segment, agreed: str | None, separators: Separators, place: Placed) -> Iterator[Finding]:
    """What is wrong with it: character set, version, service characters, what is missing, date, codes."""
    syntax, version = segment.get(1).upper(), segment.get(1, 2)
    known = charset(segment, agreed)
    if known is None and syntax:
        encoded = 4 if codec(syntax, "") else 1
        found = printable(segment.get(1, encoded))
        yield Finding("edifact.charset_unsupported", place(segment, 1, encoded), found=found)
    if version and version not in VERSIONS:
        yield Finding("edifact.syntax_version", place(segment, 1, 2), found=printable(version), expected="1–4")
    if not fits(separators, known or "ascii"):
        yield Finding("edifact.separator_in_charset", place(segment, None, None), expected=known or "ascii")
    for element, component, name in _MANDATORY:
        if not segment.get(element, component):
            yield Finding("edifact.unb_incomplete", place(segment, element, component), expected=name)
    for element, component, most in _LONGEST:
        value = segment.get(element, component)
        if len(value) > most:
            spot, found = place(segment, element, component), printable(value[:80])
            yield Finding("edifact.element_too_long", spot, found, f"an..{most}")
    if len(segment.elements) > _ELEMENTS and any(map(any, segment.elements[_ELEMENTS:])):
        found = str(len(segment.elements))
        yield Finding("edifact.element_excess", place(segment, _ELEMENTS + 1, None), found, str(_ELEMENTS))
    day, time = segment.get(4, 1), segment.get(4, 2)
    if not (day or time):
        yield Finding("edifact.unb_incomplete", place(segment, 4, None), expected="S004")
    for component, value, right in ((1, day, real_date), (2, time, real_time)) if day or time else ():
        if not right(value):
            yield Finding("edifact.unb_date", place(segment, 4, component), found=printable(f"{day}:{time}"[:40]))
            break
    for element, name, codes in _CODES_4 if version == "4" else _CODES:
        value = segment.get(element)
        if value not in codes:
            found, expected = printable(value[:16]), ", ".join(codes[1:])
            yield Finding("edifact.unb_code", place(segment, element, 1), found, expected, args={"name": name})


def real_date(text: str) -> bool:
    """YYMMDD or CCYYMMDD, under any version; a day that there is. Of two digits of a year 00 is 2000."""
    if not (text.isascii() and text.isdecimal() and len(text) in (6, 8)):
        return False
    year, month, day = int(text[:-4]), int(text[-4:-2]), int(text[-2:])
    try:
        date(year if len(text) == 8 else 2000 + year, month, day)
    except ValueError:
        return False
    return True


def real_time(text: str) -> bool:
    """HHMM or HHMMSS."""
    if not (text.isascii() and text.isdecimal() and len(text) in (4, 6)):
        return False
    return text[:2] < "24" and all(text[at : at + 2] < "60" for at in range(2, len(text), 2))
