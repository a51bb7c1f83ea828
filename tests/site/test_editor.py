"""The JSON Schemas that editors complete and check by: made from the models, and as strict as they can be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hub.declaration import parse, plain, read
from hub.site.editor import FOLDER, line, name_of, schemas, text

ROOT = Path(__file__).parents[2]
SCHEMAS = schemas()
YAML = sorted([ROOT / "routes.yaml", *ROOT.glob("mappings/**/*.yaml"), *ROOT.glob("schemas/**/*.yaml")])


def wrong(name: str, value: Any, part: str = "") -> list[str]:
    schema = {**SCHEMAS[name], "$ref": f"#/$defs/{part}"} if part else SCHEMAS[name]
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(value)]


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_committed_schema_is_what_the_models_say(name: str) -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMAS[name])
    assert (ROOT / FOLDER / f"{name}.json").read_text("utf-8") == text(SCHEMAS[name]), "python -m hub.site.editor"


@pytest.mark.parametrize("file", YAML, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_file_names_its_schema_and_is_of_it(file: Path) -> None:
    here = file.relative_to(ROOT)
    first = file.read_text("utf-8").splitlines(keepends=True)[0]
    assert first == line(here)
    assert (file.parent / first.split("=", 1)[1].strip()).resolve() == ROOT / FOLDER / f"{name_of(here)}.json"
    assert wrong(name_of(here), plain(read(ROOT, file).top)) == []


MISTAKES = [
    ("routes.yaml", "role: carrier", "rolle: carrier"),
    ("routes.yaml", "within: 30m", "within: 30 minutes"),
    ("routes.yaml", "adapter: folder, options: {out:", "adapter: folder, options: {uot:"),
    ("routes.yaml", "      port: 2223", "      port: many"),
    ("routes.yaml", "signed: true", "signed: perhaps"),
    ("mappings/vessel/system.yaml", "format: edifact", "format: edifakt"),
    ("mappings/vessel/system.yaml", "closes: true", "close: true"),
    ("mappings/vessel/system.yaml", "within: 4h", "within: four"),
    ("mappings/vessel/system.yaml", "level: business", "level: busy"),
    ("mappings/manifest/cuscar-d95b--to--manifest.yaml", "as: imo-number", "as: imo-nummer"),
    ("mappings/manifest/cuscar-d95b--to--manifest.yaml", "default: =1", "defualt: =1"),
    ("mappings/manifest/cuscar-d95b--to--manifest.yaml", "map: document-function", "map: {tabel: document-function}"),
    ("mappings/manifest/cuscar-d95b--to--manifest.yaml", "to: manifest", "too: manifest"),
    ("mappings/manifest/cuscar-d95b--to--manifest.yaml", "each: SG4", "each: {of: SG4}"),
    ("mappings/service/case-record--to--cusres-d96b.yaml", "narrow: truncate", "narrow: cut"),
    ("mappings/service/case-record--to--cusres-d96b.yaml", "message:", "mesage:"),
    ("schemas/manifest/carriers.guide.yaml", "as: warn", "as: mend"),
    ("schemas/manifest/carriers.guide.yaml", "length: 1..17", "length: 1-17"),
    ("schemas/manifest/carriers.guide.yaml", "accept: each", "accept: some"),
    ("schemas/codes/unit.list.yaml", "file: unit.csv", "files: unit.csv"),
    ("schemas/codes/sex.yaml", '"M": "M"', '"M": []'),
]


@pytest.mark.parametrize(("file", "old", "new"), MISTAKES)
def test_a_planted_mistake_is_refused(file: str, old: str, new: str) -> None:
    whole = (ROOT / file).read_text("utf-8")
    assert old in whole
    assert wrong(name_of(Path(file)), plain(parse(file, whole.replace(old, new, 1).encode())))


PAGE = (ROOT / "docs" / "mapping.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n((?:(?!```).*\n)*)```\n```(?!mistake)", PAGE, re.M)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[0][:40])
def test_every_example_of_the_language_is_accepted(example: str) -> None:
    value = plain(parse("mapping.md", example.encode()))
    assert wrong("mapping", value, "" if "to" in value else "children") == []


REFUSED = [
    "Number: {from: BGM/1004, frm: x}",
    "Number: {from: BGM/1004, first: [BGM/1004]}",
    "Number: {from: BGM/1004, as: [trim, upcase]}",
    "Number: {from: BGM/1004, as: {pad: [6, '0'], trim: x}}",
    "Number: {from: BGM/1004, map: codes, unknown: refuse}",
    "Number: {from: BGM/1004, cut: 0}",
    "Number: {number: lop}",
    "Number: {count: {from: SG4}}",
    "Number: {party: NAD/C082/3039, give: phone}",
    "Number: {spread: FTX, more: segments}",
    "Item: {each: {from: SG4, filter: x}, Number: A}",
    "Item: {when: {al: [x]}, Number: A}",
    "Item: {when: {all: [x], any: [y]}, Number: A}",
    "Item: {choose: x}",
]


@pytest.mark.parametrize("rule", REFUSED)
def test_a_mistake_in_a_rule_is_refused(rule: str) -> None:
    value = plain(parse("rule", rule.encode()))
    assert wrong("mapping", value, "children")
