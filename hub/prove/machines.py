"""The proof on several machines: one PostgreSQL and some hubs, each a host of its own (hub.prove.network). First how
much they get through together; then, under load, the cable of the busiest is pulled and put back, and the busiest of
the rest is switched off. Nothing may be lost or done twice, and the others must go on.

    <folder>/site           the shared storage (spool/boxes, spool/keys), and the declarations
    <folder>/hub-1, hub-2…  what each machine has for itself, with links to what it shares
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from hub.journal.journal import Journal
from hub.prove import checker, postgresql
from hub.prove.eyes import Blind, Eyes
from hub.prove.network import Network, forbidden, network
from hub.prove.port import Port
from hub.prove.postgresql import Server

DATABASE = "database"
SHARED = ("spool/boxes", "spool/keys", "spool/sandbox", "routes.yaml", "mappings", "schemas")
CALM = 3.0
"""Seconds under load before each trouble."""
TROUBLE = 8.0
"""Seconds that a trouble lasts."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Gap:
    """The longest time in which no agency was handed anything, under the same load: before a trouble, and from its
    beginning. `free`: seconds until PostgreSQL had dropped the locks of the machine that was hit."""

    what: str
    host: str
    calm: float
    longest: float
    free: float


@dataclass(slots=True)
class Report:
    """What a run did and what came of it."""

    seed: int
    rates: dict[int, float] = field(default_factory=dict)  # hubs -> manifests a second, each to two parties and back
    gaps: list[Gap] = field(default_factory=list)
    sent: int = 0
    deliveries: int = 0
    settled: int = 0  # deliveries in doubt that two persons settled by the agency's own record
    restless: list[str] = field(default_factory=list)  # what was still on its way when patience ended
    violations: list[checker.Violation] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def faults(self) -> list[str]:
        """Everything that is wrong, a line each."""
        return [*(f"does not come to rest: {name}" for name in self.restless), *map(str, self.violations)]


class Machines(Port):
    """The port on several machines. `start_hub` and `kill_hub` are the switch of each."""

    def __init__(self, folder: Path, seed: int, lan: Network, server: Server, name: str) -> None:
        super().__init__(folder, seed, database=server.local.format(name=name))
        self.lan, self._remote = lan, f"{server.url}/{name}"
        self._hubs: dict[str, subprocess.Popen[bytes]] = {}

    def up(self) -> None:
        """The first hub makes the journal's tables; then there are eyes on it."""
        self.start_hub("hub-1")
        self.eyes = Eyes(self.site, self.database)
        self._journal = Journal(self.site / "spool", "persons", self.database)
        _until(lambda: self.working("hub-1"), 60, "hub-1 works")

    def down(self) -> None:
        for host in self.running:
            self.kill_hub(host)
        if hasattr(self, "eyes"):
            self.eyes.close()
            self._journal.close()

    @property
    def running(self) -> list[str]:
        return list(self._hubs)

    def listen(self, seconds: float = 0.01) -> None:
        """Hubs tell nothing; their supervisors start what dies."""
        time.sleep(seconds)

    def start_hub(self, host: str) -> None:
        folder = self.folder / host
        for shared in SHARED:
            link = folder / shared
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(self.site / shared)
        (folder / "spool" / "run").mkdir(exist_ok=True)
        command = [sys.executable, "-m", "hub.cli", "up", "--site", str(folder)]
        with (folder / "hub.log").open("ab") as log:
            self._hubs[host] = subprocess.Popen(
                [*self.lan.within(host), *command],
                env=os.environ | {"EPORT_DATABASE_URL": self._remote},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill_hub(self, host: str) -> None:
        """All its processes at once."""
        hub = self._hubs.pop(host)
        os.killpg(hub.pid, signal.SIGKILL)
        hub.wait()

    def switch_off(self, host: str) -> None:
        """A machine without power closes no connection: its cable is pulled first."""
        self.lan.cut(host)
        self.kill_hub(host)

    def switch_on(self, host: str) -> None:
        self.lan.mend(host)
        self.start_hub(host)

    def working(self, host: str) -> bool:
        """Each of its four roles asks for its locks, and listens or reads."""
        return self.sessions(host) >= 8

    def sessions(self, host: str) -> int:
        """Database sessions of a host's roles."""
        query = f"SELECT count(*) FROM pg_stat_activity WHERE client_addr = '{self.lan.address[host]}'"  # noqa: S608
        return int(self.eyes.ask(query)[0][0])

    def locks(self, host: str) -> int:
        """How many parts of the port a machine runs now."""
        query = (
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"  # noqa: S608
            f" WHERE locktype = 'advisory' AND granted AND client_addr = '{self.lan.address[host]}'"
        )
        return int(self.eyes.ask(query)[0][0])

    @property
    def busiest(self) -> str:
        return max(self._hubs, key=self.locks)


def run(hubs: Sequence[int], seed: int, files: int = 60, say: Say = lambda line: None) -> Report:
    """`hubs`: with how many to measure, rising; the last number is with how many the troubles are met. `files`:
    manifests of each measurement. Only where it is not `impossible`."""
    began, report, most = time.monotonic(), Report(seed), max(hubs)
    where = postgresql.programs()
    assert where is not None
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="eport-machines-")))
        lan = stack.enter_context(network([DATABASE, *(f"hub-{number}" for number in range(1, most + 1))]))
        place = (lan.address[DATABASE], lan.trusted, lan.within(DATABASE))
        server = stack.enter_context(postgresql.server(where, *place))
        server.create("eport")
        port = Machines(folder, seed, lan, server, "eport")
        stack.callback(port.close)
        port.open()
        for number in hubs:
            _throughput(port, number, files, report, say)
        if most > 1:
            _trouble(port, "cable pulled", port.lan.cut, port.lan.mend, report, say)
            _trouble(port, "switched off", port.switch_off, port.switch_on, report, say)
        report.restless = port.rest()
        report.violations = checker.check(port.ground())
        report.deliveries = sum(row["state"] in checker.HANDED for row in port.ground().tables["delivery"])
        report.sent, report.settled = port.sent, port.settled
    report.seconds = time.monotonic() - began
    return report


