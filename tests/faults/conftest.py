"""What the tests of bad days share: a port in one process, a good file that must still go through, and a staged hub."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.sandbox.show import stage
from tests.journeys.conftest import Port, port

__all__ = ["Port", "port"]

ROOT = Path(__file__).parents[2]
ORIGINAL = (ROOT / "mappings" / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()
ARRIVAL = (ROOT / "mappings" / "vessel" / "cases" / "01-arrival" / "in.edi").read_bytes()

_numbers = itertools.count(1)


def manifest(number: int | None = None) -> bytes:
    """A good manifest with a reference and a business number of its own."""
    number = next(_numbers) if number is None else number
    return ORIGINAL.replace(b"TJ26112301", b"TJ%08d" % number).replace(b"TJL2611230001", b"TJL%010d" % number)


def many(count: int) -> bytes:
    """One interchange of so many good manifests."""
    text = ORIGINAL.replace(b"\n", b"")
    start, end = text.index(b"UNH+"), text.index(b"UNZ+")
    head, one = text[:start].replace(b"TJ26112301", b"TJM%07d" % count), text[start:end]
    messages = (
        one.replace(b"UNH+1+", b"UNH+%d+" % n)
        .replace(b"UNT+48+1'", b"UNT+48+%d'" % n)
        .replace(b"TJL2611230001", b"TJN%010d" % n)
        for n in range(1, count + 1)
    )
    return head + b"".join(messages) + b"UNZ+%d+TJM%07d'" % (count, count)


def quiet(path: Path, seconds: float = 7200) -> None:
    """As if nobody had written to `path` for so long."""
    then = time.time() - seconds
    os.utime(path, (then, then))


def submit(port: Any, name: str, data: bytes, party: str = "tjline") -> None:
    """Put a file into a party's outbound that nobody writes to any more, and let the port come to rest."""
    path = port.home(party) / "outbound" / name
    path.write_bytes(data)
    quiet(path)
    port.run()


def still_works(port: Any) -> None:
    """A good file goes through right now, and its sender is told so."""
    data = manifest()
    asked, told = len(port.files("customs", "in")), len(port.files("tjline", "inbound"))
    port.submit("tjline", f"good-{next(_numbers)}.edi", data)
    port.run()
    assert len(port.files("customs", "in")) == asked + 1
    assert len(port.files("tjline", "inbound")) == told + 1


def until(found: Callable[[], Any], seconds: float = 30, what: str = "") -> Any:
    """Poll until `found` gives something; what it gave."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = found()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"it did not come: {what or found}")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.exists() else []


@pytest.fixture
def ports(tmp_path: Path) -> dict[str, int]:
    """The ports of the reference site that is staged in `site`: those of the agencies, and of the hub's doors."""
    return stage(ROOT, tmp_path)


@pytest.fixture
def site(tmp_path: Path, ports: dict[str, int]) -> Path:
    """The reference site in a folder of its own, on free ports."""
    return tmp_path
