"""A journal that was changed behind the hub's back shows it, and the first bad record is named."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from typer.testing import CliRunner

from hub.cli import app
from hub.evidence import audit, canonical
from hub.journal import tables as t
from tests.evidence.conftest import ORIGINAL, found, happened, sealed


def unguarded(port: Any, *statements: str) -> None:
    """What an administrator of the database can do all the same."""
    with port.journal.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            for table in ("event", "seal", "stamp"):
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        else:
            for name in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars():
                connection.execute(text(f"DROP TRIGGER {name}"))
        for statement in statements:
            connection.execute(text(statement.replace(":", "\\:")))


NEW = "INSERT INTO event (seq, at, subject, what, detail) VALUES ({}, '2026-11-23 00:00:00', 'x', 'forged', '{{}}')"
DAMAGES: dict[str, tuple[list[str], str, str]] = {
    "edit": (
        ["UPDATE event SET what = 'refused' WHERE seq = 3"], "evidence.event_changed", "event 3 ",
    ),
    "edit of a detail": (
        ["UPDATE event SET detail = '{\"why\": \"\"}' WHERE seq = 9"], "evidence.event_changed", "event 9 ",
    ),
    "edit of a time": (
        ["UPDATE event SET at = '2020-01-01 00:00:00' WHERE seq = 5"], "evidence.event_changed", "event 5 ",
    ),
    "a float put in": (
        ["UPDATE event SET detail = '{\"a\": 0.5}' WHERE seq = 2"], "evidence.event_changed", "event 2 ",
    ),
    "delete": (["DELETE FROM event WHERE seq = 4"], "evidence.event_missing", "event before 5"),
    "delete of the last of a head": (
        ["DELETE FROM event WHERE seq = (SELECT min(last) FROM seal)"], "evidence.event_missing", "or before",
    ),
    "insert": ([NEW.format(0)], "evidence.event_added", "event 0 "),
    "insert into a hole": (
        ["DELETE FROM event WHERE seq = 6", NEW.format(6)], "evidence.event_changed", "event 6 ",
    ),
    "reorder": (
        [
            "UPDATE event SET seq = -1 WHERE seq = 2",
            "UPDATE event SET seq = 2 WHERE seq = 3",
            "UPDATE event SET seq = 3 WHERE seq = -1",
        ],
        "evidence.event_changed",
        "event 2 ",
    ),
    "a seal deleted": (["DELETE FROM seal WHERE number = 1"], "evidence.seal_missing", "seal 1"),
    "a seal between deleted": (["DELETE FROM seal WHERE number = 2"], "evidence.seal_missing", "seal 2"),
    "a row of a seal changed": (
        ["UPDATE seal SET last = last - 1 WHERE number = 3"], "evidence.seal_row", "seal 3",
    ),
    "a time of a seal changed": (
        ["UPDATE seal SET at = '2020-01-01 00:00:00' WHERE number = 2"], "evidence.seal_row", "seal 2",
    ),
    "a signature of another": (
        ["UPDATE seal SET signature = (SELECT signature FROM seal WHERE number = 1) WHERE number = 2"],
        "signature.content",
        "seal 2",
    ),
    "a head of another": (
        ["UPDATE seal SET head = (SELECT head FROM seal WHERE number = 1) WHERE number = 2"],
        "signature.content",
        "seal 2",
    ),
    "leaves of another": (
        ["UPDATE seal SET leaves = (SELECT leaves FROM seal WHERE number = 1) WHERE number = 2"],
        "evidence.seal_leaves",
        "seal 2",
    ),
    "a stamp without its seal": (
        ["INSERT INTO stamp (number, response, at) VALUES (9, 'x', '2026-11-23 00:00:00')"],
        "evidence.seal_missing",
        "seal 9",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_first_bad_record_is_named(told_on: Any, damage: str) -> None:
    statements, code, path = DAMAGES[damage]
    unguarded(told_on, *statements)
    first = found(told_on)[0]
    assert first[0] == code and first[1] is not None and path in first[1]


def sealed_thrice(port: Any) -> Any:
    for count in (7, 5, 6):
        happened(port, count)
        sealed(port)
    assert not found(port)
    return port


@pytest.fixture
def told_on(small: Any) -> Any:
    return sealed_thrice(small)


@pytest.fixture
def site_told_on(port: Any) -> Any:
    return sealed_thrice(port)


def test_truncation_shows_only_to_who_has_kept_a_head(told_on: Any) -> None:
    kept = list(audit.outside(told_on.journal))
    unguarded(told_on, "DELETE FROM event WHERE seq > 12", "DELETE FROM seal WHERE number = 3")
    assert not found(told_on)
    assert found(told_on, *kept) == [("evidence.rolled_back", "seal 3")]


def test_a_journal_that_was_put_back_and_went_on_is_a_fork(told_on: Any) -> None:
    kept = list(audit.outside(told_on.journal))
    unguarded(told_on, "DELETE FROM event WHERE seq > 12", "DELETE FROM seal WHERE number = 3")
    happened(told_on, 4)
    sealed(told_on)
    assert not found(told_on)
    assert found(told_on, *kept) == [("evidence.forked", "seal 3")]


def test_heads_that_somebody_made_up_are_no_proof_against_the_journal(told_on: Any) -> None:
    [first, *_] = audit.outside(told_on.journal)
    forged = canonical.dump(canonical.load(first) | {"head": canonical.load(first)["head"].replace("TJ", "SH")})
    assert [code for code, _ in found(told_on, forged, b"{}", first)] == ["signature.content", "evidence.head"]


def test_a_stored_file_that_was_changed_is_named(port: Any) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    sealed(port)
    with port.journal.engine.begin() as connection:
        one = connection.execute(select(t.payload.c.sha256).order_by(t.payload.c.sha256)).scalars().first()
        connection.execute(t.payload.update().where(t.payload.c.sha256 == one).values(data=b"forged"))
    assert found(port) == []
    assert found(port, payloads=True) == [("evidence.payload_changed", f"payload {one}")]


# ---- the commands


def eport(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_commands_look_at_a_site(site_told_on: Any, tmp_path: Path) -> None:
    site = ("--site", site_told_on.folder)
    printed = eport("audit", "heads", *site)
    assert printed.exit_code == 0 and len(printed.output.splitlines()) == 3
    kept = tmp_path / "heads.jsonl"
    kept.write_text(printed.output)
    clean = eport("audit", "verify", "--heads", kept, "--payloads", "--json", *site)
    assert clean.exit_code == 0 and json.loads(clean.output)["heads"] == 3
    told = eport("audit", "verify", "--heads", kept, "--lang", "en", *site)
    assert "3 heads over 18 events" in told.output and "3 outside heads" in told.output
    unguarded(site_told_on, "UPDATE event SET subject = 'y' WHERE seq = 9")
    bad = eport("audit", "verify", "--lang", "zh", *site)
    assert bad.exit_code == 1 and "evidence.event_changed" in bad.output and re.search(r"event 9 \(y ", bad.output)


def test_a_whole_database_of_yesterday_is_found(site_told_on: Any, tmp_path: Path) -> None:
    spool, yesterday = site_told_on.folder / "spool", tmp_path / "yesterday.db"
    with sqlite3.connect(spool / "journal.db") as source, sqlite3.connect(yesterday) as copy:
        source.backup(copy)
    source.close()
    copy.close()
    happened(site_told_on, 2)
    sealed(site_told_on)
    kept = tmp_path / "heads.jsonl"
    kept.write_bytes(b"".join(line + b"\n" for line in audit.outside(site_told_on.journal)))
    site_told_on.journal.engine.dispose()
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (spool / name).unlink(missing_ok=True)
    shutil.copy(yesterday, spool / "journal.db")
    assert eport("audit", "verify", "--site", site_told_on.folder).exit_code == 0
    put_back = eport("audit", "verify", "--heads", kept, "--json", "--site", site_told_on.folder)
    assert put_back.exit_code == 1
    assert [row["code"] for row in json.loads(put_back.output)["findings"]] == ["evidence.rolled_back"]
