"""What was delivered, made again from what the journal keeps, with where each of its values came from.

Only what was asked for is read again: the message itself, not its interchange, and by today's declarations; whether
they are those of then is told by the hash of each mapping, which the journal holds fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hub import cases, delivery, opening
from hub.edifact import reader, structure
from hub.edifact.model import Envelope, RawMessage
from hub.errors import Damaged, Gone
from hub.finding import Finding
from hub.journal import tables as t
from hub.journal.recall import Recall
from hub.journal.statements import Row
from hub.lineage.documents import Known, Made, make
from hub.lineage.explain import received
from hub.lineage.sources import Received
from hub.message import Interchange
from hub.opening import Asked, OpenedMessage
from hub.original import Written
from hub.routing import Leg
from hub.site.site import Site

CHANGED, GONE, UNKNOWN = "lineage.changed", "lineage.gone", "lineage.unmade"
AGAIN = Asked(signature=False)  # it was verified when it came


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a delivery was made of. `made` is None where that cannot be said; `notes` tell why, and what has changed."""

    made: Made | None
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """An interchange as it came, unpacked; no `data` where its bytes are gone. `written`: how it is to be shown."""

    ix: Interchange
    data: bytes = b""
    written: Envelope | Written | None = None

    @property
    def base(self) -> int:
        """What to add to a place in `data` for the place in the file."""
        return self.ix.origin.base if self.ix.origin else 0


