"""Writing: segments -> message text -> interchange bytes, with the receiver's service characters and
character set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from hub.edifact.charsets import REPERTOIRE, fits
from hub.edifact.directory import MessageSpec, Node
from hub.edifact.model import Element, Envelope, Group, Repeats, Segment, Separators
from hub.edifact.unb import settled
from hub.errors import EportError

_STANDARD = Separators()
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""C0, DEL and C1: no level lets them stand in an interchange, but for service characters."""

_BEFORE_4 = ("UNOA", "UNOB", "UNOC", "UNOD", "UNOE", "UNOF")


class EncodingLost(EportError):
    """The receiver's character set or service characters cannot carry `text`. Nothing is ever replaced
    silently.
    """

    def __init__(self, text: str, charset: str) -> None:
        super().__init__(f"{text!r} cannot be written in {charset}")
        self.text = text
        self.charset = charset


@lru_cache(maxsize=64)
def _released(separators: Separators) -> dict[int, str]:
    signs = (separators.component, separators.element, separators.release, separators.repetition, separators.terminator)
    return {ord(sign): separators.release + sign for sign in signs if sign}


def _value(value: str, separators: Separators) -> str:
    if value.isalnum():
        return value
    table = _released(separators)
    if not separators.release and any(ord(sign) in table for sign in value):
        raise EncodingLost(value, "an interchange without release character")
    return value.translate(table)


def _composite(element: Element, separators: Separators) -> str:
    text = separators.component.join([_value(value, separators) for value in element])
    if not element or element[-1]:
        return text
    last = max((at for at, value in enumerate(element, 1) if value), default=0)
    return separators.component.join([_value(value, separators) for value in element[:last]])


def write_segment(tag: str, elements: Sequence[Element], separators: Separators) -> str:
    """One segment with its terminator; empty components and elements at the end are left out.

    Raises EncodingLost when a value needs a release or repetition character that there is not.
    """
    texts = []
    for element in elements:
        text = _composite(element, separators)
        if isinstance(element, Repeats) and element.more:
            if not separators.repetition:
                raise EncodingLost(text, "a syntax version without repetition")
            more = [_composite(occurrence, separators) for occurrence in element.more]
            text = separators.repetition.join([text, *more])
        texts.append(text)
    while texts and not texts[-1]:
        texts.pop()
    return separators.element.join([tag, *texts]) + separators.terminator


def write_message(
    reference: str,
    type: str,
    version: str,
    release: str,
    agency: str,
    association: str,
    segments: Iterable[tuple[str, Sequence[Element]]],
    separators: Separators = _STANDARD,
) -> str:
    """UNH, the segments (which hold neither UNH nor UNT), UNT with the count of all of them. Raises
    EncodingLost.
    """
    head = write_segment("UNH", [[reference], [type, version, release, agency, association]], separators)
    body = [write_segment(tag, elements, separators) for tag, elements in segments]
    tail = write_segment("UNT", [[str(len(body) + 2)], [reference]], separators)
    return head + "".join(body) + tail


def write_interchange(
    envelope: Envelope,
    messages: Sequence[str],
    prepared: datetime,
    charset: str | None = None,
    una: bool = False,
) -> bytes:
    """UNB … UNZ around `messages`, which were written with `envelope.separators`.

    Of `envelope`, `prepared`, `offset` and `findings` are not used. `prepared` is written as it stands (its
    own zone),
    YYMMDD below syntax version 4, else CCYYMMDD. `charset` wins over `envelope.charset`. UNA is written
    when asked
    for and whenever the service characters are not the standard ones. Raises EncodingLost.
    """
    separators = envelope.separators
    codec = charset or envelope.charset
    if not fits(separators, codec):
        raise EncodingLost(_una(separators), codec)
    date = prepared.strftime("%Y%m%d" if envelope.version == "4" else "%y%m%d")
    elements: list[Element] = [
        [envelope.syntax, envelope.version],
        [envelope.sender, envelope.sender_qualifier],
        [envelope.recipient, envelope.recipient_qualifier],
        [date, prepared.strftime("%H%M")],
        [envelope.reference],
        [""],
        [envelope.application],
        [""],
        ["1" if envelope.ack_requested else ""],
        [""],
        ["1" if envelope.test else ""],
    ]
    text = "".join(
        (
            _una(separators) if una or separators != settled(_STANDARD, envelope.version) else "",
            write_segment("UNB", elements, separators),
            *messages,
            write_segment("UNZ", [[str(len(messages))], [envelope.reference]], separators),
        )
    )
    for sign in set(text).difference(_una(separators)):
        if _CONTROL.match(sign):
            raise EncodingLost(sign, codec)
    try:
        return text.encode(codec)
    except UnicodeEncodeError as error:
        raise EncodingLost(text[error.start : error.end], codec) from error


