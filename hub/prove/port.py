"""A port to be proved: a site in a folder of its own, its roles in processes, load on it, parties around it.

`site` is the port, `evidence` what senders and agencies wrote down. Nothing here breaks anything: who proves kills,
cuts and fills, lets `rest` bring everything to an end, and gives `ground` to the checker.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from hub import decisions
from hub.cli.common import shipped
from hub.errors import Impossible, JournalError, Stale
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.prove import checker
from hub.prove.counterparts import Folders, Wires
from hub.prove.eyes import Blind, Eyes
from hub.prove.load import Sent, Writer, write_down
from hub.prove.senders import ByFolder, BySftp, Senders
from hub.sandbox import queues
from hub.sandbox.ground import folders_only, prepare
from hub.site.load import load

ROLES = ("gate", "worker", "courier", "clock")
ERPS = {"BOHAI": "bohai", "TJLINE": "tjline"}
AHEAD = 6
"""Uploads that are under way at the same time."""
PACE = 0.1
"""Seconds between two uploads."""

PAUSE = 0.2
"""Seconds before the successor of a process that ended by itself."""

Alter = Callable[[dict[str, Any], dict[str, int]], None]
"""Changes the declarations before anything runs: (routes.yaml as read, the ports of the agencies)."""


def unaltered(routes: dict[str, Any], ports: dict[str, int]) -> None:
    pass


def stage(source: Path, folder: Path, wires: bool, alter: Alter = unaltered, broker: str = "") -> dict[str, int]:
    """A site to be proved in `folder`. By folder, readers keep what they get, except the one that is blind."""
    if wires:
        from hub.sandbox import show

        ports = show.stage(source, folder, broker=broker)
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
    alter(routes, ports)
    path.write_text(yaml.safe_dump(routes, allow_unicode=True, sort_keys=False), "utf-8")
    return ports


def homes(site: Path) -> dict[str, Path]:
    return {party: site / "spool" / "boxes" / home for party, home in ERPS.items()}


class Nursery:
    """The process that forks roles, and what it tells."""

    def __init__(self, site: Path, env: dict[str, str] | None = None, supervised: bool = False) -> None:
        what = "up" if supervised else "nursery"
        command = [sys.executable, "-m", "hub.prove.launcher", what, str(site)]
        (site / "spool" / "run").mkdir(parents=True, exist_ok=True)
        self.log = site / "spool" / "run" / "hub.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env={**os.environ, **(env or {})}
            )
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

    def signal(self, number: int) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return


class Port:
    """One port and everything around it, in `folder`. Used by one thread.

    plant     a planted fault (hub.prove.plants) that its roles run with
    seats     which roles run: "worker 2" is a second worker
    keeps     BORDER leaves what it got where it lies (wires only)
    database  URL of a PostgreSQL; "" for SQLite
    broker    URL of a RabbitMQ by which CUSTOMS is reached (wires only); "" for folders
    supervised    `eport up` runs the roles, as in a port: `seats` and plants mean nothing then
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        wires: bool = False,
        plant: str = "",
        seats: tuple[str, ...] = ROLES,
        alter: Alter = unaltered,
        keeps: bool = False,
        database: str = "",
        broker: str = "",
        supervised: bool = False,
        env: dict[str, str] | None = None,
    ) -> None:
        self.folder, self.site, self.evidence = folder, folder / "site", folder / "evidence"
        self.plant, self.seats, self.database = plant, () if supervised else seats, database
        self._supervised = supervised
        self._env = {**(env or {}), **({"EPORT_DATABASE_URL": database} if database else {})}
        (self.evidence / "agencies").mkdir(parents=True, exist_ok=True)
        self.ports = stage(shipped(), self.site, wires, alter, broker)
        self.homes = homes(self.site)
        self.writer = Writer(self.site / "mappings", seed)
        self.sent = self.settled = 0  # settled: deliveries in doubt that two persons settled by the agency's own record
        self.fell: list[str] = []  # processes that ended unasked, and must not have
        self.may_fall = False
        self.ended: list[str] = []  # … and may have: the fault leaves them nothing else
        self.lives: dict[str, Life] = {}
        self.plants: dict[str, str] = {}  # seat -> a fault planted in this one only
        self.next_upload = 0.0
        self._vacant: dict[str, float] = {}  # seat -> when its next process starts
        self._uploads: Iterator[tuple[Sent, bytes]] = iter(())
        self._keeps, self._broker = keeps, broker
        self.senders: Senders
        self.around: Folders | Wires
        self.eyes: Eyes
        self.nursery: Nursery
        self._journal: Journal

    # ---- its life

    def open(self) -> None:
        """Everything runs when this returns."""
        self.up()
        self.around = (
            Wires(self.site, self.evidence, self.ports, self._keeps)
            if self.ports
            else Folders(self.site, self.evidence)
        )
        self.senders = BySftp(self.site) if self.ports else ByFolder(self.homes)
        self._uploads = self.writer.stream(self._opened)

    def _opened(self) -> set[str]:
        try:
            return self.eyes.opened()
        except Blind:
            return set()

    def close(self) -> None:
        """Whatever has been opened is closed."""
        if hasattr(self, "senders"):
            self.senders.close()
        if hasattr(self, "around"):
            self.around.close()
        self.down()
        if self._broker:
            queues.forget(self.site)

    def up(self) -> None:
        """Its processes, and eyes on its journal."""
        self.nursery = Nursery(self.site, self._env, self._supervised)
        deadline = time.monotonic() + 60
        while not any(row.get("ready") for _, row in self._told(0.1)):
            if not self.nursery.alive or time.monotonic() > deadline:
                raise RuntimeError(self.nursery.log.read_text("utf-8"))
        self.eyes = Eyes(self.site, self.database)
        self._journal = Journal(self.site / "spool", "persons", self.database or None)
        for seat in self.seats:
            self.start(seat)

    def down(self) -> None:
        """Its processes are killed, as in a power cut; the parties live on."""
        if hasattr(self, "nursery"):
            self.nursery.close()
        if hasattr(self, "eyes"):
            self.eyes.close()
            self._journal.close()
        self.lives.clear()
        self._vacant.clear()

    def start(self, seat: str) -> None:
        point, count = self.next_point(seat)
        self.lives[seat] = Life(seat, point)
        self.nursery.start(seat, point, count, self.plants.get(seat, self.plant))

    # ---- what becomes of its processes

    def _told(self, seconds: float) -> list[tuple[float, dict[str, Any]]]:
        told = []
        try:
            told.append(self.nursery.told.get(timeout=seconds))
            while True:
                told.append(self.nursery.told.get_nowait())
        except queue.Empty:
            return told

    def listen(self, seconds: float = 0.01) -> None:
        """What the processes tell; who died has a successor."""
        for at, row in self._told(seconds):
            if "started" in row:
                self.lives[row["seat"]].pid = row["started"]
                continue
            pid = next((row[key] for key in ("working", "hit", "dead") if key in row), 0)
            life = next((one for one in self.lives.values() if one.pid == pid), None)
            if life is None or life.seat in self._vacant:
                continue
            if "working" in row:
                life.working = True
                self.works(life, at)
            elif "hit" in row:
                life.hit = True
            else:
                self.died(life, row["status"], at)
                self._vacant[life.seat] = at + (0.0 if life.hit or life.doomed else PAUSE)
        for seat in [seat for seat, at in self._vacant.items() if time.monotonic() >= at]:
            del self._vacant[seat]
            self.start(seat)

    def next_point(self, seat: str) -> tuple[str, int]:
        """Where the next process of a seat dies, and the how manyeth time it comes there; "" for nowhere."""
        return "", 1

    def works(self, life: Life, at: float) -> None:
        """A process has finished its first round."""

    def died(self, life: Life, status: int, at: float) -> None:
        """A process has ended; its successor is started next."""
        if not life.doomed:
            (self.ended if self.may_fall else self.fell).append(f"{life.role} with {status}")

    def kill(self, life: Life) -> None:
        life.doomed = True
        life.signal(signal.SIGKILL)

    @property
    def hopeless(self) -> bool:
        """Processes end again and again without being killed."""
        return len(self.fell) >= 3

    # ---- load

    def send(self) -> None:
        """One upload, when it is time and only a few are under way."""
        if time.monotonic() > self.next_upload:
            self.next_upload = time.monotonic() + PACE
            if self._under_way() + self.senders.pending < AHEAD:
                self.hand_in(*next(self._uploads))

    def hand_in(self, sent: Sent, data: bytes) -> None:
        """One certain upload, now."""
        write_down(self.evidence, sent)
        self.senders.hand_in(sent, data)
        self.sent += 1

    def _under_way(self) -> int:
        try:
            return self._waiting() + len(self.eyes.moving()) // 3
        except Blind:
            return self._waiting()

    def _waiting(self) -> int:
        outbounds = [home / "outbound" for home in self.homes.values()]
        return sum(len(os.listdir(folder)) for folder in outbounds if folder.exists())  # the gate makes them

    def persons(self) -> None:
        """Two persons look into the agency's box, then into its record, and say what became of what is in doubt."""
        d = t.delivery
        blind: tuple[type[Exception], ...] = (SQLAlchemyError, JournalError, *self.eyes.faults)
        try:
            rows = self._journal.rows(select(d).where(d.c.state == "in_doubt", d.c.party.in_(self.around.BLIND)))
            for row in rows:
                there = self.around.has(row["party"], row["name"])
                record = checker.lines(self.evidence / "agencies" / f"{row['party']}.jsonl")
                done = there or any(line["sha256"] == row["payload"] for line in record)
                try:
                    why = "the agency's record"
                    decisions.settle(self._journal, row["id"], done, "LI", "WANG", why, datetime.now(UTC))
                    self.settled += 1
                except (Impossible, Stale):
                    continue  # its answer came first
        except blind:
            return  # the journal cannot be had now: they look again

    def release(self, id: str) -> None:
        """A person lets it go on."""
        decisions.release(load(self.site), self._journal, id, "LI", "the fault is over", datetime.now(UTC))

    # ---- time

    def run(self, seconds: float, done: Callable[[], object] = lambda: False, loaded: bool = True) -> bool:
        """Keep the port going for so long, or until `done`; True when it was."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.hopeless:
            if done():
                return True
            self.listen()
            if loaded:
                self.send()
            self.persons()
        return bool(done())

    def nap(self, seconds: float) -> None:
        """As `run`, while nobody may look into the journal: uploads only."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.listen()
            if time.monotonic() > self.next_upload and self._waiting() + self.senders.pending < AHEAD:
                self.next_upload = time.monotonic() + PACE
                self.hand_in(*self.writer.manifest())

    def suspects(self) -> bool:
        """Something that a worker died on is still open, or nobody can tell."""
        try:
            return self.eyes.suspects()
        except Blind:
            return True

    def rest(self, patience: float = 30) -> list[str]:
        """Finish what was begun, then wait until nothing moves. What is still on its way when patience ends."""
        self.run(patience, lambda: not self.writer.midway)
        self.run(2 * patience, lambda: not self.moving(), loaded=False)
        return self.moving()

    def moving(self) -> list[str]:
        """What keeps the port from being at rest."""
        boxes = self.site / "spool" / "boxes"
        sources = [home / "outbound" for home in self.homes.values()]
        sources += [boxes / agency / "out" for agency in ("customs", "inspection", "maritime", "border")]
        left = [str(path) for source in sources if source.exists() for path in source.iterdir()]
        at_work = {life.role for life in self.lives.values() if life.working}
        left += [f"no {role} works" for role in {life.role for life in self.lives.values()} - at_work]
        left += self._untaken()
        left += [f"{self.senders.pending} files are not uploaded"] if self.senders.pending else []
        try:
            missing = self.sent - self.eyes.taken_in(self.homes)
            left += [f"{missing} files are not taken in"] if missing > 0 else []
            return left + self.eyes.moving()
        except Blind as fault:
            return [*left, str(fault)]

    def _untaken(self) -> list[str]:
        """TERMINAL never answers: whether it has taken everything only its record tells."""
        taken = len(checker.lines(self.evidence / "agencies" / "TERMINAL.jsonl"))
        inbound = self.site / "spool" / "boxes" / "terminal" / "inbound"
        given = sum(not path.name.startswith(".") for path in inbound.iterdir())
        return [f"TERMINAL has taken {taken} of {given}"] if taken < given else []

    # ---- judgement

    @property
    def faults(self) -> list[str]:
        """What fell in the hub, and what no simulated party should see."""
        told = [f"{name}: {fault}" for name, one in self.around.counters.items() for fault in one.faults]
        return [*self.fell, *told, *self.senders.faults]

    def ground(self) -> checker.Ground:
        return checker.read(self.site, self.evidence, self.homes, self.database)


__all__ = ["AHEAD", "ERPS", "PACE", "ROLES", "Alter", "Life", "Nursery", "Port", "homes", "stage"]
