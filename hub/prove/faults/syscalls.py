"""F1, F4: a role is killed at a system call, or its disk answers one with an error. By strace, attached to the role."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.prove.faults.row import Row, Run
from hub.prove.port import ROLES, Life, Port

CALLS = {
    "gate": ("pwrite64", "fdatasync", "openat", "read", "unlink,unlinkat", "flock"),
    "worker": ("pwrite64", "fdatasync", "read", "pread64", "fcntl"),
    "courier": ("pwrite64", "fdatasync", "fsync", "linkat", "unlink,unlinkat", "write", "read"),
    "clock": ("pwrite64", "fdatasync", "flock", "openat"),
}
"""Which calls of each role change, promise or look at something. By folder: nothing goes over the network here."""

ATTACHING = 5.0
OVERDUE = 4.0
"""Seconds after which a call that does not come is given up."""


def strace() -> str:
    if shutil.which("strace") is None:
        return "needs strace"
    yama = Path("/proc/sys/kernel/yama/ptrace_scope")
    if os.geteuid() != 0 and yama.exists() and yama.read_text().strip() != "0":
        return "needs root, or kernel.yama.ptrace_scope=0"
    return ""


@contextmanager
def traced(life: Life, calls: str, what: str, log: Path) -> Iterator[None]:
    """`life` with strace attached, which does `what` (strace's words) at `calls`."""
    words = ["strace", "-qq", "-y", "-f", "-p", str(life.pid), "-o", str(log), "-e", f"trace={calls}"]
    tracer = subprocess.Popen([*words, "-e", f"inject={calls}:{what}"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + ATTACHING
    while not _attached(life.pid) and tracer.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    try:
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)


def _attached(pid: int) -> bool:
    try:
        return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def sample(run: Run) -> Iterator[tuple[str, str, int]]:
    """(role, calls, the how manyeth one): every role and call in turn, in the order of the seed."""
    places = [(role, calls) for role in ROLES for calls in CALLS[role]]
    run.random.shuffle(places)
    for number in range(run.wanted):
        yield *places[number % len(places)], run.random.randint(1, 6)


# ---- F1


def kills(run: Run) -> None:
    """SIGKILL as the call is entered: it does not happen."""
    missed = 0
    with run.port() as port:
        port.run(run.patience, lambda: all(life.working for life in port.lives.values()))
        for role, calls, number in sample(run):
            settle_suspects(run, port, role)
            life = port.lives[role]
            life.doomed = True
            with traced(life, calls, f"signal=KILL:when={number}", run.folder / "strace"):
                died = port.run(OVERDUE, lambda role=role, life=life: port.lives[role] is not life)  # type: ignore[misc]
            if not died:
                missed += 1
                port.kill(life)
                port.run(run.patience, lambda role=role, life=life: port.lives[role] is not life)  # type: ignore[misc]
            since = time.monotonic()
            port.run(run.patience, lambda role=role: port.lives[role].working)  # type: ignore[misc]
            run.recovery.append(time.monotonic() - since)
            run.done()
    run.remarks.append(f"{run.trials - missed} killed at a call, {missed} at none that came; back: its first round")


def settle_suspects(run: Run, port: Port, role: str) -> None:
    """A worker is only killed when nothing that an earlier one died on is open: the third death sets it aside."""
    if role == "worker":
        port.run(run.patience, lambda: not port.eyes.suspects())


# ---- F4


def errors(run: Run) -> None:
    """The disk answers one fsync or one write with EIO. If it is the journal's, the role ends and tries no second."""
    of_journal = 0
    with run.port(may_fall=True) as port:
        port.run(run.patience, lambda: all(life.working for life in port.lives.values()))
        for number in range(run.wanted):
            role, calls = ROLES[number % len(ROLES)], ("fdatasync,fsync", "pwrite64")[(number // 4) % 2]
            settle_suspects(run, port, role)
            life, log = port.lives[role], run.folder / "strace"
            log.unlink(missing_ok=True)
            with traced(life, calls, f"error=EIO:when={run.random.randint(1, 4)}", log):
                port.run(OVERDUE, lambda log=log: hit(log))  # type: ignore[misc]
                journal = "journal.db" in hit(log)
                of_journal += journal
                if journal:
                    ended = port.run(OVERDUE, lambda role=role, life=life: port.lives[role] is not life)  # type: ignore[misc]
                    run.expect(ended, f"{role} went on after {hit(log)}")
            run.recovers(port)
            run.done()
        run.remarks.append(f"{of_journal} of the journal, {len(port.ended)} roles ended")
        run.expect(of_journal, "no error hit the journal: nothing is proved")


def hit(log: Path) -> str:
    """The call that got the error."""
    lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
    return next((line for line in lines if "INJECTED" in line), "")


ROWS = (
    Row("F1", "a role is killed at a system call", kills, 200, 5, strace),
    Row("F4", "the disk answers one fsync or write with an error", errors, 40, 3, strace),
)
