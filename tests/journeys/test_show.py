"""The show that `eport demo` runs ends as its scenario says."""

from __future__ import annotations

from pathlib import Path

from hub.sandbox.show import SCENARIO, play


def test_every_file_of_the_show_has_its_fate() -> None:
    rows = play(Path(__file__).parents[2])
    assert [row["good"] for row in rows] == ["True"] * len(SCENARIO), rows
