"""The journey of a message, as a table of steps. Start reading here.

    step  who      function            what is durable afterwards
    1     gate     intake.accept       nothing; the source still holds it
    2     gate     intake.accept       the interchange; only then the source is settled
    3, 4  worker   opening.open        \\
    5     worker   receipts.correlate   |  messages, deliveries, receipts, case events, replies:
          worker   routing.plan         |  one commit for 3 to 6 and 8, for many interchanges at once
    6     worker   delivery.prepare     |
    8     worker   receipts.settle      |
    10    worker   receipts and CONTRL /
    7     courier  delivery.send       each attempt
    9     worker   cases               stages, and the messages that a finished stage sends

A step never writes: it adds to an Outcome, and the journal commits the Outcome whole. A crash repeats a step, never
half of one; a step whose facts have changed meanwhile (Stale) is done again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from lxml import etree
from sqlalchemy import select

from hub import cases, delivery, opening, receipts, rejection, routing
from hub.edifact import contrl
from hub.errors import JournalError, Stale
from hub.finding import Finding, rejects
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.message import DeliveryState, Interchange, InterchangeState, MessageState, ReceiptState
from hub.opening import Opened, OpenedMessage
from hub.routing import Leg
from hub.site.site import Site
from hub.xml import gate

BATCH = 50
POISON = 3
"""A worker that broke this often on the same interchange is not given it again."""


class Numbers:
    """Control references, fetched a block at a time so that a batch costs one commit."""

    def __init__(self, journal: Journal, block: int = 500) -> None:
        self._journal, self._block = journal, block
        self._left: Iterator[int] = iter(())

    def next(self) -> int:
        number = next(self._left, None)
        if number is None:
            self._left = iter(self._journal.numbers("reference", self._block))
            number = next(self._left)
        return number


def work(site: Site, journal: Journal, numbers: Numbers, now: datetime) -> int:
    """One round of a worker: open what was received, advance the cases that are ripe. How much was done."""
    interchanges = journal.claim_interchanges(BATCH)
    _commit_each(journal, interchanges, lambda one: open_one(site, journal, numbers, one, now), now)
    ripe = journal.claim_cases(BATCH)
    _commit_each(journal, ripe, lambda one: advance_one(site, journal, numbers, one, now), now)
    return len(interchanges) + len(ripe)


def _commit_each(journal: Journal, items: list[Any], step: Any, now: datetime) -> None:
    """All in one commit; one by one, read afresh, where they rely on each other or on what has changed."""
    if not items:
        return
    try:
        journal.commit([step(item) for item in items], now)
    except Stale:
        for item in items:
            _until_fresh(journal, item, step, now)


def _until_fresh(journal: Journal, item: Any, step: Any, now: datetime, tries: int = 20) -> None:
    for _ in range(tries):
        try:
            journal.commit([step(item)], now)
            return
        except Stale as last:
            fault = last
    raise JournalError(f"{item} was changed {tries} times while it was worked on") from fault


# ---- steps 3 to 6, 8 and 10 for one interchange


def open_one(site: Site, journal: Journal, numbers: Numbers, ix: Interchange, now: datetime) -> Outcome:
    """Everything that follows from one interchange."""
    outcome = Outcome()
    if ix.tries > POISON:
        _close(outcome, ix, InterchangeState.QUARANTINED, f"broke the worker {POISON} times")
        return outcome
    data = journal.payload(ix.sha256)
    opened = opening.open(site, ix, data, now)
    if opened.reference and _seen_before(site, journal, numbers, outcome, ix, opened, now):
        return outcome
    if opened.reference and not opened.rejected:
        outcome.add("envelope", party=ix.party, reference=opened.reference, interchange=ix.id, sha256=ix.sha256)
    results = [
        _message(site, journal, numbers, outcome, ix, opened, index, message, now)
        for index, message in enumerate(opened.messages, 1)
    ]
    accepted = any(results) or (not opened.rejected and not opened.messages)
    _close(outcome, ix, InterchangeState.OPENED if accepted else InterchangeState.REJECTED, _why(opened))
    _reply(site, numbers, outcome, ix, opened, data, now)
    return outcome


def _close(outcome: Outcome, ix: Interchange, state: InterchangeState, reason: str = "", original: str = "") -> None:
    outcome.move(
        "interchange",
        ix.id,
        (InterchangeState.RECEIVED,),
        state=state,
        reason=reason,
        original=original,
        holder=None,
    )


def _why(opened: Opened) -> str:
    errors = [f for m in opened.messages for f in m.findings] or list(opened.findings)
    return "; ".join(dict.fromkeys(f"{f.code} {f.found}".strip() for f in errors if f.severity == "error"))[:500]


def _seen_before(
    site: Site,
    journal: Journal,
    numbers: Numbers,
    outcome: Outcome,
    ix: Interchange,
    opened: Opened,
    now: datetime,
) -> bool:
    """The same envelope again: same bytes get the stored receipts again, other bytes are a conflict."""
    e = t.envelope
    seen = journal.row(select(e).where(e.c.party == ix.party, e.c.reference == opened.reference))
    if seen is None:
        return False
    if seen["sha256"] != ix.sha256:
        finding = Finding("opening.conflict", found=opened.reference, expected=seen["interchange"])
        _close(
            outcome,
            ix,
            InterchangeState.CONFLICT,
            f"{finding.code} {seen['interchange']}",
            seen["interchange"],
        )
        refused = Opened(opened.messages, (*opened.findings, finding), opened.envelope)
        _reply(site, numbers, outcome, ix, refused, journal.payload(ix.sha256), now)
        return True
    _close(outcome, ix, InterchangeState.DUPLICATE, f"the same as {seen['interchange']}", seen["interchange"])
    _again(site, journal, outcome, ix, seen["interchange"], now)
    return True


def _again(site: Site, journal: Journal, outcome: Outcome, ix: Interchange, original: str, now: datetime) -> None:
    """Send the stored receipts of the original once more, byte for byte."""
    m, d = t.message, t.delivery
    mine = [original]
    for message in journal.rows(select(m.c.id, m.c.case).where(m.c.interchange == original)):
        if message["case"]:
            made = select(m.c.id).where(m.c.case == message["case"], m.c.interchange == "")
            mine += [row["id"] for row in journal.rows(made)]
    told = select(d).where(d.c.message.in_(mine), d.c.party == ix.party, d.c.folder == "inbound").order_by(d.c.seq)
    for count, row in enumerate(journal.rows(told), 1):
        tail = row["name"].rsplit("-", 1)[-1] if "-" in row["name"] else row["name"].rsplit(".", 2)[-2]
        extension = row["name"].rsplit(".", 1)[-1]
        name = f"{ix.name}.{now:%Y%m%dT%H%M%SZ}.{row['kind']}-{tail.split('.')[0]}-again.{extension}"
        _file(site, outcome, ix, f"again{count}", row["kind"], name, row["payload"], "inbound", now)


def _message(
    site: Site,
    journal: Journal,
    numbers: Numbers,
    outcome: Outcome,
    ix: Interchange,
    opened: Opened,
    index: int,
    message: OpenedMessage,
    now: datetime,
) -> bool:
    """One message of an interchange: rejected, duplicate, an answer, or routed. True unless it is rejected."""
    id = f"{ix.id}.{index}"
    state, reason = MessageState.ROUTED, ""
    case = _case_of(site, ix.party, message)
    supersedes = ""
    if message.rejected or message.usage is None:
        state, reason = (
            MessageState.REJECTED,
            "; ".join(f"{f.code} {f.found}" for f in message.findings)[:500],
        )
    elif message.document:
        state, reason, supersedes = _known_document(journal, outcome, ix, id, message)
    answered: Any = None
    receipt_state: ReceiptState | None = None
    if state is MessageState.ROUTED and message.answer is not None:
        answered = receipts.correlate(journal, ix.party, message.answer)
        had = receipts.earlier(journal, answered["id"]) if answered else []
        receipt_state = receipts.judge(answered, had, message.answer, now)
        state = MessageState.DONE
    test = bool(opened.envelope and opened.envelope.test)
    legs: list[Leg] = []
    if state is MessageState.ROUTED and message.usage is not None:
        kinds = [k for k in (message.usage.name, message.usage.rule.becomes) if k]
        legs = routing.plan(site, kinds, ix.party, test, _holders(journal, supersedes))
        if not legs and not case:
            state, reason = MessageState.HELD, "routing.no_route"
    becomes = message.usage.rule.becomes if message.usage else ""
    outcome.add(
        "message",
        id=id,
        interchange=ix.id,
        kind=message.usage.name if message.usage else "",
        system=message.usage.system if message.usage else "",
        sender=ix.party,
        reference=message.reference,
        keys=dict(message.keys),
        document=message.document,
        function=message.function,
        payload=outcome.keep(message.data),
        canonical_kind=becomes,
        canonical=outcome.keep(message.canonical_data) if message.canonical_data else "",
        state=state,
        reason=reason,
        supersedes=supersedes,
        test=test,
        case=case if state is MessageState.ROUTED else "",
        at=now,
    )
    outcome.event(id, str(state), kind=message.usage.name if message.usage else "", why=reason)
    if receipt_state is not None and message.answer is not None:
        _settle(journal, outcome, id, ix.party, answered, receipt_state, message, now)
    if state is not MessageState.ROUTED:
        return state is not MessageState.REJECTED
    if supersedes:
        outcome.move("message", supersedes, (), superseded_by=id)
        outcome.event(supersedes, "superseded", by=id)
    source = _source(ix, id, message)
    for leg in legs:
        delivery.prepare(site, outcome, source, leg, numbers.next(), now)
    if case and message.usage is not None:
        _tell_case(journal, outcome, case, message.usage.system, ix.party, becomes or message.usage.name, id, now)
    return True


def _case_of(site: Site, sender: str, message: OpenedMessage) -> str:
    """The id of the case that this message belongs to, or ""."""
    if message.usage is None or message.rejected:
        return ""
    rule = site.systems[message.usage.system].case
    keys = dict(message.keys)
    if rule is None or message.usage.rule.answers or not all(keys.get(name) for name in rule.key):
        return ""
    return "/".join([message.usage.system, sender, *(keys[name] for name in rule.key)])


def _known_document(
    journal: Journal, outcome: Outcome, ix: Interchange, id: str, message: OpenedMessage
) -> tuple[MessageState, str, str]:
    """(state, reason, the message it supersedes) by the business number, for ever."""
    kind = message.usage.name if message.usage else ""
    version = "" if message.function == "original" else f"/{message.function}/{message.content}"
    key = f"{kind}/{message.document}{version}"
    d, m = t.document, t.message
    seen = journal.row(select(d).where(d.c.party == ix.party, d.c.key == key))
    if seen is not None:
        if seen["sha256"] == message.content:
            return MessageState.DUPLICATE, f"the same as {seen['message']}", ""
        return MessageState.HELD, f"opening.document_conflict {seen['message']}", ""
    outcome.add("document", party=ix.party, key=key, message=id, sha256=message.content)
    if message.function == "original":
        return MessageState.ROUTED, "", ""
    query = select(m.c.id).where(
        m.c.sender == ix.party,
        m.c.kind == kind,
        m.c.document == message.document,
        m.c.superseded_by == "",
        m.c.state.in_((MessageState.ROUTED, MessageState.DONE)),
    )
    held = journal.row(query.order_by(m.c.id.desc()))
    if held is None:
        outcome.changes.pop()
        return MessageState.HELD, "routing.amends_nothing", ""
    return MessageState.ROUTED, "", held["id"]


def _holders(journal: Journal, superseded: str) -> list[Leg]:
    """Whoever was sent an earlier version gets the amendment, whatever the routes say today."""
    if not superseded:
        return []
    d = t.delivery
    query = select(d.c.party, d.c.kind).where(d.c.message == superseded, d.c.state != DeliveryState.CANCELLED)
    return [Leg(row["party"], row["kind"], None) for row in journal.rows(query)]


def _source(ix: Interchange, id: str, message: OpenedMessage) -> delivery.Source:
    usage = message.usage
    nodes: dict[str, Any] = {}
    data: dict[str, bytes] = {}
    if usage is not None:
        nodes[usage.name] = message.node
        if usage.rule.format == "xml":
            data[usage.name] = message.data
        if message.canonical is not None:
            nodes[usage.rule.becomes] = message.canonical
            data[usage.rule.becomes] = message.canonical_data
    order = f"{usage.system if usage else ''}/{ix.party}/{message.document}" if message.document else ""
    return delivery.Source(id, nodes, data, ix.party, message.keys, order, ix.name)


def _settle(
    journal: Journal,
    outcome: Outcome,
    id: str,
    party: str,
    answered: Any,
    state: ReceiptState,
    message: OpenedMessage,
    now: datetime,
) -> None:
    answer = message.answer
    if answer is None:
        return
    moved = receipts.settle(outcome, id, party, answered, state, answer, now)
    if not moved or answered is None:
        return
    if answer.level != answered["awaits"] and answer.accepted:
        return
    m = t.message
    asked = journal.row(select(m).where(m.c.id == answered["message"]))
    if asked is not None and asked["case"]:
        verdict = f"{party} {'accepted' if answer.accepted else 'refused'}"
        outcome.add(
            "case_event",
            case=asked["case"],
            at=now,
            what="answer",
            name=verdict,
            message=id,
            subject=asked["id"],
        )
        outcome.move("port_case", asked["case"], (), ripe=True)


def _tell_case(
    journal: Journal, outcome: Outcome, case: str, system: str, sender: str, kind: str, id: str, now: datetime
) -> None:
    """Open the case or wake it, with one more event."""
    known = any(getattr(c, "table", "") == "port_case" and getattr(c, "id", "") == case for c in outcome.changes)
    added = any(
        getattr(c, "table", "") == "port_case" and getattr(c, "row", {}).get("id") == case for c in outcome.changes
    )
    if not (known or added):
        if journal.row(select(t.case.c.id).where(t.case.c.id == case)) is None:
            row = {
                "id": case,
                "system": system,
                "sender": sender,
                "state": "open",
                "stages": {},
                "version": 0,
            }
            outcome.add("port_case", **row, opened_at=now, ripe=True)
            outcome.event(case, "opened", by=id)
        else:
            outcome.move("port_case", case, (), ripe=True)
    outcome.add("case_event", case=case, at=now, what="message", name=kind, message=id, subject="")


# ---- step 10: the sender hears


def _reply(
    site: Site,
    numbers: Numbers,
    outcome: Outcome,
    ix: Interchange,
    opened: Opened,
    data: bytes,
    now: datetime,
) -> None:
    """CONTRL where one is due, and for a rejection the sender's own file with the reasons in both languages."""
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


