"""The journal's database: does it keep what it promises, is it the one that this release needs, is its clock ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text

from hub import conditions
from hub.doctor.line import Line, Patient, graded, span
from hub.journal import tables as t
from hub.journal.schema import revisions

PROMISES = {"fsync": "on", "full_page_writes": "on"}
"""Settings of PostgreSQL without which a commit is not durable; and synchronous_commit, which may have more values."""
SKEW, WRONG = timedelta(seconds=1), timedelta(seconds=5)


def durability(p: Patient) -> Line:
    """Read back from the server or from a connection as every role has it."""
    with p.journal.engine.connect() as connection:
        if p.journal.engine.dialect.name == "sqlite":
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
            level = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            size = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
            good = mode == "wal" and level == 2
            shown = f"SQLite · journal_mode {mode} · synchronous {level} · {pages * size / 1e6:.0f} MB"
        else:
            names = (*PROMISES, "synchronous_commit")
            said = {name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in names}
            version = connection.execute(text("SHOW server_version")).scalar_one()
            good = said.items() >= PROMISES.items() and said["synchronous_commit"] != "off"
            shown = f"PostgreSQL {version} · " + " · ".join(f"{name} {value}" for name, value in said.items())
    return Line("database", "ok" if good else "bad", shown, "" if good else "eport status")


def schema(p: Patient) -> Line:
    have, wanted = revisions(p.journal.engine)
    if have == wanted:
        return Line("schema", "ok", have)
    return Line("schema", "bad", f"{have or '-'}, not {wanted}", "eport up")


def clocks(p: Patient) -> Line:
    """The database's clock against this machine's; no event from the future, which a clock set back would leave; and,
    where `limits: {clock: …}` asks, what the kernel says."""
    off = conditions.clock(p.limits)
    if off:
        return Line("clocks", "bad", off, "timedatectl")
    e = t.event
    newest = p.journal.row(select(e.c.at).order_by(e.c.seq.desc()).limit(1))
    ahead = max(newest["at"] - p.now, timedelta()) if newest else timedelta()
    skew = timedelta()
    if p.journal.engine.dialect.name == "postgresql":
        skew = abs(p.journal.rows(text("SELECT clock_timestamp() AS at"))[0]["at"] - datetime.now(UTC))
    verdict = graded(max(skew, ahead), SKEW, WRONG)
    return Line("clocks", verdict, span(max(skew, ahead)), "" if verdict == "ok" else "timedatectl")
