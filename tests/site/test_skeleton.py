"""`eport new`: skeletons that name what the standards ask for, and that pass the check once they are filled in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lxml import etree
from typer.testing import CliRunner

from hub.cli import app
from hub.declaration import read
from hub.site.likely import best, score, words
from hub.site.load import facts_of, load, usable
from hub.site.outline import Field, outline
from hub.site.skeleton import FILL_IN, blanks
from tests.site.conftest import Copy

CUSCAR = "cuscar-d96b"
SYSTEM = f"""kinds:
  {CUSCAR}: {{format: edifact, type: CUSCAR, release: "D:96B"}}
  order: {{format: xml, schema: manifest/manifest.xsd, root: Manifest}}
"""


def new(copy: Copy, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["new", *words, "--site", str(copy.folder), "--lang", "en"])
    return result.exit_code, result.output


def mandatory(field: Field, at: str = "") -> list[str]:
    """Every value below that must be there when what it stands in is there, from mandatory parents only."""
    if not field.children:
        return [at]
    return [path for child in field.children if child.required for path in mandatory(child, f"{at}/{child.name}")]


def written(file: Path, folder: Path) -> dict[str, str]:
    """What a mapping file writes, by target."""
    found: dict[str, str] = {}

    def walk(rule: object, at: str) -> None:
        for name, inner in getattr(rule, "entries", ()):
            if name != "each":
                walk(inner, f"{at}/{name}")
        if hasattr(rule, "value"):
            found[at] = rule.value

    body = dict(read(folder, file).top.entries)
    walk(body.get("message") or body.get("document"), "")
    return found


def fill_in(file: Path, copy: Copy, kind: str) -> None:
    """Put in place of every blank what the golden document of a kind has there."""
    root = etree.parse(str(copy.folder / f"mappings/manifest/cases/01-original/expected/{kind}.xml")).getroot()
    text = file.read_text("utf-8")
    for target, value in written(file, copy.folder).items():
        if value == FILL_IN:
            steps = [f"{{*}}{step}" for step in target.split("/")[2:]]
            text = text.replace(f'"{FILL_IN}"', f'"={root.findtext("/".join(steps)) or 1}"', 1)
    file.write_text(text, "utf-8")


def test_a_new_system_is_in_order_as_it_is(copy: Copy) -> None:
    before = copy.findings()
    code, out = new(copy, "system", "harbour")
    assert code == 0 and "mappings/harbour/system.yaml" in out
    assert "harbour" in load(copy.folder).systems and copy.findings() == before


def test_nothing_is_ever_overwritten(copy: Copy) -> None:
    file = copy.folder / "mappings" / "vessel" / "system.yaml"
    before = file.read_bytes()
    code, out = new(copy, "system", "vessel")
    assert code == 1 and "already" in out and file.read_bytes() == before
    code, _ = new(copy, "mapping", "manifest", "coprar-d95b")
    assert code == 1 and not list((copy.folder / "mappings/manifest/cases").glob("*coprar*"))


@pytest.mark.parametrize(
    "words", [("system", "../up"), ("system", ""), ("mapping", "manifst", "coprar-d95b"), ("mapping", "manifest", "x")]
)
def test_a_name_that_cannot_be_is_a_wrong_call(copy: Copy, words: tuple[str, ...]) -> None:
    assert new(copy, *words)[0] == 2


def _harbour(copy: Copy) -> None:
    assert new(copy, "system", "harbour")[0] == 0
    copy.change("mappings/harbour/system.yaml", "kinds: {}\n", SYSTEM)
    schema = (copy.folder / "schemas/manifest/manifest.xsd").read_text("utf-8")
    (copy.folder / "schemas/manifest/order.xsd").write_text(
        schema.replace("urn:eport:manifest:1", "urn:order"), "utf-8"
    )
    copy.change("mappings/harbour/system.yaml", "manifest/manifest.xsd", "manifest/order.xsd")


def test_a_new_mapping_passes_the_check_when_it_is_filled_in(copy: Copy) -> None:
    _harbour(copy)
    assert new(copy, "mapping", "manifest", "order", "--system", "harbour")[0] == 0
    file = copy.folder / "mappings/harbour/manifest--to--order.yaml"
    asked = [text for _, text in blanks(read(copy.folder, file).top)]
    assert (copy.folder / "mappings/harbour/cases/01-order/README.md").exists()
    errors = [finding for finding in copy.findings() if finding.severity == "error"]
    assert [f.place.line for f in errors if f.code == "mapping.fill_in"] == [text.spot.line for text in asked]
    fill_in(file, copy, "manifest")
    assert not [finding for finding in copy.findings() if finding.severity == "error"]
    assert ("manifest", "order") in load(copy.folder).mappings


def test_each_blank_is_named_at_its_place(copy: Copy) -> None:
    _harbour(copy)
    _, out = new(copy, "mapping", CUSCAR, "order")
    file = copy.folder / f"mappings/harbour/{CUSCAR}--to--order.yaml"
    lines = file.read_text("utf-8").splitlines()
    wanted = [at for at, line in enumerate(lines, 1) if f'"{FILL_IN}"' in line.split("#")[0]]
    told = [finding for finding in copy.findings() if finding.code == "mapping.fill_in"]
    assert [finding.place.line for finding in told] == wanted and f"{len(wanted)} place" in out
    for finding in told:
        line = lines[(finding.place.line or 0) - 1]
        assert line.lstrip().startswith(finding.found) and line[(finding.place.column or 0) - 1 :].startswith('"???')


@pytest.mark.parametrize(
    ("source", "target"), [(CUSCAR, "order"), (CUSCAR, "manifest"), ("manifest", CUSCAR), ("manifest", "coprar-d95b")]
)
def test_the_skeleton_has_every_mandatory_target_and_nothing_that_is_none(copy: Copy, source: str, target: str) -> None:
    _harbour(copy)
    room = "sandbox"
    assert new(copy, "mapping", source, target, "--system", room)[0] == 0
    kind = usable(copy.folder)[target]
    [file] = (copy.folder / "mappings" / room).glob("*.yaml")
    whole = outline(facts_of(kind), kind.rule.root)
    top = f"/{whole.name}" if whole.name else ""
    made = set(written(file, copy.folder))
    assert set(mandatory(whole, top)) <= made
    every = {f"/{leaf.path}" for leaf in whole.leaves()}
    assert made <= every


def test_what_is_optional_is_a_comment_that_can_be_taken_in(copy: Copy) -> None:
    assert new(copy, "mapping", "manifest", "customs-manifest", "--system", "sandbox")[0] == 0
    file = copy.folder / "mappings/sandbox/manifest--to--customs-manifest.yaml"
    (copy.folder / "mappings/manifest/manifest--to--customs-manifest.yaml").unlink()
    file.write_text(re.sub(r"(?m)^( +)# ", r"\1", file.read_text("utf-8")), "utf-8")
    fill_in(file, copy, "customs-manifest")
    assert not [finding for finding in copy.findings() if finding.severity == "error"]
    targets = {rule.target for rule in load(copy.folder).mappings["manifest", "customs-manifest"].rules}
    assert "CustomsManifest/ContainerList/ContainerInfo/SealNo" in targets


def test_several_sources_are_named(copy: Copy) -> None:
    sources = "call=cusrep-d96b,crew=paxlst-d05b"
    assert new(copy, "mapping", sources, "vessel-declaration", "--system", "sandbox")[0] == 0
    [file] = (copy.folder / "mappings/sandbox").glob("*.yaml")
    assert "from: {call: cusrep-d96b, crew: paxlst-d05b}" in file.read_text("utf-8")
    assert written(file, copy.folder)["/VesselDeclaration/Vessel/IMO"] == "call:SG8/TDT/C222/8213"


# ---- what is proposed


def test_what_is_proposed_for_the_customs_manifest_is_mostly_what_people_wrote(copy: Copy) -> None:
    assert new(copy, "mapping", "manifest", "customs-manifest", "--system", "sandbox")[0] == 0
    proposed = written(copy.folder / "mappings/sandbox/manifest--to--customs-manifest.yaml", copy.folder)
    real = written(copy.folder / "mappings/manifest/manifest--to--customs-manifest.yaml", copy.folder)
    said = {target: path for target, path in proposed.items() if path != FILL_IN}
    right = [target for target, path in said.items() if real.get(target) == path]
    assert len(said) >= 15 and len(right) / len(said) >= 0.8


def _field(path: str, about: str = "", identifier: str = "") -> Field:
    return Field(path.rpartition("/")[2], path, True, False, about, "", identifier)


def test_the_same_identifier_is_enough_and_a_common_one_is_not() -> None:
    box = _field("EQD/C237/8260", "Equipment identification", "container-number")
    assert best(_field("Unit/Code", "", "container-number"), [("", box)])
    land = _field("NAD/3207", "Country, coded", "country-code")
    assert not best(_field("Vessel/Flag", "Flag state", "country-code"), [("", land)])
    assert best(_field("Address/Country", "Country", "country-code"), [("", land)])


def test_the_same_end_of_a_path_is_worth_more_the_longer_it_is() -> None:
    target = _field("Order/Buyer/Name")
    near, far = _field("Invoice/Buyer/Name"), _field("Invoice/Seller/Name")
    assert score(target, near) > score(target, far) > score(target, _field("Invoice/Total"))


def test_words_of_the_trade_mean_the_same() -> None:
    assert words("ShipIdentification") == words("VesselNo") == {"vessel", "number"}
    assert words("船名") == {"船", "名"}