def _throughput(port: Machines, hubs: int, files: int, report: Report, say: Say) -> None:
    """So many manifests at once, until nothing moves."""
    for host in (f"hub-{number}" for number in range(1, hubs + 1)):
        if host not in port.running:
            port.start_hub(host)
            _until(lambda host=host: port.working(host), 60, f"{host} works")  # type: ignore[misc]
    began = time.monotonic()
    for _ in range(files):
        port.hand_in(*port.writer.manifest())
    port.run(60, lambda: not port.moving(), loaded=False)
    report.rates[hubs] = files / (time.monotonic() - began)
    say(f"{hubs} hubs: {report.rates[hubs]:.1f} manifests a second")


def _trouble(
    port: Machines, what: str, begin: Callable[[str], None], end: Callable[[str], None], report: Report, say: Say
) -> None:
    """Load; trouble for the machine that runs most; load; the trouble ends."""
    calm = time.time()
    port.run(CALM)
    host, struck, at = port.busiest, time.time(), time.monotonic()
    begin(host)
    port.run(TROUBLE, lambda: port.locks(host) == 0)
    free = time.monotonic() - at
    port.run(max(0.0, TROUBLE - free))
    ended = time.time()
    end(host)
    report.gaps.append(Gap(what, host, _longest(port, calm, struck), _longest(port, struck, ended), free))
    say(f"{what}: {report.gaps[-1]}")


def _longest(port: Machines, since: float, until: float) -> float:
    """The longest time without a delivery in a span of time, by the agencies' records."""
    records = (port.evidence / "agencies").glob("*.jsonl")
    taken = (datetime.fromisoformat(row["at"]).timestamp() for path in records for row in checker.lines(path))
    times = [since, *sorted(at for at in taken if since < at < until), until]
    return max(later - earlier for earlier, later in pairwise(times))


def _until(found: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found():
                return
        except Blind:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"it did not come: {what}")


def table(report: Report) -> list[str]:
    """The run as lines of text."""
    return [
        *(f"{hubs} hubs  {rate:6.1f} manifests a second" for hubs, rate in report.rates.items()),
        "(all hosts share this machine's processors: the figure is the cost of coordination, not of more machines)",
        *(
            f"{gap.what} ({gap.host}): its locks free after {gap.free:.1f} s; longest time without a delivery"
            f" {gap.longest:.1f} s, before that {gap.calm:.1f} s"
            for gap in report.gaps
        ),
        f"seed {report.seed}  files {report.sent}  deliveries {report.deliveries}"
        f"  settled by two persons {report.settled}  in all {report.seconds:.1f} s",
        f"violations {len(report.faults)}",
        *(f"  {fault}" for fault in report.faults),
    ]


def impossible() -> str:
    """Why this cannot be proved here; "" where it can."""
    return forbidden() or ("" if postgresql.programs() else "the programs of PostgreSQL are not installed")


def main(hubs: Sequence[int], seed: int) -> int:
    """Run, print, and return 0 when no promise was broken, 3 where it cannot be proved."""
    if why := impossible():
        print(why)
        return 3
    report = run(sorted(hubs), seed, say=lambda line: print(line, flush=True))
    print("\n".join(table(report)), flush=True)
    return 1 if report.faults else 0
