"""APERAK: what is wrong by content, told by the tables of D.96B."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.edifact.aperak import aperak
from hub.edifact.directory import Directories
from hub.edifact.elements import check
from hub.edifact.model import Envelope, RawMessage, Segment, Separators
from hub.edifact.reader import read
from hub.edifact.structure import build
from hub.finding import Finding, Place

NOW = datetime(2024, 1, 2, 3, 4, tzinfo=UTC)
DIRECTORIES = Directories(Path(__file__).parents[3] / "schemas" / "edifact")
ENVELOPE = Envelope("UNOC", "3", "A", "14", "B", "", "2401011200", "77", charset="latin-1")
BY_CONTENT = Finding("opening.document_conflict", Place("1", 2, "BGM", 2, 1), "MAN1", "2024-01-01")
BY_SYNTAX = Finding("edifact.code_unknown", Place("1", 2, "BGM", 1, 1))


def message(reference: str = "1", type: str = "CUSCAR", document: str = "MAN1") -> RawMessage:
    segments = [
        Segment("UNH", [[reference], [type, "D", "95B", "UN"]], 1),
        Segment("BGM", [["85"], [document], ["9"]], 2),
    ]
    return RawMessage(reference, type, "D", "95B", "UN", "", segments, 0, 0)


def told(envelope: Envelope, *judged: tuple[RawMessage, list[Finding]], lang: str = "en") -> list[RawMessage]:
    """The messages of the answer, which passes the hub's own check; [] where there is none."""
    data = aperak(envelope, judged, reference="9", message_reference="8", now=NOW, lang=lang)
    if data is None:
        return []
    parts = list(read([data], charset=envelope.charset))
    assert [f for part in parts for f in part.findings if f.severity == "error"] == []
    messages = [part for part in parts if isinstance(part, RawMessage)]
    for one in messages:
        version = "4" if envelope.version == "4" else "3"
        directory = DIRECTORIES.get("D:96B", version)
        assert build(one, directory.message("APERAK"))[1] + check(one, directory, version=version) == []
    return messages


@pytest.mark.parametrize("version", ["1", "3", "4"])
def test_what_it_says(version: str) -> None:
    [answer] = told(replace(ENVELOPE, version=version), (message(), [BY_CONTENT]))
    lines = [repr(segment) for segment in answer.segments]
    assert lines[1:6] == [
        "BGM++8+9+RE'",
        "DTM+137:202401020304:203'",
        "RFF+ACW:1'",
        "RFF+DM:MAN1'",
        "ERC+DOCUMENT::ZZZ'",
    ]
    assert lines[6].startswith("FTX+AAO+++opening.document_conflict:") and "MAN1" in lines[6]
    assert lines[7] == "RFF+FI:BGM(2) 2.1'"


def test_syntax_and_warnings_are_not_its_business() -> None:
    assert told(ENVELOPE, (message(), [])) == []
    assert told(ENVELOPE, (message(), [BY_SYNTAX])) == []
    assert told(ENVELOPE, (message(), [BY_CONTENT, BY_SYNTAX])) == []
    assert told(ENVELOPE, (message(), [replace(BY_CONTENT, severity="warning")])) == []


@pytest.mark.parametrize("type", ["CONTRL", "APERAK"])
def test_nothing_answers_an_answer(type: str) -> None:
    assert told(ENVELOPE, (message(type=type), [BY_CONTENT])) == []


@pytest.mark.parametrize("change", [{"sender": ""}, {"recipient": "\x9b"}])
def test_nobody_gets_none(change: dict[str, str]) -> None:
    assert told(replace(ENVELOPE, **change), (message(), [BY_CONTENT])) == []  # type: ignore[arg-type]


def test_each_rejected_message_has_its_own() -> None:
    judged = [(message(str(n)), [BY_CONTENT] if n % 2 else []) for n in range(6)]
    answers = told(ENVELOPE, *judged)
    assert [answer.reference for answer in answers] == ["8000001", "8000002", "8000003"]
    assert [answer.segments[3].get(1, 2) for answer in answers] == ["1", "3", "5"]


def test_a_long_reason_takes_five_lines() -> None:
    [answer] = told(ENVELOPE, (message(), [replace(BY_CONTENT, found="word " * 200)]))
    [text] = [segment for segment in answer.segments if segment.tag == "FTX"]
    assert [len(line) <= 70 for line in text.elements[3]] == [True] * 5


def test_chinese_where_the_sender_can_read_it() -> None:
    chinese = replace(ENVELOPE, syntax="UNOX", charset="gb18030")
    assert not repr(told(chinese, (message(), [BY_CONTENT]), lang="zh")[0].segments[6]).isascii()
    assert repr(told(ENVELOPE, (message(), [BY_CONTENT]), lang="zh")[0].segments[6]).isascii()


def test_a_value_that_the_sender_could_not_read_is_escaped() -> None:
    [answer] = told(ENVELOPE, (message(document="港"), [replace(BY_CONTENT, found="港\x1b")]))
    assert r"\u6e2f\u001b" in repr(answer.segments[5]) and [s.tag for s in answer.segments].count("RFF") == 2


ANY = st.text(max_size=30) | st.text("A1'+:?*\x1d\x85é天 ", max_size=30)


@settings(max_examples=100, deadline=None)
@given(
    ANY,
    ANY,
    ANY,
    st.sampled_from(["ascii", "latin-1", "utf-8", "gb18030"]),
    st.sampled_from([Separators(), Separators("|", "~", ",", "!", "", "#"), Separators(release="")]),
    st.sampled_from(["en", "zh"]),
)
def test_whatever_came_the_answer_is_sound(
    reference: str, document: str, value: str, charset: str, signs: Separators, lang: str
) -> None:
    envelope = replace(ENVELOPE, charset=charset, separators=signs)
    assert told(envelope, (message(reference, document=document), [replace(BY_CONTENT, found=value)]), lang=lang)
