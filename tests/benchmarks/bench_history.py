"""What a long history costs: `python tests/benchmarks/bench_history.py [MESSAGES] [ROUNDS]`.

Two ports of bench_journey in one process: one is new, the other has MESSAGES messages behind it, with everything that
belongs to them (payloads shortened to 100 bytes, which changes no number of rows). They work in turns, 50 interchanges
each, and what counts is the ratio of each pair.

The history is made of 40 real interchanges, whose rows are copied under new names.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench_journey import alone, answered, put, site

REAL = 40
TURN = 50
NAMED = {"id", "interchange", "message", "delivery", "subject", "case", "key", "reference", "value", "original"}
"""Columns that name a row: a copy has its own names."""
HASHES = {"sha256", "payload", "canonical", "signature"}
TABLES = ("payload", "interchange", "envelope", "document", "message", "delivery", "reference", "receipt")
TABLES += ("port_case", "case_event", "event")


def work_off(folder: Path, work: Callable[[], None], start: int, count: int) -> None:
    for number in range(start, start + count):
        put(folder, number)
    while answered(folder, start) < count:
        work()


def under_way(folder: Path) -> int:
    """What is not final: it must not be copied."""
    database = sqlite3.connect(folder / "spool" / "journal.db")
    open_ = "SELECT count(*) FROM delivery WHERE state NOT IN ('sent', 'answered') OR (awaits != '' AND state = 'sent')"
    unread = "SELECT count(*) FROM interchange WHERE state = 'received'"
    ripe = "SELECT count(*) FROM port_case WHERE ripe OR state = 'open'"
    count = sum(database.execute(query).fetchone()[0] for query in (open_, unread, ripe))
    database.close()
    return int(count)


def copied(column: str, copy: str) -> str:
    """What a copy has in a column: names and hashes get the copy's number in front, bytes are cut."""
    if column in HASHES:
        return f"CASE {column} WHEN '' THEN '' ELSE {copy} || substr({column}, 11) END"
    if column in NAMED:
        return f"CASE \"{column}\" WHEN '' THEN '' ELSE {copy} || \"{column}\" END"
    return f"substr({column}, 1, 100)" if column == "data" else f'"{column}"'


def multiply(folder: Path, messages: int) -> int:
    """Copy what is in the journal until it has `messages` messages; how many it has."""
    database = sqlite3.connect(folder / "spool" / "journal.db", isolation_level=None)
    database.execute("PRAGMA synchronous=OFF")
    database.execute("PRAGMA cache_size=-500000")
    (real,) = database.execute("SELECT count(*) FROM message").fetchone()
    copies = max(0, messages // real - 1)
    copy = "printf('%010d', copies.n)"
    database.execute("BEGIN")
    for table in TABLES:
        found = database.execute(f"PRAGMA table_info({table})").fetchall()
        columns = [name for _, name, *_ in found if name != "seq"]
        into = ", ".join(f'"{name}"' for name in columns)
        values = ", ".join(copied(name, copy) for name in columns)
        numbers = f"WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < {copies})"
        last = database.execute(f"SELECT max(rowid) FROM {table}").fetchone()[0]
        query = f"INSERT INTO {table} ({into}) {numbers} SELECT {values} FROM copies, {table}"
        database.execute(f"{query} WHERE {table}.rowid <= {last}")
        print(f"  {table:12} {database.execute(f'SELECT count(*) FROM {table}').fetchone()[0]:>10,}", flush=True)
    database.execute("COMMIT")
    (have,) = database.execute("SELECT count(*) FROM message").fetchone()
    database.close()
    return int(have)


def turn(folder: Path, work: Callable[[], None], start: int) -> float:
    """Milliseconds of CPU for each interchange of one turn."""
    began = time.process_time()
    work_off(folder, work, start, TURN)
    return (time.process_time() - began) / TURN * 1000


def main(messages: int, rounds: int) -> None:
    with ExitStack() as stack:
        folders = [Path(tempfile.mkdtemp(prefix="eport-history-")) for _ in range(2)]
        for folder in folders:
            stack.callback(shutil.rmtree, folder)
            site(folder)
        new, old = folders
        with alone(old) as work:
            work_off(old, work, 0, REAL)
            while under_way(old):
                work()
        print(
            f"{multiply(old, messages):,} messages of history; {(old / 'spool/journal.db').stat().st_size / 1e9:.1f} GB"
        )
        works = [stack.enter_context(alone(folder)) for folder in folders]
        for folder, work in zip(folders, works, strict=True):  # warm: plans, caches, schemas
            work_off(folder, work, REAL, REAL)
        ratios = []
        for count in range(rounds):
            start = 2 * REAL + count * TURN
            first, second = turn(new, works[0], start), turn(old, works[1], start)
            ratios.append(second / first)
            print(f"  new {first:6.2f} ms, with history {second:6.2f} ms: {second / first:.3f}")
        print(f"CPU with history to CPU without, median of {rounds} pairs: {median(ratios):.3f}")


if __name__ == "__main__":
    main(*(int(word) for word in (sys.argv[1:] + ["1000000", "7"][len(sys.argv) - 1 :])))
