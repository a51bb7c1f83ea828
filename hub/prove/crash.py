"""The proof by killing: a port under load (hub.prove.port) whose processes are killed at every point of the table and
at random moments, then left to come to rest and checked (hub.prove.checker)."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hub.prove import checker
from hub.prove.database import beside
from hub.prove.points import POINTS
from hub.prove.port import ROLES, Life, Port
from hub.sandbox import queues

POISON_FREE = ("worker",)
"""A worker is only killed when nothing that an earlier one died on is still open: the third death on the same file
sets that file aside, which is right, and not what is proved here."""
OVERDUE = {"gate": 4.0, "worker": 4.0, "courier": 4.0, "clock": 8.0}
"""Seconds after which a point that was not reached is given up for now; the process is killed where it is."""
Say = Callable[[str], None]
Where = tuple[str, str, int]
"""(role, point, the how manyeth time)"""


@dataclass(slots=True)
class Kill:
    """One death. `back`: seconds until a successor had finished a round of its work."""

    role: str
    point: str
    seat: str
    at: float
    back: float | None = None


@dataclass(slots=True)
class Report:
    """What a run did and what came of it."""

    seed: int
    kills: list[Kill] = field(default_factory=list)
    sent: int = 0
    deliveries: int = 0
    settled: int = 0  # deliveries in doubt that two persons settled by the agency's own record
    journeys: list[float] = field(default_factory=list)  # seconds from an upload to its last event
    missed: list[str] = field(default_factory=list)  # points that were never reached
    fell: list[str] = field(default_factory=list)  # processes that ended unasked
    restless: list[str] = field(default_factory=list)  # what was still on its way when patience ended
    violations: list[checker.Violation] = field(default_factory=list)
    resting: float = 0.0  # seconds from the last kill to rest
    seconds: float = 0.0
    folder: str = ""

    @property
    def good(self) -> bool:
        return not (self.missed or self.fell or self.restless or self.violations)

    @property
    def faults(self) -> list[str]:
        """Everything that is wrong, a line each."""
        return [
            *(f"point not reached: {name}" for name in self.missed),
            *(f"ended unasked: {name}" for name in self.fell),
            *(f"does not come to rest: {name}" for name in self.restless),
            *(str(violation) for violation in self.violations),
        ]


# ---- the run


class Proof(Port):
    """One run. `plan` are the points still to be reached, by seat: a role, or a further worker."""

    def __init__(
        self, folder: Path, report: Report, kills: int, plan: Iterable[Where], workers: int, **how: Any
    ) -> None:
        seats = (*ROLES, *(f"worker {number}" for number in range(2, workers + 1)))
        super().__init__(folder, report.seed, seats=seats, **how)
        self.report = report
        self.random = random.Random(report.seed)  # noqa: S311
        self.plan: dict[str, deque[tuple[str, int]]] = {seat: deque() for seat in seats}
        for role, point, count in plan:
            self.plan[role].append((point, count))
        self.by_chance = max(0, kills - sum(len(points) for points in self.plan.values()))
        self.next_random = 0.0

    def next_point(self, seat: str) -> tuple[str, int]:
        if seat == "worker" and not self.plan[seat] and self.plan["clock"]:
            return "opened in memory", 1  # the clock takes back only what a worker died on
        return self.plan[seat].popleft() if self.plan[seat] else ("", 1)

    def works(self, life: Life, at: float) -> None:
        for kill in self.report.kills:
            if kill.seat == life.seat and kill.back is None:
                kill.back = at - kill.at

    def died(self, life: Life, status: int, at: float) -> None:
        if life.hit:
            self.report.kills.append(Kill(life.role, life.point, life.seat, at))
        elif life.doomed:
            self.report.kills.append(Kill(life.role, "at random", life.seat, at))
            if life.point:
                self.plan[life.seat].append((life.point, 1))
        else:
            super().died(life, status, at)

    def arm(self) -> None:
        """Let points kill where they may; give up waiting for one that is not reached."""
        for life in self.lives.values():
            if not (life.pid and life.point) or life.doomed:
                continue
            if not life.armed_at:
                if life.role in POISON_FREE and (not life.working or self.eyes.suspects()):
                    continue
                life.signal(signal.SIGUSR2)
                life.armed_at = time.monotonic()
            elif time.monotonic() - life.armed_at > OVERDUE[life.role]:
                self.kill(life)

    def strike(self) -> None:
        """Once every point was reached: kill some process now and then, until there were enough."""
        free = [life for life in self.lives.values() if life.pid and not life.doomed]
        if not self.by_chance or not free or self.unreached or time.monotonic() < self.next_random:
            return
        life = self.random.choice(free)
        if life.role not in POISON_FREE or not self.eyes.suspects():
            self.next_random = time.monotonic() + self.random.uniform(0.02, 0.3)
            self.by_chance -= 1
            self.kill(life)

    def let_live(self) -> None:
        """No more kills: what waits for a point is replaced by a process that may live."""
        for points in self.plan.values():
            points.clear()
        for life in self.lives.values():
            if life.pid and life.point:
                life.point = ""
                self.kill(life)

    @property
    def unreached(self) -> list[str]:
        """Points still to come."""
        now = [f"{life.role}: {life.point}" for life in self.lives.values() if life.point]
        return now + [f"{seat}: {point}" for seat, points in self.plan.items() for point, _ in points]


def run(
    kills: int,
    seed: int,
    *,
    wires: bool = False,
    plant: str = "",
    plan: Sequence[Where] | None = None,
    uploads: int = 10,
    workers: int = 1,
    patience: float = 30,
    keep: Path | None = None,
    database: str = "",
    broker: str = "",
    say: Say = lambda line: None,
) -> Report:
    """Kill at every point of `plan` (None: of the whole table) and at random until there were `kills`; then rest and
    check. `uploads`: how many files at least. `wires`: over SFTP and HTTP instead of folders, and over
    queues where there is a `broker`. `database`: URL of an empty PostgreSQL. The folder stays when `keep` names it."""
    began = time.monotonic()
    folder = keep or Path(tempfile.mkdtemp(prefix="eport-crash-"))
    report = Report(seed, folder=str(folder))
    if plan is None:
        chance = random.Random(seed)  # noqa: S311
        plan = [(p.role, p.name, chance.randint(1, 2)) for p in POINTS]
    proof = Proof(folder, report, kills, plan, workers, wires=wires, plant=plant, database=database, broker=broker)
    try:
        proof.open()
        _drive(proof, uploads, patience, say)
    finally:
        proof.close()
    ground = proof.ground()
    report.violations = checker.check(ground)
    report.deliveries = sum(row["state"] in checker.HANDED for row in ground.tables["delivery"])
    report.journeys = journeys(ground)
    report.seconds = time.monotonic() - began
    if keep is None:
        shutil.rmtree(folder)
    return report


def _drive(proof: Proof, uploads: int, patience: float, say: Say) -> None:
    """The load and the kills, then rest."""
    report = proof.report
    told, stalled = 0, time.monotonic() + 2 * patience
    while (proof.unreached or proof.by_chance) and time.monotonic() < stalled and not proof.hopeless:
        if proof.senders.faults:
            break
        proof.listen()
        proof.arm()
        proof.strike()
        proof.send()
        proof.persons()
        if len(report.kills) >= told + 10:
            told, stalled = len(report.kills), time.monotonic() + 2 * patience
            say(f"{told} kills, {proof.sent} files sent")
    report.missed = proof.unreached
    proof.let_live()
    last = time.monotonic()
    proof.run(patience, lambda: proof.sent >= uploads)
    report.restless = proof.rest(patience)
    report.resting = time.monotonic() - last
    report.sent, report.settled, report.fell = proof.sent, proof.settled, proof.faults


def journeys(ground: checker.Ground) -> list[float]:
    """Seconds from each upload to the last event of its interchange, its messages and their deliveries."""
    last: dict[str, datetime] = {}
    for row in ground.tables["event"]:
        interchange = row["subject"].partition("-")[0].partition(".")[0]  # pieces count with what they are pieces of
        at = datetime.fromisoformat(row["at"]).replace(tzinfo=UTC)
        last[interchange] = max(at, last.get(interchange, at))
    began = {(row["party"], row["name"]): datetime.fromisoformat(row["at"]) for row in ground.sent}
    return sorted(
        (last[row["id"]] - began[row["party"], row["name"]]).total_seconds()
        for row in ground.tables["interchange"]
        if (row["party"], row["name"]) in began and row["id"] in last
    )


# ---- what is shown


def spread(values: Iterable[float]) -> str:
    """p50/p95/max of some seconds."""
    ordered = sorted(values)
    if not ordered:
        return "-"
    places = (0.5, 0.95, 1.0)
    return "/".join(f"{ordered[min(len(ordered) - 1, int(len(ordered) * place))]:.2f}" for place in places)


def table(report: Report) -> list[str]:
    """The run as lines of text."""
    counted = Counter((kill.role, kill.point) for kill in report.kills)
    durable = {(point.role, point.name): point.durable for point in POINTS}
    lines = [f"{'role':8} {'point':20} {'kills':>5}  what a successor finds"]
    for role, name in [*durable, *((role, "at random") for role in ROLES)]:
        lines.append(f"{role:8} {name:20} {counted[role, name]:5}  {durable.get((role, name), '')}".rstrip())
    back = [kill.back for kill in report.kills if kill.back is not None]
    return [
        *lines,
        "",
        f"seed {report.seed}  kills {len(report.kills)}  files {report.sent}  deliveries {report.deliveries}"
        f"  settled by two persons {report.settled}",
        f"back at work p50/p95/max s: {spread(back)}   upload to last event: {spread(report.journeys)}",
        f"at rest {report.resting:.1f} s after the last kill   in all {report.seconds:.1f} s",
        f"violations {len(report.faults)}",
        *(f"  {fault}" for fault in report.faults),
    ]


def main(kills: int, seed: int, keep: bool, wires: bool = False) -> int:
    """Run, print, and return 0 when no promise was broken. $EPORT_DATABASE_URL: on a database of its own beside that
    one; $EPORT_AMQP_URL: customs by queue, with `wires`."""
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # sessions that a kill cuts
    folder = Path(tempfile.mkdtemp(prefix="eport-crash-")) if keep else None
    broker = os.environ.get(queues.VARIABLE, "") if wires else ""
    with beside(os.environ.get("EPORT_DATABASE_URL", "")) as database:
        how: dict[str, Any] = {"wires": wires, "keep": folder, "database": database, "broker": broker}
        report = run(kills, seed, say=lambda line: print(line, flush=True), **how)
    print("\n".join(table(report)), flush=True)
    if keep:
        print(report.folder)
    return 0 if report.good else 1


__all__ = ["Kill", "Report", "main", "run", "table"]
