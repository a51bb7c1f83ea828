"""The show that `eport demo` runs ends as its scenario says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub.sandbox.show import SCENARIO, show

ROOT = Path(__file__).parents[2]


def test_every_file_of_the_show_has_its_fate(capsys: pytest.CaptureFixture[str]) -> None:
    good = show(ROOT, once=True, as_json=True, lang="en", usual=False)
    summary = json.loads(capsys.readouterr().out)
    assert good, summary
    assert len(summary["files"]) == len(SCENARIO)
    assert all(summary["verified"].values()) and not summary["twice"]
