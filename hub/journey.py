"""The journey of a message, as a table of steps. Start reading here.

    step  who      function            what is durable afterwards
    1     gate     intake.accept       nothing; the source still holds it
    2     gate     intake.accept       the interchange; only then the source is settled
          worker   apart.take_apart    of a file of several, or a large one: its pieces, to be opened each alone
    3, 4  worker   opening.open        \\
    5     worker   documents.known      |
          worker   receipts.correlate   |  messages, deliveries, receipts, case events, replies:
          worker   routing.plan         |  one commit for 3 to 6, 8 and 10, for many interchanges at once
    6     worker   delivery.prepare     |
    8     worker   receipts.settle      |
    10    worker   replies.reply       /
    7     courier  courier.send        each attempt
    9     worker   cases.advance_one   stages, and the messages that a finished stage sends

A step never writes: it adds to an Outcome, and the journal commits the Outcome whole. A crash repeats a step, never
half of one; a step whose facts have changed meanwhile (Stale) is done again. The clock (hub.clock) files what has
become late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar

from hub import apart, cases, delivery, documents, envelopes, opening, receipts, replies, routing
from hub.desk import Desk
from hub.documents import Standing
from hub.errors import Damaged, JournalError, Stale
from hub.finding import Finding
from hub.journal import tables as t
from hub.journal.changes import MINE, Outcome
from hub.journal.journal import Journal
from hub.journal.numbers import Numbers
from hub.journal.recall import Recall
from hub.message import DeliveryState, Interchange, InterchangeState, MessageState
from hub.opening import Opened, OpenedMessage
from hub.routing import Leg
from hub.site.site import Site
from hub.standards.tolerance import decisions

BATCH = 50
LOAD = 500_000
"""Bytes that are opened for one commit: what many large ones hold is never in memory at once."""
POISON = 3
"""A worker that broke this often on the same interchange is not given it again."""


def work(site: Site, journal: Journal, numbers: Numbers, now: datetime, most: int = BATCH) -> int:
    """One round of a worker, of at most so many each: open what was received, take up what was released, advance ripe
    cases. How much."""

    def desk() -> Desk:
        return Desk(site, Recall(journal), numbers, now)

    interchanges = journal.claim_interchanges(most)
    _open(journal, desk, interchanges)
    released = _released(journal, desk)
    ripe = journal.claim_cases(most)
    _commit(journal, desk, ripe, advance_all)
    return len(interchanges) + released + len(ripe)


def _released(journal: Journal, desk: Callable[[], Desk]) -> int:
    """What was released is not claimed, so one worker at a time goes on with it; messages of one interchange together,
    so that no case sees one without the other."""
    waiting = [(t.message, MessageState.RELEASED), (t.delivery, DeliveryState.RELEASED)]
    if not any(journal.in_state(table, (state,), 1) for table, state in waiting) or not journal.locks.hold("released"):
        return 0
    try:
        messages = journal.in_state(t.message, (MessageState.RELEASED,), BATCH)
        for _, rows in groupby(messages, lambda row: row["id"].rpartition(".")[0]):
            together = [(row["id"], journal.count_try(t.message, row["id"])) for row in rows]
            _commit(journal, desk, [together], take_up)
        remade = journal.in_state(t.delivery, (DeliveryState.RELEASED,), BATCH)
        for row in remade:
            _commit(journal, desk, [(row["id"], journal.count_try(t.delivery, row["id"]))], make_again)
        return len(messages) + len(remade)
    finally:
        journal.locks.drop("released")


Item = TypeVar("Item")


def _commit(
    journal: Journal,
    desk: Callable[[], Desk],
    items: Sequence[Item],
    step: Callable[[Desk, Sequence[Item]], list[Outcome]],
    here: Desk | None = None,
) -> None:
    """All in one commit; one by one, read afresh, where they rely on each other or on what has changed."""
    if not items:
        return
    here = here or desk()
    try:
        journal.commit(step(here, items), here.now)
    except Stale:
        for item in items:
            _until_fresh(journal, desk, item, step)


def _until_fresh(
    journal: Journal,
    desk: Callable[[], Desk],
    item: Item,
    step: Callable[[Desk, Sequence[Item]], list[Outcome]],
    tries: int = 20,
) -> None:
    for _ in range(tries):
        here = desk()
        try:
            journal.commit(step(here, [item]), here.now)
            return
        except Stale as last:
            fault = last
    raise JournalError(f"{item} was changed {tries} times while it was worked on") from fault


# ---- what was claimed, in the order in which each party sent it


def _open(journal: Journal, desk: Callable[[], Desk], claimed: Sequence[Interchange]) -> None:
    """In loads. What goes apart holds up what its party sent behind it: the pieces come before that."""
    left = list(claimed)
    while left:
        load, left = _load(left)
        here = desk()
        here.recall.fetch_payloads(ix.sha256 for ix in load)
        cut: dict[str, Interchange] = {}
        for ix in load:
            if ix.party not in cut and _goes_apart(here, ix):
                cut[ix.party] = ix
        behind = {ix.id for ix in (*load, *left) if ix.party in cut and ix.id > cut[ix.party].id}
        rest = [ix for ix in load if ix.id not in behind and ix is not cut.get(ix.party)]
        _commit(journal, desk, rest, open_all, here)
        _commit(journal, desk, [ix for ix in claimed if ix.id in behind], put_back)
        for ix in cut.values():
            _commit(journal, desk, [ix], take_apart)
        left = [ix for ix in left if ix.id not in behind]


def _load(claimed: list[Interchange]) -> tuple[list[Interchange], list[Interchange]]:
    """The first ones, of LOAD bytes together but at least one, and those that are left."""
    size = 0
    for count, ix in enumerate(claimed):
        size += ix.size
        if size > LOAD and count:
            return claimed[:count], claimed[count:]
    return claimed, []


def _goes_apart(desk: Desk, ix: Interchange) -> bool:
    return _unusable(desk, ix) is None and apart.needed(ix, desk.recall.payload(ix.sha256))


def take_apart(desk: Desk, batch: Sequence[Interchange]) -> list[Outcome]:
    """What goes apart, or is opened after all."""
    outcomes = []
    for ix in batch:
        outcome = apart.take_apart(desk, ix, desk.recall.payload(ix.sha256))
        outcomes += [outcome] if outcome else open_all(desk, [ix])
    return outcomes


def put_back(_: Desk, batch: Sequence[Interchange]) -> list[Outcome]:
    """Nobody works on these after all, and nobody has tried."""
    outcome = Outcome()
    for ix in batch:
        mine = {"holder": MINE}
        outcome.move("interchange", ix.id, (InterchangeState.RECEIVED,), mine, holder=None, tries=ix.tries - 1)
    return [outcome]


# ---- steps 3 to 6, 8 and 10


def open_all(desk: Desk, batch: Sequence[Interchange]) -> list[Outcome]:
    """Everything that follows from each interchange of a batch."""
    desk.recall.fetch_payloads(ix.sha256 for ix in batch)
    opened = [_opened(desk, ix) for ix in batch]
    _fetch(desk.site, desk.recall, list(zip(batch, opened, strict=True)))
    return [open_one(desk, ix, one) for ix, one in zip(batch, opened, strict=True)]


def _opened(desk: Desk, ix: Interchange) -> Opened:
    if _unusable(desk, ix):
        return Opened(())
    opened = opening.open(desk.site, ix, desk.recall.payload(ix.sha256), desk.now)
    return replace(opened, reference="") if ix.is_part else opened  # the whole of it was remembered


def _unusable(desk: Desk, ix: Interchange) -> Finding | None:
    """Why an interchange is not opened at all."""
    if ix.tries > POISON:
        return Finding("opening.poison", found=str(POISON))
    try:
        desk.recall.payload(ix.sha256)
    except Damaged as fault:
        return fault.finding()
    return None


def _fetch(site: Site, recall: Recall, batch: Sequence[tuple[Interchange, Opened]]) -> None:
    """Read at once what the steps will ask for: envelopes, documents, what is answered, cases."""
    recall.fetch(t.envelope, envelopes.KEY, [(ix.party, one.reference) for ix, one in batch if one.reference])
    messages = [(ix.party, m) for ix, one in batch for m in one.messages if m.usage and not m.rejected]
    documents_ = [(party, m) for party, m in messages if m.document and m.answer is None]
    recall.fetch(t.document, ("party", "key"), [(party, documents.key_of(m)) for party, m in documents_])
    versions = [(party, m.usage.name, m.document) for party, m in documents_ if m.usage]
    recall.fetch(t.message, documents.VERSIONS, versions)
    cases_ = [documents.case_of(site, party, m) for party, m in documents_]
    recall.fetch(t.case, ("id",), [(case,) for case in cases_ if case])
    answers = [(party, m.answer) for party, m in messages if m.answer]
    quoted = [(party, name, value) for party, answer in answers for name, value in answer.by.items() if value]
    answered = recall.fetch(t.reference, receipts.QUOTED, quoted)
    asked = recall.fetch(t.delivery, ("id",), [(row["delivery"],) for row in answered])
    recall.fetch(t.receipt, ("delivery",), [(row["id"],) for row in asked])
    recall.fetch(t.message, ("id",), [(row["message"],) for row in asked])


def open_one(desk: Desk, ix: Interchange, opened: Opened) -> Outcome:
    """Everything that follows from one interchange."""
    outcome = Outcome()
    aside = _unusable(desk, ix)
    if aside:
        envelopes.close(desk, outcome, ix, InterchangeState.QUARANTINED, aside.code, aside.found)
        return outcome
    if opened.reference and envelopes.seen_before(desk, outcome, ix, opened):
        return outcome
    standings = [_enter(desk, outcome, ix, index, message) for index, message in enumerate(opened.messages, _first(ix))]
    rejected = opened.rejected or (standings and all(s.state is MessageState.REJECTED for s in standings))
    state = InterchangeState.REJECTED if rejected else InterchangeState.OPENED
    envelopes.close(desk, outcome, ix, state, envelopes.why(opened), agreed=decisions(opened.findings))
    if opened.reference and not rejected:  # what was rejected may come again, corrected, under its reference
        envelopes.remember(outcome, ix, opened)
    known = [s.about for s in standings if s.state is MessageState.DUPLICATE]
    if known:
        replies.again(desk, outcome, ix, known)
    told = [_conflict(m, s) for m, s in zip(opened.messages, standings, strict=True) if s.code == documents.CONFLICT]
    if ix.is_part:
        replies.explain(desk, outcome, ix, opened, told)
    else:
        replies.reply(desk, outcome, ix, opened, told)
    return outcome


def _first(ix: Interchange) -> int:
    """The number of its first message, which those of a part have kept."""
    return ix.origin.first if ix.origin and ix.is_part else 1


def _conflict(message: OpenedMessage, standing: Standing) -> Finding:
    place = opening.place_of(message)
    return Finding(documents.CONFLICT, place, message.document, standing.about)


# ---- one message of an interchange


def _enter(desk: Desk, outcome: Outcome, ix: Interchange, index: int, message: OpenedMessage) -> Standing:
    """A new message: its row, and what follows."""
    id = f"{ix.id}.{index}"
    standing, legs = _judge(desk, outcome, ix.party, id, message)
    usage = message.usage
    payload = outcome.keep(message.data)
    canonical = outcome.keep(message.canonical_data) if message.canonical_data else ""
    outcome.add(
        "message",
        id=id,
        interchange=ix.id,
        kind=usage.name if usage else "",
        system=usage.system if usage else "",
        sender=ix.party,
        reference=message.reference,
        keys=dict(message.keys),
        document=message.document,
        function=message.function,
        payload=payload,
        frame=message.frame,
        charset=message.charset,
        canonical_kind=usage.rule.becomes if usage else "",
        canonical=canonical,
        test=message.test,
        at=desk.now,
        **_columns(desk, ix.party, message, standing),
    )
    kind = usage.name if usage else ""
    mapping = desk.site.mappings.get((kind, usage.rule.becomes)) if usage and canonical else None
    bound = {"sha256": payload, "canonical": canonical, "mapping": mapping.sha256 if mapping else ""}
    agreed = decisions(message.findings)
    bound |= {"agreed": agreed} if agreed else {}
    outcome.event(id, standing.state, kind=kind, why=standing.reason, **bound)
    _follow(desk, outcome, ix, id, message, standing, legs)
    return standing


def take_up(desk: Desk, batch: Sequence[Sequence[tuple[str, int]]]) -> list[Outcome]:
    """Messages that were released, those of one interchange together: read again from it, by today's declarations, to
    go on."""
    return [_take_up(desk, id, tries) for messages in batch for id, tries in messages]


def _take_up(desk: Desk, id: str, tries: int) -> Outcome:
    outcome = Outcome()
    if tries > POISON:
        return _poisoned(desk, outcome, "message", id, MessageState.RELEASED, state=MessageState.HELD)
    interchange, _, index = id.rpartition(".")
    row = desk.recall.one(t.interchange, ("id",), interchange)
    if row is None:
        raise JournalError(f"no interchange {interchange}")
    ix = Interchange(**{name: row[name] for name in Interchange.__slots__})
    opened = opening.open(desk.site, ix, desk.recall.payload(ix.sha256), desk.now)
    message = opened.messages[int(index) - _first(ix)]
    standing, legs = _judge(desk, outcome, ix.party, id, message)
    columns = _columns(desk, ix.party, message, standing)
    outcome.move("message", id, (MessageState.RELEASED,), tries=0, **columns)  # to wait for one's turn breaks no worker
    _follow(desk, outcome, ix, id, message, standing, legs)
    return outcome


def make_again(desk: Desk, batch: Sequence[tuple[str, int]]) -> list[Outcome]:
    """Deliveries that were released: mapped again, by today's declarations."""
    return [_make_again(desk, id, tries) for id, tries in batch]


