"""What one look at a grown journal costs: a scrape of /metrics, the doctor's checks, `eport status`.

    .venv/bin/python tests/benchmarks/bench_scrape.py [DELIVERIES ...]

Makes journals by plain SQL: for each delivery an interchange, a message, a receipt and nine events; all but the newest
500 are at rest. Prints milliseconds of one processor: the first look, the middle and the worst of twenty more."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from hub.doctor.examination import OF_JOURNAL
from hub.doctor.line import Patient
from hub.engine import identity
from hub.journal.journal import Journal
from hub.journal.schema import upgrade
from hub.metrics.following import Following
from hub.metrics.readings import Readings
from hub.sandbox.ground import prepare
from hub.site.load import load
from hub.tracing import endpoints

ROOT = Path(__file__).parents[2]
ROUNDS = 20
OPEN = 500
AT = "datetime('now', '-1 day', (k * 86000 / {n}) || ' seconds') || '.000000'"
STATE = "CASE WHEN k < {n} - {open} THEN 'answered' ELSE 'pending' END"
EVENTS = ("pending", "sending", "sent", "receipt matched", "answered", "received", "opened", "routed", "done")
FILL = (
    "INSERT INTO payload (sha256, size, data) VALUES ('0', 0, x'')",
    """INSERT INTO interchange (id, endpoint, party, name, key, sha256, size, received_at, state, reason, original,
           tries)
       SELECT printf('1%013d', k), 'customs', 'CUSTOMS', 'f' || k, k, '0', 0, {at}, 'opened', '', '', 0 FROM n""",
    """INSERT INTO message (id, interchange, kind, system, sender, reference, keys, document, function, payload, frame,
           charset, canonical_kind, canonical, state, reason, supersedes, superseded_by, test, "case", tries, at)
       SELECT printf('1%013d.1', k), printf('1%013d', k), 'manifest', 'manifest', 'TJLINE', k, '{{}}', k, '9', '0',
           '', '', '', '', CASE WHEN {state} = 'answered' THEN 'done' ELSE 'routed' END, '', '', '', 0, '', 0,
           {at} FROM n""",
    """INSERT INTO delivery (id, message, party, endpoint, kind, name, payload, signature, folder, state, reason,
           order_key, tries, next_at, give_up_at, awaits, overdue, at, sent_at)
       SELECT printf('1%013d.1-CUSTOMS', k), printf('1%013d.1', k), 'CUSTOMS', 'customs', 'customs-manifest', k, '0',
           '', 'inbound', {state}, '', k, 1, {at}, {at}, 'business', 0, {at}, {at} FROM n""",
    """INSERT INTO receipt (id, message, delivery, party, level, accepted, state, number, reasons, at)
       SELECT printf('1%013d.1>', k), printf('1%013d.1', k), printf('1%013d.1-CUSTOMS', k), 'CUSTOMS', 'business', 1,
           'matched', '', '[]', {at} FROM n WHERE {state} = 'answered'""",
)
EVENT = """INSERT INTO event (at, subject, what, detail)
    SELECT {at}, printf('1%013d.1-CUSTOMS', k), what, '{{}}' FROM n, ({words})"""


def fill(folder: Path, deliveries: int) -> Journal:
    """A journal with so many deliveries."""
    journal = Journal(folder / "spool", "bench")
    upgrade(journal.engine)
    words = " UNION ALL ".join(f"SELECT '{what}' AS what" for what in EVENTS)
    numbers = f"WITH RECURSIVE n(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM n WHERE k < {deliveries - 1}) "
    with sqlite3.connect(folder / "spool" / "journal.db") as database:
        database.execute("PRAGMA synchronous=OFF")
        for statement in (*FILL, EVENT):
            holes = {"n": deliveries, "open": OPEN, "words": words}
            whole = statement.format(at=AT.format(**holes), state=STATE.format(**holes), **holes)
            database.execute(numbers + whole if "FROM n" in whole else whole)
    database.close()
    return journal


def measure(name: str, look: Callable[[], object]) -> None:
    times = []
    for _ in range(ROUNDS + 1):
        began = time.process_time()
        look()
        times.append((time.process_time() - began) * 1000)
    first, *others = times
    others.sort()
    print(f"  {name:28} first {first:7.1f}   p50 {others[ROUNDS // 2]:7.1f}   max {others[-1]:7.1f} ms")


def main(sizes: list[int]) -> None:
    for deliveries in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            prepare(ROOT, folder)
            site = identity.ready(load(folder), folder)
            journal = fill(folder, deliveries)
            registry = CollectorRegistry()
            following = Following(site, folder, journal, registry)
            following.counts = journal.counts()
            registry.register(Readings(following))
            print(f"{deliveries} deliveries, {deliveries * len(EVENTS)} events")
            measure("scrape of /metrics", lambda registry=registry: generate_latest(registry))  # type: ignore[misc]
            patient = Patient(folder, journal, datetime.now(UTC))
            measure("doctor, of the journal", lambda: [check(patient) for check in OF_JOURNAL.values()])  # noqa: B023
            measure("status", lambda: (journal.counts(), endpoints(journal)))  # noqa: B023
            journal.close()


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [10_000, 100_000])
