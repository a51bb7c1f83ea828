"""Elements: form of values, dates by 2379, repeats, code lists of the directory and of others, what is remembered."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.edifact import dates, elements, values
from hub.edifact.directory import Directories, Directory
from hub.edifact.elements import check
from hub.edifact.limits import KEEP
from hub.edifact.model import Element, RawMessage, Repeats, Segment, Separators
from hub.edifact.separators import cutter

DIRECTORIES = Directories(Path(__file__).parents[3] / "schemas" / "edifact")
D95B, D03A = DIRECTORIES.get("D:95B"), DIRECTORIES.get("D:03A")
STANDARD, REPEATING = Separators(), Separators(repetition="*")

Brief = tuple[str, int | None, int | None]


def message(*lines: str, signs: Separators = STANDARD) -> RawMessage:
    """Segments as they are when read: cut when somebody asks."""
    cut = cutter(signs)
    pairs = [line.partition(signs.element) for line in lines]
    segments = [Segment(tag, None, at, 0, text, cut) for at, (tag, _, text) in enumerate(pairs, 1)]
    return RawMessage("1", "X", "D", "95B", "UN", "", segments, 0, 0, separators=signs)


def found(
    *lines: str, directory: Directory = D95B, version: str = "3", lists: elements.Lists | None = None
) -> list[Brief]:
    signs = REPEATING if version == "4" else STANDARD
    told = check(message(*lines, signs=signs), directory, version=version, lists=lists)
    return [(f.code.removeprefix("edifact."), f.place.element, f.place.component) for f in told]


TOO_LONG, TOO_SHORT, KIND = "edifact.element_too_long", "edifact.element_too_short", "edifact.character_type"
DECIMAL, DIGIT = "edifact.decimal_invalid", "edifact.decimal_digit_missing"


@pytest.mark.parametrize(
    ("picture", "value", "code"),
    [
        ("an..3", "A?c", None),
        ("an..3", "天津港", None),
        ("an..3", "天津新港", TOO_LONG),
        ("an4", "22G", TOO_SHORT),
        ("an4", "22G12", TOO_LONG),
        ("a3", "K G", None),
        ("a3", "KG1", KIND),
        ("a3", "KG", TOO_SHORT),
        ("n..3", "0", None),
        ("n..3", "007", None),
        ("n..3", "-123", None),
        ("n..3", "-12.3", None),
        ("n..3", "12,3", None),
        ("n..3", "1234", TOO_LONG),
        ("n..3", "-123.4", TOO_LONG),
        ("n4", "12.3", TOO_SHORT),
        ("n4", "12.34", None),
        ("n..9", ".5", DIGIT),
        ("n..9", "-,5", DIGIT),
        ("n..9", "5.", DECIMAL),
        ("n..9", "1,000.5", DECIMAL),
        ("n..9", ".", DECIMAL),
        ("n..9", "1.-5", KIND),
        ("n..9", "5-", KIND),
        ("n..9", "+5", KIND),
        ("n..9", "1E3", KIND),
        ("n..9", "1 000", KIND),
        ("n..9", "-", KIND),
        ("n..9", "٣", KIND),
        ("n..9", "²", KIND),
        ("n..9", "12\n", KIND),
        ("", "anything", None),
    ],
)
def test_the_form_of_a_value(picture: str, value: str, code: str | None) -> None:
    assert values.judge(picture)(value) == code


@given(st.text(min_size=1), st.sampled_from(["an..35", "an3", "a..5", "a3", "n..6", "n3", "an..0", "x9", ""]))
def test_any_text_has_a_verdict(value: str, picture: str) -> None:
    assert values.judge(picture)(value) in (None, TOO_LONG, TOO_SHORT, KIND, DECIMAL, DIGIT)


PICTURES = D03A.codes("2379")
CALENDAR = {"101": "%y%m%d", "102": "%Y%m%d", "201": "%y%m%d%H%M", "203": "%Y%m%d%H%M", "204": "%Y%m%d%H%M%S"}
CALENDAR |= {"2": "%d%m%y", "3": "%m%d%y", "105": "%y%j", "609": "%y%m", "610": "%Y%m", "401": "%H%M", "402": "%H%M%S"}


@given(st.sampled_from(sorted(CALENDAR)), st.datetimes(datetime(2000, 1, 1), datetime(2049, 12, 31)))  # noqa: DTZ001
def test_every_moment_is_right_in_every_picture(format: str, moment: datetime) -> None:
    right = dates.judge(PICTURES[format])
    assert right is not None
    written = moment.strftime(CALENDAR[format])
    assert right(written)
    assert not right(written + "0") and not right(written[:-1]) and not right(written[:-1] + "x")


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("101", ["000229", "991231"], ["010229", "991301", "990231", "99123"]),
        ("102", ["20240229"], ["20230229", "19999715", "00000101", "２０２４０１０１"]),
        ("103", ["24537"], ["24547", "24008", "24011 "]),
        ("106", ["0229"], ["0230", "1301"]),
        ("203", ["202401012400"], ["202401012401", "202401012500", "202401011260"]),
        ("205", ["202401011200+0800", "202401011200-0330"], ["202401011200", "202401011200+1560", "2024010112000800"]),
        ("303", ["202401011200GMT", "202401011200+08"], ["202401011200", "202413011200GMT"]),
        ("304", ["20240101120000CST"], ["20240101120060CST"]),
        ("401", ["0000", "2359"], ["2360", "24:00"]),
        ("405", ["123459"], ["123460"]),
        ("501", ["08001800"], ["08002560", "0800"]),
        ("602", ["2024"], ["0000", "202"]),
        ("610", ["202412"], ["202413"]),
        ("616", ["202453"], ["202454", "202400"]),
        ("713", ["24010112002401021200", "2401011200-2401021200"], ["2401011200-2413021200", "2401011200"]),
        ("715", ["24012402"], ["24012454"]),
        ("718", ["2024010120240131", "20240101-20240131"], ["20240101-20240132", "20240101/20240131"]),
        ("719", ["202401011200202401021200"], ["202401011200202402301200"]),
        ("720", ["10800-71800"], ["80800-71800"]),
        ("10", ["20240101T1200"], ["20240101 1200"]),
    ],
)
def test_dates_are_real(format: str, good: list[str], bad: list[str]) -> None:
    for value, expected in [*((one, []) for one in good), *((one, [2]) for one in bad)]:
        segment = Segment("DTM", [["137", value, format]], 1)
        told = check(RawMessage("1", "X", "D", "03A", "UN", "", [segment], 0, 0), D03A)
        assert [f.place.component for f in told if f.code == "edifact.date_invalid"] == expected, value


def test_a_date_is_told_with_what_was_expected() -> None:
    [told] = check(message("DTM+137:20241301:102"), D95B)
    assert (told.found, told.expected, told.place.segment) == ("20241301", "102 CCYYMMDD", 1)


@pytest.mark.parametrize("line", ["DTM+137:NEVER", "DTM+137::102", "DTM+137:3:804", "DTM+137"])
def test_a_value_without_picture_is_no_date(line: str) -> None:
    assert found(line) == []


@pytest.mark.parametrize("format", sorted(PICTURES))
def test_every_code_of_2379_is_a_picture_or_a_word(format: str) -> None:
    assert (dates.judge(PICTURES[format]) is None) == (len(format) == 3 and format.startswith("8"))


@given(st.text(max_size=30), st.sampled_from(sorted(set(PICTURES.values()))))
def test_any_text_is_a_date_or_not(value: str, picture: str) -> None:
    right = dates.judge(picture)
    assert right is None or right(value) in (True, False)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["BGM+++9"], []),
        (["BGM"], []),
        (["RFF"], [("element_missing", 1, None)]),
        (["RFF+:X"], [("element_missing", 1, 1)]),
        (["RFF+::"], [("element_missing", 1, None)]),
        (["FTX+AAA++:139+T"], [("element_missing", 3, 1)]),
        (["FTX+AAA++::+T"], []),
        (["BGM+85+M+9+AB+1"], [("element_excess", 5, None)]),
        (["BGM+85+M+9+AB++"], []),
        (["DTM+137:20240101:102:1"], [("component_excess", 1, 4)]),
        (["DTM+137:20240101:102:"], []),
        (["BGM+85:::NAME:X+M+9"], [("component_excess", 1, 5)]),
        (["BGM+85+M:N+9"], [("component_excess", 2, 2)]),
        (["FTX+AAA+++A:B:C:D:E?:" + "X" * 68], []),
        (["FTX+AAA+++A:B:C:D:E?:" + "X" * 69], [("element_too_long", 4, 5)]),
    ],
)
def test_status_and_number_of_constituents(lines: list[str], expected: list[Brief]) -> None:
    assert found(*lines) == expected


class TestRepeats:
    """COM has C076 three times at its end (D.03A), ADR C819 five times in the middle (D.16A)."""

    def test_below_version_4_the_last_repeats_as_further_elements(self) -> None:
        assert found("COM+1:TE+2:TE+3:TE", directory=D03A) == []
        assert found("COM+1:TE+2:TE+3:TE+4:TE", directory=D03A) == [("element_excess", 4, None)]
        assert found("COM+1:TE+2:QQ", directory=D03A) == [("code_unknown", 2, 2)]

    def test_in_version_4_by_the_separator(self) -> None:
        assert found("COM+1:TE*2:TE*3:TE", directory=D03A, version="4") == []
        assert found("COM+1:TE*2:TE*3:TE*4:TE", directory=D03A, version="4") == [("element_repeats", 1, None)]
        assert found("COM+1:TE+2:TE", directory=D03A, version="4") == [("element_excess", 2, None)]

    def test_in_version_4_a_fault_has_its_occurrence(self) -> None:
        [told] = check(message("COM+1:TE*2:QQ", signs=REPEATING), D03A, version="4")
        assert (told.place.element, told.place.component, told.place.occurrence) == (1, 2, 2)

    def test_an_element_that_may_not_repeat(self) -> None:
        assert found("RFF+AAZ:1*AAZ:2", version="4") == [("element_repeats", 1, None)]

    def test_in_the_middle_each_repeat_may_have_a_position(self) -> None:
        directory = DIRECTORIES.get("D:16A")
        front = "ADR+++T+++"
        assert found(front + "A+L", directory=directory) == []
        assert found(front + "A+B+C+D+E+L+M+N", directory=directory) == []
        assert found(front + "A+B+C+D+E+L+M+N+O+P+Q", directory=directory) == [("element_excess", 12, None)]
        assert found(front + "A" * 10 + "+L", directory=directory) == [("element_too_long", 6, 1)]
        assert found(front + "A+B+C+D+E+L+M", directory=directory, version="4") == [("element_excess", 8, None)]


class Port:
    """Lists of a port: an element may have one of its own, and one by 1131 and 3055."""

    def __init__(self, lists: dict[tuple[str, str, str], Collection[str]]) -> None:
        self.lists = lists

    __hash__ = None  # type: ignore[assignment]

    def codes(self, element: str, code_list: str, agency: str) -> Collection[str] | None:
        return self.lists.get((element, code_list, agency))


class TestCodes:
    def test_those_of_the_directory(self) -> None:
        assert found("LOC+ZQ+CNTXG:139:6") == [("code_unknown", 1, None)]
        assert found("NAD+CA+COSU:172:20") == []

    def test_one_of_another_agency_is_not_checked_unless_the_list_is_here(self) -> None:
        port = Port({("3039", "172", "20"): {"COSU"}, ("3225", "139", "6"): {"CNTXG"}})
        assert found("LOC+11+XXXXX:139:6") == []
        assert found("LOC+11+XXXXX:139:6", "LOC+11+CNTXG:139:6", "LOC+11+XXXXX", lists=port) == [("code_unknown", 2, 1)]
        assert found("NAD+CA+MAEU:172:20", lists=port) == [("code_unknown", 2, 1)]
        [told] = check(message("LOC+11+XXXXX:139:6"), D95B, lists=port)
        assert told.expected == "3225 (139:6)"

    def test_a_code_of_the_directory_is_not_right_in_the_list_that_is_named(self) -> None:
        code = next(iter(D95B.codes("8155")))
        port = Port({("8155", "102", "5"): {"22G1"}})
        assert found(f"EQD+CN+X+{code}:102:5", "EQD+CN+X+22G1:102:5", f"EQD+CN+X+{code}", lists=port) == [
            ("code_unknown", 3, 1)
        ]
        assert found("EQD+CN+X+22G1:102:5", f"EQD+CN+X+{code}:102:5") == []
        assert found("EQD+CN+X+22G1", lists=port) == [("code_unknown", 3, 1)]

    def test_lists_that_go_by_the_element_alone(self) -> None:
        port = Port(
            {("3207", "", ""): ["CN"], ("6345", "", ""): ["CNY"], ("6411", "", ""): ["KGM"], ("7065", "", ""): ["CT"]}
        )
        right = ["NAD+CA+++N+S+T+++CN", "MOA+9:1:CNY", "CNT+7:1:KGM", "GID+1+1:CT"]
        wrong = ["NAD+CA+++N+S+T+++XX", "MOA+9:1:XXX", "CNT+7:1:KG", "GID+1+1:QQ"]
        assert found(*right, lists=port) == []
        assert found(*right, *wrong) == []
        assert found(*wrong, lists=port) == [
            ("code_unknown", 9, None),
            ("code_unknown", 1, 3),
            ("code_unknown", 1, 3),
            ("code_unknown", 2, 2),
        ]

    def test_form_is_told_before_the_list(self) -> None:
        port = Port({("3207", "", ""): ["CN"]})
        assert found("NAD+CA+++N+S+T+++CHIN", lists=port) == [("element_too_long", 9, None)]


class TestWhatIsRemembered:
    """A text found right is right again only by the same tables, version, lists and separators."""

    LINE = "COM+1:TE+2:TE"

    def test_not_in_another_release_or_version(self) -> None:
        assert found(self.LINE, directory=D03A) == []
        assert found(self.LINE, directory=D95B) == [("element_excess", 2, None)]
        assert found(self.LINE, directory=D03A, version="4") == [("element_excess", 2, None)]
        assert found(self.LINE, directory=D03A) == []

    def test_not_by_other_lists(self) -> None:
        today, tomorrow = Port({("3207", "", ""): ["HK"]}), Port({("3207", "", ""): ["CN"]})
        line = "NAD+CA+++N+S+T+++HK"
        assert found(line, lists=today) == [] == found(line, lists=today)
        assert found(line, lists=tomorrow) == [("code_unknown", 9, None)]

    def test_not_with_other_separators(self) -> None:
        assert check(message("COM+1:TE", signs=STANDARD), D03A) == []
        other = Separators(component="/")
        segment = Segment("COM", None, 1, 0, "1:TE", cutter(other))
        told = check(RawMessage("1", "X", "D", "03A", "UN", "", [segment], 0, 0, separators=other), D03A)
        assert [(f.code, f.place.component) for f in told] == [("edifact.element_missing", 2)]

    def test_not_where_somebody_changed_the_elements(self) -> None:
        one = message(self.LINE)
        assert check(one, D03A) == []
        one.segments[0].elements[1][1] = "QQ"
        assert [f.place.element for f in check(one, D03A)] == [2]

    def test_no_more_than_a_bounded_number(self) -> None:
        directory = Directories(DIRECTORIES.folder).get("D:95B")
        check(message(*(f"RFF+AAZ:{n}" for n in range(5000))), directory)
        [checkers] = [elements._checkers(elements._Same(directory), elements._Same(None), False, STANDARD)]
        assert 0 < len(checkers["RFF"].known) <= 512


LINES = [
    "LOC+11+CNTXG:139:6",
    "MEA+WT+G+KGM:905.5",
    "TDT+20+0126W+1++TJLINE:172:ZZZ:T+++9:146:11:P:CN",
    "CNT+7:1:KGM",
    "NAD+CZ+++A:B:C+S+T+++KR",
    "EQD+CN+CSQU3054383+22G1:102:5++3+5",
    "DTM+137:202401011200:203",
    "FTX+AAA+++A:B:C:D:E",
    "RFF+FV:1",
    "CNI+1",
]
PORT = Port({("3225", "139", "6"): ["CNTXG"], ("3207", "", ""): ["KR"]})


@pytest.mark.parametrize("line", LINES)
def test_the_quick_way_passes_what_is_right(line: str) -> None:
    for lists in (None, PORT):
        tag, _, text = line.partition("+")
        checker = elements._Checker(tag, D95B, lists, False, STANDARD)
        segment = Segment(tag, None, 1, 0, text, cutter(STANDARD))
        assert checker.clean_text(text, segment) and checker.clean(segment.elements)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(LINES),
    st.integers(4, 40),
    st.sampled_from(["", ":", "+", "?:", "A", "1", "ZZZ", ".", "M" * 40, "+++++++"]),
    st.sampled_from([None, PORT]),
)
def test_the_quick_way_says_what_the_exact_way_says(line: str, at: int, inserted: str, lists: Port | None) -> None:
    line = line[:at] + inserted + line[at + 1 :]
    tag, _, text = line.partition("+")
    checker = elements._Checker(tag, D95B, lists, False, STANDARD)
    segment = Segment(tag, None, 1, 0, text, cutter(STANDARD))
    assert checker.clean(segment.fresh()) == checker.clean_text(text, segment)
    assert not (checker.clean(segment.fresh()) and list(checker.tell(segment, "1")))


ELEMENT = st.lists(st.text(max_size=8), min_size=1, max_size=6)


def repeats(parts: list[Element]) -> Element:
    first = Repeats(parts[0])
    first.more = parts[1:]
    return first


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["UNH", "BGM", "DTM", "COM", "ADR", "NAD", "EVE", "EQD", "ARD", "ZZZ", ""]),
            st.lists(ELEMENT | st.lists(ELEMENT, min_size=2, max_size=3).map(repeats), max_size=8),
        ),
        max_size=4,
    ),
    st.sampled_from(["3", "4", ""]),
    st.sampled_from([None, PORT]),
)
def test_no_segment_breaks_the_check(lines: list[tuple[str, list[Element]]], version: str, lists: Port | None) -> None:
    segments = [Segment(tag, each, at) for at, (tag, each) in enumerate(lines, 1)]
    directory = DIRECTORIES.get("D:16A")
    told = check(RawMessage("1", "X", "D", "16A", "UN", "", segments, 0, 0), directory, version=version, lists=lists)
    assert all(f.place.segment and f.place.element for f in told)


def test_a_message_that_is_wrong_throughout_is_told_up_to_a_bound() -> None:
    assert KEEP <= len(found(*["LOC+ZQ"] * 5000)) < KEEP + 10
