"""`eport explain`: a table for a person, tabs in a pipe, JSON for a program, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hub.cli import app

ROOT = Path(__file__).parents[3]
CASES = ROOT / "mappings" / "manifest" / "cases"
FILE = CASES / "01-original" / "in.edi"


def explain(*words: object, site: Path = ROOT) -> Any:
    return CliRunner().invoke(app, ["explain", *(str(word) for word in words), "--site", str(site)])


def test_in_a_pipe_columns_are_parted_by_tabs() -> None:
    said = explain(FILE, "--kind", "customs-manifest", "--field", "Bill[2]/ReceiverName")
    head, first, second, _ = said.stdout.split("\n")[:4]
    assert said.exit_code == 0 and head.startswith("1 → customs-manifest → CUSTOMS  (manifest--to--customs")
    columns = first.split("\t")
    assert columns[1:4] == ["BINHAI EQUIPMENT IMPORT CO", "SG4[2]/SG5/SG7[2]/NAD C080/3036", "@1007"]
    assert columns[4].startswith("mappings/manifest/manifest--to--customs-manifest.yaml:")
    assert second.split("\t")[4].startswith("mappings/fragments/party.yaml:")


def test_functions_code_rows_and_constants_are_told_in_both_languages() -> None:
    chinese = explain(FILE, "--kind", "customs-manifest", "--field", "Head", "--lang", "zh").stdout
    assert "并非来自文件" in chinese and "document-function: 9 = original" in chinese and "imo-number" in chinese
    assert "not from the file" in explain(FILE, "--field", "Head", "--lang", "en").stdout


def test_the_json_has_places_rules_and_hashes() -> None:
    [output] = json.loads(explain(FILE, "--kind", "coprar-d95b", "--field", "SG3[2]/EQD/C237", "--json").stdout)[
        "outputs"
    ]
    [field] = output["fields"]
    assert (output["reader"], len(output["sha256"]), field["value"]) == ("TERMINAL", 64, "TJLU4001238")
    [source] = field["sources"]
    assert FILE.read_bytes()[source["offset"] :].startswith(b"TJLU4001238")
    assert (source["tag"], source["element"], source["component"], source["path"]) == (
        "EQD",
        2,
        1,
        "SG2[2]/EQD C237/8260",
    )
    assert [rule["functions"] for rule in field["rules"]] == [[], ["container-number"]]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((FILE, "--field", "Nothing"), 1),
        ((FILE, "--kind", "crew-report"), 1),
        ((CASES / "04-broken" / "in.edi",), 1),
        ((FILE, "--kind", "no-such-kind"), 2),
        ((FILE, "--party", "NOBODY"), 2),
        ((), 2),
        ((FILE, "--ref", "A"), 2),
        (("no-such-file",), 2),
    ],
)
def test_exit_codes(words: tuple[object, ...], code: int) -> None:
    assert explain(*words, "--lang", "en").exit_code == code


def test_what_is_refused_says_why() -> None:
    assert "[edifact.unt_count]" in explain(CASES / "04-broken" / "in.edi", "--lang", "en").stdout


def test_a_reference_needs_a_journal(tmp_path: Path) -> None:
    for name in ("routes.yaml", "mappings", "schemas"):
        (tmp_path / name).symlink_to(ROOT / name)
    assert explain("--ref", "TJL2611230001", site=tmp_path).exit_code == 2
