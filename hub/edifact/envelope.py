"""UNB … UNZ: what is open, what was counted, and what ISO 9735-1 has against it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hub.edifact.model import Envelope, RawMessage, Segment, Separators, Trailer
from hub.edifact.separators import CHARSETS, cutter, fits, printable, segment_length
from hub.edifact.tokenizer import Limits, Source, Tokenizer, limit
from hub.finding import Finding, Place

_IDENTIFIED = ((1, 1, "0062"), (2, 1, "0065"), (2, 2, "0052"), (2, 3, "0054"), (2, 4, "0051"))


class Interchange:
    """One interchange while it is read. `stopped`: past a limit, nothing behind it may be read."""

    def __init__(
        self, source: Source, separators: Separators, limits: Limits, charset: str | None, findings: list[Finding]
    ) -> None:
        self.source = source
        self.agreed = charset
        self.findings = findings
        self.tokens = Tokenizer(source, separators, limits, charset or "ascii", findings)
        self.note = self.tokens.note
        self.place = self.tokens.place
        self.envelope: Envelope | None = None
        self.group: Segment | None = None
        self.groups = 0
        self.messages = 0
        self.bare = 0
        self.in_group = 0
        self.references: set[tuple[str, str]] = set()
        self.group_references: set[str] = set()
        self.stopped = False
        self.ended = False

    def parts(self) -> Iterator[Envelope | RawMessage | Trailer]:
        """Read up to the end of this interchange. The source then stands behind UNZ, or at the UNB that cut it."""
        for segment, end in self.tokens.services():
            yield from self.service(segment, end)
            if self.ended:
                return
        excess = self.tokens.excess
        if excess:
            yield self.stop(excess, excess.place.offset or 0)
        else:
            yield from self.unclosed(self.source.base, "end")

    def service(self, segment: Segment, end: int) -> Iterator[Envelope | RawMessage | Trailer]:
        tag, tokens = segment.tag, self.tokens
        if tag == "UNT":
            if tokens.segments:
                yield self.message(segment, end)
            else:
                tokens.stray(tag, segment.offset)
        elif tag == "UNH":
            if tokens.segments:
                yield self.message(None, segment.offset)
            if self.messages < tokens.limits.messages:
                self.begin(segment)
            else:
                yield self.stop(limit("messages", tokens.limits.messages, segment.offset), segment.offset)
        elif tag == "UNB" and self.envelope is None:
            yield self.opening(segment)
        elif tag in ("UNA", "UNB"):
            self.source.skip(segment.offset - self.source.base)
            yield from self.unclosed(segment.offset, tag)
        elif tag == "UNO":
            yield self.stop(Finding("edifact.package", self.place(segment)), end)
        else:
            if tokens.segments:
                yield self.message(None, segment.offset)
            if tag == "UNG":
                self.group_begins(segment)
            elif tag == "UNE":
                self.group_ends(segment)
            else:
                self.source.skip(end - self.source.base)
                yield self.trailer(segment, end)

    def opening(self, segment: Segment) -> Envelope:
        """UNB. Its own non-ASCII text was read as ASCII at best: it is decoded once the character set is known."""
        tokens, findings = self.tokens, self.findings
        self.findings = tokens.found = []
        syntax, version = segment.get(1).upper(), segment.get(1, 2)
        known = CHARSETS.get(syntax)
        tokens.charset = self.agreed or known or "ascii"
        if known is None and self.agreed is None:
            findings.append(Finding("edifact.charset_unsupported", self.place(segment, 1, 1), found=printable(syntax)))
        if version not in ("1", "2", "3", "4"):
            findings.append(
                Finding("edifact.syntax_version", self.place(segment, 1, 2), found=printable(version), expected="1–4")
            )
        if version != "4" and tokens.separators.repetition:
            # Below version 4 the fifth character of UNA is reserved: partners set it and still use it as data.
            tokens.separators = replace(tokens.separators, repetition="")
        if not fits(tokens.separators, tokens.charset):
            findings.append(Finding("edifact.separator_in_charset", self.place(segment), expected=tokens.charset))
        raw = self.source.text[segment.offset - self.source.base :]
        raw = raw[: segment_length(raw, tokens.separators)]
        if not raw.isascii():
            findings[:] = [f for f in findings if f.code != "edifact.undecodable"]
            segment.elements = cutter(tokens.separators)(tokens.decoded(raw, segment.offset))[1:]
            findings += self.findings
            self.findings.clear()
        findings += self.unb_findings(segment)
        self.envelope = Envelope(
            syntax=syntax,
            version=version,
            sender=segment.get(2, 1),
            sender_qualifier=segment.get(2, 2),
            recipient=segment.get(3, 1),
            recipient_qualifier=segment.get(3, 2),
            prepared=segment.get(4, 1) + segment.get(4, 2),
            reference=segment.get(5),
            application=segment.get(7),
            ack_requested=segment.get(9) == "1",
            test=segment.get(11) == "1",
            charset=tokens.charset,
            separators=tokens.separators,
            offset=segment.offset,
            findings=tuple(findings),
        )
        return self.envelope

    def unb_findings(self, segment: Segment) -> Iterator[Finding]:
        for element, name in ((2, "S002 0004"), (3, "S003 0010"), (5, "0020")):
            if not segment.get(element):
                yield Finding("edifact.unb_incomplete", self.place(segment, element), expected=name)
        date, time = segment.get(4, 1), segment.get(4, 2)
        if not (_digits(date) and len(date) in (6, 8) and _digits(time) and len(time) in (4, 6)):
            yield Finding("edifact.unb_date", self.place(segment, 4), found=printable(f"{date}:{time}"[:40]))

    def begin(self, segment: Segment) -> None:
        tokens = self.tokens
        segment.number = 1
        tokens.segments = [segment]
        tokens.found = []
        tokens.astray = False
        self.messages += 1
        self.in_group += 1
        if self.group is None:
            self.bare += 1
            if self.groups and self.bare == 1:
                self.note(Finding("edifact.groups_mixed", self.place(segment)))
        reference = segment.get(1)
        key = (self.group.get(5) if self.group else "", reference)
        if key in self.references:
            self.note(Finding("edifact.duplicate_reference", self.place(segment, 1), found=reference))
        self.references.add(key)
        for element, component, name in _IDENTIFIED:
            if not segment.get(element, component):
                self.note(Finding("edifact.unh_incomplete", self.place(segment, element, component), expected=name))

    def message(self, trailer: Segment | None, end: int) -> RawMessage:
        """Close the open message; `trailer` is its UNT, None when it never came."""
        tokens = self.tokens
        segments = tokens.segments
        if trailer is None:
            self.note(Finding("edifact.unt_missing", self.place(segments[-1]), expected="UNT"))
        else:
            trailer.number = len(segments) + 1
            segments.append(trailer)
            self.check_count(trailer, 1, len(segments), "edifact.unt_count")
            self.check_reference(trailer, segments[0].get(1), "edifact.unt_reference")
        header = segments[0]
        message = RawMessage(
            reference=header.get(1),
            type=header.get(2, 1),
            version=header.get(2, 2),
            release=header.get(2, 3),
            agency=header.get(2, 4),
            association=header.get(2, 5),
            segments=segments,
            offset=header.offset,
            end=end,
            findings=tuple(tokens.found),
        )
        tokens.segments = []
        tokens.found = self.findings
        return message

    def check_count(self, segment: Segment, element: int, counted: int, code: str) -> None:
        said = segment.get(element)
        if not _digits(said) or len(said) > 9 or int(said) != counted:
            self.note(Finding(code, self.place(segment, element), found=said[:40], expected=str(counted)))

    def check_reference(self, segment: Segment, reference: str, code: str) -> None:
        if segment.get(2) != reference:
            self.note(Finding(code, self.place(segment, 2), found=segment.get(2)[:40], expected=reference))

    def group_begins(self, segment: Segment) -> None:
        if self.group is not None:
            self.note(Finding("edifact.une_missing", self.place(segment), expected="UNE"))
        self.group = segment
        self.groups += 1
        self.in_group = 0
        self.tokens.astray = False
        if self.bare and self.groups == 1:
            self.note(Finding("edifact.groups_mixed", self.place(segment)))
        reference = segment.get(5)
        if reference in self.group_references:
            self.note(Finding("edifact.duplicate_reference", self.place(segment, 5), found=reference))
        self.group_references.add(reference)

    def group_ends(self, segment: Segment) -> None:
        if self.group is None:
            self.note(Finding("edifact.outside_message", self.place(segment), found="UNE"))
            return
        self.check_count(segment, 1, self.in_group, "edifact.une_count")
        self.check_reference(segment, self.group.get(5), "edifact.une_reference")
        self.group = None
        self.tokens.astray = False

    def trailer(self, segment: Segment, end: int) -> Trailer:
        """UNZ: 0036 counts groups when there are groups, else messages."""
        self.ended = True
        if self.group is not None:
            self.note(Finding("edifact.une_missing", self.place(segment), expected="UNE"))
        counted = self.groups or self.messages
        self.check_count(segment, 1, counted, "edifact.unz_count")
        self.check_reference(segment, self.envelope.reference if self.envelope else "", "edifact.unz_reference")
        if not self.messages:
            self.note(Finding("edifact.interchange_empty", self.place(segment)))
        return Trailer(segment.get(2), counted, end, tuple(self.findings))

    def unclosed(self, end: int, found: str) -> Iterator[Envelope | RawMessage | Trailer]:
        """The interchange ends without UNZ: at the end of the data or at the next UNA or UNB."""
        self.ended = True
        if self.tokens.segments:
            yield self.message(None, end)
        self.note(Finding("edifact.unz_missing", Place(tag="UNZ", offset=end), found=found, expected="UNZ"))
        yield Trailer("", self.groups or self.messages, end, tuple(self.findings))

    def stop(self, finding: Finding, end: int) -> Trailer:
        self.stopped = self.ended = True
        return Trailer("", self.groups or self.messages, end, (*self.findings, finding))


def _digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()
