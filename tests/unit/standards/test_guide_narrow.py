"""Guides: what is asked beyond the standard, and whose word counts."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from hub.catalogue import describe
from hub.declaration import Declaration, model, parse
from hub.site.guidefile import GuideFile
from hub.site.guides import Guides, compiled
from hub.standards.guide import STRICT, Guide
from tests.unit.standards.agreed import FACTS, PARTY, guide, message, told

# ---- what is asked beyond the standard


@pytest.mark.parametrize(
    ("rule", "old", "new", "code", "tag"),
    [
        ("{at: 'SG7/NAD[3035=CN]', status: required}", "NAD+CN+++BIN", "NAD+N1+++BIN", "guide.required", "NAD"),
        ("{at: SG4/SG5/SG6, status: required}", "", "", "guide.required", "LOC"),
        ("{at: EQD/C224/8155, status: required}", "+45G1:102:5+", "++", "guide.required", "EQD"),
        ("{at: BGM/C002/1000, status: not-used}", "BGM+785+", "BGM+785:::MANIFEST+", "guide.not_used", "BGM"),
        ("{at: SG13, status: not-used}", "UNT+", "AUT+ABC'\nUNT+", "guide.not_used", "AUT"),
        ("{at: 'RFF[1153=BM]/1154', length: 1..12}", "TXG2611001", "TXG261100", "guide.too_long", "RFF"),
        ("{at: 'RFF[1153=BM]/1154', length: 13}", "TXG2611001", "TXG261100", "guide.too_short", "RFF"),
        ("{at: BGM/1225, codes: ['1', 4]}", "", "", "guide.code", "BGM"),
        ("{at: TDT/8051, codes: {list: movement}}", "", "", "guide.code", "TDT"),
        ("{at: EQD/8260, identifier: container-number}", "TJLU4001238", "TJLU4001239", "guide.identifier", "EQD"),
        ("{at: SG5/SG10/PCI, repeat: 1}", "PCI+28+HK 1-6", "PCI+28+A'\nPCI+28+HK", "guide.repeats", "PCI"),
        ("{at: SG4, repeat: 1}", "", "", "guide.repeats", "CNI"),
    ],
)
def test_what_is_asked_is_found_at_its_place(rule: str, old: str, new: str, code: str, tag: str) -> None:
    tree, findings = message(old, new)
    assert findings == []
    made = guide(f"narrow: [{rule}]").narrowed(tree)
    assert {finding.code for finding in made} == {code}
    place = made[0].place
    assert place.tag == tag and place.message == "1" and place.segment and place.offset
    assert describe(made[0], "en") != describe(made[0], "zh")


@pytest.mark.parametrize(
    "rule",
    [
        "{at: 'SG7/NAD[3035=CN]', status: required}",
        "{at: SG5/SG10/MEA/C174/6314, status: required}",
        "{at: SG13, status: not-used}",
        "{at: 'RFF[1153=BM]/1154', length: ..13}",
        "{at: BGM/1225, codes: ['9']}",
        "{at: EQD/8260, identifier: container-number}",
        "{at: SG5/SG10/PCI, repeat: 1}",
    ],
)
def test_a_good_message_has_nothing_against_a_rule_that_it_keeps(rule: str) -> None:
    assert guide(f"narrow: [{rule}]").narrowed(message()[0]) == []


def test_what_is_missing_is_missed_behind_what_may_stand_before_it() -> None:
    tree, _ = message("NAD+CN+++BIN", "NAD+N1+++BIN")
    [made] = guide("narrow: [{at: 'SG7/NAD[3035=CN]', status: required}]").narrowed(tree)
    assert made.place.segment == 37 and made.expected == "SG7/NAD[3035=CN]"  # the last NAD of the second bill


@pytest.mark.parametrize(
    ("at", "when", "count"),
    [
        ("SG1/TDT/8101", "TDT/8051 = '20'", 1),
        ("SG1/TDT/8101", "TDT/8051 != '20'", 0),
        ("SG1/TDT/8101", "SG13", 0),
        ("SG1/TDT/8101", "SG5/RFF[1153=BM]", 1),
        ("SG5/SG9", "SG7/NAD[3035=CZ]", 2),
        ("SG5/SG9", "SG7/NAD[3035=CZ]/3036 = 'BUSAN TEXTILE CO LTD'", 1),
        ("SG5/SG9", "SG5/RFF[1153=BM]/1154 = 'PUSTXG2611002'", 1),
        ("SG5/SG9", "SG5/RFF[1153=BM]/1154 != 'PUSTXG2611002'", 1),
    ],
)
def test_a_condition_is_looked_at_in_the_smallest_part_that_both_share(at: str, when: str, count: int) -> None:
    """Once for the message, or once for each of two bills."""
    made = guide(f'narrow: [{{at: {at}, status: required, when: "{when}"}}]').narrowed(message()[0])
    assert [finding.code for finding in made] == ["guide.condition"] * count
    assert all(when in describe(finding, "zh")[0] for finding in made)


def test_what_a_guide_asks_another_rule_may_tolerate() -> None:
    rules = "narrow: [{at: BGM/1225, codes: ['1']}]\ntolerate: [{code: guide.code, at: BGM/1225, as: warn}]"
    assert told(rules) == [("guide.code", "warning")]


def test_no_guide_changes_nothing() -> None:
    tree, findings = message("BGM+785+", "BGM+45X+")
    assert findings and STRICT.checked(findings, tree) == findings


# ---- merging


def test_the_most_specific_word_counts() -> None:
    def file(about: str, rest: str) -> Any:
        source = Declaration("g", parse("g", f"guide: g\nfor: {about}\n{rest}\n".encode()))
        return compiled(source, model(source, GuideFile), {"cuscar": FACTS}, {}, [])[0]

    rule = "tolerate: [{{code: edifact.unt_count, as: {}}}]\nnarrow: [{{at: BGM/1004, length: ..{}}}]\naccept: {}"
    files = (
        file("{roles: [carrier], kinds: [cuscar]}", rule.format("warn", 30, "all")),
        file("{parties: [TJLINE], kinds: [cuscar]}", rule.format("ignore", 20, "each")),
        file("{parties: [TJLINE], kinds: [cuscar], associations: [SMDG16]}", rule.format("reject", 10, "all")),
        file("{parties: [TJLINE]}\nfrom: 2026-07-01\nuntil: 2026-07-31", "read: {charset: gb18030}"),
    )
    guides, day = Guides(files), date(2026, 7, 31)
    seen = [
        (made.tolerances[0].decision, [one.longest for one in made.narrowings], made.accept, made.charset)
        for made in (
            guides.of("OTHER", PARTY, "cuscar", day),
            guides.of("TJLINE", PARTY, "cuscar", day),
            guides.of("TJLINE", PARTY, "cuscar", day, "SMDG16"),
            guides.of("TJLINE", PARTY, "cuscar", date(2026, 8, 1), "SMDG17"),
        )
    ]
    assert seen == [
        ("warn", [30], "all", ""),
        ("ignore", [20], "each", "gb18030"),
        ("reject", [10], "all", "gb18030"),
        ("ignore", [20], "each", ""),
    ]
    assert guides.of("TJLINE", PARTY, "", day) == Guide(charset="gb18030")
    assert guides.of("OTHER", PARTY.model_copy(update={"role": "bank"}), "cuscar", day) == STRICT


def test_how_to_write_is_put_together_from_the_most_specific_word() -> None:
    made = guide('write: {una: true, syntax: "UNOY:4", separators: "|*.!^~"}').write
    assert (made.una, made.syntax, made.version, made.charset) == (True, "UNOY", "4", "")
    assert (made.separators.component, made.separators.repetition, made.separators.terminator) == ("|", "^", "~")


def test_upto_counts_what_the_sender_wrote() -> None:
    """A bill of 20 characters, 17 agreed: tolerated up to 20 and not up to 19."""
    asked = "narrow: [{at: 'RFF[1153=BM]/1154', length: ..17}]"
    rules = asked.replace("{", "{{").replace("}", "}}") + "\ntolerate: [{{code: guide.too_long, upto: {}, as: ignore}}]"
    longer = ("PUSTXG2611002", "P" * 20)
    assert told(rules.format(20), *longer) == []
    assert told(rules.format(19), *longer) == [("guide.too_long", "error")]
