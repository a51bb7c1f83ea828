"""F2, F6, F11, F17: the hub's own processes are killed, stopped, left without files, told a wrong time, or die of a
message."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hub.prove import crash
from hub.prove.faults.row import Row, Run, reached
from hub.prove.faults.wires import wired
from hub.prove.plants import CLOCK, POISON
from hub.prove.points import POINTS
from hub.prove.port import ROLES, Port

# ---- F2


def kills(run: Run) -> None:
    """The campaign of `eport prove crash`; quick, only at random moments."""
    report = crash.run(run.wanted, run.seed, plan=() if run.quick else None, plant=run.plant, say=run.say)
    run.trials, run.files, run.settled = len(report.kills), report.sent, report.settled
    run.recovery = [kill.back for kill in report.kills if kill.back is not None]
    run.violations = report.violations
    run.broken = [*report.missed, *report.fell, *report.restless]
    run.remarks.append("back: a first round" if run.quick else f"{len(POINTS)} points; back: a first round")


# ---- F6


def stops(run: Run) -> None:
    """A role stands still for longer than anything waits for it, while a second worker goes on; then it goes on too."""
    shortest, longest = (1.2, 2.0) if run.quick else (2.0, 12.0)
    with wired(run, seats=(*ROLES, "worker 2")) as w:
        port = w.port
        port.run(run.patience, lambda: reached(port, "BORDER") > 0)
        for number in range(run.wanted):
            seat = ("courier", "worker", "gate", "clock")[number % 4]
            port.lives[seat].signal(signal.SIGSTOP)
            port.run(run.random.uniform(shortest, longest))
            port.lives[seat].signal(signal.SIGCONT)
            run.recovers(port)
            run.done(seat)


def few_files(run: Run) -> None:
    """A role may open no further file for a while."""
    with run.port(may_fall=True) as port:
        port.run(run.patience, lambda: reached(port, "CUSTOMS") > 0)
        for number in range(run.wanted):
            life = port.lives[ROLES[number % len(ROLES)]]
            _, most = resource.prlimit(life.pid, resource.RLIMIT_NOFILE)
            with suppress(ProcessLookupError):
                resource.prlimit(life.pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{life.pid}/fd")), most))
            port.run(0.7 if run.quick else 3)
            if port.lives[life.seat] is life:
                with suppress(ProcessLookupError):
                    resource.prlimit(life.pid, resource.RLIMIT_NOFILE, (most, most))
            run.recovers(port)
            run.done()
        run.remarks.append(f"{len(port.ended)} roles ended and were started again")


# ---- F11

JUMPS = (3600, 90, 43200, 7, 36000, 600)
"""Seconds by which the clock is ahead for a while; then it is set back. Before their issue no certificate is valid."""


def clock_jumps(run: Run) -> None:
    """The hub is told a time that is hours or days off, then the right one again."""
    clock = run.folder / "clock"
    clock.write_text("0")
    with run.port(plant="wrong clock", env={CLOCK: str(clock)}) as port:
        jump(run, port, lambda seconds: set_clock(clock, f"{seconds}"))


def jump(run: Run, port: Port, wrong: Callable[[int], None]) -> None:
    port.run(run.patience, lambda: reached(port, "CUSTOMS") > 0)
    for number in range(run.wanted):
        seconds = JUMPS[number % len(JUMPS)]
        wrong(seconds)
        port.run(run.random.uniform(0.3, 1.0) if run.quick else run.random.uniform(0.5, 5))
        wrong(0)
        run.recovers(port)
        rest = port.rest(run.patience)
        run.expect(not rest, f"after {seconds} s: {rest[:3]}")
        run.done(f"{seconds} s")


def set_clock(path: Path, text: str) -> None:
    """At once: a reader sees the old or the new."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


# ---- F17


ASIDE = "SELECT count(*) FROM interchange WHERE state = 'quarantined'"


def poison(run: Run) -> None:
    """A file on which every worker dies is set aside after three; the others flow."""
    with run.port(may_fall=True, plant="poison") as port:
        for _ in range(run.wanted):
            port.run(run.patience, lambda: not port.eyes.suspects())
            sent, data = port.writer.manifest()
            name = f"{POISON}-{sent.name}"
            died = len(port.ended)
            port.hand_in(replace(sent, name=name, fate="quarantined", reaches=(), outcome=""), data)
            aside = port.run(run.patience, lambda: port.eyes.ask(ASIDE)[0][0] > run.trials)
            run.expect(aside, f"{name} is not set aside")
            run.expect(len(port.ended) - died == 3, f"{name} cost {len(port.ended) - died} workers")
            run.recovers(port)
            run.done()


ROWS = (
    Row("F2", "roles are killed", kills, 200, 6),
    Row("F6", "a role stands still longer than its timeouts", stops, 24, 2),
    Row("F6", "a role can open no further file", few_files, 24, 2),
    Row("F11", "the hub is told a wrong time for a while", clock_jumps, 24, 3),
    Row("F17", "a file on which workers die", poison, 20, 1),
)
