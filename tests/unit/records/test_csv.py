"""CSV: headers, lines, several documents in a file, and what a line cannot say."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from hub.records import csv as records
from hub.records.csv import CsvForm, lines, problems
from hub.records.tree import Source
from hub.xml.schema import Schema
from tests.unit.records.conftest import COLUMNS, CSV, HEAD

TOP = "number,ship,imo,id,empty,weight,unit\n"


def told(text: str, form: CsvForm = CSV) -> list[tuple[str, int | None, int | None, str, str]]:
    """(code, line, column, found, expected) of everything that is wrong."""
    read = form.read(text.encode(form.charset))
    every = [*read.findings, *(finding for one in read.documents for finding in one.findings)]
    return [(f.code, f.place.line, f.place.column, f.found, f.expected) for f in every]


@given(st.lists(st.lists(st.text('a1,;"\r\n ', max_size=4), min_size=2, max_size=4), max_size=4))
@settings(max_examples=200, deadline=None)
def test_fields_are_those_of_pythons_module(rows: list[list[str]]) -> None:
    written = io.StringIO(newline="")
    csv.writer(written).writerows(rows)
    read = list(lines(Source(written.getvalue(), "utf-8"), ","))
    assert [[cell.text for cell in line.cells] for line in read] == rows
    assert "".join(written.getvalue()[line.at : line.end] for line in read) == written.getvalue()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (TOP.replace("weight", "wieght") + "1,,,A,,5,\n", ("csv.unknown_column", 1, 26, "wieght", "weight")),
        (TOP.replace("id,", "") + "1,,,,5,\n", ("csv.missing_column", 1, 1, "", "id")),
        (TOP.replace("ship", "imo") + "1,,,A,,5,\n", ("csv.twice", 1, 12, "imo", "")),
        (TOP, ("csv.no_lines", 2, 1, "", "")),
        (TOP + "1,,,A,,5,KGM,x\n", ("csv.too_many_fields", 2, 14, "8", "7")),
        (TOP + '1,,,"A\nB\n', ("csv.quote", 2, 5, '"A\nB\n', '"')),
        (TOP + '1,,,"A"B,,5,\n', ("csv.quote", 2, 8, "B", '""')),
        (TOP + "1,PEARL,,A\n1,PEARI,,B\n", ("csv.head_differs", 3, 3, "PEARI", "PEARL")),
        (TOP + "1,,,A\n2,,,A\n1,,,B\n", ("csv.scattered", 4, 1, "1", "2")),
        (TOP + "1,,,A\x00\n", ("records.character", 2, 5, "U+0000", "")),
    ],
)
def test_what_is_wrong_is_told_at_its_place(text: str, wrong: tuple[str, int, int, str, str]) -> None:
    assert told(text) == [wrong]


def test_columns_may_come_in_any_order_and_those_that_may_be_empty_may_be_missing() -> None:
    [one] = CSV.read(b"id,number\r\nA,1\r\n\r\nB,1\r\n").documents
    assert [child.findtext("{*}Id") for child in one.root.iterchildren("{*}Box")] == ["A", "B"]
    assert told("id,number\nA,1\n") == []


def test_a_line_without_a_row_is_a_document_without_rows(schema: Schema) -> None:
    [one] = CSV.read(f"{TOP}1,PEARL,,,,,\n".encode()).documents
    assert len(one.root) == 2 and schema.check(one.root) == []


def test_each_document_of_a_file_can_be_read_again_from_its_own_bytes() -> None:
    read = CSV.read(f"{TOP}1,P,,A\n1,P,,B\n2,Q,,C\n".encode())
    assert [one.data for one in read.documents] == [f"{TOP}1,P,,A\n1,P,,B\n".encode(), f"{TOP}2,Q,,C\n".encode()]
    for one in read.documents:
        [again] = CSV.read(one.data).documents
        assert etree.tostring(again.root) == etree.tostring(one.root)


def test_what_the_schema_finds_is_told_by_column(schema: Schema) -> None:
    data = f'\ufeff{TOP}1,"新\n港",,A,,heavy,\n1,"新\n港",,,,5,\n'.encode()
    [one] = CSV.read(data).documents
    [finding] = one.placed(schema.check(one.root))
    place = finding.place
    assert (finding.code, place.path, place.line, place.column) == ("xml.value", "weight", 3, 8)
    assert data[place.offset :].startswith(b"heavy")


def test_a_charset_a_delimiter_and_no_headers() -> None:
    form = replace(CSV, charset="gb18030", delimiter=";", named=False)
    [one] = form.read("1;渤海,轮;9100310;A\n".encode("gb18030")).documents
    assert one.root.findtext("{*}Ship/{*}Name") == "渤海,轮"
    assert form.write(one.root) == ("1;渤海,轮;9100310;A;;;\r\n".encode("gb18030"), [])
    _, lost = replace(form, charset="iso-8859-1").write(one.root)
    assert [(finding.code, finding.found) for finding in lost] == [("records.unwritable", "渤海")]
    [wrong] = CSV.read(TOP.encode() + "1,渤海".encode("gb18030")).findings
    assert (wrong.code, wrong.place.offset) == ("records.charset", len(TOP) + 2)


def test_formulas_are_guarded_only_where_that_is_asked() -> None:
    root = CSV.read(f'{TOP}1,=1+1,-5,@A,,-5.10,"+1 2"\n'.encode()).documents[0].root
    assert CSV.write(root)[0].splitlines()[1] == b"1,=1+1,-5,@A,,-5.10,+1 2"
    assert replace(CSV, guard=True).write(root)[0].splitlines()[1] == b"1,'=1+1,-5,'@A,,-5.10,'+1 2"


def test_what_has_no_column_is_told_when_it_is_written() -> None:
    text = (
        "<Number>1</Number><Ship><Name>P</Name><Flag>CN</Flag></Ship><Box><Id>A</Id><Seal>1</Seal><Seal>2</Seal></Box>"
    )
    root = etree.fromstring(f'<List xmlns="urn:example:list:1">{text}<Box/></List>')
    _, lost = CSV.write(root)
    assert [(finding.code, finding.place.path) for finding in lost] == [
        ("records.no_place", "Box"),
        ("records.no_place", "List/Ship/Flag"),
        ("records.no_place", "List/Box/Seal"),
    ]


def test_lines_columns_and_values_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told("a," * 2000)[0][0] == "records.too_large"
    monkeypatch.setattr(records, "MOST", 20)
    assert told(TOP + "1,,,A\n" * 9)[-1][0] == "records.too_large"


@pytest.mark.parametrize(
    ("form", "at", "found", "expected"),
    [
        (replace(CSV, row=("Boxx",)), ("row",), "Boxx", "Box"),
        (replace(CSV, row=("Ship",)), ("row",), "Ship", "a path that repeats"),
        (replace(CSV, row=("Box", "Seal"), columns={"s": ()}), ("row",), "Box/Seal", "nothing above that repeats: Box"),
        (replace(CSV, columns=COLUMNS | {"w": ("Wieght",)}), ("columns", "w"), "Wieght", "Weight"),
        (replace(CSV, columns=COLUMNS | {"s": ("Seal",)}), ("columns", "s"), "Seal", "nothing that repeats: Seal"),
        (replace(CSV, columns=COLUMNS | {"i": ("Id",)}), ("columns", "i"), "Id", "one column for each value"),
        (replace(CSV, head=HEAD | {"s": ("Ship",)}), ("head", "s"), "Ship", "@imo, Flag, Name"),
        (replace(CSV, split=("id",)), ("split",), "id", "imo, number, ship"),
    ],
)
def test_paths_that_the_document_does_not_have(form: CsvForm, at: tuple[str, ...], found: str, expected: str) -> None:
    assert (at, found, expected) in list(problems(form))
    assert list(problems(CSV)) == []