# ---- step 9 for one case


def advance_one(site: Site, journal: Journal, numbers: Numbers, id: str, now: datetime) -> Outcome:
    """Stages that the case's events have reached, what they make and send."""
    outcome = Outcome()
    row = journal.row(select(t.case).where(t.case.c.id == id))
    if row is None:
        raise JournalError(f"no case {id}")
    rule = site.systems[row["system"]].case
    if rule is None:
        raise JournalError(f"system {row['system']} has no cases")
    e = t.case_event
    events = journal.rows(select(e).where(e.c.case == id).order_by(e.c.seq))
    stages: dict[str, Any] = dict(row["stages"])
    values: dict[str, Any] = {"holder": None}
    standing = cases.fold(events, _subject(journal, id, stages))
    for name, by in cases.reached(rule, standing, stages):
        stage = rule.stages[name]
        stages[name] = {"at": now.isoformat(), "by": by}
        outcome.event(id, f"stage {name}", by=by)
        made = f"C{hashlib.sha256(f'{id}/{name}/{by}'.encode()).hexdigest()[:16].upper()}"
        if stage.make:
            _make(site, journal, numbers, outcome, row, stage.make, made, standing.messages, now)
            stages[name]["made"] = made
        if stage.send:
            record = case_record(site, journal, row, name, standing, now)
            _send(site, journal, numbers, outcome, row, stage.send, made, record, standing, now)
        if stage.closes:
            values |= {"state": "closed", "outcome": name, "closed_at": now}
        elif row["state"] == "closed":
            values |= {"state": "open", "outcome": "", "closed_at": None}
    outcome.move("port_case", id, (), stages=stages, **values)
    return outcome


