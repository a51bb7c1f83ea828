"""One statement for many rows, compiled once. SQLAlchemy writes the SQL and knows the types; the rows go to the driver
as they are, which costs about a third of letting it look at each of them again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, insert, or_, update
from sqlalchemy.engine import Dialect

Processor = Callable[[Any], Any] | None
Row = Mapping[str, Any]


class Plan:
    """A compiled statement and how each of its parameters is made from a row."""

    def __init__(self, compiled: Any, dialect: Dialect) -> None:
        self._sql = str(compiled)
        self._constants: dict[str, Any] = {k: v for k, v in compiled.params.items() if v is not None}
        processors: dict[str, Processor] = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()
        }
        self._positional = bool(compiled.positional)
        names = compiled.positiontup if self._positional else list(compiled.binds)
        self._parts = [(name, processors[name]) for name in names]

    def execute(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Run it for all rows; how many rows of the table it touched."""
        return connection.exec_driver_sql(self._sql, [self._parameters(row) for row in rows]).rowcount

    def _parameters(self, row: Row) -> Any:
        constants = self._constants
        values = (
            (name, row[name] if name in row else constants.get(name), processor) for name, processor in self._parts
        )
        if self._positional:
            return tuple(value if processor is None else processor(value) for _, value, processor in values)
        return {name: value if processor is None else processor(value) for name, value, processor in values}


def defaults(table: Table, columns: Sequence[str]) -> dict[str, Any]:
    """The values of the columns that a row leaves out and that have a plain default."""
    found: dict[str, Any] = {c.name: c.default for c in table.columns if c.default is not None}
    return {name: default.arg for name, default in found.items() if name not in columns}


@lru_cache(maxsize=256)
def inserting(table: Table, columns: tuple[str, ...], dialect: Dialect) -> tuple[Plan, dict[str, Any]]:
    """The INSERT of rows with `columns`, and what else each row needs."""
    more = defaults(table, columns)
    compiled = insert(table).compile(dialect=dialect, column_keys=[*columns, *more])
    return Plan(compiled, dialect), more


@lru_cache(maxsize=256)
def moving(
    table: Table, was: tuple[str, ...], given: tuple[str, ...], columns: tuple[str, ...], dialect: Dialect
) -> Plan:
    """The UPDATE of `columns` (parameters `new_…`) of row `id_` while it is in one of the states `was` and its columns
    `given` hold the values `given_…`."""
    where = table.c.id == bindparam("id_")
    if was:
        where = and_(where, or_(*(table.c.state == state for state in was)))
    for name in given:
        where = and_(where, table.c[name] == bindparam(f"given_{name}"))
    statement = update(table).where(where).values({name: bindparam(f"new_{name}") for name in columns})
    return Plan(statement.compile(dialect=dialect), dialect)
