"""The table of faults, and what a run of it shows."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.prove.crash import spread
from hub.prove.faults import brokers, databases, disks, inputs, processes, stores, syscalls, wires
from hub.prove.faults.row import Row, Run

ROWS: tuple[Row, ...] = tuple(
    sorted(
        (
            *syscalls.ROWS,
            *disks.ROWS,
            *wires.ROWS,
            *processes.ROWS,
            *inputs.ROWS,
            *databases.ROWS,
            *stores.ROWS,
            *brokers.ROWS,
        ),
        key=lambda row: int(row.fault[1:]),
    )
)

UNTRIED = {
    "F14": "bytes that change in the store",
    "F16": "a time-stamp authority, OCSP or an HSM that is away",
}
"""Faults of the table that no row tries."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one row. `skipped` says why it was not tried."""

    row: Row
    run: Run | None
    seconds: float
    skipped: str = ""

    @property
    def good(self) -> bool:
        return self.run is None or not self.run.faults

    @property
    def remark(self) -> str:
        if self.run is None:
            return f"skipped: {self.skipped}"
        said = [*self.run.remarks]
        if self.run.settled:
            said.append(f"{self.run.settled} settled by two persons")
        return "; ".join(said)


def chosen(only: Sequence[str]) -> list[Row]:
    """Rows of these faults, in the order of the table; all for none. Raises ValueError for an unknown fault."""
    unknown = set(only) - {row.fault for row in ROWS} - UNTRIED.keys()
    if unknown:
        known = sorted({row.fault for row in ROWS} | UNTRIED.keys(), key=lambda name: int(name[1:]))
        raise ValueError(f"no fault {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [row for row in ROWS if not only or row.fault in only]


def attempt(row: Row, seed: int, trials: int, quick: bool, say: Callable[[str], None], plant: str = "") -> Result:
    """One row from its beginning to its end, in a folder that goes with it."""
    began = time.monotonic()
    missing = row.needs()
    if missing:
        return Result(row, None, 0.0, missing)
    folder = Path(tempfile.mkdtemp(prefix="eport-faults-"))
    wanted = trials or (row.quick if quick else row.trials)
    run = Run(folder, seed, wanted, quick, lambda line: say(f"{row.fault} {row.name}: {line}"), plant)
    try:
        row.work(run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Result(row, run, time.monotonic() - began)


def main(only: Sequence[str], trials: int, seed: int, as_json: bool, quick: bool) -> int:
    """Run the rows, print them, and return 0 when nothing was lost or done twice and no row failed."""
    results = []
    for row in chosen(only):
        result = attempt(row, seed, trials, quick, lambda line: print(line, file=sys.stderr, flush=True))
        results.append(result)
        print(line_of(result), file=sys.stderr, flush=True)
    if as_json:
        print(json.dumps(as_rows(results, seed), ensure_ascii=False))
    else:
        print("\n".join(table(results, seed)))
    return 0 if all(result.good for result in results) else 1


def line_of(result: Result) -> str:
    row, run = result.row, result.run
    counted = (run.trials, run.lost, run.twice, spread(run.recovery)) if run else ("-", "-", "-", "-")
    trials, lost, twice, recovery = map(str, counted)
    return f"{row.fault:4} {row.name:52} {trials:>6} {lost:>4} {twice:>5}  {recovery:16} {result.remark}".rstrip()


def table(results: Sequence[Result], seed: int) -> list[str]:
    """The run as lines of text."""
    lines = [f"{'':4} {'fault':52} {'trials':>6} {'lost':>4} {'twice':>5}  {'back p50/p95/max':16} remark"]
    for result in results:
        lines.append(line_of(result))
        lines += [f"       ✗ {fault}" for fault in (result.run.faults if result.run else [])[:20]]
    tried = [result.run for result in results if result.run]
    trials, files = sum(run.trials for run in tried), sum(run.files for run in tried)
    return [
        *lines,
        "",
        *(f"{fault} is not tried: {what}" for fault, what in UNTRIED.items()),
        f"seed {seed}  trials {trials}  files {files}  lost {sum(run.lost for run in tried)}"
        f"  twice {sum(run.twice for run in tried)}  rows that failed {sum(not r.good for r in results)}"
        f"  in all {sum(result.seconds for result in results):.0f} s",
    ]


def as_rows(results: Sequence[Result], seed: int) -> dict[str, Any]:
    """The run for machines."""
    return {
        "seed": seed,
        "good": all(result.good for result in results),
        "rows": [
            {
                "fault": result.row.fault,
                "name": result.row.name,
                "skipped": result.skipped,
                "remark": result.remark,
                "seconds": round(result.seconds, 1),
                **(_counted(result.run) if result.run else {}),
            }
            for result in results
        ],
        "untried": UNTRIED,
    }


def _counted(run: Run) -> dict[str, Any]:
    return {
        "trials": run.trials,
        "files": run.files,
        "lost": run.lost,
        "twice": run.twice,
        "recovery": [round(seconds, 3) for seconds in run.recovery],
        "faults": run.faults,
    }
