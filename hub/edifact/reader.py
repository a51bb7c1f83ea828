"""Streaming reader: bytes in chunks -> Envelope, RawMessage …, Trailer, for every interchange of a file.

Bytes are looked at as latin-1 text, so an index is a byte offset, and cut with `str.split`; only segments
that hold
non-ASCII bytes are decoded again, strictly, with the character set of UNB 0001 or of the partner's agreement.
Memory is bounded by the largest message. What is wrong is a Finding on the part it belongs to, never an
exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from hub.edifact.model import Element, Envelope, RawMessage, Repeats, Segment, Separators, Trailer
from hub.finding import Finding, Place

CHARSETS = {
    "UNOA": "ascii",
    "UNOB": "ascii",
    "UNOC": "latin-1",
    "UNOD": "iso8859-2",
    "UNOE": "iso8859-5",
    "UNOF": "iso8859-7",
    "UNOG": "iso8859-3",
    "UNOH": "iso8859-4",
    "UNOI": "iso8859-6",
    "UNOJ": "iso8859-8",
    "UNOK": "iso8859-9",
    "UNOL": "iso8859-15",
    "UNOW": "utf-8",
    "UNOY": "utf-8",
}
"""Python codec of each syntax identifier (0001). UNOX (ISO 2022) shifts code tables with escapes: not
readable.
"""

_BLOCK = 65536
_BLANK = " \t\r\n\0"
_SERVICE = frozenset(("UNA", "UNB", "UNZ", "UNH", "UNT", "UNG", "UNE", "UNO"))
_IDENTIFIED = ((1, 1, "0062"), (2, 1, "0065"), (2, 2, "0052"), (2, 3, "0054"), (2, 4, "0051"))
_KEEP = 1000  # findings kept for one message or one interchange; a hostile file could give one a byte
# They stand for released separators; strict decoding never yields a lone surrogate.
_SENTINELS = "\ud800\ud801\ud802"
_SINGLE_BYTE_ASCII = re.compile(r"(ascii|us-?ascii|latin-?1|iso-?8859.*|utf-?8|cp125\d|windows-125\d)$", re.I)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is read. `interchange`, `segment` and `element` in bytes; `segments` counts one
    message.
    """

    interchange: int = 50_000_000
    segment: int = 65536
    element: int = 4096
    components: int = 100
    segments: int = 1_000_000


def fits(separators: Separators, charset: str) -> bool:
    """False when a service character could be the second byte of a character of `charset` (GBK, Big5, …)."""
    if _SINGLE_BYTE_ASCII.match(charset):
        return True
    signs = separators.component + separators.element + separators.release + separators.terminator
    return all(sign < "0" or ":" <= sign < "@" for sign in signs + separators.repetition)


