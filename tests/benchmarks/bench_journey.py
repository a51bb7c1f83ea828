"""The whole journey: `python tests/benchmarks/bench_journey.py [INTERCHANGES] [PER_SECOND]`.

A carrier's CUSCAR is checked, made canonical, mapped to three agencies' XML, signed and delivered; each agency signs an
answer, which is verified and correlated; the carrier gets CONTRL and CUSRES. Everything is durable: four role processes
on SQLite (WAL, synchronous=FULL), files fsynced. The agencies are a fifth process on the same machine that signs but
does not verify.

First all interchanges at once (throughput, CPU and peak memory of each role), then PER_SECOND of them a second (time
from the file being closed to the delivery at the agency, and to the carrier's CUSRES), then the CPU of each step in
one process.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

ROOT = Path(__file__).parents[2]
GOLDEN = (ROOT / "mappings" / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()
AGENCIES = ("CUSTOMS", "INSPECTION", "MARITIME")
ROLES = ("gate", "worker", "courier", "clock")
TICKS = os.sysconf("SC_CLK_TCK")


def site(folder: Path) -> None:
    """The reference site over folders, with every manifest going to three agencies as signed XML."""
    from hub.sandbox.ground import folders_only, prepare

    prepare(ROOT, folder)
    routes = folders_only((folder / "routes.yaml").read_text("utf-8"))
    three = ", ".join(f"{name}: customs-manifest" for name in AGENCIES)
    routes = routes.replace("{CUSTOMS: customs-manifest}", f"{{{three}}}")
    routes = routes.replace("signed: true", "signed: true, backlog: 100000").replace(
        "at: tjline,", "at: tjline, backlog: 100000,"
    )
    (folder / "routes.yaml").write_text(routes[: routes.index("  manifest-to-terminal:")], "utf-8")
    for name in AGENCIES:
        for way in ("in", "out"):
            (folder / "spool" / "boxes" / name.lower() / way).mkdir(parents=True, exist_ok=True)
    for erp in ("bohai", "tjline"):
        for way in ("outbound", "inbound", "error"):
            (folder / "spool" / "boxes" / erp / way).mkdir(parents=True, exist_ok=True)


def cuscar(number: int) -> bytes:
    return GOLDEN.replace(b"TJ26112301", b"TJ%08d" % number).replace(b"TJL2611230001", b"TJL%010d" % number)


def put(folder: Path, number: int) -> None:
    outbound = folder / "spool" / "boxes" / "tjline" / "outbound"
    (outbound / f".{number:08d}").write_bytes(cuscar(number))
    (outbound / f".{number:08d}").rename(outbound / f"{number:08d}.edi")


def answered(folder: Path, start: int) -> int:
    inbound = folder / "spool" / "boxes" / "tjline" / "inbound"
    return sum(1 for e in os.scandir(inbound) if "cusres" in e.name and int(e.name[:8]) >= start)


# ---- the agencies, a process of their own


def agencies(folder: Path) -> None:
    """Answer what comes until SIGTERM; `arrived.log` has a line for each delivery: number of the manifest, time."""
    from hub.identity.xmldsig import sign
    from hub.sandbox.agencies import desk

    signers = {name: desk(folder, name).signer for name in AGENCIES}
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with (folder / "arrived.log").open("a", buffering=1) as log:
        while not stop.wait(0.02):
            for name in AGENCIES:
                box = folder / "spool" / "boxes" / name.lower()
                for entry in list(os.scandir(box / "in")):
                    if not entry.name.startswith("."):
                        data = Path(entry.path).read_bytes()
                        number = re.search(rb"<ManifestNo>TJL([0-9]+)", data)[1].decode()  # type: ignore[index]
                        log.write(f"{int(number)} {entry.stat().st_mtime_ns}\n")
                        _answer(box / "out", name, data, sign, signers[name])
                        os.unlink(entry.path)


def _answer(out: Path, name: str, data: bytes, sign: Callable[..., bytes], signer: Any) -> None:
    reference = re.search(rb"E[0-9]{9}", data)[0].decode()  # type: ignore[index]
    number = re.search(rb"<ManifestNo>([^<]+)", data)[1].decode()  # type: ignore[index]
    now = datetime.now(UTC)
    xml = (
        f'<CustomsAnswer xmlns="urn:eport:manifest:customs-answer:1"><Reference>{reference}</Reference>'
        f"<Number>{number}</Number><Status>01</Status><At>{now.isoformat(timespec='seconds')}</At></CustomsAnswer>"
    )
    (out / f".{reference}").write_bytes(sign(xml.encode(), signer, now))
    (out / f".{reference}").rename(out / f"{reference}.xml")


# ---- processes and what they cost


@contextmanager
def running(folder: Path) -> Iterator[dict[str, int]]:
    """The four roles and the agencies; pid by name."""
    log = (folder / "hub.log").open("wb")
    started = {
        role: subprocess.Popen([sys.executable, "-m", "hub.cli", "run", role, "--site", str(folder)], stderr=log)
        for role in ROLES
    }
    started["agencies"] = subprocess.Popen([sys.executable, __file__, "--agencies", str(folder)])
    try:
        time.sleep(3)  # imports are over; what follows is work
        yield {name: process.pid for name, process in started.items()}
    finally:
        for process in started.values():
            process.terminate()
        for process in started.values():
            process.wait(60)
        log.close()


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak(pid: int) -> float:
    """Peak resident memory in MB."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024  # type: ignore[index]


