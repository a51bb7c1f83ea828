"""Steps 6 and 7: map, check the output too, sign, hand over. What is signed is byte for byte what is sent."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import RowMapping

from hub.contract import Handover, Known, Outlet, Parcel
from hub.edifact import elements, reader, structure, writer
from hub.edifact.model import Envelope, RawMessage, Separators
from hub.errors import Stale
from hub.finding import Finding, rejects
from hub.identity import cms, xmldsig
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.message import DeliveryState
from hub.routing import Leg
from hub.site.model import Retry
from hub.site.site import Site, Usage


@dataclass(frozen=True, slots=True)
class Source:
    """What a delivery is mapped from: nodes by kind, the message they belong to, and its keys."""

    message: str
    nodes: dict[str, Any]
    data: dict[str, bytes]
    sender: str
    keys: tuple[tuple[str, str], ...]
    order_key: str
    name: str = ""  # the file that is being answered


def prepare(site: Site, outcome: Outcome, source: Source, leg: Leg, number: int, now: datetime) -> list[Finding]:
    """Add one delivery to `outcome`, mapped, checked and signed; held with its reason where that fails."""
    usage = site.kinds[leg.kind]
    party = site.parties[leg.party]
    endpoint = site.routes.endpoints[party.at]
    reference = f"E{number:09d}"
    data, findings = render(site, source, leg, reference, now)
    signature = b""
    how = endpoint.sign.get(usage.rule.format)
    if how and site.signer and not rejects(findings):
        if how == "xmldsig":
            data = xmldsig.sign(data, site.signer, now)
        else:
            signature = cms.sign(data, site.signer, now)
    delivery = f"{source.message}-{leg.party}"
    held = rejects(findings)
    extension = "xml" if usage.rule.format == "xml" else "edi"
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    answers = f"{source.name}.{stamp}." if source.name and leg.party == source.sender else ""
    outcome.add(
        "delivery",
        id=delivery,
        message=source.message,
        party=leg.party,
        endpoint=party.at,
        kind=leg.kind,
        name=f"{answers}{leg.kind}-{reference}.{extension}"[-120:],
        payload=outcome.keep(data),
        signature=outcome.keep(signature) if signature else "",
        folder="inbound",
        state=DeliveryState.HELD if held else DeliveryState.PENDING,
        reason="; ".join(f"{f.code} {f.found}" for f in findings if f.severity == "error"),
        order_key=source.order_key,
        next_at=now,
        give_up_at=now + endpoint.retry.give_up,
        awaits=leg.owed.level if leg.owed else "",
        due_at=now + leg.owed.within if leg.owed else None,
        at=now,
    )
    outcome.event(delivery, "held" if held else "pending", kind=leg.kind, reference=reference)
    outcome.add("reference", party=leg.party, name="reference", value=reference, delivery=delivery)
    for name, value in source.keys:
        if value:
            outcome.add("reference", party=leg.party, name=name, value=value, delivery=delivery)
    return findings


def render(site: Site, source: Source, leg: Leg, reference: str, now: datetime) -> tuple[bytes, list[Finding]]:
    """The bytes of one delivery before its signature, and what is wrong with them."""
    if leg.kind in source.data:
        return source.data[leg.kind], []
    found = site.mapping_into(leg.kind, set(source.nodes))
    if found is None:
        return b"", [Finding("routing.no_mapping", found=", ".join(source.nodes), expected=leg.kind)]
    names, mapping = found
    usage = site.kinds[leg.kind]
    context = site.context(now, reference=reference, sender=source.sender, recipient=leg.party, port=site.routes.port)
    node, findings = mapping.apply(_sources(names, source.nodes, mapping), context)
    if node is None or rejects(findings):
        return b"", findings
    if usage.rule.format == "xml":
        data, wrong = usage.write(node)
        return data, [*findings, *wrong]
    data = interchange(site, usage, node, leg.party, reference, now)
    return data, [*findings, *_recheck(usage, data)]


def _sources(names: tuple[str, ...], nodes: dict[str, Any], mapping: Any) -> dict[str, Any]:
    """Nodes under the names that the mapping calls them by."""
    aliases: dict[str, str] = mapping.sources
    return {alias: nodes[kind] for alias, kind in aliases.items()} if len(names) else {}


def interchange(site: Site, usage: Usage, node: Any, party: str, reference: str, now: datetime) -> bytes:
    """One message in its envelope (UNB … UNZ), syntax version 3."""
    separators = Separators()
    text = usage.write_edifact(node, reference, separators)
    envelope = Envelope(
        syntax="UNOC",
        version="3",
        sender=site.parties[site.routes.port].edi or site.routes.port,
        sender_qualifier="ZZZ",
        recipient=site.parties[party].edi or party,
        recipient_qualifier="ZZZ",
        prepared="",
        reference=reference,
        separators=separators,
    )
    return writer.write_interchange(envelope, [text], now, charset=site.parties[party].charset or "latin-1")


def _recheck(usage: Usage, data: bytes) -> list[Finding]:
    """Our own output passes the same checks as anybody's."""
    findings: list[Finding] = []
    for part in reader.read([data]):
        findings.extend(part.findings)
        if isinstance(part, RawMessage) and usage.spec and usage.directory:
            findings.extend(structure.build(part, usage.spec)[1])
            findings.extend(elements.check(part, usage.directory))
    return findings