def answering(envelope: Envelope, reference: str) -> Envelope:
    """The envelope of what answers `envelope`: sender and recipient swapped, the other side's syntax and service
    characters, and no acknowledgement asked for.

    A syntax version that there is not is answered in version 3, unusable service characters by the standard ones, and
    of the ids is kept what UNB has room for: "" when nothing of one can be written, and then nothing may be sent.
    """
    version = envelope.version if envelope.version in ("1", "2", "3", "4") else "3"
    separators = envelope.separators if fits(envelope.separators, envelope.charset) else _STANDARD
    answer = replace(
        envelope,
        version=version,
        prepared="",
        reference=reference,
        application="",
        ack_requested=False,
        separators=settled(separators, version),
        offset=0,
        findings=(),
    )
    return replace(
        answer,
        sender=carried(envelope.recipient, 35, answer),
        sender_qualifier=carried(envelope.recipient_qualifier, 4, answer),
        recipient=carried(envelope.sender, 35, answer),
        recipient_qualifier=carried(envelope.sender_qualifier, 4, answer),
    )


def leveled(envelope: Envelope, messages: Sequence[str]) -> Envelope:
    """The envelope with the syntax identifier under which these messages may be written.

    Lower case cannot stand under UNOA, so UNOB is written where there is some; and below version 4 the standard knows
    UNOA to UNOF, so another identifier is kept only where plain text would not do.
    """
    parties = (envelope.sender, envelope.sender_qualifier, envelope.recipient, envelope.recipient_qualifier)
    signs = set("".join((*messages, *parties))).difference(_una(envelope.separators))
    known = envelope.version == "4" or envelope.syntax in _BEFORE_4
    if not all(map(str.isascii, signs)) or (known and envelope.syntax not in REPERTOIRE):
        return envelope
    levels = (envelope.syntax, "UNOB") if known else ("UNOB",)
    return replace(envelope, syntax=next((one for one in levels if signs.issubset(REPERTOIRE[one])), "UNOC"))


def carried(value: str, longest: int, envelope: Envelope) -> str:
    """The beginning of a value of somebody else's, as far as an element of `longest` characters can repeat it."""
    needing = "" if envelope.separators.release else _una(envelope.separators)[3:]
    for at, sign in enumerate(value[:longest]):
        if _CONTROL.match(sign) or (needing and sign in needing) or not _encodes(sign, envelope.charset):
            return value[:at]
    return value[:longest]


def _encodes(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _una(separators: Separators) -> str:
    return (
        f"UNA{separators.component}{separators.element}{separators.decimal}"
        f"{separators.release or ' '}{separators.repetition or ' '}{separators.terminator}"
    )


def order(group: Group, spec: MessageSpec) -> list[Segment]:
    """The segments of a tree in the order of the segment table (the tree may have been filled in any order).

    Where a level names one tag at several lines, the first line takes as many as it may, the next the others.
    KeyError when the tree holds a key that the table has not at that place.
    """
    return _ordered(group, spec.nodes, spec.type)


def _ordered(group: Group, nodes: tuple[Node, ...], name: str) -> list[Segment]:
    unknown = group.parts.keys() - {node.key for node in nodes}
    if unknown:
        raise KeyError(f"{', '.join(sorted(unknown))} not in {name}")
    lines: dict[str, int] = {}
    for node in nodes:
        lines[node.key] = lines.get(node.key, 0) + 1
    taken: dict[str, int] = {}
    ordered: list[Segment] = []
    for node in nodes:
        parts = group.parts.get(node.key, [])
        start = taken.get(node.key, 0)
        lines[node.key] -= 1
        stop = start + node.max if lines[node.key] else len(parts)
        taken[node.key] = min(stop, len(parts))
        for part in parts[start:stop]:
            if isinstance(part, Segment):
                ordered.append(part)
            else:
                ordered += _ordered(part, node.children, node.key)
    return ordered
