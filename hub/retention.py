"""Bytes go when the agreed time of keeping is over: `retention` in routes.yaml; without it nothing ever goes.

What came of one interchange is judged together: its messages, the cases that have them and what these made, the
deliveries of all these, their receipts. It is over when every part is final (nothing is owed, nothing waits for
anybody) and the last thing that happened to any part is longer ago than agreed. Rows, hashes, events, envelopes and
documents stay, so a duplicate is still known after a hundred years.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hub.journal import keeping
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.journal.recall import Recall
from hub.message import AT_REST, DeliveryState, InterchangeState, MessageState, pieces_of
from hub.site.site import Site

BATCH = 200
"""Interchanges that are looked at, and a fifth of the payloads that are taken away, in one commit."""
ROUNDS = 10
"""Commits of each kind in one go of the clock."""
AGAIN = timedelta(days=1)
"""What is not over is looked at once a day."""
ABANDONED = timedelta(days=1)
"""A file of the spool that no row needs was left by a crash between its writing and the commit, or its time is over."""

HANDED = (DeliveryState.SENT, DeliveryState.RECEIPTED, DeliveryState.ACKNOWLEDGED)
CLOSED = (InterchangeState.OPENED, InterchangeState.SPLIT, InterchangeState.REJECTED, InterchangeState.DUPLICATE)
WAITING = (MessageState.RELEASED, MessageState.HELD)

Row = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Family:
    """An interchange and everything that came of it. `answered`: deliveries that its messages answer; `pieces`: those
    that it went apart into, each with a family of its own."""

    interchange: Row
    messages: Sequence[Row]
    cases: Sequence[Row]
    deliveries: Sequence[Row]
    receipts: Sequence[Row]
    answered: Sequence[Row]
    waits: bool
    pieces: Sequence[Row] = ()


def clear(site: Site, journal: Journal, now: datetime) -> int:
    """One go: look at what is due, remove what is over. How many bytes."""
    keep = site.routes.retention.payloads
    if keep is None:
        return 0
    before, gone = now - keep, 0
    for _ in range(ROUNDS):
        ids = keeping.due(journal, before, BATCH)
        if ids:
            keeping.looked_at(journal, {one.interchange["id"]: again(one, before) for one in families(journal, ids)})
        freed, looked = keeping.remove(journal, before, before + AGAIN, 5 * BATCH, now)
        gone += freed
        if not ids and not looked:
            break
    return gone


def again(family: Family, before: datetime) -> datetime | None:
    """When to look at it again, as a time that then is as old as agreed; None when it is over."""
    if not final(family):
        return before + AGAIN
    last = newest(family)
    return last if last > before else None


def final(family: Family) -> bool:
    """True when nothing of it is owed, under way, or waits for anybody."""
    return (
        family.interchange["state"] in CLOSED
        and not family.waits
        and all(piece["look_at"] is None for piece in family.pieces)
        and all(case["state"] == "closed" for case in family.cases)
        and all(_at_rest(row) for row in (*family.deliveries, *family.answered))
        and all(_done(row, family) for row in family.messages)
    )


def _at_rest(delivery: Row) -> bool:
    """A delivery whose answer is here, or that owes none and was handed over."""
    return delivery["state"] in AT_REST or (delivery["state"] in HANDED and delivery["awaits"] == "")


def _done(message: Row, family: Family) -> bool:
    """A routed message is as far as its case and its deliveries are."""
    if message["state"] == MessageState.ROUTED:
        return bool(message["case"]) or any(row["message"] == message["id"] for row in family.deliveries)
    return message["state"] not in WAITING


def newest(family: Family) -> datetime:
    """When something last happened to any part of it."""
    times: list[datetime] = [
        family.interchange["received_at"],
        *(row["at"] for row in (*family.messages, *family.receipts)),
    ]
    times += [row["closed_at"] for row in family.cases if row["closed_at"]]
    times += [at for row in family.deliveries for at in (row["at"], row["sent_at"]) if at]
    return max(times)


def families(journal: Journal, ids: Sequence[str]) -> list[Family]:
    """What came of each of these interchanges, read in few queries."""
    recall = Recall(journal)
    came = recall.fetch(t.message, ("interchange",), [(id,) for id in ids])
    cases = recall.fetch(t.case, ("id",), {(row["case"],) for row in came if row["case"]})
    made = [
        row for row in recall.fetch(t.message, ("case",), [(row["id"],) for row in cases]) if not row["interchange"]
    ]
    sent = recall.fetch(t.delivery, ("message",), [(id,) for id in (*ids, *(row["id"] for row in (*came, *made)))])
    recall.fetch(t.receipt, ("delivery",), [(row["id"],) for row in sent])
    said = recall.fetch(t.receipt, ("message",), [(row["id"],) for row in came])
    recall.fetch(t.delivery, ("id",), {(row["delivery"],) for row in said if row["delivery"]})
    subjects = [*ids, *(row["id"] for row in (*came, *made, *cases, *sent))]
    recall.fetch(t.waiting, ("subject",), [(id,) for id in subjects])
    rows = recall.fetch(t.interchange, ("id",), [(id,) for id in ids])
    recall.fetch(t.interchange, ("id",), [(id,) for row in rows for id in pieces_of(row)])
    return [_family(recall, row) for row in rows]


def _family(recall: Recall, interchange: Row) -> Family:
    came = recall.rows(t.message, ("interchange",), interchange["id"])
    names = dict.fromkeys(row["case"] for row in came if row["case"])
    cases = [row for name in names for row in recall.rows(t.case, ("id",), name)]
    made = [row for name in names for row in recall.rows(t.message, ("case",), name) if not row["interchange"]]
    messages = [*came, *made]
    owners = [interchange["id"], *(row["id"] for row in messages)]
    deliveries = [row for id in owners for row in recall.rows(t.delivery, ("message",), id)]
    receipts = [row for one in deliveries for row in recall.rows(t.receipt, ("delivery",), one["id"])]
    said = [row["delivery"] for one in came for row in recall.rows(t.receipt, ("message",), one["id"])]
    answered = [row for id in said if id for row in recall.rows(t.delivery, ("id",), id)]
    every = [*owners, *names, *(row["id"] for row in deliveries)]
    waits = any(recall.rows(t.waiting, ("subject",), id) for id in every)
    pieces = [row for id in pieces_of(interchange) for row in recall.rows(t.interchange, ("id",), id)]
    return Family(interchange, messages, cases, deliveries, receipts, answered, waits, pieces)


# ---- the spool


def collect(journal: Journal, now: datetime) -> int:
    """Remove files of the spool that no row needs and that nobody has touched for a day. How many.

    One of its 256 folders each minute, so that a round is short however large the spool is. A file that is stored
    anew has a new time (it is renamed into its place), so it is never taken for an old one."""
    folder = journal.spool.folder
    turn = int(now.timestamp() // 60) % 256
    old = [*_old(folder, now), *_old(folder / f"{turn:02x}", now)]
    dead = keeping.unneeded(journal, {path.name for path in old}) if old else set()
    return sum(journal.spool.discard(path, now - ABANDONED) for path in old if path.name in dead)


def _old(folder: Path, now: datetime) -> list[Path]:
    """The files in `folder` itself that nobody has written to for a day."""
    if not folder.is_dir():
        return []
    limit = (now - ABANDONED).timestamp()
    with os.scandir(folder) as items:
        return [Path(item.path) for item in items if item.is_file(follow_symlinks=False) and _before(item, limit)]


def _before(item: os.DirEntry[str], limit: float) -> bool:
    """False also for one that has just got its name, and so is gone under this one."""
    with suppress(FileNotFoundError):
        return item.stat(follow_symlinks=False).st_mtime < limit
    return False
