"""Reader and writer: framing, released characters, character sets, envelope checks, round trip."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.edifact.model import Element, Envelope, RawMessage, Repeats, Separators, Trailer
from hub.edifact.reader import Limits, read
from hub.edifact.writer import EncodingLost, write_interchange, write_message

GOOD = (
    b"UNA:+.? '\r\nUNB+UNOC:3+SENDER:ZZ+RECEIVER:ZZ+240101:1200+REF1++APP++1++1'\r\n"
    b"UNH+M1+CUSCAR:D:95B:UN:A1'BGM+85+it?'s ?+ ?: ??'FTX+AAA+++a\xe9b'UNT+4+M1'\r\nUNZ+1+REF1'\r\n"
)


def parts(data: bytes, **named: object) -> tuple[list[Envelope], list[RawMessage], list[Trailer]]:
    found = list(read([data], **named))  # type: ignore[arg-type]
    return (
        [p for p in found if isinstance(p, Envelope)],
        [p for p in found if isinstance(p, RawMessage)],
        [p for p in found if isinstance(p, Trailer)],
    )


def codes(data: bytes, **named: object) -> list[str]:
    found: list[str] = []
    for part in read([data], **named):  # type: ignore[arg-type]
        found += [f.code for f in part.findings]
        if isinstance(part, Trailer):
            found += [f.code for _, findings in part.groups for f in findings]
    return [code.removeprefix("edifact.") for code in found]


def wrap(body: bytes, unb: bytes = b"UNB+UNOA:3+A+B+240101:1200+1'", unz: bytes = b"UNZ+1+1'") -> bytes:
    return unb + body + unz


def test_good_interchange_has_no_findings() -> None:
    envelopes, messages, trailers = parts(GOOD)
    assert codes(GOOD) == []
    assert (envelopes[0].sender, envelopes[0].reference, envelopes[0].application) == ("SENDER", "REF1", "APP")
    assert envelopes[0].ack_requested and envelopes[0].test
    message = messages[0]
    assert (message.type, message.release, message.association) == ("CUSCAR", "95B", "A1")
    assert message.segments[1].get(2) == "it's + : ?"
    assert message.segments[2].get(4) == "aéb"
    assert GOOD[message.offset :].startswith(b"UNH") and GOOD[: message.end].endswith(b"UNT+4+M1'")
    assert [GOOD[s.offset : s.offset + 3] for s in message.segments] == [b"UNH", b"BGM", b"FTX", b"UNT"]
    assert trailers[0].count == 1


def shape(found: list[object]) -> list[str]:
    return [repr(p) for p in found]


@pytest.mark.parametrize("cut", range(1, len(GOOD)))
def test_chunk_boundary_anywhere_changes_nothing(cut: int) -> None:
    assert shape(list(read([GOOD[:cut], GOOD[cut:]]))) == shape(list(read([GOOD])))


def test_small_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = shape(list(read([GOOD * 3])))
    for size in (1, 2, 3, 7, 64):
        monkeypatch.setattr("hub.edifact.source.BLOCK", size)
        assert shape(list(read([GOOD * 3]))) == whole


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ["empty"]),
        (b" \r\n", ["empty"]),
        (b"<xml/>", ["no_interchange"]),
        (wrap(b"UNH+1+A:D:95B:UN'UNT+3+1'"), ["unt_count"]),
        (wrap(b"UNH+1+A:D:95B:UN'UNT+2+2'"), ["unt_reference"]),
        (wrap(b"UNH+1+A:D:95B:UN'UNT+2+1'", unz=b"UNZ+2+1'"), ["unz_count"]),
        (wrap(b"UNH+1+A:D:95B:UN'UNT+2+1'", unz=b"UNZ+1+9'"), ["unz_reference"]),
        (wrap(b"UNH+1+A:D:95B:UN'UNT+2+1'", unz=b""), ["unz_missing"]),
        (wrap(b"UNH+1+A:D:95B:UN'BGM+1'"), ["unt_missing"]),
        (wrap(b"UNH+1+A:D:95B:UN'UNT+2+1'") + b"JUNK'", ["data_after_unz"]),
        (wrap(b"UNH+1+A:D:95B:UN'UNT+2+1'") + b"JUNK" + GOOD, ["data_after_unz"]),
        (b"JUNK " + GOOD, ["no_interchange"]),
        (b"\xef\xbb\xbf" + GOOD, []),
        (wrap(b"UNH+1+A:D:95B:UN'UNT+2+1'" * 2, unz=b"UNZ+2+1'"), ["duplicate_reference"]),
        (wrap(b""), ["unz_count", "interchange_empty"]),
        (wrap(b"UNH+1+A:D:95B:UN'UNT+2+1'", unb=b"UNB+UNOA:3+A+B+240101:1200'", unz=b"UNZ+1'"), ["unb_incomplete"]),
        (wrap(b"UNH+1+A:D:95B:UN'B\0GM+1'UNT+3+1'"), ["nul"]),
        (wrap(b"UNH+1+A:D:95B:UN'FTX+\xe9'UNT+3+1'"), ["undecodable"]),
        (wrap(b"UNH+1+A:D:95B:UN'UNT+2+1'", unz=b"UNZ+1+1?'"), ["cut", "unz_missing"]),
        (wrap(b"UNH+1+A:D:95B:UN'UNT+2+1'", unz=b"UNZ+1+1?"), ["release_at_end", "cut", "unz_missing"]),
        (wrap(b"BGM+1'UNH+1+A:D:95B:UN'UNT+2+1'"), ["outside_message"]),
        (wrap(b"UNG+A+B+C+240101:1200+7+UN+D:95B'UNH+1+A:D:95B:UN'UNT+2+1'UNE+1+7'"), []),
        (wrap(b"UNG+A+B+C+240101:1200+7+UN+D:95B'UNH+1+A:D:95B:UN'UNT+2+1'UNE+2+8'"), ["une_count", "une_reference"]),
        (b"UNA++.? '" + wrap(b"UNH+1+A:D:95B:UN'UNT+2+1'"), ["una_invalid"]),
    ],
)
def test_findings_of_the_envelope(data: bytes, expected: list[str]) -> None:
    assert codes(data) == expected


def test_undecodable_byte_has_its_offset_and_is_kept() -> None:
    data = wrap(b"UNH+1+A:D:95B:UN'FTX+a\xe9'UNT+3+1'")
    _, messages, _ = parts(data)
    assert messages[0].findings[0].place.offset == data.index(b"\xe9")
    assert messages[0].segments[1].get(1) == "aé"


def test_gb18030_by_agreement_wins_over_unb() -> None:
    data = wrap("UNH+1+A:D:95B:UN'FTX+中华𠀀?+港'UNT+3+1'".encode("gb18030"))
    _, messages, _ = parts(data, charset="gb18030")
    assert messages[0].findings == () and messages[0].segments[1].get(1) == "中华𠀀+港"
    assert "undecodable" in codes(data, charset="utf-8")


def test_una_with_other_characters_and_newline_terminator() -> None:
    data = b"UNA|~,! \nUNB~UNOB|3~A~B~240101|1200~1\r\nUNH~1~A|D|95B|UN\r\nFTX~a!~b'c\r\nUNT~3~1\r\nUNZ~1~1\r\n"
    _, messages, _ = parts(data)
    assert codes(data) == [] and messages[0].segments[1].get(1) == "a~b'c"


def test_repetition_in_version_4_only() -> None:
    body = b"UNH+1+A:D:95B:UN'COM+a:b*c:d?*'UNT+3+1'"
    four = b"UNA:+.?*'" + wrap(body, unb=b"UNB+UNOA:4+A+B+20240101:1200+1'")
    element = parts(four)[1][0].segments[1].elements[0]
    assert isinstance(element, Repeats) and (element, element.more) == (["a", "b"], [["c", "d*"]])
    three = b"UNA:+.?*'" + wrap(body)
    assert parts(three)[1][0].segments[1].elements == [["a", "b*c", "d*"]]


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (Limits(interchange=60), "interchange"),
        (Limits(segment=45), "segment"),
        (Limits(element=30), "element"),
        (Limits(components=3), "components"),
        (Limits(segments=2), "segments"),
    ],
)
def test_limits_end_with_a_trailer(limits: Limits, what: str) -> None:
    data = wrap(b"UNH+1+A:D:95B:UN'FTX+a:a:a:a:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'UNT+3+1'") + GOOD
    last = list(read([data], limits))[-1]
    assert isinstance(last, Trailer)
    assert (last.findings[-1].code, last.findings[-1].args["what"]) == ("edifact.limit", what)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.text("UNABHTZ+:?'*\n 1", max_size=120).map(lambda t: GOOD + t.encode()))
def test_never_raises(data: bytes) -> None:
    assert isinstance(list(read([data]))[-1], Trailer)


PRINTED = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))
TEXT = st.text(PRINTED, max_size=12) | st.text("?:+'*", max_size=5)
VALUES = st.lists(st.lists(TEXT, min_size=1, max_size=4), min_size=1, max_size=4)


def trimmed(elements: list[Element]) -> list[Element]:
    kept = []
    for element in elements:
        values = list(element)
        while len(values) > 1 and not values[-1]:
            values.pop()
        kept.append(values)
    while kept and kept[-1] == [""]:
        kept.pop()
    return kept


@settings(max_examples=150, deadline=None)
@given(
    st.lists(VALUES, max_size=5),
    st.sampled_from([Separators(), Separators("|", "~", ",", "!", "", "\n"), Separators(repetition="*")]),
)
def test_written_reads_back_the_same(bodies: list[list[Element]], separators: Separators) -> None:
    version = "4" if separators.repetition else "3"
    envelope = Envelope("UNOW", version, "A", "ZZ", "B", "", "", "R?1", charset="utf-8", separators=separators)
    message = write_message("1", "CUSCAR", "D", "95B", "UN", "", [("FTX", body) for body in bodies], separators)
    data = write_interchange(envelope, [message], datetime(2024, 5, 6, 7, 8))  # noqa: DTZ001
    envelopes, messages, _ = parts(data)
    assert codes(data) == []
    assert envelopes[0].reference == "R?1"
    assert [s.elements for s in messages[0].segments[1:-1]] == [trimmed(body) for body in bodies]


def test_what_the_receiver_cannot_read_is_refused() -> None:
    envelope = Envelope("UNOA", "3", "A", "", "B", "", "", "1", charset="ascii")
    with pytest.raises(EncodingLost) as caught:
        write_interchange(envelope, ["FTX+港'"], datetime(2024, 5, 6))  # noqa: DTZ001
    assert caught.value.text == "港"
