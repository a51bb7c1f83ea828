"""JSON: what is no JSON, what is not the document's, and where."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from lxml import etree

from hub.finding import Finding
from hub.records import json as records
from hub.xml.schema import Schema
from tests.unit.records.conftest import JSON


def told(text: str | bytes) -> list[tuple[str, int | None, int | None, str, str]]:
    """(code, line, column, found, expected) of everything that is wrong."""
    read = JSON.read(text.encode() if isinstance(text, str) else text)
    every = [*read.findings, *(finding for one in read.documents for finding in one.findings)]
    return [(f.code, f.place.line, f.place.column, f.found, f.expected) for f in every]


def within(inner: str) -> str:
    return f'{{"List": {{"Number": "1",\n{inner}}}}}'


@pytest.mark.parametrize(
    ("inner", "code", "line", "column", "found"),
    [
        ('"Box": NaN', "json.syntax", 2, 8, "NaN"),
        ('"Box": 01', "json.syntax", 2, 8, "01"),
        ('"Box": 1.', "json.syntax", 2, 8, "1."),
        ("\"Box\": 'a'", "json.syntax", 2, 8, "'a'"),
        ('"Box": "a\tb"', "json.syntax", 2, 8, '"a\tb"}}'),
        ('"Box": "\\x"', "json.syntax", 2, 8, '"\\x"}}'),
        ('"Box": [1,]', "json.syntax", 2, 11, "]"),
        ('"Box": [],', "json.syntax", 2, 11, "}"),
        ('"Box" []', "json.syntax", 2, 7, "["),
        ('"Number": "2"', "json.duplicate_name", 2, 1, "Number"),
        ('"Bx": []', "json.unknown_name", 2, 1, "Bx"),
        ('"Ship": {"@IMO": 1}', "json.unknown_name", 2, 10, "@IMO"),
        ('"Ship": [{}]', "json.wrong_shape", 2, 9, "array"),
        ('"Ship": true', "json.wrong_shape", 2, 9, "true"),
        ('"Ship": {"Name": {"a": 1}}', "json.wrong_shape", 2, 18, "object"),
        ('"Box": [null]', "json.wrong_shape", 2, 9, "null"),
        ('"Ship": {"Name": "\\u0000"}', "records.character", 2, 18, "U+0000"),
        ('"Ship": {"Name": "\\ud800"}', "records.character", 2, 18, "U+D800"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(inner: str, code: str, line: int, column: int, found: str) -> None:
    [one] = told(within(inner))
    assert one[:4] == (code, line, column, found)


def test_a_name_that_is_nearly_right_is_named() -> None:
    assert told(within('"Shipp": {}'))[0][4] == "Ship"


@pytest.mark.parametrize("text", ["[]", "1", '{"Other": {}}', '{"List": {"Number": "1"}, "More": 1}'])
def test_the_outermost_object_has_the_root_alone(text: str) -> None:
    assert told(text)[0][0] == "json.wrong_shape"


@pytest.mark.parametrize(
    ("data", "code", "offset"),
    [(b'{"List": "\xff"}', "records.charset", 10), (b"{} {}", "json.syntax", 3), (b"{", "json.syntax", 1)],
)
def test_bytes_that_are_no_json_text(data: bytes, code: str, offset: int) -> None:
    [finding] = JSON.read(data).findings
    assert (finding.code, finding.place.offset) == (code, offset)


def test_the_offset_counts_bytes_and_the_mark_before_them() -> None:
    data = b"\xef\xbb\xbf" + within('"Ship": {"Name": "新港", "Flagg": "CN"}').encode()
    [finding] = JSON.read(data).documents[0].findings
    assert data[finding.place.offset :].startswith(b'"Flagg"')


def test_depth_and_number_of_values_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000):
        assert [(code, found, expected) for code, _, _, found, expected in told(text)] == [
            ("records.too_large", "100", "levels")
        ]
    monkeypatch.setattr(records, "MOST", 5)
    assert told(within('"Box": [1, 2, 3]'))[0][0] == "records.too_large"


def test_no_digit_is_lost_and_numbers_are_written_bare() -> None:
    weight = "12345678901234567890.10"
    read = JSON.read(within(f'"Box": [{{"Id": 0.10, "Weight": {weight}, "@empty": true}}]').encode()).documents[0]
    box = read.root[-1]
    assert (box[0].text, box[1].text, box.get("empty")) == ("0.10", weight, "true")
    said = json.loads(JSON.write(read.root)[0], parse_float=Decimal)["List"]["Box"][0]
    assert said == {"@empty": True, "Id": "0.10", "Weight": Decimal(weight)}


def test_null_is_nothing_and_one_of_several_needs_no_array() -> None:
    [one] = JSON.read(within('"Ship": null, "Box": {"Id": "A", "Seal": "S"}').encode()).documents
    assert one.findings == () and [child.tag.rpartition("}")[2] for child in one.root] == ["Number", "Box"]


def test_elements_stand_in_the_order_of_the_schema(schema: Schema) -> None:
    [one] = JSON.read(b'{"List": {"Box": {"Seal": "S", "Id": "A"}, "Number": "1"}}').documents
    assert schema.check(one.root) == []


def test_what_the_schema_finds_is_told_where_it_stands(schema: Schema) -> None:
    text = within('"Box": [{"Id": "A"},\n{"Id": "B", "Weight": "heavy"},\n{"Weight": 1}]')
    [one] = JSON.read(text.encode()).documents
    found: list[Finding] = one.placed(schema.check(one.root))
    assert [(f.code, f.place.line, f.place.column, f.place.path) for f in found] == [
        ("xml.value", 3, 23, "List/Box[2]/Weight"),
        ("xml.element_unexpected", 4, 12, "List/Box[3]/Weight"),
    ]


def test_what_has_no_name_in_the_schema_is_told_when_it_is_written() -> None:
    root = etree.fromstring('<List xmlns="urn:example:list:1"><Number>1</Number><S xmlns="urn:other"/></List>')
    _, lost = JSON.write(root)
    assert [(finding.code, finding.place.path) for finding in lost] == [("records.no_place", "List/S")]
