"""A row of the table of faults, and a row at work."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.prove import checker
from hub.prove.eyes import Blind
from hub.prove.port import Port

LOST = {
    *("lost", "not taken in", "not delivered", "not the newest", "not there", "payload missing", "answer lost"),
    *("no stored receipt", "event missing", "waits for nobody"),
}
TWICE = {
    *("taken in twice", "answer taken in twice", "delivered twice", "handed over twice", "reference twice"),
    *("stage twice", "event twice", "one reference, two contents"),
}
"""What the checker says that means a loss, or work done twice. The rest of what it says is wrong all the same."""

Judge = Callable[[checker.Ground], list[checker.Violation]]

Stand = Callable[[Path], AbstractContextManager[dict[str, Path] | None]]
"""Prepares a folder before a port is staged in it; gives where the senders' homes are, if not in the spool."""


def firm(folder: Path) -> AbstractContextManager[dict[str, Path] | None]:
    """The disk of this machine."""
    return nullcontext()


HANDED = "SELECT count(*) FROM delivery WHERE party = '{}' AND sent_at IS NOT NULL"


@dataclass(slots=True)
class Run:
    """One row at work.

    wanted    how many times its fault is to happen; `quick`: in seconds, not minutes
    recovery  seconds from the end of a fault until the next delivery had reached the party that it concerns
    violations, broken    what the checker found; what else must not be
    """

    folder: Path
    seed: int
    wanted: int
    quick: bool
    say: Callable[[str], None]
    plant: str = ""
    trials: int = 0
    files: int = 0
    settled: int = 0
    recovery: list[float] = field(default_factory=list)
    violations: list[checker.Violation] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    random: random.Random = field(init=False)
    _ports: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311

    @contextmanager
    def port(
        self, may_fall: bool = False, stand: Stand = firm, judge: Judge = checker.check, **how: Any
    ) -> Iterator[Port]:
        """A port of its own at work. After the block it comes to rest and is checked. `may_fall`: the fault is one
        that a role can only answer by ending. `stand` prepares what the site stands on."""
        self._ports += 1
        folder = self.folder / f"port-{self._ports}"
        with stand(folder) as homes:
            port = Port(folder, self.random.randrange(1 << 30), **{"plant": self.plant, **how})
            port.may_fall, port.homes = may_fall, homes or port.homes
            yield from self._working(port, judge)

    def _working(self, port: Port, judge: Judge) -> Iterator[Port]:
        try:
            port.open()
            yield port
            self.broken += [f"does not come to rest: {what}" for what in port.rest(self.patience)]
            self.broken += [f"ended unasked: {what}" for what in port.faults]
        finally:
            port.close()
        self.violations += judge(port.ground())
        self.files += port.sent
        self.settled += port.settled

    @property
    def patience(self) -> float:
        """Seconds to wait for what has to come; shorter where a fault was planted and it will not."""
        return 4.0 if self.plant else 30.0

    def recovers(self, port: Port, party: str = "CUSTOMS") -> None:
        """The fault is over: measure until the next delivery to `party` is known to have reached it."""
        since, before = time.monotonic(), reached(port, party)
        if port.run(self.patience, lambda: reached(port, party) > before):
            self.recovery.append(time.monotonic() - since)
        else:
            self.broken.append(f"trial {self.trials}: nothing reached {party} for {self.patience:.0f} s")

    def done(self, what: str = "") -> None:
        """One more trial is over."""
        self.trials += 1
        if what or self.trials % 10 == 0:
            self.say(f"{self.trials} of {self.wanted} {what}".rstrip())

    def expect(self, true: object, otherwise: str) -> None:
        if not true:
            self.broken.append(otherwise)

    @property
    def lost(self) -> int:
        return sum(one.code in LOST for one in self.violations)

    @property
    def twice(self) -> int:
        return sum(one.code in TWICE for one in self.violations)

    @property
    def faults(self) -> list[str]:
        """Everything that is wrong, a line each."""
        return [*map(str, self.violations), *self.broken]


def reached(port: Port, party: str) -> int:
    """Deliveries that the journal knows to have reached `party`; -1 while it cannot be seen."""
    try:
        return int(port.eyes.ask(HANDED.format(party))[0][0])
    except Blind:
        return -1


def nothing() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Row:
    """One fault. `needs` says what this machine lacks for it, or ""."""

    fault: str
    name: str
    work: Callable[[Run], None]
    trials: int
    quick: int
    needs: Callable[[], str] = nothing
