"""The journey of a message, as a table of steps. Start reading here.

    step  who      function            what is durable afterwards
    1     gate     intake.accept       nothing; the source still holds it
    2     gate     intake.accept       the interchange; only then the source is settled
    3, 4  worker   opening.open        \\
    5     worker   receipts.correlate   |  messages, deliveries, receipts, case events, replies:
          worker   routing.plan         |  one commit for 3 to 6 and 8, for many interchanges at once
    6     worker   delivery.prepare     |
    8     worker   receipts.settle      |
    10    worker   replies.reply       /
    7     courier  delivery.send       each attempt
    9     worker   cases.advance_one   stages, and the messages that a finished stage sends

A step never writes: it adds to an Outcome, and the journal commits the Outcome whole. A crash repeats a step, never
half of one; a step whose facts have changed meanwhile (Stale) is done again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from hub import cases, delivery, opening, receipts, replies, routing
from hub.errors import JournalError, Stale
from hub.finding import Finding
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.numbers import Numbers
from hub.message import DeliveryState, Interchange, InterchangeState, MessageState, ReceiptState
from hub.opening import Opened, OpenedMessage
from hub.routing import Leg
from hub.site.site import Site

BATCH = 50
POISON = 3
"""A worker that broke this often on the same interchange is not given it again."""


def work(site: Site, journal: Journal, numbers: Numbers, now: datetime) -> int:
    """One round of a worker: open what was received, advance the cases that are ripe. How much was done."""
    interchanges = journal.claim_interchanges(BATCH)
    _commit_each(journal, interchanges, lambda one: open_one(site, journal, numbers, one, now), now)
    ripe = journal.claim_cases(BATCH)
    _commit_each(journal, ripe, lambda one: cases.advance_one(site, journal, numbers, one, now), now)
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
    replies.reply(site, numbers, outcome, ix, opened, data, now)
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
        replies.reply(site, numbers, outcome, ix, refused, journal.payload(ix.sha256), now)
        return True
    _close(outcome, ix, InterchangeState.DUPLICATE, f"the same as {seen['interchange']}", seen["interchange"])
    replies.again(site, journal, outcome, ix, seen["interchange"], now)
    return True


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
        legs = routing.plan(site, kinds, ix.party, test, routing.holders(journal, supersedes))
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
    entry = {"party": ix.party, "key": key, "message": id, "sha256": message.content}
    if message.function == "original":
        outcome.add("document", **entry)
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
        return MessageState.HELD, "routing.amends_nothing", ""
    outcome.add("document", **entry)
    return MessageState.ROUTED, "", held["id"]


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
    if not outcome.touches("port_case", case):
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
