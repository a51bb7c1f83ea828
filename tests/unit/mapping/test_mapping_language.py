"""The path grammar, the loader and the functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import DeclarationError
from hub.mapping.functions import FUNCTIONS, step
from hub.mapping.numbers import UNITS
from hub.mapping.path import Path as Route
from hub.mapping.path import Step, parse_path
from hub.mapping.rules import Branch, Rule, Text, load

_NAMES = st.from_regex(r"[A-Z][A-Z0-9]{0,5}", fullmatch=True)
_INNER = st.lists(_NAMES, min_size=1, max_size=3).map("/".join)
_TESTS = st.lists(st.tuples(_INNER, _NAMES), max_size=2).map(tuple)
_STEPS = st.lists(st.builds(Step, _NAMES, st.integers(0, 9), _TESTS), min_size=1, max_size=4).map(tuple)
_SHANGHAI = {"zone": "Asia/Shanghai"}


@given(st.builds(Route, _STEPS, st.sampled_from(["", "call"]), st.integers(0, 3)))
def test_a_path_reads_back_as_it_was_written(route: Route) -> None:
    assert parse_path(str(route)) == route


@given(st.text() | st.text(alphabet="*/.#[]=@:aS1"))
def test_any_text_is_a_path_or_a_value_error(text: str) -> None:
    try:
        route = parse_path(text)
    except ValueError:
        return
    assert parse_path(str(route)) == route


def test_members_of_a_group_are_a_path_of_their_own() -> None:
    assert parse_path("*") == Route((), members=True)
    assert parse_path("../*/Weight") == Route((Step("Weight"),), up=1, members=True)


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: &x 1\nb: *x\n", "a: !t 1\n", "[" * 30, "a: [", "", "- a\n"])
def test_what_must_not_be_loaded_has_a_place(text: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        load(Path("m.yaml"), text.encode())
    assert caught.value.findings[0].place.line  # type: ignore[attr-defined]


def test_values_stay_as_written() -> None:
    rules = load(Path("m.yaml"), b"from: a\nNo: 0123\n")
    assert isinstance(rules, Branch)
    value = dict(rules.entries)["No"]
    assert isinstance(value, Text)
    assert (value.value, value.spot.line, value.spot.column) == ("0123", 2, 5)


# ---- functions


def rule(text: str) -> Rule:
    return dict(load(Path("m.yaml"), f"as: {text}".encode()).entries)["as"]


def called(text: str, value: Any) -> str:
    return step(rule(text)).call(value, _SHANGHAI)


@pytest.mark.parametrize(
    ("text", "value", "made"),
    [
        ("trim", " a b ", "a b"),
        ("collapse", "a \t b\n c", "a b c"),
        ("upper", "straße", "STRASSE"),
        ("lower", "ÅB", "åb"),
        ("digits", "a1٣2", "12"),
        ("letters", "天a-1", "天a"),
        ('{pad: [6, "0"]}', "42", "000042"),
        ('{pad: [1, "0"]}', "42", "42"),
        ("{slice: [2, 3]}", "abcd", "bc"),
        ("{slice: [9, 9]}", "abcd", ""),
        ("{replace: {a: b, b: c}}", "ab", "cc"),
        ("number", "1,50", "1.50"),
        ("{round: 2}", "2.345", "2.35"),
        ("{round: 0}", "-0.5", "-1"),
        ("{times: 1000}", "1.5", "1500"),
        ("{times: 0.1}", "3", "0.3"),
        ("{unit: [KGM, TNE]}", "840.5", "0.8405"),
        ("{unit: [LBR, KGM]}", "1", "0.45359237"),
        ("date-time", ["132", "202611231200", "203"], "2026-11-23T12:00:00+08:00"),
        ("date-time", "2026-11-23T12:00:00Z", "2026-11-23T12:00:00+00:00"),
        ("date", ["137", "20261123", "102"], "2026-11-23"),
        ("date", "2026-11-23T01:00:00+08:00", "2026-11-23"),
        ('{date: "102"}', "2026-11-23", "20261123"),
        ('{date: "101"}', "2026-11-23", "261123"),
        ('{moment: "204"}', "2026-11-23T01:02:03Z", "20261123090203"),
        ("edifact-date", "2026-11-23T12:00:00+08:00", "202611231200"),
        ("edifact-date", "2026-11-23T12:00:00", "202611231200"),
        ('{read: "203"}', "202611231200", "2026-11-23T12:00:00"),
        ('{read: "101"}', "261123", "2026-11-23"),
        ("imo-number", "IMO 9074729", "9074729"),
        ("container-number", "csqu 305438-3", "CSQU3054383"),
    ],
)
def test_functions(text: str, value: Any, made: str) -> None:
    assert called(text, value) == made


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("imo-number", "9074728"),
        ("container-number", "CSQU3054384"),
        ("number", "NaN"),
        ("number", "1e9"),
        ("number", "٣"),
        ("{times: 2}", "two"),
        ("{round: 15}", "9" * 35 + "." + "9" * 35 + "9"),
        ("date", "2026-02-30"),
        ("date", "23.11.2026"),
        ("date", ["137", "2026112", "102"]),
        ("date", ["137", "20261340", "102"]),
        ("date", ["137", "2026112x", "102"]),
        ("date", ["137", "２０２６１１２３", "102"]),
        ("date", ["137", "20261123", "718"]),
        ("date", ["137"]),
        ("date-time", ["137", "20261123", "203"]),
        ("edifact-date", "0001-01-01T00:00:00+14:00"),
        ("edifact-date", "9999-12-31T23:00:00-12:00"),
        ('{read: "102"}', "2026-11-23"),
        ("{replace: {a: " + "b" * 1000 + "}}", "a" * 2000),
    ],
)
def test_what_a_function_cannot_take_is_a_value_error(text: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        called(text, value)


@given(st.sampled_from(sorted(FUNCTIONS)), st.text(max_size=12) | st.from_regex(r"[-+0-9:.TZ]{0,25}", fullmatch=True))
def test_a_function_gives_a_text_or_a_value_error(name: str, value: str) -> None:
    arguments = {
        "pad": '[3, "0"]',
        "slice": "[1, 2]",
        "replace": "{a: b}",
        "round": "1",
        "times": "3",
        "unit": "[KGM, LBR]",
        "moment": '"203"',
        "read": '"102"',
    }
    try:
        assert isinstance(called(f"{{{name}: {arguments[name]}}}" if name in arguments else name, value), str)
    except ValueError:
        return


@given(st.sampled_from(sorted(UNITS)), st.sampled_from(sorted(UNITS)), st.integers(0, 10**9))
def test_a_unit_and_back_is_the_same(one: str, other: str, value: int) -> None:
    if UNITS[one][0] != UNITS[other][0]:
        with pytest.raises(DeclarationError):
            called(f"{{unit: [{one}, {other}]}}", str(value))
        return
    there = step(rule(f"{{unit: [{one}, {other}]}}")).call(str(value), {})
    try:
        back = called(f"{{unit: [{other}, {one}]}}", there)
    except ValueError:  # more digits than a number may have
        assert len(there) > 35
        return
    assert abs(float(back) - value) <= 1e-9 * max(value, 1)
