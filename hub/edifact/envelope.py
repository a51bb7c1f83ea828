"""UNB … UNZ: what is open, what was counted, and what ISO 9735-1 has against it."""

from __future__ import annotations

from collections.abc import Iterator

from hub.edifact import groups, unb
from hub.edifact.careful import careful
from hub.edifact.header import Header
from hub.edifact.limits import Limits, limit
from hub.edifact.model import Envelope, FunctionalGroup, RawMessage, Segment, Trailer
from hub.edifact.separators import cutter, printable
from hub.edifact.source import Source
from hub.edifact.tokenizer import Tokenizer
from hub.finding import Finding, Place

_IDENTIFIED = ((1, 1, "0062"), (2, 1, "0065"), (2, 2, "0052"), (2, 3, "0054"), (2, 4, "0051"))
_UNIDENTIFIED = ((1, 1, "0062"), (2, None, "S009"))
"""The same where nothing stands in S009."""
_COUNTS = {"unt": "0074", "une": "0060", "unz": "0036"}
_REFERENCES = {"unt": "0062", "une": "0048", "unz": "0020"}
_DIGITS = 10
"""Of a control count (0074 in version 4); a longer one is wrong in any case, and is not made a number."""


class Interchange:
    """One interchange while it is read. `stopped`: past a limit, nothing behind it may be read."""

    def __init__(
        self, source: Source, header: Header, limits: Limits, charset: str | None, findings: list[Finding]
    ) -> None:
        self.source = source
        self.agreed = charset
        self.findings = findings
        self.advised = header.separators
        self.tokens = Tokenizer(source, header.separators, limits, findings)
        self.note = self.tokens.note
        self.place = self.tokens.place
        self.version = ""
        self.reference = ""
        self.group: groups.Group | None = None
        self.closed: list[tuple[FunctionalGroup, tuple[Finding, ...]]] = []
        self.group_references = groups.References()
        self.references = groups.References()
        self.messages = 0
        self.bare = 0
        self.stopped = False
        self.ended = False

    def parts(self) -> Iterator[Envelope | RawMessage | Trailer]:
        """Read up to the end of this interchange. The source then stands behind UNZ, or at the UNB that cut it."""
        text = self.tokens.opening()
        if text is not None:
            yield self.opening(text)
            for segment, end in self.tokens.services():
                yield from self.service(segment, end)
                if self.ended:
                    return
        excess = self.tokens.excess
        if excess:
            yield self.stop(excess, excess.place.offset or 0)
        else:
            yield from self.unclosed(self.source.offset, "end")

    def opening(self, text: str) -> Envelope:
        """UNB. It is cut first as it stands, for what it says about its own characters."""
        tokens, offset = self.tokens, self.source.offset
        first = Segment("UNB", cutter(self.advised)(text)[1:], 1, offset)
        self.version, codec = first.get(1, 2), unb.charset(first, self.agreed) or "ascii"
        separators = unb.settled(self.advised, self.version)
        level = "" if self.agreed else first.get(1).upper()
        tokens.separators, tokens.careful = separators, careful(separators, codec, level, self.version)
        tokens.tell(text, offset, 1)
        decoded = tokens.careful.text(text)
        if decoded == text and separators == self.advised:
            segment = first
        else:
            segment = Segment("UNB", tokens.careful.cut(decoded)[1:], 1, offset)
        for finding in unb.faults(segment, self.agreed, separators, self.place):
            self.note(finding)
        tokens.number = 1
        self.source.at += len(text) + 1
        self.reference = segment.get(5)
        envelope = unb.opened(segment, codec, separators, tuple(self.findings))
        self.findings.clear()
        return envelope

    def service(self, segment: Segment, end: int) -> Iterator[Envelope | RawMessage | Trailer]:
        tag, tokens = segment.tag, self.tokens
        if tag == "UNT":
            if tokens.segments:
                yield self.message(segment, end)
            else:
                tokens.stray(tag, segment.offset)
        elif tag in ("UNA", "UNB"):
            self.source.at = segment.offset - self.source.base
            yield from self.unclosed(segment.offset, tag)
        else:
            if tokens.segments:
                yield self.message(None, segment.offset)
            if tag == "UNZ":
                self.source.at = end - self.source.base
                yield self.trailer(segment, end)
            elif tag == "UNO":
                yield self.stop(Finding("edifact.package", self.place(segment)), end)
            elif tag == "UNE":
                self.group_ends(segment)
            elif (len(self.closed) if tag == "UNG" else self.messages) >= tokens.limits.messages:
                yield self.stop(limit("messages", tokens.limits.messages, segment.offset), segment.offset)
            elif tag == "UNG":
                self.group_begins(segment)
            else:
                self.begin(segment)

    def begin(self, segment: Segment) -> None:
        """UNH."""
        tokens, group = self.tokens, self.group
        segment.number = 1
        tokens.segments = [segment]
        tokens.found = []
        tokens.astray = tokens.strange = False
        self.messages += 1
        if group is None:
            self.bare += 1
            if self.bare == 1 and self.closed:
                self.note(Finding("edifact.groups_mixed", self.place(segment)))
            references = self.references
        else:
            group.messages += 1
            references = group.references
        reference = segment.get(1)
        if references.taken(reference):
            self.note(Finding("edifact.duplicate_reference", self.place(segment, 1), found=printable(reference[:40])))
        for element, component, name in _IDENTIFIED if any(segment.get(2, at) for at in range(1, 5)) else _UNIDENTIFIED:
            if not segment.get(element, component or 1):
                self.note(Finding("edifact.unh_incomplete", self.place(segment, element, component), expected=name))
        if group and self.version != "4" and group.kind(segment.get(2)) != segment.get(2):
            found, expected = segment.get(2)[:40], group.header.type[:40]
            self.note(Finding("edifact.group_types", self.place(segment, 2, 1), printable(found), printable(expected)))

    def message(self, trailer: Segment | None, end: int) -> RawMessage:
        """Close the open message; `trailer` is its UNT, None when it never came."""
        tokens = self.tokens
        segments = tokens.segments
        if trailer is None:
            self.note(Finding("edifact.unt_missing", self.place(segments[-1]), expected="UNT"))
        else:
            trailer.number = len(segments) + 1
            segments.append(trailer)
            for finding in self.wrong(trailer, len(segments), segments[0].get(1), "unt"):
                self.note(finding)
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
            group=self.group.header if self.group else None,
            separators=tokens.separators,
        )
        tokens.segments = []
        tokens.found = self.findings
        return message

    def wrong(self, trailer: Segment, counted: int, reference: str, tag: str) -> Iterator[Finding]:
        """What UNT, UNE or UNZ counts and names, against what was counted and what its header names."""
        said, named = trailer.get(1), trailer.get(2)
        if not said:
            yield Finding("edifact.element_missing", self.place(trailer, 1), expected=_COUNTS[tag])
        elif not (said.isascii() and said.isdecimal() and len(said) <= _DIGITS and int(said) == counted):
            yield Finding(f"edifact.{tag}_count", self.place(trailer, 1), printable(said[:40]), str(counted))
        if reference and not named:
            yield Finding("edifact.element_missing", self.place(trailer, 2), expected=_REFERENCES[tag])
        elif reference and named != reference:  # that the header lacks its own was told
            found, expected = printable(named[:40]), printable(reference[:40])
            yield Finding(f"edifact.{tag}_reference", self.place(trailer, 2), found, expected)

        if len(trailer.elements) > 2 and tag != "unt" and any(map(any, trailer.elements[2:])):  # UNT has a table
            yield Finding("edifact.element_excess", self.place(trailer, 3), str(len(trailer.elements)), "2")

    def group_begins(self, segment: Segment) -> None:
        """UNG."""
        self.group_misses_end(segment)
        self.group = group = groups.opened(segment, self.version, self.place)
        self.tokens.astray = False
        if self.bare and not self.closed:
            self.note(Finding("edifact.groups_mixed", self.place(segment)))
        reference = group.header.reference
        if self.group_references.taken(reference):
            group.note(Finding("edifact.duplicate_reference", self.place(segment, 5), found=printable(reference[:40])))

    def group_ends(self, segment: Segment) -> None:
        """UNE."""
        group = self.group
        if group is None:
            self.tokens.stray("UNE", segment.offset)
            return
        for finding in self.wrong(segment, group.messages, group.header.reference, "une"):
            group.note(finding)
        if not group.messages:
            group.note(Finding("edifact.group_empty", self.place(segment)))
        self.close_group(group)

    def group_misses_end(self, segment: Segment | None) -> None:
        """A group still open at the next UNG, at UNZ, or (None) at the end of the data."""
        if self.group is not None:
            place = self.place(segment) if segment else Place(tag="UNE", offset=self.source.offset)
            self.group.note(Finding("edifact.une_missing", place, expected="UNE"))
            self.close_group(self.group)

    def close_group(self, group: groups.Group) -> None:
        self.closed.append((group.header, tuple(group.findings)))
        self.group = None
        self.tokens.astray = False

    def trailer(self, segment: Segment, end: int) -> Trailer:
        """UNZ: 0036 counts groups when there are groups, else messages."""
        self.group_misses_end(segment)
        for finding in self.wrong(segment, self.counted, self.reference, "unz"):
            self.note(finding)
        if not self.messages:
            self.note(Finding("edifact.interchange_empty", self.place(segment)))
        return self.end(segment.get(2), end)

    def unclosed(self, end: int, found: str) -> Iterator[RawMessage | Trailer]:
        """The interchange ends without UNZ: at the end of the data or at the next UNA or UNB."""
        if self.tokens.segments:
            yield self.message(None, end)
        self.group_misses_end(None)
        self.note(Finding("edifact.unz_missing", Place(tag="UNZ", offset=end), found=found, expected="UNZ"))
        yield self.end("", end)

    def stop(self, finding: Finding, end: int) -> Trailer:
        """Nothing more is read."""
        self.stopped = True
        if self.group is not None:
            self.close_group(self.group)
        self.findings.append(finding)
        return self.end("", end)

    @property
    def counted(self) -> int:
        return len(self.closed) or self.messages

    def end(self, reference: str, end: int) -> Trailer:
        self.ended = True
        return Trailer(reference, self.counted, end, tuple(self.findings), tuple(self.closed))
