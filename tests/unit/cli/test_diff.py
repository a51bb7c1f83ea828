"""`eport diff`: what another version of the declarations would make of the same messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from hub.cli import app
from hub.errors import Damaged
from hub.golden.corpus import File, Item, files, received
from hub.golden.draft import laid_out
from hub.golden.versions import Told, compared
from hub.journal import tables as t
from hub.site.load import load
from hub.site.site import Site
from tests.journeys.conftest import START, port

__all__ = ["port"]

ROOT = Path(__file__).parents[3]
ORIGINAL = (ROOT / "mappings" / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()
ARRIVAL = (ROOT / "mappings" / "vessel" / "cases" / "01-arrival" / "in.edi").read_bytes()
COPRAR = "mappings/manifest/manifest--to--coprar-d95b.yaml"
FUNCTIONS = "schemas/codes/document-function.yaml"
NO_ORIGINAL = '  "9": "original"\n', ""
NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def site() -> Site:
    return load(ROOT)


@pytest.fixture(scope="module")
def stricter(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site without the function that every golden message has."""
    folder = tmp_path_factory.mktemp("stricter")
    return load(laid_out(ROOT, draft(folder, FUNCTIONS, *NO_ORIGINAL), folder / "site"))


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """One manifest, as its sender wrote it."""
    folder = tmp_path / "sent"
    folder.mkdir()
    (folder / "a.edi").write_bytes(ORIGINAL)
    return folder


def draft(folder: Path, file: str, old: str, new: str) -> Path:
    """One declaration of the site, changed, elsewhere."""
    text = (ROOT / file).read_text("utf-8")
    assert old in text
    path = folder / Path(file).name
    path.write_text(text.replace(old, new, 1), "utf-8")
    return path


def diff(*words: object, site: Path = ROOT) -> Any:
    return CliRunner().invoke(app, ["diff", *(str(word) for word in words), "--site", str(site), "--lang", "en"])


def sums(said: Any) -> dict[str, dict[str, int]]:
    return {row["mapping"]: row for row in json.loads(said.stdout)["mappings"]}


# ---- drafts of one file


def test_a_changed_mapping_is_told_field_by_field_and_only_where_it_changes(tmp_path: Path, sent: Path) -> None:
    new = draft(tmp_path, COPRAR, "C506/1154: Manifest/Voyage}", "C506/1154: Manifest/Number}")
    said = diff(new, "--corpus", sent)
    assert said.exit_code == 1 and "\x1b" not in said.stdout
    table, details = said.stdout.split("changed  ", 1)
    assert "manifest--to--coprar-d95b\t1\t0\t1\t0\t0\t0\n" in table
    assert "manifest--to--customs-manifest\t1\t1\t0\t0\t0\t0\n" in table and "cuscar-d95b\t1\t1\t0\t0" in table
    assert [line.strip() for line in details.splitlines()] == [
        "a.edi 1  manifest--to--coprar-d95b", "RFF/C506/1154", "- 0126W", "+ TJL2611230001",
    ]  # fmt: skip


def test_a_changed_code_table_shows_in_every_message_that_uses_the_row(tmp_path: Path, sent: Path) -> None:
    new = draft(tmp_path, "schemas/codes/equipment-status.yaml", '"full": "5"', '"full": "4"')
    told = json.loads(diff(new, "--corpus", sent, "--json").stdout)
    [message] = told["messages"]
    assert (message["item"], message["kind"], message["verdict"]) == ("a.edi", "coprar-d95b", "changed")
    first = message["differences"][0]
    assert first == {"what": "coprar-d95b", "path": "SG3[1]/EQD/8169", "old": "5", "new": "4"}


def test_a_new_refusal_is_told_with_its_finding_and_the_rest_is_bounded(tmp_path: Path, sent: Path) -> None:
    new = draft(tmp_path, FUNCTIONS, *NO_ORIGINAL)
    said = diff(new, "--corpus", sent, "--json", "--most", "2")
    told, rows = json.loads(said.stdout), sums(said)
    assert said.exit_code == 1 and {row["refused"] for row in rows.values()} == {1}
    assert len(told["messages"]) == 2 and told["left_out"] == len(rows) - 2
    first = told["messages"][0]
    assert first["verdict"] == "refused" and first["kind"] == "cuscar-d95b"
    [finding] = first["differences"]
    assert (finding["what"], finding["old"]) == ("findings.txt", None)
    assert finding["new"] == "cuscar-d95b: error mapping.value BGM/1225 found '9'"


def test_turned_round_it_is_newly_accepted(site: Site, stricter: Site, sent: Path) -> None:
    there = list(compared(site, stricter, files(sent, NOW)))
    back = list(compared(stricter, site, files(sent, NOW)))
    assert {one.word for one in there} == {"refused"} and {one.word for one in back} == {"accepted"}
    assert [(one.by, one.message) for one in there] == [(one.by, one.message) for one in back]


# ---- whole sites


def _state(*folders: Path) -> dict[Path, tuple[int, int]]:
    every = (path for folder in folders for path in folder.rglob("*"))
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in every}


