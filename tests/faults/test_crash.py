"""Nothing lost, nothing twice: every role is killed at every point, and at random; then everything is checked."""

from __future__ import annotations

from collections import Counter

import pytest

from hub.prove.crash import run, table
from hub.prove.points import POINTS


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