def _subject(journal: Journal, case: str, stages: dict[str, Any]) -> str:
    """The newest message that parties were asked about: the one the case made last, else the last one routed."""
    made = [stage["made"] for stage in stages.values() if "made" in stage]
    if made:
        return str(made[-1])
    m, d = t.message, t.delivery
    asked = (
        select(m.c.id).join(d, d.c.message == m.c.id).where(m.c.case == case, m.c.interchange != "", d.c.awaits != "")
    )
    newest = journal.row(asked.order_by(d.c.seq.desc()))
    return str(newest["id"]) if newest else ""


def _nodes(site: Site, journal: Journal, messages: dict[str, str]) -> dict[str, Any]:
    """The case's newest messages, read again from their bytes."""
    nodes: dict[str, Any] = {}
    for kind, id in messages.items():
        row = journal.row(select(t.message).where(t.message.c.id == id))
        if row is None:
            continue
        sha = row["canonical"] if row["canonical_kind"] == kind else row["payload"]
        nodes[kind] = reread(site, kind, journal.payload(sha))
    return nodes


def reread(site: Site, kind: str, data: bytes) -> Any:
    """The node of a message that was checked before."""
    from hub.edifact import reader, structure
    from hub.edifact.model import RawMessage

    usage = site.kinds[kind]
    if usage.rule.format == "xml":
        return gate.parse(data)[0]
    raw = next(part for part in reader.read([ENVELOPE + data + b"UNZ+1+0'"]) if isinstance(part, RawMessage))
    if usage.spec is None:
        raise JournalError(f"{kind} has no structure")
    return structure.build(raw, usage.spec)[0]


