"""The proof by killing: a port under load in processes of its own, killed at every point of the table and at random
moments, then left to come to rest and checked (hub.prove.checker).

Everything happens in a folder of its own: `site` is the port, `evidence` what senders and agencies wrote down.
"""

from __future__ import annotations

import json
import os
import queue
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import select

from hub import decisions
from hub.cli.common import shipped
from hub.errors import Impossible, Stale
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.prove import checker
from hub.prove.counterparts import Folders, Wires
from hub.prove.load import Sent, Writer, write_down
from hub.prove.points import POINTS
from hub.prove.senders import ByFolder, BySftp, Senders
from hub.sandbox.ground import folders_only, prepare

ROLES = ("gate", "worker", "courier", "clock")
ERPS = {"BOHAI": "bohai", "TJLINE": "tjline"}
POISON_FREE = ("worker",)
"""A worker is only killed when nothing that an earlier one died on is still open: the third death on the same file
sets that file aside, which is right, and not what is proved here."""
OVERDUE = {"gate": 4.0, "worker": 4.0, "courier": 4.0, "clock": 8.0}
"""Seconds after which a point that was not reached is given up for now; the process is killed where it is."""
AHEAD = 6
"""Uploads that are under way at the same time."""
PACE = 0.1
"""Seconds between two uploads."""

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


# ---- the port


def stage(source: Path, folder: Path, wires: bool) -> dict[str, int]:
    """A site to be proved in `folder`. By folder, readers keep what they get, except the one that is blind."""
    if wires:
        from hub.sandbox import show

        ports = show.stage(source, folder)
    else:
        prepare(source, folder)
        ports = {}
    path = folder / "routes.yaml"
    text = path.read_text("utf-8")
    routes = yaml.safe_load(text if wires else folders_only(text))
    routes["attention"] = "1s"
    for name, endpoint in routes["endpoints"].items():
        endpoint["retry"] = {"first": "1s", "longest": "1s"}
        if endpoint["adapter"] == "sftpd":
            endpoint["options"]["incomplete_after"] = 2  # a door that dies may leave a whole upload where it was put
        if endpoint["adapter"] == "folder":
            endpoint["options"]["consumer_keeps"] = name.upper() not in (Wires if wires else Folders).BLIND
            for key in ("in", "out"):
                if key in endpoint["options"]:
                    (folder / endpoint["options"][key]).mkdir(parents=True, exist_ok=True)
    if not wires:
        for home in ERPS.values():
            for way in ("outbound", "inbound", "error"):
                (folder / "spool" / "boxes" / home / way).mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(routes, allow_unicode=True, sort_keys=False), "utf-8")
    return ports


class Nursery:
    """The process that forks roles, and what it tells."""

    def __init__(self, site: Path) -> None:
        command = [sys.executable, "-m", "hub.prove.launcher", "nursery", str(site)]
        (site / "spool" / "run").mkdir(parents=True, exist_ok=True)
        self.log = site / "spool" / "run" / "hub.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        self.told: queue.Queue[tuple[float, dict[str, Any]]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="nursery", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.told.put((time.monotonic(), json.loads(line)))

    def start(self, seat: str, point: str, count: int, plant: str) -> None:
        assert self._process.stdin is not None
        role = seat.partition(" ")[0]
        wanted = {"start": role, "seat": seat, "point": point, "count": count, "plant": plant}
        self._process.stdin.write(json.dumps(wanted).encode() + b"\n")
        self._process.stdin.flush()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._reader.join()
        self._process.stdout.close()


@dataclass(slots=True)
class Life:
    """One role's process now. `point` is "" for one that may live."""

    seat: str
    point: str
    pid: int = 0
    armed_at: float = 0.0
    working: bool = False
    hit: bool = False
    doomed: bool = False  # killed by us, at no point

    @property
    def role(self) -> str:
        return self.seat.partition(" ")[0]