class _Source:
    """The text not yet read. `base` is the byte offset of text[0]."""

    __slots__ = ("_blocks", "base", "text")

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.text = ""
        self.base = 0
        self._blocks = _blocks(chunks)

    def fill(self) -> bool:
        """Append one more block; False at the end of the data."""
        block = next(self._blocks, None)
        if block is None:
            return False
        self.text += block.decode("latin-1")
        return True

    def skip(self, count: int) -> None:
        self.text = self.text[count:]
        self.base += count


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Blocks of about 64 KiB whatever the size of the chunks: neither many tiny joins nor one huge split."""
    small: list[bytes] = []
    size = 0
    for chunk in chunks:
        if len(chunk) >= _BLOCK and not small:
            for at in range(0, len(chunk), _BLOCK):
                yield bytes(chunk[at : at + _BLOCK])
            continue
        small.append(chunk)
        size += len(chunk)
        if size >= _BLOCK:
            joined = b"".join(small)
            small, size = [], 0
            for at in range(0, len(joined), _BLOCK):
                yield joined[at : at + _BLOCK]
    if small:
        yield b"".join(small)


def read(
    chunks: Iterable[bytes], limits: Limits | None = None, charset: str | None = None
) -> Iterator[Envelope | RawMessage | Trailer]:
    """Every interchange of the data: one Envelope, its messages, one Trailer; repeated.

    `charset` is a Python codec agreed with the partner; it wins over UNB 0001. Data without any UNB gives
    only a
    Trailer that says so. Past a limit a Trailer with the finding ends the reading. Never raises for what
    the data
    holds; LookupError when `charset` is not a codec.
    """
    if charset is not None:
        "".encode(charset)
    limits = limits or Limits()
    source = _Source(chunks)
    source.fill()
    if source.text.startswith("\xef\xbb\xbf"):
        source.skip(3)
    separators: Separators | None = None
    trailer: Trailer | None = None
    while True:
        found = _find_header(source, separators, limits)
        if trailer:
            late = tuple(replace(f, code="edifact.data_after_unz") for f in found.findings if f.code == _JUNK)
            rest = tuple(f for f in found.findings if f.code != _JUNK)
            if late and found.separators is None:
                rest = ()
            yield replace(trailer, findings=trailer.findings + late + (() if found.separators else rest))
            found.findings[:] = rest
        if found.separators is None:
            if trailer is None:
                findings = found.findings or [Finding("edifact.empty", Place(offset=0))]
                yield Trailer("", 0, source.base, tuple(findings))
            return
        separators = found.separators
        reading = _Interchange(source, separators, limits, charset, found.findings)
        trailer = None
        for part in reading.parts():
            if isinstance(part, Trailer):
                trailer = part
            else:
                yield part
        if trailer is None or reading.stopped:
            if trailer:
                yield trailer
            return


_JUNK = "edifact.no_interchange"


@dataclass(slots=True)
class _Header:
    separators: Separators | None
    findings: list[Finding]


def _find_header(source: _Source, previous: Separators | None, limits: Limits) -> _Header:
    """Go to the next UNB (its first byte becomes text[0]) by way of UNA. No separators when the data ends
    first.
    """
    findings: list[Finding] = []
    start = source.base
    pattern = _header_pattern(previous)
    junk: Finding | None = None
    while True:
        stripped = source.text.lstrip(_BLANK)
        blank = source.text[: len(source.text) - len(stripped)]
        if "\0" in blank and not any(f.code == "edifact.nul" for f in findings):
            findings.append(Finding("edifact.nul", Place(offset=source.base + blank.index("\0"))))
        source.skip(len(blank))
        if len(source.text) < 128 and source.fill():
            continue
        if not source.text:
            break
        match = pattern.match(source.text)
        if match:
            break
        if junk is None:
            junk = Finding(_JUNK, Place(offset=source.base), found=_shown(source.text), expected="UNA, UNB")
            findings.append(junk)
        match = pattern.search(source.text)
        if match:
            source.skip(match.start())
            match = pattern.match(source.text)
            break
        # The last bytes are kept: a header may begin there.
        source.skip(max(0, len(source.text) - 64))
        if source.base - start > limits.interchange:
            findings.append(_limit("interchange", limits.interchange, source.base))
            source.skip(len(source.text))
            return _Header(None, findings)
        if not source.fill():
            source.skip(len(source.text))
            break
    if not source.text:
        return _Header(None, findings)
    separators = Separators()
    if source.text.startswith("UNA"):
        separators, wrong = _advice(source.text[3:9], source.base)
        findings += wrong
        head = source.text[9:]
        source.skip(9 + len(head) - len(head.lstrip(_BLANK)))
    elif previous and source.text[3] == previous.element != separators.element:
        # Some senders write UNA before the first of several interchanges only.
        separators = previous
    return _Header(separators, findings)


def _header_pattern(previous: Separators | None) -> re.Pattern[str]:
    signs = {"+", previous.element} if previous else {"+"}
    either = "|".join(re.escape(sign) for sign in sorted(signs))
    return re.compile(rf"UNA(?s:.{{6}})[ \t\r\n]{{0,40}}UNB|UNB(?:{either})[A-Za-z]{{4}}[^A-Za-z0-9]|UNB(?:{either})")


def _advice(signs: str, offset: int) -> tuple[Separators, list[Finding]]:
    """UNA: component, element, decimal mark, release, repetition (space: none), terminator."""
    component, element, decimal, terminator = signs[0], signs[1], signs[2], signs[5]
    release, repetition = signs[3].strip(), signs[4].strip()
    used = [component, element, terminator] + [sign for sign in (release, repetition) if sign]
    bad = len(set(used)) < len(used) or any(sign.isalnum() or sign in " \0" or not sign.isascii() for sign in used)
    if bad or decimal.isalnum():
        place = Place(tag="UNA", offset=offset)
        return Separators(), [Finding("edifact.una_invalid", place, found=signs)]
    return Separators(component, element, decimal, release, repetition, terminator), []


def _shown(text: str) -> str:
    return text[:32].encode("latin-1", "replace").decode("ascii", "backslashreplace")


def _limit(what: str, bound: int, offset: int) -> Finding:
    return Finding("edifact.limit", Place(offset=offset), expected=str(bound), args={"what": what})


def _parse(text: str, separators: Separators) -> list[Element]:
    """All elements of one segment without its terminator; the tag is element 0."""
    if separators.release and separators.release in text:
        return _parse_released(text, separators)
    component = separators.component
    repetition = separators.repetition
    if repetition and repetition in text:
        return [
            _repeats([one.split(component) for one in raw.split(repetition)])
            if repetition in raw
            else raw.split(component)
            for raw in text.split(separators.element)
        ]
    return [raw.split(component) for raw in text.split(separators.element)]


def _repeats(occurrences: list[Element]) -> Repeats:
    first = Repeats(occurrences[0])
    first.more = occurrences[1:]
    return first


def _parse_released(text: str, separators: Separators) -> list[Element]:
    """Released separators are set aside as sentinels, so that plain splitting stays right, and put back
    after it.
    """
    aside = dict(zip((separators.component, separators.element, separators.repetition), _SENTINELS, strict=True))
    parts = text.split(separators.release)
    plain = [parts[0]]
    literal = False
    for index, part in enumerate(parts[1:], 1):
        if literal:
            plain.append(part)
            literal = False
        elif part:
            plain.append(aside.get(part[0], part[0]) + part[1:])
        elif index < len(parts) - 1:
            plain.append(separators.release)
            literal = True
    bare = Separators(separators.component, separators.element, "", "", separators.repetition, "")
    elements = _parse("".join(plain), bare)
    back = {ord(sentinel): sign for sign, sentinel in aside.items() if sign}
    for element in elements:
        for one in (element, *element.more) if isinstance(element, Repeats) else (element,):
            one[:] = [value if value.isascii() else value.translate(back) for value in one]
    return elements


def _odd_release(piece: str, release: str) -> bool:
    return (len(piece) - len(piece.rstrip(release))) % 2 == 1


class _Interchange:
    """One interchange while it is read: what is open, what was counted, what was found."""

    def __init__(
        self, source: _Source, separators: Separators, limits: Limits, charset: str | None, findings: list[Finding]
    ) -> None:
        self.source = source
        self.separators = separators
        self.limits = limits
        self.agreed = charset
        self.charset = charset or "ascii"
        self.start = source.base
        self.findings = findings
        self.envelope: Envelope | None = None
        self.header: Segment | None = None
        self.segments: list[Segment] = []
        self.open = False
        self.wrong: list[Finding] = []
        self.group: Segment | None = None
        self.groups = 0
        self.messages = 0
        self.bare = 0
        self.in_group = 0
        self.references: set[tuple[str, str]] = set()
        self.group_references: set[str] = set()
        self.number = 0
        self.astray = False
        self.stopped = False
        self.ended = False
        self.nul = False

    def note(self, finding: Finding) -> None:
        kept = self.wrong if self.open else self.findings
        if len(kept) < _KEEP:
            kept.append(finding)

    def place(self, segment: Segment, element: int | None = None, component: int | None = None) -> Place:
        message = self.segments[0].get(1) if self.open and self.segments else None
        return Place(message, segment.number, segment.tag, element, component, segment.offset)

    def parts(self) -> Iterator[Envelope | RawMessage | Trailer]:
        """Read up to the end of this interchange. The source then stands behind UNZ (or at the UNB that
        cut it).
        """
        source, separators, limits = self.source, self.separators, self.limits
        terminator, release = separators.terminator, separators.release
        component, plus, repetition = separators.component, separators.element, separators.repetition
        suspect = min(limits.components, limits.element, limits.segment)
        bound = self.start + limits.interchange
        line_ends = terminator in "\r\n"
        while True:
            text, base = source.text, source.base
            wrapped = not line_ends and ("\n" in text or "\r" in text)
            if "\0" in text and not self.nul:
                self.nul = True
                self.note(Finding("edifact.nul", Place(offset=base + text.index("\0"))))
            pieces = text.split(terminator)
            tail = pieces.pop()
            at = base
            done = base
            held: list[str] = []
            for piece in pieces:
                end = at + len(piece) + 1
                if held or (release and piece.endswith(release)):
                    odd = bool(release) and _odd_release(piece, release)
                    if odd or held:
                        held.append(piece)
                        at = end
                        if odd:
                            continue
                        piece = terminator.join(held)
                        held = []
                offset = done
                done = at = end
                if end > bound:
                    yield self.stop(_limit("interchange", limits.interchange, offset), offset)
                    return
                if piece[:1] in _BLANK:
                    stripped = piece.lstrip(_BLANK)
                    offset += len(piece) - len(stripped)
                    piece = stripped
                    if not piece:
                        if not line_ends:
                            self.note(Finding("edifact.segment_empty", Place(offset=offset)))
                        continue
                if line_ends and piece[-1] == "\r":
                    piece = piece[:-1]
                if len(piece) > suspect and (excess := self.excess(piece, offset)):
                    yield self.stop(excess, offset)
                    return
                if wrapped and ("\n" in piece or "\r" in piece):
                    self.note(Finding("edifact.line_break", Place(segment=len(self.segments) + 1, offset=offset)))
                if not piece.isascii():
                    piece = self.decoded(piece, offset)
                if (release and release in piece) or (repetition and repetition in piece):
                    elements = _parse(piece, separators)
                else:
                    elements = [raw.split(component) for raw in piece.split(plus)]
                head = elements.pop(0)
                tag = head[0]
                self.number += 1
                if len(head) > 1:
                    self.note(Finding("edifact.nesting", Place(tag=tag, offset=offset), found=":".join(head)))
                if tag in _SERVICE:
                    yield from self.service(Segment(tag, elements, self.number, offset), end)
                    if self.ended:
                        return
                    separators, repetition = self.separators, self.separators.repetition
                elif self.open:
                    segments = self.segments
                    segments.append(Segment(tag, elements, len(segments) + 1, offset))
                    if len(segments) > limits.segments:
                        yield self.stop(_limit("segments", limits.segments, offset), offset)
                        return
                else:
                    self.stray(tag, offset)
            if done - self.start > limits.interchange:
                yield self.stop(_limit("interchange", limits.interchange, done), done)
                return
            # White space alone may go on for ever between two segments.
            rest = text[done - base :]
            rest_start = done + len(rest) - len(rest.lstrip(_BLANK))
            source.skip(rest_start - base)
            if len(source.text) > limits.segment:
                yield self.stop(_limit("segment", limits.segment, source.base), source.base)
                return
            if not source.fill():
                if release and _odd_release(tail, release):
                    self.note(Finding("edifact.release_at_end", Place(offset=source.base + len(source.text))))
                if source.text:
                    place = Place(offset=source.base)
                    self.note(Finding("edifact.cut", place, _shown(source.text), terminator))
                    source.skip(len(source.text))
                yield from self.unclosed(source.base, "end")
                return

    def excess(self, piece: str, offset: int) -> Finding | None:
        limits, separators = self.limits, self.separators
        if len(piece) > limits.segment:
            return _limit("segment", limits.segment, offset)
        if len(piece) <= limits.element and piece.count(separators.component) < limits.components:
            return None
        for element in _parse(piece, separators):
            for one in (element, *element.more) if isinstance(element, Repeats) else (element,):
                if len(one) > limits.components:
                    return _limit("components", limits.components, offset)
                if len(max(one, key=len)) > limits.element:
                    return _limit("element", limits.element, offset)
        return None

    def decoded(self, piece: str, offset: int) -> str:
        """The segment in the interchange's character set. Undecodable: a finding, and one character for
        each byte.
        """
        raw = piece.encode("latin-1")
        try:
            return raw.decode(self.charset)
        except UnicodeDecodeError as error:
            message = self.segments[0].get(1) if self.open else None
            number = len(self.segments) + 1 if self.open else self.number + 1
            tag = piece[:3] if piece[:3].isalnum() and piece[:3].isascii() else None
            place = Place(message, number, tag, offset=offset + error.start)
            self.note(Finding("edifact.undecodable", place, raw[error.start : error.start + 4].hex(" "), self.charset))
            return piece

    def stray(self, tag: str, offset: int) -> None:
        """Only the first of a run is told."""
        if not self.astray:
            self.astray = True
            place = Place(segment=self.number, tag=tag[:3], offset=offset)
            self.note(Finding("edifact.outside_message", place, found=_ascii(tag[:16])))

    def service(self, segment: Segment, end: int) -> Iterator[Envelope | RawMessage | Trailer]:
        tag = segment.tag
        if tag == "UNT":
            if self.open:
                yield self.message(segment, end)
            else:
                self.stray(tag, segment.offset)
        elif tag == "UNH":
            if self.open:
                yield self.message(None, segment.offset)
            self.begin(segment)
        elif tag == "UNB" and self.envelope is None:
            yield self.opening(segment)
        elif tag in ("UNA", "UNB"):
            self.source.skip(segment.offset - self.source.base)
            yield from self.unclosed(segment.offset, tag)
        elif tag == "UNO":
            yield self.stop(Finding("edifact.package", self.place(segment)), end)
        else:
            if self.open:
                yield self.message(None, segment.offset)
            if tag == "UNG":
                self.group_begins(segment)
            elif tag == "UNE":
                self.group_ends(segment)
            else:
                self.source.skip(end - self.source.base)
                yield self.trailer(segment, end)

    def opening(self, segment: Segment) -> Envelope:
        """UNB. Its own non-ASCII text was read as ASCII at best: it is decoded once the character set is
        known.
        """
        findings = self.findings
        self.findings = []
        syntax, version = segment.get(1).upper(), segment.get(1, 2)
        known = CHARSETS.get(syntax)
        self.charset = self.agreed or known or "ascii"
        if known is None and self.agreed is None:
            findings.append(Finding("edifact.charset_unsupported", self.place(segment, 1, 1), found=_ascii(syntax)))
        if version not in ("1", "2", "3", "4"):
            findings.append(
                Finding("edifact.syntax_version", self.place(segment, 1, 2), found=_ascii(version), expected="1–4")
            )
        if version != "4" and self.separators.repetition:
            # Below version 4 the fifth character of UNA is reserved: partners set it and still use it as data.
            self.separators = replace(self.separators, repetition="")
        if not fits(self.separators, self.charset):
            findings.append(Finding("edifact.separator_in_charset", self.place(segment), expected=self.charset))
        raw = self.source.text[segment.offset - self.source.base :]
        raw = raw[: _segment_length(raw, self.separators)]
        if not raw.isascii():
            findings[:] = [f for f in findings if f.code != "edifact.undecodable"]
            segment.elements = _parse(self.decoded(raw, segment.offset), self.separators)[1:]
            findings += self.findings
            self.findings = []
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
            charset=self.charset,
            separators=self.separators,
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
            yield Finding("edifact.unb_date", self.place(segment, 4), found=_ascii(f"{date}:{time}"[:40]))

    def begin(self, segment: Segment) -> None:
        segment.number = 1
        self.segments = [segment]
        self.open = True
        self.astray = False
        self.wrong = []
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
        segments = self.segments
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
            findings=tuple(self.wrong),
        )
        self.open = False
        self.segments = []
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
        self.astray = False
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
        self.astray = False

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
        if self.open:
            yield self.message(None, end)
        self.note(Finding("edifact.unz_missing", Place(tag="UNZ", offset=end), found=found, expected="UNZ"))
        yield Trailer("", self.groups or self.messages, end, tuple(self.findings))

    def stop(self, finding: Finding, end: int) -> Trailer:
        self.stopped = self.ended = True
        return Trailer("", self.groups or self.messages, end, (*self.findings, finding))


def _segment_length(text: str, separators: Separators) -> int:
    """Where the first terminator that is not released stands."""
    at = text.find(separators.terminator)
    while at > 0 and separators.release and _odd_release(text[:at], separators.release):
        at = text.find(separators.terminator, at + 1)
    return at


def _digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")
