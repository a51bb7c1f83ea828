"""Who is alive, by locks that the operating system drops when a process dies: no leases, no heartbeats, no clocks.

One file per name in `spool/run`. A process that claims work holds the lock of its own name; whoever runs a part that
only one may run (an endpoint's courier, the clock) holds the lock of that part's name.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Locks:
    """The locks of one process below `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._mine: dict[str, int] = {}

    def hold(self, name: str) -> bool:
        """Take the lock `name` until this process ends; False when another process has it. Repeatable."""
        if name in self._mine:
            return True
        handle = self._try(name)
        if handle is None:
            return False
        self._mine[name] = handle
        return True

    def held(self, name: str) -> bool:
        """True while this or another process holds `name`. The file of one that nobody holds is removed."""
        if name in self._mine:
            return True
        handle = self._try(name)
        if handle is None:
            return True
        self._path(name).unlink(missing_ok=True)
        os.close(handle)
        return False

    def drop(self, name: str) -> None:
        """Let go of `name`."""
        handle = self._mine.pop(name, None)
        if handle is not None:
            os.close(handle)

    def close(self) -> None:
        """Let go of everything."""
        for name in list(self._mine):
            self.drop(name)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lock"

    def _try(self, name: str) -> int | None:
        """An open file whose lock we have just taken, or None. A file that was removed meanwhile is no lock."""
        while True:
            handle = os.open(self._path(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                return None
            try:
                if os.stat(self._path(name)).st_ino == os.fstat(handle).st_ino:
                    return handle
            except FileNotFoundError:
                pass
            os.close(handle)
