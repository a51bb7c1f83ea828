"""The path grammar, the loader and the functions."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import DeclarationError
from hub.mapping.functions import FUNCTIONS
from hub.mapping.path import Path as Route
from hub.mapping.path import Step, parse_path
from hub.mapping.rules import Branch, Text, load

_NAMES = st.from_regex(r"[A-Z][A-Z0-9]{0,5}", fullmatch=True)
_TESTS = st.lists(st.tuples(_NAMES, _NAMES), max_size=2).map(tuple)
_STEPS = st.lists(st.builds(Step, _NAMES, st.integers(1, 9), _TESTS), min_size=1, max_size=4).map(tuple)


@given(st.builds(Route, _STEPS, st.sampled_from(["", "call"]), st.integers(0, 3)))
def test_a_path_reads_back_as_it_was_written(route: Route) -> None:
    assert parse_path(str(route)) == route


@given(st.text())
def test_any_text_is_a_path_or_a_value_error(text: str) -> None:
    try:
        route = parse_path(text)
    except ValueError:
        return
    assert parse_path(str(route)) == route


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


def test_functions() -> None:
    parts = ["132", "202611231200", "203"]
    assert FUNCTIONS["date-time"](parts, {"zone": "Asia/Shanghai"}) == "2026-11-23T12:00:00+08:00"
    assert FUNCTIONS["number"](["1,50"], {}) == "1.50"
    for name, wrong in (("imo-number", "9074728"), ("container-number", "CSQU3054384"), ("number", "NaN")):
        with pytest.raises(ValueError, match=wrong):
            FUNCTIONS[name]([wrong], {})