class Eyes:
    """What the journal's tables show to somebody who only reads."""

    def __init__(self, site: Path) -> None:
        self.site = site
        self._database = sqlite3.connect(f"file:{site / 'spool' / 'journal.db'}?mode=ro", uri=True, timeout=10)

    def ask(self, query: str) -> list[Any]:
        return self._database.execute(query).fetchall()

    def suspects(self) -> bool:
        """Something that a worker died on is still open."""
        return bool(
            self.ask(
                "SELECT 1 FROM interchange WHERE state = 'received' AND tries > 0"
                " UNION ALL SELECT 1 FROM port_case WHERE tries > 0"
                " UNION ALL SELECT 1 FROM message WHERE state = 'released' AND tries > 0 LIMIT 1"
            )
        )

    def opened(self) -> set[str]:
        return {name for (name,) in self.ask("SELECT name FROM interchange WHERE state = 'opened'")}

    def moving(self) -> list[str]:
        """Whatever is on its way."""
        found = self.ask(
            "SELECT 'interchange', id, state FROM interchange WHERE state = 'received' OR holder IS NOT NULL"
            " UNION ALL SELECT 'message', id, state FROM message WHERE state = 'released'"
            " UNION ALL SELECT 'delivery', id, state FROM delivery"
            " WHERE state IN ('released', 'pending', 'sending', 'failed', 'in_doubt')"
            " OR (awaits <> '' AND state IN ('sent', 'receipted', 'acknowledged'))"
            " UNION ALL SELECT 'case', id, 'ripe' FROM port_case WHERE ripe OR holder IS NOT NULL"
        )
        return [" ".join(row) for row in found]

    def close(self) -> None:
        self._database.close()


# ---- the run


class Proof:
    """One run. `plan` are the points still to be reached, by seat: a role, or a further worker."""

    def __init__(self, site: Path, report: Report, kills: int, plant: str, plan: Iterable[Where], workers: int) -> None:
        self.site, self.evidence, self.report, self.plant = site, site.with_name("evidence"), report, plant
        self.random = random.Random(report.seed)  # noqa: S311
        self.seats = (*ROLES, *(f"worker {number}" for number in range(2, workers + 1)))
        self.plan: dict[str, deque[tuple[str, int]]] = {seat: deque() for seat in self.seats}
        for role, point, count in plan:
            self.plan[role].append((point, count))
        self.nursery = Nursery(site)
        self.lives: dict[str, Life] = {}
        self.writer = Writer(site / "mappings", report.seed)
        self.uploads: Iterator[tuple[Sent, bytes]] = iter(())
        self.eyes: Eyes | None = None
        self.by_chance = max(0, kills - sum(len(points) for points in self.plan.values()))
        self.next_random = self.next_upload = 0.0

    def open(self) -> None:
        """Everything runs when this returns."""
        deadline = time.monotonic() + 60
        while not any(row.get("ready") for _, row in self._told(0.1)):
            if not self.nursery.alive or time.monotonic() > deadline:
                raise RuntimeError(self.nursery.log.read_text("utf-8"))
        self.eyes = Eyes(self.site)
        self.uploads = self.writer.stream(self.eyes.opened)
        for seat in self.seats:
            self._start(seat)

    def _told(self, seconds: float) -> list[tuple[float, dict[str, Any]]]:
        told = []
        try:
            told.append(self.nursery.told.get(timeout=seconds))
            while True:
                told.append(self.nursery.told.get_nowait())
        except queue.Empty:
            return told

    def _start(self, seat: str) -> None:
        if seat == "worker" and not self.plan[seat] and self.plan["clock"]:
            self.plan[seat].append(("opened in memory", 1))  # the clock takes back only what a worker died on
        point, count = self.plan[seat].popleft() if self.plan[seat] else ("", 1)
        self.lives[seat] = Life(seat, point)
        self.nursery.start(seat, point, count, self.plant)

    def listen(self, seconds: float = 0.01) -> None:
        """What the processes tell; who died has a successor."""
        for at, row in self._told(seconds):
            if "started" in row:
                self.lives[row["seat"]].pid = row["started"]
                continue
            pid = next((row[key] for key in ("working", "hit", "dead") if key in row), 0)
            life = next((one for one in self.lives.values() if one.pid == pid), None)
            if life is None:
                continue
            if "working" in row:
                life.working = True
                for kill in self.report.kills:
                    if kill.seat == life.seat and kill.back is None:
                        kill.back = at - kill.at
            elif "hit" in row:
                life.hit = True
            else:
                self._died(life, row["status"], at)

    def _died(self, life: Life, status: int, at: float) -> None:
        if life.hit:
            self.report.kills.append(Kill(life.role, life.point, life.seat, at))
        elif life.doomed:
            self.report.kills.append(Kill(life.role, "at random", life.seat, at))
            if life.point:
                self.plan[life.seat].append((life.point, 1))
        else:
            self.report.fell.append(f"{life.role} with {status}")
        self._start(life.seat)

    def arm(self) -> None:
        """Let points kill where they may; give up waiting for one that is not reached."""
        for life in self.lives.values():
            if not (life.pid and life.point) or life.doomed:
                continue
            if not life.armed_at:
                if life.role in POISON_FREE and (not life.working or self._suspects()):
                    continue
                self._signal(life, signal.SIGUSR1)
                life.armed_at = time.monotonic()
            elif time.monotonic() - life.armed_at > OVERDUE[life.role]:
                self._kill(life)

    def strike(self) -> None:
        """Once every point was reached: kill some process now and then, until there were enough."""
        free = [life for life in self.lives.values() if life.pid and not life.doomed]
        if not self.by_chance or not free or self.unreached or time.monotonic() < self.next_random:
            return
        life = self.random.choice(free)
        if life.role not in POISON_FREE or not self._suspects():
            self.next_random = time.monotonic() + self.random.uniform(0.02, 0.3)
            self.by_chance -= 1
            self._kill(life)

    def let_live(self) -> None:
        """No more kills: what waits for a point is replaced by a process that may live."""
        for points in self.plan.values():
            points.clear()
        for life in self.lives.values():
            if life.pid and life.point:
                life.point = ""
                self._kill(life)

    def _kill(self, life: Life) -> None:
        life.doomed = True
        self._signal(life, signal.SIGKILL)

    def _signal(self, life: Life, number: int) -> None:
        try:
            os.kill(life.pid, number)
        except ProcessLookupError:
            return

    def _suspects(self) -> bool:
        return self.eyes is not None and self.eyes.suspects()

    @property
    def hopeless(self) -> bool:
        """Processes end again and again without being killed."""
        return len(self.report.fell) >= 3

    @property
    def unreached(self) -> list[str]:
        """Points still to come."""
        now = [f"{life.role}: {life.point}" for life in self.lives.values() if life.point]
        return now + [f"{seat}: {point}" for seat, points in self.plan.items() for point, _ in points]