@dataclass(slots=True)
class Archive:
    """What the journal keeps of messages, read by the declarations of `site`. `files`: what was read, by its id."""

    site: Site
    recall: Recall
    files: dict[str, File] = field(default_factory=dict)

    def delivered(self, row: Row) -> Rebuilt:
        """The document of a delivery, of the very version of the messages that it was made of."""
        asked = self.recall.one(t.message, ("id",), row["message"])
        if asked is None:
            return Rebuilt(None, (Finding(UNKNOWN, found=row["id"]),))
        notes: list[Finding] = []
        have = self.have(asked, notes)
        if row["kind"] in have:
            made = have[row["kind"]]
            return Rebuilt(made if isinstance(made, Made) else None, tuple(notes))
        if row["kind"] not in self.site.kinds or row["party"] not in self.site.parties:
            return Rebuilt(None, (*notes, Finding(UNKNOWN, found=row["kind"])))
        leg = Leg(row["party"], row["kind"], None)
        context = delivery.context_of(self.site, leg, asked["sender"], "E000000000", row["at"])
        rebuilt = self._made(row["kind"], have, context, row["id"])
        return Rebuilt(rebuilt.made, (*notes, *rebuilt.notes))

    def canonical(self, asked: Row) -> Rebuilt:
        """The document that the port made of a message, or a case of its messages."""
        notes: list[Finding] = []
        made = self.have(asked, notes).get(asked["canonical_kind"] or asked["kind"])
        return Rebuilt(made if isinstance(made, Made) else None, tuple(notes))

    def _made(self, kind: str, have: dict[str, Known], context: dict[str, str], id: str) -> Rebuilt:
        made = make(self.site, kind, have, context)
        if made is None:
            return Rebuilt(None, (Finding(UNKNOWN, found=kind),))
        return Rebuilt(made, tuple(self._changed(id, made)))

    def _changed(self, id: str, made: Made) -> Iterator[Finding]:
        """That the mapping is not the one by which it was made then."""
        pinned = [row["detail"].get("mapping") for row in self.recall.rows(t.event, ("subject",), id)]
        newest = next((sha for sha in reversed(pinned) if sha), "")
        if newest and newest != made.mapping.sha256:
            yield Finding(CHANGED, found=made.mapping.name, expected=newest[:12], severity="warning")

    def have(self, asked: Row, notes: list[Finding]) -> dict[str, Known]:
        """A message and what was made of it on arrival; a message that a case made is alone."""
        if asked["interchange"]:
            return self._arrived(asked, notes)
        have: dict[str, Known] = {}
        for id in self._parts(asked):
            row = self.recall.one(t.message, ("id",), id)
            have |= self._arrived(row, notes) if row else {}
        context = self.site.context(asked["at"], case=asked["case"])
        if asked["kind"] not in self.site.kinds:
            return {}
        rebuilt = self._made(asked["kind"], have, context, asked["id"])
        notes += rebuilt.notes
        return {asked["kind"]: rebuilt.made} if rebuilt.made else {}

    def _parts(self, made: Row) -> list[str]:
        """The messages that a case made another of, oldest first. Their ids are in the event of the stage, and the id
        of what was made in it follows from them (hub.cases)."""
        stages = [e for e in self.recall.rows(t.event, ("subject",), made["case"]) if e["what"].startswith("stage ")]
        for event in stages:
            by = str(event["detail"].get("by", ""))
            name = event["what"].removeprefix("stage ")
            if made["id"] == cases.id_of(made["case"], name, by):
                return [*self._before(made), *by.split(",")]
        return []

    def _before(self, made: Row) -> list[str]:
        """What else the case had then; of each kind the newest comes last."""
        events = self.recall.rows(t.case_event, ("case",), made["case"])
        return [row["message"] for row in events if row["what"] == "message" and row["at"] <= made["at"]]

    def _arrived(self, row: Row, notes: list[Finding]) -> dict[str, Known]:
        try:
            known = self._received(row)
        except (Gone, Damaged) as fault:
            notes.append(Finding(GONE, found=row["id"], expected=fault.finding().found))
            return {}
        if known is None:
            notes.append(Finding(UNKNOWN, found=row["id"]))
            return {}
        have: dict[str, Known] = {known.usage.name: known}
        kind = known.usage.rule.becomes
        if kind:
            rebuilt = self._made(kind, have, self.site.context(row["at"]), row["id"])
            notes += rebuilt.notes
            have |= {kind: rebuilt.made} if rebuilt.made else {}
        return have

    def _received(self, row: Row) -> Received | None:
        """A message as it stands in its interchange. Raises Gone or Damaged."""
        stored = self.recall.one(t.interchange, ("id",), row["interchange"])
        if stored is None:
            return None
        ix = Interchange(**{name: stored[name] for name in Interchange.__slots__})
        file = self.files[ix.id] = File(ix)
        content = opening.content_of(opening.party_of(self.site, ix), self.recall.payload(ix.sha256))
        if isinstance(content, Finding):
            return None
        if row["frame"]:
            return self._message(ix, row, content, file.base)
        opened = opening.open(self.site, ix, content, _at(row), AGAIN)
        self.files[ix.id] = File(ix, content, opened.written)
        number = int(row["id"].rpartition(".")[2]) - (ix.origin.first if ix.origin and ix.is_part else 1)
        if not 0 <= number < len(opened.messages):
            return None
        message = opened.messages[number]
        form = message.usage.form if message.usage else None
        document = form.read(content).documents[number] if form else None
        return received(message, ix.id, content, shift=file.base, document=document)

    def _message(self, ix: Interchange, row: Row, content: bytes, base: int) -> Received | None:
        """One message of an interchange, read alone behind a frame that is written as the interchange is."""
        frame, body = row["frame"].encode("latin-1"), self.recall.payload(row["payload"])
        at = content.find(body)
        envelope: Any = None
        for part in opening.read_edifact(self.site, ix, frame + body, _at(row), AGAIN):
            if isinstance(part, OpenedMessage):
                self.files[ix.id] = File(ix, content, envelope)
                shift = base + at - len(frame)
                return received(part, ix.id, frame + body, envelope, shift) if at >= 0 else None
            envelope = envelope or part
        return None


def _at(row: Row) -> datetime:
    at: datetime = row["at"]
    return at


def sent(site: Site, recall: Recall, row: Row) -> Any:
    """The node of what a delivery carried, read from its bytes; None where they are gone or hold none."""
    usage = site.kinds.get(row["kind"])
    try:
        data = recall.payload(row["payload"])
    except (Gone, Damaged):
        return None
    if usage is None or usage.rule.format != "edifact":
        return opening.reread(usage, data, "", "") if usage else None
    guide = site.guide(row["party"], row["kind"], site.day(row["at"]), usage.rule.association)
    parts = reader.read([data], charset=guide.write.charset or None)
    raw = next((part for part in parts if isinstance(part, RawMessage)), None)
    return structure.build(raw, usage.spec)[0] if raw and usage.spec else None
