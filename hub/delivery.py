"""Step 6: map, check the output too, sign. What is signed is byte for byte what is sent (hub.courier sends it)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.desk import Desk
from hub.edifact import elements, reader, structure, writer
from hub.edifact.model import Envelope, RawMessage
from hub.errors import IdentityError
from hub.finding import Finding, rejects
from hub.identity import cms, xmldsig
from hub.journal.changes import Outcome
from hub.journal.statements import Row
from hub.message import DeliveryState, legal
from hub.routing import Leg
from hub.site.forms import EXTENSIONS
from hub.site.site import Site, Usage
from hub.standards.guide import PLAIN, Guide, Write


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


def prepare(desk: Desk, outcome: Outcome, source: Source, leg: Leg) -> None:
    """Add one delivery to `outcome`, mapped, checked and signed; held with its reason where that fails."""
    delivery = f"{source.message}-{leg.party}"
    number = desk.numbers.next()
    made = _make(desk.site, outcome, source, leg, number, desk.now)
    outcome.add(
        "delivery",
        id=delivery,
        message=source.message,
        party=leg.party,
        endpoint=desk.site.parties[leg.party].at,
        kind=leg.kind,
        folder="inbound",
        order_key=source.order_key,
        awaits=leg.owed.level if leg.owed else "",
        due_at=desk.now + leg.owed.within if leg.owed else None,
        at=desk.now,
        **made,
    )
    bound = _bound(desk.site, source, leg, made)
    outcome.event(delivery, made["state"], why=made["reason"], **bound)
    _refer(desk, outcome, source, delivery, leg, number, made["reason"])


def again(desk: Desk, outcome: Outcome, source: Source, row: Row) -> None:
    """Make a held delivery anew: the declarations have changed meanwhile."""
    leg = Leg(row["party"], row["kind"], None)
    number = desk.numbers.next()
    made = _make(desk.site, outcome, source, leg, number, desk.now)
    bound = _bound(desk.site, source, leg, made)
    made |= {"due_at": due_again(desk.site, row, desk.now), "overdue": False}
    outcome.move("delivery", row["id"], (DeliveryState.RELEASED,), told=bound, tries=0, **made)
    _refer(desk, outcome, source, row["id"], leg, number, made["reason"])


def due_again(site: Site, row: Row, now: datetime) -> datetime | None:
    """When the answer to a delivery that goes only now, or once more, is due: nobody is late with what has not come."""
    owed = (r.answer for r in site.routes.routes.values() if r.to.get(row["party"]) == row["kind"] and r.answer)
    rule = next(owed, None)
    return now + rule.within if rule and row["due_at"] else row["due_at"]


def _make(site: Site, outcome: Outcome, source: Source, leg: Leg, number: int, now: datetime) -> dict[str, Any]:
    """What making the delivery's bytes gives: name, payloads, state, clocks."""
    usage = site.kinds[leg.kind]
    endpoint = site.routes.endpoints[site.parties[leg.party].at]
    reference = f"E{number:09d}"
    data, findings = render(site, source, leg, reference, now)
    held = rejects(findings)
    signature = b""
    how = endpoint.sign.get(usage.rule.format)
    if how and site.signer and not held:
        try:
            if how == "xmldsig":
                data = xmldsig.sign(data, site.signer, now)
            else:
                signature = cms.sign(data, site.signer, now)
        except IdentityError as fault:
            findings, held = [*findings, Finding("identity.unusable", found=str(fault))], True
    extension = EXTENSIONS[usage.rule.format]
    answers = f"{legal(source.name)}.{now:%Y%m%dT%H%M%SZ}." if source.name and leg.party == source.sender else ""
    return {
        "name": f"{answers}{leg.kind}-{reference}.{extension}",
        "payload": outcome.keep(data),
        "signature": outcome.keep(signature) if signature else "",
        "state": DeliveryState.HELD if held else DeliveryState.PENDING,
        "reason": "; ".join(f"{f.code} {f.found}" for f in findings if f.severity == "error"),
        "next_at": now,
        "give_up_at": now + endpoint.retry.give_up,
    }


