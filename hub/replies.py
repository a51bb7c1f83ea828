"""Step 10: the sender hears. Every reply is itself a delivery, to the sender's own endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from hub import rejection
from hub.catalogue import LANGUAGES, contrl_code, text
from hub.desk import Desk
from hub.edifact import aperak, contrl
from hub.finding import Finding, rejects
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.message import DeliveryState, Interchange, legal
from hub.opening import Opened, party_of
from hub.site.model import Party


@dataclass(frozen=True, slots=True)
class Answer:
    """One interchange that the sender gets back: `kind` contrl or aperak."""

    kind: str
    data: bytes


def reply(desk: Desk, outcome: Outcome, ix: Interchange, opened: Opened, told: Sequence[Finding] = ()) -> None:
    """CONTRL and APERAK where they are due, and for a rejection the sender's own file with the reasons in both
    languages.

    `told` are reasons why something is held although its syntax is right: they are explained, and not in the CONTRL."""
    party = party_of(desk.site, ix)
    if not party.at:
        return
    for answer in answers(party, opened, desk.numbers.next, desk.now):
        name = f"{legal(ix.name)}.{ix.id}.{answer.kind.upper()}.edi"
        _file(desk, outcome, ix, answer.kind, answer.kind, name, outcome.keep(answer.data), "inbound")
    explain(desk, outcome, ix, opened, [*opened.every(), *told])


def explain(desk: Desk, outcome: Outcome, ix: Interchange, opened: Opened, wrong: Sequence[Finding]) -> None:
    """For a rejection the sender's own file as it came, and beside it the reasons for a person and for a program; else
    only what a guide tolerates and tells."""
    if not party_of(desk.site, ix).at:
        return
    base = ix.origin.base if ix.origin else 0
    if not rejects(list(wrong)):
        if told := [finding for finding in wrong if finding.args.get("tell")]:
            words, _ = rejection.explain(ix.name, opened.data, told, base, opened.written)
            _file(desk, outcome, ix, "told", "", f"{legal(ix.name)}.{ix.id}.told.txt", outcome.keep(words), "inbound")
        return
    words, machine = rejection.explain(ix.name, opened.data, wrong, base, opened.written)
    outcome.use(ix.sha256)
    _file(desk, outcome, ix, "original", "", f"{ix.id}.{legal(ix.name)}", ix.sha256, "error")
    _file(desk, outcome, ix, "reasons", "", f"{ix.id}.{legal(ix.name)}.error.txt", outcome.keep(words), "error")
    _file(desk, outcome, ix, "findings", "", f"{ix.id}.{legal(ix.name)}.error.json", outcome.keep(machine), "error")


def tell(desk: Desk, outcome: Outcome, ix: Interchange, answer: str, words: bytes, machine: bytes) -> None:
    """What a reader's answer, the message of this id, says of the sender's file (hub.lineage.answer)."""
    name, what = f"{ix.id}.{legal(ix.name)}.{legal(answer)}", f"said-{answer}"
    _file(desk, outcome, ix, what, "", f"{name}.error.txt", outcome.keep(words), "error")
    _file(desk, outcome, ix, f"{what}-findings", "", f"{name}.error.json", outcome.keep(machine), "error")


def answers(party: Party, opened: Opened, next_number: Callable[[], int], now: datetime) -> list[Answer]:
    """What the sender of an EDIFACT interchange gets: a CONTRL, which speaks of syntax, where it was asked for or
    something is wrong; and an APERAK about messages that are right by syntax and wrong by content. To an answer none,
    and none where UNB names nobody (a person is told)."""
    envelope = opened.envelope
    if envelope is None or party.acknowledge == "never":
        return []
    judged = [(message.raw, list(message.findings)) for message in opened.messages if message.raw]
    found: list[Answer] = []
    asked = party.acknowledge == "always" or envelope.ack_requested
    if asked or any(finding.severity == "error" and contrl_code(finding) for finding in opened.every()):
        number, groups = f"E{next_number():09d}", opened.groups
        syntax = contrl.contrl(
            envelope, judged, opened.findings, groups=groups, reference=number, message_reference=number, now=now
        )
        found += [Answer("contrl", syntax)] if syntax else []
    if any(message.rejected for message in opened.messages):
        number = f"E{next_number():09d}"
        content = aperak.aperak(envelope, judged, reference=number, message_reference=number, now=now)
        found += [Answer("aperak", content)] if content else []
    return found


def _file(
    desk: Desk,
    outcome: Outcome,
    ix: Interchange,
    what: str,
    kind: str,
    name: str,
    payload: str,
    folder: str,
) -> None:
    """One file to the sender's own endpoint; nothing is awaited for it."""
    endpoint = party_of(desk.site, ix).at
    id = f"{ix.id}-{ix.party}-{what}"
    outcome.event(id, DeliveryState.PENDING, kind=kind or what, to=ix.party, name=name, sha256=payload)
    outcome.add(
        "delivery",
        id=id,
        message=ix.id,
        party=ix.party,
        endpoint=endpoint,
        kind=kind,
        name=name,
        payload=payload,
        signature="",
        folder=folder,
        state=DeliveryState.PENDING,
        order_key="",
        next_at=desk.now,
        give_up_at=desk.now + desk.site.routes.endpoints[endpoint].retry.give_up,
        at=desk.now,
    )


def again(desk: Desk, outcome: Outcome, ix: Interchange, known: Sequence[str]) -> None:
    """Send once more, byte for byte, what the sender was told about these interchanges and messages; where those bytes
    were kept long enough, a note that it was known before."""
    recall = desk.recall
    mine = list(known)
    for message in recall.fetch(t.message, ("id",), [(id,) for id in known]):
        if message["case"]:
            of_case = recall.rows(t.message, ("case",), message["case"])
            mine += [row["id"] for row in of_case if not row["interchange"]]
    deliveries = recall.fetch(t.delivery, ("message",), [(id,) for id in mine])
    told = [row for row in deliveries if row["party"] == ix.party and row["folder"] == "inbound"]
    gone = recall.removed(row["payload"] for row in told) if told else {}
    if gone:
        note = {"name": ix.name, "first": known[0], "until": f"{min(gone.values()):%Y-%m-%d}"}
        said = "\n".join(text("replies.gone", lang, **note) for lang in LANGUAGES) + "\n"
        name = f"{legal(ix.name)}.{ix.id}.duplicate.txt"
        _file(desk, outcome, ix, "known", "", name, outcome.keep(said.encode()), "inbound")
        return
    outcome.use(*(row["payload"] for row in told))
    for count, row in enumerate(sorted(told, key=lambda row: int(row["seq"])), 1):
        extension = row["name"].rsplit(".", 1)[-1]
        name = f"{legal(ix.name)}.{ix.id}.{row['kind']}-again{count}.{extension}"
        _file(desk, outcome, ix, f"again{count}", row["kind"], name, row["payload"], "inbound")
