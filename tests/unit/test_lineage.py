"""Pointers of answers, and where values stand in files of every form."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hub import judging
from hub.edifact import reader, structure
from hub.edifact.model import RawMessage
from hub.lineage.answer import Said, Target, about
from hub.lineage.documents import Made
from hub.lineage.explain import as_json, explained, fields
from hub.lineage.marks import Mark, cell_of, marks
from hub.lineage.pointer import LONGEST, MOST, above, found, plain
from hub.lineage.sources import Received
from hub.mapping.lineage import Origin
from hub.site.load import load
from hub.site.site import Site

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
MANIFEST = (ROOT / "mappings/manifest/cases/01-original/in.edi").read_bytes()
CALL = (ROOT / "mappings/vessel/cases/01-arrival/in.edi").read_bytes()


@pytest.fixture(scope="module")
def site() -> Site:
    return load(ROOT)


def outputs(site: Site, data: bytes, kind: str = "", name: str = "in.edi") -> Any:
    return explained(site, judging.judge(site, data, "", name, NOW), name, NOW, kind).outputs


@pytest.fixture(scope="module")
def customs(site: Site) -> Made:
    [output] = outputs(site, MANIFEST, "customs-manifest")
    made: Made = output.made
    return made


@pytest.fixture(scope="module")
def report(site: Site) -> tuple[dict[Any, Mark], Any]:
    """The marks of the report to customs as they read it, and its kind."""
    usage = site.kinds["cusrep-d96b"]
    data = (ROOT / "mappings/vessel/cases/01-arrival/expected/cusrep-d96b.edi").read_bytes()
    raw = next(part for part in reader.read([data]) if isinstance(part, RawMessage))
    assert usage.spec
    return marks(structure.build(raw, usage.spec)[0]), usage


# ---- pointers


@pytest.mark.parametrize(
    ("pointer", "values"),
    [
        ("BillList/Bill[2]/ReceiverName", ["BINHAI EQUIPMENT IMPORT CO"]),
        ("/CustomsManifest/BillList/Bill[2]/ReceiverName", ["BINHAI EQUIPMENT IMPORT CO"]),
        ("//Bill[2]/ReceiverName", ["BINHAI EQUIPMENT IMPORT CO"]),
        ("/c:CustomsManifest/c:Head/c:VoyageNo", ["0126W"]),
        ("ReceiverName", ["TIANJIN MODERN TRADE CO LTD", "BINHAI EQUIPMENT IMPORT CO"]),
        ("Bill/GoodsList/Item[2]/ItemNo", ["2"]),
        ("Bill[2]", [""]),
        ("/Head/VoyageNo", []),
        ("Bill[0]/BillNo", []),
        ("Bill[3]/BillNo", []),
        ("Bill[99999999]/BillNo", []),
        ("Bill[last()]/BillNo", []),
        ("Bill[2]/@lang", []),
        ("//*", []),
        ("Bill[", []),
        ("", []),
        ("/", []),
        (" " * 9, []),
        ("A/" * LONGEST, []),
        ("document('file:///etc/passwd')", []),
    ],
)
def test_a_pointer_into_xml(customs: Made, pointer: str, values: list[str]) -> None:
    assert [named.value for named in found(pointer, customs.marks, customs.usage)] == values


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("SG8/TDT/C222/8212", "BOHAI STAR"),
        ("SG8[1]/TDT/8028", "026E"),
        ("TDT/8028", "026E"),
        ("8213", "9305532"),
        ("C222/8453", "CN"),
        ("TDT(6) 8.4", "BOHAI STAR"),
        ("(6) 2", "026E"),
        ("(6) 8", ""),
        ("(6)", ""),
        ("SG8", ""),
        ("SG8/TDT", ""),
    ],
)
def test_a_pointer_into_edifact(report: tuple[Any, Any], pointer: str, value: str) -> None:
    [named] = found(pointer, *report)
    assert named.value == value and named.cell.steps[0][0] == "SG8"


@pytest.mark.parametrize(
    "pointer", ["SG8[2]/TDT/8028", "TDT/9999", "SG99", "(7777777)", "(99) 1", "(6) 1.", "()", "6.2", "TDT()", "/8028/x"]
)
def test_a_pointer_to_no_place_of_a_message(report: tuple[Any, Any], pointer: str) -> None:
    assert found(pointer, *report) == []


def test_no_pointer_raises_and_none_means_more_than_so_many(customs: Made, report: tuple[Any, Any]) -> None:
    signs, chance = "/[]()@*.:'#$\\ \0\n9AaBill[2]SG8TDT船", random.Random(5)
    for _ in range(400):
        pointer = "".join(chance.choice(signs) for _ in range(chance.randrange(30)))
        assert len(found(pointer, customs.marks, customs.usage)) <= MOST
        assert len(found(pointer, *report)) <= MOST
        said = Said("CUSTOMS", "1", "", pointer)
        assert all(finding.code for finding, _ in about(said, Target(customs.usage, customs.marks, customs)))
    many = marks(etree.fromstring("<a>" + "<b>1</b>" * 500 + "</a>"))
    assert len(found("b", many, customs.usage)) == MOST


def test_what_a_pointer_is_without_its_numbers_and_its_last_name() -> None:
    assert plain("/c:Bill[2]/c:Name") == "Bill/Name" and plain("NAD(7) 4") == ""
    assert above("Bill[2]/Name") == "Bill[2]" and above("Name") == ""


# ---- what a reason points to


def codes(made: Made, pointer: str) -> list[str]:
    target = Target(made.usage, made.marks, made)
    return [finding.code.partition(".")[2] for finding, _ in about(Said("CUSTOMS", "M07", "", pointer), target)]


def test_a_whole_bill_means_everything_in_it(customs: Made) -> None:
    places = {source.path.partition("/")[0] for _, source in _said(customs, "Bill[2]") if source}
    assert places == {"SG4[2]"}
    assert codes(customs, "Head/Reference") == ["constant"] and codes(customs, "Bill[2]/Nothing") == ["nowhere"]


def _said(made: Made, pointer: str) -> Any:
    return list(about(Said("CUSTOMS", "M07", "", pointer), Target(made.usage, made.marks, made)))


def test_without_the_bytes_that_were_sent_nothing_is_guessed(customs: Made) -> None:
    [(finding, source)] = about(Said("CUSTOMS", "M07", "", "Bill[2]/BillNo"), Target(customs.usage, {}, customs))
    assert finding.code == "lineage.unknown" and source is None


# ---- every value of every output stands where it is said to stand


@pytest.mark.parametrize("data", [MANIFEST, CALL], ids=["manifest", "call"])
def test_every_source_of_every_output_is_its_bytes_in_the_file(site: Site, data: bytes) -> None:
    told = outputs(site, data)
    assert {one.made.usage.name for one in told} >= ({"manifest"} if data is MANIFEST else {"crew-report"})
    count = 0
    for field in (field for one in told for field in one.made.fields):
        for source in field.sources:
            there = data[source.place.offset :].replace(b"?'", b"'").replace(b"?+", b"+")
            assert there.startswith(source.value.encode()), (field.target, source)
            count += 1
    assert count > 100


def test_the_rules_functions_and_rows_of_two_steps_are_told(site: Site) -> None:
    [output] = outputs(site, MANIFEST, "customs-manifest")
    [field] = fields(output, "Head/FunctionCode")
    [row] = as_json(output, "Head/FunctionCode")["fields"]
    assert [step.kind for step in field.steps] == ["customs-manifest", "manifest"]
    assert [rule["codes"][0]["table"] for rule in row["rules"]] == ["customs-function", "document-function"]
    assert row["sources"][0]["path"] == "BGM 1225" and row["sources"][0]["value"] == "9"
    assert len(fields(output, "Bill/ReceiverName")) == 2 and len(fields(output, "Bill[2]/ReceiverName")) == 1


def test_a_kind_that_nobody_gets_is_made_on_the_way(site: Site) -> None:
    [output] = outputs(site, MANIFEST, "container-list")
    assert {one.value for one in fields(output, "Number")} == {"CSQU3054383", "TJLU4001238", "BHLU7305510"}
    assert outputs(site, MANIFEST, "crew-report") == ()


@pytest.mark.parametrize("head", ["", "\ufeff", '<?xml version="1.0" encoding="UTF-8"?>\n<!-- é -->\n'])
def test_a_value_of_xml_is_at_its_byte_and_line(site: Site, head: str) -> None:
    text = head + '<Report no="7">\n <Name>  Łódź &amp; Co</Name>\n <Name>B</Name>\n</Report>'
    data = text.encode()
    parser = etree.XMLParser(remove_comments=True)
    root = etree.fromstring(data, parser)
    known = Received(site.kinds["manifest"], root, "a.xml", data)
    first = known.source(Origin("", root[0]))
    shift = 3 if head == "\ufeff" else 0
    assert first.path == "Report/Name[1]" and first.value == "Łódź & Co"
    assert first.place.offset is None if shift else first.place.offset == data.index("Łódź".encode())
    assert first.place.line == text[: text.index("Ł")].count("\n") + 1 and first.place.column == 10
    attribute = known.source(Origin("", root, attribute="no"))
    assert (attribute.path, attribute.value) == ("Report/@no", "7")


def test_a_value_of_json_is_at_its_byte(site: Site) -> None:
    [canonical] = outputs(site, MANIFEST, "manifest-json")
    data, _ = site.kinds["manifest-json"].write(canonical.made.node)
    told = outputs(site, data, "customs-manifest", "in.json")
    [field] = fields(told[0], "Bill[2]/ReceiverName")
    [source] = field.sources
    assert data[source.place.offset :].lstrip(b'"').startswith(b"BINHAI EQUIPMENT IMPORT CO")


def test_a_target_is_a_cell(site: Site) -> None:
    edifact, xml = site.kinds["cusrep-d96b"], site.kinds["manifest"]
    assert cell_of("SG2[2]/LOC/C517/3225", edifact) == ((("SG2", 2), ("LOC", 1)), 2, 1, "")
    assert cell_of("Manifest/Note[3]/@lang", xml) == ((("Manifest", 1), ("Note", 3)), 0, 0, "lang")