ENVELOPE = b"UNB+UNOC:3+A+B+000101:0000+0'"
"""Messages are kept from UNH to UNT; to be read again they are put into an envelope of their own."""


def _make(
    site: Site,
    journal: Journal,
    numbers: Numbers,
    outcome: Outcome,
    case: Any,
    kind: str,
    id: str,
    messages: dict[str, str],
    now: datetime,
) -> None:
    """The case makes a document from its messages; it is routed like any other."""
    nodes = _nodes(site, journal, messages)
    usage = site.kinds[kind]
    found = site.mapping_into(kind, set(nodes))
    node, findings = None, [Finding("routing.no_mapping", found=", ".join(nodes), expected=kind)]
    if found is not None:
        sources = {alias: nodes[name] for alias, name in found[1].sources.items()}
        node, findings = found[1].apply(sources, site.context(now, case=case["id"]))
    data = b""
    if node is not None and not rejects(findings):
        data, wrong = usage.write(node)
        findings = [*findings, *wrong]
    bad = node is None or rejects(findings)
    keys = {} if bad else {name: usage.value(node, path) for name, path in usage.rule.keys.items()}
    older = _older(journal, case["id"], kind)
    outcome.add(
        "message",
        id=id,
        interchange="",
        kind=kind,
        system=case["system"],
        sender=case["sender"],
        reference=case["id"],
        keys=keys,
        document=case["id"],
        function="amendment" if older else "original",
        payload=outcome.keep(data),
        canonical_kind="",
        canonical="",
        state=MessageState.HELD if bad else MessageState.ROUTED,
        reason="; ".join(f"{f.code} {f.found} {f.expected}" for f in findings)[:500],
        supersedes=older,
        case=case["id"],
        at=now,
    )
    outcome.event(id, "held" if bad else "made", kind=kind, case=case["id"])
    if bad:
        return
    if older:
        outcome.move("message", older, (), superseded_by=id)
        outcome.event(older, "superseded", by=id)
    source = delivery.Source(id, {kind: node}, {kind: data}, case["sender"], tuple(keys.items()), case["id"], "")
    for leg in routing.plan(site, [kind], case["sender"], False, _holders(journal, older)):
        delivery.prepare(site, outcome, source, leg, numbers.next(), now)


