"""The supervisor: loads the site once, forks the roles, and starts again what dies.

It holds no state and touches no message, so it may be killed like everything else. Its children notice (a pipe that
only it holds ends) and stop; the lock `hub`, which they inherit, keeps a second supervisor out until the last is gone.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from hub import logs
from hub.catalogue import describe, where
from hub.contract import Ground
from hub.engine import ends, gate, identity, reload, roles, roster, shared
from hub.errors import AdapterError, DeclarationError, IdentityError, JournalError
from hub.journal import engines
from hub.journal.journal import Journal
from hub.journal.locks import Locks
from hub.journal.schema import upgrade
from hub.message import new_id
from hub.site.load import load
from hub.site.site import Site

PATIENCE = 20.0
"""Seconds that a role gets to end its round before it is killed. Killing is safe, only louder."""
LONGEST_PAUSE = 10.0
FORGIVING = 30
"""Tries, a second apart, to find the database again."""

log = logging.getLogger("eport")


@dataclass(slots=True)
class Child:
    """One role's process. `deaths` in a row make the pause before the next start longer."""

    role: str
    pid: int = 0
    started: float = 0.0
    deaths: int = 0
    start_at: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """One hub on one machine: a gate, some workers, a courier, a clock."""

    folder: Path
    workers: int = 1
    children: list[Child] = field(default_factory=list)
    deaths: Counter[str] = field(default_factory=Counter)
    stopping: bool = False
    reload: bool = False

    def run(self) -> None:
        """Run the hub in this process's children until SIGTERM or SIGINT. Declarations are read again when their files
        change; at SIGHUP the certificates too.

        Raises DeclarationError before anything was started when the site cannot run, JournalError when another hub
        runs in this folder."""
        site = identity.ready(load(self.folder), self.folder)
        locks = Locks(self.folder / "spool" / "run")
        if not locks.hold("hub"):
            raise JournalError(f"another hub runs in {self.folder}")
        (self.folder / "spool" / "run" / "hub.pid").write_text(f"{os.getpid()}\n")
        prepare(self.folder)
        shared.check(site, self.folder / "spool")
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGHUP, self._reload)
        signal.signal(signal.SIGUSR1, self._shut)
        log.info("%s: %d parties, fingerprint %s", self.folder.resolve(), len(site.parties), site.fingerprint[:12])
        names = ["gate", *["worker"] * self.workers, "courier", "clock"]
        self.children = [Child(name) for name in names]
        self.deaths = Counter(dict.fromkeys(names, 0))
        roster.write_deaths(self.folder, self.deaths)
        reload.active(self.folder, site.fingerprint, ends.now())
        watch = reload.Watch(self.folder)
        alive, mine = os.pipe()
        try:
            gc.freeze()  # what is loaded now stays shared with the children, and is not searched for garbage again
            while not self.stopping:
                self._start_missing(site, alive, mine)
                self._bury()
                if watch.changed(time.monotonic()) or self.reload:
                    watch.settle()
                    site = self._read_again(site)
                time.sleep(0.05)
        finally:
            os.close(mine)
            self._end()
            os.close(alive)
            locks.close()

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def _reload(self, *_: object) -> None:
        self.reload = True

    def _shut(self, *_: object) -> None:
        """Every gate takes nothing in any more, nor does one that is started from now on: it inherits the mark."""
        gate.SHUT.set()
        for child in self.children:
            if child.pid and child.role == "gate":
                os.kill(child.pid, signal.SIGUSR1)

    def _start_missing(self, site: Site, alive: int, mine: int) -> None:
        for child in self.children:
            if not child.pid and time.monotonic() >= child.start_at:
                child.started = time.monotonic()
                child.pid = os.fork()
                if not child.pid:
                    code = 1
                    try:
                        os.close(mine)
                        code = _be(child.role, site, self.folder, alive)
                    finally:  # whatever happens, a child never goes on as a second supervisor
                        os._exit(code)

    def _bury(self) -> None:
        for child in self.children:
            if child.pid and (status := _ended(child.pid)) is not None:
                lasted = time.monotonic() - child.started
                child.deaths = 0 if lasted > LONGEST_PAUSE or self.reload else child.deaths + 1
                pause = min(LONGEST_PAUSE, 0.1 * 2**child.deaths) if status else 0.0
                child.pid, child.start_at = 0, time.monotonic() + pause
                if status:
                    self.deaths[child.role] += 1
                    roster.write_deaths(self.folder, self.deaths)
                    words = "role %s ended with %s after %.1f s; starts again in %.1f s"
                    log.error(words, child.role, status, lasted, pause, extra={"code": "hub.role_died"})

    def _read_again(self, site: Site) -> Site:
        """The new declarations, if they are in order and other than those that run now; else these stay."""
        told, self.reload = self.reload, False
        try:
            fresh = identity.ready(load(self.folder), self.folder)
        except (DeclarationError, IdentityError, OSError) as fault:
            findings = fault.findings if isinstance(fault, DeclarationError) else ()
            why = "; ".join(f"{where(f)} [{f.code}] {describe(f, 'en')[0]}" for f in findings) or str(fault)
            log.error("the declarations were not taken over: %s", why, extra={"code": "hub.declarations_refused"})
            reload.refused(self.folder, site.fingerprint, findings, str(fault), ends.now())
            return site
        reload.active(self.folder, fresh.fingerprint, ends.now())
        if fresh.fingerprint == site.fingerprint and not told:
            return site
        log.info("the declarations are active: fingerprint %s", fresh.fingerprint[:12])
        for child in self.children:
            if child.pid:
                os.kill(child.pid, signal.SIGTERM)
        return fresh

    def _end(self) -> None:
        deadline = time.monotonic() + PATIENCE
        for child in self.children:
            if child.pid:
                os.kill(child.pid, signal.SIGTERM)
        while any(child.pid for child in self.children):
            for child in self.children:
                if child.pid and _ended(child.pid) is not None:
                    child.pid = 0
                elif child.pid and time.monotonic() > deadline:
                    os.kill(child.pid, signal.SIGKILL)
            time.sleep(0.01)