def send(proof: Proof, senders: Senders) -> None:
    """One upload, when it is time and only a few are under way."""
    assert proof.eyes is not None
    if time.monotonic() > proof.next_upload:
        proof.next_upload = time.monotonic() + PACE
        if _under_way(proof.site, proof.eyes) + senders.pending < AHEAD:
            sent, data = next(proof.uploads)
            write_down(proof.evidence, sent)
            senders.hand_in(sent, data)
            proof.report.sent += 1


def _under_way(site: Path, eyes: Eyes) -> int:
    outbounds = [home / "outbound" for home in homes(site).values()]
    waiting = sum(len(os.listdir(folder)) for folder in outbounds if folder.exists())  # the gate makes them
    return waiting + len(eyes.moving()) // 3


def persons(journal: Journal, around: Folders | Wires) -> int:
    """Two persons look into the agency's box, then into its record, and say what became of what is in doubt."""
    d = t.delivery
    settled = 0
    for row in journal.rows(select(d).where(d.c.state == "in_doubt", d.c.party.in_(around.BLIND))):
        there = around.has(row["party"], row["name"])
        record = checker.lines(around.counters[row["party"]].evidence / "agencies" / f"{row['party']}.jsonl")
        done = there or any(line["sha256"] == row["payload"] for line in record)
        try:
            decisions.settle(journal, row["id"], done, "LI", "WANG", "the agency's record", datetime.now(UTC))
            settled += 1
        except (Impossible, Stale):
            continue  # its answer came first
    return settled


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
    say: Say = lambda line: None,
) -> Report:
    """Kill at every point of `plan` (None: of the whole table) and at random until there were `kills`; then rest and
    check. `uploads`: how many files at least. `wires`: over SFTP and HTTP instead of folders. The folder stays when
    `keep` names it."""
    began = time.monotonic()
    folder = keep or Path(tempfile.mkdtemp(prefix="eport-crash-"))
    site, evidence = folder / "site", folder / "evidence"
    (evidence / "agencies").mkdir(parents=True, exist_ok=True)
    report = Report(seed, folder=str(folder))
    ports = stage(shipped(), site, wires)
    if plan is None:
        chance = random.Random(seed)  # noqa: S311
        plan = [(p.role, p.name, chance.randint(1, 2)) for p in POINTS]
    proof = Proof(site, report, kills, plant, plan, workers)
    try:
        proof.open()
        with _counterparts(site, evidence, ports) as around:
            _drive(proof, around, uploads, patience, say)
    finally:
        proof.nursery.close()
        if proof.eyes is not None:
            proof.eyes.close()
    ground = checker.read(site, evidence, homes(site))
    report.violations = checker.check(ground)
    report.deliveries = sum(row["state"] in checker.HANDED for row in ground.tables["delivery"])
    report.journeys = journeys(ground)
    report.seconds = time.monotonic() - began
    if keep is None:
        shutil.rmtree(folder)
    return report


