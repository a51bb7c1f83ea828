"""What a schema's files say of a document's shape, and what records could not hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from hub.records.shape import Item, shape
from hub.xml.schema import Schema

ROOT = Path(__file__).parents[3]
HEAD = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">'


def of(body: str) -> Item:
    return shape([etree.fromstring(f"{HEAD}{body}</xs:schema>")], "", "R")


def content(body: str) -> str:
    return f'<xs:element name="R"><xs:complexType>{body}</xs:complexType></xs:element>'


def test_order_repeats_and_kinds_of_values(root: Item) -> None:
    box = root.children["Box"]
    assert root.names() == ["Number", "Ship", "Box"] and box.names() == ["Id", "Weight", "Seal", "@empty"]
    assert box.repeats and box.optional and box.children["Seal"].repeats and not box.children["Weight"].repeats
    assert not root.children["Number"].optional and root.children["Ship"].attributes["imo"].value == "number"
    assert box.attributes["empty"].value == "boolean" and box.children["Weight"].value == "number"
    assert root.value == "" and root.children["Ship"].tag == "{urn:example:list:1}Ship"


@pytest.mark.parametrize("path", sorted((ROOT / "schemas").glob("*/*.xsd")), ids=lambda path: path.name)
def test_it_sees_what_xmlschema_sees(path: Path) -> None:
    """xmlschema knows all of XML Schema; every schema of the site must come out alike."""
    schema = Schema(path)
    for name in schema.children():
        pairs = [((name,), shape(schema.files, schema.namespace, name))]
        for above, item in pairs:
            assert item.names() == schema.children(above)
            pairs += [((*above, child.name), child) for child in item.children.values()]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (content('<xs:sequence maxOccurs="9"><xs:element name="A"/><xs:element name="B"/></xs:sequence>'), "order of"),
        (
            content(
                '<xs:sequence><xs:element name="A"/><xs:element name="B" type="xs:string"/>'
                '<xs:element name="A"/></xs:sequence>'
            ),
            "A at two places",
        ),
        ('<xs:element name="R"><xs:complexType mixed="true"/></xs:element>', "mixed"),
        (content('<xs:sequence><xs:element ref="S"/></xs:sequence>'), "not declared"),
        (content('<xs:sequence><xs:element name="A"/></xs:sequence>'), "A has no type"),
        ('<xs:element name="R" type="xs:string"/><xs:element name="S" substitutionGroup="R"/>', "element S"),
        ('<xs:redefine schemaLocation="x.xsd"/>', "redefine"),
    ],
)
def test_what_no_record_can_hold_is_refused(body: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        of(body)


def test_choices_groups_and_references() -> None:
    made = of(
        '<xs:group name="G"><xs:sequence><xs:element name="C" type="xs:int"/></xs:sequence></xs:group>'
        '<xs:element name="B" type="xs:boolean"/><xs:attribute name="q" type="xs:date"/>'
        + content(
            '<xs:choice><xs:element name="A" type="xs:string"/><xs:element ref="B" maxOccurs="3"/></xs:choice>'
            '<xs:attribute ref="q"/>'
        ).replace("</xs:choice>", '<xs:group ref="G" minOccurs="0"/><xs:any/></xs:choice>')
    )
    assert made.names() == ["A", "B", "C", "@q"]
    assert all(child.optional for child in made.children.values())
    assert made.children["B"].repeats and made.children["C"].value == "number"
