"""Step 7: hand over what is due at one endpoint, and know what became of it.

A delivery is SENDING before the adapter sees it, so a crash leaves it for `resolve`, which looks for evidence and sends
nothing. An endpoint that lets nothing through is left alone for a while (broken: one trial when its time comes); one
that is not who it should be is held until a person looks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from hub.contract import Handover, Known, Outlet, Parcel
from hub.errors import Damaged, Gone, OutcomeUnknown, Stale
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal, received, told_of
from hub.journal.statements import Row
from hub.message import DeliveryState, EndpointState, Interchange, new_id
from hub.site.model import Endpoint

BATCH = 50
BREAK_AFTER = 3
"""Rounds in a row in which nothing got through: then only one delivery is tried, and only now and then."""

_UNDER_WAY = (DeliveryState.SENDING, DeliveryState.IN_DOUBT)


def send(journal: Journal, outlet: Outlet, endpoint: str, rule: Endpoint, now: datetime, most: int = BATCH) -> int:
    """One round of at most so many for one endpoint: mark SENDING (commit), hand over, mark what became of it
    (commit)."""
    standing = journal.standing(endpoint)
    due = journal.due(endpoint, now, min(most, allowance(standing, now)))
    if not due:
        return 0
    payloads, lost = journal.sound(list(_hashes(due)))
    rows = _whole(due, lost)
    marks = Outcome()
    for row in rows:
        tries = row["tries"] + 1
        marks.move("delivery", row["id"], (row["state"],), {}, {"try": tries}, state=DeliveryState.SENDING, tries=tries)
    for row in due if lost else ():
        _set_aside(marks, row, lost, rule, now)
    try:
        journal.commit([marks], now)
    except Stale:
        return len(due)  # a person or a receipt was faster: the next round reads again
    told = _ask(outlet.send, payloads, rows)
    settle(journal, rows, told, rule, now)
    with suppress(Stale):  # a person has decided about the endpoint meanwhile
        journal.commit([judge(standing, endpoint, told, rule, now)] if rows else [], now)
    return len(due)


def _hashes(rows: Sequence[Row]) -> set[str]:
    return {sha256 for row in rows for sha256 in (row["payload"], row["signature"]) if sha256}


def _whole(rows: Sequence[Row], lost: Mapping[str, Gone | Damaged]) -> list[Row]:
    """Those whose bytes can be had."""
    return [row for row in rows if not lost.keys() & _hashes([row])]


def _set_aside(outcome: Outcome, row: Row, lost: Mapping[str, Gone | Damaged], rule: Endpoint, now: datetime) -> None:
    """A delivery whose bytes cannot be had waits for a person; the others go on."""
    for sha256 in sorted(lost.keys() & _hashes([row]))[:1]:
        finding = lost[sha256].finding()
        reason = f"{finding.code} {finding.found} {finding.expected}"
        outcome.move("delivery", row["id"], (row["state"],), state=DeliveryState.HELD, reason=reason)
        outcome.wait("delivery", row["id"], finding.code, now + rule.attention, finding.found)


def resolve(journal: Journal, outlet: Outlet, endpoint: str, rule: Endpoint, now: datetime) -> int:
    """Look for evidence of what a dead courier left in SENDING and of every delivery in doubt. Nothing is sent."""
    rows = journal.in_state(t.delivery, _UNDER_WAY, BATCH, endpoint=endpoint)
    if rows:
        payloads, lost = journal.sound(list(_hashes(rows)))
        told = _ask(outlet.probe, payloads, _whole(rows, lost))
        unknown = {row["id"] for row in rows} - {handover.delivery for handover in told}
        told += [Handover(id, Known.UNKNOWN, "its bytes are lost") for id in sorted(unknown)]
        settle(journal, rows, told, rule, now)
    return len(rows)


def _ask(
    how: Callable[[Sequence[Parcel]], Iterable[Handover]], payloads: Mapping[str, bytes], rows: Sequence[Row]
) -> list[Handover]:
    """What the adapter tells. Its unforeseen fault becomes OutcomeUnknown: the deliveries stay SENDING until `resolve`
    has found evidence."""
    parcels = [parcel(payloads, row) for row in rows]
    try:
        return list(how(parcels))
    except Exception as fault:
        raise OutcomeUnknown(f"{type(fault).__name__}: {fault}"[:500]) from fault


def parcel(payloads: Mapping[str, bytes], row: Row) -> Parcel:
    """The bytes of a delivery row, ready to be handed over."""
    beside = ((f"{row['name']}.p7s", payloads[row["signature"]]),) if row["signature"] else ()
    return Parcel(row["id"], row["name"], payloads[row["payload"]], row["folder"], beside)


# ---- one delivery


def settle(journal: Journal, rows: Sequence[Row], told: Iterable[Handover], rule: Endpoint, now: datetime) -> None:
    """Record what is known of each handover, one commit for all. A receipt that was faster keeps its say."""
    by_id = {row["id"]: row for row in rows}
    outcomes = []
    for handover in told:
        row = by_id[handover.delivery]
        outcomes.append(_result(row, handover, rule, now))
        if handover.answer:
            outcomes.append(_answer(row, handover.answer, now))
    try:
        journal.commit(outcomes, now)
    except Stale:
        for outcome in outcomes:
            try:
                journal.commit([outcome], now)
            except Stale:
                continue  # a receipt came first and is the stronger evidence; or the same answer is here already


def _result(row: Row, handover: Handover, rule: Endpoint, now: datetime) -> Outcome:
    outcome = Outcome()
    state, values = _next(row, handover, rule, now)
    if state == row["state"] == DeliveryState.IN_DOUBT:
        return outcome
    outcome.move("delivery", row["id"], _UNDER_WAY, told={"known": handover.known}, state=state, **values)
    if state is DeliveryState.IN_DOUBT:
        outcome.wait("delivery", row["id"], "delivery.in_doubt", now + rule.attention, handover.evidence)
    if state is DeliveryState.DEAD:
        outcome.wait("delivery", row["id"], "delivery.refused", now + rule.attention, handover.evidence)
    return outcome


def _next(row: Row, handover: Handover, rule: Endpoint, now: datetime) -> tuple[DeliveryState, dict[str, Any]]:
    why = {"reason": handover.evidence}
    match handover.known:
        case Known.DONE:
            return DeliveryState.SENT, {"sent_at": now, **why}
        case Known.NOT_DONE | Known.UNTRUSTED:
            return DeliveryState.FAILED, {"next_at": now + wait(rule, row["tries"]), **why}
        case Known.REFUSED:
            return DeliveryState.DEAD, why
        case _:
            return DeliveryState.IN_DOUBT, why


def _answer(row: Row, data: bytes, now: datetime) -> Outcome:
    """What the other side said while it took the delivery enters like everything else that it says."""
    outcome = Outcome()
    sha = outcome.keep(data)
    key, name = f"answer:{row['id']}:{sha}", f"{row['name']}.answer"
    one = Interchange(new_id(now), row["endpoint"], row["party"], name, key, sha, len(data), now)
    outcome.add("interchange", **received(one, sha, len(data), now))
    outcome.event(one.id, "received", **told_of(one, sha))
    return outcome


def wait(rule: Endpoint, tries: int) -> timedelta:
    """Doubling from `first` to `longest`, full jitter."""
    first, longest = rule.retry.first.total_seconds(), rule.retry.longest.total_seconds()
    return timedelta(seconds=random.uniform(first / 2, min(longest, first * 2 ** min(tries, 20))))  # noqa: S311


# ---- the endpoint


def allowance(standing: Row | None, now: datetime) -> int:
    """How many deliveries may be tried now, by the endpoint's row (None: nothing ever went wrong)."""
    if standing is None or standing["state"] == EndpointState.OPEN:
        return BATCH
    trial = standing["state"] == EndpointState.BROKEN and now >= standing["next_at"]
    return 1 if trial else 0


