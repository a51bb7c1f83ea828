"""The sender's own file, in its own lines, character set and service characters, with carets below what is wrong."""

from __future__ import annotations

import pytest

from hub.edifact.model import Envelope
from hub.edifact.reader import envelope
from hub.finding import Finding, Place
from hub.original import Original
from hub.rejection import AROUND, WHOLE, annotated, explain, moved

TEXT = "UNB+UNOA:3+A+B+240101:1200+1'UNH+1+X:D:95B:UN'NAD+CN+++天津?'新港 FOR?+WARDING'UNT+3+1'UNZ+1+1'"


def finding(data: bytes, at: bytes, found: str = "") -> Finding:
    return Finding("edifact.element_too_long", Place(offset=data.index(at)), found, "an..2")


def shown(data: bytes, findings: list[Finding], lang: str, read: Envelope | None = None) -> str:
    """An annotated file as text."""
    return "".join(f"{line}\n" for _, line in annotated(data, findings, lang, read))


def below(text: str, mark: str) -> str:
    """What stands above the carets of an annotated file."""
    lines = text.splitlines()
    number = next(at for at, line in enumerate(lines) if mark in line)
    line, carets = lines[number], lines[number + 1]
    cells = [char for char in line for _ in range(2 if char > "⺀" else 1)]
    return "".join(dict.fromkeys(cells[at] for at, sign in enumerate(carets) if sign == "^"))


def test_a_file_without_lines_is_shown_a_segment_a_line() -> None:
    data = TEXT.encode()
    lines = shown(data, [], "en").splitlines()
    assert [line.partition(" │ ")[2] for line in lines] == [f"{part}'" for part in (
        "UNB+UNOA:3+A+B+240101:1200+1", "UNH+1+X:D:95B:UN", "NAD+CN+++天津?'新港 FOR?+WARDING", "UNT+3+1", "UNZ+1+1"
    )]  # fmt: skip


@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
def test_carets_stand_below_what_was_found_in_the_files_own_characters(codec: str) -> None:
    data = TEXT.encode(codec)
    read = envelope(data, codec)
    text = shown(data, [finding(data, "新港".encode(codec), "新港")], "zh", read)
    assert below(text, "NAD+") == "新港"
    machine, carets = Original(data, read).excerpt(finding(data, "新港".encode(codec), "新港"))
    assert machine == "NAD+CN+++天津?'新港 FOR?+WARDING'" and carets == " " * 15 + "^^^^"


def test_other_service_characters_are_the_files_own() -> None:
    data = b"UNA:*.\\ ~UNB*UNOA:3*A*B*240101:1200*1~UNH*1*X:D:95B:UN~FTX*IT'S 1+1 \\~ OR SO~UNT*3*1~UNZ*1*1~"
    [line, carets] = Original(data, envelope(data)).excerpt(finding(data, b"1+1"))
    assert line == "FTX*IT'S 1+1 \\~ OR SO~" and carets.index("^") == line.index("1+1")


def test_a_place_far_within_a_long_segment_is_shown_with_what_is_around_it() -> None:
    data = b"FTX+" + b"x" * 9000 + b"HERE" + b"y" * 9000 + b"'"
    line, carets = Original(data).excerpt(finding(data, b"HERE", "HERE"))
    assert line[carets.index("^") :].startswith("HERE") and carets.count("^") == 4 and len(line) < 130


def test_xml_is_shown_by_its_lines() -> None:
    data = '<?xml version="1.0" encoding="GBK"?>\n<a>\n  <b>天津 X</b>\n</a>'.encode("gbk")
    wrong = Finding("xml.value", Place(line=3, column=9, path="/a/b"), "X", "Y")
    text = shown(data, [wrong], "en")
    assert below(text, "<b>") == "X" and next(line[:3] for line in text.splitlines() if "│ <" in line) == "1 │"


def test_what_names_no_place_comes_first() -> None:
    text = shown(TEXT.encode(), [Finding("opening.too_large", Place(), "9", "5")], "en")
    assert text.startswith("[opening.too_large]")


def test_of_a_long_file_the_lines_around_each_fault_are_shown() -> None:
    data = b"".join(b"FTX+%05d'" % n for n in range(3 * WHOLE))
    text = shown(data, [finding(data, b"00700"), finding(data, b"00900")], "en")
    numbers = [int(line[-6:-1]) for line in text.splitlines() if "│ FTX" in line]
    assert numbers == [at + n for at in (700, 900) for n in range(-AROUND, AROUND + 1)]
    assert text.count("⋮") == 2


@pytest.mark.parametrize("offset", [0, 5, 10_000])
def test_places_at_the_ends_and_behind_them_harm_nothing(offset: int) -> None:
    wrong = Finding("edifact.cut", Place(offset=offset))
    for data in (b"", b"A", b"'''''", b"\r\n\r\n", b"UNB+\xff\xfe", TEXT.encode()):
        assert shown(data, [wrong], "en") and explain("a", data, [wrong])


def test_a_piece_is_explained_at_its_places_in_the_file() -> None:
    data = TEXT.encode()
    text, machine = explain("a.edi", data, [finding(data, b"NAD")], base=1000)
    assert f"@{1000 + data.index(b'NAD')}" in text.decode() and b"NAD+CN" in text
    assert f'"offset": {1000 + data.index(b"NAD")}'.encode() in machine
    assert moved(Finding("xml.empty"), 5) == Finding("xml.empty")