def _older(journal: Journal, case: str, kind: str) -> str:
    m = t.message
    query = select(m.c.id).where(m.c.case == case, m.c.kind == kind, m.c.interchange == "", m.c.superseded_by == "")
    found = journal.row(query)
    return str(found["id"]) if found else ""


def _send(
    site: Site,
    journal: Journal,
    numbers: Numbers,
    outcome: Outcome,
    case: Any,
    send: Any,
    id: str,
    record: Any,
    standing: cases.Standing,
    now: datetime,
) -> None:
    """A finished stage tells somebody, usually the sender."""
    data = etree.tostring(record, encoding="UTF-8", xml_declaration=True)
    party = case["sender"] if send.to == "sender" else send.to
    name = _first_name(journal, standing)
    outcome.add(
        "message",
        id=f"{id}S",
        interchange="",
        kind="case-record",
        system=case["system"],
        sender=case["sender"],
        reference=case["id"],
        keys={},
        document="",
        function="original",
        payload=outcome.keep(data),
        canonical_kind="",
        canonical="",
        state=MessageState.ROUTED,
        case=case["id"],
        at=now,
    )
    nodes = {"case-record": record}
    source = delivery.Source(f"{id}S", nodes, {}, case["sender"], (), case["id"] + "/reply", name)
    delivery.prepare(site, outcome, source, Leg(party, send.kind, None), numbers.next(), now)


