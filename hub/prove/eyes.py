"""Eyes on the journal: its tables as somebody sees them who only reads, on SQLite or on PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class Blind(Exception):
    """The journal cannot be seen now."""


class Eyes:
    """A connection that only reads; one that breaks is opened again. Every method raises Blind."""

    def __init__(self, site: Path, database: str = "") -> None:
        self._file, self._url = site / "spool" / "journal.db", database
        self._database: Any = None

    def ask(self, query: str) -> list[Any]:
        try:
            if self._database is None:
                self._database = self._opened()
            return list(self._database.execute(query).fetchall())
        except self.faults as fault:
            self.close()
            raise Blind(f"the journal cannot be seen: {fault}") from fault

    def _opened(self) -> Any:
        if not self._url:
            return sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, timeout=10)
        import psycopg

        return psycopg.connect(self._url, autocommit=True, connect_timeout=2, options="-c statement_timeout=2000")

    @property
    def faults(self) -> tuple[type[Exception], ...]:
        """What the database's library raises."""
        if not self._url:
            return (sqlite3.Error,)
        import psycopg

        return (psycopg.Error,)

    def suspects(self) -> bool:
        """Something that a worker died on is still open."""
        return bool(
            self.ask(
                "SELECT 1 FROM interchange WHERE state = 'received' AND tries > 0"
                " UNION ALL SELECT 1 FROM port_case WHERE tries > 0"
                " UNION ALL SELECT 1 FROM message WHERE state = 'released' AND tries > 0 LIMIT 1"
            )
        )

    def taken_in(self, parties: Iterable[str]) -> int:
        """How many files of these parties are in the journal."""
        names = ", ".join(f"'{party}'" for party in parties)
        return int(self.ask(f"SELECT count(*) FROM interchange WHERE party IN ({names})")[0][0])  # noqa: S608

    def opened(self) -> set[str]:
        """Names of the files that were opened."""
        return {name for (name,) in self.ask("SELECT name FROM interchange WHERE state = 'opened'")}

    def moving(self) -> list[str]:
        """Whatever is on its way."""
        found = self.ask(
            "SELECT 'interchange', id, state FROM interchange WHERE state = 'received' OR holder IS NOT NULL"
            " UNION ALL SELECT 'message', id, state FROM message WHERE state = 'released'"
            " UNION ALL SELECT 'delivery', id, state FROM delivery"
            " WHERE state IN ('released', 'pending', 'sending', 'failed', 'in_doubt')"
            " OR (awaits <> '' AND state IN ('sent', 'receipted', 'acknowledged'))"
            " UNION ALL SELECT 'case', id, 'ripe' FROM port_case WHERE ripe OR holder IS NOT NULL"
        )
        return [" ".join(row) for row in found]

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
