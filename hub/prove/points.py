"""Where a process is killed. Nothing here is called by the product: a launcher puts itself around the product's
functions in its own process, and the chosen point ends that process by SIGKILL.

    before a call   what the call would do has not happened
    inside          the call's transaction has its rows and is not committed
    after           the call is done, its caller does not know
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hub import clock, courier, intake, journey
from hub.engine import gate
from hub.journal import changes
from hub.journal.journal import Journal
from hub.journal.numbers import Numbers

Tell = Callable[[dict[str, object]], None]


@dataclass(slots=True)
class Trigger:
    """Kills this process the `left`-th time that it is pulled while `armed` says so."""

    point: str
    left: int
    tell: Tell
    armed: Callable[[], bool]

    def pull(self) -> None:
        if self.armed():
            self.left -= 1
            if self.left <= 0:
                self.tell({"hit": os.getpid(), "point": self.point})
                os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Point:
    """One place in one role. `durable`: what a successor finds."""

    role: str
    name: str
    durable: str
    install: Callable[[Trigger], None]


# ---- ways to put oneself around a function

When = Callable[..., bool]


def _always(*_: Any, **__: Any) -> bool:
    return True


def before(owner: Any, name: str, when: When = _always) -> Callable[[Trigger], None]:
    def install(trigger: Trigger) -> None:
        original = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if when(*args, **kwargs):
                trigger.pull()
            return original(*args, **kwargs)

        setattr(owner, name, wrapped)

    return install


def after(owner: Any, name: str, when: When = _always) -> Callable[[Trigger], None]:
    def install(trigger: Trigger) -> None:
        original = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            meant = when(*args, **kwargs)
            result = original(*args, **kwargs)
            if meant:
                trigger.pull()
            return result

        setattr(owner, name, wrapped)

    return install


def inside(owner: Any, name: str, when: When = _always) -> Callable[[Trigger], None]:
    """In the first write transaction that the call opens, all rows written, before its COMMIT."""

    def install(trigger: Trigger) -> None:
        original, transaction = getattr(owner, name), Journal._write
        meant: list[bool] = []

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            meant.append(when(*args, **kwargs))
            try:
                return original(*args, **kwargs)
            finally:
                meant.pop()

        @contextmanager
        def writing(self: Journal) -> Iterator[Any]:
            with transaction(self) as connection:
                yield connection
                if meant and meant[-1]:
                    trigger.pull()

        setattr(owner, name, wrapped)
        Journal._write = writing  # type: ignore[method-assign]

    return install


def moves(table: str, *states: str) -> When:
    """True for a commit in which a row of `table` changes (to one of `states`)."""

    def when(_: Journal, outcomes: Iterable[changes.Outcome], *__: Any) -> bool:
        return any(
            isinstance(c, changes.Move) and c.table == table and (not states or c.values.get("state") in states)
            for outcome in outcomes
            for c in outcome.changes
        )

    return when


def taken_up(_: Journal, outcomes: Iterable[changes.Outcome], *__: Any) -> bool:
    """True for a commit that takes up a released message."""
    return any(
        isinstance(c, changes.Move) and c.table == "message" and c.was == ("released",)
        for outcome in outcomes
        for c in outcome.changes
    )


def advanced(_: Journal, outcomes: Iterable[changes.Outcome], *__: Any) -> bool:
    """True for a commit that advances a case."""
    return any(
        isinstance(c, changes.Move) and c.table == "port_case" and "stages" in c.values
        for outcome in outcomes
        for c in outcome.changes
    )


def _late(_: Journal, outcomes: Iterable[changes.Outcome], *__: Any) -> bool:
    return any(outcome.changes for outcome in outcomes)


class _Proxy:
    """An adapter's inlet or outlet with one method watched."""

    def __init__(self, inner: Any, watched: str, how: Callable[[Any], Any]) -> None:
        self._inner = inner
        setattr(self, watched, how(getattr(inner, watched)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def adapted(step: Any, name: str, position: int, watched: str, how: Callable[[Any], Any]) -> None:
    """Give step `name` an adapter, at `position` of its arguments, that is watched."""
    original = getattr(step, name)

    def wrapped(*args: Any) -> Any:
        changed = list(args)
        changed[position] = _Proxy(args[position], watched, how)
        return original(*changed)

    setattr(step, name, wrapped)


def inlet_after(which: str) -> Callable[[Trigger], None]:
    """After one call of an inlet that found or settled something."""

    def install(trigger: Trigger) -> None:
        def watching(call: Any) -> Any:
            def wrapped(argument: Any) -> Any:
                result = call(argument)
                if which == "settle" or result:
                    trigger.pull()
                return result

            return wrapped

        adapted(intake, "accept", 0, which, watching)

    return install


def handed(step: str, which: str, first: bool) -> Callable[[Trigger], None]:
    """After the outlet told of the first parcel of a batch, or of the whole batch."""

    def install(trigger: Trigger) -> None:
        def watching(call: Any) -> Any:
            def wrapped(parcels: Any) -> Iterator[Any]:
                for handover in call(parcels):
                    if first:
                        trigger.pull()
                    yield handover
                if not first:
                    trigger.pull()

            return wrapped

        adapted(courier, step, 1, which, watching)

    return install


# ---- the table

_MARK, _TOLD = moves("delivery", "sending"), moves("delivery", "sent", "failed", "dead", "in_doubt")

POINTS = (
    Point("gate", "listed", "nothing; every file lies at its source", inlet_after("collect")),
    Point("gate", "read", "nothing in the journal; perhaps bytes in the spool", after(intake, "store")),
    Point("gate", "accept before", "nothing in the journal; the whole batch is read", before(Journal, "accept_all")),
    Point("gate", "accept inside", "nothing: the transaction is not committed", inside(Journal, "accept_all")),
    Point("gate", "accept after", "the interchanges; no source is settled", after(Journal, "accept_all")),
    Point("gate", "settled one", "the interchanges; one file is gone, others lie there still", inlet_after("settle")),
    Point("worker", "claim inside", "received, not claimed", inside(Journal, "claim_interchanges")),
    Point(
        "worker",
        "claim after",
        "received, held by a dead process, one try counted",
        after(Journal, "claim_interchanges", lambda journal, limit: _waiting(journal)),
    ),
    Point("worker", "opened in memory", "received, held by a dead process", after(journey, "open_one")),
    Point("worker", "numbers after", "a block of references is used up", after(Numbers, "next")),
    Point("worker", "open before", "as before", before(Journal, "commit", moves("interchange"))),
    Point("worker", "open inside", "as before: not committed", inside(Journal, "commit", moves("interchange"))),
    Point(
        "worker",
        "open after",
        "everything that follows from the interchanges",
        after(Journal, "commit", moves("interchange")),
    ),
    Point("worker", "take-up try", "released, one try counted", after(Journal, "count_try")),
    Point("worker", "take-up inside", "released: not committed", inside(Journal, "commit", taken_up)),
    Point("worker", "take-up after", "routed; deliveries pending", after(Journal, "commit", taken_up)),
    Point(
        "worker",
        "case claim after",
        "a case held by a dead process, no longer ripe",
        after(Journal, "claim_cases", lambda journal, limit: _ripe(journal)),
    ),
    Point("worker", "case in memory", "a case held by a dead process", after(journey, "advance")),
    Point("worker", "advance inside", "as before: not committed", inside(Journal, "commit", advanced)),
    Point("worker", "advance after", "the stages, what they made and sent", after(Journal, "commit", advanced)),
    Point("courier", "mark before", "pending", before(Journal, "commit", _MARK)),
    Point("courier", "mark inside", "pending: not committed", inside(Journal, "commit", _MARK)),
    Point("courier", "mark after", "sending; nothing was handed over", after(Journal, "commit", _MARK)),
    Point("courier", "probed", "sending; the evidence is found, not recorded", handed("resolve", "probe", first=False)),
    Point("courier", "link before", "sending; the file has only its temporary name", before(os, "link")),
    Point("courier", "link after", "sending; some of the batch is there, with both names", after(os, "link")),
    Point("courier", "told one", "sending; handed over, nothing recorded", handed("send", "send", first=True)),
    Point("courier", "told all", "sending; all handed over, nothing recorded", handed("send", "send", first=False)),
    Point("courier", "result inside", "sending; all handed over: not committed", inside(Journal, "commit", _TOLD)),
    Point("courier", "result after", "sent; the endpoint is not judged", after(Journal, "commit", _TOLD)),
    Point("clock", "take-back before", "rows held by dead processes", before(Journal, "take_back")),
    Point("clock", "take-back inside", "the same: not committed", inside(Journal, "take_back")),
    Point("clock", "take-back after", "free rows", after(Journal, "take_back")),
    Point("clock", "tick before", "what is late is not filed", before(clock, "tick")),
    Point("clock", "tick inside", "the same: not committed", inside(Journal, "commit", _late)),
    Point("clock", "tick after", "what was late is filed", after(Journal, "commit", _late)),
)


def _waiting(journal: Journal) -> bool:
    return bool(journal.backlog())


def _ripe(journal: Journal) -> bool:
    from sqlalchemy import select

    from hub.journal import tables as t

    return journal.row(select(t.case.c.id).where(t.case.c.ripe)) is not None


def install(role: str, name: str, count: int, tell: Tell, armed: Callable[[], bool]) -> None:
    """Put point `name` of `role` into this process. Raises KeyError when the table has none."""
    point = {(p.role, p.name): p for p in POINTS}[role, name]
    point.install(Trigger(f"{role}: {name}", count, tell, armed))


def first_rounds(tell: Tell) -> None:
    """Tell once when the role in this process has finished a round of its work."""
    told: list[bool] = []

    def watch(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if not told:
                told.append(True)
                tell({"working": os.getpid()})
            return result

        setattr(owner, name, wrapped)

    for owner, name in ((gate, "take_from"), (journey, "work"), (courier, "resolve"), (clock, "tick")):
        watch(owner, name)
