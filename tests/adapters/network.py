"""A network between two programs that can be cut, frozen, or made deaf on one side."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Poll; fail when it does not come true in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.02)


class Proxy:
    """What comes to `port` goes to a port of this machine, and back.

    at       after so many more bytes one way `then` is called, in a thread of the proxy, before the rest goes on
    passed   bytes that went out and came back
    freeze   nothing passes either way, and nobody is told
    swallow  the connections that there are now bring no byte back any more; new ones do
    cut      every connection ends; new ones are taken
    """

    def __init__(self, target: int) -> None:
        self.passed = {True: 0, False: 0}
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ends: list[socket.socket] = []
        self._deaf: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._flows = threading.Event()
        self._flows.set()
        self._then: dict[bool, tuple[int, Callable[[], object]]] = {}
        self._go(self._accept)

    def _go(self, what: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=what, args=arguments))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target), 5)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                self._ends += [near, far]
                self._go(self._pump, near, far, True)
                self._go(self._pump, far, near, False)

    def _pump(self, source: socket.socket, sink: socket.socket, outward: bool) -> None:
        with suppress(OSError):
            while data := source.recv(8192):
                self._flows.wait()
                self.passed[outward] += len(data)
                if outward in self._then and self.passed[outward] >= self._then[outward][0]:
                    self._then.pop(outward)[1]()
                    self._flows.wait()
                if sink not in self._deaf:
                    sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def at(self, count: int, then: Callable[[], object], outward: bool = True) -> None:
        self._then[outward] = self.passed[outward] + count, then

    def freeze(self) -> None:
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def swallow(self) -> None:
        self._deaf |= set(self._ends[::2])

    def cut(self) -> None:
        for end in list(self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.thaw()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(10)
        self.cut()
        for thread in self._threads:
            thread.join(10)
        for end in (self._listener, *self._ends):
            end.close()
