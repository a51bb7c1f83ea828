"""A private PostgreSQL on 127.0.0.1: its own data directory and port. No system service is touched.

Started once per test process by Debian's package postgresql. Root with a network installs that; elsewhere, if it is
missing, the tests are skipped by name. With CI=true they fail.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from pathlib import Path

import pytest

_numbers = count(1)


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


@lru_cache(maxsize=1)
def programs() -> Path | None:
    """Where the server's programs are: installed if they can be had."""
    if _programs() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
            config.write("create_main_cluster = false\n")
            config.flush()
            for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-y", "-q", "postgresql"]):
                subprocess.run(command, env=quiet, capture_output=True, timeout=600)
    return _programs()


def _as(user: str, *command: object) -> list[str]:
    """The server refuses to run as root."""
    words = [str(word) for word in command]
    return ["runuser", "-u", user, "--", *words] if os.geteuid() == 0 else words


@contextmanager
def server() -> Iterator[str]:
    """URL of a fresh server, without a database; it ends with the block."""
    where = programs()
    if where is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no PostgreSQL, and none can be installed")
        pytest.skip("no PostgreSQL")
    with tempfile.TemporaryDirectory(prefix="eport-pg-") as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        data, port = Path(folder) / "data", _free_port()
        subprocess.run(_as("postgres", where / "initdb", "-D", data, "-A", "trust", "-U", "eport", "-E", "UTF8"),
                       check=True, capture_output=True, cwd=folder)  # fmt: skip
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
        control = _as("postgres", where / "pg_ctl", "-D", data, "-w", "-o", options, "-l", Path(folder) / "log")
        subprocess.run([*control, "start"], check=True, capture_output=True, cwd=folder)
        try:
            yield f"postgresql://eport@127.0.0.1:{port}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def database(url: str) -> str:
    """URL of a fresh, empty database on the server."""
    import psycopg

    name = f"eport{next(_numbers)}"
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{url}/{name}"
