"""When a hub reads its declarations again: two looks that find the same change. Time is passed in."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.engine.reload import EVERY, Watch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("mappings/vessel/cases/01", "schemas/codes", "spool"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("routes.yaml", "mappings/vessel/system.yaml", "schemas/codes/sex.yaml"):
        (tmp_path / name).write_text("one", "utf-8")
    return tmp_path


def looks(watch: Watch, times: int, start: float = 0.0) -> list[bool]:
    return [watch.changed(start + number * EVERY) for number in range(times)]


@pytest.mark.parametrize("name", ["routes.yaml", "mappings/vessel/system.yaml", "schemas/codes/new.csv"])
def test_a_change_is_told_once_at_the_second_look_that_finds_it(folder: Path, name: str) -> None:
    watch = Watch(folder)
    assert looks(watch, 3) == [False, False, False]
    (folder / name).write_text("other", "utf-8")
    assert looks(watch, 4, 10) == [False, True, False, False]


def test_a_file_that_is_taken_away_is_a_change(folder: Path) -> None:
    watch = Watch(folder)
    (folder / "schemas/codes/sex.yaml").unlink()
    assert looks(watch, 2) == [False, True]


def test_a_file_put_in_the_place_of_another_is_a_change(folder: Path) -> None:
    import os

    routes, fresh = folder / "routes.yaml", folder / "spool" / "fresh"
    fresh.write_text("two", "utf-8")
    stat = routes.stat()
    os.utime(fresh, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    watch = Watch(folder)
    fresh.replace(routes)
    assert looks(watch, 2) == [False, True]


def test_whoever_is_still_writing_is_given_time(folder: Path) -> None:
    watch, file = Watch(folder), folder / "routes.yaml"
    told = []
    for number in range(5):
        file.write_text("x" * number, "utf-8")
        told.append(watch.changed(number * EVERY))
    assert told == [False] * 5
    assert looks(watch, 2, 100) == [True, False]


def test_between_two_looks_nothing_is_looked_at(folder: Path) -> None:
    watch = Watch(folder)
    assert not watch.changed(0)
    (folder / "routes.yaml").write_text("other", "utf-8")
    assert not watch.changed(EVERY)
    assert not watch.changed(EVERY * 1.5)
    assert watch.changed(EVERY * 2)


@pytest.mark.parametrize("name", ["mappings/vessel/cases/01/in.edi", "spool/x", "mappings/.swp", "mappings/a.yaml~"])
def test_what_is_no_declaration_is_no_change(folder: Path, name: str) -> None:
    watch = Watch(folder)
    (folder / name).write_text("other", "utf-8")
    assert looks(watch, 3) == [False, False, False]


def test_what_is_about_to_be_read_is_known(folder: Path) -> None:
    watch = Watch(folder)
    (folder / "routes.yaml").write_text("other", "utf-8")
    watch.settle()
    assert looks(watch, 3) == [False, False, False]
