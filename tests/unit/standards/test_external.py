"""What the port's lists say of EDIFACT elements and of identifiers on one day."""

from __future__ import annotations

from datetime import date

import pytest

from hub.standards.codelist import Binding, CodeList, Entry
from hub.standards.external import External

COUNTRY = CodeList(
    "country",
    (Entry("CN"), Entry("AN", until=date(2010, 12, 15)), Entry("CW", date(2010, 12, 15))),
    en="Country",
    edifact=(Binding(("3207", "8453")), Binding(("3207",), "162", "5")),
)
SIZES = CodeList("size-type", (Entry("22G1"),), edifact=(Binding(("8155",), "102", "5"),))
UNITS = CodeList("unit", (Entry("KGM"),), edifact=(Binding(("6411",)),), refuses=False)
LISTS = (COUNTRY, SIZES, UNITS)


@pytest.mark.parametrize(
    ("asked", "codes"),
    [
        (("3207", "", ""), {"CN", "CW"}),
        (("8453", "", ""), {"CN", "CW"}),
        (("3207", "162", "5"), {"CN", "CW"}),
        (("3207", "162", ""), {"CN", "CW"}),  # the agency is left out as often as not
        (("3207", "162", "ZZZ"), None),
        (("3207", "", "ZZZ"), None),
        (("8155", "102", "5"), {"22G1"}),
        (("8155", "", ""), None),
        (("6411", "", ""), None),  # not whole: refuses nothing
        (("3225", "139", "6"), None),
    ],
)
def test_a_list_is_found_by_element_1131_and_3055(asked: tuple[str, str, str], codes: set[str] | None) -> None:
    found = External.of(LISTS, date(2026, 11, 23)).codes(*asked)
    assert (None if found is None else set(found)) == codes


def test_the_list_is_that_of_the_day() -> None:
    before, behind = (External.of(LISTS, day) for day in (date(2010, 12, 14), date(2010, 12, 16)))
    assert set(before.codes("3207", "", "") or ()) == {"CN", "AN"}
    assert set(behind.codes("3207", "", "") or ()) == {"CN", "CW"}
    assert before.check("country-code", "AN") is None
    assert "2010-12-16" in (behind.check("country-code", "AN") or "")


def test_an_identifier_must_be_right_and_on_its_list() -> None:
    external = External.of(LISTS, date(2026, 11, 23))
    assert (external.check("country-code", "XX") or "").endswith(": country")
    assert external.check("country-code", "cn") == "[A-Z]{2}"
    assert external.check("unit-code", "ZZZ") is None  # the list is not whole
    assert external.check("currency-code", "ZZZ") is None  # there is no list
    assert "check digit" in (external.check("imo-number", "9074720") or "")
    with pytest.raises(KeyError):
        external.check("nothing", "X")
