"""The data-loss report: places of the sources that no rule reads, by the standard and by what messages hold."""

from __future__ import annotations

from typing import Any

import pytest

from hub.mapping.checking.loss import lost, unread
from hub.mapping.compile import Facts

from .conftest import Made, cuscar, order
from .test_mapping_page import DOCUMENT

MESSAGE = (
    "BGM+785+MF1+9'NAD+CA+TJLINE::ZZZ++TIANJIN LINE'NAD+CN+OTHER'"
    "CNI+1'RFF+BM:BL1'NAD+CZ+++BUSAN TEXTILE'GID+1+10:CT'CNI+2'RFF+BM:BL2'GID+1'"
)
TEXT = """from: cuscar
to: report
document:
  Report:
    Number: BGM/1004
    Name: NAD[3035=CA]/C082/3039
    Bill: {each: SG4, Number: SG5/RFF/C506/1154, Party: {at: "SG5/SG7[NAD/3035=CZ]", Name: NAD/C080/3036}}
"""


@pytest.fixture(scope="module")
def places(made: Made, kinds: dict[str, Facts]) -> dict[str, bool]:
    return {one.path: one.required for one in unread(made(TEXT).rules, {"": kinds["cuscar"]})}


def test_a_group_or_a_segment_of_which_nothing_is_read_is_one_place(places: dict[str, bool]) -> None:
    assert {"SG1", "SG2", "FTX", "SG4/CNI", "SG4/SG5/SG10", "BGM/1225"} <= places.keys()
    assert not [path for path in places if path.startswith(("SG1/", "UNH", "UNT"))]
    assert places["SG4/SG5/SG10"] and not places["FTX"]


def test_of_what_is_read_in_part_the_rest_is_told(places: dict[str, bool]) -> None:
    assert {"SG4/SG5/RFF/C506/1153", "NAD/C082/3055", "SG4/SG5/SG7/NAD/C059"} <= places.keys()
    read = {"BGM/1004", "NAD/3035", "NAD/C082/3039", "SG4/SG5/RFF/C506/1154", "SG4/SG5/SG7/NAD/3035"}
    assert not read & places.keys()


def test_a_whole_composite_is_read_with_all_its_components(made: Made, kinds: dict[str, Any]) -> None:
    rules = made('from: cuscar\nto: report\ndocument:\n  Report: {Day: {from: "DTM[2005=137]/C507", as: date}}\n').rules
    assert not [one.path for one in unread(rules, {"": kinds["cuscar"]}) if one.path.startswith("DTM")]


def test_values_of_a_message_that_nobody_reads(made: Made, kinds: dict[str, Any]) -> None:
    found = lost(made(TEXT).rules, {"": kinds["cuscar"]}, {"": cuscar(MESSAGE, kinds)})
    assert {one.path: one.sample for one in found} == {
        "BGM[1001=785]/C002/1001": "785",
        "BGM[1001=785]/1225": "9",
        "NAD[3035=CA]/C082/3055": "ZZZ",
        "NAD[3035=CA]/C080/3036": "TIANJIN LINE",
        "NAD[3035=CN]/C082/3039": "OTHER",  # only that of CA is read
        "SG4/CNI/1490": "1",
        "SG4/SG5/RFF[1153=BM]/C506/1153": "BM",
        "SG4/SG5/SG10/GID/1496": "1",
        "SG4/SG5/SG10/GID/C213/7224": "10",
        "SG4/SG5/SG10/GID/C213/7065": "CT",
    }


def test_a_document_and_several_sources(made: Made, kinds: dict[str, Any]) -> None:
    text = (
        "from: {ship: cuscar, shop: order}\nto: report\ndocument:\n"
        "  Report: {Number: 'shop:Order/Number', Name: 'ship:BGM/1004', Item: {each: 'shop:Order/Line', Text: Goods}}\n"
    )
    mapping = made(text)
    sources = {alias: kinds[kind] for alias, kind in mapping.sources.items()}
    shop = [one.path for one in unread(mapping.rules, sources) if one.alias == "shop"]
    assert shop == [
        *(f"Order/{name}" for name in ("Due", "Buyer", "Kind", "Text")),
        *(f"Order/Line/{name}" for name in ("Box", "Weight", "@no")),
        "Order/Box",
    ]
    found = lost(mapping.rules, sources, {"ship": cuscar(MESSAGE, kinds), "shop": order(DOCUMENT)})
    held = {one.path: one.sample for one in found if one.alias == "shop"}
    assert held["Order/Line/@no"] == "1" and held["Order/Box/Id"] == "B1"
    assert not {"Order/Number", "Order/Line/Goods"} & held.keys()
