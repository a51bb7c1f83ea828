"""The gate refuses what is harmful; the schema tells what is wrong and what there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.errors import DeclarationError
from hub.xml.gate import Limits, parse
from hub.xml.schema import Schema

SCHEMAS = Path(__file__).parents[3] / "schemas"
LAUGHS = b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'
XXE = b'<?xml version="1.0"?><!-- <x> --><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "xml.empty"),
        (b"<a>", "xml.truncated"),
        (b"<a>&x;</a>", "xml.not_well_formed"),
        (LAUGHS, "xml.dtd"),
        (XXE, "xml.dtd"),
        (XXE.decode().replace('"1.0"', '"1.0" encoding="UTF-16"').encode("utf-16"), "xml.dtd"),
        (b'<?xml version="1.0" encoding="UTF-7"?><a/>', "xml.encoding"),
        (b'<?xml version="1.0" encoding="UTF-16"?><a/>', "xml.encoding"),
        (b"<a>\xff</a>", "xml.undecodable"),
        (b"<a>" * 101 + b"</a>" * 101, "xml.too_deep"),
        (b"<a>" + b"<b/>" * 60 + b"</a>", "xml.too_many_elements"),
        (b"<a>" + b" " * 5000 + b"</a>", "xml.too_large"),
    ],
)
def test_refused(data: bytes, code: str) -> None:
    root, findings = parse(data, Limits(size=4000, elements=150 if code == "xml.too_deep" else 50))
    assert root is None and [f.code for f in findings] == [code]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030", "gbk", "gb2312"])
def test_accepted_encodings(encoding: str) -> None:
    root, findings = parse(f'<?xml version="1.0" encoding="{encoding}"?><a>港口</a>'.encode(encoding))
    assert findings == [] and root is not None and root.text == "港口"


def test_deepest_allowed() -> None:
    assert parse(b"<a>" * 100 + b"</a>" * 100)[1] == []


XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:p" xmlns="urn:p"
 elementFormDefault="qualified"><xs:element name="Manifest"><xs:complexType><xs:sequence>
<xs:element name="Number"><xs:simpleType><xs:restriction base="xs:string"><xs:maxLength value="3"/></xs:restriction>
</xs:simpleType></xs:element><xs:element name="Line" type="Line" minOccurs="0"/></xs:sequence>
<xs:attribute name="id" use="required"/></xs:complexType></xs:element>
<xs:complexType name="Line"><xs:sequence><xs:element name="Line" type="Line" minOccurs="0"/></xs:sequence>
</xs:complexType></xs:schema>"""


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    (tmp_path / "m.xsd").write_text(XSD, "utf-8")
    return Schema(tmp_path / "m.xsd")


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ('<Manifest xmlns="urn:p" id="1"><Number>1</Number></Manifest>', []),
        ('<Manifest xmlns="urn:p" id="1"><Number>1234</Number></Manifest>', ["xml.value"]),
        ('<Manifest xmlns="urn:p" id="1"/>', ["xml.element_missing"]),
        ('<Manifest xmlns="urn:p"><Number>1</Number></Manifest>', ["xml.attribute"]),
        ('<Manifest xmlns="urn:p" id="1"><Numbr>1</Numbr></Manifest>', ["xml.element_unexpected"]),
    ],
)
def test_schema_findings(schema: Schema, body: str, codes: list[str]) -> None:
    root, _ = parse(body.encode())
    assert root is not None
    assert [f.code for f in schema.check(root)] == codes
    assert bool(schema.explain(body.encode())) == bool(codes)


def test_schema_paths(schema: Schema) -> None:
    assert schema.namespace == "urn:p"
    assert schema.children() == ["Manifest"] and schema.children(("Manifest",)) == ["Number", "Line", "@id"]
    assert schema.has(("Manifest", "Line", "Line", "Line")) and schema.has(("Manifest", "@id"))
    assert not schema.has(("Manifest", "Nmber")) and not schema.has(("Manifest", "@idd")) and not schema.has(())
    with pytest.raises(KeyError, match="Manifest/Nmber"):
        schema.children(("Manifest", "Nmber"))


