"""Who is alive, by locks that somebody else drops when a process dies: no leases, no heartbeats, no clocks.

On one machine (SQLite) the operating system does: one file per name in `spool/run`. On PostgreSQL the database does,
for all machines: a session's advisory locks end with its connection. A process that claims work holds the lock of its
own name; whoever runs a part that only one may run (an endpoint's courier, the clock) holds the lock of that name.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from hub.errors import Lost

LOST = "the session that held the locks of this process is gone: another one may go on with its work"
TAKE = "SELECT pg_try_advisory_lock(hashtextextended(:name, 0))"
LET_GO = "SELECT pg_advisory_unlock(hashtextextended(:name, 0))"
THERE = "SELECT CAST(:name AS text) IS NOT NULL"


@contextmanager
def queue(path: Path) -> Iterator[None]:
    """One behind the other, in the order of coming, through one file of this machine.

    SQLite lets one writer in at a time too, but who has to wait sleeps and looks again, up to 100 ms later."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Holding(Protocol):
    """The locks of one process."""

    def hold(self, name: str) -> bool:
        """Take the lock `name` until this process ends; False when another process has it. Repeatable."""

    def held(self, name: str) -> bool:
        """True while this or another process holds `name`."""

    def sure(self) -> None:
        """Raises Lost when what this process held is no longer its own."""

    def drop(self, name: str) -> None:
        """Let go of `name`."""

    def close(self) -> None:
        """Let go of everything."""


class Locks:
    """The locks of one process below `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._mine: dict[str, int] = {}

    def hold(self, name: str) -> bool:
        """Take the lock `name` until this process ends; False when another process has it. Repeatable."""
        if name in self._mine:
            return True
        handle = self._try(name)
        if handle is None:
            return False
        self._mine[name] = handle
        return True

    def held(self, name: str) -> bool:
        """True while this or another process holds `name`. The file of one that nobody holds is removed."""
        if name in self._mine:
            return True
        handle = self._try(name)
        if handle is None:
            return True
        self._path(name).unlink(missing_ok=True)
        os.close(handle)
        return False

    def sure(self) -> None:
        """The operating system takes no lock away."""

    def drop(self, name: str) -> None:
        """Let go of `name`."""
        handle = self._mine.pop(name, None)
        if handle is not None:
            os.close(handle)

    def close(self) -> None:
        """Let go of everything."""
        for name in list(self._mine):
            self.drop(name)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lock"

    def _try(self, name: str) -> int | None:
        """An open file whose lock we have just taken, or None. A file that was removed meanwhile is no lock."""
        while True:
            handle = os.open(self._path(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                return None
            try:
                if os.stat(self._path(name)).st_ino == os.fstat(handle).st_ino:
                    return handle
            except FileNotFoundError:
                pass
            os.close(handle)


class SessionLocks:
    """Advisory locks of one PostgreSQL session. A lost connection has lost them all, and another process may go on with
    the work: from then on every call raises Lost, so that this process ends loudly.

    `hold` asks the session each time, also for a lock that is ours already: whoever is about to work knows within one
    question that the work is still its own. What is between that question and the commit is guarded by the rows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = threading.Lock()
        self._session: Connection | None = None
        self._mine: set[str] = set()
        self._lost: DBAPIError | None = None

    def _ask(self, question: str, name: str) -> bool:
        if self._lost is not None:
            raise Lost(LOST) from self._lost
        try:
            if self._session is None:
                self._session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            return bool(self._session.execute(text(question), {"name": f"eport {name}"}).scalar_one())
        except DBAPIError as fault:
            self._lost = fault
            raise Lost(LOST) from fault

    def hold(self, name: str) -> bool:
        with self._turn:
            if name in self._mine:
                return self._ask(THERE, name)
            if self._ask(TAKE, name):
                self._mine.add(name)
            return name in self._mine

    def held(self, name: str) -> bool:
        with self._turn:
            if name in self._mine:
                return True
            free = self._ask(TAKE, name)
            if free:
                self._ask(LET_GO, name)
            return not free

    def sure(self) -> None:
        with self._turn:
            if self._mine:
                self._ask(THERE, "")

    def drop(self, name: str) -> None:
        with self._turn:
            if name in self._mine:
                self._mine.discard(name)
                self._ask(LET_GO, name)

    def close(self) -> None:
        with self._turn:
            self._mine.clear()
            if self._session is not None:
                self._session.invalidate()  # else the pool would keep the session, and with it the locks
                self._session.close()
                self._session = None
