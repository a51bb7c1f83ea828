"""A short run of every row of the table of faults, and teeth: what is planted behind a fault is caught."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hub.prove.faults import campaign, disks
from hub.prove.faults.campaign import ROWS, attempt
from hub.prove.faults.proxy import owns
from hub.prove.faults.row import Row, Run

SEED = 20261123


@pytest.fixture(scope="session")
def programs() -> None:
    """What two rows break things with: root installs it where it can."""
    if not shutil.which("strace") and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        words = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", "install", "-y", "--no-install-recommends"]
        subprocess.run([*words, "strace"], env=quiet, capture_output=True, timeout=100, check=False)


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.fault} {row.name}")
def test_no_promise_breaks(row: Row) -> None:
    result = attempt(row, SEED, 0, quick=True, say=print)
    if result.run is None:
        pytest.skip(result.skipped)
    assert result.run.faults == [], "\n".join(campaign.table([result], SEED))
    assert result.run.trials >= row.quick


def named(name: str) -> Row:
    return next(row for row in ROWS if row.name.startswith(name))


def test_what_is_unknown_and_tried_again_is_caught() -> None:
    result = attempt(named("the rename's answer"), SEED, 1, quick=True, say=print, plant="unknown is failed")
    assert not result.good and result.run is not None
    assert "delivered twice: BORDER" in "\n".join(result.run.faults)
    assert result.run.twice


@pytest.mark.skipif(disks.root() != "", reason="only root can cut the power of a disk")
def test_commits_that_the_disk_does_not_have_are_caught(tmp_path: Path) -> None:
    run = Run(tmp_path, SEED, 2, True, print, "careless disk")
    disks.cut_under_load(run)
    assert run.lost, run.faults


def test_every_fault_of_the_table_is_tried_or_said_not_to_be() -> None:
    tried = {row.fault for row in ROWS}
    assert tried | campaign.UNTRIED.keys() == {f"F{number}" for number in range(1, 18)}
    assert not tried & campaign.UNTRIED.keys()


def test_an_unknown_fault_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"no fault F99; there are F1, F2, F3"):
        campaign.chosen(["F7", "F99"])
    assert {row.fault for row in campaign.chosen(["F7"])} == {"F7"}


def test_a_process_owns_its_connections_only() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as mine:
        assert owns(os.getpid(), mine.getsockname()[1])
        assert not owns(os.getppid(), mine.getsockname()[1])
