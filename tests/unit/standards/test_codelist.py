"""Code lists: read with every mistake in its place, and asked for a day."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from hub.errors import DeclarationError
from hub.finding import Finding
from hub.standards import codelist
from hub.standards.codelist import CodeList, read, read_all

ROOT = Path(__file__).parents[3]
HEAD = "list: kinds\ntitle: {zh: 种类, en: Kinds}\nsource: the port\n"


def site(folder: Path, yaml: str = HEAD + "file: kinds.csv\n", **files: str) -> Path:
    codes = folder / "schemas" / "codes"
    codes.mkdir(parents=True, exist_ok=True)
    (codes / "kinds.list.yaml").write_text(yaml, "utf-8")
    for name, text in files.items():
        (codes / f"{name}.csv").write_bytes(text.encode("utf-8"))
    return codes / "kinds.list.yaml"


def mistakes(folder: Path, path: Path) -> tuple[Finding, ...]:
    with pytest.raises(DeclarationError) as caught:
        read(folder, path)
    return caught.value.findings


def test_a_code_holds_on_its_first_and_its_last_day(tmp_path: Path) -> None:
    rows = "code,from,until,en\nA,,2022-12-31,old\nB,2023-01-01,,new\nA,2024-02-29,,again\n"
    found = read(tmp_path, site(tmp_path, kinds=rows))
    assert [sorted(found.at(date(*day))) for day in ((2022, 12, 31), (2023, 1, 1), (2024, 2, 28), (2024, 2, 29))] == [
        ["A"],
        ["B"],
        ["B"],
        ["A", "B"],
    ]


def test_entries_may_stand_in_the_yaml(tmp_path: Path) -> None:
    path = site(tmp_path, HEAD + 'refuses: false\nentries:\n  - {code: "035", until: 2018-07-31, zh: 千克, en: kg}\n')
    found = read(tmp_path, path)
    assert (found.name, found.zh, found.refuses) == ("kinds", "种类", False)
    assert found.at(date(2018, 7, 31)) == {"035"} and not found.at(date(2018, 8, 1))


@pytest.mark.parametrize(
    ("rows", "code", "line", "found"),
    [
        ("code\nA\nB\nA\n", "codes.twice", 4, "A"),
        ("code,from,until\nA,2020-01-01,2020-06-30\nA,2020-06-30,\n", "codes.twice", 3, "A"),
        ("code,from\nA,2020-02-30\n", "codes.date", 2, "2020-02-30"),
        ("code,from\nA,20200201\n", "codes.date", 2, "20200201"),
        ("code,from\nA,2020-W01-1\n", "codes.date", 2, "2020-W01-1"),
        ("code,from,until\nA,2021-01-01,2020-01-01\n", "codes.date", 2, "2021-01-01 … 2020-01-01"),
        ("code,en\n,nothing\n", "codes.no_code", 2, ""),
        ("code\n A\n", "codes.no_code", 2, " A"),
        ("code,en\nA\n", "codes.row", 2, "1"),
        (f"code,en\nA,{'x' * 301}\n", "codes.row", 2, "2"),
        ("code,kind\nA,1\n", "codes.columns", 1, "kind"),
        ("en\nA\n", "codes.columns", 1, "en"),
        ("code,code\nA,B\n", "codes.columns", 1, "code, code"),
        ("", "codes.columns", 1, ""),
        ('code,en\nA,"open\n', "site.unreadable", 2, ""),
    ],
)
def test_a_mistake_in_a_csv_has_its_line(tmp_path: Path, rows: str, code: str, line: int, found: str) -> None:
    [finding] = mistakes(tmp_path, site(tmp_path, kinds=rows))
    place = finding.place
    assert (finding.code, place.file, place.line) == (code, "schemas/codes/kinds.csv", line)
    assert found in finding.found


def test_all_mistakes_come_at_once_and_quoted_line_breaks_count(tmp_path: Path) -> None:
    rows = 'code,from,en\nA,,"two\nlines"\nA,,\nB,x,\n,,\n'
    found = mistakes(tmp_path, site(tmp_path, kinds=rows))
    assert sorted((f.code, f.place.line) for f in found) == [
        ("codes.date", 5),
        ("codes.no_code", 6),
        ("codes.twice", 4),
    ]


@pytest.mark.parametrize(
    ("yaml", "code"),
    [
        (HEAD, "site.bad_value"),
        (HEAD + "file: a.csv\nentries: [{code: A}]\n", "site.bad_value"),
        (HEAD + "file: ../../secret.csv\n", "site.bad_value"),
        (HEAD + "file: kinds.txt\n", "site.bad_value"),
        (HEAD + "file: none.csv\n", "site.unreadable"),
        (HEAD + "entries: [{code: 110}]\n", "site.bad_value"),
        (HEAD + "entries: [{code: A, til: x}]\n", "site.unknown_key"),
        (HEAD + "entries: [{code: A}, {code: A}]\n", "codes.twice"),
        (HEAD + "edifact: [{elements: []}]\nentries: [{code: A}]\n", "site.bad_value"),
    ],
)
def test_a_mistake_in_the_yaml(tmp_path: Path, yaml: str, code: str) -> None:
    [finding] = mistakes(tmp_path, site(tmp_path, yaml))
    assert finding.code == code and (finding.place.file or "").startswith("schemas/codes/")


def test_csv_has_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = site(tmp_path, kinds="code\nA\nB\nC\n")
    monkeypatch.setattr(codelist, "MAX_ROWS", 3)
    assert len(read(tmp_path, path).entries) == 3
    monkeypatch.setattr(codelist, "MAX_ROWS", 2)
    assert [(f.code, f.place.line) for f in mistakes(tmp_path, path)] == [("site.unreadable", 4)]
    monkeypatch.setattr(codelist, "MAX_BYTES", 10)
    assert [f.code for f in mistakes(tmp_path, path)] == ["site.unreadable"]
    (tmp_path / "schemas/codes/kinds.csv").write_bytes(b"code\n\xff\n")
    assert [f.code for f in mistakes(tmp_path, path)] == ["site.unreadable"]


def test_a_byte_order_mark_and_blank_lines_are_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, site(tmp_path, kinds="\ufeffcode,en\r\nA,a\r\n\r\nB,b\r\n"))
    assert [entry.code for entry in found.entries] == ["A", "B"]


def test_two_lists_of_one_name_and_two_that_claim_one_element(tmp_path: Path) -> None:
    bound = 'edifact: [{elements: ["3207"]}]\nentries: [{code: A}]\n'
    site(tmp_path, HEAD + bound)
    other = tmp_path / "schemas" / "codes" / "other.list.yaml"
    other.write_text(HEAD.replace("kinds", "other") + bound, "utf-8")
    lists, files, findings = read_all(tmp_path)
    assert len(lists) == len(files) == 2
    assert [(f.code, f.found, f.expected) for f in findings] == [("site.twice", "3207", "kinds")]
    other.write_text(HEAD + "entries: [{code: A}]\n", "utf-8")
    assert [(f.code, f.found) for f in read_all(tmp_path)[2]] == [("site.twice", "kinds")]


@pytest.fixture(scope="module")
def shipped() -> dict[str, CodeList]:
    lists, _, findings = read_all(ROOT)
    assert findings == []
    return {one.name: one for one in lists}


def test_every_shipped_code_has_names_in_both_languages(shipped: dict[str, CodeList]) -> None:
    assert shipped.keys() >= {"country", "currency", "unit", "package", "size-type"}
    for codes in shipped.values():
        assert codes.zh and codes.en and codes.source
        assert all(entry.zh and entry.en for entry in codes.entries), codes.name


@pytest.mark.parametrize(
    ("name", "code", "day", "holds"),
    [
        ("country", "CN", date(1990, 1, 1), True),
        ("country", "XX", date(2026, 1, 1), False),
        ("country", "AN", date(2010, 12, 15), True),
        ("country", "AN", date(2010, 12, 16), False),
        ("country", "SS", date(2011, 8, 8), False),
        ("currency", "HRK", date(2022, 12, 31), True),
        ("currency", "HRK", date(2023, 1, 1), False),
        ("currency", "BGN", date(2026, 1, 1), False),
        ("customs-country", "142", date(2018, 7, 1), True),
        ("customs-country", "142", date(2026, 7, 1), False),
    ],
)
def test_a_document_is_judged_by_the_list_of_its_own_day(
    shipped: dict[str, CodeList], name: str, code: str, day: date, holds: bool
) -> None:
    assert (code in shipped[name].at(day)) is holds


def test_the_whole_lists_are_whole(shipped: dict[str, CodeList]) -> None:
    assert len(shipped["country"].at(date(2026, 1, 1))) == 249
    assert not any(shipped[name].refuses for name in ("unit", "package", "size-type", "customs-country"))
