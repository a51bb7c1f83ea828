"""Between steps 2 and 3: a file of several interchanges goes apart, and a large interchange goes into parts.

Of a file of several each interchange is a piece: it is judged, answered and remembered alone. A large interchange is
read once as a whole, one message at a time: its counts, references and verdicts make one answer, and its reference is
remembered once. What it proves then goes on in parts of about PART bytes, each a readable interchange with the same
UNB, so that good messages go on while later ones are still read, and nobody holds all of them opened.

The file's own row ends as SPLIT, in one commit with the rows of its pieces (hub.message.Origin). They are opened in
their order, before whatever the same party sent behind the file (hub.journey).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from hub import envelopes, opening, replies
from hub.desk import Desk
from hub.edifact import reader
from hub.edifact.model import Envelope, Trailer
from hub.edifact.writer import write_segment
from hub.finding import Finding, Place
from hub.journal.changes import Outcome
from hub.journal.journal import received, told_of
from hub.message import Interchange, InterchangeState, Origin
from hub.opening import Opened, OpenedMessage
from hub.standards.tolerance import decisions

LARGE = 1_000_000
"""Bytes above which an interchange goes into parts."""
PART = 250_000
"""Bytes of a part: opened, they take up some sixty times as much; stored, they fit a row of the journal."""
MOST = 1000
"""Interchanges in one file, and parts of one interchange."""
TOLD = 20_000
"""Findings of a large interchange that are kept; beyond them one of each message."""


def needed(ix: Interchange, data: bytes) -> bool:
    """False at a glance for nearly everything: one interchange of ordinary size, XML, and parts."""
    if ix.is_part:
        return False
    several = ix.origin is None and (data.count(b"UNB") > 1 or data.startswith(opening.GZIP))
    return (several or len(data) > LARGE) and not opening.looks_like_xml(data)


def take_apart(desk: Desk, ix: Interchange, data: bytes) -> Outcome | None:
    """What follows from an interchange that goes apart; None where it is to be opened as it is."""
    party = opening.party_of(desk.site, ix)
    content = opening.content_of(party, data)
    if ix.size > party.max_size or isinstance(content, Finding):
        return None
    if opening.format_of(desk.site, ix.name, content) != "edifact":
        return None
    charset = opening.agreed(desk.site, ix, "").charset or None
    found = reader.pieces(content, charset) if ix.origin is None else []
    if len(found) > 1:
        return _several(desk, ix, content, found)
    return _large(desk, ix, content) if len(content) > LARGE else None


def _several(desk: Desk, ix: Interchange, content: bytes, found: Sequence[reader.Piece]) -> Outcome:
    outcome = Outcome()
    if len(found) > MOST:
        many = Finding("opening.too_many", Place(), str(len(found)), str(MOST))
        envelopes.close(desk, outcome, ix, InterchangeState.REJECTED, many.code, many.found)
        replies.explain(desk, outcome, ix, Opened((), data=content), [many])
        return outcome
    envelopes.close(desk, outcome, ix, InterchangeState.SPLIT, about=str(len(found)))
    for number, piece in enumerate(found, 1):
        _add(outcome, ix, Origin(ix.id, number, len(found), piece.base, 0), piece.data)
    said = [finding for piece in found for finding in piece.said]
    replies.explain(desk, outcome, ix, Opened((), data=content), said)
    return outcome


def _add(outcome: Outcome, ix: Interchange, origin: Origin, data: bytes) -> None:
    """The row of a piece. It came when the file came; a worker that died on the file may have died on any piece."""
    sha256 = outcome.keep(data)
    piece = Interchange(origin.id, ix.endpoint, ix.party, ix.name, origin.key, sha256, len(data), ix.received_at)
    row = received(piece, sha256, len(data), ix.received_at)
    outcome.add("interchange", **row, tries=max(0, ix.tries - 1))
    outcome.event(piece.id, "received", **told_of(piece, sha256), of=ix.id)


# ---- a large interchange


@dataclass(slots=True)
class _Reading:
    """What is kept of a large interchange: where its messages are, and what was found."""

    left: int = TOLD
    spans: list[tuple[int, int]] = field(default_factory=list)

    def keep(self, parts: Iterator[Envelope | OpenedMessage | Trailer]) -> Iterator[Envelope | OpenedMessage | Trailer]:
        for part in parts:
            yield self._slim(part) if isinstance(part, OpenedMessage) else part

    def _slim(self, message: OpenedMessage) -> OpenedMessage:
        """The message without its content, but for the head that an answer quotes."""
        raw, findings = message.raw, message.findings
        if raw is not None:
            self.spans.append((raw.offset, raw.end))
            raw = replace(raw, segments=raw.segments[:4])
        if len(findings) > self.left:  # one shows as well that it is rejected
            findings = next(((f,) for f in findings if f.severity == "error"), findings[:1])
        self.left = max(0, self.left - len(findings))
        bare = replace(message, node=None, data=b"", canonical=None, canonical_data=b"", answer=None)
        return replace(bare, raw=raw, findings=findings)


def _large(desk: Desk, ix: Interchange, content: bytes) -> Outcome | None:
    """None where its messages cannot be told apart so: in functional groups, with one reference for two messages, or
    all in one message."""
    reading = _Reading()
    parts = opening.read_edifact(desk.site, ix, content, desk.now)
    opened = opening.gathered(desk.site, ix, reading.keep(parts), content)
    if opened.envelope is None or opened.groups or _repeats(opened):
        return None
    outcome = Outcome()
    if envelopes.seen_before(desk, outcome, ix, opened):
        return outcome
    origins = [] if opened.rejected else _cut(ix, opened.envelope, reading.spans, content)
    if len(origins) == 1:
        return None
    state = InterchangeState.SPLIT if origins else InterchangeState.REJECTED
    why, agreed = "" if origins else envelopes.why(opened), decisions(opened.findings)
    envelopes.close(desk, outcome, ix, state, why, str(len(origins) or ""), agreed)
    if origins and not all(message.rejected for message in opened.messages):
        envelopes.remember(outcome, ix, opened)
    for origin, part in origins:
        _add(outcome, ix, origin, part)
    replies.reply(desk, outcome, ix, opened)
    return outcome


def _repeats(opened: Opened) -> bool:
    return any(f.code == "edifact.duplicate_reference" for m in opened.messages for f in m.findings)


def _cut(
    ix: Interchange, envelope: Envelope, spans: Sequence[tuple[int, int]], data: bytes
) -> list[tuple[Origin, bytes]]:
    """The parts, each of whole messages with UNA, UNB and a UNZ that counts them."""
    head = data[: spans[0][0]]
    base = (ix.origin.base if ix.origin else 0) - len(head)
    runs = list(_runs(spans, max(PART, len(data) // MOST)))
    made = []
    for number, (first, last) in enumerate(runs, 1):
        start, end = spans[first][0], spans[last][1]
        tail = write_segment("UNZ", [[str(last - first + 1)], [envelope.reference]], envelope.separators)
        origin = Origin(ix.id, number, len(runs), base + start, first + 1)
        made.append((origin, head + data[start:end] + tail.encode(envelope.charset)))
    return made


def _runs(spans: Sequence[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """(first, last) message of each part: as many as begin within `size` bytes."""
    first = 0
    for at, (start, _) in enumerate(spans):
        if start - spans[first][0] >= size:
            yield first, at - 1
            first = at
    yield first, len(spans) - 1
