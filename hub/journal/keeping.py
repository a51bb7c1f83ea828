"""How long bytes stay. Rows, hashes, events, envelopes and documents stay for ever; bytes go when the time that was
agreed is over (hub.retention says when that is).

A payload belongs to every row that has the same bytes, and no index leads from it back to them: that would cost each
arrival five random writes. Instead `payload.used_at` says when a row last began to refer to it, and interchanges are
looked at in the order in which they came. So a payload that was last used before the oldest interchange that nobody
has looked at belongs only to what was looked at: to what is over, or to what is kept back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, insert, or_, select, union, update

from hub.journal import tables as t
from hub.journal.journal import Journal


def removed(journal: Journal, hashes: Collection[str]) -> dict[str, datetime]:
    """Which of these payloads have lost their bytes, and when."""
    p = t.payload
    query = select(p.c.sha256, p.c.removed_at).where(p.c.sha256.in_(hashes), p.c.removed_at.is_not(None))
    return {row["sha256"]: row["removed_at"] for row in journal.rows(query)}


def due(journal: Journal, before: datetime, limit: int) -> list[str]:
    """Interchanges to look at: those that came before `before`, the oldest first."""
    i = t.interchange
    query = select(i.c.id).where(i.c.look_at <= before).order_by(i.c.look_at, i.c.id).limit(limit)
    return [row["id"] for row in journal.rows(query)]


def looked_at(journal: Journal, again: Mapping[str, datetime | None]) -> None:
    """These interchanges were looked at: when to do so again, None for what is over."""
    i = t.interchange
    over = [id for id, at in again.items() if at is None]
    with journal._write() as connection:
        if over:
            connection.execute(update(i).where(i.c.id.in_(over)).values(look_at=None))
        for id, at in again.items():
            if at is not None:
                connection.execute(update(i).where(i.c.id == id).values(look_at=at))


def remove(journal: Journal, before: datetime, later: datetime, limit: int, now: datetime) -> tuple[int, int]:
    """Take away the bytes of payloads that were last used before `before` and belong to nothing that is kept back;
    those that do are looked at again when `later` is past. (bytes removed, payloads looked at.)

    Files of the spool are left to hub.retention.collect."""
    p = t.payload
    oldest = journal.rows(select(func.min(t.interchange.c.look_at).label("at")))[0]["at"]
    last = min(before, oldest) if oldest else before
    query = select(p.c.sha256).where(p.c.used_at < last).order_by(p.c.used_at).limit(limit)
    found = {row["sha256"] for row in journal.rows(query)}
    if not found:
        return 0, 0
    kept = _kept_back(journal, found)
    with journal._write() as connection:
        alone = (p.c.sha256.in_(found - kept), p.c.used_at < last)  # nobody has used it anew meanwhile
        take = update(p).where(*alone).values(data=None, removed_at=now, used_at=None).returning(p.c.size)
        sizes = connection.execute(take).scalars().all() if found - kept else []
        if kept:
            connection.execute(update(p).where(p.c.sha256.in_(kept), p.c.used_at < last).values(used_at=later))
        if sizes:
            told = {"payloads": len(sizes), "bytes": sum(sizes), "before": last.isoformat()}
            connection.execute(insert(t.event), {"at": now, "subject": "retention", "what": "removed", "detail": told})
    return sum(sizes), len(found)


def _kept_back(journal: Journal, hashes: set[str]) -> set[str]:
    """Those of `hashes` that belong to interchanges whose time had come and which were not over."""
    i, m, d = t.interchange, t.message, t.delivery
    waits = i.c.look_at > i.c.received_at  # as in the index interchange_kept
    kept = select(i.c.id).where(waits)
    cases = select(m.c.case).where(m.c.interchange.in_(kept), m.c.case != "")
    messages = or_(m.c.interchange.in_(kept), m.c.case.in_(cases))
    deliveries = or_(d.c.message.in_(kept), d.c.message.in_(select(m.c.id).where(messages)))

    def of(column: Any, where: Any) -> Any:
        return select(column.label("sha256")).where(and_(where, column.in_(hashes)))

    if journal.row(kept.limit(1)) is None:
        return set()
    every = union(
        of(i.c.sha256, waits),
        of(m.c.payload, messages),
        of(m.c.canonical, messages),
        of(d.c.payload, deliveries),
        of(d.c.signature, deliveries),
    )
    return {row["sha256"] for row in journal.rows(every)}


def unneeded(journal: Journal, hashes: Collection[str]) -> set[str]:
    """Those of `hashes` whose bytes nobody looks for in the spool: no row has them, or the row itself does."""
    p = t.payload
    needed = select(p.c.sha256).where(p.c.sha256.in_(hashes), p.c.data.is_(None), p.c.removed_at.is_(None))
    return set(hashes) - {row["sha256"] for row in journal.rows(needed)}
