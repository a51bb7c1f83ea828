"""Whatever a document says comes back from every form of it; whatever bytes come in, reading never raises."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from hub.finding import rejects
from hub.records.tree import Form
from tests.unit.records.conftest import CSV, FLAT, JSON, ROOT

SPACE = "{urn:example:list:1}"
LETTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn"))
VALUES = st.text(LETTERS | st.sampled_from("\t\n\r,;:'\"?+=-@{}[]\\ "), min_size=1, max_size=8)
DIGITS = st.sampled_from(["0", "-1", "8460.10", "1E5", "007", "+3", ".5", "123456789012345678901234567890", "INF"])
TRUTHS = st.sampled_from(["true", "false", "1", "0", " true"])
FORMS = pytest.mark.parametrize("form", [JSON, CSV, FLAT], ids=["json", "csv", "flat"])


@st.composite
def documents(draw: Any, everything: bool) -> etree._Element:
    """A List; `everything`: also what has no column in a line."""

    def add(above: etree._Element, name: str, values: st.SearchStrategy[str], *attributes: Any) -> None:
        made = etree.SubElement(above, SPACE + name)
        made.text = draw(values)
        for attribute, of in attributes:
            if draw(st.booleans()):
                made.set(attribute, draw(of))

    top = etree.Element(f"{SPACE}List", nsmap={None: SPACE[1:-1]})
    add(top, "Number", VALUES)
    if draw(st.booleans()):
        ship = etree.SubElement(top, f"{SPACE}Ship")
        ship.set("imo", draw(DIGITS))
        add(ship, "Name", VALUES)
        if everything and draw(st.booleans()):
            add(ship, "Flag", VALUES)
    for _ in range(draw(st.integers(0, 3))):
        box = etree.SubElement(top, f"{SPACE}Box")
        if draw(st.booleans()):
            box.set("empty", draw(TRUTHS))
        add(box, "Id", VALUES)
        if draw(st.booleans()):
            add(box, "Weight", DIGITS, ("unit", VALUES))
        for _ in range(draw(st.integers(0, 2)) if everything else 0):
            add(box, "Seal", VALUES | st.just(""))
    return top


def same(one: etree._Element, other: etree._Element) -> bool:
    return etree.tostring(one, method="c14n") == etree.tostring(other, method="c14n")


def back(form: Form, document: etree._Element) -> etree._Element:
    data, lost = form.write(document)
    assert lost == []
    read = form.read(data)
    assert read.findings == () and [one.findings for one in read.documents] == [()]
    [one] = read.documents
    assert one.data == data and len(one.spots) == len(list(one.root.iter()))
    return one.root


@given(documents(everything=True))
@settings(max_examples=150, deadline=None)
def test_json_and_flat_records_hold_every_document(document: etree._Element) -> None:
    assert same(back(JSON, document), document)
    assert same(back(FLAT, document), document)


@given(documents(everything=False))
@settings(max_examples=150, deadline=None)
def test_csv_holds_every_document_that_has_a_column_for_each_value(document: etree._Element) -> None:
    assert same(back(CSV, document), document)


@FORMS
@given(data=st.binary(max_size=80))
@settings(max_examples=150, deadline=None)
def test_reading_never_raises(form: Form, data: bytes) -> None:
    read = form.read(data)
    assert read.documents or rejects(read.findings)


@FORMS
@given(everything=documents(everything=True), plain=documents(everything=False), draw=st.data())
@settings(max_examples=150, deadline=None)
def test_damage_never_raises_and_every_finding_is_in_the_file(
    form: Form, everything: etree._Element, plain: etree._Element, draw: Any
) -> None:
    data = bytearray(form.write(plain if form is CSV else everything)[0])
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(data) - 1))
        data[at : at + draw.draw(st.integers(0, 3))] = draw.draw(st.binary(max_size=3) | st.sampled_from([b'"', b"'"]))
        data = data or bytearray(b" ")
    read = form.read(bytes(data))
    every = [*read.findings, *(finding for one in read.documents for finding in one.findings)]
    assert all(finding.place.offset is not None and finding.place.offset <= len(data) for finding in every)
    assert all(one.root.tag == ROOT.tag for one in read.documents)
