"""Planted faults: what the hub must never do, put into its processes by the launcher. Each must be caught, or the
proof proves nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.pool import Pool

from hub import clock, courier, intake, journey, opening
from hub.contract import Handover, Inlet, Known, Parcel
from hub.engine import ends
from hub.journal import changes
from hub.journal.journal import Journal
from hub.journal.locks import Locks
from hub.message import Interchange, new_id
from hub.prove.points import adapted


def _put(owner: Any, name: str, fault: Any) -> None:
    """Replace what is there. Raises AttributeError where it is not: then the plant is out of date."""
    getattr(owner, name)
    setattr(owner, name, fault)


def settle_first() -> None:
    """The source is settled before the commit."""

    def accept(inlet: Inlet, journal: Journal, endpoint: str, party: str, limit: int, now: datetime, most: int) -> int:
        rows = []
        for arrival in inlet.collect(most):
            stored = intake.store(inlet, journal, arrival, limit)
            inlet.settle(arrival)
            if stored is not None:
                id = new_id(now)
                one = Interchange(id, endpoint, party, arrival.name, arrival.key, stored.sha256, stored.size, now)
                rows.append((one, stored))
        return len(journal.accept_all(rows, now)) if rows else 0

    _put(intake, "accept", accept)


def forget_keys() -> None:
    """Each look at a source makes new arrivals."""
    original = Journal.accept_all

    def accept_all(self: Journal, arrivals: Sequence[Any], now: datetime) -> list[str]:
        return original(self, [(replace(one, key=f"{one.key}:{one.id}"), stored) for one, stored in arrivals], now)

    _put(Journal, "accept_all", accept_all)


def deliver_twice() -> None:
    """The worker commits what it prepared, and without a guard once more."""
    original = Journal.commit

    def commit(self: Journal, outcomes: Any, now: datetime) -> None:
        outcomes = list(outcomes)
        original(self, outcomes, now)
        again = changes.Outcome()
        for outcome in outcomes:
            for change in outcome.changes:
                if isinstance(change, changes.Add) and change.table == "delivery" and change.row.get("awaits"):
                    row = {**change.row, "id": f"{change.row['id']}-2", "name": f"2{change.row['name']}"}
                    again.add("delivery", **row)
                    again.event(row["id"], row["state"])
        original(self, [again], now)

    _put(Journal, "commit", commit)


def unknown_is_failed() -> None:
    """What nobody knows counts as not done, and each further try has a name of its own."""
    following, named = courier._next, courier.parcel
    tries = [0]

    def guessing(row: Any, handover: Handover, *rest: Any) -> Any:
        known = Known.NOT_DONE if handover.known is Known.UNKNOWN else handover.known
        return following(row, replace(handover, known=known), *rest)

    def parcel(*args: Any) -> Parcel:
        made = named(*args)
        if not args[-1]["tries"]:
            return made
        tries[0] += 1
        return replace(made, name=f"try{os.getpid()}-{tries[0]}-{made.name}")

    _put(courier, "_next", guessing)
    _put(courier, "parcel", parcel)


def sent_unsent() -> None:
    """Every third delivery is marked as sent and not handed over."""
    count = [0]

    def lying(send: Any) -> Any:
        def wrapped(parcels: Sequence[Parcel]) -> Iterator[Handover]:
            for parcel in parcels:
                count[0] += 1
                if count[0] % 3:
                    yield from send([parcel])
                else:
                    yield Handover(parcel.delivery, Known.DONE, "believe me")

        return wrapped

    adapted(courier, "send", 1, "send", lying)


def drop_event() -> None:
    """The change of a state leaves no trace."""
    original = Journal._events

    def events(self: Journal, connection: Any, happened: list[Any], *rest: Any) -> None:
        kept = [c for c in happened if not (isinstance(c, changes.Move) and c.values.get("state") == "opened")]
        original(self, connection, kept, *rest)

    _put(Journal, "_events", events)


def drop_payload() -> None:
    """Evidence of what was sent is lost."""
    original = clock.tick

    def tick(site: Any, journal: Journal, now: datetime) -> int:
        with journal._write() as connection:
            rested = "SELECT payload FROM delivery WHERE state = 'sent' AND kind = 'contrl' LIMIT 1"
            connection.execute(text(f"DELETE FROM payload WHERE sha256 IN ({rested})"))  # noqa: S608
        return original(site, journal, now)

    _put(clock, "tick", tick)


def rob_the_living() -> None:
    """The clock takes back what living processes hold."""
    _put(Locks, "held", lambda self, name: False)


def slow_worker() -> None:
    """A worker that lives and needs longer than the clock's look."""
    original = journey.open_one

    def open_one(*args: Any) -> Any:
        time.sleep(0.1)
        return original(*args)

    _put(journey, "open_one", open_one)


PLANTS: dict[str, tuple[tuple[str, Callable[[], None]], ...]] = {
    "settle first": (("gate", settle_first),),
    "forget keys": (("gate", forget_keys),),
    "deliver twice": (("worker", deliver_twice),),
    "unknown is failed": (("courier", unknown_is_failed),),
    "sent unsent": (("courier", sent_unsent),),
    "drop event": (("worker", drop_event),),
    "drop payload": (("clock", drop_payload),),
    "rob the living": (("clock", rob_the_living), ("worker", slow_worker)),
}
"""Name -> (role, fault) pairs."""


# ---- what the world does to the hub (hub.prove.faults)


def careless_disk() -> None:
    """Commits are acknowledged before the disk has them."""

    def checked_out(connection: Any, *_: Any) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")

    event.listen(Pool, "checkout", checked_out)


POISON = "poison"
"""Names of files that kill whoever opens them begin so."""


def poison() -> None:
    """A worker dies while it opens certain files."""
    original = opening.open

    def opened(site: Any, ix: Interchange, *rest: Any) -> Any:
        if ix.name.startswith(POISON):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(site, ix, *rest)

    _put(opening, "open", opened)


CLOCK = "EPORT_PROOF_CLOCK"
"""Environment variable: a file with so many seconds by which the clock is wrong."""


def wrong_clock() -> None:
    """The time of day that this process is told jumps; time goes on as it does."""
    told = Path(os.environ[CLOCK])
    _put(ends, "now", lambda: datetime.now(UTC) + timedelta(seconds=float(told.read_text())))


_EVERY = ("gate", "worker", "courier", "clock")

TROUBLES: dict[str, tuple[tuple[str, Callable[[], None]], ...]] = {
    "careless disk": tuple((role, careless_disk) for role in _EVERY),
    "poison": (("worker", poison),),
    "wrong clock": tuple((role, wrong_clock) for role in _EVERY),
}
"""As PLANTS: no fault of the hub, which has to live with it."""


def plant(name: str, role: str) -> None:
    """Put the fault into this process where it concerns its role. Raises KeyError for an unknown name."""
    for where, fault in (PLANTS | TROUBLES)[name] if name else ():
        if where == role:
            fault()
