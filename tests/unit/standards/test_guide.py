"""Guides: what a rule points at, what is tolerated and how."""

from __future__ import annotations

import pytest

from hub.catalogue import LANGUAGES, catalogue, describe
from hub.edifact.model import RawMessage
from hub.edifact.reader import read
from hub.finding import Finding, Place
from hub.standards.aim import aims, found, values
from hub.standards.tolerance import NEVER, REPAIRS, ROOMS, tolerable
from tests.unit.standards.agreed import FACTS, ORIGINAL, guide, message, told

LONG = "X" * 600


# ---- paths


@pytest.mark.parametrize(
    ("path", "first", "count"),
    [
        ("BGM/1001", "785", 1),
        ("RFF/C506/1154", "1", 3),
        ("/RFF/C506/1154", "1", 1),
        ("RFF[1153=BM]/C506/1154", "PUSTXG2611001", 2),
        ("SG5/RFF/1154", "PUSTXG2611001", 2),
        ("SG4/SG5/SG7/NAD[3035=CN]/C080/3036", "TIANJIN MODERN TRADE CO LTD", 2),
        ("SG7/NAD[3035=CN]/3036", "TIANJIN MODERN TRADE CO LTD", 2),
        ("SG7[3035=CZ]/NAD/C080/3036", "BUSAN TEXTILE CO LTD", 2),
        ("SG2[SEL/9308=KR102939]/EQD/C237/8260", "TJLU4001238", 1),
        ("FTX/C108/4440#2", None, 0),
    ],
)
def test_a_path_leads_to_its_values(path: str, first: str | None, count: int) -> None:
    tree, _ = message()
    said = [v for aim in aims(path, FACTS) for chain in found(tree, aim.levels) for v in values(chain[-1], aim)]
    assert len(said) == count and (said[0] if said else None) == first


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("BGN/1001", "near: BGM"),
        ("SG77/NAD", "near: SG7"),
        ("SG7/FTX", "there: NAD RFF SG8"),
        ("/EQD", "EQD is not in CUSCAR"),
        ("BGM/1002", "1001"),
        ("NAD[3036x=CN]", "3036"),
        ("BGM/1001[1=2]", "a filter belongs"),
        ("SEL#2/9308", "counts elements"),
        ("call:BGM", "begins with"),
        ("../BGM", "begins with"),
        ("BGM/", "a step is missing"),
    ],
)
def test_a_path_that_leads_nowhere_says_why(path: str, said: str) -> None:
    with pytest.raises((KeyError, ValueError)) as caught:
        aims(path, FACTS)
    assert said in str(caught.value.args[0])


# ---- tolerance

CODE = ("BGM+785+", "BGM+45X+")
UNKNOWN = ("edifact.code_unknown", "error")


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ("{code: edifact.code_unknown, as: warn}", [("edifact.code_unknown", "warning")]),
        ("{code: edifact.code_unknown, as: ignore}", []),
        ("{code: edifact.code_unknown, at: BGM/1001, values: [45X], as: ignore}", []),
        ("{code: edifact.code_unknown, at: BGM, as: ignore}", []),
        ("{code: edifact.code_unknown, at: BGM/C002, as: ignore}", []),
        ("{code: edifact.code_unknown, at: BGM/1001, values: [45Y], as: ignore}", [UNKNOWN]),
        ("{code: edifact.code_unknown, at: BGM/1225, as: ignore}", [UNKNOWN]),
        ("{code: edifact.code_unknown, at: SG7/NAD, as: ignore}", [UNKNOWN]),
        ("{code: edifact.element_too_long, as: ignore}", [UNKNOWN]),
    ],
)
def test_a_tolerance_is_for_its_code_its_place_and_its_values(rule: str, left: list[tuple[str, str]]) -> None:
    assert told(f"tolerate: [{rule}]", *CODE) == left


def test_the_first_rule_that_fits_decides() -> None:
    one = "{code: edifact.code_unknown, at: BGM/1001, as: warn}"
    rest = "{code: edifact.code_unknown, as: ignore}"
    assert told(f"tolerate: [{one}, {rest}]", *CODE) == [("edifact.code_unknown", "warning")]
    assert told(f"tolerate: [{rest}, {one}]", *CODE) == []


