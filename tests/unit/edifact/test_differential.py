"""The reader against pydifact, an independent one, and against the hub's own writer.

Left out beside pydifact, as version 0.2.3 gets it wrong or refuses it: repetition (syntax version 4); empty components
at the end of an element, which it drops; a release character before a line feed; anything before UNA or UNB; a second
UNA; tabs between segments; line breaks inside segments, of which it keeps one sign.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydifact.control import Characters
from pydifact.parser import Parser, TokenIterator
from pydifact.tokenizer import Tokenizer

from hub.edifact.model import Element, Envelope, RawMessage, Repeats, Separators, Trailer
from hub.edifact.reader import fits, pieces, read
from hub.edifact.writer import write_interchange, write_message

GOLDEN = sorted(Path(__file__).parents[3].glob("mappings/*/cases/*/in.edi"))
SAMPLES = sorted((Path(__file__).parents[4] / "shared" / "samples" / "edifact").glob("*"))
STANDARD = Separators()
OTHER = Separators("|", "~", ",", "!", "", "#")

Line = tuple[str, list[list[str]]]

PRINTED = st.characters(codec="latin-1", exclude_categories=("Cc",))
VALUES = st.text(PRINTED, max_size=8) | st.text("?:+'!~|#", max_size=4)
ELEMENTS = st.lists(st.lists(VALUES, min_size=1, max_size=4), min_size=1, max_size=5)
TAGS = st.from_regex(r"[A-TV-Z][A-Z]{2}", fullmatch=True)
BODIES = st.lists(st.lists(st.tuples(TAGS, ELEMENTS), max_size=6), min_size=1, max_size=3)


def trimmed(line: Line) -> Line:
    """Without empty components at the end of an element."""
    tag, elements = line
    kept = []
    for values in elements:
        last = max((at for at, value in enumerate(values, 1) if value), default=1)
        kept.append(values[:last])
    return tag, kept


def ours(data: bytes, charset: str) -> list[Line]:
    """The segments of every message, UNH to UNT."""
    messages = [part for part in read([data], charset=charset) if isinstance(part, RawMessage)]
    return [trimmed((s.tag, [list(values) for values in s.elements])) for m in messages for s in m.segments]


def theirs(data: bytes, charset: str) -> list[Line]:
    """The same as pydifact's tokenizer and parser see it."""
    text = data.decode(charset)
    signs = Characters.from_str(text[:9]) if text.startswith("UNA") else Characters()
    body = text[9:].lstrip("\r\n") if text.startswith("UNA") else text
    tokens = TokenIterator(Tokenizer().get_tokens(body, signs))
    lines = []
    for tag, *elements in Parser().convert_tokens_to_raw_segments(tokens):
        assert isinstance(tag, str)
        lines.append((tag, [list(one) if isinstance(one, list) else [one] for one in elements]))
    return [line for line in lines if line[0] not in ("UNB", "UNG", "UNE", "UNZ")]


def spelled(line: Line, signs: Separators) -> str:
    """One segment, written without any of the hub's code."""
    tag, elements = line
    special = signs.component + signs.element + signs.release + signs.terminator
    raws = [
        signs.component.join("".join(signs.release + c if c in special else c for c in value) for value in values)
        for values in elements
    ]
    return signs.element.join([tag, *raws]) + signs.terminator


def interchange(bodies: list[list[Line]], signs: Separators, between: str) -> bytes:
    lines: list[Line] = [("UNB", [["UNOC", "3"], ["A", "14"], ["B"], ["240101", "1200"], ["77"]])]
    for number, body in enumerate(bodies, 1):
        lines += [("UNH", [[str(number)], ["CUSCAR", "D", "95B", "UN"]]), *body]
        lines.append(("UNT", [[str(len(body) + 2)], [str(number)]]))
    lines.append(("UNZ", [[str(len(bodies))], ["77"]]))
    una = f"UNA{signs.component}{signs.element}{signs.decimal}{signs.release} {signs.terminator}"
    text = between.join(spelled(line, signs) for line in lines)
    return ((una + between if signs != STANDARD or between else "") + text).encode("latin-1")


@settings(max_examples=150, deadline=None)
@given(BODIES, st.sampled_from([STANDARD, OTHER]), st.sampled_from(["", "\n", "\r\n"]))
def test_both_read_the_same_from_a_well_formed_interchange(
    bodies: list[list[Line]], signs: Separators, between: str
) -> None:
    data = interchange(bodies, signs, between)
    read_here = ours(data, "latin-1")
    assert read_here == theirs(data, "latin-1")
    written = [trimmed(line) for body in bodies for line in body]
    assert [line for line in read_here if line[0] not in ("UNH", "UNT")] == written
    assert [f for part in read([data]) for f in part.findings] == []


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: "/".join(path.parts[-4:-1]))
def test_both_read_the_same_from_a_golden_input(path: Path) -> None:
    data = path.read_bytes()
    parts = list(read([data], charset="utf-8"))
    assert isinstance(parts[0], Envelope) and isinstance(parts[-1], Trailer)
    assert ours(data, "utf-8") == theirs(data, "utf-8") != []


