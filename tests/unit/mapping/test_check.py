"""Planted mistakes that only both standards together can tell: each is found, at its line and column, with what was
probably meant; and what is right is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.catalogue import catalogue
from hub.mapping.checking.check import Checked, check, idle_rows
from hub.mapping.compile import Facts, XmlFacts, compile, load
from hub.xml.schema import Schema

from .conftest import PARTIES, TABLES
from .test_mapping_page import Example
from .test_mapping_runs import RUN

TO_XML = "from: cuscar\nto: paper\ndocument:\n  Paper:\n    Number: =1\n    "
FROM_XML = "from: paper\nto: paper\ndocument:\n  Paper:\n    Number: Paper/Number\n    "
EMPTY = "from: cuscar\nto: paper\ndocument:\n  Paper:\n    "
TO_EDI = "from: paper\nto: cuscar\nmessage:\n  BGM: {C002/1001: =785}\n  "
CODES = {
    "kinds": {"9": "original", "5": "amendment"},
    "bad": {"9": "orignal"},
    "back": {"original": "9", "amendment": "5"},
}
CODES |= {
    "half": {"original": "9"},
    "odd": {"original": "9", "amendment": "5", "copied": "7"},
    "worse": {"original": "999"},
}
CODES |= {"yes": {"original": "a", "amendment": "b"}}


@pytest.fixture(scope="module")
def both(kinds: dict[str, Facts]) -> dict[str, Facts]:
    return {**kinds, "paper": XmlFacts(Schema(Path(__file__).with_name("demanding.xsd")))}


def checked(text: str, kinds: dict[str, Any]) -> Checked:
    rules = load(Path("m.yaml"), (text + "\n").encode())
    sources = {alias: kinds[kind] for alias, kind in rules.sources.items()}
    tables = {**TABLES, **CODES}
    compile(rules, sources, kinds[rules.target], tables, PARTIES)
    return check(rules, sources, kinds[rules.target], tables)


@pytest.mark.parametrize(
    ("text", "line", "column", "code", "found", "expected"),
    [
        # mandatory, and nobody writes it
        (EMPTY + "Kind: =original", 5, 5, "unfed", "Paper/Number", "Paper"),
        (TO_XML + "Party: {Name: =a}", 6, 12, "unfed", "Paper/Party/@role", "Paper"),
        (TO_XML + 'Party: {"@role": =original, City: =b}', 6, 12, "unfed", "Paper/Party/Name", "Paper"),
        (TO_XML + "Item: {each: SG4, ./Line: {from: CNI/1490}}", 6, 31, "may_lack", "Paper/Item/Line", "CNI/1490"),
        ("from: paper\nto: cuscar\nmessage: {CNT: {C270/6069: =7, C270/6066: =1}}", 3, 10, "unfed", "BGM", "CUSCAR"),
        (TO_EDI + "SG1: {LOC: {'3227': =11, C517/3225: Paper/Number}}", 5, 8, "unfed", "SG1/TDT", "CUSCAR"),
        (TO_EDI + "RFF: {C506/1154: Paper/Number}", 5, 8, "unfed", "RFF/C506/1153", "RFF"),
        (TO_EDI + "NAD: {C082/3039: Paper/Number}", 5, 8, "unfed", "NAD/3035", "NAD"),
        (TO_XML + "Seal: {}", 6, 11, "unfed", "Paper/Seal/A|B", "Paper"),
        # mandatory, and it may come out empty
        (TO_XML + "Seal: {B: BGM/1004}", 6, 15, "may_lack", "Paper/Seal/A|B", "BGM/1004"),
        (EMPTY + "Number: BGM/1004", 5, 13, "may_lack", "Paper/Number", "BGM/1004"),
        (EMPTY + "Number: NAD[3035=CA]/3035", 5, 13, "may_lack", "Paper/Number", "NAD[3035=CA]"),
        (EMPTY + "Number: {when: BGM/1004, from: =1}", 5, 13, "may_lack", "Paper/Number", "when: BGM/1004"),
        (EMPTY + "Number: {first: [BGM/1004, BGM/1225]}", 5, 13, "may_lack", "Paper/Number", "BGM/1004"),
        (EMPTY + "Number: {choose: [{when: RFF, from: =1}]}", 5, 13, "may_lack", "Paper/Number", "choose"),
        (EMPTY + "Number: {from: BGM/1225, map: kinds, unknown: empty}", 5, 13, "may_lack", "Number", "BGM/1225"),
        (EMPTY + "Number: {from: 'CNT[6069=7]/C270/6069', as: letters}", 5, 13, "may_lack", "Number", "CNT[6069=7]"),
        (FROM_XML.replace("Paper/Number", "Paper/Kind"), 5, 13, "may_lack", "Paper/Number", "Paper/Kind"),
        (
            FROM_XML + 'Party: {each: Paper/Party, "@role": "@role", Name: City}',
            6,
            56,
            "may_lack",
            "Paper/Party/Name",
            "City",
        ),
        (
            TO_EDI + "NAD: {'3035': =CA, C080/3036#2: Paper/Number, C080/3036: Paper/Day}",
            5,
            60,
            "may_lack",
            "NAD/C080/3036",
            "Day",
        ),
        (
            TO_EDI + "SG2: {each: Paper/Item, EQD: {'8053': =CN, C237/8260: /Paper/Kind}, SEL: {'9308': Line}}",
            5,
            32,
            "may_lack",
            "SG2/EQD",
            "Kind",
        ),
        # length, form, digits, letters
        (TO_XML + "Note: FTX#1/C108#1/4440#1", 6, 11, "wide", "at most 70", "at most 35"),
        (TO_XML + "Note: {join: 'NAD[3035=CA]/C080/3036'}", 6, 11, "wide", "text", "at most 35"),
        (TO_XML + 'Note: {join: [BGM/1004, =x], with: "-"}', 6, 11, "wide", "at most 37", "at most 35"),
        (TO_EDI + "SG2: {EQD: {'8053': =CN, C237/8260: Paper/Number}}", 5, 39, "wide", "at most 35", "at most 17"),
        (TO_XML + "Count: BGM/1004", 6, 12, "unlike", "text", "integer"),
        (TO_XML + "Count: CNT#1/C270/6066", 6, 12, "unlike", "decimal of 18 digits", "integer"),
        (TO_XML + "Day: DTM#1/C507/2380", 6, 10, "unlike", "text", "date"),
        (TO_XML + "Day: {from: DTM#1/C507, as: date-time}", 6, 10, "unlike", "date-time", "date"),
        (TO_XML + "Port: SG1#1/LOC#1/C517/3225", 6, 11, "unlike", "text of at most 25", "[A-Z]{5}"),
        (TO_XML + "Kind: BGM/1004", 6, 11, "unlike", "text", "amendment, original"),
        (TO_XML + "Weight: {from: CNT#1/C270/6066, as: {round: 3}}", 6, 13, "unlike", "3 decimals", "1 decimals"),
        (TO_EDI + "CNT: {C270/6069: =7, C270/6066: Paper/Number}", 5, 35, "unlike", "text", "decimal"),
        (TO_EDI + "RFF: {C506/1153: =VON, C506/1154: Paper/Number}", 5, 37, "letters", "Unicode", ""),
        # what the target never takes
        (TO_XML + "Kind: =orignal", 6, 11, "refused", "orignal", "amendment, original"),
        (TO_XML + "Port: =Cn", 6, 11, "refused", "Cn", "[A-Z]{5}"),
        (TO_XML + "Day: =soon", 6, 10, "refused", "soon", "date"),
        (TO_XML + "Count: =100", 6, 12, "refused", "100", "≤ 99"),
        (TO_XML + "Weight: =1.25", 6, 13, "refused", "1.25", "1 decimals"),
        (EMPTY + f"Number: ={'x' * 36}", 5, 13, "wide", "x", "at most 35"),
        (TO_XML + "Kind: {from: BGM/1225, map: bad, unknown: reject}", 6, 33, "refused", "orignal", "original"),
        (TO_EDI + "NAD: {'3035': =XX, C082/3039: Paper/Number}", 5, 17, "refused", "XX", "one of"),
        (
            TO_EDI + "DTM: {C507/2005: =132, C507/2380: {from: Paper/Day, as: {date: '102'}}, C507/2379: =999}",
            5,
            86,
            "refused",
            "999",
            "102",
        ),
        (
            TO_EDI.replace("=785}", "=785, '1225': {from: Paper/Kind, map: worse, unknown: reject}}"),
            4,
            58,
            "refused",
            "999",
            "one of",
        ),
        (TO_EDI + "CNT: {C270/6069: =7, C270/6066: =many}", 5, 35, "refused", "many", "decimal"),
        # how often
        (TO_XML + "Long: NAD/C082/3039", 6, 11, "several", "NAD", "Paper/Long"),
        (TO_XML + "Long: SG4/SG5/RFF[1153=BM]/C506/1154", 0, 0, "", "", ""),
        (TO_XML + "Long: NAD[3035=CA]/C080/3036", 6, 11, "several", "NAD[3035=CA]/C080/3036", "Paper/Long"),
        (FROM_XML + "Long: Paper/Note", 6, 11, "several", "Paper/Note", "Paper/Long"),
        (TO_XML + "Kind: [=original, =amendment]", 6, 23, "crowded", "Paper/Kind", "1"),
        (TO_XML + "Kind: {each: RFF, from: =original}", 6, 11, "crowded", "Paper/Kind", "1"),
        (FROM_XML + 'Party: {each: Paper/Note, "@role": =original, Name: .}', 6, 12, "crowded", "Paper/Party", "2"),
        (
            TO_EDI + "SG1: [{TDT: {'8051': =20, '8028': Paper/Number}}, {TDT: [{'8051': =20}, {'8051': =10}]}]",
            5,
            75,
            "crowded",
            "SG1/TDT",
            "1",
        ),
        # code tables
        (TO_XML + "Kind: {from: BGM/1225, map: kinds}", 6, 33, "incomplete", "kinds", "1, 10"),
        (
            TO_EDI.replace("=785}", "=785, '1225': {from: Paper/Kind, map: half}}"),
            4,
            58,
            "incomplete",
            "half",
            "amendment",
        ),
        # never
        (TO_XML + "Note: NAD[3035=XX]/C082/3039", 6, 11, "idle", "XX", "X"),
        (TO_XML + "Note: SG4/SG5/SG7[NAD/3035=XX]/NAD/C082/3039", 6, 11, "idle", "XX", ""),
        (TO_XML + "Item: {each: 'NAD[3035=XX]', Line: '3035'}", 6, 18, "idle", "XX", ""),
        (FROM_XML + "Note: Paper/Party[@role=orignal]/Name", 6, 11, "idle", "orignal", "original"),
        (FROM_XML + "Note: {when: Paper/Kind = 'orignal', from: =a}", 6, 18, "idle", "orignal", "original"),
        (FROM_XML + "Note: {when: \"Paper/Kind in ['original', 'x']\", from: =a}", 6, 18, "idle", "x", ""),
        (
            FROM_XML + "Note: {when: {all: [Paper/Day, not Paper/Day]}, from: =a}",
            6,
            18,
            "idle",
            "Paper/Day",
            "Paper/Day",
        ),
        (
            FROM_XML + "Note: {when: {all: [Paper/Kind = 'original', Paper/Kind = 'amendment']}, from: =a}",
            6,
            18,
            "idle",
            "Kind",
            "",
        ),
        (FROM_XML + "Note: {when: not Paper/Day, from: Paper/Day}", 6, 39, "idle", "Paper/Day", "not Paper/Day"),
        (FROM_XML + "Note: {from: Paper/Number, default: =a}", 6, 41, "idle", "default", "Paper/Number"),
        (FROM_XML + "Note: {first: [Paper/Number, Paper/Day]}", 6, 34, "idle", "Paper/Day", "Paper/Number"),
    ],
)
def test_a_planted_mistake(
    both: dict[str, Facts], text: str, line: int, column: int, code: str, found: str, expected: str
) -> None:
    told = [
        (one.code, one.place.line, one.place.column, one.found, one.expected) for one in checked(text, both).findings
    ]
    if not code:
        assert not [one for one in told if one[0] == "mapping.several"]
        return
    fitting = [one for one in told if one[:3] == (f"mapping.{code}", line, column)]
    assert fitting, told
    assert any(found in one[3] and expected in one[4] for one in fitting), told
    assert f"mapping.{code}" in catalogue()["finding"]


@pytest.mark.parametrize(
    "text",
    [
        TO_XML + "Note: {from: BGM/1004}",
        TO_XML + "Note: {from: FTX#1/C108/4440#1, narrow: truncate}",
        EMPTY + "Number: {from: BGM/1004, default: =1}",
        EMPTY + "Number: {first: [BGM/1004, =1]}",
        EMPTY + "Number: {choose: [{when: BGM/1004, from: BGM/1004}, =1]}",
        EMPTY + "Number: {count: SG2}",
        TO_XML + "Party: {when: BGM/1004, '@role': =original, Name: BGM/1004}",
        TO_XML + "Party: {at: 'NAD[3035=CA]', '@role': =original, Name: '3035'}",
        TO_XML + "Item: {each: SG4/SG5/SG7, Line: NAD/3035}",
        TO_XML + "Kind: {from: BGM/1225, map: kinds, unknown: reject}",
        TO_XML + "Kind: {from: BGM/1225, map: kinds, unknown: =original}",
        TO_XML + "Day: {from: 'DTM[2005=132]/C507', as: date}",
        TO_XML + "Note: {each: NAD/C080/3036, from: .}",
        TO_XML + "Seal: {A: =a}",
        FROM_XML + "Note: {each: Paper/Note, from: .}",
        FROM_XML + "Party: {each: Paper/Party, '@role': '@role', Name: Name, City: City}",
        FROM_XML + "Count: Paper/Count\n    Weight: Paper/Weight\n    Port: Paper/Port\n    Day: Paper/Day",
        FROM_XML
        + "Kind: {choose: [{when: Paper/Kind = 'original', from: Paper/Kind}, {when: Paper/Kind, from: =amendment}]}",
        "from: paper\nto: cuscar\nreject: letters\nmessage:\n"
        "  BGM: {C002/1001: =785, '1004': Paper/Number, '1225': {from: Paper/Kind, map: back}}\n"
        "  SG1: {TDT: {'8051': =20, '8028': {from: Paper/Number, narrow: truncate}}}\n"
        "  SG2: {each: Paper/Item, EQD: {'8053': =CN, C237/8260: {from: Line, narrow: reject}}}\n"
        "  CNT: {C270/6069: =16, C270/6066: {count: Paper/Item}}",
    ],
)
def test_what_is_right_is_left_alone(both: dict[str, Facts], text: str) -> None:
    assert checked(text, both).findings == ()


@pytest.mark.parametrize(
    ("word", "rule", "code"),
    [
        ("missing", "Item: {each: SG4, Line: CNI/1490}", "may_lack"),
        ("long", "Note: FTX#1/C108/4440#1", "wide"),
        ("form", "Count: BGM/1004", "unlike"),
        ("more", "Kind: {each: RFF, from: =original}", "crowded"),
    ],
)
def test_what_is_chosen_to_be_refused_is_foreseen_and_not_told(
    both: dict[str, Facts], word: str, rule: str, code: str
) -> None:
    told = checked(TO_XML + rule, both)
    assert [one.code for one in told.findings] == [f"mapping.{code}"]
    chosen = checked(TO_XML.replace("document:", f"reject: [{word}]\ndocument:") + rule, both)
    assert (chosen.findings, chosen.foreseen) == ((), told.foreseen)
    assert told.foreseen


@pytest.mark.parametrize("example", RUN, ids=lambda one: f"line {one.line}")
def test_every_example_of_the_page_can_be_checked(kinds: dict[str, Facts], example: Example) -> None:
    assert not [one for one in checked(example.file[0], kinds).findings if one.code == "mapping.refused"]


def test_rows_that_no_source_can_ask_for_are_told_once_for_all_mappings(both: dict[str, Facts]) -> None:
    first = checked(TO_EDI.replace("=785}", "=785, '1225': {from: Paper/Kind, map: odd}}"), both)
    [finding] = idle_rows([first.met], CODES)
    assert (finding.code, finding.found, finding.place.line) == ("mapping.idle_row", "odd: copied", 4)
    other = checked(TO_XML + "Note: {from: BGM/1004, map: odd}", both)
    assert idle_rows([first.met, other.met], CODES) == []
