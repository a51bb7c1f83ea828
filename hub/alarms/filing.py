"""Which rows of the list of what waits concern which alarm, and which have left it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, false, or_, select, true

from hub.errors import Stale
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.message import AlarmState, new_id
from hub.site.model import Alarm
from hub.site.site import Site

BATCH = 1000
OVERDUE = "overdue"
"""The word for rows that nobody has looked at in time, whatever their code."""
EVERY = "*"
STALE_NEWS = timedelta(days=1)
"""That something no longer waits is tried to be told for so long."""


def file(site: Site, journal: Journal, now: datetime) -> int:
    """One look, in one commit: what is new to an alarm, and what no longer waits. How many."""
    alarms = site.routes.alarms
    outcomes = [_raised(name, row, now) for name, rule in alarms.items() for row in _new(journal, name, rule, now)]
    outcomes += [_rested(alarms.get(row["rule"]), row, now) for row in _gone(journal, list(alarms), now)]
    outcomes += [_undeclared(row) for row in journal.rows(select(t.waiting).where(t.waiting.c.what == "alarm"))
                 if row["subject"].partition("/")[2] not in alarms]  # fmt: skip
    try:
        journal.commit(outcomes, now)
    except Stale:  # somebody has decided meanwhile: the next look
        return 0
    return len(outcomes)


def _new(journal: Journal, name: str, rule: Alarm, now: datetime) -> Any:
    """Rows of the list that the alarm is about and that it does not know yet."""
    w, a = t.waiting, t.alarm
    since = now - (rule.after or timedelta(0))
    named = or_(false(), *(_coded(code) for code in rule.on if code != OVERDUE))
    late = and_(w.c.overdue, w.c.due_at <= since) if OVERDUE in rule.on else false()
    known = exists().where(a.c.subject == w.c.subject, a.c.rule == name, a.c.since == w.c.since)
    where = [or_(and_(named, w.c.since <= since), late), ~known]
    if rule.owner:
        where.append(w.c.owner == rule.owner)
    if rule.party:
        where.append(_of_party(rule.party))
    if rule.endpoint:
        where.append(_at_endpoint(rule.endpoint))
    return journal.rows(select(w).where(*where).order_by(w.c.since).limit(BATCH))


def _coded(code: str) -> Any:
    w = t.waiting
    if code == EVERY:
        return true()
    return w.c.code.startswith(code[:-1], autoescape=True) if code.endswith(".*") else w.c.code == code


def _of_party(party: str) -> Any:
    w = t.waiting
    owners = (
        (t.delivery, t.delivery.c.party),
        (t.message, t.message.c.sender),
        (t.interchange, t.interchange.c.party),
        (t.case, t.case.c.sender),
    )
    return or_(w.c.owner == party, *(exists().where(table.c.id == w.c.subject, c == party) for table, c in owners))


def _at_endpoint(endpoint: str) -> Any:
    w, d, i = t.waiting, t.delivery, t.interchange
    return or_(
        w.c.subject == endpoint,
        w.c.subject.endswith(f"/{endpoint}", autoescape=True),  # source/ENDPOINT, door/ENDPOINT
        exists().where(d.c.id == w.c.subject, d.c.endpoint == endpoint),
        exists().where(i.c.id == w.c.subject, i.c.endpoint == endpoint),
    )


def _raised(name: str, row: Any, now: datetime) -> Outcome:
    outcome = Outcome()
    id = new_id(now)
    about = {column: row[column] for column in ("subject", "since", "code", "detail", "owner")}
    outcome.add("alarm", id=id, rule=name, state=AlarmState.PENDING, next_at=now, at=now, **about)
    outcome.event(id, AlarmState.PENDING, rule=name, about=row["subject"], code=row["code"])
    return outcome


def _gone(journal: Journal, names: list[str], now: datetime) -> Any:
    """Alarms whose row has left the list, whose rule is declared no more, or whose good news has become old."""
    w, a = t.waiting, t.alarm
    there = exists().where(w.c.subject == a.c.subject, w.c.since == a.c.since)
    active = a.c.state.in_((AlarmState.PENDING, AlarmState.TOLD))
    old = and_(a.c.state == AlarmState.RESTING, or_(a.c.rule.not_in(names), a.c.next_at <= now - STALE_NEWS))
    return journal.rows(select(a).where(or_(and_(active, or_(~there, a.c.rule.not_in(names))), old)).limit(BATCH))


def _rested(rule: Alarm | None, row: Any, now: datetime) -> Outcome:
    outcome = Outcome()
    news = rule is not None and rule.resolved and row["notices"] and row["state"] != AlarmState.RESTING
    state = AlarmState.RESTING if news else AlarmState.RESTED
    values: dict[str, Any] = {"state": state, "tries": 0, "next_at": now if news else None}
    outcome.move("alarm", row["id"], (row["state"],), **values, told={"rule": row["rule"], "about": row["subject"]})
    return outcome


def _undeclared(row: Any) -> Outcome:
    """An alarm that could not be told and that nobody declares any more."""
    outcome = Outcome()
    outcome.rest(row["subject"])
    return outcome
