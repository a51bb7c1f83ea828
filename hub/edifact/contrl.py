"""CONTRL (syntax version 3, D:3): the answer to an interchange, made from findings. It speaks of syntax
only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from hub.catalogue import contrl_code
from hub.edifact.model import Element, Envelope, RawMessage, Separators
from hub.edifact.structure import CODES as STRUCTURAL
from hub.edifact.writer import write_interchange, write_message
from hub.finding import Finding, rejects

Line = tuple[str, list[Element]]

REJECTED, ACKNOWLEDGED, RECEIVED = "4", "7", "8"
_UNSPECIFIED = "18"
# Which 0085 codes may stand at which level of a version 3 CONTRL; any other is told as 18.
_UCI = frozenset(("2", "7", *map(str, range(12, 31)), "32", "33"))
_UCM = frozenset((*map(str, range(12, 19)), "21", "22", "23", *map(str, range(25, 32)), "34", "37", "39", "40"))
_UCS = frozenset(("12", "13", "14", "15", "16", "18", "21", "22", "27", "34", "35", "36"))
_UCD = frozenset(("12", "13", "14", "15", "16", "18", "19", "21", "22", "27", "34", "37", "38", "39", "40"))
_SERVICE_TAGS = frozenset(("UNA", "UNB", "UNG", "UNE", "UNZ", "UNH", "UNT"))
_MOST_UCS, _MOST_UCD = 999, 99


def contrl(
    envelope: Envelope,
    judged: Sequence[tuple[RawMessage, Sequence[Finding]]],
    envelope_findings: Sequence[Finding],
    *,
    reference: str,
    message_reference: str,
    now: datetime,
    accepted: bool = False,
) -> bytes | None:
    """The interchange that answers `envelope`, or None where none may be sent.

    None: an answer to CONTRL, or a UNB that lacks reference or parties (tell a person). `judged` has for
    each message
    all that was found. UCI is 4 (rejected) when `envelope_findings` hold an error, 8 (received) when
    nothing was
    judged, else 7, with UCM 4 for each rejected message and, when `accepted`, UCM 7 for the others.
    `now` is written as it stands. Raises hub.edifact.writer.EncodingLost when the parties' ids cannot be
    written.
    """
    if any(message.type == "CONTRL" for message, _ in judged):
        return None
    if not (envelope.reference and envelope.sender and envelope.recipient):
        return None
    segments = [_uci(envelope, envelope_findings, bool(judged))]
    if not rejects(tuple(envelope_findings)):
        for message, findings in judged:
            segments += _ucm(message, [f for f in findings if f.severity == "error"], accepted)
    ours = envelope.separators
    separators = Separators(ours.component, ours.element, ours.decimal, ours.release, "", ours.terminator)
    body = write_message(message_reference, "CONTRL", "D", "3", "UN", "", segments, separators)
    answer = replace(
        envelope,
        syntax=_syntax(envelope, body),
        version="3",
        sender=envelope.recipient,
        sender_qualifier=envelope.recipient_qualifier,
        recipient=envelope.sender,
        recipient_qualifier=envelope.sender_qualifier,
        reference=reference,
        application="",
        ack_requested=False,
        separators=separators,
    )
    return write_interchange(answer, [body], now)


def _syntax(envelope: Envelope, body: str) -> str:
    """Version 3 knows UNOA to UNOF; another one is kept only where plain ASCII would not do."""
    if envelope.syntax in ("UNOA", "UNOB", "UNOC", "UNOD", "UNOE", "UNOF"):
        return envelope.syntax
    parties = envelope.sender + envelope.recipient + envelope.sender_qualifier + envelope.recipient_qualifier
    return "UNOB" if (body + parties).isascii() else envelope.syntax


def _code(finding: Finding, allowed: frozenset[str]) -> str:
    code = contrl_code(finding)
    return code if code in allowed else _UNSPECIFIED


def _detail(finding: Finding, allowed: frozenset[str]) -> list[Element]:
    """0085, 0013, S011 for UCI and UCM."""
    place = finding.place
    tag = place.tag if place.tag in _SERVICE_TAGS else ""
    detail: list[Element] = [[_code(finding, allowed)], [tag]]
    if tag and place.element:
        detail.append(_position(finding))
    return detail


def _position(finding: Finding) -> Element:
    place = finding.place
    return [str(place.element), str(place.component)] if place.component else [str(place.element)]


def _uci(envelope: Envelope, findings: Sequence[Finding], judged: bool) -> Line:
    errors = [finding for finding in findings if finding.severity == "error"]
    elements: list[Element] = [
        [envelope.reference],
        [envelope.sender, envelope.sender_qualifier],
        [envelope.recipient, envelope.recipient_qualifier],
    ]
    if errors:
        # UCI has room for one error: one with a code of its own says more than 18.
        first = next((f for f in errors if _code(f, _UCI) != _UNSPECIFIED), errors[0])
        return "UCI", [*elements, [REJECTED], *_detail(first, _UCI)]
    return "UCI", [*elements, [ACKNOWLEDGED if judged else RECEIVED]]


def _ucm(message: RawMessage, errors: list[Finding], accepted: bool) -> Iterator[Line]:
    head: list[Element] = [
        [message.reference],
        [message.type, message.version, message.release, message.agency, message.association],
    ]
    if not errors:
        if accepted:
            yield "UCM", [*head, [ACKNOWLEDGED]]
        return
    # Faults of UNH and UNT belong to UCM, which has room for one; all others are told by segment.
    whole = [f for f in errors if f.code not in STRUCTURAL and (f.place.tag in ("UNH", "UNT") or not f.place.segment)]
    detail = _detail(whole[0], _UCM) if whole else []
    yield "UCM", [*head, [REJECTED], *detail]
    by_segment: dict[int, list[Finding]] = {}
    for finding in errors:
        if finding.place.segment and finding not in whole[:1]:
            by_segment.setdefault(finding.place.segment, []).append(finding)
    for number in sorted(by_segment)[:_MOST_UCS]:
        yield from _ucs(number, by_segment[number])


def _ucs(number: int, findings: list[Finding]) -> Iterator[Line]:
    """Each whole-segment fault has its UCS; the element faults follow the last of them."""
    whole = [finding for finding in findings if finding.code in STRUCTURAL or not finding.place.element]
    for finding in whole:
        yield "UCS", [[str(number)], [_code(finding, _UCS)]]
    parts = [finding for finding in findings if finding not in whole]
    if parts and not whole:
        yield "UCS", [[str(number)]]
    for finding in parts[:_MOST_UCD]:
        yield "UCD", [[_code(finding, _UCD)], _position(finding)]
