"""The shared types: money and quantities have strict digits, times have their zone."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

COMMON = Path(__file__).parents[3] / "schemas" / "common"


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    names = ("Amount", "Money", "Quantity", "Number", "Weight", "Instant", "Day", "Count", "Version")
    elements = "".join(f'<xs:element name="{name}" type="t:{name}"/>' for name in names)
    return etree.XMLSchema(
        etree.fromstring(
            '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:eport:types:1"><xs:import '
            f'namespace="urn:eport:types:1" schemaLocation="{(COMMON / "types.xsd").as_uri()}"/>{elements}</xs:schema>'
        )
    )


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "Amount",
            "0 1 1.5 1234567890123.45 000.10",
            "-1 +1 .5 1. 1.234 1E+9 NaN INF １２ 1,000.00 1_000 12345678901234567",
        ),
        ("Weight", "0 16715.5 0.001 84.500", "-1 +1 .5 1.2345 1e3 NaN 1234567890123.4567"),
        ("Number", "0 123456789012345678.5", "-0 +0 0x1 INF"),
        ("Count", "0 99999999", "-1 1.0 100000000"),
        ("Version", "1 9999", "0 10000"),
        ("Day", "2026-11-23 2024-02-29", "2026-02-29 2026-11-23Z 2026-11-23+08:00 20261123 23.11.2026"),
        (
            "Instant",
            "2026-11-23T08:00:00+08:00 2026-11-23T00:00:00Z 2026-11-23T00:00:00.123-05:30",
            "2026-11-23T08:00:00 2026-11-23T08:00+08:00 2026-11-23 2026-13-01T00:00:00Z 12026-11-23T00:00:00Z",
        ),
    ],
)
def test_what_a_type_takes(schema: etree.XMLSchema, name: str, good: str, bad: str) -> None:
    for text, right in [*((one, True) for one in good.split(" ")), *((one, False) for one in bad.split(" "))]:
        root = etree.Element(name)
        root.text = text
        assert schema.validate(root.getroottree()) is right, text


@pytest.mark.parametrize(
    ("body", "right"),
    [
        ('<Money currency="CNY">1.50</Money>', True),
        ("<Money>1.50</Money>", False),
        ('<Money currency="cny">1.50</Money>', False),
        ('<Money currency="CNY">1.505</Money>', False),
        ('<Quantity unit="KGM">1.505</Quantity>', True),
        ('<Quantity unit="kilo">1.505</Quantity>', False),
    ],
)
def test_an_amount_has_its_currency_and_a_quantity_its_unit(schema: etree.XMLSchema, body: str, right: bool) -> None:
    assert schema.validate(etree.fromstring(body).getroottree()) is right