def walk(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every path that xmlschema knows, six levels deep."""
    for name in schema.children(path):
        yield (*path, name)
        if name[0] != "@" and len(path) < 5:
            yield from walk(schema, (*path, name))


@pytest.mark.parametrize("file", sorted(SCHEMAS.rglob("*.xsd")), ids=lambda p: p.stem)
def test_the_outline_finds_what_xmlschema_finds(file: Path) -> None:
    schema = Schema(file)
    known = set(walk(schema))
    found = {path for path in known if schema._outline.has(path)}
    assert {path for path in known - found if path[-1][0] != "@"} == set()
    assert all(schema.has(path) for path in known)
    assert not any(schema._outline.has((*path[:-1], "Nowhere")) for path in known)


TRICKY = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:p" xmlns="urn:p"
 elementFormDefault="qualified">
<xs:include schemaLocation="b.xsd"/>
<xs:element name="Root"><xs:complexType><xs:complexContent><xs:extension base="Base"><xs:sequence>
<xs:choice><xs:element name="One" type="xs:string"/><xs:sequence><xs:element ref="Shared"/></xs:sequence></xs:choice>
<xs:group ref="Grouped"/><xs:element name="Never" type="xs:string" minOccurs="0" maxOccurs="0"/>
<xs:element ref="Head"/><xs:element name="Narrow" type="Narrow"/>
</xs:sequence><xs:attribute name="own"/></xs:extension></xs:complexContent></xs:complexType></xs:element>
<xs:element name="Head" type="xs:string" abstract="true"/>
<xs:element name="Member" type="xs:string" substitutionGroup="Head"/>
<xs:group name="Grouped"><xs:sequence><xs:element name="InGroup" type="xs:string"/></xs:sequence></xs:group>
<xs:complexType name="Narrow"><xs:complexContent><xs:restriction base="Base"><xs:sequence>
</xs:sequence><xs:attribute name="base" use="prohibited"/></xs:restriction></xs:complexContent></xs:complexType>
</xs:schema>"""
INCLUDED = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:p" xmlns="urn:p"
 elementFormDefault="qualified"><xs:complexType name="Base"><xs:sequence>
<xs:element name="Below" type="xs:string" minOccurs="0"/></xs:sequence><xs:attribute name="base"/></xs:complexType>
<xs:element name="Shared"><xs:complexType><xs:sequence><xs:element name="Deep" type="xs:string"/></xs:sequence>
</xs:complexType></xs:element></xs:schema>"""


@pytest.fixture
def tricky(tmp_path: Path) -> Schema:
    (tmp_path / "b.xsd").write_text(INCLUDED, "utf-8")
    (tmp_path / "m.xsd").write_text(TRICKY, "utf-8")
    return Schema(tmp_path / "m.xsd")


@pytest.mark.parametrize(
    ("path", "plain", "there"),
    [
        ("Root/One", True, True),
        ("Root/Shared/Deep", True, True),
        ("Root/Below", True, True),
        ("Root/@base", True, True),
        ("Root/@own", True, True),
        ("Shared/Deep", True, True),
        ("Root/InGroup", False, True),
        ("Root/Never", False, False),
        ("Root/Narrow/Below", False, False),
        ("Root/Narrow/@base", False, False),
        ("Root/Deep", False, False),
        ("Base", False, False),
        ("Root/#text", False, False),
    ],
)
def test_what_the_outline_does_not_find_is_asked_of_xmlschema(
    tricky: Schema, path: str, plain: bool, there: bool
) -> None:
    steps = tuple(path.split("/"))
    assert tricky._outline.has(steps) is plain
    assert ("_model" in vars(tricky)) is False
    assert tricky.has(steps) is there
    assert ("_model" in vars(tricky)) is (not plain and "#" not in path)


def test_the_outline_of_a_redefined_schema_is_empty(tmp_path: Path) -> None:
    (tmp_path / "b.xsd").write_text(INCLUDED, "utf-8")
    redefine = (
        '<xs:redefine schemaLocation="b.xsd"><xs:complexType name="Base"><xs:complexContent><xs:extension base="Base">'
        '<xs:attribute name="more"/></xs:extension></xs:complexContent></xs:complexType></xs:redefine>'
    )
    (tmp_path / "m.xsd").write_text(TRICKY.replace('<xs:include schemaLocation="b.xsd"/>', redefine), "utf-8")
    schema = Schema(tmp_path / "m.xsd")
    assert not schema._outline.has(("Root", "One")) and schema.has(("Root", "One")) and schema.has(("Root", "@more"))


def test_schema_from_the_network_is_refused(tmp_path: Path) -> None:
    include = '<xs:include schemaLocation="http://localhost/x.xsd"/><xs:element'
    (tmp_path / "m.xsd").write_text(XSD.replace("<xs:element", include, 1), "utf-8")
    with pytest.raises(DeclarationError, match="relative"):
        Schema(tmp_path / "m.xsd")
