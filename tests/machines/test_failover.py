"""PostgreSQL with a synchronous standby: the first server is gone for good, the standby is promoted, a hub goes on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from hub.prove import checker
from hub.prove.port import Port
from hub.prove.postgresql import Server
from tests import postgresql


@contextmanager
def standby(primary: Server) -> Iterator[Server]:
    """A second server that has everything before a commit on the first one returns."""
    where = postgresql.programs()
    assert where is not None
    second = Server(where, primary.folder / "standby")
    shutil.rmtree(second.folder / "data")
    copy = ["-R", "-D", second.folder / "data", "-d", f"{primary.url}/postgres?application_name=standby"]
    subprocess.run(second.program("pg_basebackup", "-c", "fast", *copy), check=True, cwd=second.folder)
    second.start()
    with psycopg.connect(f"{primary.url}/postgres", autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        connection.execute("SELECT pg_reload_conf()")
    try:
        yield second
    finally:
        second.stop()


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_standby_takes_over(tmp_path: Path) -> None:
    with postgresql.own_server() as first:
        first.create("hub")
        (first.folder / "standby").mkdir()
        with standby(first) as second:
            hosts = f"host=127.0.0.1,127.0.0.1&port={first.port},{second.port}"
            either = f"postgresql://eport@/hub?{hosts}&target_session_attrs=read-write"
            port = Port(tmp_path / "port", 5, database=either)
            port.may_fall = True
            try:
                port.open()
                port.run(60, lambda: port.sent >= 12)
                first.stop("immediate")
                subprocess.run(second.program("pg_ctl", "-D", second.folder / "data", "-w", "promote"), check=True)
                port.run(60, lambda: port.sent >= 24)
                assert port.rest(60) == []
                assert checker.check(port.ground()) == []
            finally:
                port.close()
