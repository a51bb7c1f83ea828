"""pydifact as an independent oracle: both readers must see the same tags and components.

Left out, as pydifact 0.2.3 gets it wrong or refuses it: repetition (syntax version 4); empty components at the end of
an element, which it drops; a release character before a line feed; anything before UNA or UNB; a second UNA.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydifact.control import Characters
from pydifact.parser import Parser, TokenIterator
from pydifact.tokenizer import Tokenizer

from hub.edifact.model import Envelope, RawMessage, Separators, Trailer
from hub.edifact.reader import read

GOLDEN = sorted(Path(__file__).parents[3].glob("mappings/*/cases/*/in.edi"))
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
    return [line for line in lines if line[0] not in ("UNB", "UNZ")]


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


@settings(max_examples=300, deadline=None)
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
