"""A network between two programs that can be broken at any byte.

cut      both ends see the connection end          reset    … and are told so rudely
half     the reader sees the end, the writer goes on    swallow  what comes is thrown away, nobody is told
delay    nothing passes for `seconds`              drip     a byte now and then, for `seconds`; then cut
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

HOWS = ("cut", "reset", "half", "swallow", "delay", "drip")
UP, DOWN = "up", "down"
DRIP = 0.05


@dataclass(frozen=True, slots=True)
class Break:
    """Once, on connections of `whose` process (0: anybody's): after `after` more bytes that `way`, `how`."""

    way: str
    after: int
    how: str
    seconds: float = 1.5
    whose: int = 0


@dataclass(slots=True, eq=False)
class _Link:
    near: socket.socket
    far: socket.socket
    port: int  # of the program that connected
    deaf: set[str] = field(default_factory=set)  # ways in which everything is thrown away
    owners: dict[int, bool] = field(default_factory=dict)

    def of(self, pid: int) -> bool:
        """True for a connection of this process (0: anybody's)."""
        if pid and pid not in self.owners:
            self.owners[pid] = owns(pid, self.port)
        return not pid or self.owners[pid]


class Proxy:
    """Listens on `port` of 127.0.0.1 for one program and goes on to `target`. `passed` counts bytes each way on the
    connections that the next break is meant for."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.passed = {UP: 0, DOWN: 0}
        self.broken_at = 0.0  # monotonic time of the last break
        self.rewrite: Callable[[bytes], bytes] | None = None
        self.away = False
        self._lock = threading.Lock()
        self._next: Break | None = None
        self._links: list[_Link] = []
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._go(self._accept)

    def plan(self, what: Break | None) -> None:
        """The next break; None for none. Counting starts anew."""
        with self._lock:
            self._next, self.passed = what, {UP: 0, DOWN: 0}

    @property
    def waits(self) -> bool:
        """The break that was planned has not happened."""
        return self._next is not None

    def shut(self) -> None:
        """Nobody is reached any more, as if the machine were gone."""
        self.away = True
        self.end()

    def open(self) -> None:
        self.away = False

    def end(self) -> None:
        """Every connection ends."""
        for link in list(self._links):
            _shut(link.near, link.far)

    def close(self) -> None:
        self._closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.end()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    # ---- inside

    def _go(self, what: Callable[..., None], *arguments: object) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(threading.Thread(target=what, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                near, (_, port) = self._listener.accept()
            except OSError:
                return
            try:
                if self.away:
                    raise ConnectionRefusedError
                far = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._go(self._carry, _Link(near, far, port))

    def _carry(self, link: _Link) -> None:
        """One connection's whole life."""
        self._links.append(link)
        back = threading.Thread(target=self._pump, args=(link, DOWN), daemon=True)
        back.start()
        self._pump(link, UP)
        back.join()
        self._links.remove(link)
        link.near.close()
        link.far.close()

    def _pump(self, link: _Link, way: str) -> None:
        source, sink = (link.near, link.far) if way == UP else (link.far, link.near)
        with suppress(OSError):
            while data := source.recv(65536):
                if self.rewrite is not None and way == DOWN:
                    data = self.rewrite(data)
                if way in link.deaf:
                    continue
                head, then, rest = self._divided(link, way, data)
                sink.sendall(head)
                if then is not None:
                    self._do(then, link, way, rest)
        _shut(source, sink)

    def _divided(self, link: _Link, way: str, data: bytes) -> tuple[bytes, Break | None, bytes]:
        """What passes of `data` before the break, the break if it is now, and what comes behind it."""
        with self._lock:
            mine = self._next
            if mine is None or not link.of(mine.whose):
                return data, None, b""
            left = max(0, mine.after - self.passed[way])
            self.passed[way] += len(data)
            if mine.way != way or len(data) < left:
                return data, None, b""
            self._next = None
            self.broken_at = time.monotonic()
            return data[:left], mine, data[left:]

    def _do(self, what: Break, link: _Link, way: str, data: bytes) -> None:
        sink = link.far if way == UP else link.near
        if what.how == "reset":
            for end in (link.near, link.far):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if what.how in ("cut", "reset"):
            _shut(link.near, link.far)
        elif what.how == "half":
            link.deaf.add(way)
            sink.shutdown(socket.SHUT_WR)
        elif what.how == "swallow":
            link.deaf.add(way)
        elif what.how == "delay":
            self._closing.wait(what.seconds)
            sink.sendall(data)
        else:
            for byte in data[: int(what.seconds / DRIP)]:
                sink.sendall(bytes([byte]))
                self._closing.wait(DRIP)
            _shut(link.near, link.far)


def _shut(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def owns(pid: int, port: int) -> bool:
    """True when process `pid` is the one that connected from `port` of 127.0.0.1."""
    local = f"0100007F:{port:04X}"
    lines = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
    inodes = {f"socket:[{words[9]}]" for words in map(str.split, lines) if words[1] == local}
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{name}") in inodes:
                    return True
    return False