def _make_again(desk: Desk, id: str, tries: int) -> Outcome:
    outcome = Outcome()
    if tries > POISON:
        return _poisoned(desk, outcome, "delivery", id, DeliveryState.RELEASED, state=DeliveryState.HELD)
    row = desk.recall.one(t.delivery, ("id",), id)
    asked = desk.recall.one(t.message, ("id",), row["message"]) if row else None
    if row is None or asked is None:
        raise JournalError(f"no delivery {id}, or no message of it")
    delivery.again(desk, outcome, cases.source_of(desk, asked, row["order_key"]), row)
    return outcome


def advance_all(desk: Desk, batch: Sequence[tuple[str, int]]) -> list[Outcome]:
    """Cases with something new in them, each with its tries."""
    cases.fetch(desk.recall, [id for id, _ in batch])
    return [advance(desk, id, tries) for id, tries in batch]


def advance(desk: Desk, id: str, tries: int) -> Outcome:
    if tries > POISON:
        outcome = Outcome()
        outcome.move("port_case", id, (), {"holder": MINE}, holder=None, tries=0)
        outcome.wait("case", id, "opening.poison", desk.look_by, str(POISON))
        return outcome
    return cases.advance_one(desk, id)


def _poisoned(desk: Desk, outcome: Outcome, table: str, id: str, was: str, state: str) -> Outcome:
    code = "opening.poison"
    outcome.move(table, id, (was,), state=state, reason=f"{code} {POISON}", tries=0)
    outcome.wait(table, id, code, desk.look_by, str(POISON))
    return outcome


