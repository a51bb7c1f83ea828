"""A private RabbitMQ: its own node name, cookie, epmd, data and ports on 127.0.0.1. No system service is touched."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

SCRIPTS = Path("/usr/lib/rabbitmq/bin")
USER, PASSWORD = "hub", "p/w@:d"
#: Before a command: it dies with this process, even if that is killed.
WITH_US = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
STARTING = 100.0
"""Seconds that a node may need until it takes a connection."""


def there() -> bool:
    """True when Debian's package rabbitmq-server is."""
    return (SCRIPTS / "rabbitmq-server").exists() and shutil.which("epmd") is not None


def free_ports(count: int) -> list[int]:
    """Below those that the kernel gives to connections: a port is to be had again when its node comes back."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(12_000, 30_000)  # noqa: S311
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found += [port] if port not in found else []
    return found


class Node:
    """One node, which runs when this returns. `kill` is a power cut of the broker alone; `start` brings it back with
    what it had written. `settings` are further lines of rabbitmq.conf.

    RabbitMQ (3.10.8 here) writes down within three minutes only which quorum queues it has (a dets table with its
    default auto_save): one that is younger when the node is killed comes back without leader and messages, confirmed
    ones too. `kill` is for queues that are older, so `grow_old` has to be called before."""

    def __init__(self, folder: Path, settings: Sequence[str] = (), plugins: str = "") -> None:
        self.folder = folder
        self.port, dist, epmd = free_ports(3)
        self._node = f"eport-{os.getpid()}-{secrets.token_hex(2)}@localhost"
        (folder / ".erlang.cookie").write_text(secrets.token_hex(16))
        (folder / ".erlang.cookie").chmod(0o400)
        (folder / "enabled_plugins").write_text(f"[{plugins}].\n")
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            f"default_user = {USER}",
            f"default_pass = {PASSWORD}",
            "disk_free_limit.absolute = 1MB",
            "raft.wal_max_size_bytes = 16000000",
            *settings,
        ]
        (folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        self._env = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP": "/dev/null",
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(dist),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2 +sbwt none",
        }
        self._epmd = subprocess.Popen([*WITH_US, "epmd", "-port", str(epmd), "-address", "127.0.0.1"], env=self._env)
        self._server: subprocess.Popen[bytes] | None = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Raises RuntimeError with what the node said when it does not come up."""
        with (self.folder / "out").open("ab") as log:
            self._server = subprocess.Popen(
                [*WITH_US, SCRIPTS / "rabbitmq-server"],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + STARTING
        while not self._takes_us():
            if self._server.poll() is not None or time.monotonic() > end:
                raise RuntimeError((self.folder / "out").read_text("utf-8", "replace"))
            time.sleep(0.05)

    def _takes_us(self) -> bool:
        import pika

        try:
            with self.channel():
                return True
        except pika.exceptions.AMQPError:
            return False

    def grow_old(self) -> None:
        """Have everything written that the node writes down now and then."""
        self.ctl("eval", "[ok = dets:sync(Table) || Table <- dets:all()].")

    def kill(self) -> None:
        """SIGKILL for the node. May be called from any thread."""
        if self._server is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait(10)

    def close(self) -> None:
        self.kill()
        self._epmd.terminate()
        self._epmd.wait(10)

    def ctl(self, *words: str) -> str:
        """What rabbitmqctl says. Raises RuntimeError when it fails."""
        command = [str(SCRIPTS / "rabbitmqctl"), "-q", "-n", self._node, *words]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout

    @contextmanager
    def alarm(self) -> Iterator[None]:
        """The node has too little memory, as it thinks."""
        self.ctl("set_vm_memory_high_watermark", "0.000001")
        try:
            yield
        finally:
            self.ctl("set_vm_memory_high_watermark", "0.4")

    # ---- as a party

    def url(self, scheme: str = "amqp", port: int = 0, login: str = f"{USER}:p%2Fw%40%3Ad@") -> str:
        return f"{scheme}://{login}127.0.0.1:{port or self.port}/"

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """A party's own connection, in confirm mode."""
        import pika

        login = pika.PlainCredentials(USER, PASSWORD)
        where = pika.ConnectionParameters("127.0.0.1", self.port, credentials=login)
        with closing(pika.BlockingConnection(where)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel
