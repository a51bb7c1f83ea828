"""Several machines on one PostgreSQL, each a network namespace: a cable is pulled, a machine is switched off."""

from __future__ import annotations

import pytest

from hub.prove import machines
from tests.postgresql import programs


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_nothing_is_lost_or_done_twice_when_machines_fall_away_and_the_others_go_on() -> None:
    programs()
    if why := machines.impossible():
        pytest.skip(why)
    report = machines.run([1, 3], seed=20261123, files=25)
    assert report.faults == [], "\n".join(machines.table(report))
    assert report.sent > 80 and report.deliveries > 200
    assert all(rate > 1 for rate in report.rates.values())
    assert [gap.what for gap in report.gaps] == ["cable pulled", "switched off"]
    assert all(gap.free < machines.TROUBLE for gap in report.gaps), "PostgreSQL kept the locks of the dead"
    assert all(gap.longest < machines.TROUBLE for gap in report.gaps), "nobody went on"
