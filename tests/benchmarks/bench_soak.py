"""Hours of steady work: `python tests/benchmarks/bench_soak.py [PER_SECOND] [MINUTES]`.

The port of bench_journey under the same load all the time. Twelve lines over the whole: resident memory of each role,
and how long files took to the agency. Exit code 1 when not everything was answered.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles

from bench_journey import answered, put, running, site

LINES = 12


def resident(pid: int) -> float:
    """MB of a process that are its own or shared."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024  # type: ignore[index]


def times(folder: Path, closed: dict[int, float], since: int) -> list[float]:
    """Seconds from the file being closed to the agency, of the files from number `since` on."""
    lines = [line.split() for line in (folder / "arrived.log").read_text().splitlines()]
    return [int(at) / 1e9 - closed[int(n)] for n, at in lines if int(n) >= since]


def main(per_second: float, minutes: float) -> int:
    folder = Path(tempfile.mkdtemp(prefix="eport-soak-"))
    site(folder)
    try:
        with running(folder) as pids:
            roles = [name for name in pids if name != "agencies"]
            print(
                f"{'minute':>8}" + "".join(f"{name:>10}" for name in roles) + "   MB;    p50      p99 to the agency, ms"
            )
            closed: dict[int, float] = {}
            began, number, since = time.time(), 0, 0
            for line in range(1, LINES + 1):
                while time.time() - began < line * minutes * 60 / LINES:
                    put(folder, number)
                    closed[number] = time.time()
                    number += 1
                    time.sleep(max(0.0, began + number / per_second - time.time()))
                cut = quantiles(times(folder, closed, since), n=100)
                since = number
                memory = "".join(f"{resident(pids[name]):10.1f}" for name in roles)
                print(
                    f"{line * minutes / LINES:8.1f}{memory}      {cut[49] * 1000:6.0f}   {cut[98] * 1000:6.0f}",
                    flush=True,
                )
            until = time.time() + 60
            while answered(folder, 0) < number and time.time() < until:
                time.sleep(0.5)
            missing = number - answered(folder, 0)
            print(f"{number} interchanges, {missing} not answered")
            return 1 if missing else 0
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main(*(float(word) for word in (sys.argv[1:] + ["20", "60"][len(sys.argv) - 1 :]))))
