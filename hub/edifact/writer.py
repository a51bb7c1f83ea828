"""Writing: segments -> message text -> interchange bytes, with the receiver's service characters and
character set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache

from hub.edifact.directory import MessageSpec, Node
from hub.edifact.model import Element, Envelope, Group, Repeats, Segment, Separators
from hub.edifact.reader import fits
from hub.errors import EportError

_STANDARD = Separators()


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
            _una(separators) if una or separators != Separators() else "",
            write_segment("UNB", elements, separators),
            *messages,
            write_segment("UNZ", [[str(len(messages))], [envelope.reference]], separators),
        )
    )
    try:
        return text.encode(codec)
    except UnicodeEncodeError as error:
        raise EncodingLost(text[error.start : error.end], codec) from error


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
