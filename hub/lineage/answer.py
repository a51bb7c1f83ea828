"""What an answer points to, in the sender's own file: the sender hears where to correct what a reader has refused.

What was delivered is made again only for an answer that points somewhere; the pointer is looked for in the bytes that
the reader got.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from hub import rejection, replies
from hub.desk import Desk
from hub.finding import Finding, Place
from hub.journal.changes import Outcome
from hub.journal.statements import Row
from hub.lineage.documents import Field, Made
from hub.lineage.explain import rule_of
from hub.lineage.marks import Mark, marks
from hub.lineage.pointer import LONGEST, Named, above, found, plain
from hub.lineage.rebuild import CHANGED, Archive, sent
from hub.lineage.sources import Source
from hub.message import Answer
from hub.opening import party_of
from hub.site.site import Usage

MOST_POINTERS = 50
"""Reasons of one answer that are traced back."""
NOWHERE = Place()
TOLD, TOLD_ALL = 20, 200
"""Places in the sender's file that are told of one place in what was sent, and of an answer."""


@dataclass(frozen=True, slots=True)
class Said:
    """One reason of an answer that points somewhere."""

    who: str
    code: str
    text: str
    at: str

    def finding(self, code: str, place: Place = NOWHERE, found: str = "", **more: str) -> Finding:
        args = {"who": self.who, "code": self.code, "said": self.text, "at": self.at[:LONGEST], **more}
        return Finding(code, place, found, args=args)


@dataclass(frozen=True, slots=True)
class Target:
    """What was sent: its marks, as they stand in its bytes, and what was made again of it."""

    usage: Usage
    marks: Mapping[Any, Mark]
    made: Made | None


Traced = tuple[Finding, Source | None]


def told(desk: Desk, outcome: Outcome, id: str, party: str, answered: Row, answer: Answer) -> Answer:
    """Tell the sender of everything that answer `id` points to; the answer, its reasons with their places."""
    pointed = [(at, reason) for at, reason in enumerate(answer.reasons) if len(reason) > 2][:MOST_POINTERS]
    usage = desk.site.kinds.get(answered["kind"])
    if not pointed or usage is None:
        return answer
    archive = Archive(desk.site, desk.recall)
    rebuilt = archive.delivered(answered)
    node = sent(desk.site, desk.recall, answered)
    target = Target(usage, {} if node is None else marks(node), rebuilt.made)
    reasons = list(answer.reasons)
    traced: list[Traced] = []
    for at, reason in pointed:
        mine = list(islice(about(Said(party, *reason[:3]), target), TOLD_ALL - len(traced)))
        traced += mine
        reasons[at] = (*reason, "; ".join(_place(source) for _, source in mine if source))
    notes = [note for note in rebuilt.notes if note.code == CHANGED]
    _file(desk, outcome, id, archive, traced, notes, answer.accepted is False)
    return replace(answer, reasons=tuple(reasons))


def _place(source: Source) -> str:
    at = source.place
    return f"{source.path} @{at.offset}" if at.offset is not None else f"{source.path} :{at.line}"


def about(said: Said, target: Target) -> Iterator[Traced]:
    """What a reason points to, each with the place in the sender's file if it has one."""
    places = found(said.at, target.marks, target.usage)
    if not target.marks:
        yield said.finding("lineage.unknown"), None
    elif not places:
        yield _not_sent(said, target), None
    for place in places:
        yield from islice(_of_place(said, place, target.made), TOLD)


def _not_sent(said: Said, target: Target) -> Finding:
    """A place that is not there: a rule that found nothing for it, or no place at all."""
    rule = rule_of(target.made, plain(said.at)) if target.made and plain(said.at) else None
    around = above(said.at)
    there = not around or found(around, target.marks, target.usage)
    if rule is None or not rule.reads or not there:
        return said.finding("lineage.nowhere")
    reads = ", ".join(path for _, path in rule.reads)
    return said.finding("lineage.absent", rule=f"{rule.spot.file}:{rule.spot.line}", reads=reads)


def _of_place(said: Said, place: Named, made: Made | None) -> Iterator[Traced]:
    fields = made.below(place.cell) if made else []
    if made is None or any(_other(field, place) for field in fields):
        yield said.finding("lineage.unknown", found=place.value or place.path), None
        return
    sources = {source: field for field in fields for source in field.sources}
    if not sources:
        rule = _rule(fields[0]) if fields else f"{made.mapping.name} (UNB…UNT)"
        yield said.finding("lineage.constant", found=place.value or place.path, rule=rule), None
    for source, field in sources.items():
        rules = " ← ".join(f"{step.spot.file}:{step.spot.line}" for step in field.steps[:4])
        yield said.finding("lineage.said", source.place, source.value, path=source.path, rule=rules), source


def _other(field: Field, place: Named) -> bool:
    """True where what is made today is not what was sent; what the port wrote itself is new each time."""
    return bool(place.value and field.sources and field.value != place.value)


def _rule(field: Field) -> str:
    spot = field.steps[-1].spot
    return f"{spot.file}:{spot.line}"


def _file(
    desk: Desk, outcome: Outcome, id: str, archive: Archive, traced: list[Traced], notes: list[Finding], refused: bool
) -> None:
    """To the sender of each file that is spoken of; what has no place in one goes with the first."""
    severity = "error" if refused else "warning"
    first = next(iter(archive.files), "")
    of_file: dict[str, list[Finding]] = {}
    for finding, source in traced:
        name = source.file if source else first
        of_file.setdefault(name, []).append(replace(finding, severity=severity))  # type: ignore[arg-type]
    for name, findings in of_file.items():
        file = archive.files.get(name)
        if file is None or not party_of(desk.site, file.ix).at:
            continue
        here = [*(rejection.moved(finding, -file.base) for finding in findings), *notes]
        words, machine = rejection.explain(file.ix.name, file.data, here, file.base, file.written)
        replies.tell(desk, outcome, file.ix, id, words, machine)