def _bound(site: Site, source: Source, leg: Leg, made: Mapping[str, Any]) -> dict[str, str]:
    """What the event of a delivery's making holds fast (hub.evidence): to whom, which bytes, made by what."""
    found = None if leg.kind in source.data else site.mapping_into(leg.kind, set(source.nodes))
    how = site.routes.endpoints[site.parties[leg.party].at].sign.get(site.kinds[leg.kind].rule.format, "")
    return {
        "kind": leg.kind,
        "to": leg.party,
        "name": made["name"],
        "sha256": made["payload"],
        "signature": made["signature"],
        "signed": how if site.signer and made["state"] != DeliveryState.HELD else "",
        "mapping": found[1].sha256 if found else "",
        "site": site.fingerprint,
    }


def _refer(desk: Desk, outcome: Outcome, source: Source, delivery: str, leg: Leg, number: int, why: str) -> None:
    """The references that an answer may quote; or, where nothing could be made, the entry in the list of what waits."""
    if why:
        outcome.wait("delivery", delivery, "delivery.not_made", desk.look_by, why)
        return
    for name, value in (("reference", f"E{number:09d}"), *source.keys):
        if value:
            outcome.add("reference", party=leg.party, name=name, value=value, delivery=delivery)


def render(site: Site, source: Source, leg: Leg, reference: str, now: datetime) -> tuple[bytes, list[Finding]]:
    """The bytes of one delivery before its signature, and what is wrong with them."""
    if leg.kind in source.data:
        return source.data[leg.kind], []
    found = site.mapping_into(leg.kind, set(source.nodes))
    if found is None:
        return b"", [Finding("routing.no_mapping", found=", ".join(source.nodes), expected=leg.kind)]
    names, mapping = found
    usage = site.kinds[leg.kind]
    guide = site.guide(leg.party, leg.kind, site.day(now), usage.rule.association)
    context = context_of(site, leg, source.sender, reference, now)
    node, findings = mapping.apply(_sources(names, source.nodes, mapping), context)
    if node is None or rejects(findings):
        return b"", findings
    if usage.rule.format != "edifact":
        data, wrong = usage.write(node)
        return data, [*findings, *guide.checked(wrong, node)]
    try:
        data = interchange(site, usage, node, leg.party, reference, now, guide.write)
    except writer.EncodingLost as lost:
        return b"", [*findings, Finding("delivery.charset", found=str(lost), expected=leg.party)]
    return data, [*findings, *_recheck(usage, data, guide)]


def context_of(site: Site, leg: Leg, sender: str, reference: str, now: datetime) -> dict[str, str]:
    """What the mapping of a delivery may read as $name, and the charset that its reader takes."""
    guide = site.guide(leg.party, leg.kind, site.day(now), site.kinds[leg.kind].rule.association)
    context = site.context(now, reference=reference, sender=sender, recipient=leg.party, port=site.routes.port)
    return {**context, "charset": _charset(guide.write)}


def _sources(names: tuple[str, ...], nodes: dict[str, Any], mapping: Any) -> dict[str, Any]:
    """Nodes under the names that the mapping calls them by."""
    aliases: dict[str, str] = mapping.sources
    return {alias: nodes[kind] for alias, kind in aliases.items()} if len(names) else {}


def interchange(
    site: Site, usage: Usage, node: Any, party: str, reference: str, now: datetime, how: Write = PLAIN
) -> bytes:
    """One message in its envelope (UNB … UNZ), as the party's guide wants it written."""
    text = usage.write_edifact(node, reference, how.separators)
    envelope = Envelope(
        syntax=how.syntax,
        version=how.version,
        sender=site.parties[site.routes.port].edi or site.routes.port,
        sender_qualifier="ZZZ",
        recipient=site.parties[party].edi or party,
        recipient_qualifier="ZZZ",
        prepared="",
        reference=reference,
        separators=how.separators,
    )
    return writer.write_interchange(envelope, [text], now, charset=_charset(how), una=how.una)


def _charset(how: Write) -> str:
    """The Python codec that EDIFACT is written in."""
    return how.charset or reader.CHARSETS[how.syntax]


def _recheck(usage: Usage, data: bytes, guide: Guide) -> list[Finding]:
    """Our own output passes the same checks as anybody's, those of its reader's guide among them."""
    findings: list[Finding] = []
    for part in reader.read([data], charset=guide.write.charset or None):
        findings.extend(part.findings)
        if isinstance(part, RawMessage) and usage.spec and usage.directory:
            tree, wrong = structure.build(part, usage.spec)
            findings.extend(guide.checked([*wrong, *elements.check(part, usage.directory)], tree))
    return findings
