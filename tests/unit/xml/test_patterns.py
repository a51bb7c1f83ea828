"""Patterns of schemas: what a backtracking engine would need hours for is told, everyday patterns are not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from lxml import etree

from hub.errors import DeclarationError
from hub.xml.patterns import explosive
from hub.xml.schema import Schema

SCHEMAS = Path(__file__).parents[3] / "schemas"

BAD = [
    "(a+)+b",
    "(a*)*b",
    "((a+)?)*b",
    "(a|a)*b",
    "(a|aa)+c",
    "(a|a?)+b",
    "(a|b|ab)*c",
    "([a-c]|[b-d])+z",
    "([^a]+|b)*c",
    "([a-zA-Z]+)*1",
    "(.*,)*x",
    "(x+x+)+y",
    "(\\d+\\s*)*:",
    "(\\w+\\.?)+@x",
    "(\\p{L}+\\s?)*!",
    "(\\i\\c*)+:",
    "(\\s*\\S+\\s*)+x",
    "([a-z-[x]]+)*1",
    "(([a-z])+.)+[A-Z]([a-z])+",
    "(a{1,50}){1,50}b",
    "(.{0,35}:){0,30}x",
    "(a?){30}a{30}",
]
GOOD = [
    "",
    ".*",
    "[0-9]{7}",
    "[A-Z]{3}[UJZ][0-9]{7}",
    ".+(Z|[+\\-][0-9]{2}:[0-9]{2})",
    "[A-Za-z0-9][A-Za-z0-9_.:-]{0,34}",
    "[\\-+]?[0-9]+(\\.[0-9]+)?",
    "(a|b)*c",
    "(ab|cd)+",
    "(a+b)+",
    "(a?b)*",
    "a*a*",
    "x{3,}",
    "([0-9]{3}-){2,40}x",
    "([0-9]+,){12}",
    "(\\d+,)*\\d+",
    "(\\c+ )*\\c+",
    "[^:]*(:[^:]*)*",
    "([^\\n]{0,512}\\n){0,99}",
    "([A-Z]{6}){9}",
    "[a-z-[aeiou]]+",
    "(\\p{Lu}\\p{Ll}*)+",
    "([a-c]|[d-f])+z",
    "[+*({]+",
    "\\(\\*\\)+",
]


@pytest.mark.parametrize("pattern", BAD)
def test_the_explosive_are_told(pattern: str) -> None:
    assert explosive(pattern)


@pytest.mark.parametrize("pattern", GOOD)
def test_the_everyday_are_not(pattern: str) -> None:
    assert not explosive(pattern)


@pytest.mark.parametrize("pattern", ["(", ")", "a{2", "a{x}", "[a", "(" * 5000, "a" * 401, "\\"])
def test_what_cannot_be_told_passes_for_explosive(pattern: str) -> None:
    assert explosive(pattern)


def test_a_long_pattern_is_judged_in_time() -> None:
    wide = "(" + "|".join(f"[a-z]{{{n}}}x{n}" for n in range(1, 20)) + ")*"
    start = time.process_time()
    explosive(wide)
    assert time.process_time() - start < 2


def test_every_shipped_pattern_passes() -> None:
    values = [
        facet.get("value", "")
        for path in SCHEMAS.rglob("*.xsd")
        for facet in etree.parse(path).iter("{http://www.w3.org/2001/XMLSchema}pattern")
    ]
    assert len(values) > 30
    assert [value for value in values if explosive(value)] == []


def test_a_schema_with_an_explosive_pattern_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "m.xsd").write_text(
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">\n<xs:simpleType name="T">'
        '<xs:restriction base="xs:string">\n<xs:pattern value="([a-z]|[x-z0-9])*!"/></xs:restriction></xs:simpleType>'
        "</xs:schema>",
        "utf-8",
    )
    with pytest.raises(DeclarationError) as caught:
        Schema(tmp_path / "m.xsd")
    [finding] = caught.value.findings
    assert (finding.code, finding.place.line) == ("site.bad_schema", 3)
