"""T19: a party that floods the port delays the others little. Real processes, real SFTP, real files."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from hub.engine.doors import addresses
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.sandbox.sender import sftp
from hub.sandbox.show import running, stage
from tests.faults.conftest import ROOT, manifest, until

GENTLE = 0.5
"""Seconds between two files of the party that is measured; the flood sends a hundred times as many."""
FLOOR = 0.5
"""Seconds of delay that are nothing against anybody: on two cores everything that runs at once delays everything."""
ROUNDS = 100
"""And so is the time in which the hub opens so many interchanges: a few rounds of its worker and of its courier, on
whatever machine. Behind everything that the flood has sent would be several times as long."""
FLOOD = """
  FLOOD: {title: {zh: 洪流, en: Flood}, role: carrier, at: flood, charset: utf-8}
endpoints:
  flood: {adapter: folder, options: {out: spool/boxes/flood, home: true}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    stage(ROOT, tmp_path)
    routes = (tmp_path / "routes.yaml").read_text("utf-8")
    (tmp_path / "routes.yaml").write_text(routes.replace("\nendpoints:\n", FLOOD, 1), "utf-8")
    for name in ("outbound", "inbound", "error"):
        (tmp_path / "spool" / "boxes" / "flood" / name).mkdir(parents=True)
    return tmp_path


@contextmanager
def flooding(site: Path, per_second: float) -> Iterator[list[int]]:
    """Files of FLOOD as fast as that until the end of the block; how many so far is in the list."""
    outbound, sent, stop = site / "spool" / "boxes" / "flood" / "outbound", [0], threading.Event()

    def flood() -> None:
        began = time.monotonic()
        while not stop.is_set():
            while sent[0] < per_second * (time.monotonic() - began):
                sent[0] += 1
                fresh = outbound / f".{sent[0]}.part"
                fresh.write_bytes(manifest(90_000_000 + sent[0]).replace(b"TJLINE", b"FLOOD"))
                fresh.rename(outbound / f"flood-{sent[0]}.edi")
            stop.wait(0.01)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join()


def gentle(site: Path, first: int, count: int) -> list[float]:
    """Seconds from the beginning of each upload of TJLINE over SFTP to its file at customs, for `count` of them."""
    door, keys, began = addresses(site / "spool")["sftpd"], site / "spool" / "keys", {}
    with sftp(door, "tjline", keys / "tjline.key") as session:
        due = time.monotonic()
        for number in range(first, first + count):
            due += GENTLE
            time.sleep(max(0.0, due - time.monotonic()))
            began[b"TJL%010d" % number] = time.time()
            with session.open(f"outbound/{number}.edi", "w") as file:
                file.write(manifest(number))
    inbox = site / "spool" / "boxes" / "customs" / "in"
    arrived: dict[bytes, float] = {}
    seen: set[str] = set()

    def all_there() -> bool:
        for path in inbox.iterdir():
            if path.suffix == ".xml" and path.name not in seen and not path.name.startswith("."):
                seen.add(path.name)
                data = path.read_bytes()
                arrived.update({mark: path.stat().st_ctime for mark in began if mark in data})
        return arrived.keys() == began.keys()

    until(all_there, 60, "what TJLINE sent, at customs")
    return sorted(arrived[mark] - began[mark] for mark in began)


@pytest.mark.slow
def test_a_flood_of_one_party_delays_the_others_little(site: Path) -> None:
    journal = Journal(site / "spool", "test")
    try:
        with running(site):
            gentle(site, 1, 2)
            before = gentle(site, 100, 14)
            with flooding(site, 100 / GENTLE) as sent:
                until(lambda: sent[0] > 300)
                began, opened = time.monotonic(), done(journal)
                during = gentle(site, 200, 24)
                rate = (done(journal) - opened) / (time.monotonic() - began)
    finally:
        journal.close()
    times = (("before", before), ("during", during))
    say = "; ".join(f"{name} p50 {s[len(s) // 2]:.2f} s, p99 {s[-1]:.2f} s" for name, s in times)
    print(f"{say}; {sent[0]} files of the flood, {rate:.0f} interchanges opened a second")
    assert sent[0] > 60 * len(during)
    assert during[-1] < 2 * before[-1] + FLOOR + ROUNDS / rate, say


def done(journal: Journal) -> int:
    """Interchanges that have been opened."""
    i = t.interchange
    [row] = journal.rows(select(func.count().label("n")).where(i.c.state != "received"))
    return int(row["n"])
