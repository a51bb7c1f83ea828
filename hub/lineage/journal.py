"""Every output of what the journal knows by a reference, made again from the kept bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import select

from hub import tracing
from hub.finding import Finding
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.journal.recall import Recall
from hub.journal.statements import Row
from hub.lineage.explain import Explained, Output
from hub.lineage.rebuild import Archive, Rebuilt
from hub.site.check import RECORD
from hub.site.site import Site


def outputs(site: Site, journal: Journal, ref: str, kind: str = "") -> Explained:
    """What became of the messages of a reference: the port's own documents and what each reader got; or of `kind`."""
    recall = Recall(journal)
    archive = Archive(site, recall)
    told = _Told(kind)
    messages = [row["id"] for row in tracing.trace(journal, ref)["messages"]]
    for asked in journal.rows(select(t.message).where(t.message.c.id.in_(messages)).order_by(t.message.c.at)):
        made = asked["canonical_kind"] if asked["interchange"] else asked["kind"]
        if made and made != RECORD:
            told.add(asked, made, archive.canonical(asked))
        for row in recall.rows(t.delivery, ("message",), asked["id"]):
            if row["awaits"] or site.mapping_into(row["kind"], {asked["kind"], made} - {RECORD}):
                told.add(asked, row["kind"], archive.delivered(row), row["party"])
    return Explained(tuple(told.outputs), tuple(told.refused))


@dataclass(slots=True)
class _Told:
    """Outputs of one kind, or of every kind for ""; and what could not be made again, each once."""

    kind: str
    outputs: list[Output] = field(default_factory=list)
    refused: list[Finding] = field(default_factory=list)

    def add(self, asked: Row, kind: str, rebuilt: Rebuilt, reader: str = "") -> None:
        if self.kind not in ("", kind):
            return
        if rebuilt.made is not None:
            self.outputs.append(Output((asked["reference"],), rebuilt.made, reader, rebuilt.notes))
            return
        self.refused += [note for note in rebuilt.notes if note not in self.refused]
