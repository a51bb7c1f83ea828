"""The lexical, envelope and character-set cases that real traffic brings, each by a test of its name."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hub.edifact.model import Envelope, RawMessage, Repeats, Trailer
from hub.edifact.places import exact
from hub.edifact.reader import envelope, pieces, read
from hub.finding import Finding, Place

UNB = b"UNB+UNOB:3+A+B+240101:1200+1'"
UNB4 = b"UNB+UNOB:4+A+B+20240101:1200+1'"
UNZ = b"UNZ+1+1'"
UNG = b"UNG+A+B+C+240101:1200+7+UN+D:95B'"


def message(body: bytes = b"", count: int | None = None, head: bytes = b"UNH+1+A:D:95B:UN'") -> bytes:
    return head + body + b"UNT+%d+1'" % (count or body.count(b"'") - body.count(b"?'") + 2)


def whole(body: bytes = b"", unb: bytes = UNB, unz: bytes = UNZ, una: bytes = b"") -> bytes:
    return una + unb + message(body) + unz


GOOD = whole(b"BGM+85+X'")


def codes(data: bytes, charset: str | None = None) -> list[str]:
    found: list[Finding] = []
    for part in read([data], charset=charset):
        found += part.findings
        if isinstance(part, Trailer):
            found += [finding for _, findings in part.groups for finding in findings]
    return [finding.code.removeprefix("edifact.") for finding in found]


def messages(data: bytes, charset: str | None = None) -> list[RawMessage]:
    return [part for part in read([data], charset=charset) if isinstance(part, RawMessage)]


def values(data: bytes, charset: str | None = None) -> list[list[list[str]]]:
    """The elements of each segment between UNH and UNT of the only message."""
    [found] = messages(data, charset)
    return [[list(element) for element in segment.elements] for segment in found.segments[1:-1]]


def finding(data: bytes, code: str, charset: str | None = None) -> Finding:
    [found] = [f for part in read([data], charset=charset) for f in part.findings if f.code == f"edifact.{code}"]
    return found


# ---- UNA


def advised(una: bytes, data: bytes = GOOD) -> bytes:
    """GOOD, written with the service characters of `una`."""
    component, element, _, release, _, terminator = una[3:9]
    signs = bytes.maketrans(b":+?'", bytes((component, element, release, terminator)))
    return una + data.translate(signs)


@pytest.mark.parametrize(
    "una", [b"UNA:+.? '", b"UNA:+,? '", b"UNA|~.! #", b"UNA:+.? \n", b"UNA\x1f\x1d.\x1b \x1c", b"UNA:+.?*'"]
)
def test_una_in_all_its_forms(una: bytes) -> None:
    assert codes(advised(una)) == [] and values(advised(una)) == [[["85"], ["X"]]]


@pytest.mark.parametrize(
    ("before", "at"), [(b"", 0), (b"\r\n", 2), (b"UNA:+.? '", 9), (b"UNA:+.? '\r\n", 11), (UNG, 0)]
)
def test_a_missing_unb_is_told_where_it_should_stand(before: bytes, at: int) -> None:
    [found] = [f for part in read([before + message() + UNZ]) for f in part.findings]
    assert (found.code, found.place) == ("edifact.unb_missing", Place(tag="UNB", offset=at))


@pytest.mark.parametrize("between", [b"", b" ", b"\r\n", b"\n\n", b"\t"])
def test_una_and_line_breaks_before_unb(between: bytes) -> None:
    assert codes(b"UNA:+.? '" + between + GOOD) == []


@pytest.mark.parametrize(
    ("signs", "why"),
    [(b"++.? '", "overlap"), (b"A+.? '", "letter"), (b"1+.? '", "digit"), (b" +.? '", "space"), (b":+.??'", "overlap")],
)
def test_una_with_unusable_characters_is_told(signs: bytes, why: str) -> None:
    assert codes(b"UNA" + signs + GOOD) == ["una_invalid"], why


def test_una_with_one_character_too_many() -> None:
    assert codes(b"UNA:+.? *'" + GOOD) == ["una_invalid"] and len(messages(b"UNA:+.? *'" + GOOD)) == 1


def test_una_behind_a_junk_header() -> None:
    data = b"* MAILBOX 77 *\r\n" + advised(b"UNA|~.! #")
    assert codes(data) == ["no_interchange"] and values(data) == [[["85"], ["X"]]]


def test_real_separators_differ_from_una() -> None:
    assert codes(b"UNA|~.! #" + GOOD) == ["una_differs"]
    assert values(b"UNA|~.! #" + GOOD) == [[["85"], ["X"]]]


@pytest.mark.parametrize(
    "una", [b"UNA|~.! #", b"UNA:+.? #", b"UNA:+.? \n", b"UNA|+.? '", b"UNA:+.!*'"], ids=["all", "#", "nl", "|", "!"]
)
def test_una_before_the_first_of_several_interchanges_only(una: bytes) -> None:
    body = advised(una, whole(b"BGM+85+X?+Y'"))
    data = body + body[9:] + b"\r\n" + body[9:]
    assert codes(data) == []
    element = chr(una[4])
    assert [m.segments[1].elements for m in messages(data)] == [[["85"], [f"X{element}Y"]]] * 3


def test_una_is_not_inherited_by_what_was_written_otherwise() -> None:
    other = advised(b"UNA:+.? #")
    assert codes(other + GOOD) == [] and len(messages(other + GOOD)) == 2
    assert codes(advised(b"UNA|~.! #") + GOOD) == []


@pytest.mark.parametrize(
    "body", [b"NAD+AA+LAGUNA+X'", b"FTX+AAA'UNA CASA'", b"FTX+AAA+++'UNA+CASA'", b"FTX+UNB+UNZ+UNA'"]
)
def test_una_inside_data_opens_no_interchange(body: bytes) -> None:
    parts = list(read([whole(body)]))
    assert [type(part) for part in parts] == [Envelope, RawMessage, Trailer]
    assert len(pieces(whole(body))) == 1


# ---- between segments and interchanges


@pytest.mark.parametrize("between", [b"\r\n", b"\n", b"\r", b"  ", b"\t", b"\r\n\r\n", b" \n "])
def test_blanks_and_line_breaks_between_segments(between: bytes) -> None:
    data = GOOD.replace(b"'", b"'" + between)
    assert codes(data) == [] and values(data) == [[["85"], ["X"]]]


@pytest.mark.parametrize("between", [b"", b"\r\n", b"\x1a", b"\n\n\x1a\n", b" \t", b"\xef\xbb\xbf"])
def test_several_interchanges_with_nothing_to_say_between(between: bytes) -> None:
    data = b"\xef\xbb\xbf" + GOOD + between + GOOD + between
    expected = ["data_after_unz"] * 2 if between.startswith(b"\xef") else []
    assert codes(data) == expected and len(messages(data)) == 2


def test_nul_between_segments_is_told_once() -> None:
    assert codes(GOOD.replace(b"'", b"'\0\0\0")) == ["nul", "nul"]  # inside the interchange, and behind it


def test_junk_between_belongs_to_the_interchange_before() -> None:
    first, second = pieces(GOOD + b"JUNK'" + GOOD)
    assert ([f.code for f in first.said], second.said) == (["edifact.data_after_unz"], ())
    assert first.said[0].place.offset == len(GOOD) and second.base == len(GOOD) + 5


def test_a_segment_terminator_that_is_a_line_break() -> None:
    for end in (b"\n", b"\r\n"):
        data = b"UNA:+.? \n" + GOOD.replace(b"'", end)
        assert codes(data) == [] and values(data) == [[["85"], ["X"]]]


@pytest.mark.parametrize("wrap", [b"\r\n", b"\n"])
def test_a_line_wrapped_inside_a_segment_is_told_with_its_place(wrap: bytes) -> None:
    data = whole(b"FTX+AAA+++SOME" + wrap + b"TEXT'")
    assert finding(data, "line_break").place.offset == data.index(wrap)
    assert codes(data) == ["line_break"] and len(messages(data)) == 1


def test_literal_backslash_r_backslash_n_between_segments_is_no_line_break() -> None:
    assert "tag" in codes(GOOD.replace(b"'BGM", b"'\\r\\nBGM"))


@pytest.mark.parametrize("data", [b"", b" ", b"\r\n\r\n", b"\x1a", b"\xef\xbb\xbf"])
def test_an_empty_or_blank_file(data: bytes) -> None:
    assert codes(data) == ["empty"] and pieces(data) == [] and envelope(data) is None


@pytest.mark.parametrize(
    ("codec", "name"),
    [("utf-16", "UTF-16"), ("utf-16-be", "UTF-16"), ("utf-32", "UTF-32"), ("utf-32-be", "UTF-32"), ("cp500", "EBCDIC")],
)
def test_letters_of_several_bytes_are_refused_by_name(codec: str, name: str) -> None:
    data = GOOD.decode().encode(codec)
    assert finding(data, "encoding").found == name and pieces(data) == []


@pytest.mark.parametrize(("start", "name"), [(b"PK\x03\x04\x14\0", "zip"), (b"\x1f\x8b\x08\0", "gzip")])
def test_a_packed_interchange_is_refused_by_name(start: bytes, name: str) -> None:
    assert finding(start + GOOD, "encoding").found == name


def test_data_after_unz() -> None:
    assert codes(GOOD + b"\r\nEND OF FILE") == ["data_after_unz"]


@pytest.mark.parametrize("start", [b"UIB+UNOA:4'", b"UNB+UNOA:4+A+B+20240101:1200+1'UIH+A'"])
def test_interactive_edi_is_refused_by_its_own_finding(start: bytes) -> None:
    assert "interactive" in codes(start + b"UIT'UIZ'")


def test_a_package_is_refused_and_nothing_behind_it_is_read() -> None:
    data = UNB4 + message() + b"UNO+1+1:X+1+3'A'UNB+UNOA:3'UNP+3+1'" + b"UNZ+2+1'"
    assert codes(data)[-1] == "package" and len(messages(data)) == 1 and len(pieces(data)) == 1


def test_security_segments_outside_messages_are_refused() -> None:
    assert codes(UNB4 + b"USH+1'USA+1'USC+1'UST+1'" + message() + UNZ) == ["security"]


# ---- release character


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"A??", "A?"),
        (b"A?'B", "A'B"),
        (b"A?+", "A+"),
        (b"A???'B", "A?'B"),
        (b"A????", "A??"),
        (b"?A", "A"),
        (b"?:?+?'??", ":+'?"),
    ],
)
def test_released_characters(text: bytes, value: str) -> None:
    data = whole(b"FTX+" + text + b"+Z'")
    assert values(data) == [[[value], ["Z"]]] and codes(data) == []


@pytest.mark.parametrize("size", range(1, 9))
def test_a_run_of_release_characters_before_a_terminator_pairs_from_its_left(size: int) -> None:
    data = UNB + b"UNH+1+A:D:95B:UN'FTX+A" + b"?" * size + b"'BGM+1'UNT+4+1'" + UNZ
    assert len(messages(data)[0].segments) == (3 if size % 2 else 4)


def test_release_before_a_line_break_releases_nothing_else() -> None:
    assert codes(whole(b"FTX+A?\r\nB'")) == ["line_break"]


def test_release_character_as_the_last_byte() -> None:
    assert codes(GOOD[:-1] + b"?") == ["release_at_end", "cut", "unz_missing"]


def test_no_release_character_when_una_has_a_space() -> None:
    assert values(whole(b"FTX+WHAT?+B'", una=b"UNA:+.  '")) == [[["WHAT?"], ["B"]]]


# ---- repetition


@pytest.mark.parametrize("una", [b"", b"UNA:+.?*'", b"UNA:+.? '"])
def test_repetition_in_version_4(una: bytes) -> None:
    [element] = messages(whole(b"COM+1:TE*2:FX*?*:X'", UNB4, una=una))[0].segments[1].elements
    assert isinstance(element, Repeats) and (element, element.more) == (["1", "TE"], [["2", "FX"], ["*", "X"]])


@pytest.mark.parametrize("una", [b"", b"UNA:+.?*'", b"UNA:+.? '"])
def test_below_version_4_the_asterisk_is_data_whatever_una_says(una: bytes) -> None:
    assert values(whole(b"COM+1:TE*2'", una=una)) == [[["1", "TE*2"]]]


def test_an_asterisk_that_una_uses_otherwise_repeats_nothing() -> None:
    una = b"UNA*+.? '"
    assert values(una + whole(b"COM+1:TE'", UNB4).replace(b":", b"*")) == [[["1", "TE"]]]


# ---- segments and tags


@pytest.mark.parametrize("tag", [b"bgm", b"Bgm", b"BG", b"BGMX", b"B M", b"1GM"])
def test_a_tag_that_is_none_is_told(tag: bytes) -> None:
    assert codes(whole(tag + b"+1'")) == ["tag"]


def test_an_empty_segment() -> None:
    assert codes(GOOD.replace(b"'BGM", b"''BGM")) == ["segment_empty"]


def test_a_segment_without_elements() -> None:
    assert values(whole(b"UNS'")) == [[]] and codes(whole(b"UNS'")) == []


def test_explicit_nesting_is_told() -> None:
    assert codes(whole(b"BGM:1:2+X'")) == ["nesting"] and values(whole(b"BGM:1:2+X'")) == [[["X"]]]


@pytest.mark.parametrize("body", [b"RFF+ON:'", b"BGM+1+'", b"LOC+9+A:+B'", b"COM+1*'", b"BGM+1:+'"])
def test_trailing_separators_are_told_under_version_4_only(body: bytes) -> None:
    assert codes(whole(body, UNB4)) == ["trailing_separator"] and codes(whole(body)) == []


@pytest.mark.parametrize("body", [b"RFF+ON?:'", b"BGM+1?+'", b"LOC+9++A?:+B'"])
def test_a_released_separator_at_the_end_is_data(body: bytes) -> None:
    assert codes(whole(body, UNB4)) == []


# ---- UNB


@pytest.mark.parametrize("unb", [UNB, UNB4])
@pytest.mark.parametrize("date", [b"240229", b"20240229", b"000229", b"991231", b"19991231"])
@pytest.mark.parametrize("time", [b"0000", b"2359", b"235959"])
def test_dates_of_six_or_eight_digits_under_either_version(unb: bytes, date: bytes, time: bytes) -> None:
    moment = unb[unb.index(b"+B+") + 3 : unb.rindex(b"+")]
    assert codes(GOOD.replace(UNB, unb.replace(moment, date + b":" + time))) == []


@pytest.mark.parametrize(
    "moment",
    [b"240230:1200", b"230229:1200", b"241301:1200", b"240101:2400", b"240101:1260", b"240101", b":1200", b"2401:12"],
)
def test_impossible_dates_and_times(moment: bytes) -> None:
    assert codes(GOOD.replace(b"240101:1200", moment)) == ["unb_date"]


def test_the_time_as_an_element_of_its_own_is_told_at_its_place() -> None:
    found = finding(GOOD.replace(b"240101:1200", b"240101+1200"), "unb_date")
    assert (found.place.element, found.place.component) == (4, 2)


@pytest.mark.parametrize(
    ("given", "element", "component"),
    [
        (b"UNB+:3+A+B+240101:1200+1'", 1, 1),
        (b"UNB+UNOB+A+B+240101:1200+1'", 1, 2),
        (b"UNB+UNOB:3++B+240101:1200+1'", 2, 1),
        (b"UNB+UNOB:3+A++240101:1200+1'", 3, 1),
        (b"UNB+UNOB:3+A+B+240101:1200'", 5, 1),
    ],
)
def test_what_unb_must_have(given: bytes, element: int, component: int) -> None:
    parts = next(iter(read([GOOD.replace(UNB, given)])))
    places = [(f.place.element, f.place.component) for f in parts.findings if f.code == "edifact.unb_incomplete"]
    assert places == [(element, component)]


@pytest.mark.parametrize(
    ("unb", "asked", "receipt", "wrong"),
    [(UNB, b"", (False, False), []), (UNB, b"1", (True, False), []), (UNB, b"2", (False, False), ["unb_code"]),
     (UNB4, b"1", (True, False), []), (UNB4, b"2", (False, True), []), (UNB4, b"3", (False, False), ["unb_code"])],
)  # fmt: skip
def test_0031_asks_for_contrl(unb: bytes, asked: bytes, receipt: tuple[bool, bool], wrong: list[str]) -> None:
    data = GOOD.replace(UNB, unb[:-1] + b"++++" + asked + b"'")
    found = envelope(data)
    assert found and (found.ack_requested, found.receipt_requested) == receipt
    assert [code for code in codes(data) if code == "unb_code"] == wrong


@pytest.mark.parametrize(
    ("unb", "value", "test", "wrong"),
    [(UNB, b"1", True, False), (UNB, b"5", True, False), (UNB, b"2", True, True), (UNB4, b"2", True, False),
     (UNB4, b"4", True, False), (UNB4, b"9", True, True), (UNB, b"0", False, True)],
)  # fmt: skip
def test_0035_whatever_it_says_is_a_test(unb: bytes, value: bytes, test: bool, wrong: bool) -> None:
    data = GOOD.replace(UNB, unb[:-1] + b"++++++" + value + b"'")
    found = envelope(data)
    assert found and found.test == test and (codes(data) == ["unb_code"]) == wrong


@pytest.mark.parametrize("version", [b"0", b"5", b"X", b"33"])
def test_a_syntax_version_that_there_is_not(version: bytes) -> None:
    assert codes(GOOD.replace(b"UNOB:3", b"UNOB:" + version)) == ["syntax_version"]


# ---- counts and references


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"+A+B+", b"+" + b"A" * 36 + b"+B+", ["element_too_long"]),
        (b"+A+B+", b"+A:ZZZZZ+B:ZZZZZ+", ["element_too_long", "element_too_long"]),
        (b"+1'UNH", b"+1++++++++'UNH", []),
        (b"+1'UNH", b"+1+++++++X'UNH", ["element_excess"]),
        (b"+240101:1200+", b"++", ["unb_incomplete"]),
        (b"UNOB:3", b"", ["unb_incomplete", "unb_incomplete"]),
        (b"UNZ+1+1'", b"UNZ+1+1+X'", ["element_excess"]),
        (b"UNT+3+1'", b"UNT+4+1'", ["unt_count"]),
        (b"UNT+3+1'", b"UNT+X+1'", ["unt_count"]),
        (b"UNT+3+1'", b"UNT++1'", ["element_missing"]),
        (b"UNT+3+1'", b"UNT+-3+1'", ["unt_count"]),
        (b"UNT+3+1'", b"UNT+" + b"3" * 5000 + b"+1'", ["limit"]),
        (b"UNT+3+1'", b"UNT+" + b"3" * 4000 + b"+1'", ["unt_count"]),
        (b"UNT+3+1'", b"UNT+3+2'", ["unt_reference"]),
        (b"UNT+3+1'", b"UNT+3'", ["element_missing"]),
        (b"UNT+3+1'", b"", ["unt_missing"]),
        (b"UNT+3+1'", b"UNT+000003+1'", []),
        (b"UNZ+1+1'", b"UNZ+2+1'", ["unz_count"]),
        (b"UNZ+1+1'", b"UNZ+1+01'", ["unz_reference"]),
        (b"UNZ+1+1'", b"UNZ'", ["element_missing", "element_missing"]),
        (b"UNZ+1+1'", b"", ["unz_missing"]),
        (b"UNZ+1+1'", b"UNZ+01+1'", []),
    ],
)
def test_counts_and_references(old: bytes, new: bytes, code: list[str]) -> None:
    assert codes(GOOD.replace(old, new)) == code


GROUPED = UNB + UNG + message() + b"UNE+1+7'" + UNZ


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (GROUPED, []),
        (GROUPED.replace(b"UNE+1", b"UNE+2"), ["une_count"]),
        (GROUPED.replace(b"UNE+1+7", b"UNE+1+8"), ["une_reference"]),
        (GROUPED.replace(b"UNE+1+7'", b""), ["une_missing"]),
        (GROUPED.replace(UNZ, b""), ["unz_missing"]),
        (UNB + UNG + b"UNE+0+7'" + message() + UNZ, ["groups_mixed", "group_empty"]),
        (UNB + message() + UNG + message() + b"UNE+1+7'" + UNZ, ["groups_mixed"]),
        (UNB + UNG + message() + UNG.replace(b"+7+", b"+8+") + message() + b"UNE+1+8'UNZ+2+1'", ["une_missing"]),
        (UNB + (UNG + message() + b"UNE+1+7'") * 2 + b"UNZ+2+1'", ["duplicate_reference"]),
        (UNB + message() + b"UNE+1+7'" + UNZ, ["outside_message"]),
        (GROUPED.replace(UNG, b"UNG+A'"), ["ung_incomplete"] * 7),
        (GROUPED.replace(UNB, UNB4).replace(UNG, b"UNG+++++7'"), []),
        (GROUPED.replace(b"A:D:95B", b"C:D:95B"), ["group_types"]),
        (GROUPED.replace(UNB, UNB4).replace(b"A:D:95B", b"C:D:95B"), []),
    ],
)
def test_functional_groups(data: bytes, expected: list[str]) -> None:
    assert codes(data) == expected


def test_unz_counts_groups_and_each_message_knows_its_group() -> None:
    data = UNB + UNG + message() * 1 + b"UNE+1+7'" + UNG.replace(b"+7+", b"+8+") + message() + b"UNE+1+8'UNZ+2+1'"
    assert codes(data) == []
    assert [m.group and m.group.reference for m in messages(data)] == ["7", "8"]
    last = list(read([data]))[-1]
    assert isinstance(last, Trailer) and [group.reference for group, _ in last.groups] == ["7", "8"]
    first = last.groups[0][0]
    assert (first.type, first.sender, first.recipient, first.agency, first.version, first.release) == (
        ("A", "B", "C", "UN", "D", "95B")
    )
    assert first.offset == data.index(b"UNG")


@pytest.mark.parametrize(
    "references", [["1", "1"], ["1", "2", "3", "2"], ["5", "1", "2", "3", "4", "5"], ["X", "Y", "X"], ["01", "1", "01"]]
)
def test_one_unh_reference_twice(references: list[str]) -> None:
    body = "".join(f"UNH+{reference}+A:D:95B:UN'UNT+2+{reference}'" for reference in references)
    data = UNB + body.encode() + b"UNZ+%d+1'" % len(references)
    assert codes(data) == ["duplicate_reference"]
    assert [bool(m.findings) for m in messages(data)] == [False] * (len(references) - 1) + [True]


def test_references_that_differ_are_not_the_same() -> None:
    body = b"".join(b"UNH+%b+A:D:95B:UN'UNT+2+%b'" % (r, r) for r in (b"1", b"01", b"2", b"10", b"9", b"11", b"A"))
    assert codes(UNB + body + b"UNZ+7+1'") == []


def test_a_second_unb_ends_the_interchange_before_it() -> None:
    data = UNB + message() + GOOD
    assert codes(data) == ["unz_missing"] and len(pieces(data)) == 2


def test_unh_without_its_parts() -> None:
    assert codes(UNB + b"UNH+1'UNT+2+1'" + UNZ) == ["unh_incomplete"]


# ---- character sets


@pytest.mark.parametrize(
    ("level", "codec", "text"),
    [
        ("UNOC", "latin-1", "é"), ("UNOD", "iso8859-2", "Ł"), ("UNOE", "iso8859-5", "Ж"), ("UNOF", "iso8859-7", "Ω"),
        ("UNOG", "iso8859-3", "ħ"), ("UNOH", "iso8859-4", "ķ"), ("UNOI", "iso8859-6", "ق"), ("UNOJ", "iso8859-8", "ש"),
        ("UNOK", "iso8859-9", "ğ"), ("UNOL", "iso8859-15", "€"), ("UNOW", "utf-8", "天津"), ("UNOY", "utf-8", "𠀀"),
    ],
)  # fmt: skip
def test_each_level_has_its_character_set(level: str, codec: str, text: str) -> None:
    data = whole(f"FTX+{text}'".encode(codec), UNB.replace(b"UNOB", level.encode()))
    assert values(data) == [[[text]]] and codes(data) == []


@pytest.mark.parametrize("codec", ["gb18030", "gbk", "big5", "utf-8", "cp1252"])
def test_the_agreement_beats_unb(codec: str) -> None:
    text = "ü" if codec == "cp1252" else "天津新港"
    data = whole(f"FTX+{text}?+x'".encode(codec), UNB.replace(b"UNOB", b"UNOA"))
    assert values(data, codec) == [[[text + "+x"]]] and codes(data, codec) == []


def test_gb18030_under_unoa_without_agreement_is_told_and_never_replaced() -> None:
    data = whole("FTX+天津新港'".encode("gb18030"))
    assert finding(data, "undecodable").place.offset == data.index("天".encode("gb18030"))
    assert values(data)[0][0][0].encode("latin-1") == "天津新港".encode("gb18030")


def test_gb18030_with_a_separator_that_may_be_a_second_byte() -> None:
    assert "separator_in_charset" in codes(b"UNA|~.? '" + GOOD.translate(bytes.maketrans(b":+", b"|~")), "gb18030")


@pytest.mark.parametrize("encoding", [b"1", b"2", b"7", b"ZZZ", b""])
def test_0133_that_can_be_read(encoding: bytes) -> None:
    assert codes(GOOD.replace(UNB, UNB4.replace(b"UNOB:4", b"UNOW:4::" + encoding))) == (
        [] if encoding else ["trailing_separator"]
    )


def test_0133_decides_under_version_4() -> None:
    data = whole("FTX+é'".encode(), UNB4.replace(b"UNOB:4", b"UNOC:4::7"))
    assert values(data) == [[["é"]]] and codes(data) == []
    assert values(whole("FTX+é'".encode("cp850"), UNB4.replace(b"UNOB:4", b"UNOC:4::4"))) == [[["é"]]]


@pytest.mark.parametrize("encoding", [b"3", b"5", b"6", b"8", b"77"])
def test_0133_that_cannot_be_read(encoding: bytes) -> None:
    found = finding(GOOD.replace(UNB, UNB4.replace(b"UNOB:4", b"UNOY:4::" + encoding)), "charset_unsupported")
    assert (found.found, found.place.component) == (encoding.decode(), 4)


@pytest.mark.parametrize("level", [b"KECA", b"IATA", b"ANSI", b"XXXX", b"UNOZ"])
def test_a_level_that_is_none_needs_an_agreement(level: bytes) -> None:
    data = GOOD.replace(b"UNOB", level)
    assert codes(data) == ["charset_unsupported"] and codes(data, "latin-1") == []


def test_unox_is_read_as_far_as_it_does_not_shift() -> None:
    unb = UNB.replace(b"UNOB", b"UNOX")
    assert codes(whole(b"FTX+plain'", unb)) == []
    assert codes(whole(b"FTX+\x1b$B'", unb)) == ["control"]


@pytest.mark.parametrize(
    ("level", "text", "sign"),
    [(b"UNOA", b"lower", "l"), (b"UNOA", b"A@B", "@"), (b"UNOB", b"a_b", "_"), (b"UNOC", b"a_@", None)],
)
def test_signs_outside_the_level_are_a_warning_once_a_message(level: bytes, text: bytes, sign: str | None) -> None:
    data = whole(b"FTX+" + text + b"'FTX+" + text + b"'", UNB.replace(b"UNOB", level))
    found = [f for m in messages(data) for f in m.findings]
    assert [(f.found, f.severity) for f in found] == ([(sign, "warning")] if sign else [])


@pytest.mark.parametrize(
    ("byte", "code"), [(b"\x07", "control"), (b"\t", "control"), (b"\x7f", "control"), (b"\0", "nul")]
)
def test_control_characters_are_told_once_a_segment(byte: bytes, code: str) -> None:
    data = whole(b"FTX+A" + byte * 3 + b"B'FTX+" + byte + b"'")
    assert codes(data) == [code, code]
    assert messages(data)[0].findings[0].place.offset == data.index(byte)


def test_control_characters_of_eight_bits() -> None:
    data = whole(b"FTX+\x93quoted\x94'", UNB.replace(b"UNOB", b"UNOC"))
    assert finding(data, "control").found == "0x93" and codes(data, "cp1252") == []


def test_a_fault_in_unh_is_the_fault_of_its_message() -> None:
    data = UNB + message(head=b"UNH+1+A:D:95B:UN+\xe9'") + UNZ
    assert [f.code for f in messages(data)[0].findings] == ["edifact.undecodable"]


# ---- places


SEGMENT = "FTX+A:?::天+B?'?+*C:D*+E?"
PLACED = [(1, 1, "A"), (1, 2, "?:"), (1, 3, "天"), (2, None, "B"), (2, 1, "B"), (3, 1, "E")]


@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
@pytest.mark.parametrize(("element", "component", "text"), PLACED)
def test_a_place_is_the_byte_of_its_element(codec: str, element: int, component: int | None, text: str) -> None:
    data = whole((SEGMENT + "?'X'").encode(codec))
    [found] = messages(data, codec)
    segment = found.segments[1]
    [moved] = exact(
        [Finding("edifact.code_unknown", located("FTX", segment.offset, element, component))], data, head(data, codec)
    )
    assert moved.place.offset is not None and data[moved.place.offset :].startswith(text.encode(codec))
    assert exact([moved], data, head(data, codec)) == (moved,)


@pytest.mark.parametrize(("element", "component"), [(9, None), (3, 7), (9, 9)])
def test_what_is_missing_stands_at_the_end(element: int, component: int | None) -> None:
    data = whole(b"RFF+A+B+C:D'BGM+1'")
    place = located("RFF", data.index(b"RFF"), element, component)
    [moved] = exact([Finding("edifact.element_missing", place)], data, head(data))
    assert moved.place.offset == data.index(b"'BGM")


def test_the_place_of_a_repeat() -> None:
    data = whole(b"COM+1:TE*2?*:FX*3:EM'", UNB4)
    at = data.index(b"COM")
    places = [located("COM", at, 1, 2, occurrence) for occurrence in (1, 2, 3, 4)]
    moved = exact([Finding("edifact.code_unknown", place) for place in places], data, head(data))
    assert [data[f.place.offset :][:2] for f in moved] == [b"TE", b"FX", b"EM", b"'U"]


def test_a_finding_without_a_place_in_the_data_stays_as_it_is() -> None:
    found = (
        Finding("edifact.cut"),
        Finding("edifact.cut", located("BGM", 3, 1)),
        Finding("edifact.cut", located("BGM", 10**9, 1)),
    )
    assert exact(found, GOOD, head(GOOD)) == found


def located(tag: str, offset: int, element: int, component: int | None = None, occurrence: int | None = None) -> Place:
    return Place(tag=tag, element=element, component=component, offset=offset, occurrence=occurrence)


def head(data: bytes, charset: str | None = None) -> Envelope:
    found = envelope(data, charset)
    assert found
    return found


# ---- pieces


def test_pieces_are_what_read_reads() -> None:
    other = advised(b"UNA|~.! #")
    data = b"\xef\xbb\xbfX " + other + other[9:] + b"\r\nJUNK" + GOOD + b"\0\x1a" + UNB + message() + GROUPED + b"END"
    cut = pieces(data)
    assert len(cut) == 5
    for before, behind in pairwise(cut):
        assert before.base + len(before.data) <= behind.base + (9 if behind.data.startswith(b"UNA") else 0)
    piecewise = [repr(p) for piece in cut for p in read([piece.data])]
    assert len(piecewise) == len(list(read([data])))
    for piece in cut:
        for part in read([piece.data]):
            if isinstance(part, RawMessage):
                at = part.offset + piece.base
                assert data[at : at + 3] == b"UNH" and data[part.end + piece.base - 1 : part.end + piece.base] in b"'#"


def test_the_findings_of_a_piece_have_their_place_in_the_file() -> None:
    wrong = GOOD.replace(b"UNT+3", b"UNT+9")
    data = GOOD + b"\r\n" + wrong
    told = [f for part in read([data]) for f in part.findings]
    piece = pieces(data)[1]
    assert [piece.place(f) for part in read([piece.data]) for f in part.findings] == told


def test_a_tag_that_is_none_is_told_each_time() -> None:
    data = whole(b"BGMX+1'BGMX+2'")
    assert codes(data) == codes(data) == ["tag", "tag"]


def test_the_next_interchange_may_end_its_segments_otherwise() -> None:
    data = advised(b"UNA:+.? \n", GOOD)[: -len(UNZ)] + GOOD
    assert codes(data) == ["unz_missing"] and len(messages(data)) == len(pieces(data)) == 2


def test_a_released_terminator_before_a_line_break_is_data_with_a_line_break() -> None:
    data = whole(b"FTX+A?'\r\nB'").replace(b"UN'", b"UN'\r\n").replace(b"B'", b"B'\r\n")
    assert "line_break" in codes(data) and values(data) == [[["A'\r\nB"]]]


def test_a_release_character_before_a_carriage_return_releases_no_newline() -> None:
    data = (b"UNA:+.? \n" + whole(b"FTX+A?'").replace(b"'", b"\r\n")).replace(b"?\r\n", b"?\r\nRFF+1\r\n", 1)
    assert len(messages(data)[0].segments) == 4


@pytest.mark.parametrize("between", [b"", b"\n", b"\r\n"])
def test_a_message_ends_behind_its_terminator_and_not_behind_the_line_break(between: bytes) -> None:
    data = GOOD.replace(b"'", b"'" + between)
    [found] = messages(data)
    assert data[found.offset : found.end].startswith(b"UNH") and data[: found.end].endswith(b"UNT+3+1'")
