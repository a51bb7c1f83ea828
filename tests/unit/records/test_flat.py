"""Flat records: a tag, fields by position, and what belongs to what."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from hub.records.flat import FlatForm, problems
from hub.xml.schema import Schema
from tests.unit.records.conftest import FLAT, RECORDS, record

GOOD = "00:LIST:ANY'\r\n10:1:PEARL::9100310'\r\n51:A:true:5.5:KGM'\r\n52:S1'52:S2'51:B'\r\n99:7'"


def told(text: str, form: FlatForm = FLAT) -> list[tuple[str, int | None, str | None, int | None, str, str]]:
    """(code, record, tag, field, found, expected) of everything that is wrong."""
    read = form.read(text.encode())
    every = [*read.findings, *(finding for one in read.documents for finding in one.findings)]
    return [(f.code, f.place.segment, f.place.tag, f.place.element, f.found, f.expected) for f in every]


def test_records_become_the_document_and_are_written_again(schema: Schema) -> None:
    [one] = FLAT.read(GOOD.encode()).documents
    assert one.findings == () and schema.check(one.root) == []
    boxes = list(one.root.iterchildren("{*}Box"))
    assert [[child.text for child in box] for box in boxes] == [["A", "5.5", "S1", "S2"], ["B"]]
    wanted = GOOD.replace(":ANY", "").replace("'\r\n", "'").replace("'", "'\r\n")
    assert FLAT.write(one.root) == (wanted.encode(), [])


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (GOOD.replace("51:B", "50:B"), ("flat.unknown_record", 6, "50", None, "50", "00, 10, 51, 52, 99")),
        (GOOD.replace("00:LIST", "00:CREW"), ("flat.constant", 1, "00", 1, "CREW", "LIST")),
        (GOOD.replace("99:7", "99:8"), ("flat.count", 7, "99", 1, "8", "7")),
        (GOOD.replace("99:7'", ""), ("flat.missing_record", None, None, None, "", "99")),
        (
            GOOD.replace("51:A:true:5.5:KGM'", "").replace("99:7", "99:6"),
            ("flat.out_of_place", 3, "52", None, "52", "51"),
        ),
        (GOOD.replace("51:B", "10:2"), ("flat.twice", 6, "10", None, "10", "")),
        (GOOD.replace("KGM'", "KGM:x'"), ("flat.too_many_fields", 3, "51", 5, "x", "4")),
        (GOOD[:-1], ("flat.not_ended", None, None, None, "", "'")),
        (GOOD.replace("PEARL", "PEA\x01RL"), ("records.character", 2, "10", 2, "U+0001", "")),
    ],
)
def test_what_is_wrong_is_told_at_its_record_and_field(text: str, wrong: tuple[object, ...]) -> None:
    assert wrong in told(text)
    assert told(GOOD) == []


def test_a_file_without_the_record_of_the_root_is_no_document() -> None:
    read = FLAT.read(b"00:LIST'99:2'")
    assert read.documents == () and [finding.code for finding in read.findings] == ["flat.missing_record"]


def test_separators_in_values_are_released_and_without_an_escape_refused() -> None:
    text = GOOD.replace("PEARL", "A?:B?'C??")
    [one] = FLAT.read(text.encode()).documents
    assert one.root.findtext("{*}Ship/{*}Name") == "A:B'C?"
    assert b"10:1:A?:B?'C??::9100310'" in FLAT.write(one.root)[0]
    _, lost = replace(FLAT, escape="").write(one.root)
    assert [(finding.code, finding.found) for finding in lost] == [("records.unwritable", "A:B'C?")]


def test_a_line_may_be_a_record() -> None:
    form = replace(FLAT, terminator="\n", separator="|", escape="")
    data = GOOD.replace("'\r\n", "'").replace("'", "\r\n").replace(":", "|").encode()
    [one] = form.read(data).documents
    assert one.findings == () and one.root.findtext("{*}Box/{*}Id") == "A"
    assert form.read(form.write(one.root)[0]).documents[0].findings == ()
    name = next(one.root.iter("{*}Name"))
    name.text = "two\nlines"
    assert [finding.code for finding in form.write(one.root)[1]] == ["records.unwritable"]


def test_what_the_schema_finds_is_told_by_record_and_field(schema: Schema) -> None:
    data = GOOD.replace("5.5", "heavy").encode()
    [one] = FLAT.read(data).documents
    [finding] = one.placed(schema.check(one.root))
    assert (finding.place.tag, finding.place.segment, finding.place.element) == ("51", 3, 3)
    assert data[finding.place.offset or 0 :].startswith(b"heavy")


def test_a_value_that_no_field_holds_is_told_when_it_is_written() -> None:
    few = replace(FLAT, records=(RECORDS[0], record("10", (), "Number"), record("51", ("Box",), "Id")))
    _, lost = few.write(etree.fromstring(FLAT_XML))
    assert {finding.place.path for finding in lost} == {"List/Ship/Name", "List/Box/Seal"}


FLAT_XML = (
    '<List xmlns="urn:example:list:1"><Number>1</Number><Ship><Name>P</Name></Ship>'
    "<Box><Id>A</Id><Seal>1</Seal></Box></List>"
)


@pytest.mark.parametrize(
    ("changed", "at", "found", "expected"),
    [
        (record("51", ("Boxx",), "Id"), ("records", "51", "opens"), "Boxx", "Box"),
        (record("51", ("Box",), "Idd"), ("records", "51", "fields", 0), "Idd", "Id"),
        (record("51", ("Box",), "Id", "Seal"), ("records", "51", "fields", 1), "Seal", "nothing that repeats: Seal"),
        (record("51", None, "Id"), ("records", "51", "fields"), "Id", "opens: the element that it is below"),
        (record("51", (), "Number"), ("records",), "10, 51", "one record with opens: List"),
    ],
)
def test_paths_that_the_document_does_not_have(
    changed: object, at: tuple[object, ...], found: str, expected: str
) -> None:
    records = tuple(changed if one.tag == "51" else one for one in RECORDS)
    assert (at, found, expected) in list(problems(replace(FLAT, records=records)))
    assert list(problems(FLAT)) == []
    assert [keys for keys, _, _ in problems(replace(FLAT, separator="'"))] == [("separator",)]
