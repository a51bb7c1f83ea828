"""Guides for XML kinds."""

from __future__ import annotations

import pytest
from lxml import etree

from hub.standards.guide import Guide
from hub.xml.schema import Schema
from tests.unit.standards.agreed import guide

XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:x" elementFormDefault="qualified">
<xs:element name="Cargo"><xs:complexType><xs:sequence>
 <xs:element name="Kind" type="xs:string"/>
 <xs:element name="Bill" maxOccurs="9"><xs:complexType><xs:sequence>
  <xs:element name="Number"><xs:simpleType><xs:restriction base="xs:string"><xs:maxLength value="8"/></xs:restriction>
  </xs:simpleType></xs:element>
  <xs:element name="Weight" type="xs:decimal"/>
  <xs:element name="Note" type="xs:string" minOccurs="0" maxOccurs="9"/>
 </xs:sequence><xs:attribute name="port" type="xs:string"/></xs:complexType></xs:element>
</xs:sequence></xs:complexType></xs:element></xs:schema>"""

CARGO = """<c:Cargo xmlns:c="urn:x"><c:Kind>IMPORT</c:Kind>
<c:Bill port="CNTXG"><c:Number>A1</c:Number><c:Weight>1.5</c:Weight><c:Note>x</c:Note></c:Bill>
<c:Bill><c:Number>A2</c:Number><c:Weight>2.5</c:Weight></c:Bill></c:Cargo>"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    file = tmp_path_factory.mktemp("xsd") / "cargo.xsd"
    file.write_text(XSD)
    return Schema(file)


def xml_guide(schema: Schema, rules: str) -> Guide:
    return guide(rules, "cargo", schema=schema)


@pytest.mark.parametrize("prefix", ["c:", ""])
@pytest.mark.parametrize(
    ("rule", "old", "new", "kept"),
    [
        ("{code: xml.value, at: Cargo/Bill/Number, as: ignore}", "A2", "A23456789", False),
        ("{code: xml.value, at: Cargo/Bill, as: ignore}", "A2", "A23456789", False),
        ("{code: xml.value, at: 'Cargo/Bill[Weight=2.5]', as: ignore}", "A2", "A23456789", False),
        ("{code: xml.value, at: 'Cargo/Bill[@port=CNTXG]', as: ignore}", "A2", "A23456789", True),
        ("{code: xml.value, at: Cargo/Bill/Weight, as: ignore}", "A2", "A23456789", True),
        ("{code: xml.value, values: [heavy], as: ignore}", "2.5", "heavy", False),
        ("{code: xml.value, values: [light], as: ignore}", "2.5", "heavy", True),
        ("{code: xml.element_missing, at: Cargo/Bill/Weight, as: ignore}", "<c:Weight>2.5</c:Weight>", "", False),
        ("{code: xml.element_missing, at: Cargo/Kind, as: ignore}", "<c:Weight>2.5</c:Weight>", "", True),
        ("{code: xml.attribute, at: Cargo/Bill, as: ignore}", "<c:Bill>", '<c:Bill x="1">', False),
        ("{code: xml.attribute, at: Cargo/Bill/@port, as: ignore}", "<c:Bill>", '<c:Bill x="1">', True),
    ],
)
def test_xml_findings_are_tolerated_by_path(
    schema: Schema, rule: str, old: str, new: str, kept: bool, prefix: str
) -> None:
    assert old in CARGO
    text = CARGO.replace(old, new)
    root = etree.fromstring(text if prefix else text.replace("c:", "").replace("xmlns:c", "xmlns"))
    findings = schema.check(root)
    assert findings
    assert bool(xml_guide(schema, f"tolerate: [{rule}]").checked(findings, root)) is kept


@pytest.mark.parametrize(
    ("rule", "code", "paths"),
    [
        ("{at: Cargo/Bill/@port, status: required}", "guide.required", 1),
        ("{at: Cargo/Bill/Note, status: required}", "guide.required", 1),
        ("{at: Cargo/Bill/Note, status: not-used}", "guide.not_used", 1),
        ("{at: 'Cargo/Bill[Number=A2]/Note', status: required}", "guide.required", 1),
        ("{at: 'Cargo/Bill[Number=A1]/Note', status: required}", "", 0),
        ("{at: Cargo/Kind, codes: [EXPORT]}", "guide.code", 1),
        ("{at: Cargo/Bill/Number, length: 3..8}", "guide.too_short", 2),
        ("{at: Cargo/Bill, repeat: 1}", "guide.repeats", 1),
        ("{at: Cargo/Bill/Note, status: required, when: Cargo/Bill/Weight = '2.5'}", "guide.condition", 1),
        ("{at: Cargo/Bill/Note, status: required, when: Cargo/Bill/@port}", "", 0),
        ("{at: Cargo/Bill/Note, status: required, when: Cargo/Kind != 'EXPORT'}", "guide.condition", 1),
    ],
)
def test_more_is_asked_of_xml_by_path(schema: Schema, rule: str, code: str, paths: int) -> None:
    root = etree.fromstring(CARGO)
    made = xml_guide(schema, f"narrow: [{rule}]").narrowed(root)
    assert [finding.code for finding in made] == [code] * paths
    assert all(root.getroottree().xpath(f.place.path, namespaces={"c": "urn:x"}) and f.place.line for f in made)
