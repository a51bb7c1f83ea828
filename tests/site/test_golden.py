"""The golden cases of the reference site hold, and what differs is told field by field."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.cli import app
from hub.golden.cases import FINDINGS, Case, found, run
from hub.golden.compare import Change, changes
from hub.golden.cover import cover
from hub.site.load import load
from hub.site.site import Site
from tests.site.conftest import Copy

ROOT = Path(__file__).parents[2]
CASES = found(ROOT)


@pytest.fixture(scope="module")
def site() -> Site:
    return load(ROOT)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.system}/{case.name}")
def test_the_case_holds(site: Site, case: Case) -> None:
    assert run(site, case).differences == ()


def test_every_mapping_has_a_case_and_every_rule_of_it_is_exercised(site: Site) -> None:
    covers = cover(site, [run(site, case).nodes for case in CASES])
    assert {one.mapping for one in covers} == {path.name for path in (ROOT / "mappings").glob("*/*--to--*.yaml")}
    assert [(one.mapping, rule.target) for one in covers for rule in one.uncovered] == []


def test_a_rule_that_no_case_exercises_is_named(copy: Copy) -> None:
    file = "mappings/manifest/manifest--to--customs-manifest.yaml"
    line = copy.change(file, "MarkNo: Marks", "MarkNo: Marks")
    loaded = load(copy.folder)
    for name in ("01-original", "02-amendment", "03-refused"):
        path = copy.folder / "mappings" / "manifest" / "cases" / name / "in.edi"
        path.write_text(re.sub(r"PCI\+28\+[^']*", "PCI+28", path.read_text("utf-8")), "utf-8")
    nodes = [run(loaded, case).nodes for case in found(copy.folder, "manifest")]
    [one] = [one for one in cover(loaded, nodes) if one.mapping.endswith("customs-manifest.yaml")]
    assert [(rule.target, rule.spot.line) for rule in one.uncovered] == [
        ("CustomsManifest/BillList/Bill/GoodsList/Item/MarkNo", line)
    ]
    assert one.covered == one.rules - 1


# ---- differences


def _case(copy: Copy, system: str, name: str) -> Case:
    [case] = found(copy.folder, system, name)
    return case


def _told(copy: Copy, system: str, name: str, what: str) -> list[Change]:
    result = run(load(copy.folder), _case(copy, system, name))
    return [one.change for one in result.differences if one.what == what]


def test_a_changed_rule_is_told_at_its_element_of_xml_and_edifact(copy: Copy) -> None:
    copy.change("mappings/manifest/manifest--to--coprar-d95b.yaml", "Manifest/Voyage}", "Manifest/Number}")
    told = _told(copy, "manifest", "01-original", "coprar-d95b")
    assert told == [Change("RFF/C506/1154", "0126W", "TJL2611230001")]
    copy.change("mappings/manifest/manifest--to--customs-manifest.yaml", "SealNo: Seal", "SealNo: Number")
    told = _told(copy, "manifest", "01-original", "customs-manifest")
    assert [one.path for one in told] == [
        f"CustomsManifest/ContainerList/ContainerInfo[{at}]/SealNo" for at in (1, 2, 3)
    ]


def test_a_segment_group_too_many_or_too_few_is_told_once(copy: Copy, site: Site) -> None:
    usage = site.kinds["coprar-d95b"]
    whole = (ROOT / "mappings/manifest/cases/01-original/expected/coprar-d95b.edi").read_bytes()
    lines = whole.splitlines(keepends=True)
    first = next(at for at, line in enumerate(lines) if line.startswith(b"EQD"))
    following = next(at for at, line in enumerate(lines[first + 1 :], first + 1) if line.startswith(b"EQD"))
    short = b"".join([*lines[:first], *lines[following:]])
    gone = " ".join(b"".join(lines[first:following]).decode().replace("+", " ").replace(":", " ").split("'")).split()
    [change] = [one for one in changes(usage, whole, short) if one.path.startswith("SG3")]
    assert change.path == "SG3[1]" and change.got is None and change.expected
    assert set(change.expected.split()) <= set(gone)
    [change] = [one for one in changes(usage, short, whole) if one.path.startswith("SG3")]
    assert change.path == "SG3[1]" and change.expected is None


def test_line_breaks_and_indentation_are_no_difference(site: Site) -> None:
    folder = ROOT / "mappings/manifest/cases/01-original/expected"
    for kind, file in Case("manifest", folder.parent).expected.items():
        flat = b"".join(line.strip() for line in file.read_bytes().splitlines())
        assert changes(site.kinds[kind], file.read_bytes(), flat) == []


def test_what_differs_only_in_form_is_told_by_its_line(site: Site) -> None:
    data = b'<Manifest xmlns="urn:one"><Number>1</Number></Manifest>'
    [change] = changes(site.kinds["manifest"], data, data.replace(b"urn:one", b"urn:two"))
    assert change.path == "line 2" and "urn:two" in (change.got or "")


def test_findings_are_expected_like_outputs(copy: Copy) -> None:
    case = _case(copy, "vessel", "03-broken")
    lines = case.expected[FINDINGS].read_text("utf-8").splitlines()
    case.expected[FINDINGS].write_text("\n".join([*lines[1:], "in.edi: error made.up"]), "utf-8")
    result = run(load(copy.folder), case)
    assert [one.change for one in result.differences] == [
        Change("", "in.edi: error made.up", None),
        Change("", None, lines[0]),
    ]


def test_a_case_without_input_does_not_hold(copy: Copy) -> None:
    (copy.folder / "mappings" / "vessel" / "cases" / "09-empty").mkdir()
    assert not run(load(copy.folder), _case(copy, "vessel", "09")).holds


# ---- the command


def test(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["test", *map(str, words)])
    return result.exit_code, result.output


test.__test__ = False  # type: ignore[attr-defined]


def test_update_shows_the_difference_and_rewrites_only_with_leave(copy: Copy) -> None:
    copy.change("mappings/manifest/manifest--to--coprar-d95b.yaml", "Manifest/Voyage}", "Manifest/Number}")
    where = ("manifest", "--case", "01", "--site", copy.folder, "--lang", "en")
    file = copy.folder / "mappings/manifest/cases/01-original/expected/coprar-d95b.edi"
    before = file.read_bytes()
    code, out = test(*where)
    assert code == 1 and "RFF/C506/1154" in out and "- 0126W" in out and "+ TJL2611230001" in out and "\033" not in out
    code, _ = test(*where, "--update")
    assert code == 2 and file.read_bytes() == before  # nobody is there to be asked
    code, out = test(*where, "--update", "--yes")
    assert code == 0 and "- 0126W" in out and b"TJL2611230001" in file.read_bytes() != before
    assert test(*where)[0] == 0


def test_update_takes_away_findings_that_are_gone_and_fills_a_new_case(copy: Copy) -> None:
    case = _case(copy, "manifest", "04-broken")
    good = (copy.folder / "mappings/manifest/cases/01-original/in.edi").read_bytes()
    (case.folder / "in.edi").write_bytes(good)
    assert test("manifest", "--case", "04", "--site", copy.folder, "--update", "--yes")[0] == 0
    assert not (case.folder / "expected" / FINDINGS).exists()
    assert test("manifest", "--case", "04", "--site", copy.folder, "--update", "--yes")[0] == 0
    every = {"manifest", "customs-manifest", "coprar-d95b", "container-list", "manifest-json"}
    assert set(case.expected) == every


def test_for_machines_every_difference_and_every_uncovered_rule(copy: Copy) -> None:
    copy.change("mappings/manifest/manifest--to--coprar-d95b.yaml", "Manifest/Voyage}", "Manifest/Number}")
    code, out = test("--site", copy.folder, "--json")
    said = json.loads(out)
    assert code == 1 and len(said["cases"]) == len(CASES) and len(said["mappings"]) == 10
    told = {one["case"]: one["differences"] for one in said["cases"] if not one["holds"]}
    assert told["01-original"][0] == {
        "what": "coprar-d95b",
        "path": "RFF/C506/1154",
        "expected": "0126W",
        "got": "TJL2611230001",
    }


def test_a_name_that_no_case_has_is_a_wrong_call() -> None:
    assert test("harbour", "--site", ROOT)[0] == 2
    assert test("--case", "99", "--site", ROOT)[0] == 2
