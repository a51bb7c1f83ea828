"""A private PostgreSQL: its own data directory, port and socket. No system service is touched."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

OWNER = "postgres"
"""Who runs the server where we are root: it refuses to be root itself."""


def programs() -> Path | None:
    """Where the newest server's programs are, as Debian lays them; None where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


class Server:
    """One server below `folder`. `listen`: its address, where `trusted` (a network) may come from without a password;
    `within`: a command that runs it elsewhere, such as in a network namespace."""

    def __init__(
        self,
        programs: Path,
        folder: Path,
        listen: str = "127.0.0.1",
        trusted: str = "127.0.0.0/8",
        within: Sequence[str] = (),
        settings: Sequence[str] = (),
    ) -> None:
        self.folder, self.port = folder, _free_port()
        self._programs, self._within = programs, within
        self.url = f"postgresql://eport@{listen}:{self.port}"
        self.local = f"postgresql://eport@/{{name}}?host={folder}&port={self.port}"
        """URL by the socket, which works from every network namespace; `{name}` is the database."""
        if os.geteuid() == 0:
            shutil.chown(folder, OWNER)
        self._run("initdb", "-D", folder / "data", "-A", "trust", "-U", "eport", "-E", "UTF8", "--no-sync")
        with (folder / "data" / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {trusted} trust\nhost replication all {trusted} trust\n")
        told = [f"listen_addresses={listen}", f"port={self.port}", f"unix_socket_directories={folder}", *settings]
        self._options = " ".join(f"-c {one}" for one in told)

    def start(self) -> None:
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-o", self._options, "-l", self.folder / "log", "start")

    def stop(self, how: str = "immediate", must: bool = True) -> None:
        """`immediate` is as good as a power cut: it recovers at the next start. `must`: it has to be running."""
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-m", how, "stop", must=must)

    def create(self, name: str) -> None:
        """A fresh, empty database."""
        import psycopg

        with psycopg.connect(self.local.format(name="postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")

    def program(self, name: str, *arguments: object) -> list[str]:
        """The command line of one of its programs, as its owner."""
        words = [str(word) for word in (self._programs / name, *arguments)]
        owner = ["runuser", "-u", OWNER, "--"] if os.geteuid() == 0 else []
        return [*self._within, *owner, *words]

    def _run(self, name: str, *arguments: object, must: bool = True) -> None:
        subprocess.run(self.program(name, *arguments), check=must, capture_output=True, cwd=self.folder)


@contextmanager
def server(
    programs: Path,
    listen: str = "127.0.0.1",
    trusted: str = "127.0.0.0/8",
    within: Sequence[str] = (),
    settings: Sequence[str] = (),
) -> Iterator[Server]:
    """A fresh server that runs until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="eport-pg-", ignore_cleanup_errors=True) as folder:
        made = Server(programs, Path(folder), listen, trusted, within, settings)
        made.start()
        try:
            yield made
        finally:
            made.stop(must=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