def _ended(pid: int) -> int | None:
    """How a child ended, None while it lives."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def prepare(folder: Path) -> None:
    """The journal's tables, as this release needs them. Raises JournalError, and overwrites nothing, where they
    cannot be had."""
    try:
        journal = Journal(folder / "spool", "prepare")
        try:
            upgrade(journal.engine)
        finally:
            journal.close()
    except DBAPIError as fault:
        raise JournalError(f"the journal in {folder / 'spool'} cannot be used: {fault.orig}") from fault
    except OSError as fault:
        raise JournalError(f"{folder / 'spool'} cannot be written to: {fault.strerror}") from fault


def _be(role: str, site: Site, folder: Path, alive: int) -> int:
    """A child's whole life. Its exit code: 0 when told to stop."""
    try:
        stop = threading.Event()
        threading.Thread(target=_watch, args=(alive, stop), name="watch", daemon=True).start()
        be(role, site, folder, stop)
    except (AdapterError, DeclarationError, IdentityError, JournalError) as fault:
        log.error("role %s: %s", role, fault)
        return 1
    except DBAPIError as fault:
        log.error("role %s: the journal: %s", role, fault.orig)
        return 1
    except Exception:
        log.exception("role %s", role)
        return 1
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _watch(alive: int, stop: threading.Event) -> None:
    """Blocks until the supervisor is gone."""
    os.read(alive, 1)
    stop.set()


def be(role: str, site: Site, folder: Path, stop: threading.Event) -> None:
    """One role in this process until `stop`, SIGTERM or SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: gate.SHUT.set())
    logs.is_now(role)
    present = roster.enter(folder, role)
    journal = Journal(folder / "spool", f"{role}-{new_id(ends.now())}")
    gc.freeze()  # the declarations stay: no collection looks through them again
    try:
        roles.run(role, site, journal, Ground(folder, folder / "spool"), stop)
    except (JournalError, SQLAlchemyError) as fault:
        if journal.tried and engines.failed(fault):
            _forgive(journal, stop)
        raise
    finally:
        journal.close()
        present.close()


def _forgive(journal: Journal, stop: threading.Event) -> None:
    """Once the database is there again: what this role worked on is not to blame for its end."""
    for _ in range(FORGIVING):
        try:
            journal.forgive()
            return
        except SQLAlchemyError:
            if stop.wait(1):
                return


def tell_reload(folder: Path) -> bool:
    """Have a running hub read declarations and certificates again; False when none runs."""
    locks = Locks(folder / "spool" / "run")
    running = locks.held("hub")
    if running:
        os.kill(int((folder / "spool" / "run" / "hub.pid").read_text()), signal.SIGHUP)
    return running