def test_a_warning_can_be_made_an_error() -> None:
    usual = Finding("edifact.code_usual", Place(tag="UNB"), "ZZ", severity="warning")
    [made] = guide("tolerate: [{code: edifact.code_usual, as: reject}]").judged([usual])
    assert made.severity == "error" and made.args["by"] == "g.guide.yaml:3"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_decision_says_by_what_line_and_why(lang: str) -> None:
    tree, findings = message(*CODE)
    rules = "tolerate:\n  - {code: edifact.code_unknown, as: warn, why: agreed in May}"
    [made] = guide(rules).judged(findings, tree)
    assert "g.guide.yaml:4" in describe(made, lang)[0] and "agreed in May" in describe(made, lang)[0]


def test_a_count_is_repaired_and_says_what_counts() -> None:
    raw = next(p for p in read([ORIGINAL.replace("UNT+48", "UNT+46").encode()]) if isinstance(p, RawMessage))
    [made] = guide("tolerate: [{code: edifact.unt_count, as: repair}]").judged(raw.findings)
    assert (made.severity, made.args["as"], made.expected) == ("warning", "repair", "48")
    assert "48" in describe(made, "en")[0].rpartition("[")[2]


@pytest.mark.parametrize(("upto", "left"), [(600, []), (599, [("edifact.element_too_long", "error")])])
def test_upto_is_the_whole_length_and_not_that_of_the_excerpt(upto: int, left: list[tuple[str, str]]) -> None:
    rule = f"tolerate: [{{code: edifact.element_too_long, at: FTX/C108/4440, upto: {upto}, as: ignore}}]"
    assert told(rule, "PUMPS FOR LIQUIDS", LONG) == left


def test_a_place_in_a_group_is_only_that_group() -> None:
    rule = "tolerate: [{{code: edifact.element_too_long, at: '{}', as: ignore}}]"
    for path, there in (("SG7/NAD[3035=CN]", True), ("SG7[3035=CN]/NAD/3036", True), ("SG7/NAD[3035=CZ]", False)):
        assert bool(told(rule.format(path), "BINHAI EQUIPMENT IMPORT CO", "B" * 80)) is not there, path


def test_what_is_missing_is_tolerated_where_it_was_missed() -> None:
    gone = ("GID+2+18:CT'\nFTX+AAA+++SPARE PARTS FOR PUMPS'\nMEA+WT+G+KGM:905.5'\nSGP+BHLU7305510+18'\n", "")
    whole = (ORIGINAL[ORIGINAL.index("GID+1+6") : ORIGINAL.index("UNT+")], "")
    assert told("", *gone) == []
    assert told("", *whole) == [("edifact.segment_missing", "error")]
    for path, there in (("SG10", True), ("GID", True), ("SG5/SG10/GID", True), ("SG7", False), ("SG12", False)):
        rule = f"tolerate: [{{code: edifact.segment_missing, at: {path}, as: ignore}}]"
        assert bool(told(rule, *whole)) is not there, path


def test_a_segment_too_many_is_tolerated_by_its_tag() -> None:
    more = ("CNT+7:", "LIN+1'\nCNT+7:")
    assert told("", *more) == [("edifact.segment_unexpected", "error")]
    assert told("tolerate: [{code: edifact.segment_unexpected, values: [LIN], as: ignore}]", *more) == []
    assert told("tolerate: [{code: edifact.segment_unexpected, values: [IMD], as: ignore}]", *more) != []


def test_what_keeps_the_hub_safe_is_never_tolerable() -> None:
    codes = set(catalogue()["finding"])
    assert codes >= NEVER | REPAIRS
    unsafe = (
        "limit",
        "too_large",
        "too_deep",
        "too_many",
        "undecodable",
        "encoding",
        "dtd",
        "truncated",
        "well_formed",
    )
    for code in codes:
        if code.split(".")[0] not in ROOMS or any(word in code for word in unsafe):
            assert not tolerable(code), code
    assert all(tolerable(code) for code in REPAIRS)
