"""The commands as a person calls them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.cli import app

ROOT = Path(__file__).parents[3]
CASES = ROOT / "mappings"


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.output


def test_the_reference_site_is_in_order() -> None:
    code, out = run("check", "--site", ROOT, "--lang", "en")
    assert code == 0 and "in order: 3 systems" in out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("at: customs,", "at: custons,", "customs"),  # did you mean
        ("CUSTOMS: customs-manifest", "CUSTOMS: customs-manifst", "customs-manifest"),
        ("adapter: folder", "adapter: foldr", "folder"),
        ("role: carrier", "rolle: carrier", "role"),
    ],
)
def test_a_mistake_is_shown_with_its_place_and_a_near_name(tmp_path: Path, old: str, new: str, said: str) -> None:
    for name in ("mappings", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name)
    text = (ROOT / "routes.yaml").read_text("utf-8").replace(old, new, 1)
    (tmp_path / "routes.yaml").write_text(text, "utf-8")
    line = next(number for number, row in enumerate(text.splitlines(), 1) if new in row)
    code, out = run("check", "--site", tmp_path, "--lang", "en")
    assert code == 2
    assert f"routes.yaml:{line}:" in out and said in out


@pytest.mark.parametrize("case", sorted(CASES.glob("*/cases/*/in.edi")), ids=lambda p: "/".join(p.parts[-4:-1]))
def test_golden_inputs_are_judged_as_their_names_say(case: Path) -> None:
    code, out = run("validate", case, "--site", ROOT, "--json")
    verdict = json.loads(out)
    broken = "broken" in case.parent.name
    assert (code, verdict["verdict"]) == ((1, "rejected") if broken else (0, "accepted"))
    [interchange] = verdict["interchanges"]
    assert bool(interchange["findings"]) is broken
    for finding in interchange["findings"]:
        assert finding["offset"] is not None and finding["text"] and finding["remedy"]


def test_a_file_that_is_not_there_is_unusable_input(tmp_path: Path) -> None:
    assert run("validate", tmp_path / "none.edi", "--site", ROOT)[0] == 2


JUNK = {b"": 2, b"hello": 2, b"<a><b></a>": 1, b"UNA:+.? '": 2, b"\x00\xff\xfe": 2, b"UNB+UNOA:3'": 1}
"""2: neither EDIFACT nor XML; 1: one of them, and rejected."""


@pytest.mark.parametrize("junk", JUNK)
def test_junk_gets_a_clear_answer(tmp_path: Path, junk: bytes) -> None:
    file = tmp_path / "junk"
    file.write_bytes(junk)
    code, out = run("validate", file, "--site", ROOT, "--json")
    [interchange] = json.loads(out)["interchanges"]
    assert code == JUNK[junk] and interchange["findings"]
