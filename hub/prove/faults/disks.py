"""F3, F5: the disk under the hub loses power, or is full. Needs root, for a disk of its own.

What the hub keeps lies on that disk: its journal, its spool, and the folders in which the ERPs find their receipts.
What belongs to others (the ERPs' outbound, the agencies) does not lose power with it."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from hub.prove.faults.row import Row, Run, reached
from hub.prove.port import ERPS

SHUTDOWN = 0x8004587D
"""ext4's ioctl EXT4_IOC_SHUTDOWN; 2: without flushing its log, as when the power goes."""
NO_LOG_FLUSH = 2
HELD_ELSEWHERE = 30.0
"""Seconds to wait for a disk that cannot be had back yet."""
AGENCIES = ("customs", "inspection", "maritime", "border", "terminal")


def root() -> str:
    if os.geteuid() != 0:
        return "needs root"
    missing = [name for name in ("mount", "umount", "mkfs.ext4", "losetup") if shutil.which(name) is None]
    return f"needs {', '.join(missing)}" if missing else ""


class Disk:
    """An ext4 of its own in a file, mounted at `where`."""

    def __init__(self, image: Path, where: Path, megabytes: int = 96) -> None:
        self._image, self._where = image, where
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        do("mkfs.ext4", "-q", "-F", image)

    def mount(self) -> None:
        """Another mount namespace, made meanwhile by somebody else, may hold the old one for a while: then it is that
        one again, without power."""
        deadline = time.monotonic() + HELD_ELSEWHERE
        while True:
            do("mount", "-o", "loop", self._image, self._where)
            try:
                (self._where / ".power").write_bytes(b"on")
                return
            except OSError:
                self.umount()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def umount(self) -> None:
        do("umount", self._where)

    def cut(self) -> None:
        """From now on nothing reaches it, and what was only in memory is gone."""
        handle = os.open(self._where, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(handle)


def do(*words: object) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")


@contextmanager
def apart(folder: Path, mounted: Any) -> Iterator[dict[str, Path]]:
    """The spool on a disk of its own (`mounted`), and what belongs to others beside it."""
    spool, others = folder / "site" / "spool", folder / "others"
    spool.mkdir(parents=True)
    with mounted(spool):
        (spool / "boxes").mkdir()
        for agency in AGENCIES:
            (others / agency).mkdir(parents=True)
            (spool / "boxes" / agency).symlink_to(others / agency)
        for home in ERPS.values():
            (others / home / "outbound").mkdir(parents=True)
            for way in ("inbound", "error"):
                (others / home / way).symlink_to(spool / "boxes" / home / way)
        yield {party: others / home for party, home in ERPS.items()}


def outbounds_elsewhere(folder: Path) -> Any:
    """The declarations to go with `apart`."""

    def alter(routes: dict[str, Any], ports: dict[str, int]) -> None:
        for home in ERPS.values():
            routes["endpoints"][home]["options"]["in"] = str(folder / "others" / home / "outbound")

    return alter


# ---- F3


def power_cuts(run: Run) -> None:
    """The disk loses power under load; and a control run, with SQLite's synchronous=NORMAL, must lose something."""
    cut_under_load(run)
    if run.plant:
        return
    careless = Run(run.folder / "control", run.seed, max(3, run.wanted // 10), run.quick, run.say, "careless disk")
    cut_under_load(careless)
    run.expect(careless.lost, "the control run with synchronous=NORMAL lost nothing: the row proves nothing")
    run.remarks.append(f"control with synchronous=NORMAL: {careless.lost} lost in {careless.trials} cuts")


def cut_under_load(run: Run) -> None:
    folder = run.folder / "port-1"
    folder.mkdir(parents=True)
    disk = Disk(run.folder / "disk", folder / "site" / "spool")

    @contextmanager
    def on(where: Path) -> Iterator[None]:
        disk.mount()
        try:
            yield
        finally:
            disk.umount()

    with run.port(stand=partial(apart, mounted=on), alter=outbounds_elsewhere(folder)) as port:
        os.sync()
        for _ in range(run.wanted):
            before = reached(port, "CUSTOMS")
            port.run(run.patience, lambda before=before: reached(port, "CUSTOMS") > before)  # type: ignore[misc]
            port.run(run.random.uniform(0.1, 1.0))
            disk.cut()
            port.down()
            disk.umount()
            disk.mount()
            port.up()
            run.recovers(port)
            run.done()


# ---- F5


def full_disks(run: Run) -> None:
    """No byte is left under load: intake stops; it goes on when there is room."""
    folder = run.folder / "port-1"
    stand = partial(apart, mounted=small)
    with run.port(may_fall=True, stand=stand, alter=outbounds_elsewhere(folder)) as port:
        spool = port.site / "spool"
        for _ in range(run.wanted):
            before = reached(port, "CUSTOMS")
            port.run(run.patience, lambda before=before: reached(port, "CUSTOMS") > before)  # type: ignore[misc]
            fill(spool / "filler")
            port.run(run.random.uniform(1.0, 3.0))
            (spool / "filler").unlink()
            run.recovers(port)
            run.done()
        partial_ones = list((spool / "payloads").glob(".in-*"))
        run.expect(not partial_ones, f"partial payloads are left: {partial_ones}")
        run.remarks.append(f"{len(port.ended)} processes ended loudly")


@contextmanager
def small(where: Path) -> Iterator[None]:
    do("mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", where)
    try:
        yield
    finally:
        do("umount", where)


def fill(path: Path) -> None:
    """Take all the space that there is."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 512):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass


ROWS = (
    Row("F3", "power cuts, and a control run that must lose", power_cuts, 100, 2, root),
    Row("F5", "the disk is full under load", full_disks, 20, 1, root),
)