def _first_name(journal: Journal, standing: cases.Standing) -> str:
    """The name of the file that opened the case: answers are named after it."""
    for id in standing.messages.values():
        i = t.interchange
        row = journal.row(select(i.c.name).where(i.c.id == id.rsplit(".", 1)[0]))
        if row is not None:
            return str(row["name"])
    return ""


CASE = "urn:eport:case:1"


def case_record(site: Site, journal: Journal, case: Any, stage: str, standing: cases.Standing, now: datetime) -> Any:
    """The case as a document (schemas/case-record.xsd): what the messages of a finished stage are mapped from."""
    spaces: Any = {None: CASE}
    root = etree.Element(f"{{{CASE}}}CaseRecord", nsmap=spaces)

    def put(parent: Any, tag: str, value: str, **attributes: str) -> Any:
        node = etree.SubElement(parent, f"{{{CASE}}}{tag}", attributes)
        node.text = value
        return node

    rule = site.systems[case["system"]].case
    put(root, "System", case["system"])
    for name, value in zip(rule.key if rule else [], case["id"].split("/")[2:], strict=False):
        put(root, "Key", value, name=name)
    put(root, "Case", case["id"].replace("/", ":"))
    put(root, "Stage", stage)
    refused = any(verdict.endswith(" refused") for verdict, about in standing.verdicts if about == standing.subject)
    put(root, "Verdict", "refused" if refused else "accepted")
    put(root, "At", now.isoformat(timespec="seconds"))
    put(root, "Sender", case["sender"])
    put(root, "Reference", case["id"].rsplit("/", 1)[-1])
    put(root, "Original", case["id"].rsplit("/", 1)[-1])
    for (verdict, about), message in standing.verdicts.items():
        if about == standing.subject:
            party, said = verdict.split(" ")
            answer = etree.SubElement(root, f"{{{CASE}}}Answer")
            receipt = journal.row(select(t.receipt).where(t.receipt.c.message == message))
            asked = journal.row(select(t.message.c.kind).where(t.message.c.id == message))
            put(answer, "Party", party)
            put(answer, "Kind", asked["kind"] if asked else "")
            put(answer, "Verdict", said)
            put(answer, "At", (receipt["at"] if receipt else now).isoformat(timespec="seconds"))
            if receipt and receipt["number"]:
                put(answer, "Number", receipt["number"])
            for code, words in receipt["reasons"] if receipt else []:
                reason = etree.SubElement(answer, f"{{{CASE}}}Reason")
                put(reason, "Code", code)
                put(reason, "Text", words)
    return root


# ---- the clock


def tick(journal: Journal, now: datetime) -> int:
    """File what has become late. How many rows."""
    d = t.delivery
    late = journal.rows(
        select(d.c.id, d.c.state).where(
            d.c.due_at <= now,
            ~d.c.overdue,
            d.c.awaits != "",
            d.c.state.notin_(
                [s.value for s in (DeliveryState.ANSWERED, DeliveryState.REFUSED, DeliveryState.CANCELLED)]
            ),
        )
    )
    outcomes = []
    for row in late:
        outcome = Outcome()
        outcome.move("delivery", row["id"], (row["state"],), overdue=True)
        outcome.event(row["id"], "overdue")
        outcomes.append(outcome)
    if outcomes:
        try:
            journal.commit(outcomes, now)
        except Stale:
            return 0  # a receipt came in this moment; the next tick sees what is left
    return len(outcomes)
