"""Step 10: the sender hears. Every reply is itself a delivery, to the sender's own endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from hub import rejection
from hub.catalogue import LANGUAGES, text
from hub.desk import Desk
from hub.edifact import contrl
from hub.finding import Finding, rejects
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.message import DeliveryState, Interchange, legal
from hub.opening import Opened


def reply(
    desk: Desk, outcome: Outcome, ix: Interchange, opened: Opened, data: bytes, told: Sequence[Finding] = ()
) -> None:
    """CONTRL where one is due, and for a rejection the sender's own file with the reasons in both languages.

    `told` are reasons why something is held although its syntax is right: they are explained, and not in the CONTRL."""
    party, now = desk.site.parties[ix.party], desk.now
    if not party.at:
        return
    wrong = [*opened.findings, *(f for m in opened.messages for f in m.findings if f not in opened.findings)]
    envelope = opened.envelope
    asked = party.acknowledge == "always" or (party.acknowledge == "asked" and envelope and envelope.ack_requested)
    if envelope is not None and party.acknowledge != "never" and (asked or rejects(wrong)):
        number = f"E{desk.numbers.next():09d}"
        judged = [(m.raw, list(m.findings)) for m in opened.messages if m.raw is not None]
        answer = contrl.contrl(
            envelope, judged, list(opened.findings), reference=number, message_reference=number, now=now
        )
        if answer is not None:
            sha = outcome.keep(answer)
            _file(desk, outcome, ix, "contrl", "contrl", f"{legal(ix.name)}.{ix.id}.CONTRL.edi", sha, "inbound")
    wrong += told
    if rejects(wrong):
        words, machine = rejection.explain(ix.name, data, wrong)
        _file(desk, outcome, ix, "original", "", f"{ix.id}.{legal(ix.name)}", outcome.keep(data), "error")
        _file(desk, outcome, ix, "reasons", "", f"{ix.id}.{legal(ix.name)}.error.txt", outcome.keep(words), "error")
        _file(desk, outcome, ix, "findings", "", f"{ix.id}.{legal(ix.name)}.error.json", outcome.keep(machine), "error")


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
    endpoint = desk.site.parties[ix.party].at
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
    for id in known:
        message = recall.one(t.message, ("id",), id)
        if message is not None and message["case"]:
            of_case = recall.rows(t.message, ("case",), message["case"])
            mine += [row["id"] for row in of_case if not row["interchange"]]
    deliveries = [row for id in dict.fromkeys(mine) for row in recall.rows(t.delivery, ("message",), id)]
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