def _columns(desk: Desk, sender: str, message: OpenedMessage, standing: Standing) -> dict[str, Any]:
    """The columns of a message's row that its standing decides."""
    routed = standing.state is MessageState.ROUTED
    return {
        "state": standing.state,
        "reason": standing.reason,
        "supersedes": standing.supersedes,
        "case": documents.case_of(desk.site, sender, message) if routed else "",
    }


def _judge(desk: Desk, outcome: Outcome, sender: str, id: str, message: OpenedMessage) -> tuple[Standing, list[Leg]]:
    """Where a message stands and who gets it: rejected, an answer, a duplicate, held, or routed."""
    if message.rejected or message.usage is None:
        wrong = "; ".join(f"{f.code} {f.found}" for f in message.findings)[:500]
        return Standing(MessageState.REJECTED, about=wrong), []
    if message.answer is not None:
        return Standing(MessageState.DONE), []
    standing = Standing()
    if message.document and not message.test:  # a test takes no number, and amends nothing
        standing = documents.known(desk, outcome, sender, id, message)
    if standing.state is not MessageState.ROUTED:
        return standing, []
    kinds = [kind for kind in (message.usage.name, message.usage.rule.becomes) if kind]
    holders = routing.holders(desk.recall, standing.supersedes)
    legs = routing.plan(desk.site, kinds, sender, message.test, holders)
    if not legs and not documents.case_of(desk.site, sender, message):
        return Standing(MessageState.HELD, documents.NO_ROUTE, message.usage.name), []
    return standing, legs


