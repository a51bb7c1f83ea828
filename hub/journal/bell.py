"""Who waits for work is woken by whoever makes it.

On SQLite nobody rings: a role looks often, which costs a read of a local file. On PostgreSQL a NOTIFY goes out with the
transaction that makes the work, so none is heard before its rows are seen, and none for rows that were taken back. It
makes the commits that ring take turns, which batches of fifty can afford. A role still looks each `LOOK` seconds: for
what only time makes due, and for a ring that was lost with a connection.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from hub.journal.changes import Add, Change, Move

POLL = 0.05
"""Seconds between two looks where nobody rings."""
LOOK = 1.0
"""Seconds between two looks where somebody rings."""
SLICE = 0.1
"""Seconds after which one who waits for a ring sees that he was told to stop."""

WAKES = {"received": "worker", "released": "worker", "pending": "courier"}
"""State of a row -> the role that has work with it."""


def wakes(changes: Iterable[Change]) -> set[str]:
    """The roles that have something to do once these changes are committed."""
    found = set()
    for change in changes:
        if isinstance(change, Add | Move):
            values = change.row if isinstance(change, Add) else change.values
            found.add("worker" if values.get("ripe") else WAKES.get(values.get("state", ""), ""))
    return found - {""}


class Bell(Protocol):
    """One process's bell. Only one thread of it waits."""

    def ring(self, connection: Connection, roles: Iterable[str]) -> None:
        """Wake `roles` in every process when the connection's transaction is committed."""

    def wait(self, stop: threading.Event, role: str) -> bool:
        """Until there may be work for `role`, or `stop`; True when told to stop."""

    def close(self) -> None: ...


class Looking:
    """Nobody rings."""

    def ring(self, connection: Connection, roles: Iterable[str]) -> None:
        pass

    def wait(self, stop: threading.Event, role: str) -> bool:
        return stop.wait(POLL)

    def close(self) -> None:
        pass


class Listening:
    """LISTEN on a connection of its own. While it cannot be had, the role looks often."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Connection | None = None

    def ring(self, connection: Connection, roles: Iterable[str]) -> None:
        for role in sorted(roles):
            connection.execute(text(f"NOTIFY eport_{role}"))

    def wait(self, stop: threading.Event, role: str) -> bool:
        from psycopg import Error

        try:
            if self._session is None:
                self._listen(role)  # what was rung before is not heard: look once more
                return stop.is_set()
            driver: Any = self._session.connection.driver_connection
            until = time.monotonic() + LOOK
            while not stop.is_set() and time.monotonic() < until:
                if list(driver.notifies(timeout=SLICE, stop_after=1)):
                    break
            return stop.is_set()
        except (DBAPIError, Error):
            self.close()
            return stop.wait(POLL)

    def _listen(self, role: str) -> None:
        self._session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._session.execute(text(f"LISTEN eport_{role}"))

    def close(self) -> None:
        if self._session is not None:
            with suppress(DBAPIError):
                self._session.invalidate()  # the pool must not lend a connection that listens
                self._session.close()
            self._session = None
