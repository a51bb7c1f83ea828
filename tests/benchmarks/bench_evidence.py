"""What evidence costs: sealing, auditing the journal, exporting and verifying a bundle. CPU time, medians.

python tests/benchmarks/bench_evidence.py
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).parents[2]))

from hub.evidence import audit, verify
from hub.identity.chain import Trust
from hub.journal import tables as t
from hub.journal.changes import Outcome
from tests.evidence.conftest import exported, journey, sealed
from tests.journeys import conftest as journeys


def spent(work: Callable[[], object], times: int = 1) -> float:
    """Milliseconds of CPU time, the median."""
    measured = []
    for _ in range(times):
        before = time.process_time()
        work()
        measured.append((time.process_time() - before) * 1000)
    return statistics.median(measured)


def more(port: Any, events: list[Any], count: int) -> None:
    """So many more events like those of a journey."""
    outcome = Outcome()
    for event in islice(cycle(events), count):
        outcome.event(event["subject"], event["what"], **event["detail"])
    port.journal.commit([outcome], port.now)


def sealing(port: Any, events: list[Any], count: int, times: int) -> float:
    measured = []
    for _ in range(times):
        more(port, events, count)
        measured.append(spent(lambda: sealed(port)))
    return statistics.median(measured)


def main() -> None:
    journeys.START = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        port = journeys.Port(Path(folder))
        journey(port)
        events = [dict(row) for row in port.journal.rows(select(t.event))]
        data, trust = exported(port), Trust((port.authority.certificate(),))
        assert verify.verify(data, trust).verdict == "proved"
        print(f"bundle of {len(events)} events: {len(data) / 1000:.0f} KB")
        print(f"export  {spent(lambda: exported(port), 11):7.1f} ms")
        print(f"verify  {spent(lambda: verify.verify(data, trust), 11):7.1f} ms")
        print(f"seal  1,000 events  {sealing(port, events, 1_000, 11):7.1f} ms")
        print(f"seal 10,000 events  {sealing(port, events, 10_000, 5):7.1f} ms")
        more(port, events, 100_000 - len(port.journal.rows(select(t.event.c.seq))))
        sealed(port)
        found: list[audit.Audit] = []
        cost = spent(lambda: found.append(audit.audit(port.journal, "TJEPORT", port.site.register)))
        assert not found[0].findings and found[0].events == 100_000
        print(f"audit of {found[0].events:,} events, {found[0].heads} heads  {cost / 1000:.1f} s")
        port.close()


if __name__ == "__main__":
    main()
