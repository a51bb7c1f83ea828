"""The writer: what it writes is read again as it was, and what cannot be written is told before it is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hub.edifact.model import Element, Envelope, Repeats, Separators
from hub.edifact.separators import cutter
from hub.edifact.writer import EncodingLost, answering, carried, leveled, write_interchange, write_segment

NOW = datetime(2024, 1, 2, 3, 4, tzinfo=UTC)
ENVELOPE = Envelope("UNOC", "3", "A", "14", "B", "ZZZ", "2401011200", "77", charset="latin-1")

SIGNS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\x1c\x1d\x1f"
VALUE = st.text(max_size=6) | st.text(SIGNS + "A1", max_size=6)
PARTS = st.lists(VALUE, min_size=1, max_size=4)


def repeated(parts: list[Element]) -> Element:
    first = Repeats(parts[0])
    first.more = parts[1:]
    return first


def trimmed(values: Element) -> list[str]:
    last = max((at for at, value in enumerate(values, 1) if value), default=1)
    return list(values[:last])


def plainly(elements: list[Element]) -> list[list[list[str]]]:
    """Every occurrence of every element, without what is empty at an end."""
    found = [[trimmed(one) for one in (each, *(each.more if isinstance(each, Repeats) else ()))] for each in elements]
    while len(found) > 1 and found[-1] == [[""]]:
        found.pop()
    return found


@settings(max_examples=150, deadline=None)
@given(
    st.lists(PARTS | st.lists(PARTS, min_size=2, max_size=3).map(repeated), min_size=1, max_size=5),
    st.permutations(SIGNS),
)
def test_a_segment_is_read_as_it_was_written(elements: list[Element], signs: list[str]) -> None:
    separators = Separators(signs[0], signs[1], ".", signs[2], signs[3], signs[4])
    text = write_segment("ABC", elements, separators)
    assert text.startswith("ABC") and text.endswith(signs[4])
    read = cutter(separators)(text[3:-1].removeprefix(signs[1]))
    assert plainly(read) == plainly(elements)


@given(st.lists(PARTS, min_size=1, max_size=4))
def test_without_release_character_nothing_is_written_that_would_need_it(elements: list[Element]) -> None:
    separators = Separators(release="")
    needs = any(sign in value for values in elements for value in trimmed(values) for sign in ":+'")
    assume(elements[-1][-1])
    if needs:
        with pytest.raises(EncodingLost):
            write_segment("ABC", elements, separators)
    else:
        assert plainly(cutter(separators)(write_segment("ABC", elements, separators)[4:-1])) == plainly(elements)


def test_a_repeat_needs_a_version_that_has_repeats() -> None:
    with pytest.raises(EncodingLost):
        write_segment("COM", [repeated([["1"], ["2"]])], Separators())
    assert write_segment("COM", [repeated([["1", ""], ["2*"]])], Separators(repetition="*")) == "COM+1*2?*'"


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("latin-1", "港"),
        ("ascii", "é"),
        ("latin-1", "a\nb"),
        ("utf-8", "\x1b[2J"),
        ("utf-8", "\x85"),
        ("gb18030", "\x9b"),
    ],
)
def test_what_the_receiver_cannot_read_is_told_before_it_is_sent(charset: str, text: str) -> None:
    with pytest.raises(EncodingLost) as lost:
        write_interchange(replace(ENVELOPE, charset=charset), [f"FTX+{text}'"], NOW)
    assert set(lost.value.text) <= set(text)


def test_a_control_character_may_be_a_service_character() -> None:
    signs = Separators("\x1f", "\x1d", ".", "", "", "\x1c")
    data = write_interchange(replace(ENVELOPE, separators=signs), ["UNH\x1d1\x1c"], NOW)
    assert data.startswith(b"UNA\x1f\x1d.  \x1cUNB\x1dUNOC\x1f3\x1d")


@pytest.mark.parametrize(
    ("version", "repetition", "una"),
    [("3", "", b""), ("4", "*", b""), ("4", "^", b"UNA:+.?^'"), ("4", "", b"UNA:+.? '"), ("3", "*", b"UNA:+.?*'")],
)
def test_una_where_the_service_characters_are_not_those_of_the_version(
    version: str, repetition: str, una: bytes
) -> None:
    envelope = replace(ENVELOPE, version=version, separators=Separators(repetition=repetition))
    assert write_interchange(envelope, [], NOW).partition(b"UNB")[0] == una


class TestAnswering:
    def test_the_parties_change_places_and_nothing_is_asked_for(self) -> None:
        asked = replace(ENVELOPE, ack_requested=True, application="X", test=True, offset=9)
        answer = answering(asked, "1")
        assert (answer.sender, answer.sender_qualifier) == ("B", "ZZZ")
        assert (answer.recipient, answer.recipient_qualifier) == ("A", "14")
        assert (answer.reference, answer.application, answer.ack_requested, answer.offset) == ("1", "", False, 0)
        assert (answer.syntax, answer.version, answer.charset, answer.test) == ("UNOC", "3", "latin-1", True)

    @pytest.mark.parametrize(
        ("version", "repetition", "expected"), [("3", "*", ("3", "")), ("4", "^", ("4", "^")), ("x", "", ("3", ""))]
    )
    def test_version_and_repetition_go_together(self, version: str, repetition: str, expected: tuple[str, str]) -> None:
        answer = answering(replace(ENVELOPE, version=version, separators=Separators(repetition=repetition)), "1")
        assert (answer.version, answer.separators.repetition) == expected

    def test_service_characters_that_may_be_part_of_a_letter_are_not_used(self) -> None:
        signs = Separators("|", "~", ",", "!", "", "#")
        assert answering(replace(ENVELOPE, separators=signs), "1").separators == signs
        assert answering(replace(ENVELOPE, separators=signs, charset="gb18030"), "1").separators == Separators()


@pytest.mark.parametrize(
    ("value", "longest", "change", "expected"),
    [
        ("R" * 20, 14, {}, "R" * 14),
        ("AB\x1bC", 14, {}, "AB"),
        ("\x85", 14, {}, ""),
        ("é港", 14, {}, "é"),
        ("天津港", 2, {"charset": "gb18030"}, "天津"),
        ("A+B", 14, {}, "A+B"),
        ("A+B", 14, {"separators": Separators(release="")}, "A"),
    ],
)
def test_a_value_is_repeated_as_far_as_it_can_be(
    value: str, longest: int, change: dict[str, str], expected: str
) -> None:
    assert carried(value, longest, replace(ENVELOPE, **change)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("syntax", "version", "text", "expected"),
    [
        ("UNOA", "3", "ABC", "UNOA"),
        ("UNOA", "3", "abc", "UNOB"),
        ("UNOB", "4", "a@c", "UNOC"),
        ("UNOA", "3", "港", "UNOA"),
        ("UNOF", "3", "abc", "UNOF"),
        ("UNOY", "4", "abc", "UNOY"),
        ("UNOY", "3", "abc", "UNOB"),
        ("UNOY", "3", "港", "UNOY"),
        ("KECA", "3", "a@c", "UNOC"),
    ],
)
def test_the_level_under_which_a_text_may_stand(syntax: str, version: str, text: str, expected: str) -> None:
    assert leveled(replace(ENVELOPE, syntax=syntax, version=version), [f"FTX+{text}'"]).syntax == expected
