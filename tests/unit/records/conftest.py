"""A list of boxes, and the three forms in which it is read and written."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.records.csv import CsvForm
from hub.records.flat import FlatForm, Record, a_field
from hub.records.json import JsonForm
from hub.records.shape import Item, shape
from hub.xml.schema import Schema

SCHEMA = Schema(Path(__file__).with_name("example.xsd"))
ROOT = shape(SCHEMA.files, SCHEMA.namespace, "List")
COLUMNS = {"id": ("Id",), "empty": ("@empty",), "weight": ("Weight",), "unit": ("Weight", "@unit")}
HEAD = {"number": ("Number",), "ship": ("Ship", "Name"), "imo": ("Ship", "@imo")}
CSV = CsvForm(ROOT, ("Box",), COLUMNS, HEAD, ("number",))
JSON = JsonForm(ROOT)


def record(tag: str, opens: tuple[str, ...] | None, *fields: str) -> Record:
    return Record(tag, opens, tuple(a_field(text) for text in fields))


RECORDS = (
    record("00", None, "=LIST", ""),
    record("10", (), "Number", "Ship/Name", "Ship/Flag", "Ship/@imo"),
    record("51", ("Box",), "Id", "@empty", "Weight", "Weight/@unit"),
    record("52", ("Box", "Seal"), "."),
    record("99", None, "#records"),
)
FLAT = FlatForm(ROOT, RECORDS)


@pytest.fixture(scope="session")
def schema() -> Schema:
    return SCHEMA


@pytest.fixture(scope="session")
def root() -> Item:
    return ROOT
