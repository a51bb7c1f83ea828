"""`eport standards` as a person calls it: list, show, import."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.cli import app
from hub.edifact.directory import Directories
from tests.directories import SHIPPED
from tests.unece import Printer, zipped
from tests.unit.edifact.test_directory import SMALL

ROOT = Path(__file__).parents[3]


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["standards", *(str(word) for word in words)])
    return result.exit_code, result.output


def shown(what: str) -> list[list[str]]:
    code, out = run("show", what, "--site", ROOT)
    assert code == 0, out
    return [line.split("\t") for line in out.splitlines()]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site that has nothing but the tables of one release."""
    folder = tmp_path / "schemas" / "edifact"
    folder.mkdir(parents=True)
    for name in ("SERVICE3", "SERVICE4", "D95B"):
        shutil.copy(SHIPPED / f"{name}.txt", folder)
    return tmp_path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """D.96A as it is downloaded, with three messages in it."""
    from hub.edifact.tables import everything, read
    from hub.standards.choice import choose

    facts = choose(everything(read(SHIPPED / "D96A.txt")), ["GENRAL", "PAYORD", "FINSTA"])
    file = tmp_path / "d96a.zip"
    file.write_bytes(Printer(facts, old=True).archive())
    return file


def test_list_names_releases_types_and_what_the_port_declares() -> None:
    code, out = run("list", "--site", ROOT, "--json")
    said = json.loads(out)
    assert code == 0
    releases = {row["release"]: row for row in said["releases"]}
    assert next(iter(releases)) == "D16A" and list(releases)[-1] == "SERVICE3"
    assert "CUSCAR" in releases["D95B"]["types"] and releases["D95B"]["segments"] > 20
    assert {"cuscar-d95b", "manifest"} <= {row["kind"] for row in said["documents"]}
    assert "package-type" in {row["list"] for row in said["codes"]}
    assert "SERVICE3\tCONTRL\t12\t" in run("list", "--site", ROOT)[1]


def test_list_does_without_declarations(site: Path) -> None:
    code, out = run("list", "--site", site, "--json")
    said = json.loads(out)
    assert code == 0 and [row["release"] for row in said["releases"]] == ["D95B", "SERVICE4", "SERVICE3"]
    assert said["documents"] == said["guides"] == []


def test_show_a_message_a_group_and_a_segment_in_it() -> None:
    whole = shown("D95B:CUSCAR")
    assert whole[0][:3] == ["UNH", "M", "1"] and whole[-1][0] == "UNT"
    group = shown("D95B:CUSCAR/SG4")
    assert group[0][0] == "SG4" and {line[0] for line in group} < {line[0] for line in whole}
    inner = next(line[0] for line in whole if line[0].startswith("SG4/SG5/"))
    assert shown(f"D:95B:cuscar/{inner}") == shown(f"D.95B:{inner.rpartition('/')[2]}")
    assert {line[0] for line in shown("D95B:CUSCAR/SG4/SG5")} < {line[0] for line in whole}


def test_show_segments_composites_and_elements() -> None:
    segment = shown("D95B:NAD")
    assert segment[0][:5] == ["1", "3035", "M", "1", "an..3"] and int(segment[0][6]) > 100
    assert segment[2][:3] == ["2.1", "3039", "M"]
    assert shown("D95B:NAD/C082") == shown("D95B:C082")
    assert shown("D95B:NAD/C082/1131") == shown("D95B:1131")
    assert ["9", "Original"] in shown("D95B:1225")
    assert shown("D95B:3039") == [["3039  Party id. identification · an..35  D.95B"]]
    assert shown("4:1:UNB")[0][1] == "S001"


def test_show_without_a_release_takes_the_newest_and_names_the_others() -> None:
    code, out = run("show", "CUSCAR", "--site", ROOT, "--json")
    said = json.loads(out)
    assert (code, said["release"], said["what"]) == (0, "D.16A", "message")
    assert "D95B" in said["elsewhere"] and "D16A" not in said["elsewhere"]


@pytest.mark.parametrize(
    ("what", "near"),
    [
        ("CUSCAT", "CUSCAR"),
        ("D95B:CUSCAT", "CUSCAR"),
        ("D95C:CUSCAR", "D95B"),
        ("D95B:CUSCAR/SG99", "SG4"),
        ("D95B:NAD/C083", "C082"),
        ("D95B:C082/9999", "3039"),
        ("SANCRX", "SANCRT"),
        ("", "no release"),
        ("../../etc", "no release"),
    ],
)
def test_show_of_what_is_not_there_says_what_is_near(what: str, near: str) -> None:
    code, out = run("show", what, "--site", ROOT)
    assert code == 1 and near in out


def test_a_folder_without_tables_is_unusable_input(tmp_path: Path) -> None:
    assert run("list", "--site", tmp_path)[0] == 2
    assert run("show", "CUSCAR", "--site", tmp_path)[0] == 2


def test_what_is_imported_is_what_the_site_then_has(site: Path, archive: Path) -> None:
    code, out = run("import", archive, "--site", site, "--types", "genral, finsta", "--json")
    said = json.loads(out)
    file = site / "schemas" / "edifact" / "D96A.txt"
    assert (code, said["release"], said["types"]) == (0, "D.96A", ["FINSTA", "GENRAL"])
    assert said["written"] == str(file) and said["findings"] == []
    ours, theirs = Directories(file.parent).get("D:96A"), Directories(SHIPPED).get("D:96A")
    assert ours.own.message("FINSTA") == theirs.own.message("FINSTA")
    assert ours.segment("NAD") == theirs.segment("NAD")
    assert not list(file.parent.glob("*.part"))


def test_a_release_that_is_here_is_replaced_only_when_asked(site: Path, archive: Path) -> None:
    file = site / "schemas" / "edifact" / "D96A.txt"
    file.write_text(SMALL, "utf-8")
    code, out = run("import", archive, "--site", site, "--lang", "en")
    assert code == 1 and "--force" in out and file.read_text("utf-8") == SMALL
    code, out = run("import", archive, "--site", site, "--force", "--lang", "en")
    assert code == 0 and "D.96A: 3 message types" in out and file.read_text("utf-8") != SMALL


@pytest.mark.parametrize("data", [b"", b"no zip", zipped({"readme.txt": b"nothing"})])
def test_an_import_of_nothing_writes_nothing(site: Path, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "d96a.zip").write_bytes(data)
    code, out = run("import", tmp_path / "d96a.zip", "--site", site, "--lang", "en")
    assert code == 1 and "standards.nothing" in out
    assert not (site / "schemas" / "edifact" / "D96A.txt").exists()
    assert run("import", tmp_path / "none.zip", "--site", site)[0] == 2


def test_a_damaged_table_is_told_with_file_and_line(site: Path) -> None:
    file = site / "schemas" / "edifact" / "D95B.txt"
    file.write_text(file.read_text("utf-8").replace("\n BGM M 1", "\n BGM M one", 1), "utf-8")
    result = CliRunner().invoke(app, ["standards", "show", "D95B:APERAK", "--site", str(site)])
    [finding] = result.exception.findings  # type: ignore[union-attr]
    assert (finding.code, finding.place.line) == ("site.bad_table", 7) and str(finding.place.file).endswith("D95B.txt")
