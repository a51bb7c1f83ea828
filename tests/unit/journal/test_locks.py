"""Who is alive is what the operating system says: a lock goes when its process goes, and at no other time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.journal.locks import Locks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def mine(folder: Path) -> Iterator[Locks]:
    locks = Locks(folder)
    yield locks
    locks.close()


@pytest.fixture
def other(folder: Path) -> Iterator[Locks]:
    locks = Locks(folder)
    yield locks
    locks.close()


def test_a_lock_has_one_holder(mine: Locks, other: Locks) -> None:
    assert mine.hold("clock") and mine.hold("clock")
    assert not other.hold("clock") and other.held("clock") and mine.held("clock")
    assert other.hold("gate")


def test_a_lock_that_was_dropped_may_be_taken(mine: Locks, other: Locks) -> None:
    mine.hold("clock")
    mine.drop("clock")
    mine.drop("clock")
    assert other.hold("clock") and not mine.hold("clock")


def test_to_ask_is_not_to_take_and_leaves_no_file(mine: Locks, other: Locks, folder: Path) -> None:
    assert not mine.held("worker-1")
    assert list(folder.iterdir()) == []
    assert other.hold("worker-1") and mine.held("worker-1")
    assert [path.name for path in folder.iterdir()] == ["worker-1.lock"]


def test_the_file_of_a_dead_holder_goes_and_the_name_can_be_held_again(mine: Locks, other: Locks, folder: Path) -> None:
    other.hold("worker-1")
    other.close()
    assert not mine.held("worker-1") and list(folder.iterdir()) == []
    assert mine.hold("worker-1") and other.held("worker-1")


def test_a_lock_on_a_file_that_was_removed_is_no_lock(mine: Locks, other: Locks, folder: Path) -> None:
    mine.hold("clock")
    (folder / "clock.lock").unlink()  # as one does who believes the holder dead
    assert other.hold("clock")
    assert os.stat(folder / "clock.lock").st_nlink == 1


def test_other_processes_may_not_read_or_open_a_lock(mine: Locks, folder: Path) -> None:
    mine.hold("clock")
    assert (folder / "clock.lock").stat().st_mode & 0o077 == 0


def test_no_lock_outlives_or_leaks_a_handle(mine: Locks, folder: Path) -> None:
    def handles() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = handles()
    for _ in range(20):
        mine.hold("a")
        mine.held("b")
        mine.drop("a")
    assert handles() == before


def test_a_killed_process_holds_nothing(mine: Locks, folder: Path) -> None:
    hold = f"""
import sys
from pathlib import Path
from hub.journal.locks import Locks
assert Locks(Path({str(folder)!r})).hold("worker-1")
print("held", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"held\n"
        assert mine.held("worker-1") and not mine.hold("worker-1")
        child.kill()
        child.wait()
        assert not mine.held("worker-1") and mine.hold("worker-1")


def test_a_child_that_is_executed_inherits_no_lock(mine: Locks, other: Locks) -> None:
    mine.hold("worker-1")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        mine.drop("worker-1")
        assert other.hold("worker-1")
        child.communicate(b"\n")
