"""APERAK (D.96B): what is wrong by content with messages whose syntax is right, made from findings.

Each such message has an APERAK of its own, in one interchange. 9321 has no code list: it carries the beginning of the
finding's name, the whole of it begins the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from textwrap import wrap

from hub.catalogue import contrl_code, describe
from hub.edifact.contrl import ANSWERS
from hub.edifact.model import Element, Envelope, RawMessage
from hub.edifact.writer import answering, carried, leveled, write_interchange, write_message
from hub.finding import Finding, Place

Line = tuple[str, list[Element]]

_MOST = 999
"""Faults that are told of one message."""

_LINES, _WIDTH = 5, 70
"""C108: five times an..70."""

_MUTUAL = "ZZZ"
_ORIGINAL, _REJECTED = "9", "RE"
_PREPARED, _MINUTES = "137", "203"
_PREVIOUS_MESSAGE, _DOCUMENT, _FILE_LINE = "ACW", "DM", "FI"
_ERROR_TEXT = "AAO"


def aperak(
    envelope: Envelope,
    judged: Sequence[tuple[RawMessage, Sequence[Finding]]],
    *,
    reference: str,
    message_reference: str,
    now: datetime,
    lang: str = "en",
) -> bytes | None:
    """The interchange that tells the sender of `envelope` what is wrong by content, or None where nothing is.

    Of `judged`, the messages speak that have errors and none with a code of syntax (0085), except answers. None also
    where the parties of `envelope` cannot be repeated. With several, the messages are numbered behind
    `message_reference`. Chinese (`lang` zh) is written where the sender's character set has it, else English.
    """
    rejected = [(m, _by_content(found)) for m, found in judged if m.type not in ANSWERS]
    rejected = [(message, errors) for message, errors in rejected if errors]
    answer = answering(envelope, reference)
    if not rejected or not (answer.sender and answer.recipient):
        return None
    bodies = []
    for number, (message, errors) in enumerate(rejected, 1):
        own = message_reference if len(rejected) == 1 else f"{message_reference[:8]}{number:06d}"
        lines = list(_lines(message, errors, answer, own, now, lang))
        bodies.append(write_message(own, "APERAK", "D", "96B", "UN", "", lines, answer.separators))
    return write_interchange(leveled(answer, bodies), bodies, now)


def _by_content(findings: Sequence[Finding]) -> list[Finding]:
    """The errors of a message that is wrong by content alone."""
    errors = [finding for finding in findings if finding.severity == "error"]
    return [] if any(contrl_code(error) for error in errors) else errors


def _lines(
    message: RawMessage, errors: list[Finding], answer: Envelope, own: str, now: datetime, lang: str
) -> Iterator[Line]:
    yield "BGM", [[""], [own], [_ORIGINAL], [_REJECTED]]
    yield "DTM", [[_PREPARED, now.strftime("%Y%m%d%H%M"), _MINUTES]]
    for qualifier, value in ((_PREVIOUS_MESSAGE, message.reference), (_DOCUMENT, _document(message))):
        text = carried(value, 35, answer)
        if text:
            yield "RFF", [[qualifier, text]]
    for error in errors[:_MOST]:
        yield "ERC", [[carried(error.code.rpartition(".")[2].upper(), 8, answer), "", _MUTUAL]]
        yield "FTX", [[_ERROR_TEXT], [""], [""], _text(error, answer, lang)]
        where = carried(_where(error.place), 35, answer)
        if where:
            yield "RFF", [[_FILE_LINE, where]]


def _document(message: RawMessage) -> str:
    """1004 of the message, simple or the first component of C106."""
    return next((segment.get(2) for segment in message.segments if segment.tag == "BGM"), "")


def _where(place: Place) -> str:
    """Segment, element and component, as short as 1154 needs it: `NAD(7) 4.1`."""
    if not place.tag:
        return ""
    segment = f"{place.tag}({place.segment})" if place.segment else place.tag
    element = f" {place.element}" if place.element else ""
    return segment + element + (f".{place.component}" if element and place.component else "")


def _text(error: Finding, answer: Envelope, lang: str) -> Element:
    """The finding, its sentence and what to do, in lines of C108."""
    for speak in dict.fromkeys((lang, "en")):
        what, remedy = describe(error, speak)
        said = " ".join(f"{error.code}: {what}. {remedy}".split())
        if carried(said, len(said), answer) == said:
            break
    else:
        said = said.encode("ascii", "backslashreplace").decode("ascii")
    return [carried(line, _WIDTH, answer) for line in wrap(said, _WIDTH)[:_LINES]]