def test_the_oracle_can_disagree() -> None:
    data = b"UNB+UNOA:4+A+B+20240101:1200+1'UNH+1+A:D:95B:UN'COM+a*b'UNT+3+1'UNZ+1+1'"
    repeating = b"UNA:+.?*'" + data
    assert ours(repeating, "ascii") != theirs(repeating, "ascii")


def test_there_are_golden_inputs() -> None:
    assert len(GOLDEN) >= 9


def comparable(data: bytes) -> bytes | None:
    """The part of a file that pydifact can read, None when there is none: one interchange, not of version 4, and no
    line break inside a segment."""
    cut = pieces(data)
    if not cut:
        return None
    told = {finding.code for part in read([cut[0].data], charset="latin-1") for finding in part.findings}
    head = next(part for part in read([cut[0].data], charset="latin-1") if isinstance(part, Envelope))
    unfit = told & {
        "edifact.line_break",
        "edifact.una_invalid",
        "edifact.cut",
        "edifact.outside_message",
        "edifact.tag",
    }
    return None if head.version == "4" or unfit else cut[0].data.replace(b"\t", b"")


@pytest.mark.skipif(not SAMPLES, reason="shared/samples is not here")
def test_both_read_the_same_from_the_samples_of_others() -> None:
    compared = 0
    for path in SAMPLES:
        data = comparable(path.read_bytes())
        if data is not None:
            assert ours(data, "latin-1") == theirs(data, "latin-1"), path.name
            compared += 1
    assert compared > len(SAMPLES) // 2


# ---- what is written is read back

SIGNS = [*"!#$%&'()*+,-./:;<=>?@[]^_`{|}~\\", "\x1c", "\x1d", "\x1f"]
CODECS = {"UNOB": "ascii", "UNOC": "latin-1", "UNOE": "iso8859-5", "UNOW": "utf-8", "UNOX": "gb18030"}
ALPHABETS = {"ascii": "aZ0 ", "latin-1": "éÄa", "iso8859-5": "ЖЯa", "utf-8": "天é𠀀", "gb18030": "天新港𠀀a"}


@st.composite
def chosen(draw: st.DrawFn) -> Separators:
    """Service characters of any kind, some without release or repetition character."""
    component, element, release, repetition, terminator = draw(
        st.lists(st.sampled_from(SIGNS), min_size=5, max_size=5, unique=True)
    )
    if draw(st.booleans()):
        terminator = "\n"
    return Separators(component, element, ".", release, repetition if draw(st.booleans()) else "", terminator)


@st.composite
def written(draw: st.DrawFn) -> tuple[Envelope, list[tuple[str, list[Element]]]]:
    separators, version = draw(chosen() | st.just(STANDARD)), draw(st.sampled_from("34"))
    level = draw(st.sampled_from(sorted(CODECS)))
    if not fits(separators, CODECS[level]):
        separators = STANDARD
    if version == "3":
        separators = replace(separators, repetition="")
    elif not separators.repetition and "*" not in repr(separators):
        separators = replace(separators, repetition="*")
    # A control character is a service character or none at all.
    service = separators.component + separators.element + separators.release + separators.terminator
    value = st.text(ALPHABETS[CODECS[level]] + "".join(s for s in SIGNS if s >= " ") + service, max_size=5)
    element = st.lists(value, min_size=1, max_size=3)
    if separators.repetition:
        element |= st.lists(st.lists(value.filter(bool), min_size=1, max_size=2), min_size=2, max_size=3).map(repeated)
    body = draw(st.lists(st.tuples(TAGS, st.lists(element, min_size=1, max_size=4)), max_size=4))
    head = Envelope(level, version, "S?:+'", "ZZ", "R", "", "", "7", charset=CODECS[level], separators=separators)
    return head, body


def repeated(occurrences: list[Element]) -> Repeats:
    made = Repeats(occurrences[0])
    made.more = occurrences[1:]
    return made


def plainly(elements: list[Element]) -> list[list[Element]]:
    """Every occurrence of every element, without what is empty at its end."""
    kept = [[trimmed(("", [one]))[1][0] for one in (element, *getattr(element, "more", []))] for element in elements]
    while kept and kept[-1] == [[""]]:
        kept.pop()
    return kept


@settings(max_examples=200, deadline=None)
@given(written())
def test_what_is_written_is_read_back(given: tuple[Envelope, list[tuple[str, list[Element]]]]) -> None:
    head, body = given
    text = write_message("1", "CUSCAR", "D", "95B", "UN", "", body, head.separators)
    data = write_interchange(head, [text] * 2, datetime(2024, 2, 29, 7, 8, tzinfo=UTC))
    agreed = head.charset if head.charset == "gb18030" else None
    envelope, *messages, trailer = read([data], charset=agreed)
    assert isinstance(envelope, Envelope) and envelope.findings == ()
    assert isinstance(trailer, Trailer) and trailer.findings == ()
    assert (envelope.separators, envelope.sender, envelope.version) == (head.separators, head.sender, head.version)
    for message in messages:
        assert isinstance(message, RawMessage)
        assert [s.tag for s in message.segments] == ["UNH", *(tag for tag, _ in body), "UNT"]
        assert [plainly(s.elements) for s in message.segments[1:-1]] == [plainly(elements) for _, elements in body]
        assert {f.code for f in message.findings} <= {"edifact.duplicate_reference", "edifact.repertoire"}
