"""Identifiers: what is right passes, what is wrong does not, and there is one definition for schemas and mappings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from stdnum import imo, iso6346
from stdnum.cn import uscc

from hub.mapping.functions import FUNCTIONS
from hub.standards import identifiers
from hub.standards.identifiers import IDENTIFIERS, NAMES, check

FILE = Path(__file__).parents[3] / "schemas" / "common" / "identifiers.xsd"
XS = "http://www.w3.org/2001/XMLSchema"

PAIRS = [
    ("social-credit-code", "91350100M000100Y43", "91350100M000100Y4Z"),
    ("social-credit-code", "91350100M000100Y43", "91350100M000100Y44"),
    ("social-credit-code", "91350100M000100Y43", "91350100M000100Y5R"),  # the inner digit of the organisation code
    ("organisation-code", "D2143569-X", "D2143569-0"),
    ("organisation-code", "D2143569X", "D21435690"),
    ("identity-card", "11010519491231002X", "110105194912310021"),
    ("identity-card", "11010519491231002X", "110105194902300028"),  # 30 February
    ("customs-declaration", "020220251000000001", "020220252000000001"),
    ("customs-declaration", "123456789", "12345678"),
    ("tax-bill", "020220251000000001-A01", "020220251000000001A01"),
    ("customs-registration", "1207910001", "120791000"),
    ("customs-manual", "B02027000001", "B0202700001"),
    ("container-number", "CSQU3054383", "CSQU3054384"),
    ("container-number", "CSQU3054383", "CSQX3054383"),
    ("size-type", "22G1", "2G1"),
    ("size-type", "45R1", "45r1"),
    ("imo-number", "9074729", "9074720"),
    ("imo-number", "9074729", "９０７４７２９"),
    ("mmsi", "412345678", "41234567"),
    ("locode", "CNTXG", "CNTX"),
    ("locode", "CNTSN", "CNTS1"),
    ("air-waybill", "020-12345675", "020-12345676"),
    ("air-waybill", "02012345675", "02012345676"),
    ("bill-of-lading", "PUSTXG00001", "A" * 36),
    ("bill-of-lading", "PUSTXG00001", "PUS TXG"),
    ("iban", "GB82WEST12345698765432", "GB82WEST12345698765431"),
    ("iban", "GB82WEST12345698765432", "GB54WEST1234569876543"),  # its digits are right, its length is not
    ("lei", "529900T8BM49AURSDO55", "529900T8BM49AURSDO54"),
    ("bic", "BKCHCNBJ", "BKCH1NBJ"),
    ("bic", "BKCHCNBJ110", "BKCHCNBJ1"),
    ("gln", "5790000274017", "5790000274018"),
    ("sscc", "340123451234567895", "340123451234567894"),
    ("mrz-field", "L898902C36", "L898902C37"),
    ("mrz-field", "7408122", "7408123"),
    ("mrz-line", "L898902C36UTO7408122F1204159ZE184226B<<<<<10", "L898902C36UTO7408122F1204159ZE184226B<<<<<11"),
    ("mrz-line", "L898902C36UTO7408122F1204159<<<<<<<<<<<<<<<8", "L898902C36UTO7408123F1204159ZE184226B<<<<<10"),
    ("un-number", "1203", "12030"),
    ("imdg-class", "3", "10"),
    ("imdg-class", "1.4S", "4.4"),
    ("hs-code", "8471300000", "847130000"),
    ("country-code", "CN", "CHN"),
    ("currency-code", "CNY", "CN"),
    ("unit-code", "KGM", "kgm"),
    ("supervision-mode", "0110", "110"),
    ("levy-nature", "101", "0101"),
    ("transport-mode", "2", "20"),
    ("customs-unit", "035", "35"),
]


@pytest.mark.parametrize(("name", "good", "bad"), PAIRS)
def test_the_good_pass_and_the_bad_do_not(name: str, good: str, bad: str) -> None:
    assert check(name, good) is None
    assert check(name, bad)


def test_what_was_expected_names_the_digit_or_the_form() -> None:
    assert "check digit 9" in (check("imo-number", "9074720") or "")
    assert check("imo-number", "90747") == "[0-9]{7}"
    assert "M000100Y" in (check("social-credit-code", "91350100M000100Y5R") or "")
    assert "date" in (check("identity-card", "110105194902300028") or "")


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_has_two_titles_a_source_and_an_example_that_is_right(name: str) -> None:
    one = IDENTIFIERS[name]
    assert check(name, one.example) is None
    assert not one.zh.isascii() or one.zh.isupper()
    assert one.en.isascii() and one.source
    assert check(name, one.example + "\n") and check(name, " " + one.example)


def test_an_unknown_name_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        check("imo", "9074729")


DIGITS = st.text("0123456789", min_size=6, max_size=6)


@settings(max_examples=150, deadline=None)
@given(DIGITS, st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3), st.sampled_from("0123456789"))
def test_ships_and_containers_are_judged_as_stdnum_judges_them(number: str, owner: str, digit: str) -> None:
    assert (check("imo-number", number + digit) is None) == imo.is_valid(number + digit)
    container = f"{owner}U{number}{digit}"
    assert (check("container-number", container) is None) == iso6346.is_valid(container)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99_999_999))
def test_a_social_credit_code_with_both_digits_right_is_right_for_stdnum_too(number: int) -> None:
    organisation = next(
        f"{number:08}{d}" for d in "0123456789X" if check("organisation-code", f"{number:08}{d}") is None
    )
    body = f"91120116{organisation}"
    if check("social-credit-code", f"{body}0") != identifiers.IDENTIFIERS["social-credit-code"].pattern:
        right = [d for d in "0123456789ABCDEFGHJKLMNPQRTUWXY" if check("social-credit-code", body + d) is None]
        assert right == [uscc.calc_check_digit(body)]


@pytest.mark.parametrize("name", ["imo-number", "lei", "iban", "gln", "sscc", "identity-card", "mrz-field"])
def test_one_wrong_digit_anywhere_is_found(name: str) -> None:
    good = IDENTIFIERS[name].example
    body = range(len(good) - (2 if name == "lei" else 1))
    wrong = [good[:at] + str((int(good[at]) + 1) % 10) + good[at + 1 :] for at in body if good[at].isdigit()]
    assert all(check(name, one) for one in wrong)


def test_the_schema_file_is_made_from_the_table() -> None:
    assert FILE.read_text("utf-8") == identifiers.schema()


def test_xml_schema_and_python_read_a_pattern_alike() -> None:
    elements = "".join(f'<xs:element name="e-{name}" type="i:{name}"/>' for name in sorted(NAMES))
    xsd = (
        f'<xs:schema xmlns:xs="{XS}" xmlns:i="{identifiers.NAMESPACE}"><xs:import namespace="{identifiers.NAMESPACE}" '
        f'schemaLocation="{FILE.as_uri()}"/>{elements}</xs:schema>'
    )
    schema = etree.XMLSchema(etree.fromstring(xsd))
    for name, *values in PAIRS:
        for value in values:
            root = etree.Element(f"e-{name}")
            root.text = value
            assert schema.validate(root) == (check(name, value) != IDENTIFIERS[name].pattern), (name, value)


def made(name: str, value: str) -> str:
    return FUNCTIONS[name].make(None)(value, {})


def test_mappings_know_each_identifier_by_the_same_name() -> None:
    assert FUNCTIONS.keys() >= NAMES
    assert made("imo-number", "IMO 9074729") == "9074729"
    assert made("container-number", "csqu 305438-3") == "CSQU3054383"
    assert made("air-waybill", "020-12345675") == "020-12345675"
    for name, _, bad in PAIRS:
        if name not in ("size-type", "unit-code", "bill-of-lading"):  # those are mended: a blank, lower case
            with pytest.raises(ValueError):
                made(name, bad)
