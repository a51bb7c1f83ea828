"""Nothing lost, nothing twice: every role is killed at every point, and at random; then everything is checked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hub.prove.crash import Where, run, table
from hub.prove.database import beside
from hub.prove.points import POINTS
from tests import postgresql
from tests.adapters.rabbitmq import Broker


def test_no_promise_breaks_when_every_role_is_killed_at_every_point() -> None:
    report = run(60, seed=20261123)
    assert report.faults == [], "\n".join(table(report))
    reached = Counter((kill.role, kill.point) for kill in report.kills)
    assert {(point.role, point.name) for point in POINTS} <= reached.keys()
    assert len(report.kills) >= 60
    assert report.sent >= 20 and report.deliveries > 100


@pytest.mark.slow
def test_over_sftp_and_http_too() -> None:
    report = run(45, seed=1, wires=True)
    assert report.faults == [], "\n".join(table(report))
    assert len(report.kills) >= 45


ELSEWHERE: tuple[Where, ...] = (
    *(("gate", name, 1) for name in ("accept inside", "accept after", "settled one")),
    *(("worker", name, 1) for name in ("open after", "advance after")),
    *(("courier", name, 1) for name in ("mark after", "told one", "told all", "result inside")),
)
"""Where a queue, or another database, could make a difference."""


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_with_customs_by_queue(broker: Broker, tmp_path: Path) -> None:
    report = run(9, seed=3, wires=True, broker=broker.url(), plan=ELSEWHERE, keep=tmp_path)
    assert report.faults == [], "\n".join(table(report))
    taken = (tmp_path / "evidence" / "agencies" / "CUSTOMS.jsonl").read_text().splitlines()
    assert len(report.kills) >= 9 and len(taken) >= 4
    assert "eport." not in broker.ctl("list_queues", "--no-table-headers", "name")


@pytest.mark.slow
def test_on_postgresql(postgresql_server: str) -> None:
    with beside(postgresql.database(postgresql_server)) as database:
        report = run(9, seed=4, database=database, plan=ELSEWHERE)
    assert report.faults == [], "\n".join(table(report))
    assert len(report.kills) >= 9 and report.deliveries > 20
