"""One notice for all that one alarm has to tell now. What was not told is tried again; after some tries that is itself
a row of the list of what waits, so another alarm can tell it by another way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from hub.alarms import channels
from hub.alarms.notice import Kind, News, Notice
from hub.contract import Ground
from hub.errors import Stale, Unreachable
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.message import AlarmState
from hub.site.model import Alarm
from hub.site.site import Site

BATCH = 1000
FIRST, LONGEST = timedelta(seconds=10), timedelta(minutes=15)
SHOWN_AFTER = 3
"""Tries after which it is shown that an alarm cannot be told."""


def tell(site: Site, journal: Journal, ground: Ground, name: str, now: datetime) -> int:
    """Tell what the alarm `name` has to tell now. How many rows it was about, told or not."""
    rule = site.routes.alarms[name]
    rows = _due(journal, name, now)
    if not rows:
        return 0
    notice = Notice(site.routes.port, name, rule.severity, now, [_news(row) for row in rows])
    try:
        channels.send(rule, notice, ground)
    except Unreachable as fault:
        outcomes = list(_not_told(site, name, rows, str(fault), now))
    else:
        outcomes = list(_told(rule, name, rows, now))
    try:
        journal.commit(outcomes, now)
    except Stale:
        for outcome in outcomes:
            with suppress(Stale):  # this one has left the list meanwhile
                journal.commit([outcome], now)
    return len(rows)


def trial(site: Site, ground: Ground, name: str, now: datetime) -> None:
    """Send a notice that says it is a trial. Raises Unreachable when it was not told."""
    rule = site.routes.alarms[name]
    news = News("trial", name, "alarm.trial", "", "operator", now)
    channels.send(rule, Notice(site.routes.port, name, rule.severity, now, [news]), ground)


def _due(journal: Journal, name: str, now: datetime) -> Any:
    a = t.alarm
    told = (AlarmState.PENDING, AlarmState.TOLD, AlarmState.RESTING)
    where = (a.c.state.in_(told), a.c.rule == name, a.c.next_at <= now)
    return journal.rows(select(a).where(*where).order_by(a.c.at, a.c.id).limit(BATCH))


def _news(row: Any) -> News:
    kind: Kind = "repeated" if row["notices"] else "raised"
    if row["state"] == AlarmState.RESTING:
        kind = "rested"
    return News(kind, row["subject"], row["code"], row["detail"], row["owner"], row["since"])


def _told(rule: Alarm, name: str, rows: Any, now: datetime) -> Iterator[Outcome]:
    shown = Outcome()
    shown.rest(f"alarm/{name}")
    yield shown
    for row in rows:
        rested = row["state"] == AlarmState.RESTING
        next_at = now + rule.repeat if rule.repeat and not rested else None
        state = AlarmState.RESTED if rested else AlarmState.TOLD
        values = {"state": state, "reason": "", "tries": 0, "next_at": next_at, "notices": row["notices"] + 1}
        yield _moved(row, told={"rule": name, "about": row["subject"]}, **values)


def _not_told(site: Site, name: str, rows: Any, why: str, now: datetime) -> Iterator[Outcome]:
    for row in rows:
        pause = min(LONGEST, FIRST * 2 ** min(row["tries"], 10))
        yield _moved(row, reason=why, tries=row["tries"] + 1, next_at=now + pause)
    if max(row["tries"] for row in rows) + 1 >= SHOWN_AFTER:
        outcome = Outcome()
        outcome.wait("alarm", f"alarm/{name}", "alarm.not_told", now + site.routes.attention, why)
        yield outcome


def _moved(row: Any, **values: Any) -> Outcome:
    outcome = Outcome()
    outcome.move("alarm", row["id"], (row["state"],), **values)
    return outcome
