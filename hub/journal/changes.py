"""What a step wants written. A step returns an Outcome; the journal commits it whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hub.catalogue import acts

MINE = "(this process)"
"""In `Move.given`: the name of the process that commits. A claim that was lost meanwhile makes the commit Stale."""


@dataclass(frozen=True, slots=True)
class Add:
    """A new row."""

    table: str
    row: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Move:
    """Change one row that still is in one of the states `was`; otherwise the whole commit is Stale.

    An empty `was` changes the row whatever its state; `given` names columns that must hold these values as well;
    `told` is what the event of a changed state says beside the reason."""

    table: str
    id: str
    was: tuple[str, ...]
    values: dict[str, Any]
    given: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of the audit trail."""

    subject: str
    what: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wait:
    """One row of the list of what waits for somebody. It leaves the list when its row's state changes."""

    subject: str
    what: str
    code: str
    detail: str
    owner: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Rest:
    """What `subject` waited for has come, although its state is the same."""

    subject: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Nobody has looked at `subject` by the time they should have."""

    subject: str


@dataclass(frozen=True, slots=True)
class Absent:
    """The step relied on there being no row of `table` with these values (a tuple: one of these). When there is one
    after all, in the journal or in the same commit, the whole commit is Stale."""

    table: str
    match: dict[str, Any]


Change = Add | Move | Happened | Wait | Rest | Alarm | Absent


@dataclass(slots=True)
class Outcome:
    """What one step found out. `payloads` are stored before the rows that name them; `used` are stored already."""

    changes: list[Change] = field(default_factory=list)
    payloads: dict[str, bytes] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    _adds: dict[str, list[Add]] = field(default_factory=dict)
    _touched: set[tuple[str, str | None]] = field(default_factory=set)

    def keep(self, data: bytes) -> str:
        """Have `data` stored; its SHA-256."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.payloads[sha256] = data
        return sha256

    def use(self, *hashes: str) -> None:
        """A row refers anew to what was stored before; "" for none. Stale where it is there no longer."""
        self.used |= {sha256 for sha256 in hashes if sha256}

    def add(self, table: str, **row: Any) -> None:
        change = Add(table, row)
        self.changes.append(change)
        self._adds.setdefault(table, []).append(change)
        self._touched.add((table, row.get("id")))

    def move(
        self,
        table: str,
        id: str,
        was: Iterable[str],
        given: dict[str, Any] | None = None,
        told: dict[str, Any] | None = None,
        **values: Any,
    ) -> None:
        self.changes.append(Move(table, id, tuple(was), values, given or {}, told or {}))
        self._touched.add((table, id))

    def event(self, subject: str, what: str, **detail: Any) -> None:
        self.changes.append(Happened(subject, what, detail))

    def wait(self, what: str, id: str, code: str, due_at: datetime, detail: str = "", owner: str = "") -> None:
        """Row `id` of table `what` waits, because of finding `code`, for `owner` (the catalogue's when empty)."""
        self.changes.append(Wait(id, what, code, detail, owner or acts(code), due_at))

    def rest(self, id: str) -> None:
        self.changes.append(Rest(id))

    def alarm(self, id: str) -> None:
        self.changes.append(Alarm(id))

    def relied_on_none(self, table: str, **match: Any) -> None:
        """The step looked for such a row and found none; see Absent."""
        self.changes.append(Absent(table, match))

    def added(self, table: str, **match: Any) -> dict[str, Any] | None:
        """The row with these values that this outcome adds."""
        rows = (add.row for add in self._adds.get(table, ()))
        return next((row for row in rows if match.items() <= row.items()), None)

    def touches(self, table: str, id: str) -> bool:
        """True when this outcome already adds or moves that row."""
        return (table, id) in self._touched
