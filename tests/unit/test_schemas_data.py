"""The data that declarations rest on: EDIFACT facts, XML schemas, code tables and example inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from stdnum import imo, iso6346

from hub.declaration import plain, read

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "schemas"
MAPPINGS = ROOT / "mappings"
RELEASES = sorted(path.stem for path in (SCHEMAS / "edifact").glob("D*.txt"))
SERVICE_SEGMENTS = {"UNB", "UNG", "UNH", "UNS", "UNT", "UNE", "UNZ", "UCI", "UCF", "UCM", "UCS", "UCD"}
SOUND = sorted(path for path in MAPPINGS.glob("*/cases/*/in.edi") if "broken" not in path.parent.name)
BROKEN = {
    "vessel/cases/03-broken": {"UNT count 16, is 17", "TDT.8212 too long", "DTM missing in SG2"},
    "manifest/cases/04-broken": {"UNT count 31, is 33", "RFF.1154 too long", "SG10 missing in SG5"},
}
Problems = list[str]


@cache
def table(name: str) -> dict[str, Any]:
    """A release read without the reader of the hub: lines as in the file, groups as lists within lists."""
    lines = (SCHEMAS / "edifact" / f"{name}.txt").read_text("utf-8").splitlines()
    tables: dict[str, Any] = {"release": lines[0].split()[1]}
    section: dict[str, Any] = {}
    open_: list[list[Any]] = []
    for line in lines[1:-1]:
        if line in ("messages", "segments", "composites", "elements", "codes"):
            section = tables[line] = {}
        elif not line.startswith((" ", "#")):
            id, _, rest = line.partition(" ")
            open_ = [section.setdefault(id, {"said": rest, "lines": []})["lines"]]
        elif section is tables.get("messages"):
            depth = len(line) - len(line.lstrip())
            key, status, most = line.split()
            row = [key, status, int(most)]
            del open_[depth:]
            if depth > 1 and len(open_[-2][-1]) == 3:
                open_[-2][-1].append(open_[-1])
            open_[-1].append(row)
            open_.append([])
        elif line.startswith(" "):
            open_[0].append(line[1:])
    assert lines[-1] == "end"
    return shaped(tables)


def shaped(tables: dict[str, Any]) -> dict[str, Any]:
    """What was read, with the format of its element at each position."""
    elements = {id: entry["said"].partition(" ")[::2] for id, entry in tables["elements"].items()}
    positions = {}
    for section in ("segments", "composites"):
        rows = {id: [line.split() for line in entry["lines"]] for id, entry in tables[section].items()}
        positions[section] = {
            id: {"elements": [full(row, section, elements) for row in found]} for id, found in rows.items()
        }
    return {
        "release": tables["release"],
        "messages": {
            type: {"name": entry["said"].partition(" ")[2], "struct": entry["lines"]}
            for type, entry in tables["messages"].items()
        },
        **positions,
        "elements": {id: [name, form] for id, (form, name) in elements.items()},
        "codes": {
            id: dict(line.partition(" ")[::2] for line in entry["lines"]) for id, entry in tables["codes"].items()
        },
    }


def full(row: list[str], section: str, elements: dict[str, tuple[str, str]]) -> list[Any]:
    id, status, *more = row
    most = [int(more.pop(0)) if more and more[0].isdigit() else 1] if section == "segments" else []
    form = more or ([elements[id][0]] if id in elements else [])
    return [id, status, *most, *form]


def tags(struct: list[Any]) -> Iterator[str]:
    for item in struct:
        if len(item) == 4:
            yield from tags(item[3])
        else:
            yield item[0]


@pytest.mark.parametrize("name", [*RELEASES, "SERVICE3"])
def test_a_table_defines_all_it_refers_to_and_nothing_more(name: str) -> None:
    facts, service = table(name), table("SERVICE4")
    used = {tag for message in facts["messages"].values() for tag in tags(message["struct"])}
    assert used <= facts["segments"].keys() | service["segments"].keys()
    if name != "SERVICE3":
        assert facts["segments"].keys() == used - service["segments"].keys()
    parts = [part for segment in facts["segments"].values() for part in segment["elements"]]
    composites = {part[0] for part in parts if len(part) == 3}
    assert composites <= facts["composites"].keys()
    simple = {(part[0], part[3]) for part in parts if len(part) == 4}
    inner = {(part[0], part[2]) for composite in facts["composites"].values() for part in composite["elements"]}
    for element, representation in simple | inner:
        assert name == "D94B" or facts["elements"][element][1] == representation
        assert re.fullmatch(r"(a|n|an)(\.\.)?[0-9]+", representation)
    assert facts["codes"].keys() <= facts["elements"].keys()
    assert all(isinstance(label, str) for codes in facts["codes"].values() for label in codes.values())


@pytest.mark.parametrize("name", RELEASES)
def test_a_release_has_whole_messages(name: str) -> None:
    facts = table(name)
    assert facts["release"].replace(".", "") == name
    assert facts["messages"]
    for message in facts["messages"].values():
        assert message["name"]
        assert message["struct"][0] == ["UNH", "M", 1]
        assert message["struct"][-1] == ["UNT", "M", 1]


def test_the_service_layer_is_whole() -> None:
    facts = table("SERVICE3")
    assert facts["messages"].keys() == {"CONTRL"}
    assert facts["segments"].keys() == SERVICE_SEGMENTS
    assert facts["codes"]["0085"]["39"] == "Data element too long"


@pytest.mark.parametrize("path", sorted(SCHEMAS.rglob("*.xsd")), ids=lambda p: p.name)
def test_a_schema_compiles_and_says_what_each_element_is(path: Path) -> None:
    tree = etree.parse(path)
    etree.XMLSchema(tree)
    xs = "{http://www.w3.org/2001/XMLSchema}"
    if path.name == "xml.xsd":
        return
    assert tree.getroot().get("targetNamespace", "").startswith("urn:eport:")
    assert tree.getroot().get("elementFormDefault") == "qualified"
    for element in tree.iter(f"{xs}element"):
        notes = element.findall(f"{xs}annotation/{xs}documentation")
        languages = [note.get("{http://www.w3.org/XML/1998/namespace}lang") for note in notes]
        assert languages == ["zh", "en"], element.get("name")
        assert all(note.text for note in notes)
        assert re.fullmatch("([A-Z][A-Za-z]*)", element.get("name", ""))


def test_no_two_schemas_share_a_namespace() -> None:
    spaces = [etree.parse(path).getroot().get("targetNamespace") for path in SCHEMAS.rglob("*.xsd")]
    assert len(spaces) == len(set(spaces)) == 13


EXPECTED = [
    ("vessel/cases/01-arrival/expected/vessel-declaration.xml", "vessel/declaration.xsd"),
    ("manifest/cases/01-original/expected/manifest.xml", "manifest/manifest.xsd"),
]


@pytest.mark.parametrize(("document", "schema"), EXPECTED)
def test_the_canonical_examples_are_valid_also_when_signed(document: str, schema: str) -> None:
    checker = etree.XMLSchema(etree.parse(SCHEMAS / schema))
    tree = etree.parse(MAPPINGS / document)
    checker.assertValid(tree)
    etree.SubElement(tree.getroot(), "{http://www.w3.org/2000/09/xmldsig#}Signature")
    checker.assertValid(tree)
    etree.SubElement(tree.getroot(), "{http://www.w3.org/2000/09/xmldsig#}Signature")
    assert not checker.validate(tree), "one signature at most"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<IMO>9305532</IMO>", "<IMO>930553</IMO>"),
        ("<Port>CNTXG</Port>", "<Port>TXG</Port>"),
        ("06:00:00+08:00", "06:00:00"),
        ("<Function>original</Function>", "<Function>new</Function>"),
        ("  <Voyage>026E</Voyage>\n", ""),
    ],
)
def test_the_declaration_schema_refuses(old: str, new: str) -> None:
    text = (MAPPINGS / EXPECTED[0][0]).read_text("utf-8")
    assert old in text
    checker = etree.XMLSchema(etree.parse(SCHEMAS / EXPECTED[0][1]))
    assert not checker.validate(etree.fromstring(text.replace(old, new).encode("utf-8")).getroottree())


ANSWERS = [
    (
        "vessel/agency-answer.xsd",
        "<AgencyAnswer xmlns='urn:eport:vessel:agency-answer:1'><Agency>CIQ</Agency><Reference>M1</Reference>"
        "<Call>BOHAI26112301</Call><Status>R</Status><At>2026-11-23T09:00:00+08:00</At><Reason><Code>E12</Code>"
        "<Text xml:lang='zh'>护照过期</Text><Text xml:lang='en'>Passport expired</Text>"
        "<Path>Persons/Person[2]/DocumentExpiresOn</Path></Reason></AgencyAnswer>",
    ),
    (
        "manifest/customs-answer.xsd",
        "<CustomsAnswer xmlns='urn:eport:manifest:customs-answer:1'><Reference>M2</Reference>"
        "<Number>TJL2611230001</Number><Status>01</Status><At>2026-11-23T01:00:00Z</At>"
        "<CustomsNumber>020226000123</CustomsNumber></CustomsAnswer>",
    ),
    (
        "case-record.xsd",
        "<CaseRecord xmlns='urn:eport:case:1'><System>manifest</System><Key name='number'>TJL2611230001</Key>"
        "<Case>C1</Case><Stage>closed</Stage><Verdict>accepted</Verdict><At>2026-11-23T01:00:00Z</At>"
        "<Sender>TJLINE</Sender><Reference>M2</Reference><Original>TJL2611230001</Original><Answer>"
        "<Party>customs</Party><Kind>customs-answer</Kind><Verdict>accepted</Verdict>"
        "<At>2026-11-23T01:00:00Z</At><Number>020226000123</Number></Answer></CaseRecord>",
    ),
]


@pytest.mark.parametrize(("schema", "document"), ANSWERS)
def test_an_answer_is_valid_and_needs_its_reference(schema: str, document: str) -> None:
    checker = etree.XMLSchema(etree.parse(SCHEMAS / schema))
    checker.assertValid(etree.fromstring(document).getroottree())
    without = re.sub("<Reference>.*?</Reference>", "", document)
    assert not checker.validate(etree.fromstring(without).getroottree())


TABLES = {*(SCHEMAS / "codes").glob("*.yaml")} - {*(SCHEMAS / "codes").glob("*.list.yaml")}


@pytest.mark.parametrize("path", sorted(TABLES), ids=lambda p: p.stem)
def test_a_code_table_is_dated_and_all_text(path: Path) -> None:
    loaded = plain(read(SCHEMAS, path).top)
    assert loaded.keys() == {"table", "title", "source", "valid_from", "rows"}
    assert loaded["table"] == path.stem
    assert loaded["title"].keys() == {"zh", "en"}
    assert re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", loaded["valid_from"])
    assert loaded["rows"]
    assert all(isinstance(text, str) for pair in loaded["rows"].items() for text in pair)


@pytest.mark.parametrize(
    ("codes", "release", "element"),
    [
        ("document-function", "D96B", "1225"),
        ("document-function", "D95B", "1225"),
        ("movement", "D96B", "1001"),
        ("travel-document", "D05B", "1001"),
        ("container-status", "D95B", "8169"),
    ],
)
def test_the_keys_of_a_code_table_are_codes_of_the_directory(codes: str, release: str, element: str) -> None:
    rows = plain(read(SCHEMAS, SCHEMAS / "codes" / f"{codes}.yaml").top)["rows"]
    assert rows.keys() <= table(release)["codes"][element].keys()


Read = tuple[str, list[list[str]]]


def segments(path: Path) -> list[Read]:
    """The file cut by the default service characters; a line break behind a terminator is left out."""
    text = path.read_text("utf-8").removeprefix("UNA:+.? '")
    cut = [part.strip("\r\n") for part in re.findall(r"(?:\?.|[^?'])+(?=')", text, re.S)]
    read = []
    for part in filter(None, cut):
        elements = [re.findall(r"(?:^|:)((?:\?.|[^?:])*)", e) for e in re.findall(r"(?:^|\+)((?:\?.|[^?+])*)", part)]
        plain = [[re.sub(r"\?(.)", r"\1", value) for value in element] for element in elements]
        read.append((plain[0][0], plain[1:]))
    return read


def value_problems(
    facts: dict[str, Any], tag: str, element: str, status: str, form: str, value: str, own_list: bool = True
) -> Problems:
    if not value:
        return [f"{tag}.{element} missing"] if status == "M" else []
    kind, upto, size = re.fullmatch(r"(an|a|n)(\.\.)?(\d+)", form).groups()  # type: ignore[union-attr]
    measured = len(re.sub(r"[-.]", "", value)) if kind == "n" else len(value)
    problems = []
    if measured > int(size):
        problems.append(f"{tag}.{element} too long")
    elif not upto and measured < int(size):
        problems.append(f"{tag}.{element} too short")
    if kind == "n" and not re.fullmatch(r"-?\d+(\.\d+)?", value):
        problems.append(f"{tag}.{element} not a number: {value}")
    codes = facts["codes"].get(element)
    if codes and own_list and value not in codes:
        problems.append(f"{tag}.{element} has no code {value}")
    return problems


def segment_problems(facts: dict[str, Any], segment: Read) -> Problems:
    tag, values = segment
    rows = facts["segments"][tag]["elements"]
    problems = [f"{tag} has too many elements"] if len(values) > len(rows) else []
    for index, row in enumerate(rows):
        parts = values[index] if index < len(values) else []
        if len(row) == 4:
            problems += value_problems(facts, tag, row[0], row[1], row[3], parts[0] if parts else "")
        elif any(parts):
            inner = facts["composites"][row[0]]["elements"]
            problems += [f"{tag}.{row[0]} has too many components"] if len(parts) > len(inner) else []
            # 1131 names another code list (102 of ISO for 8155): the directory's own does not bind then.
            named = any(part and row[0] == "1131" for part, row in zip(parts, inner, strict=False))
            for n, (element, status, form) in enumerate(inner):
                value = parts[n] if n < len(parts) else ""
                own = not named or element in ("1131", "3055")
                problems += value_problems(facts, tag, element, status, form, value, own)
        elif row[1] == "M":
            problems.append(f"{tag}.{row[0]} missing")
    return problems


def structure_problems(struct: list[Any], found: list[str], at: int, within: str) -> tuple[int, Problems]:
    """Match tags greedily from `at`; the index behind the last match, and what a mandatory item lacks."""
    problems: Problems = []
    for name, status, most, *children in struct:
        trigger = children[0][0][0] if children else name
        times = 0
        while at < len(found) and found[at] == trigger and times < most:
            times += 1
            if children:
                at, inner = structure_problems(children[0], found, at, name)
                problems += inner
            else:
                at += 1
        if status == "M" and not times:
            problems.append(f"{name} missing in {within}")
    return at, problems


def interchange_problems(path: Path) -> Problems:
    service = table("SERVICE3")
    read = segments(path)
    problems: Problems = []
    start, messages = 0, 0
    for index, (tag, values) in enumerate(read):
        if tag in service["segments"]:
            problems += segment_problems(service, read[index])
        if tag == "UNH":
            start, messages = index, messages + 1
        if tag == "UNT":
            kind, _, release, *_ = read[start][1][1]
            facts = table(f"D{release}")
            body = read[start : index + 1]
            problems += [p for s in body[1:-1] for p in segment_problems(facts, s)]
            end, lacking = structure_problems(facts["messages"][kind]["struct"], [s[0] for s in body], 0, kind)
            problems += lacking
            problems += [f"{body[end][0]} out of place"] if end < len(body) else []
            if int(values[0][0]) != len(body):
                problems.append(f"UNT count {values[0][0]}, is {len(body)}")
            assert values[1] == read[start][1][0]
    assert read[0][0] == "UNB" and read[-1][0] == "UNZ"
    assert read[-1][1] == [[str(messages)], read[0][1][4]]
    return problems


@pytest.mark.parametrize("path", SOUND, ids=lambda p: f"{p.parts[-4]}-{p.parts[-2]}")
def test_a_sound_example_keeps_to_the_directory(path: Path) -> None:
    assert interchange_problems(path) == []
    header = segments(path)[0][1]
    assert header[2] == ["TJEPORT", "ZZZ"] and header[8] == ["1"]
    for tag, values in segments(path):
        if tag == "TDT":
            assert imo.is_valid(values[7][0])
        if tag == "EQD":
            assert iso6346.is_valid(values[1][0])


@pytest.mark.parametrize(("folder", "wrong"), BROKEN.items())
def test_a_broken_example_is_broken_as_its_readme_says(folder: str, wrong: set[str]) -> None:
    assert sorted(interchange_problems(MAPPINGS / folder / "in.edi")) == sorted(wrong)


def test_the_examples_are_whole() -> None:
    assert len(SOUND) == 7
    references = [segments(path)[0][1][4][0] for path in MAPPINGS.glob("*/cases/*/in.edi")]
    assert len(references) == len(set(references)) == 9
    for path in MAPPINGS.glob("*/cases/*/in.edi"):
        lines = (path.parent / "README.md").read_text("utf-8").split("\n\n")
        assert len(lines) == 2 and not lines[0].isascii() and lines[1].isascii()


def test_only_the_chinese_example_leaves_ascii() -> None:
    beyond = [p.parent.name for p in MAPPINGS.glob("*/cases/*/in.edi") if not p.read_bytes().isascii()]
    assert beyond == ["05-chinese"]


@pytest.mark.parametrize("path", sorted(MAPPINGS.glob("vessel/cases/*/in.edi")), ids=lambda p: p.parts[-2])
def test_the_crew_list_names_the_call_of_its_report(path: Path) -> None:
    read = segments(path)
    calls = [values[1][0] for tag, values in read if tag == "BGM"]
    related = [values[0][1] for tag, values in read if tag == "RFF"]
    assert related == [calls[0]]


def test_an_amendment_keeps_the_number_and_raises_the_version() -> None:
    def head(folder: str, tag: str) -> list[list[str]]:
        return next(values for found, values in segments(MAPPINGS / folder / "in.edi") if found == tag)

    assert head("vessel/cases/01-arrival", "BGM")[1:] == [["BOHAI26112301", "1"], ["9"]]
    assert head("vessel/cases/04-amendment", "BGM")[1:] == [["BOHAI26112301", "2"], ["4"]]
    assert head("manifest/cases/01-original", "BGM")[1:] == [["TJL2611230001"], ["9"]]
    assert head("manifest/cases/02-amendment", "BGM")[1:] == [["TJL2611230001"], ["4"]]
    assert head("manifest/cases/02-amendment", "RFF") == [["FV", "2"]]
