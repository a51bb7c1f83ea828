"""A mapping that the target's standard would refuse is not activated; and what no rule reads is listed."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from hub.cli import app
from hub.finding import rejects

from .conftest import ROOT, Copy

CUSCAR = "mappings/manifest/cuscar-d95b--to--manifest.yaml"
CUSTOMS = "mappings/manifest/manifest--to--customs-manifest.yaml"
COPRAR = "mappings/manifest/manifest--to--coprar-d95b.yaml"
CREW = "mappings/vessel/vessel-declaration--to--crew-report.yaml"


@pytest.mark.parametrize(
    ("file", "old", "new", "code", "found", "error"),
    [
        (CUSTOMS, "      ShipName: Manifest/Vessel/Name\n", "", "unfed", "CustomsManifest/Head/ShipName", True),
        (CUSTOMS, "ManifestNo: Manifest/Number", "ManifestNo: Manifest/LoadingPort", "may_lack", "ManifestNo", True),
        (CUSTOMS, "map: customs-function", "map: verdict-7365", "incomplete", "verdict-7365", False),
        (COPRAR, "C002/1001: =785", "C002/1001: =7850", "wide", "7850", True),
        (COPRAR, 'EQD: {"8053": =CN', 'EQD: {"8053": =CX', "refused", "CX", True),
        (COPRAR, "reject: [missing, long, letters]", "reject: [missing, letters]", "wide", "text of at most 35", False),
        (CUSCAR, "reject: [missing, form, long]", "reject: [form, long]", "may_lack", "Manifest/Vessel/Name", True),
        (CUSCAR, "SG1/LOC[3227=11]", "SG1/LOC[3227=XX]", "idle", "XX", False),
        (CUSCAR, "document-function, unknown: reject", "document-function", "incomplete", "document-function", False),
        (CREW, "Sex: Sex", "Sex: Rank", "unlike", "text of at most 70", False),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_line(
    copy: Copy, file: str, old: str, new: str, code: str, found: str, error: bool
) -> None:
    line = copy.change(file, old, new)
    told = [one for one in copy.findings() if one.code == f"mapping.{code}" and found in one.found]
    assert told and all(one.place.file == file for one in told)
    elsewhere = code in ("unfed", "may_lack") or "reject: [" in new
    assert elsewhere or line in [one.place.line for one in told]
    assert rejects(told) is error


def test_the_reference_site_has_nothing_against_its_mappings(copy: Copy) -> None:
    assert [one for one in copy.findings() if one.code.startswith("mapping.")] == []


def test_the_report_of_what_is_not_read_begins_with_what_golden_cases_hold() -> None:
    words = ["check", "--loss", "manifest--to--customs-manifest", "--site", str(ROOT)]
    said = CliRunner().invoke(app, [*words, "--lang", "en"]).output.splitlines()
    assert said[0] == "manifest--to--customs-manifest.yaml"
    assert said.index("    Manifest/Consignment/Consignee/Address/City     TIANJIN") < said.index(
        "    Manifest/Consignment/Consignee/Address"
    )
    rows = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)["manifest--to--customs-manifest.yaml"]
    assert {"alias": "", "path": "Manifest/Consignment/Consignor/Address", "required": False, "sample": ""} in rows[
        "never"
    ]
    wrong = CliRunner().invoke(app, ["check", "--loss", "manifest--to--custom", "--site", str(ROOT)])
    assert wrong.exit_code == 2 and "customs-manifest" in wrong.output
