"""The clock files what has become late. It compares times of the journal with `now`; it never waits itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, select

from hub import cases
from hub.errors import Stale
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.recall import Recall
from hub.message import DeliveryState, EndpointState
from hub.site.site import Site

BATCH = 500
OWED = [
    state.value
    for state in DeliveryState
    if state not in (DeliveryState.ANSWERED, DeliveryState.REFUSED, DeliveryState.CANCELLED, DeliveryState.DEAD)
]
"""States in which a delivery that awaits an answer still can be late."""


def tick(site: Site, journal: Journal, now: datetime) -> int:
    """One round. How many things became late. What changes in this very moment is left to the next round."""
    late = [
        *(_overdue(site, row, now) for row in _late_deliveries(journal, now)),
        *(_given_up(site, row, now) for row in _too_old(journal, now)),
        *(_case(site, journal, row, now) for row in _late_cases(journal, now)),
        *(_unattended(row) for row in _late_owners(journal, now)),
        *_waits_too_long(site, journal, now),
    ]
    try:
        journal.commit(late, now)
    except Stale:
        return 0
    return len(late)


def _waits(column: Any) -> Any:
    return exists().where(t.waiting.c.subject == column)


def _late_deliveries(journal: Journal, now: datetime) -> Any:
    d = t.delivery
    late = (d.c.due_at <= now, d.c.state.in_(OWED), d.c.awaits != "", ~_waits(d.c.id))
    return journal.rows(select(d).where(*late).limit(BATCH))


def _overdue(site: Site, row: Any, now: datetime) -> Outcome:
    """An answer is owed and has not come in time."""
    outcome = Outcome()
    outcome.move("delivery", row["id"], (row["state"],), overdue=True)
    outcome.wait("delivery", row["id"], "delivery.overdue", now + site.routes.attention, owner=row["party"])
    if not row["overdue"]:
        outcome.event(row["id"], "overdue")
    return outcome


def _too_old(journal: Journal, now: datetime) -> Any:
    d = t.delivery
    old = (d.c.state.in_((DeliveryState.PENDING, DeliveryState.FAILED)), d.c.give_up_at <= now)
    return journal.rows(select(d).where(*old).limit(BATCH))


def _given_up(site: Site, row: Any, now: datetime) -> Outcome:
    """Tried for as long as agreed: it waits for a person."""
    outcome = Outcome()
    code = "delivery.gave_up"
    outcome.move("delivery", row["id"], (row["state"],), state=DeliveryState.HELD, reason=f"{code} {row['reason']}")
    outcome.wait("delivery", row["id"], code, now + site.routes.attention, row["reason"])
    return outcome


def _waits_too_long(site: Site, journal: Journal, now: datetime) -> Iterator[Outcome]:
    """What is to be tried later than any wait is long: the time of day was set back since. It is tried now."""
    rules = site.routes.endpoints
    longest = {name: max(rule.retry.first, rule.retry.longest) for name, rule in rules.items()}
    least = now + min(longest.values(), default=timedelta())
    d, e = t.delivery, t.endpoint
    waits = and_(d.c.endpoint.in_(rules), d.c.state.in_((DeliveryState.PENDING, DeliveryState.FAILED)))
    for table, name, rows in (
        ("delivery", "endpoint", journal.rows(select(d).where(waits, d.c.next_at > least).limit(BATCH))),
        ("endpoint", "id", journal.rows(select(e).where(e.c.state == EndpointState.BROKEN, e.c.next_at > least))),
    ):
        for row in rows:
            if row[name] in longest and row["next_at"] > now + longest[row[name]]:
                outcome = Outcome()
                outcome.move(table, row["id"], (row["state"],), next_at=now)
                yield outcome


def _late_cases(journal: Journal, now: datetime) -> Any:
    c = t.case
    late = (c.c.state == "open", c.c.due_at <= now, ~_waits(c.c.id))
    return journal.rows(select(c).where(*late).limit(BATCH))


def _case(site: Site, journal: Journal, row: Any, now: datetime) -> Outcome:
    """A stage was promised by now and is not reached."""
    outcome = Outcome()
    rule = site.systems[row["system"]].case
    if rule is None:
        return outcome
    late = cases.awaited(rule, cases.standing(Recall(journal), row), row["stages"], row["opened_at"], now)
    outcome.move("port_case", row["id"], ("open",), overdue=True)
    owner = ", ".join(name for name in late.missing.split(", ") if name in site.parties) or row["sender"]
    outcome.wait("case", row["id"], "case.overdue", now + site.routes.attention, late.stage, owner[:64])
    if not row["overdue"]:
        outcome.event(row["id"], "overdue", stage=late.stage, missing=late.missing)
    return outcome


def _late_owners(journal: Journal, now: datetime) -> Any:
    w = t.waiting
    return journal.rows(select(w).where(w.c.due_at <= now, ~w.c.overdue).limit(BATCH))


def _unattended(row: Any) -> Outcome:
    """Nobody has looked in time."""
    outcome = Outcome()
    outcome.alarm(row["subject"])
    outcome.event(row["subject"], "unattended", code=row["code"], owner=row["owner"])
    return outcome
