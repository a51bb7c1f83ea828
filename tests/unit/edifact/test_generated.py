"""Every message of every directory: the least and the fullest one are right, and each single mistake is found where
it is. An oracle that shares no code decides what is a mistake.

As a test a sample runs, and every table of schemas/edifact; `make generated` runs all of shared/edifact:
python -m tests.unit.edifact.test_generated [PART PARTS]
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

from hub.edifact.structure import build
from hub.finding import Finding
from tests.unit.edifact.generating import (
    SHARED,
    Mutation,
    Table,
    capped,
    fullest,
    group_mutations,
    least,
    message,
    mutations,
    shared,
    shipped,
)
from tests.unit.edifact.oracle import Oracle

MOST = 2
"""Maxima of the table that the mutations are of."""

LARGE = 300
"""Segments from which on a table waits for the complete run, where so many of its mutations are tried."""

FINE = frozenset(("right", "found", "many", "far"))
"""right: and nothing is said · found: at its place · many: in more than two findings · far: found elsewhere."""

WIDE = ("swapped", "group swapped")
"""What can be told in several ways, of which one may be further off."""


def small(table: Table) -> bool:
    return len(fullest(table.nodes, 1)) <= LARGE


def right(table: Table) -> Iterator[str]:
    """What is said of messages that are right."""
    for name, tags in (("least", least(table.nodes)), ("fullest", fullest(table.nodes, 3))):
        findings = build(message(tags), table.spec)[1]
        if findings:
            yield f"{table.name} {name}: {findings[0]}"


def wrong(table: Table, tries: int, chance: random.Random) -> Iterator[str]:
    """Verdict of each mutation: one of FINE, or what is wrong about it."""
    nodes = capped(table.nodes, MOST)
    spec, oracle = Table(table.name, nodes).spec, Oracle(nodes)
    every = list({*mutations(least(nodes), MOST), *mutations(fullest(nodes, 1), MOST), *group_mutations(nodes, MOST)})
    every.sort(key=lambda mutation: (mutation.kind, mutation.first, mutation.tags))
    for mutation in every if len(every) <= tries else chance.sample(every, tries):
        findings = build(message(mutation.tags), spec)[1]
        yield verdict(table.name, mutation, oracle.dead(mutation.tags), findings)


def verdict(name: str, mutation: Mutation, dead: int | None, findings: list[Finding]) -> str:
    """Near: from the segment before the mistake up to where it is, or to the first one that no reading takes."""
    said = f"{name} {mutation.kind} {mutation.first}: {[(f.code, f.place.segment, f.expected) for f in findings]}"
    if dead is None or not findings:
        return "right" if dead is None and not findings else f"{said}, the oracle: {dead}"
    last = max(mutation.last, dead)
    if all(mutation.first - 1 <= (finding.place.segment or 0) <= last for finding in findings):
        return "found" if len(findings) <= 2 else "many"
    return "far" if mutation.kind in WIDE else f"{said} is far off"


def tally(verdicts: Iterable[str]) -> Counter[str]:
    """How many of each; nothing may be wrong, and hardly one far off or told more than twice."""
    counts = Counter(verdicts)
    faults = counts.keys() - FINE
    assert not faults, "\n".join(sorted(faults)[:20])
    assert counts["far"] + counts["many"] <= counts["found"] / 50
    return counts


def test_every_least_and_fullest_message_of_the_shipped_tables_is_right() -> None:
    tables = list(shipped())
    assert len(tables) > 40
    assert [fault for table in tables for fault in right(table)] == []


def test_single_mistakes_by_the_shipped_tables_are_found_where_they_are() -> None:
    chance = random.Random(4)
    counts = tally(verdict for table in shipped() if small(table) for verdict in wrong(table, 4, chance))
    assert counts["found"] > 3 * counts["right"] > 0


@pytest.mark.skipif(not SHARED.is_dir(), reason="shared/edifact is not beside the project")
def test_a_sample_of_all_directories() -> None:
    chance = random.Random(5)
    tables = chance.sample([table for table in shared() if small(table)], 40)
    assert [fault for table in tables for fault in right(table)] == []
    assert tally(verdict for table in tables for verdict in wrong(table, 8, chance))["found"] > 150


def main(part: int, parts: int) -> None:
    """Every `parts`-th table from `part` on."""
    chance = random.Random(6)
    counts: Counter[str] = Counter()
    tables = shared()[part::parts]
    for number, table in enumerate(tables, 1):
        faults = list(right(table))
        assert not faults, faults
        verdicts = Counter(wrong(table, sys.maxsize if small(table) else LARGE, chance))
        faults = sorted(verdicts.keys() - FINE)
        print(*faults[:3], sep="\n", end="\n" if faults else "")
        counts += Counter({key: times for key, times in verdicts.items() if key in FINE}) + Counter(WRONG=len(faults))
        if number % 20 == 0 or number == len(tables):
            print(f"{number}/{len(tables)} tables, {dict(counts)}, {time.process_time():.0f} s CPU", flush=True)
    sys.exit(1 if counts["WRONG"] else 0)


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:]) if len(sys.argv) > 2 else (0, 1))
