"""What a mapping writes: escapes, characters that XML cannot hold, attributes, loops, conditions, shared paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from hub.edifact.directory import Directories
from hub.edifact.model import Group, Segment
from hub.finding import Finding
from hub.mapping.compile import EdifactFacts, Mapping, XmlFacts, compile, load, reader
from hub.xml.schema import Schema

SCHEMAS = Path(__file__).parents[3] / "schemas"
XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:t{sign}" xmlns="urn:t{sign}"
 elementFormDefault="qualified">
 <xs:element name="Doc"><xs:complexType><xs:sequence>
  <xs:element name="Name" type="xs:string" minOccurs="0"/>
  <xs:element name="Port" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:simpleContent>
   <xs:extension base="xs:string"><xs:attribute name="kind" type="xs:string"/></xs:extension>
  </xs:simpleContent></xs:complexType></xs:element>
  <xs:element name="Box" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
   <xs:element name="Id" type="xs:string" minOccurs="0"/><xs:element name="All" type="xs:string" minOccurs="0"/>
  </xs:sequence></xs:complexType></xs:element>
 </xs:sequence></xs:complexType></xs:element></xs:schema>"""

RULES = b"""
from: cuscar
to: doc
document:
  Doc:
    Name: NAD/C080/3036
    Port: {each: SG1/LOC, "#text": C517/3225, "@kind": "3227"}
    Box: {each: SG2, when: "EQD/8053 = 'CN'", Id: EQD/C237/8260, All: /BGM/1004}
"""


@pytest.fixture(scope="module")
def facts() -> EdifactFacts:
    directory = Directories(SCHEMAS / "edifact").get("D:95B")
    return EdifactFacts(directory, directory.message("CUSCAR"))


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    path = tmp_path_factory.mktemp("xsd") / "doc.xsd"
    path.write_text(XSD.replace("{sign}", "&amp;"), "utf-8")
    return Schema(path)


@pytest.fixture(scope="module")
def mapping(facts: EdifactFacts, schema: Schema) -> Mapping:
    return compile(load(Path("m.yaml"), RULES), {"": facts}, XmlFacts(schema), {})


def tree(name: str, port: str = "CNTXG", boxes: tuple[tuple[str, str], ...] = ()) -> Group:
    root = Group("")
    root.add("BGM", Segment("BGM", [["785"], ["N1"]]))
    root.add("NAD", Segment("NAD", [["CA"], [""], [""], [name]]))
    inner = Group("SG1")
    inner.add("LOC", Segment("LOC", [["11"], [port]]))
    root.add("SG1", inner)
    for kind, number in boxes:
        group = Group("SG2")
        group.add("EQD", Segment("EQD", [[kind], [number]]))
        root.add("SG2", group)
    return root


def applied(mapping: Mapping, node: Group) -> tuple[Any, list[Finding]]:
    return mapping.apply({"": node}, {})


VALID = st.characters(exclude_categories=("Cs", "Cc", "Cn")) | st.sampled_from("\t\n\r&<>\"']")


@settings(max_examples=200, deadline=None)
@given(st.text(VALID, min_size=1, max_size=12), st.text(VALID, min_size=1, max_size=12))
def test_every_value_arrives_as_it_was(mapping: Mapping, name: str, port: str) -> None:
    document, findings = applied(mapping, tree(name, port))
    again = etree.fromstring(etree.tostring(document))
    for made in (document, again):
        assert made.findtext("{urn:t&}Name") == name
        assert made.findtext("{urn:t&}Port") == port
    assert findings == []


@pytest.mark.parametrize("wrong", ["a\x01b", "\x00", "\ufffe", "\x1f"])
def test_what_xml_cannot_hold_is_a_finding(mapping: Mapping, wrong: str) -> None:
    document, findings = applied(mapping, tree(wrong))
    assert document.find("{urn:t&}Name") is None
    [finding] = findings
    assert (finding.code, finding.severity, finding.place.path) == ("mapping.value", "error", "Doc/Name")
    assert finding.found.isascii() and finding.expected == "m.yaml:6"


def test_loops_conditions_and_attributes(mapping: Mapping, schema: Schema) -> None:
    document, findings = applied(mapping, tree("A", boxes=(("CN", "X1"), ("TE", "X2"), ("CN", "X3"))))
    assert [(one.text, one.get("kind")) for one in document.findall("{urn:t&}Port")] == [("CNTXG", "11")]
    boxes = [[child.text for child in box] for box in document.findall("{urn:t&}Box")]
    assert boxes == [["X1", "N1"], ["X3", "N1"]]
    assert findings == [] and schema.check(document) == []


def test_a_reader_below_a_loop_sees_only_its_own_item(facts: EdifactFacts) -> None:
    node = tree("A", boxes=(("CN", "X1"), ("CN", "X2")))
    numbers = reader("EQD/C237/8260", facts, below="SG2")
    assert [numbers(group) for group in reader("SG2", facts)(node)] == [["X1"], ["X2"]]
