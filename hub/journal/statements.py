"""Statements of the hot path, compiled once. SQLAlchemy writes the SQL and knows the types; parameters and rows then
pass between the step and the driver as they are: a read costs about a fifth, a written row about a third, of letting
SQLAlchemy look at each again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, Boolean, Table, and_, bindparam, insert, or_, update
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement

Processor = Callable[[Any], Any] | None
Row = Mapping[str, Any]


class Plan:
    """A compiled statement, how each of its parameters is made from a row, and how each of its columns is read."""

    def __init__(self, compiled: Any, dialect: Dialect, columns: Sequence[Any] = ()) -> None:
        self.sql = str(compiled)
        self._dialect = dialect
        self._positional = bool(compiled.positional)
        self._names = list(compiled.positiontup if self._positional else compiled.binds)
        binds = [compiled.binds[name] for name in self._names]
        self._constants = [
            (at, bind.value) for at, bind in enumerate(binds) if not bind.required and bind.value is not None
        ]
        written = [bind.type.dialect_impl(dialect).bind_processor(dialect) for bind in binds]
        self._written: list[tuple[int, Callable[[Any], Any]]] = [(at, p) for at, p in enumerate(written) if p]
        self._columns = [column.name for column in columns]
        read = [(c.name, c.type.dialect_impl(dialect).result_processor(dialect, None)) for c in columns]
        self._read: list[tuple[str, Callable[[Any], Any]]] = [(name, p) for name, p in read if p]

    def execute(self, connection: DBAPIConnection, rows: Sequence[Row]) -> int:
        """Run it for all rows; how many rows of the table it touched."""
        with self.told():
            cursor = connection.cursor()
            cursor.executemany(self.sql, [self._parameters(row) for row in rows])
        return int(cursor.rowcount)

    def ask(self, connection: DBAPIConnection, parameters: Row) -> list[dict[str, Any]]:
        """The rows that it finds, or returns."""
        with self.told():
            cursor = connection.cursor()
            cursor.execute(self.sql, self._parameters(parameters))
            found = [dict(zip(self._columns, row, strict=True)) for row in cursor.fetchall()]
        for name, processor in self._read:
            for row in found:
                row[name] = processor(row[name])
        return found

    def _parameters(self, row: Row) -> Any:
        values = [*map(row.get, self._names)]
        for at, constant in self._constants:
            values[at] = constant
        for at, processor in self._written:
            values[at] = processor(values[at])
        return values if self._positional else dict(zip(self._names, values, strict=True))

    @contextmanager
    def told(self) -> Iterator[None]:
        """The driver's faults as SQLAlchemy's, as everywhere else."""
        driver: Any = self._dialect.loaded_dbapi
        try:
            yield
        except driver.Error as fault:
            raise DBAPIError.instance(self.sql, None, fault, driver.Error, dialect=self._dialect) from fault


class Question:
    """A query, or an UPDATE … RETURNING, whose parameters are named with bindparam: compiled on first use."""

    def __init__(self, statement: Any, columns: Sequence[Any] | None = None) -> None:
        self._statement = statement
        self._columns = columns if columns is not None else list(statement.selected_columns)
        self._plans: dict[str, Plan] = {}

    def plan(self, dialect: Dialect) -> Plan:
        found = self._plans.get(dialect.name)
        if found is None:
            compiled = self._statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
            found = self._plans[dialect.name] = Plan(compiled, dialect, self._columns)
        return found


class Among(ColumnElement[bool]):
    """True where `columns` have one of the values of the parameter `name`: a list of values, or of lists of values.
    One parameter however many there are, so one statement serves them all; nothing else of the value is in the SQL."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, columns: Sequence[Any], name: str) -> None:
        self.columns, self.keys = list(columns), bindparam(name, type_=JSON)

    def self_group(self, against: Any = None) -> Among:
        """As it stands. A dialect without booleans would write `… = 1`, and then no index serves."""
        return self


@compiles(Among, "sqlite")
def _sqlite(element: Among, compiler: Any, **how: Any) -> str:
    columns = [compiler.process(column, **how) for column in element.columns]
    keys = compiler.process(element.keys, **how)
    if len(columns) == 1:
        return f"{columns[0]} IN (SELECT value FROM json_each({keys}))"  # noqa: S608
    parts = ", ".join(f"json_extract(value, '$[{at}]')" for at in range(len(columns)))
    return f"({', '.join(columns)}) IN (SELECT {parts} FROM json_each({keys}))"  # noqa: S608


@compiles(Among, "postgresql")
def _postgresql(element: Among, compiler: Any, **how: Any) -> str:
    columns = [compiler.process(column, **how) for column in element.columns]
    keys = compiler.process(element.keys, **how)
    if len(columns) == 1:
        return f"{columns[0]} = ANY(ARRAY(SELECT json_array_elements_text({keys})))"
    parts = ", ".join(f"value ->> {at}" for at in range(len(columns)))
    return f"({', '.join(columns)}) IN (SELECT {parts} FROM json_array_elements({keys}) AS one(value))"  # noqa: S608


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
