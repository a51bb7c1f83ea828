"""CONTRL: the answer to an interchange, made from findings (ISO 9735-4; D:3 up to syntax version 3, 4:1 in version 4).

It speaks of syntax only: of findings that have a code of element 0085. What is wrong by content is told by APERAK.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

from hub.catalogue import contrl_code
from hub.edifact.model import Element, Envelope, FunctionalGroup, RawMessage
from hub.edifact.report import FORM_3, FORM_4
from hub.edifact.structure import CODES as STRUCTURAL
from hub.edifact.writer import answering, carried, leveled, write_interchange, write_message
from hub.finding import Finding

ANSWERS = frozenset(("CONTRL", "APERAK"))
"""Types that are answers themselves: one to them could go on for ever."""

REJECTED, ACKNOWLEDGED, RECEIVED = "4", "7", "8"
_MOST_UCS, _MOST_UCD = 999, 99
_MOST_LINES = 100_000
"""UCS and UCD of one answer: UNT counts with six digits. Beyond them messages are rejected by UCM alone."""

_LAST_SEGMENT = 999_999
"""0096 has six digits."""

Line = tuple[str, list[Element]]
Groups = Sequence[tuple[FunctionalGroup, Sequence[Finding]]]
_Told = tuple[RawMessage, list[Finding]]
_Group = tuple[list[Finding], list[_Told]]


def contrl(
    envelope: Envelope,
    judged: Sequence[tuple[RawMessage, Sequence[Finding]]],
    envelope_findings: Sequence[Finding],
    *,
    groups: Groups = (),
    reference: str,
    message_reference: str,
    now: datetime,
    accepted: bool = False,
) -> bytes | None:
    """The interchange that answers `envelope`, or None where none may be sent.

    None: to nothing but CONTRL and APERAK, or to a UNB whose reference or parties lack or cannot be repeated (tell a
    person). `judged` has for each message all that was found, `groups` the same for each UNG and UNE. UCI is 4
    (rejected) when `envelope_findings` hold an error, 8 (received) when nothing was judged, else 7, with UCM 4 for
    each rejected message and, when `accepted`, UCM 7 for the others; below a UCF when they came in groups. `now` is
    written as it stands. Of the other side's references is repeated what the tables have room for.
    """
    asked = [(message, _errors(findings)) for message, findings in judged if message.type not in ANSWERS]
    if judged and not asked:
        return None
    told = _Answer(answering(envelope, reference), accepted)
    identity = told.identity(envelope)
    if identity is None:
        return None
    lines = told.interchange(identity, _by_group(asked, groups), _errors(envelope_findings))
    form, answer = told.form, told.envelope
    separators = answer.separators
    body = write_message(message_reference, "CONTRL", form.version, form.release, "UN", "", lines, separators)
    return write_interchange(leveled(answer, [body]), [body], now)


def _errors(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "error" and contrl_code(finding)]


def _by_group(judged: Sequence[_Told], groups: Groups) -> dict[FunctionalGroup | None, _Group]:
    """What is wrong with UNG and UNE of each group, and its messages; None: those that came in none."""
    found: dict[FunctionalGroup | None, _Group] = {None: ([], [])}
    for group, findings in groups:
        found[group] = (_errors(findings), [])
    for message, errors in judged:
        found.setdefault(message.group, ([], []))[1].append((message, errors))
    return found


class _Answer:
    """The lines of one CONTRL. `unnamed`: what is wrong with messages and groups that lack what would name them;
    `taken`: some message is not rejected."""

    def __init__(self, envelope: Envelope, accepted: bool) -> None:
        self.envelope = envelope
        self.accepted = accepted
        self.form = FORM_4 if envelope.version == "4" else FORM_3
        self.room = _MOST_LINES
        self.unnamed: list[Finding] = []
        self.taken = False

    def interchange(
        self, identity: list[Element], groups: dict[FunctionalGroup | None, _Group], wrong: list[Finding]
    ) -> list[Line]:
        """UCI and what stands below it."""
        level = self.form.uci
        if wrong:
            return [("UCI", [*identity, [REJECTED], *self.form.detail(self.form.chosen(wrong, level), level)])]
        lines: list[Line] = []
        for group, (errors, judged) in groups.items():
            lines += self.group(group, errors, judged) if group else self.messages(judged)
        full = len(groups) > 1 or any(judged for _, judged in groups.values())
        action = ACKNOWLEDGED if full else RECEIVED
        if self.unnamed and not lines and not self.taken:
            action = REJECTED
        # What cannot be named is told one level up, and what came beside it is not refused for that.
        return [("UCI", [*identity, [action], *self.form.detail(self.form.chosen(self.unnamed, level), level)]), *lines]

    def group(self, group: FunctionalGroup, wrong: list[Finding], judged: list[_Told]) -> list[Line]:
        """UCF, and the messages below it when the group itself is not rejected."""
        named, level = self.named_group(group), self.form.ucf
        if named is None:
            self.unnamed += wrong or [error for _, errors in judged for error in errors]
            self.taken |= not wrong and not all(errors for _, errors in judged)
            return []
        if wrong:
            return [("UCF", [*named, [REJECTED], *self.form.detail(self.form.chosen(wrong, level), level)])]
        lines = self.messages(judged)
        return [("UCF", [*named, [ACKNOWLEDGED]]), *lines] if lines or self.accepted else []

    def messages(self, judged: list[_Told]) -> list[Line]:
        """UCM with what stands below it for each message that is rejected, or that is to be told as accepted."""
        lines: list[Line] = []
        for message, errors in judged:
            named = self.named_message(message)
            self.taken |= not errors
            if named is None:
                self.unnamed += errors
            elif errors:
                lines += self.message(named, errors)
            elif self.accepted:
                lines.append(("UCM", [*named, [ACKNOWLEDGED]]))
        return lines

    def message(self, named: list[Element], errors: list[Finding]) -> Iterator[Line]:
        """UCM, which has room for one fault of UNH and UNT, and the others by segment."""
        level = self.form.ucm
        told = self.form.chosen([error for error in errors if _of_the_message(error)], level)
        yield "UCM", [*named, [REJECTED], *self.form.detail(told, level)]
        by_segment: dict[int, list[Finding]] = {}
        for error in errors:
            number = error.place.segment
            if number and number <= _LAST_SEGMENT and error is not told:
                by_segment.setdefault(number, []).append(error)
        segments = 0
        for line in (line for number in sorted(by_segment) for line in self.segment(number, by_segment[number])):
            segments += line[0] == "UCS"
            if segments > _MOST_UCS or not self.room:
                return
            self.room -= 1
            yield line

    def segment(self, number: int, errors: list[Finding]) -> Iterator[Line]:
        """Each fault of the whole segment has its UCS; those of elements follow the last of them."""
        form = self.form
        parts = [(e, where) for e in errors if e.code not in STRUCTURAL and (where := form.where(e.place))]
        whole = [e for e in errors if e.code in STRUCTURAL or not form.where(e.place)]
        for error in whole:
            yield "UCS", [[str(number)], [form.code(error, form.ucs)]]
        if not whole:
            yield "UCS", [[str(number)]]
        told = {(form.code(error, form.ucd), *where): where for error, where in parts}  # a place and code once
        for (code, *_), where in islice(told.items(), _MOST_UCD):
            yield "UCD", [[code], where]

    def identity(self, asked: Envelope) -> list[Element] | None:
        """0020, S002 and S003 of the interchange that is answered; None where it cannot be named."""
        reference, answer = self.repeat(asked.reference, 14), self.envelope
        sender, recipient = [answer.recipient, answer.recipient_qualifier], [answer.sender, answer.sender_qualifier]
        return [[reference], sender, recipient] if reference and sender[0] and recipient[0] else None

    def named_group(self, group: FunctionalGroup) -> list[Element] | None:
        """0048, S006 and S007, the parties conditional in version 4; None where the group cannot be named."""
        reference = self.repeat(group.reference, 14)
        sender = self.party(group.sender, group.sender_qualifier)
        recipient = self.party(group.recipient, group.recipient_qualifier)
        if not reference or (self.form is FORM_3 and not (sender[0] and recipient[0])):
            return None
        return [[reference], sender if sender[0] else [], recipient if recipient[0] else []]

    def named_message(self, message: RawMessage) -> list[Element] | None:
        """0062 and S009, both conditional in version 4; None where the message cannot be named."""
        reference = self.repeat(message.reference, 14)
        identifier = [
            self.repeat(message.type, 6),
            self.repeat(message.version, 3),
            self.repeat(message.release, 3),
            self.repeat(message.agency, self.form.agency),
        ]
        if self.form is FORM_3 and not (reference and all(identifier)):
            return None
        return [[reference], [*identifier, self.repeat(message.association, 6)] if all(identifier) else []]

    def party(self, id: str, qualifier: str) -> Element:
        return [self.repeat(id, 35), self.repeat(qualifier, 4)]

    def repeat(self, value: str, longest: int) -> str:
        return carried(value, longest, self.envelope)


def _of_the_message(error: Finding) -> bool:
    """True for what is wrong with UNH or UNT, or with the message as a whole."""
    return error.code not in STRUCTURAL and (error.place.tag in ("UNH", "UNT") or not error.place.segment)
