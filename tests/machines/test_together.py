"""Messages of one interchange are taken up in one commit, also when another process was faster at the first try."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import pytest

from hub.errors import Stale
from hub.journal.changes import Move, Outcome
from tests.journeys.conftest import ROOT, Port, port

__all__ = ["port"]

BOTH = True


def test_no_case_sees_half_of_what_is_taken_up_again(
    port: Port, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, together, refused = port.journal.commit, [], []

    def sometimes(outcomes: Iterable[Outcome], now: datetime) -> None:
        outcomes = list(outcomes)
        changes = [change for outcome in outcomes for change in outcome.changes]
        taken_up = [c.id for c in changes if isinstance(c, Move) and c.was == ("released",) and c.table == "message"]
        if taken_up and not refused:
            refused.append(taken_up)
            raise Stale("another process was faster")
        commit(outcomes, now)
        together.extend([taken_up] if taken_up else [])

    monkeypatch.setattr(port.journal, "commit", sometimes)
    for name in ("04-amendment", "01-arrival"):  # the amendment comes first, and waits for what it amends
        port.submit("bohai", f"{name}.edi", (ROOT / "mappings" / "vessel" / "cases" / name / "in.edi").read_bytes())
        port.run()
    assert len(refused) == 1 and len(refused[0]) == 2
    assert together and all(ids == refused[0] for ids in together)
