"""Hosts on a network of their own: Linux network namespaces at one bridge, which stands in a namespace too. Nothing
outside of them is touched. Needs root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

RANGE = "10.77.0"
"""The hosts' addresses: .1, .2, … They mean something inside of the namespaces only."""

_networks = count(1)


class Network:
    """Hosts by name, all connected."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self.address = {host: f"{RANGE}.{number}" for number, host in enumerate(hosts, 1)}
        self.trusted = f"{RANGE}.0/24"
        self._prefix = f"eport-{os.getpid()}-{next(_networks)}"
        self._switch = f"{self._prefix}-switch"

    def open(self) -> None:
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "bridge", "up")
        for host, address in self.address.items():
            space = self._space(host)
            _ip("netns", "add", space)
            _ip("-n", space, "link", "add", "lan", "type", "veth", "peer", "name", host, "netns", self._switch)
            _ip("-n", self._switch, "link", "set", "dev", host, "master", "bridge", "up")
            _ip("-n", space, "address", "add", f"{address}/24", "dev", "lan")
            for device in ("lo", "lan"):
                _ip("-n", space, "link", "set", "dev", device, "up")

    def close(self) -> None:
        for space in (*map(self._space, self.address), self._switch):
            _ip("netns", "delete", space, must=False)

    def within(self, host: str) -> list[str]:
        """Put before a command, it runs on that host."""
        return ["ip", "netns", "exec", self._space(host)]

    def cut(self, host: str) -> None:
        """Pull its cable: nothing gets through any more, and nobody is told."""
        _ip("-n", self._switch, "link", "set", "dev", host, "down")

    def mend(self, host: str) -> None:
        _ip("-n", self._switch, "link", "set", "dev", host, "up")

    def _space(self, host: str) -> str:
        return f"{self._prefix}-{host}"


@contextmanager
def network(hosts: Sequence[str]) -> Iterator[Network]:
    """Hosts, connected until the end of the block."""
    made = Network(hosts)
    try:
        made.open()
        yield made
    finally:
        made.close()


def forbidden() -> str:
    """Why no network can be made here; "" where one can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        with network(["probe"]) as made:
            subprocess.run([*made.within("probe"), "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as fault:
        said = getattr(fault, "stderr", b"") or str(fault).encode()
        return f"network namespaces are not allowed here: {said.decode().strip()}"
    return ""


def _ip(*words: str, must: bool = True) -> None:
    subprocess.run(["ip", *words], check=must, capture_output=True)
