"""The reference page: everything is in it, nothing of it can be obeyed, every link leads somewhere."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import xmlschema
from lxml import etree, html
from typer.testing import CliRunner

from hub.catalogue import LANGUAGES
from hub.standards import sheets
from hub.standards.codelist import Binding, CodeList, Entry
from hub.standards.doc import Reference, page
from hub.standards.identifiers import IDENTIFIERS

ROOT = Path(__file__).parents[3]
DAY = date(2026, 11, 23)
EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:p" xmlns="urn:p"
 elementFormDefault="qualified"><xs:element name="Doc"><xs:annotation><xs:documentation xml:lang="zh">单证
 甲</xs:documentation><xs:documentation xml:lang="en">A document</xs:documentation></xs:annotation>
 <xs:complexType><xs:sequence>
 <xs:element name="One" type="xs:string"/>
 <xs:choice maxOccurs="2"><xs:element name="Left" type="Short"/><xs:element name="Right" type="xs:date"/></xs:choice>
 <xs:sequence minOccurs="0" maxOccurs="unbounded"><xs:element name="Box" type="Box"/></xs:sequence>
 <xs:element name="Never" type="xs:string" minOccurs="0" maxOccurs="0"/>
 </xs:sequence><xs:attribute name="id" type="xs:ID" use="required"/><xs:attribute name="more"/></xs:complexType>
</xs:element>
<xs:simpleType name="Short"><xs:annotation><xs:documentation xml:lang="en">A short one</xs:documentation>
 </xs:annotation><xs:restriction base="xs:token">
 <xs:minLength value="1"/><xs:maxLength value="3"/><xs:pattern value="[a-z]+"/>
 </xs:restriction></xs:simpleType>
<xs:complexType name="Box"><xs:sequence><xs:element name="Weight"><xs:simpleType><xs:restriction base="xs:decimal">
 <xs:minInclusive value="0"/><xs:fractionDigits value="2"/></xs:restriction></xs:simpleType></xs:element>
 <xs:element name="Kind" minOccurs="0"><xs:simpleType><xs:restriction base="xs:token"><xs:enumeration value="x"/>
 <xs:enumeration value="y"/></xs:restriction></xs:simpleType></xs:element>
 <xs:element name="Box" type="Box" minOccurs="0"/></xs:sequence></xs:complexType></xs:schema>"""


def test_rows_say_what_the_schema_says() -> None:
    rows = sheets.rows(xmlschema.XMLSchema(XSD).elements["Doc"])
    said = [(row.depth, row.name, row.occurs, row.kind, row.facets, row.choice) for row in rows]
    assert said == [
        (0, "Doc", "1", "", (), False),
        (1, "@id", "1", "xs:ID", (), False),
        (1, "@more", "0..1", "xs:anySimpleType", (), False),
        (1, "One", "1", "xs:string", (), False),
        (1, "Left", "0..2", "Short", ("[a-z]+", "1..3"), True),
        (1, "Right", "0..2", "xs:date", (), True),
        (1, "Box", "0..n", "", (), False),
        (2, "Weight", "1", "xs:decimal", ("≥ 0", "decimals ≤ 2"), False),
        (2, "Kind", "0..1", "xs:token", ("x | y",), False),
        (2, "Box", "0..1", "Box", (), False),
    ]
    assert rows[0].said == ("单证 甲", "A document")
    assert rows[4].said == ("", "A short one")


def evil() -> Reference:
    row = sheets.Row(0, EVIL, "1", EVIL, facets=(EVIL,), said=(EVIL, EVIL))
    document = sheets.Document(EVIL, (EVIL, EVIL), (EVIL, EVIL), EVIL, EVIL, (row,))
    message = sheets.Message(EVIL, (EVIL, EVIL), EVIL, EVIL, EVIL)
    codes = CodeList(EVIL, (Entry(EVIL, None, DAY, EVIL, EVIL),), EVIL, EVIL, EVIL, (Binding((EVIL,), EVIL, EVIL),))
    guide = sheets.Sheet(EVIL, EVIL, EVIL, ((EVIL, EVIL, EVIL),))
    kind = sheets.Type(EVIL, EVIL, (EVIL,), (EVIL, EVIL))
    return Reference((EVIL, EVIL), DAY, EVIL, (document,), (message,), (kind,), (codes,), (guide,))


def parsed(text: str) -> Any:
    return html.document_fromstring(text)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_whatever_was_written_is_shown_and_never_obeyed(lang: str) -> None:
    tree = parsed(page(evil(), lang))
    assert not tree.xpath("//script | //img | //*[@onerror or @onclick or @src]")
    assert [style.text.strip()[:5] for style in tree.iter("style")] == [":root"]
    assert len(tree.xpath("//td[contains(., '<script>')]")) > 8
    assert tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0].startswith("default-src 'none'")


@pytest.fixture(scope="module", params=LANGUAGES)
def shipped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What the command writes of the reference site: language, page."""
    from hub.cli import app

    out = tmp_path_factory.mktemp("doc") / "standards.html"
    said = ["standards", "doc", "--site", str(ROOT), "--lang", request.param, "-o", str(out)]
    done = CliRunner().invoke(app, said)
    assert done.exit_code == 0, done.output
    return request.param, out.read_text("utf-8")


def test_the_page_stands_alone_and_every_link_leads_somewhere(shipped: tuple[str, str]) -> None:
    lang, text = shipped
    tree = parsed(text)
    assert tree.get("lang") == lang
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    links = tree.xpath("//a/@href")
    assert len(links) > 60
    assert {link[1:] for link in links} <= set(ids) and all(link.startswith("#") for link in links)
    assert not tree.xpath("//link | //script | //*[@src]")
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", text)


def test_the_page_has_every_document_identifier_and_code(shipped: tuple[str, str]) -> None:
    lang, text = shipped
    cells = {cell.text_content().strip() for cell in parsed(text).iter("td")}
    assert {one.example for one in IDENTIFIERS.values()} <= cells
    declared = {
        node.get("name", "")
        for path in (ROOT / "schemas").glob("*/*.xsd")
        for node in etree.parse(path).iter("{http://www.w3.org/2001/XMLSchema}element")
    }
    assert declared <= cells
    assert {"CNY", "KGM", "22G1", "2022-12-31"} <= cells
    assert {"zh": "人民币", "en": "Yuan renminbi"}[lang] in cells
    assert {"zh": "Yuan renminbi", "en": "人民币"}[lang] not in cells
