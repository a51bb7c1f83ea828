"""Messages as parties sent them, to be judged by several versions of the declarations: golden inputs, files of a
folder, or what the journal took in. Bytes are read when their turn comes, and nothing is written anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy import select

from hub.golden.cases import NOW, found
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.journal.statements import Row
from hub.message import InterchangeState, whole_of

PAGE = 500
"""Rows of the journal that are asked for at once."""
_AGAIN = (InterchangeState.DUPLICATE, InterchangeState.QUARANTINED)
"""What is in the journal twice, or was never read to its end."""
_COLUMNS = (t.interchange.c.id, t.interchange.c.party, t.interchange.c.name, t.interchange.c.sha256)


@dataclass(frozen=True, slots=True)
class File:
    """One file. `party`: who sent it, or "" where only the file says it. `read` raises OSError, Gone or Damaged."""

    name: str
    party: str
    read: Callable[[], bytes]


def _every(case: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Item:
    """What is looked at together, and the moment by which it is judged. `keeps`: whether messages of a case, or of none
    (""), are looked at here; the others are in an item of their own."""

    name: str
    files: tuple[File, ...]
    at: datetime
    keeps: Callable[[str], bool] = _every


def golden(folder: Path, system: str = "") -> Iterator[Item]:
    """The inputs of the golden cases of a site."""
    for case in found(folder, system):
        yield Item(f"{case.system}/{case.name}", tuple(_file(path) for path in case.inputs), NOW)


def files(folder: Path, now: datetime) -> Iterator[Item]:
    """Every file below `folder`, by itself; in-1.edi, in-2.edi … of one folder belong together, as in a golden case."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.startswith("."):
            continue
        if not path.name.startswith("in-"):
            yield Item(str(path.relative_to(folder)), (_file(path),), now)
        elif path == min(path.parent.glob("in-*")):
            parts = tuple(_file(one) for one in sorted(path.parent.glob("in-*")))
            yield Item(str(path.parent.relative_to(folder)), parts, now)


def _file(path: Path) -> File:
    return File(path.name, "", path.read_bytes)


# ---- the journal


def received(journal: Journal, since: datetime) -> Iterator[Item]:
    """What came in since then: each interchange with its messages that are of no case, then each case with the files
    of all of its messages, also those that came before."""
    for row in _interchanges(journal, since):
        alone = partial(_alone, journal, row["id"])
        yield Item(row["id"], (_payload(journal, row),), row["received_at"], alone)
    for case in _cases(journal, since):
        rows = _files_of(journal, case)
        if rows:
            yield Item(case, tuple(_payload(journal, row) for row in rows), rows[-1]["received_at"], case.__eq__)


def _alone(journal: Journal, id: str, case: str) -> bool:
    """True where the journal has no such case of this interchange: a message that is only now accepted was in none."""
    return not case or id not in _ids_of(journal, case)


def _payload(journal: Journal, row: Row) -> File:
    return File(row["name"], row["party"], partial(journal.payload, row["sha256"]))


def _interchanges(journal: Journal, since: datetime) -> Iterator[Row]:
    """Whole files only; the id of a piece has a dash."""
    table, last = t.interchange.c, ""
    asked = select(*_COLUMNS, table.received_at).where(
        table.received_at >= since, table.state.not_in(_AGAIN), table.id.not_like("%-%")
    )
    while rows := journal.rows(asked.where(table.id > last).order_by(table.id).limit(PAGE)):
        yield from rows
        last = rows[-1]["id"]


def _cases(journal: Journal, since: datetime) -> Iterator[str]:
    table, last = t.message.c, ""
    asked = select(table.case).distinct().where(table.at >= since)
    while rows := journal.rows(asked.where(table.case > last).order_by(table.case).limit(PAGE)):
        yield from (str(row["case"]) for row in rows)
        last = rows[-1]["case"]


def _files_of(journal: Journal, case: str) -> list[Row]:
    """The files that the messages of a case came in, the oldest first."""
    ids, table = _ids_of(journal, case), t.interchange.c
    return [
        row
        for at in range(0, len(ids), PAGE)
        for row in journal.rows(
            select(*_COLUMNS, table.received_at).where(table.id.in_(ids[at : at + PAGE])).order_by(table.id)
        )
    ]


def _ids_of(journal: Journal, case: str) -> list[str]:
    """Of these files; what the port made itself came in none."""
    rows = journal.rows(select(t.message.c.interchange).distinct().where(t.message.c.case == case))
    return sorted({_whole(row["interchange"]) for row in rows} - {""})


def _whole(id: str) -> str:
    while above := whole_of(id):
        id = above
    return id