# ---- step 7: the courier


def parcel(journal: Journal, row: RowMapping) -> Parcel:
    """The bytes of a delivery row, ready to be handed over."""
    beside = ((f"{row['name']}.p7s", journal.payload(row["signature"])),) if row["signature"] else ()
    return Parcel(row["id"], row["name"], journal.payload(row["payload"]), row["folder"], beside)


def send(journal: Journal, outlet: Outlet, endpoint: str, retry: Retry, now: datetime, limit: int = 50) -> int:
    """One round for one endpoint: mark SENDING (commit), hand over, mark what became of it (commit)."""
    rows = journal.due(endpoint, now, limit)
    if not rows:
        return 0
    marks = Outcome()
    for row in rows:
        marks.move("delivery", row["id"], (row["state"],), state=DeliveryState.SENDING, tries=row["tries"] + 1)
    journal.commit([marks], now)
    settle(journal, rows, outlet.send([parcel(journal, row) for row in rows]), retry, now)
    return len(rows)


def resolve(journal: Journal, outlet: Outlet, endpoint: str, retry: Retry, now: datetime) -> int:
    """Look for evidence of what a dead courier left in SENDING and of every delivery in doubt. Nothing is sent."""
    rows = journal.in_state(endpoint, (DeliveryState.SENDING, DeliveryState.IN_DOUBT))
    if rows:
        settle(journal, rows, outlet.probe([parcel(journal, row) for row in rows]), retry, now)
    return len(rows)


_UNDER_WAY = (DeliveryState.SENDING, DeliveryState.IN_DOUBT)


def settle(journal: Journal, rows: Sequence[RowMapping], told: Any, retry: Retry, now: datetime) -> None:
    """Record what is known of each handover, one commit for all. A receipt that was faster keeps its say."""
    by_id = {row["id"]: row for row in rows}
    outcomes = [_result(by_id[handover.delivery], handover, retry, now) for handover in told]
    try:
        journal.commit(outcomes, now)
    except Stale:
        for outcome in outcomes:
            try:
                journal.commit([outcome], now)
            except Stale:
                continue  # a receipt came first: it is the stronger evidence


def _result(row: RowMapping, handover: Handover, retry: Retry, now: datetime) -> Outcome:
    outcome = Outcome()
    state, values = _next(row, handover, retry, now)
    if state == row["state"] == DeliveryState.IN_DOUBT:
        return outcome
    outcome.move("delivery", row["id"], _UNDER_WAY, state=state, **values)
    outcome.event(row["id"], "attempt", known=handover.known, evidence=handover.evidence, tries=row["tries"])
    return outcome


def _next(row: RowMapping, handover: Handover, retry: Retry, now: datetime) -> tuple[DeliveryState, dict[str, Any]]:
    why = {"reason": handover.evidence}
    match handover.known:
        case Known.DONE:
            return DeliveryState.SENT, {"sent_at": now, **why}
        case Known.NOT_DONE if now >= row["give_up_at"]:
            return DeliveryState.DEAD, why
        case Known.NOT_DONE:
            return DeliveryState.FAILED, {"next_at": now + wait(retry, row["tries"]), **why}
        case Known.REFUSED:
            return DeliveryState.DEAD, why
        case Known.UNTRUSTED:
            return DeliveryState.HELD, why
        case _:
            return DeliveryState.IN_DOUBT, why


def wait(retry: Retry, tries: int) -> timedelta:
    """Doubling from `first` to `longest`, full jitter."""
    top = min(retry.longest.total_seconds(), retry.first.total_seconds() * 2 ** min(tries, 20))
    return timedelta(seconds=random.uniform(retry.first.total_seconds() / 2, top))  # noqa: S311
