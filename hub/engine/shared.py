"""What all machines of one journal must share, and whether they do.

The boxes of parties, submissions over HTTP, and the port's own keys are folders of the spool. Each bears a number that
the journal knows, in a file `.shared`. A machine whose folder does not bear it would take in nothing, or sign with a
CA of its own: it does not start. On SQLite, which is one machine, nothing is shared.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

from sqlalchemy import select

from hub.errors import JournalError
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.site.site import Site

MARK = ".shared"


def needed(site: Site) -> list[str]:
    """Folders below the spool that this site's machines must share."""
    endpoints = site.routes.endpoints.values()
    adapters = {endpoint.adapter for endpoint in endpoints}
    below = any(str(value).startswith("spool/boxes/") for one in endpoints for value in one.options.values())
    uses = {
        "boxes": "sftpd" in adapters or below,
        "http": "http" in adapters,
        "keys": not (site.routes.identity.key and site.routes.identity.roots),
    }
    return [name for name, used in uses.items() if used]


def check(site: Site, spool: Path) -> None:
    """Raises JournalError where a folder is not the one that the journal's other machines use."""
    if not os.environ.get("EPORT_DATABASE_URL"):
        return
    journal = Journal(spool, f"shared-{os.getpid()}")
    try:
        while not journal.locks.hold("shared"):  # another machine starts too
            time.sleep(0.05)
        for name in needed(site):
            _check(journal, f"shared {name}", spool / name)
    finally:
        journal.close()


def _check(journal: Journal, counter: str, folder: Path) -> None:
    mark = folder / MARK
    row = journal.row(select(t.counter.c.value).where(t.counter.c.name == counter))
    if row is None:
        number = secrets.randbelow(1 << 30) + 1
        folder.mkdir(parents=True, exist_ok=True)
        mark.write_text(f"{number}\n", "utf-8")
        journal.numbers(counter, number)
        return
    bears = mark.read_text("utf-8").strip() if mark.exists() else "none"
    if bears != str(row["value"]):
        raise JournalError(
            f"{folder} is not the folder that the machines of this journal share: the number in {MARK} is {bears},"
            f" the journal knows {row['value']}. Mount the shared one; if this is it, write {row['value']} into {MARK}"
        )
