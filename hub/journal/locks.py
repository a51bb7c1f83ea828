"""Who is alive, by locks that somebody else drops when a process dies: no leases, no heartbeats, no clocks.

On one machine (SQLite) the operating system does: one file per name in `spool/run`. On PostgreSQL the database does,
for all machines: a session's advisory locks end with its connection. A process that claims work holds the lock of its
own name; whoever runs a part that only one may run (an endpoint's courier, the clock) holds the lock of that name.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, text


class Holding(Protocol):
    """The locks of one process."""

    def hold(self, name: str) -> bool:
        """Take the lock `name` until this process ends; False when another process has it. Repeatable."""

    def held(self, name: str) -> bool:
        """True while this or another process holds `name`."""

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
    """Advisory locks of one PostgreSQL session. A lost connection has lost them all: the next call raises, the process
    ends loudly, and another goes on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = threading.Lock()
        self._session: Connection | None = None
        self._mine: set[str] = set()

    def _ask(self, function: str, name: str) -> bool:
        if self._session is None:
            self._session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        asked = text(f"SELECT {function}(hashtextextended(:name, 0))")
        return bool(self._session.execute(asked, {"name": f"eport {name}"}).scalar_one())

    def hold(self, name: str) -> bool:
        with self._turn:
            if name not in self._mine and self._ask("pg_try_advisory_lock", name):
                self._mine.add(name)
            return name in self._mine

    def held(self, name: str) -> bool:
        with self._turn:
            if name in self._mine:
                return True
            free = self._ask("pg_try_advisory_lock", name)
            if free:
                self._ask("pg_advisory_unlock", name)
            return not free

    def drop(self, name: str) -> None:
        with self._turn:
            if name in self._mine:
                self._mine.discard(name)
                self._ask("pg_advisory_unlock", name)

    def close(self) -> None:
        with self._turn:
            self._mine.clear()
            if self._session is not None:
                self._session.detach()  # else the pool would keep the session, and with it the locks
                self._session.close()
                self._session = None
