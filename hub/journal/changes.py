"""What a step wants written. A step returns an Outcome; the journal commits it whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Add:
    """A new row."""

    table: str
    row: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Move:
    """Change one row that still is in one of the states `was`; otherwise the whole commit is Stale.

    An empty `was` changes the row whatever its state."""

    table: str
    id: str
    was: tuple[str, ...]
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of the audit trail."""

    subject: str
    what: str
    detail: dict[str, Any] = field(default_factory=dict)


Change = Add | Move | Happened


@dataclass(slots=True)
class Outcome:
    """What one step found out. `payloads` are stored before the rows that name them."""

    changes: list[Change] = field(default_factory=list)
    payloads: dict[str, bytes] = field(default_factory=dict)

    def keep(self, data: bytes) -> str:
        """Have `data` stored; its SHA-256."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.payloads[sha256] = data
        return sha256

    def add(self, table: str, **row: Any) -> None:
        self.changes.append(Add(table, row))

    def move(self, table: str, id: str, was: Iterable[str], **values: Any) -> None:
        self.changes.append(Move(table, id, tuple(was), values))

    def event(self, subject: str, what: str, **detail: Any) -> None:
        self.changes.append(Happened(subject, what, detail))

    def touches(self, table: str, id: str) -> bool:
        """True when this outcome already adds or moves that row."""
        return any(
            (isinstance(c, Add) and c.table == table and c.row.get("id") == id)
            or (isinstance(c, Move) and c.table == table and c.id == id)
            for c in self.changes
        )