def judge(standing: Row | None, endpoint: str, told: Sequence[Handover], rule: Endpoint, now: datetime) -> Outcome:
    """What a round says about the endpoint itself."""
    outcome = Outcome()
    failures = standing["failures"] if standing else 0
    untrusted = [h for h in told if h.known is Known.UNTRUSTED]
    if untrusted:
        enter(outcome, standing, endpoint, EndpointState.HELD, untrusted[0].evidence, failures + 1, None, now)
        outcome.wait("endpoint", endpoint, "endpoint.untrusted", now + rule.attention, untrusted[0].evidence)
    elif any(h.known is not Known.NOT_DONE for h in told):
        if failures:
            enter(outcome, standing, endpoint, EndpointState.OPEN, "", 0, None, now)
    elif failures + 1 < BREAK_AFTER:
        enter(outcome, standing, endpoint, EndpointState.OPEN, told[-1].evidence, failures + 1, None, now)
    else:
        until = now + wait(rule, failures + 1)
        enter(outcome, standing, endpoint, EndpointState.BROKEN, told[-1].evidence, failures + 1, until, now)
        outcome.wait("endpoint", endpoint, "endpoint.broken", now + rule.attention, told[-1].evidence)
    return outcome


def enter(
    outcome: Outcome,
    standing: Row | None,
    endpoint: str,
    state: EndpointState,
    reason: str,
    failures: int,
    next_at: datetime | None,
    now: datetime,
) -> None:
    """Write the endpoint's row. A state that stays the same is no event and keeps its `since`."""
    values: dict[str, Any] = {"reason": reason, "failures": failures, "next_at": next_at}
    before = standing["state"] if standing else EndpointState.OPEN
    if standing is None:
        outcome.add("endpoint", id=endpoint, state=state, since=now, **values)
        if state is not before:
            outcome.event(endpoint, state, why=reason)
    elif state == before:
        outcome.move("endpoint", endpoint, (before,), **values)
    else:
        outcome.move("endpoint", endpoint, (before,), state=state, since=now, **values)