def test_a_site_that_does_not_load_is_refused_with_its_findings_and_nothing_is_changed(
    tmp_path: Path, sent: Path
) -> None:
    new = laid_out(ROOT, draft(tmp_path, COPRAR, "1154: Manifest/Voyage}", "1154: Manifest/Voyag}"), tmp_path / "new")
    watched = (tmp_path, ROOT / "mappings", ROOT / "schemas")
    before = _state(*watched)
    said = diff(ROOT, new, "--corpus", sent)
    assert said.exit_code == 2 and f"{COPRAR}:8:" in said.stdout and "Manifest/Voyag" in said.stdout
    assert "coprar-d95b\t" not in said.stdout
    assert _state(*watched) == before


@pytest.mark.parametrize(
    "words",
    [
        ("no-such-folder",),
        (ROOT / "mappings" / "manifest" / "system.yaml",),  # there are several of that name
        (ROOT, ROOT, "--last", "soon"),
        (ROOT, ROOT, "--last", "999999d"),
        (ROOT, ROOT, "--last", "7d", "--corpus", ROOT / "mappings"),
        (ROOT, ROOT, "--corpus", ROOT / "routes.yaml"),
    ],
)
def test_what_cannot_be_compared_is_unusable(words: tuple[object, ...]) -> None:
    assert diff(*words).exit_code == 2


def test_the_golden_inputs_are_compared_where_nothing_else_is_named() -> None:
    said = diff(ROOT, ROOT, "service")
    assert said.exit_code == 0 and said.stdout.splitlines() == [
        "case-record\t2\t2\t0\t0\t0\t0",
        "case-record--to--cusres-d96b\t2\t2\t0\t0\t0\t0",
        "both versions do the same",
    ]


def test_a_folder_without_messages_says_nothing_about_the_versions(tmp_path: Path) -> None:
    said = diff(ROOT, ROOT, "--corpus", tmp_path)
    assert said.exit_code == 2 and "no messages" in said.output


# ---- the corpus


def test_one_file_is_read_when_the_one_before_is_told(site: Site) -> None:
    read: list[str] = []

    def file(name: str) -> File:
        return File(name, "", lambda: (read.append(name), ORIGINAL)[1])

    told = compared(site, site, (Item(name, (file(name),), NOW) for name in ("a", "b")))
    assert next(told).item == "a" and read == ["a"]
    assert {one.word for one in told} == {"same"} and read == ["a", "b"]


def test_bytes_that_cannot_be_had_are_told_and_the_others_compared(site: Site) -> None:
    def lost() -> bytes:
        raise Damaged("0" * 64, "is missing")

    items = [Item("a", (File("a", "", lost),), NOW), Item("b", (File("b", "", lambda: ORIGINAL),), NOW)]
    first, *others = compared(site, site, items)
    assert (first.item, first.word) == ("a", "error") and "is missing" in str(first.differences[0].change.got)
    assert others and {(one.item, one.word) for one in others} == {("b", "same")}


def _apart() -> tuple[bytes, bytes]:
    """The arrival's two messages in an interchange each."""
    head, _, rest = ARRIVAL.partition(b"UNH+1")
    ship, _, crew = rest.partition(b"UNH+2")
    last = crew.index(b"UNZ+")
    other = head.replace(b"BH26112301+", b"BH26112302+")
    return head + b"UNH+1" + ship + b"UNZ+1+BH26112301'", other + b"UNH+2" + crew[:last] + b"UNZ+1+BH26112302'"


def _made(told: Iterator[Told]) -> set[tuple[str, str]]:
    return {(one.by, one.message) for one in told if "--to--" in one.by}


def test_files_that_belong_together_are_mapped_together(site: Site, tmp_path: Path) -> None:
    for number, data in enumerate(_apart(), 1):
        (tmp_path / f"in-{number}.edi").write_bytes(data)
    assert ("vessel-declaration--to--crew-report", "1 + 2") in _made(compared(site, site, files(tmp_path, NOW)))
    (tmp_path / "in-2.edi").rename(tmp_path / "two.edi")
    assert _made(compared(site, site, files(tmp_path, NOW))) == set()


def test_the_journal_gives_what_came_in_with_its_party_and_the_files_of_a_case_together(
    port: Any, stricter: Site, tmp_path: Path
) -> None:
    ship, crew = _apart()
    for party, name, data in (("tjline", "m.edi", ORIGINAL), ("bohai", "s.edi", ship), ("bohai", "c.edi", crew)):
        port.submit(party, name, data)
    port.run()
    told = list(compared(port.site, stricter, received(port.journal, START)))
    kinds = sorted(one.kind for one in told if one.by == one.kind)
    assert kinds == ["cuscar-d95b", "cusrep-d96b", "paxlst-d05b"]  # each once
    assert ("vessel-declaration--to--crew-report", "1 + 2") in _made(iter(told))
    assert {one.word for one in told if "--to--" in one.by} == {"refused"}
    assert list(received(port.journal, port.now)) == []
    with port.journal.engine.begin() as connection:
        connection.execute(update(t.message).values(case=""))  # as if they had been refused when they came
    told = list(compared(port.site, port.site, received(port.journal, START)))
    assert sorted(one.kind for one in told if one.by == one.kind) == kinds
    said = diff(draft(tmp_path, COPRAR, "Manifest/Voyage}", "Manifest/Number}"), "--last", "36500d", site=port.folder)
    assert said.exit_code == 1 and "manifest--to--coprar-d95b\t1\t0\t1\t" in said.stdout
