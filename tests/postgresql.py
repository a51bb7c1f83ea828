"""A private PostgreSQL on 127.0.0.1 (hub.prove.postgresql).

Started once per test process by Debian's package postgresql. Root with a network installs that; elsewhere, if it is
missing, the tests are skipped by name. With CI=true they fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from pathlib import Path

import pytest

from hub.prove import postgresql
from hub.prove.postgresql import Server

_numbers = count(1)


@lru_cache(maxsize=1)
def programs() -> Path | None:
    """Where the server's programs are: installed if they can be had."""
    if postgresql.programs() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
            config.write("create_main_cluster = false\n")
            config.flush()
            for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-y", "-q", "postgresql"]):
                subprocess.run(command, env=quiet, capture_output=True, timeout=600)
    return postgresql.programs()


@contextmanager
def own_server() -> Iterator[Server]:
    """A fresh server, without a database, that the test may stop and start; it ends with the block."""
    where = programs()
    if where is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no PostgreSQL, and none can be installed")
        pytest.skip("no PostgreSQL")
    with postgresql.server(where) as made:
        yield made


@contextmanager
def server() -> Iterator[str]:
    """URL of a fresh server, without a database; it ends with the block."""
    with own_server() as made:
        yield made.url


def database(url: str) -> str:
    """URL of a fresh, empty database on the server."""
    import psycopg

    name = f"eport{next(_numbers)}"
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{url}/{name}"