def _follow(
    desk: Desk,
    outcome: Outcome,
    ix: Interchange,
    id: str,
    message: OpenedMessage,
    standing: Standing,
    legs: Sequence[Leg],
) -> None:
    """What follows from where a message stands: deliveries, a wake-up of its case, a settled receipt, or waiting."""
    if standing.state is MessageState.HELD:
        outcome.wait("message", id, standing.code, desk.look_by, standing.about)
    if standing.state is MessageState.DONE:
        receipts.take(desk, outcome, id, ix.party, message)
    if standing.state is not MessageState.ROUTED or message.usage is None:
        return
    if standing.supersedes:
        unchanged = {"superseded_by": ""}
        outcome.move("message", standing.supersedes, (), given=unchanged, superseded_by=id)
        outcome.event(standing.supersedes, "superseded", by=id)
    source = _source(ix, id, message)
    for leg in legs:
        delivery.prepare(desk, outcome, source, leg)
    case = documents.case_of(desk.site, ix.party, message)
    if case:
        kind = message.usage.rule.becomes or message.usage.name
        cases.tell(desk, outcome, case, message.usage.system, ix.party, kind, id)


def _source(ix: Interchange, id: str, message: OpenedMessage) -> delivery.Source:
    usage = message.usage
    nodes: dict[str, Any] = {}
    data: dict[str, bytes] = {}
    if usage is not None:
        nodes[usage.name] = message.node
        if usage.rule.format != "edifact":
            data[usage.name] = message.data
        if message.canonical is not None:
            nodes[usage.rule.becomes] = message.canonical
            data[usage.rule.becomes] = message.canonical_data
    order = f"{usage.system if usage else ''}/{ix.party}/{message.document}" if message.document else ""
    return delivery.Source(id, nodes, data, ix.party, message.keys, order, ix.name)
