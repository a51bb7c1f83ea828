"""Code tables as files: schemas/codes/<table>.yaml, `{table: name, rows: {code: value}}`.

Where a value depends on the day it is a list: `"7": [{to: full, until: 2026-06-30}, {to: laden, from: 2026-07-01}]`.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from hub.mapping.tables import Row, Rows


class Dated(BaseModel):
    """What a code means from and until a day, both included."""

    model_config = ConfigDict(extra="forbid")
    to: str
    from_: date | None = Field(default=None, alias="from")
    until: date | None = None

    def row(self) -> Row:
        return Row(self.to, *(day.isoformat() if day else "" for day in (self.from_, self.until)))


class Table(BaseModel):
    """schemas/codes/<table>.yaml: one code table."""

    table: str
    rows: dict[str, str | Annotated[list[Dated], Field(min_length=1)]]

    def made(self) -> Rows:
        """The rows; of a code with dates the last one stands where no day is asked for."""
        dated = {code: tuple(one.row() for one in row) for code, row in self.rows.items() if isinstance(row, list)}
        return Rows({code: row if isinstance(row, str) else row[-1].to for code, row in self.rows.items()}, dated)
