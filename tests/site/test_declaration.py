"""The one reader of declarations: what it refuses, what it makes of values, how it shows a place."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from hub.declaration import MAX_BYTES, Declaration, excerpt, model, parse, plain, read
from hub.errors import DeclarationError
from hub.finding import Finding, Place


def refused(data: bytes) -> Finding:
    with pytest.raises(DeclarationError) as caught:
        parse("f.yaml", data)
    [finding] = caught.value.findings
    assert finding.place.file == "f.yaml"
    return finding


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b"a: &x 1\n", 1, 4),
        (b"a: 1\nb: *x\n", 2, 4),
        (b"a: !t 1\n", 1, 4),
        (b"a: !!python/object:os.system 1\n", 1, 4),
        (b"a: 1\n---\nb: 2\n", 2, 1),
        (b"a: [1\nb: 2\n", 2, 2),
        (b"? [a]\n: 1\n", 1, 3),
        (b"a: " + b"[" * 30, 1, 23),
        (b"- a\n", 1, 1),
        (b"", 1, 1),
        (b"text", 1, 1),
        ("a: 每\nb: ".encode() + b"\xff\n", 2, 4),
        ("每: \x00".encode(), 1, 4),
        (b"a: 1\n\tb: 2\n", 2, 1),
        (b"a" * (MAX_BYTES + 1), 1, 1),
        (b'a: "\\ud800"\n', 1, 7),
        (b"%YAML 3.0\n---\na: 1\n", 1, 1),
    ],
)
def test_what_is_no_plain_yaml_is_refused_at_its_place(data: bytes, line: int, column: int) -> None:
    finding = refused(data)
    assert (finding.code, finding.place.line, finding.place.column) == ("site.unreadable", line, column)


def test_a_key_written_twice_names_the_first_one() -> None:
    finding = refused(b"a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert (finding.code, finding.found, finding.expected) == ("site.duplicate_key", "b", "2")
    assert (finding.place.line, finding.place.column) == (4, 3)


@given(st.binary(max_size=60) | st.text(alphabet="ab:-[]{}&*!'\"\n\t ,?|>%#每\\", max_size=60).map(str.encode))
def test_any_bytes_are_keys_or_one_finding_with_a_line(data: bytes) -> None:
    try:
        top = parse("f.yaml", data)
    except DeclarationError as fault:
        [finding] = fault.findings
        assert finding.place.line and finding.place.column
        return
    assert isinstance(plain(top), dict)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("No", "No"),
        ("12:30", "12:30"),
        ("0123", "0123"),
        ("0", 0),
        ("-7", -7),
        ("1.50", 1.5),
        ("1e3", "1e3"),
        ("true", True),
        ('"true"', "true"),
        ('"7"', "7"),
        ("", None),
        ("~", None),
        ("2026-01-01", "2026-01-01"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_plain_values(text: str, value: object) -> None:
    made = plain(parse("f.yaml", f"on: {text}\n".encode()))
    assert made == {"on": value} and type(made["on"]) is type(value)


def test_a_file_that_is_not_there_is_named_from_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError) as caught:
        read(tmp_path, tmp_path / "a" / "b.yaml")
    assert caught.value.findings[0].place.file == "a/b.yaml"


# ---- models


class Leaf(BaseModel, extra="forbid"):
    at: str
    size: int = 0
    in_: str = Field(default="", alias="in")


class Tree(BaseModel, extra="forbid"):
    leaf: Leaf | None = None
    leaves: dict[str, Leaf] = {}
    listed: list[Leaf] = []
    names: list[str] = []


def mistakes(text: str) -> list[tuple[str, int | None, int | None, str, str]]:
    with pytest.raises(DeclarationError) as caught:
        model(Declaration("f.yaml", parse("f.yaml", text.encode())), Tree)
    return [(f.code, f.place.line, f.place.column, f.found, f.expected) for f in caught.value.findings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("leef: {}\n", ("site.unknown_key", 1, 1, "leef", "leaf")),
        ("leaf:\n  at: x\n  siz: 1\n", ("site.unknown_key", 3, 3, "siz", "size")),
        ("leaf: {at: x, inn: y}\n", ("site.unknown_key", 1, 15, "inn", "in")),
        ("leaves:\n  at: {at: x, sise: 1}\n", ("site.unknown_key", 2, 15, "sise", "size")),
        ("listed:\n- at: x\n- {at: x, sise: 1}\n", ("site.unknown_key", 3, 11, "sise", "size")),
        ("leaves:\n  one: {size: 1}\n", ("site.missing_key", 2, 3, "", "at")),
        ("leaf: {at: x, size: big}\n", ("site.bad_value", 1, 21, "big", "Input should be a valid integer")),
        ("leaf:\n  at: {a: b}\n", ("site.bad_value", 2, 3, "{…}", "Input should be a valid string")),
        ("leaf:\n  at:\n", ("site.bad_value", 2, 6, "null", "Input should be a valid string")),
        ("names:\n- a\n- 7\n", ("site.bad_value", 3, 3, "7", "Input should be a valid string")),
    ],
)
def test_a_mistake_has_its_place_and_a_near_name(text: str, expected: tuple[str, int, int, str, str]) -> None:
    [(code, line, column, found, wanted)] = mistakes(text)
    assert (code, line, column, found) == expected[:4]
    assert wanted.startswith(expected[4])


def test_every_mistake_is_told_at_once() -> None:
    assert [code for code, *_ in mistakes("leef: 1\nleaf: {siz: 1}\nnames: 7\n")] == [
        "site.missing_key",
        "site.unknown_key",
        "site.bad_value",
        "site.unknown_key",
    ]


# ---- the caret


def shown(folder: Path, line: str, column: int, found: str = "", number: int = 1) -> list[str]:
    (folder / "f.yaml").write_text("\n" * (number - 1) + line + "\n", "utf-8")
    place = Place(file="f.yaml", line=number, column=column)
    return excerpt(folder, Finding("site.bad_value", place, found)).split("\n")


def test_the_caret_stands_below_what_was_found(tmp_path: Path) -> None:
    assert shown(tmp_path, "  at: custons # x", 7, "custons", 12) == [
        "   12 |   at: custons # x",
        "      |       ^^^^^^^",
    ]
    assert shown(tmp_path, "  at: custons", 3)[1] == "      |   ^"
    assert shown(tmp_path, "  at: 'custons'", 7, "custons")[1] == "      |       ^^^^^^^^^"


def test_wide_characters_and_tabs_keep_the_caret_in_place(tmp_path: Path) -> None:
    assert shown(tmp_path, "title: {zh: 海关, enn: x}", 17, "enn") == [
        "    1 | title: {zh: 海关, enn: x}",
        "      | " + " " * 18 + "^^^",
    ]
    assert shown(tmp_path, "\ta: 海关", 5, "海关") == ["    1 |  a: 海关", "      |     ^^^^"]


def test_what_a_terminal_could_obey_is_not_shown(tmp_path: Path) -> None:
    line, _ = shown(tmp_path, "a: \x1b[2J\u202ex", 1)
    assert "\x1b" not in line and "\u202e" not in line


def test_what_is_missed_behind_the_last_line_is_shown_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("a: {\n  b", "utf-8")
    shown = excerpt(tmp_path, Finding("site.unreadable", Place(file="f.yaml", line=3, column=1)))
    assert shown == "    2 |   b\n      |    ^"


def test_a_long_line_is_cut_around_the_place(tmp_path: Path) -> None:
    line, mark = shown(tmp_path, "x" * 300 + "HERE" + "y" * 300, 301, "HERE")
    assert len(line) < 120 and line.index("HERE") == mark.index("^^^^")
    assert line.count("…") == 2
    assert "…" not in shown(tmp_path, "x" * 96 + "HERE", 97, "HERE")[0]
    line, mark = shown(tmp_path, "x" * 97 + "HERE", 98, "HERE")
    assert line.count("…") == 1 and line.index("HERE") == mark.index("^^^^")


@pytest.mark.parametrize(
    "place",
    [
        Place(),
        Place(file="f.yaml"),
        Place(file="none.yaml", line=1, column=1),
        Place(file="../secret", line=1, column=1),
        Place(file="/etc/hostname", line=1, column=1),
        Place(file=".", line=1, column=1),
    ],
)
def test_without_a_line_in_the_site_there_is_no_excerpt(tmp_path: Path, place: Place) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "f.yaml").write_text("a: 1\n", "utf-8")
    (tmp_path / "secret").write_text("s", "utf-8")
    assert excerpt(folder, Finding("site.bad_value", place)) == ""


@given(st.text(max_size=40), st.integers(1, 60), st.text(max_size=5))
def test_every_excerpt_has_two_lines_without_control_characters(
    tmp_path_factory: pytest.TempPathFactory, line: str, column: int, found: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "f.yaml").write_bytes(line.encode("utf-8", "replace"))
    place = Place(file="f.yaml", line=1, column=column)
    first, second = excerpt(folder, Finding("site.bad_value", place, found)).split("\n")
    assert second.strip(" |^") == "" and "^" in second
    assert not any(unicodedata.category(character) == "Cc" for character in first)
