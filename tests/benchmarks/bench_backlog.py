"""An endpoint that was away for four hours: `python tests/benchmarks/bench_backlog.py [WAITING]`.

WAITING deliveries wait at one endpoint (by default 4 hours of 116 a second), one at another. How long the roles'
questions take then, against the same with a hundred: if they took longer, a backlog here would slow deliveries there.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import insert

from hub import clock, courier
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.journal.schema import upgrade
from hub.site.load import load

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def delivery(number: int, endpoint: str) -> dict[str, Any]:
    return {
        "id": f"D{number}",
        "message": f"M{number}",
        "party": endpoint.upper(),
        "endpoint": endpoint,
        "kind": "customs-manifest",
        "name": f"{number}.xml",
        "payload": "",
        "signature": "",
        "folder": "inbound",
        "state": "pending",
        "order_key": f"TJLINE/{number}",
        "next_at": NOW - timedelta(hours=1),
        "give_up_at": NOW + timedelta(days=1),
        "at": NOW - timedelta(hours=2),
    }


def filled(folder: Path, count: int) -> Journal:
    journal = Journal(folder / str(count), "bench")
    upgrade(journal.engine)
    with journal.engine.begin() as connection:
        for start in range(0, count, 10_000):
            rows = [delivery(number, "customs") for number in range(start, min(count, start + 10_000))]
            connection.execute(insert(t.delivery), rows)
        connection.execute(insert(t.delivery), [delivery(count, "maritime")])
    return journal


def took(ask: Callable[[Journal], object], journal: Journal) -> float:
    """Milliseconds, median of 15."""
    times = []
    for _ in range(15):
        began = time.perf_counter()
        ask(journal)
        times.append((time.perf_counter() - began) * 1000)
    return median(times)


def main(waiting: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="eport-backlog-"))
    try:
        site = load(ROOT)
        few, many = filled(folder, 100), filled(folder, waiting)
        asked: dict[str, Callable[[Journal], object]] = {
            "which endpoints have work": lambda journal: journal.endpoints_due(NOW),
            "what is due at the other": lambda journal: journal.due("maritime", NOW, courier.BATCH),
            "what is due at the one that was away": lambda journal: journal.due("customs", NOW, courier.BATCH),
            "the clock's look": lambda journal: clock.tick(site, journal, NOW),
        }
        print(f"{'milliseconds with so many waiting':38} {100:>10,} {waiting:>10,}")
        for name, ask in asked.items():
            print(f"{name:38} {took(ask, few):10.2f} {took(ask, many):10.2f}")
        few.close()
        many.close()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4 * 3600 * 116)
