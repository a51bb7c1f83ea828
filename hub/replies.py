"""Step 10: the sender hears. Every reply is itself a delivery, to the sender's own endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from hub import rejection
from hub.edifact import contrl
from hub.finding import Finding, rejects
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.numbers import Numbers
from hub.message import DeliveryState, Interchange
from hub.opening import Opened
from hub.site.site import Site


def reply(
    site: Site,
    numbers: Numbers,
    outcome: Outcome,
    ix: Interchange,
    opened: Opened,
    data: bytes,
    now: datetime,
    told: Sequence[Finding] = (),
) -> None:
    """CONTRL where one is due, and for a rejection the sender's own file with the reasons in both languages.

    `told` are reasons why something is held although its syntax is right: they are explained, and not in the CONTRL."""
    party = site.parties[ix.party]
    if not party.at:
        return
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    wrong = [*opened.findings, *(f for m in opened.messages for f in m.findings if f not in opened.findings)]
    envelope = opened.envelope
    asked = party.acknowledge == "always" or (party.acknowledge == "asked" and envelope and envelope.ack_requested)
    if envelope is not None and party.acknowledge != "never" and (asked or rejects(wrong)):
        number = f"E{numbers.next():09d}"
        judged = [(m.raw, list(m.findings)) for m in opened.messages if m.raw is not None]
        answer = contrl.contrl(
            envelope, judged, list(opened.findings), reference=number, message_reference=number, now=now
        )
        if answer is not None:
            sha = outcome.keep(answer)
            _file(site, outcome, ix, "contrl", "contrl", f"{ix.name}.{stamp}.CONTRL.edi", sha, "inbound", now)
    wrong += told
    if rejects(wrong):
        text, machine = rejection.explain(ix.name, data, wrong)
        _file(site, outcome, ix, "original", "", f"{stamp}.{ix.name}", outcome.keep(data), "error", now)
        _file(site, outcome, ix, "reasons", "", f"{stamp}.{ix.name}.error.txt", outcome.keep(text), "error", now)
        _file(
            site,
            outcome,
            ix,
            "findings",
            "",
            f"{stamp}.{ix.name}.error.json",
            outcome.keep(machine),
            "error",
            now,
        )


def _file(
    site: Site,
    outcome: Outcome,
    ix: Interchange,
    what: str,
    kind: str,
    name: str,
    payload: str,
    folder: str,
    now: datetime,
) -> None:
    """One file to the sender's own endpoint; nothing is awaited for it."""
    endpoint = site.parties[ix.party].at
    outcome.add(
        "delivery",
        id=f"{ix.id}-{ix.party}-{what}",
        message=ix.id,
        party=ix.party,
        endpoint=endpoint,
        kind=kind,
        name=name[-128:],
        payload=payload,
        signature="",
        folder=folder,
        state=DeliveryState.PENDING,
        order_key="",
        next_at=now,
        give_up_at=now + site.routes.endpoints[endpoint].retry.give_up,
        at=now,
    )


def again(site: Site, journal: Journal, outcome: Outcome, ix: Interchange, original: str, now: datetime) -> None:
    """Send the stored receipts of the original once more, byte for byte."""
    m, d = t.message, t.delivery
    mine = [original]
    for message in journal.rows(select(m.c.id, m.c.case).where(m.c.interchange == original)):
        if message["case"]:
            made = select(m.c.id).where(m.c.case == message["case"], m.c.interchange == "")
            mine += [row["id"] for row in journal.rows(made)]
    told = select(d).where(d.c.message.in_(mine), d.c.party == ix.party, d.c.folder == "inbound").order_by(d.c.seq)
    for count, row in enumerate(journal.rows(told), 1):
        extension = row["name"].rsplit(".", 1)[-1]
        name = f"{ix.name}.{now:%Y%m%dT%H%M%SZ}.{row['kind']}-again{count}.{extension}"
        _file(site, outcome, ix, f"again{count}", row["kind"], name, row["payload"], "inbound", now)
