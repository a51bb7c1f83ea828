"""The shape of schemas/<system>/*.guide.yaml. docs/declare.md shows each construct."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from hub.site.model import Part


def _word(value: Any) -> Any:
    """Codes are texts: 45 needs no quotes, and 012 keeps its zero (hub.declaration)."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _day(value: Any) -> Any:
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("write a day as 2026-07-01")
    return date.fromisoformat(value)


Word = Annotated[str, BeforeValidator(_word)]
Day = Annotated[date, BeforeValidator(_day)]


class Applies(Part):
    """Whom and what a guide is for. No kinds: every kind. No associations: with or without one."""

    parties: list[str] = Field(default_factory=list)
    roles: list[str] = Field(default_factory=list)
    kinds: list[str] = Field(default_factory=list)
    associations: list[Word] = Field(default_factory=list)  # EDIFACT 0057


class Tolerate(Part):
    """One finding code, perhaps at a path, of some values, up to a length. The first rule that fits decides."""

    code: str
    as_: Literal["warn", "ignore", "reject", "repair"] = Field(alias="as")
    at: str = ""
    values: list[Word] = Field(default_factory=list)
    upto: int = Field(default=0, ge=0)
    why: str = ""
    tell: bool = False  # the sender is told of it although nothing is refused


class Listed(Part):
    """The codes of a list or table of schemas/codes/."""

    list: str


class Narrow(Part):
    """What the guide asks at one path beyond the standard."""

    at: str
    status: Literal["", "required", "not-used"] = ""
    length: Annotated[str, BeforeValidator(_word)] = Field(
        default="", pattern=r"^([0-9]{1,5}|[0-9]{0,5}\.\.[0-9]{1,5})?$"
    )
    codes: list[Word] | Listed | None = None
    identifier: str = ""
    repeat: int = Field(default=0, ge=0)
    when: str = ""
    why: str = ""

    @property
    def lengths(self) -> tuple[int, int]:
        """(shortest, longest) of `length`: 17 is 17..17, ..17 is 0..17; (0, 0) when nothing is said."""
        shortest, dots, longest = self.length.partition("..")
        return int(shortest or 0), int(longest if dots else shortest or 0)


class Read(Part):
    charset: str  # a Python codec; beats UNB 0001


class Written(Part):
    """How the hub writes EDIFACT. `syntax` is 0001:0002, `separators` the six characters of UNA."""

    una: bool | None = None
    syntax: str = ""
    charset: str = ""
    separators: str = ""


class GuideFile(Part):
    """One file. It holds from the first day to the last, both included."""

    guide: str
    for_: Applies = Field(alias="for")
    from_: Day | None = Field(default=None, alias="from")
    until: Day | None = None
    tolerate: list[Tolerate] = Field(default_factory=list)
    narrow: list[Narrow] = Field(default_factory=list)
    read: Read | None = None
    write: Written | None = None
    accept: Literal["all", "each"] | None = None

    def holds(self, day: date) -> bool:
        return (self.from_ is None or self.from_ <= day) and (self.until is None or day <= self.until)
