"""Steps 1 and 2: ask a source what is there, and take it in. The source is settled only after the commit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from hub.contract import Arrival, Inlet
from hub.errors import Unreachable
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.spool import Stored, TooLarge
from hub.message import Interchange, new_id

BATCH = 50


@dataclass(slots=True)
class Pace:
    """How fast one party may send: a bucket of `most` interchanges that fills up in `span`. It is in the memory of one
    process: after a restart, or at a second gate, it is full."""

    most: int
    span: timedelta
    left: float
    at: datetime

    def allows(self, now: datetime) -> int:
        """How many may be taken in now."""
        filled = self.most * max(now - self.at, timedelta(0)) / self.span
        self.left, self.at = min(float(self.most), self.left + filled), now
        return int(self.left)


def accept(
    inlet: Inlet, journal: Journal, endpoint: str, party: str, limit: int, now: datetime, most: int = BATCH
) -> int:
    """One round: collect at most `most`, store, commit once for all, settle. How many new interchanges.

    Called again after a crash anywhere inside it, it takes nothing twice: an arrival keeps its key."""
    arrivals = inlet.collect(most)
    taken = [(arrival, store(inlet, journal, arrival, limit)) for arrival in arrivals]
    ready = [(arrival, stored) for arrival, stored in taken if stored is not None]
    if not ready:
        return 0
    ids = sorted(new_id(now) for _ in ready)  # in the order of arrival: amendments after what they amend
    rows = [
        (
            Interchange(id, endpoint, party, text(arrival.name), text(arrival.key), stored.sha256, stored.size, now),
            stored,
        )
        for id, (arrival, stored) in zip(ids, ready, strict=True)
    ]
    fresh = journal.accept_all(rows, now)
    for arrival, _ in ready:
        inlet.settle(arrival)
    return len(fresh)


def tell_left(journal: Journal, endpoint: str, left: str, due_at: datetime, now: datetime) -> None:
    """What an inlet leaves at its source is on the list of what waits, as source/ENDPOINT, as long as it lies there."""
    outcome = Outcome()
    if left:
        outcome.wait("source", f"source/{endpoint}", "source.left", due_at, left)
    else:
        outcome.rest(f"source/{endpoint}")
    journal.commit([outcome], now)


def text(name: str) -> str:
    """A source's name as the journal can keep it: bytes that are no UTF-8 become \\x…"""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def store(inlet: Inlet, journal: Journal, arrival: Arrival, limit: int) -> Stored | None:
    """Read one arrival into the spool; its first bytes only where it is larger than agreed; None to try later."""
    try:
        if arrival.size > limit:
            head = next(iter(inlet.read(arrival)), b"")[:4096]
            stored = journal.spool.store([head], 4096)
            return Stored(stored.sha256, arrival.size, stored.data, head)
        return journal.spool.store(inlet.read(arrival), limit)
    except TooLarge:
        stored = journal.spool.store([b""], 0)
        return Stored(stored.sha256, limit + 1, b"", b"")
    except Unreachable:
        return None
