"""docs/security.md says only what is there: each threat has its row; each test and function that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| (T\d+) \|(.*)$", PAGE, re.M))
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
NAMES = sorted(set(re.findall(r"`((?:hub|adapters)/[\w/]+\.py):(\w+)`", PAGE)))


def test_every_threat_has_a_row_with_a_proof() -> None:
    assert list(ROWS) == [f"T{number}" for number in range(1, 26)]
    for threat, row in ROWS.items():
        cells = re.split(r"(?<!\\)\|", row)
        assert re.search(r"`(?:hub|adapters)/[\w/]+\.py:\w+`", cells[1]) or "evidence.md" in cells[1], threat
        assert re.search(r"`tests/[\w/]+\.py::test_\w+`", cells[2]), threat


@pytest.mark.parametrize(("file", "name"), TESTS, ids=[name for _, name in TESTS])
def test_every_test_that_is_named_exists(file: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text("utf-8"), re.M)


@pytest.mark.parametrize(("file", "name"), NAMES, ids=[f"{file}:{name}" for file, name in NAMES])
def test_every_function_that_is_named_exists(file: str, name: str) -> None:
    assert re.search(rf"^\s*(?:def|class) {name}\b|^{name} ?[:=]", (ROOT / file).read_text("utf-8"), re.M)
