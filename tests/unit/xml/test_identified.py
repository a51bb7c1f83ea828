"""Identifiers in documents: found wherever their type stands, told once, with their path."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from hub.finding import Finding
from hub.standards.codelist import CodeList, Entry
from hub.standards.external import External
from hub.xml.gate import parse
from hub.xml.schema import Schema

COMMON = Path(__file__).parents[3] / "schemas" / "common"
HEAD = (
    '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:i="urn:eport:identifiers:1" xmlns="urn:p" '
    'targetNamespace="urn:p" elementFormDefault="qualified">'
    '<xs:import namespace="urn:eport:identifiers:1" schemaLocation="identifiers.xsd"/>'
)
XSD = (
    HEAD
    + """<xs:element name="Doc"><xs:complexType><xs:sequence>
 <xs:element name="Ship" type="i:imo-number" minOccurs="0" nillable="true"/>
 <xs:element name="Number" type="xs:token" minOccurs="0"/>
 <xs:element name="Box" type="Box" minOccurs="0" maxOccurs="9"/>
 <xs:element name="Account" minOccurs="0"><xs:complexType><xs:simpleContent><xs:extension base="Account">
  <xs:attribute name="bank" type="i:bic"/><xs:attribute name="party" type="Party"/>
 </xs:extension></xs:simpleContent></xs:complexType></xs:element>
 <xs:group ref="Grouped" minOccurs="0"/>
 <xs:element name="Country" type="i:country-code" minOccurs="0"/>
 <xs:element name="Either" minOccurs="0"><xs:simpleType><xs:union memberTypes="i:imo-number xs:token"/></xs:simpleType>
 </xs:element>
</xs:sequence></xs:complexType></xs:element>
<xs:group name="Grouped"><xs:sequence><xs:element name="Waybill" type="Waybill"/></xs:sequence></xs:group>
<xs:complexType name="Waybill"><xs:sequence><xs:element name="Number" type="i:air-waybill"/></xs:sequence>
</xs:complexType>
<xs:complexType name="Box"><xs:sequence><xs:element name="Number" type="i:container-number"/>
 <xs:element name="Box" type="Box" minOccurs="0"/></xs:sequence></xs:complexType>
<xs:simpleType name="Account"><xs:restriction base="British"/></xs:simpleType>
<xs:simpleType name="British"><xs:restriction base="i:iban"><xs:pattern value="GB.*"/></xs:restriction></xs:simpleType>
<xs:simpleType name="Party"><xs:restriction base="i:social-credit-code"/></xs:simpleType>
</xs:schema>"""
)


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    folder = tmp_path_factory.mktemp("xsd")
    (folder / "identifiers.xsd").write_bytes((COMMON / "identifiers.xsd").read_bytes())
    (folder / "p.xsd").write_text(XSD, "utf-8")
    return Schema(folder / "p.xsd")


def findings(schema: Schema, body: str, **more: External) -> list[Finding]:
    root, wrong = parse(f'<Doc xmlns="urn:p" xmlns:s="http://www.w3.org/2001/XMLSchema-instance">{body}</Doc>'.encode())
    assert root is not None and not wrong
    return schema.check(root, more["external"].check) if more else schema.check(root)


BOX = "<Box><Number>{}</Number>{}</Box>"


@pytest.mark.parametrize(
    ("body", "value", "title"),
    [
        ("<Ship>9074720</Ship>", "9074720", "IMO ship number"),
        ("<Ship> 9074<!-- -->720 </Ship>", "9074720", "IMO ship number"),
        (BOX.format("CSQU3054384", ""), "CSQU3054384", "Container number"),
        (BOX.format("CSQU3054383", BOX.format("CSQU3054384", "")), "CSQU3054384", "Container number"),
        ("<Account>GB82WEST12345698765431</Account>", "GB82WEST12345698765431", "IBAN"),
        (
            '<Account party="91350100M000100Y44">GB82WEST12345698765432</Account>',
            "91350100M000100Y44",
            "Unified social credit code",
        ),
        ("<Waybill><Number>020-12345676</Number></Waybill>", "020-12345676", "Air waybill number"),
    ],
)
def test_a_wrong_digit_is_found(schema: Schema, body: str, value: str, title: str) -> None:
    [finding] = findings(schema, body)
    assert (finding.code, finding.found, finding.args["title_en"]) == ("xml.identifier", value, title)
    assert "check digit" in finding.expected and finding.place.line == 1
    assert finding.place.path and finding.place.path.startswith("/*/")
    assert ("@party" in finding.place.path) == ("party=" in body)


@pytest.mark.parametrize(
    "body",
    [
        "<Ship>9074729</Ship><Number>9074720</Number>",  # a number of another element by that name is no identifier
        '<Ship s:nil="true"/>',
        "<Number>CSQU3054384</Number>" + BOX.format("CSQU3054383", ""),
        '<Account bank="BKCHCNBJ">GB82WEST12345698765432</Account>',
        "<Waybill><Number>020-12345675</Number></Waybill>",
        "<Either>9074720</Either>",
        "<Country>XX</Country>",  # a right form, and no list is asked
    ],
)
def test_what_is_right_or_no_identifier_passes(schema: Schema, body: str) -> None:
    assert findings(schema, body) == []


def test_a_wrong_form_is_told_by_the_schema_alone(schema: Schema) -> None:
    assert [f.code for f in findings(schema, "<Ship>907472</Ship>")] == ["xml.value"]
    both = findings(schema, f"<Ship>907472</Ship>{BOX.format('CSQU3054384', '')}")
    assert sorted(f.code for f in both) == ["xml.identifier", "xml.value"]


def test_a_code_is_judged_by_the_list_of_the_day(schema: Schema) -> None:
    listed = CodeList("country", (Entry("AN", until=date(2010, 12, 15)), Entry("CN")), en="Country")
    before, behind = (External.of([listed], day) for day in (date(2010, 1, 1), date(2026, 1, 1)))
    assert findings(schema, "<Country>AN</Country>", external=before) == []
    [finding] = findings(schema, "<Country>AN</Country>", external=behind)
    assert (finding.code, finding.found) == ("xml.identifier", "AN")
    assert "2026-01-01" in finding.expected and "country" in finding.expected


def test_paths_that_the_files_do_not_say_plainly_are_asked_of_xmlschema(schema: Schema) -> None:
    fresh = Schema(schema.path)
    assert findings(fresh, BOX.format("CSQU3054384", "")) and "_model" not in vars(fresh)
    assert findings(fresh, "<Waybill><Number>020-12345676</Number></Waybill>") and "_model" in vars(fresh)


def test_a_document_that_holds_itself_a_hundred_times_is_judged_to_the_bottom(schema: Schema) -> None:
    body = ""
    for depth in range(90):
        body = BOX.format("CSQU3054383" if depth else "CSQU3054384", body)
    assert [f.found for f in findings(schema, body)] == ["CSQU3054384"]
