"""What one machine takes in another one works on; a machine that does not share what it must does not start."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from hub import journey
from hub.engine import gate, shared
from hub.errors import JournalError
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.journal.numbers import Numbers
from hub.journal.schema import upgrade
from hub.site.load import load
from tests.journeys.conftest import ROOT, Port, port

__all__ = ["port"]

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
MANIFEST = (ROOT / "mappings" / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()


def test_twenty_megabytes_taken_in_here_are_opened_there(port: Port, tmp_path: Path, database: str) -> None:
    large = MANIFEST.replace(b"UNH+1", b"\n" * 20_000_000 + b"UNH+1")
    port.submit("tjline", "large.edi", large)
    gate.gate_round(port.site, port.journal, port.inlets, port.now)
    there = Journal(tmp_path / "there", "another machine")
    try:
        assert journey.work(port.site, there, Numbers(there), port.now) > 0
        [row] = there.rows(select(t.interchange))
        assert row["state"] == "opened" and there.payload(row["sha256"]) == large
    finally:
        there.close()
    port.run()
    assert len(port.files("customs", "in")) == 1
    assert [path for path in port.journal.spool.folder.rglob("*") if path.is_file()] == [], "bytes left on one machine"


def test_a_machine_without_the_shared_folders_is_told_which_and_why(tmp_path: Path, database: str) -> None:
    journal = Journal(tmp_path / "spool", "prepare")
    upgrade(journal.engine)
    journal.close()
    site = load(ROOT)
    assert shared.needed(site) == ["boxes", "http", "keys"]
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    shared.check(site, first)
    shared.check(site, first)
    second.mkdir()
    for name in shared.needed(site):
        (second / name).symlink_to(first / name)
    shared.check(site, second)
    with pytest.raises(JournalError, match=r"third/boxes is not the folder that the machines .* is none"):
        shared.check(site, third)
    (third / "boxes").mkdir(parents=True)
    (third / "boxes" / shared.MARK).write_text("12\n", "utf-8")
    with pytest.raises(JournalError, match="is 12, the journal knows"):
        shared.check(site, third)
