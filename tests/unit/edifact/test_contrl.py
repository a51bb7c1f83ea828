"""CONTRL of both versions: what it says at each level, and that every one of them passes the hub's own check."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.edifact.contrl import contrl
from hub.edifact.directory import Directories
from hub.edifact.elements import check
from hub.edifact.model import Envelope, FunctionalGroup, RawMessage, Segment, Separators, Trailer
from hub.edifact.reader import read
from hub.edifact.separators import cutter
from hub.edifact.structure import build
from hub.edifact.unb import settled
from hub.finding import Finding, Place

NOW = datetime(2024, 1, 2, 3, 4, tzinfo=UTC)
DIRECTORIES = Directories(Path(__file__).parents[3] / "schemas" / "edifact")
ENVELOPE = Envelope("UNOA", "3", "A", "14", "B", "", "2401011200", "77")
VERSIONS = pytest.mark.parametrize("version", ["1", "2", "3", "4"])
GROUP = FunctionalGroup("CUSCAR", "GA", "14", "GB", "", "G1", "UN", "D", "95B", 50)


def message(reference: str = "1", group: FunctionalGroup | None = None, type: str = "CUSCAR") -> RawMessage:
    segments = [Segment("UNH", [[reference], [type, "D", "95B", "UN"]], 1), Segment("UNT", [["2"], [reference]], 2)]
    return RawMessage(reference, type, "D", "95B", "UN", "", segments, 0, 0, (), group)


def wrong(
    code: str, segment: int | None = None, tag: str | None = None, *at: int, occurrence: int | None = None
) -> Finding:
    return Finding(f"edifact.{code}", Place("1", segment, tag, *at, occurrence=occurrence))


def answer(envelope: Envelope = ENVELOPE, *judged: tuple[RawMessage, list[Finding]], **more: object) -> str:
    """Body of the CONTRL: UCI to the last segment before UNT."""
    envelope_findings = more.pop("envelope_findings", [])
    given = {"reference": "9", "message_reference": "8", "now": NOW} | more
    data = contrl(envelope, judged, envelope_findings, **given)  # type: ignore[arg-type]
    assert data is not None
    sound(data, envelope)
    text = data.decode(envelope.charset)
    return text[text.index("UCI") : text.rindex("UNT")]


def sound(data: bytes, envelope: Envelope) -> None:
    """Our own check has nothing against what we send, UNB and UNZ included."""
    parts = list(read([data], charset=envelope.charset))
    assert [type(part) for part in parts] == [Envelope, RawMessage, Trailer]
    said, told, _ = parts
    assert [finding for part in parts for finding in part.findings] == []
    assert isinstance(said, Envelope) and isinstance(told, RawMessage)
    assert (said.sender, said.recipient) == (envelope.recipient, envelope.sender)
    version = "4" if said.version == "4" else "3"
    directory = DIRECTORIES.get("4:1" if version == "4" else "D:3")
    assert build(told, directory.message("CONTRL"))[1] + check(told, directory, version=version) == []
    start, end = data.index(b"UNB"), data.rindex(b"UNZ")
    signs = said.separators
    outer = [data[start : told.offset], data[end:]]
    cut = [cutter(signs)(piece.decode(envelope.charset).rstrip("\r\n")[4:-1]) for piece in outer]
    frame = replace(told, segments=[Segment("UNB", cut[0], 1), Segment("UNZ", cut[1], 2)])
    assert check(frame, directory, version=version) == []


def test_received_acknowledged_rejected() -> None:
    assert answer() == "UCI+77+A:14+B+8'"
    assert answer(ENVELOPE, (message(), [])) == "UCI+77+A:14+B+7'"
    assert answer(ENVELOPE, (message(), []), accepted=True) == "UCI+77+A:14+B+7'UCM+1+CUSCAR:D:95B:UN+7'"
    assert answer(envelope_findings=[wrong("unz_count", 3, "UNZ", 1)]) == "UCI+77+A:14+B+4+29+UNZ+2'"


def test_a_rejected_interchange_says_nothing_of_its_messages() -> None:
    told = answer(
        ENVELOPE, (message(), [wrong("code_unknown", 2, "BGM", 1)]), envelope_findings=[wrong("unz_missing", 3, "UNZ")]
    )
    assert told == "UCI+77+A:14+B+4+13+UNZ'"


def test_every_level_has_its_place() -> None:
    findings = [
        wrong("unt_count", 9, "UNT", 1),
        wrong("segment_unexpected", 4, "XXX"),
        wrong("code_unknown", 2, "BGM", 1),
        wrong("element_too_long", 2, "BGM", 2, 3),
        wrong("segment_missing", 2, "BGM"),
        wrong("unt_reference", 9, "UNT", 2),
    ]
    assert answer(ENVELOPE, (message(), findings)) == (
        "UCI+77+A:14+B+7'UCM+1+CUSCAR:D:95B:UN+4+29+UNT+2'UCS+2+13'UCD+12+2'UCD+39+3:3'UCS+4+15'UCS+9'UCD+18+3'"
    )


def test_only_version_4_has_the_occurrence_and_only_its_own_codes() -> None:
    findings = [wrong("element_repeats", 2, "COM", 1, occurrence=4), wrong("decimal_invalid", 3, "MEA", 1, 2)]
    assert answer(ENVELOPE, (message(), findings)).endswith("UCS+2'UCD+18+2'UCS+3'UCD+19+2:2'")
    assert answer(replace(ENVELOPE, version="4"), (message(), findings)).endswith("UCS+2'UCD+35+2::4'UCS+3'UCD+18+2:2'")


@VERSIONS
def test_a_code_that_the_version_or_level_does_not_have_is_18(version: str) -> None:
    envelope = replace(ENVELOPE, version=version)
    assert answer(envelope, envelope_findings=[wrong("decimal_invalid", 1, "UNB", 4)]).endswith(
        "+4+18+UNB+5'" if version == "4" else "+4+19+UNB+5'"
    )
    assert "UCD+18+2'" in answer(envelope, (message(), [wrong("outside_message", 2, "BGM", 1)]))


def test_version_4_has_no_una_among_its_service_segments() -> None:
    una = [Finding("edifact.una_invalid", Place(tag="UNA"))]
    assert answer(envelope_findings=una).endswith("+4+22+UNA'")
    assert answer(replace(ENVELOPE, version="4"), envelope_findings=una).endswith("+4+22'")


@VERSIONS
def test_the_answer_keeps_the_version_and_swaps_the_parties(version: str) -> None:
    signs = settled(Separators(), version)
    envelope = replace(ENVELOPE, version=version, test=True, ack_requested=True, application="X", separators=signs)
    data = contrl(envelope, [], [], reference="9", message_reference="8", now=NOW)
    date, name = ("20240102", "CONTRL:4:1:UN") if version == "4" else ("240102", "CONTRL:D:3:UN")
    assert data is not None
    assert data.startswith(f"UNB+UNOA:{version}+B+A:14+{date}:0304+9++++++1'UNH+8+{name}'".encode())


def test_a_version_that_there_is_not_is_answered_in_version_3() -> None:
    assert "UCI+77+A:14+B+4+2+UNB+2:2'" in answer(
        replace(ENVELOPE, version="9"), envelope_findings=[wrong("syntax_version", 1, "UNB", 1, 2)]
    )


@pytest.mark.parametrize("type", ["CONTRL", "APERAK"])
def test_nothing_answers_an_answer(type: str) -> None:
    judged = [(message(type=type), [wrong("segment_missing", 1, "UNH")])]
    assert contrl(ENVELOPE, judged, [], reference="9", message_reference="8", now=NOW) is None
    assert answer(ENVELOPE, *judged, (message("2"), []), accepted=True) == "UCI+77+A:14+B+7'UCM+2+CUSCAR:D:95B:UN+7'"


@pytest.mark.parametrize("change", [{"reference": ""}, {"sender": ""}, {"recipient": "\x1b[2J"}, {"sender": "é"}])
def test_an_interchange_that_cannot_be_named_has_no_answer(change: dict[str, str]) -> None:
    assert contrl(replace(ENVELOPE, **change), [], [], reference="9", message_reference="8", now=NOW) is None  # type: ignore[arg-type]


def test_content_is_not_spoken_of() -> None:
    judged = (message(), [Finding("opening.document_conflict")])
    assert answer(ENVELOPE, judged) == "UCI+77+A:14+B+7'"
    warning = replace(wrong("code_usual", 2, "NAD", 1), severity="warning")
    assert answer(ENVELOPE, (message(), [warning])) == "UCI+77+A:14+B+7'"


class TestGroups:
    def test_a_message_of_a_group_stands_below_its_ucf(self) -> None:
        judged = [(message("1", GROUP), []), (message("2", GROUP), [wrong("segment_missing", 1, "UNH")])]
        assert answer(ENVELOPE, *judged, groups=((GROUP, ()),)) == (
            "UCI+77+A:14+B+7'UCF+G1+GA:14+GB+7'UCM+2+CUSCAR:D:95B:UN+4'UCS+1+13'"
        )

    def test_a_fault_of_une_alone_rejects_its_group_and_no_other(self) -> None:
        other = replace(GROUP, reference="G2", offset=99)
        judged = [(message("1", GROUP), [wrong("segment_missing", 1, "UNH")]), (message("2", other), [])]
        groups = ((GROUP, (wrong("une_count", 5, "UNE", 1),)), (other, ()))
        assert answer(ENVELOPE, *judged, groups=groups) == "UCI+77+A:14+B+7'UCF+G1+GA:14+GB+4+29+UNE+2'"
        assert answer(ENVELOPE, *judged, groups=groups, accepted=True).endswith(
            "UCF+G1+GA:14+GB+4+29+UNE+2'UCF+G2+GA:14+GB+7'UCM+2+CUSCAR:D:95B:UN+7'"
        )

    def test_a_group_that_holds_nothing(self) -> None:
        assert answer(ENVELOPE, groups=((GROUP, ()),), accepted=True).endswith("B+7'UCF+G1+GA:14+GB+7'")

    def test_version_4_needs_no_parties_of_a_group(self) -> None:
        bare = replace(GROUP, sender="", sender_qualifier="", recipient="")
        fault = ((bare, (wrong("une_count", 5, "UNE", 1),)),)
        assert answer(replace(ENVELOPE, version="4"), groups=fault).endswith("7'UCF+G1+++4+29+UNE+2'")
        assert answer(ENVELOPE, groups=fault) == "UCI+77+A:14+B+4+29+UNE+2'"

    def test_a_message_that_came_in_no_group_stands_before_them(self) -> None:
        fault = [wrong("segment_missing", 1, "UNH")]
        told = answer(ENVELOPE, (message("1", GROUP), fault), (message("2"), fault))
        assert told.index("UCM+2") < told.index("UCF+G1") < told.index("UCM+1")


class TestWhatCannotBeRepeated:
    def test_a_reference_is_repeated_as_far_as_there_is_room(self) -> None:
        long = replace(message("R" * 20), type="CUSCARXX", agency="UNX", association="A" * 9)
        fault = [wrong("element_too_long", 1, "UNH", 1)]
        assert f"UCM+{'R' * 14}+CUSCAR:D:95B:UN:{'A' * 6}+4+39+UNH+2'" in answer(ENVELOPE, (long, fault))
        assert "CUSCAR:D:95B:UNX:" in answer(replace(ENVELOPE, version="4"), (long, fault))

    def test_a_message_without_a_name_is_told_by_uci(self) -> None:
        nameless, fault = replace(message(""), type=""), [wrong("unh_incomplete", 1, "UNH", 1)]
        assert answer(ENVELOPE, (nameless, fault)) == "UCI+77+A:14+B+4+13+UNH+2'"
        assert answer(ENVELOPE, (nameless, fault), (message(), [])) == "UCI+77+A:14+B+7+13+UNH+2'"
        assert answer(replace(ENVELOPE, version="4"), (nameless, fault)) == "UCI+77+A:14+B+7'UCM+++4+13+UNH+2'"

    def test_without_release_character_a_value_ends_before_a_service_character(self) -> None:
        bare = replace(ENVELOPE, separators=Separators(release=""))
        told = answer(bare, (message("R1+X"), [wrong("segment_missing", 1, "UNH")]))
        assert "UCM+R1+CUSCAR" in told

    def test_lower_case_in_an_id_is_not_written_under_unoa(self) -> None:
        data = contrl(replace(ENVELOPE, sender="abc"), [], [], reference="9", message_reference="8", now=NOW)
        assert data is not None and data.startswith(b"UNB+UNOB:3+B+abc:14+")
        data = contrl(replace(ENVELOPE, sender="a@b"), [], [], reference="9", message_reference="8", now=NOW)
        assert data is not None and data.startswith(b"UNB+UNOC:3+")

    def test_places_beyond_the_counters_go_to_the_segment(self) -> None:
        faults = [wrong("element_excess", 2, "BGM", 999), wrong("component_excess", 3, "BGM", 1, 1000)]
        assert answer(ENVELOPE, (message(), faults)).endswith("UCS+2+16'UCS+3'UCD+16+2'")
        assert answer(ENVELOPE, (message(), [wrong("element_excess", 1_000_000, "BGM", 5)])).endswith("UN+4'")


@VERSIONS
def test_thousands_of_faults_keep_to_the_repeats_of_the_tables(version: str) -> None:
    faults = [wrong("code_unknown", 2, "BGM", at) for at in range(1, 200)]
    faults += [wrong("segment_unexpected", at % 7 + 3, "XXX") for at in range(2000)]
    told = answer(replace(ENVELOPE, version=version), (message(), faults))
    assert (told.count("UCD"), told.count("UCS")) == (99, 999)


ANY = st.text(max_size=40) | st.text("A1'+:?*\x1d\x85é天 ", max_size=20)
PLACES = st.builds(
    Place,
    segment=st.none() | st.integers(1, 2_000_000),
    tag=st.sampled_from([None, "UNA", "UNB", "UNH", "UNT", "UNS", "BGM", "USH"]),
    element=st.none() | st.integers(1, 1200),
    component=st.none() | st.integers(1, 1200),
    occurrence=st.none() | st.integers(1, 2_000_000),
)
CODES = [
    "unz_count",
    "nesting",
    "decimal_invalid",
    "element_repeats",
    "segment_missing",
    "groups_mixed",
    "nul",
    "limit",
]
FINDINGS = st.lists(st.builds(Finding, st.sampled_from([f"edifact.{code}" for code in CODES]), PLACES), max_size=4)


@settings(max_examples=150, deadline=None)
@given(
    st.builds(
        Envelope,
        syntax=st.sampled_from(["UNOA", "UNOC", "UNOY", "KECA"]),
        version=st.sampled_from(["", "1", "3", "4"]),
        sender=ANY,
        sender_qualifier=st.sampled_from(["", "14", "ZZZ"]),
        recipient=ANY,
        recipient_qualifier=st.just(""),
        prepared=ANY,
        reference=ANY,
        charset=st.sampled_from(["ascii", "latin-1", "utf-8", "gb18030"]),
        separators=st.sampled_from([Separators(), Separators("|", "~", ",", "!", "^", "#"), Separators(release="")]),
    ),
    st.lists(st.tuples(ANY, ANY, ANY, FINDINGS), max_size=3),
    FINDINGS,
    st.lists(st.tuples(ANY, ANY, FINDINGS), max_size=2),
    st.booleans(),
)
def test_whatever_came_the_answer_is_sound(
    envelope: Envelope,
    messages: list[tuple[str, str, str, list[Finding]]],
    found: list[Finding],
    groups: list[tuple[str, str, list[Finding]]],
    accepted: bool,
) -> None:
    named = [(replace(GROUP, reference=ref, sender=sender, offset=at), f) for at, (ref, sender, f) in enumerate(groups)]
    inside = [*(group for group, _ in named), None]
    judged = [
        (replace(message(reference, inside[at % len(inside)]), type=type, agency=agency), findings)
        for at, (reference, type, agency, findings) in enumerate(messages)
    ]
    told = contrl(
        envelope, judged, found, groups=named, reference="9", message_reference="8", now=NOW, accepted=accepted
    )
    if told is None:
        return
    parts = list(read([told], charset=envelope.charset))
    assert [finding for part in parts for finding in part.findings if finding.severity == "error"] == []
    version = "4" if envelope.version == "4" else "3"
    directory = DIRECTORIES.get("4:1" if version == "4" else "D:3")
    [answered] = [part for part in parts if isinstance(part, RawMessage)]
    assert build(answered, directory.message("CONTRL"))[1] + check(answered, directory, version=version) == []
