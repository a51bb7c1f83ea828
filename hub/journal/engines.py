"""The databases that a journal may stand on, and what each connection must promise."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import InterfaceError, OperationalError

from hub.errors import JournalError, Lost

GONE_STATES = ("", "08", "57")
"""Beginnings of an SQLSTATE by which PostgreSQL itself went away: none was told, connection exception, shutdown."""
FAILED = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_READONLY")
"""How SQLite calls a disk that is full, or fails, or a file that somebody else keeps."""


def failed(fault: BaseException) -> bool:
    """True when the database failed, so that whatever was worked on is not to blame."""
    if not isinstance(fault, OperationalError | InterfaceError):
        return isinstance(fault, Lost)
    if isinstance(fault.orig, sqlite3.Error):
        return getattr(fault.orig, "sqlite_errorname", "").startswith(FAILED)
    return (getattr(fault.orig, "sqlstate", None) or "")[:2] in GONE_STATES


def sqlite(path: Path) -> Engine:
    """WAL with synchronous=FULL, set and read back on every connection; writers begin with the lock."""
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _promise(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy's begin event below issues BEGIN
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=30000")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA cache_size=-16384")  # KiB: the upper floors of every index of a long history
        mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
        level = cursor.execute("PRAGMA synchronous").fetchone()[0]
        cursor.close()
        if mode != "wal" or level != 2:
            raise JournalError(f"SQLite refuses WAL with synchronous=FULL (has {mode}, {level})")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


SILENT = {"keepalives_idle": 1, "keepalives_interval": 1, "keepalives_count": 1}
"""Seconds, and tries, after which a machine that says nothing any more is dead. TCP alone would wait a quarter of an
hour for it, and PostgreSQL keep its locks so long. Both ends say it: each may be the one that is left."""
GONE = 1000
"""Milliseconds after which what was sent and not acknowledged says the same."""
_SERVER = {"timezone": "utc", "synchronous_commit": "on", "tcp_user_timeout": GONE}
_SERVER |= {f"tcp_{name}": value for name, value in SILENT.items()}
SESSION = {
    "connect_timeout": 5,
    "tcp_user_timeout": GONE,
    "options": " ".join(f"-c {name}={value}" for name, value in _SERVER.items()),
    **SILENT,
}


def postgresql(url: str) -> Engine:
    """READ COMMITTED: guarded updates, unique keys and, where a step relies on rows that are not there, advisory locks
    of the transaction (`Journal._turn`) give what BEGIN IMMEDIATE gives on SQLite. SERIALIZABLE would too, but its page
    locks clash on small tables: measured at less than half the rate."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise JournalError("a journal on PostgreSQL needs the extra: pip install 'eport-hub[postgresql]'") from None
    url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    return create_engine(url, connect_args=SESSION, pool_size=40, pool_pre_ping=True)
