"""Upgrades a journal from the first schema to the newest, killed at each statement. Run as

    python -m hub.prove.faults.upgrade FOLDER

Writes one JSON line a statement: {"at": n, "seconds": of the next try, "wrong": "" or what}. A process of its own,
because it forks one for each try."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import event

from hub.journal.journal import Journal
from hub.journal.schema import upgrade

FIRST = "0001"
ROWS = 50


def main(folder: Path) -> None:
    for number in count(1):
        where = folder / f"upgrade-{number}"
        before = first(where)
        pid = os.fork()
        if not pid:
            dying(where, number)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            return  # it came to its end before
        began = time.monotonic()
        wrong = "" if whole(where) == before else "the old schema is not whole"
        to_the_end(where)
        seconds = time.monotonic() - began
        wrong = wrong or ("" if whole(where)[1] == before[1] else "rows were lost")
        print(json.dumps({"at": number, "seconds": round(seconds, 3), "wrong": wrong}), flush=True)


def first(where: Path) -> tuple[str, int]:
    """A journal of the first schema with something in it."""
    journal = Journal(where, "first")
    upgrade(journal.engine, FIRST)
    journal.close()
    with closing(sqlite3.connect(where / "journal.db")) as database:
        columns = {row[1] for row in database.execute("PRAGMA table_info(interchange)")}
        values = [{name: f"{name}-{n}" for name in columns} for n in range(ROWS)]
        names = ", ".join(sorted(columns))
        marks = ", ".join(f":{name}" for name in sorted(columns))
        database.executemany(f"INSERT INTO interchange ({names}) VALUES ({marks})", values)  # noqa: S608
        database.commit()
    return whole(where)


def dying(where: Path, number: int) -> None:
    """The upgrade, until its `number`th statement."""
    journal = Journal(where, "dying")
    left = [number]

    @event.listens_for(journal.engine, "before_cursor_execute")
    def _(*_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    upgrade(journal.engine)


def to_the_end(where: Path) -> None:
    journal = Journal(where, "next")
    upgrade(journal.engine)
    journal.close()


def whole(where: Path) -> tuple[str, int]:
    """(every table and index as SQL, how many rows). Raises sqlite3.DatabaseError for a damaged file."""
    with closing(sqlite3.connect(where / "journal.db")) as database:
        if database.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")
        schema = sorted(str(row) for row in database.execute("SELECT name, sql FROM sqlite_master"))
        return "\n".join(schema), int(database.execute("SELECT count(*) FROM interchange").fetchone()[0])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
