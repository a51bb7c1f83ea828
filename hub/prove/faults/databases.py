"""F10: the PostgreSQL under the journal is killed, loses its sessions, stands still, or is locked. On a server of its
own that starts with the row."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing, suppress
from importlib.util import find_spec
from typing import Any

from hub.prove import postgresql
from hub.prove.faults.row import Row, Run, reached
from hub.prove.port import Port

Trouble = Callable[[Run, Port, postgresql.Server], None]

OTHERS = "FROM pg_stat_activity WHERE datname = 'eport' AND pid <> pg_backend_pid()"


def needs() -> str:
    if find_spec("psycopg") is None:
        return "needs the extra: pip install 'eport-hub[postgresql]'"
    return "" if postgresql.programs() else "needs a PostgreSQL server (Debian: postgresql)"


def asked(server: postgresql.Server, query: str) -> list[Any]:
    import psycopg

    with closing(psycopg.connect(server.local.format(name="eport"), autocommit=True)) as database:
        return database.execute(query).fetchall()


def power(run: Run, port: Port, server: postgresql.Server) -> None:
    """The server ends without a word, and recovers from its log."""
    server.stop("immediate")
    port.run(run.random.uniform(0.1, 1.5))
    server.start()


def one_backend(run: Run, port: Port, server: postgresql.Server) -> None:
    """One session's process is killed: the server ends all of them, and recovers."""
    [pid] = run.random.choice(asked(server, f"SELECT pid {OTHERS}"))
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def sessions(run: Run, port: Port, server: postgresql.Server) -> None:
    """Every session is ended by an administrator."""
    asked(server, f"SELECT pg_terminate_backend(pid) {OTHERS}")


def standstill(run: Run, port: Port, server: postgresql.Server) -> None:
    """Every session's process stands still for a while."""
    pids = [pid for (pid,) in asked(server, f"SELECT pid {OTHERS}")]
    _signal(pids, signal.SIGSTOP)
    port.listen(0.1)
    try:
        port.nap(run.random.uniform(1.0, 2.0) if run.quick else run.random.uniform(2.0, 8.0))
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def locked(run: Run, port: Port, server: postgresql.Server) -> None:
    """Somebody locks the deliveries for a while."""
    import psycopg

    with closing(psycopg.connect(server.local.format(name="eport"))) as database:
        database.execute("LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE")
        port.nap(1.0 if run.quick else run.random.uniform(1.0, 5.0))
        database.rollback()


TROUBLES: tuple[Trouble, ...] = (power, sessions, one_backend, standstill, locked)


def troubles(run: Run) -> None:
    """All of them in turn, under load."""
    programs = postgresql.programs()
    assert programs is not None
    with postgresql.server(programs) as server:
        server.create("eport")
        with run.port(may_fall=True, database=f"{server.url}/eport") as port:
            port.run(run.patience, lambda: reached(port, "CUSTOMS") > 0)
            for number in range(run.wanted):
                port.run(run.patience, lambda: not port.suspects())
                TROUBLES[number % len(TROUBLES)](run, port, server)
                run.recovers(port)
                run.done()
            run.remarks.append(f"{len(port.ended)} roles ended and were started again")


ROWS = (Row("F10", "PostgreSQL dies, drops sessions, stands still, is locked", troubles, 50, 3, needs),)