@contextmanager
def _counterparts(site: Path, evidence: Path, ports: dict[str, int]) -> Iterator[Folders | Wires]:
    around = Wires(site, evidence, ports) if ports else Folders(site, evidence)
    try:
        yield around
    finally:
        around.close()


def _drive(proof: Proof, around: Folders | Wires, uploads: int, patience: float, say: Say) -> None:
    """The load and the kills, then rest."""
    report = proof.report
    assert proof.eyes is not None
    journal = Journal(proof.site / "spool", "persons")
    senders: Senders = ByFolder(homes(proof.site)) if isinstance(around, Folders) else BySftp(proof.site)
    told, stalled = 0, time.monotonic() + 2 * patience
    try:
        while (proof.unreached or proof.by_chance) and time.monotonic() < stalled and not proof.hopeless:
            if senders.faults:
                break
            proof.listen()
            proof.arm()
            proof.strike()
            send(proof, senders)
            report.settled += persons(journal, around)
            if len(report.kills) >= told + 10:
                told, stalled = len(report.kills), time.monotonic() + 2 * patience
                say(f"{told} kills, {report.sent} files sent")
        report.missed = proof.unreached
        proof.let_live()
        last = time.monotonic()
        while (
            (report.sent < uploads or proof.writer.midway) and time.monotonic() < last + patience and not proof.hopeless
        ):
            send(proof, senders)
            proof.listen()
        while (moving := _moving(proof, senders)) and time.monotonic() < last + 2 * patience and not proof.hopeless:
            proof.listen(0.03)
            report.settled += persons(journal, around)
        report.restless = moving
        report.resting = time.monotonic() - last
        report.fell += [f"{name}: {fault}" for name, one in around.counters.items() for fault in one.faults]
        report.fell += senders.faults
    finally:
        senders.close()
        journal.close()


def _moving(proof: Proof, senders: Senders) -> list[str]:
    """What keeps the port from being at rest."""
    assert proof.eyes is not None
    boxes = proof.site / "spool" / "boxes"
    sources = [boxes / home / "outbound" for home in ERPS.values()]
    sources += [boxes / agency / "out" for agency in ("customs", "inspection", "maritime", "border")]
    left = [str(path) for source in sources if source.exists() for path in source.iterdir()]
    left += [f"{life.role} does not work" for life in proof.lives.values() if not life.working]
    taken = len(checker.lines(proof.evidence / "agencies" / "TERMINAL.jsonl"))
    given = sum(not path.name.startswith(".") for path in (boxes / "terminal" / "inbound").iterdir())
    left += [f"TERMINAL has taken {taken} of {given}"] if taken < given else []
    left += [f"{senders.pending} files are not uploaded"] if senders.pending else []
    return left + proof.eyes.moving()


def homes(site: Path) -> dict[str, Path]:
    return {party: site / "spool" / "boxes" / home for party, home in ERPS.items()}


def journeys(ground: checker.Ground) -> list[float]:
    """Seconds from each upload to the last event of its interchange, its messages and their deliveries."""
    last: dict[str, datetime] = {}
    for row in ground.tables["event"]:
        interchange = row["subject"].partition("-")[0].partition(".")[0]
        at = datetime.fromisoformat(row["at"]).replace(tzinfo=UTC)
        last[interchange] = max(at, last.get(interchange, at))
    began = {(row["party"], row["name"]): datetime.fromisoformat(row["at"]) for row in ground.sent}
    return sorted(
        (last[row["id"]] - began[row["party"], row["name"]]).total_seconds()
        for row in ground.tables["interchange"]
        if (row["party"], row["name"]) in began
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


def main(kills: int, seed: int, keep: bool) -> int:
    """Run, print, and return 0 when no promise was broken."""
    folder = Path(tempfile.mkdtemp(prefix="eport-crash-")) if keep else None
    report = run(kills, seed, keep=folder, say=lambda line: print(line, flush=True))
    print("\n".join(table(report)), flush=True)
    if keep:
        print(report.folder)
    return 0 if report.good else 1


__all__ = ["Kill", "Report", "main", "run", "table"]
