"""What the journal knows about one batch of work, read in few queries and remembered until the batch is committed.

`rows` reads through, so a step is right whatever was fetched before; `fetch` reads for many at once, so a batch of
fifty costs about as many queries as a single one. A fresh batch takes a fresh Recall: nothing in it ever gets old.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Table

from hub.errors import Damaged, Gone
from hub.journal import keeping
from hub.journal.journal import Journal
from hub.journal.questions import having
from hub.journal.statements import Row

Key = tuple[str, ...]


class Recall:
    """One batch's view of the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._known: dict[tuple[str, Key], dict[Key, list[Row]]] = {}
        self._payloads: dict[str, bytes] = {}
        self._lost: dict[str, Gone | Damaged] = {}

    def fetch(self, table: Table, columns: Key, keys: Iterable[Key]) -> list[Row]:
        """The rows whose `columns` have one of the values `keys`; none of them is asked for again."""
        known = self._known.setdefault((table.name, columns), {})
        asked = list(dict.fromkeys(keys))
        wanted = [key for key in asked if key not in known]
        if wanted:
            known.update((key, []) for key in wanted)
            given: list[Any] = list(wanted) if len(columns) > 1 else [one[0] for one in wanted]
            for row in self._journal.ask(having(table, columns), keys=given):
                known[tuple(row[name] for name in columns)].append(row)
        return [row for key in asked for row in known[key]]

    def rows(self, table: Table, columns: Key, *key: str) -> list[Row]:
        """The rows whose `columns` have these values, oldest first."""
        known = self._known.get((table.name, columns), {})
        found = known.get(key)
        return found if found is not None else self.fetch(table, columns, [key])

    def one(self, table: Table, columns: Key, *key: str) -> Row | None:
        found = self.rows(table, columns, *key)
        return found[0] if found else None

    def fetch_payloads(self, hashes: Iterable[str]) -> None:
        found, lost = self._journal.sound([sha for sha in set(hashes) if sha not in self._payloads])
        self._payloads |= found
        self._lost |= lost

    def payload(self, sha256: str) -> bytes:
        """Raises Gone or Damaged when the bytes cannot be had."""
        if sha256 not in self._payloads and sha256 not in self._lost:
            self.fetch_payloads([sha256])
        if sha256 in self._lost:
            raise self._lost[sha256]
        return self._payloads[sha256]

    def removed(self, hashes: Iterable[str]) -> dict[str, datetime]:
        """Which of these payloads have lost their bytes, and when (hub.retention)."""
        return keeping.removed(self._journal, set(hashes))