def throughput(folder: Path, pids: dict[str, int], count: int) -> None:
    before = {name: cpu(pid) for name, pid in pids.items()}
    began = time.monotonic()
    for number in range(count):
        put(folder, number)
    while answered(folder, 0) < count:
        time.sleep(0.1)
    seconds = time.monotonic() - began
    print(f"{count} interchanges, each to three agencies and back: {seconds:.1f} s, {count / seconds:.0f}/s")
    for name, pid in pids.items():
        print(f"  {name:9} {(cpu(pid) - before[name]) / count * 1000:6.2f} ms CPU each, peak {peak(pid):.0f} MB")


def latency(folder: Path, count: int, per_second: float, start: int) -> None:
    closed: dict[int, float] = {}
    began = time.time()
    for number in range(start, start + count):
        time.sleep(max(0.0, began + (number - start) / per_second - time.time()))
        put(folder, number)
        closed[number] = time.time()
    while answered(folder, start) < count:
        time.sleep(0.05)
    lines = [line.split() for line in (folder / "arrived.log").read_text().splitlines()]
    delivered = [int(at) / 1e9 - closed[int(n)] for n, at in lines if int(n) in closed]
    inbound = folder / "spool" / "boxes" / "tjline" / "inbound"
    home = [
        entry.stat().st_mtime - closed[int(entry.name[:8])]
        for entry in os.scandir(inbound)
        if "cusres" in entry.name and int(entry.name[:8]) in closed
    ]
    print(f"{count} interchanges, {per_second:g} a second, time since the file was closed:")
    for what, times in (("at the agency", delivered), ("CUSRES at the carrier", home)):
        cut = quantiles(times, n=100)
        print(f"  {what:22} p50 {cut[49] * 1000:5.0f} ms, p95 {cut[94] * 1000:5.0f} ms, p99 {cut[98] * 1000:5.0f} ms")


# ---- all roles in one process


@contextmanager
def alone(folder: Path) -> Iterator[Callable[[], None]]:
    """The port of `folder` in this process, the agencies beside it; each call is one round of every role."""
    from hub import courier, journey
    from hub.contract import Ground
    from hub.engine import ends, gate, identity, supervisor
    from hub.journal.journal import Journal
    from hub.journal.numbers import Numbers
    from hub.site.load import load

    loaded = identity.ready(load(folder), folder)
    supervisor.prepare(folder)
    journal, ground = Journal(folder / "spool", "bench"), Ground(folder, folder / "spool")
    sources = ends.inlets(loaded, ground)
    outlets = {name: ends.outlet(loaded, name, ground) for name in loaded.routes.endpoints}
    numbers = Numbers(journal)

    def work() -> None:
        now = datetime.now(UTC)
        gate.gate_round(loaded, journal, sources, now)
        journey.work(loaded, journal, numbers, now)
        for name, outlet in outlets.items():
            if outlet is not None:
                courier.send(journal, outlet, name, loaded.routes.endpoints[name], now)

    helper = subprocess.Popen([sys.executable, str(Path(__file__)), "--agencies", str(folder)])
    try:
        yield work
    finally:
        helper.terminate()
        helper.wait()
        journal.close()


def steps(folder: Path, count: int) -> None:
    """The same work, with the CPU of each step."""
    from hub import cases, courier, delivery, journey, opening
    from hub.edifact import elements, structure
    from hub.engine import gate
    from hub.identity import xmldsig
    from hub.journal.journal import Journal
    from hub.journal.recall import Recall

    spent: dict[str, float] = {}
    depth: list[float] = []

    def timed(name: str, where: Any, what: str) -> None:
        inner = getattr(where, what)

        def outer(*args: Any, **more: Any) -> Any:
            depth.append(0.0)
            began = time.process_time()
            try:
                return inner(*args, **more)
            finally:
                took = time.process_time() - began
                spent[name] = spent.get(name, 0.0) + took - depth.pop()
                if depth:
                    depth[-1] += took

        setattr(where, what, outer)

    for name, where, what in (
        ("open (read, recognise)", opening, "open"),
        ("check structure", structure, "build"),
        ("check elements", elements, "check"),
        ("verify signature", xmldsig, "verify"),
        ("map, write, check output", delivery, "render"),
        ("sign", xmldsig, "sign"),
        ("advance cases", cases, "advance_one"),
        ("read the journal", Recall, "fetch"),
        ("commit", Journal, "commit"),
        ("claim", Journal, "_claim"),
        ("take in", gate, "gate_round"),
        ("hand over", courier, "_ask"),
        ("courier's own", courier, "send"),
        ("worker's own", journey, "work"),
    ):
        timed(name, where, what)
    with alone(folder) as work:
        for number in range(count):
            put(folder, number)
        while answered(folder, 0) < count:
            work()
    whole = sum(spent.values())
    print(f"CPU of each step, {count} interchanges in one process: {whole / count * 1000:.2f} ms each")
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {name:26} {seconds / count * 1000:6.2f} ms  {seconds / whole:4.0%}")


def main(count: int, per_second: float) -> None:
    for what in (lambda f: _live(f, count, per_second), lambda f: steps(f, count // 2)):
        folder = Path(tempfile.mkdtemp(prefix="eport-bench-"))
        try:
            site(folder)
            what(folder)
        finally:
            shutil.rmtree(folder)


def _live(folder: Path, count: int, per_second: float) -> None:
    with running(folder) as pids:
        throughput(folder, pids, count)
        latency(folder, int(per_second * 15), per_second, start=count)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--agencies"]:
        agencies(Path(sys.argv[2]))
    else:
        main(*(int(word) for word in (sys.argv[1:] + ["1000", "20"][len(sys.argv) - 1 :])))
