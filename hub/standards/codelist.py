"""Code lists with the days from which and until which each code holds: a document is checked against its own day.

A list is `schemas/codes/<name>.list.yaml`; long ones keep their entries in a CSV beside it:

    list: currency
    title: {zh: 货币, en: Currency}
    source: ISO 4217
    edifact: [{elements: ["6345"]}]     # where EDIFACT uses it; code_list is 1131, agency 3055
    refuses: true                       # false: the list is not whole, so what it lacks is not wrong
    file: currency.csv                  # or entries: a list of {code, from, until, zh, en}

`from` and `until` are days (2026-01-01) and both belong to the time; left out, there is no bound.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hub import declaration
from hub.declaration import Declaration, Spot
from hub.errors import DeclarationError
from hub.finding import Finding

MAX_BYTES = 20_000_000
MAX_ROWS = 200_000
MAX_TEXT = 300  # characters of a field
COLUMNS = ("code", "from", "until", "zh", "en")


@dataclass(frozen=True, slots=True)
class Entry:
    """One code and its days; `since` and `until` belong to it, None is no bound."""

    code: str
    since: date | None = None
    until: date | None = None
    zh: str = ""
    en: str = ""

    def holds(self, day: date) -> bool:
        return (self.since is None or self.since <= day) and (self.until is None or day <= self.until)


@dataclass(frozen=True, slots=True)
class Binding:
    """Data elements of EDIFACT that are of this list: alone, or where 1131 and 3055 name it."""

    elements: tuple[str, ...]
    code_list: str = ""
    agency: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class CodeList:
    """One list. `refuses` False: it is not whole and refuses nothing."""

    name: str
    entries: tuple[Entry, ...]
    zh: str = ""
    en: str = ""
    source: str = ""
    edifact: tuple[Binding, ...] = ()
    refuses: bool = True

    def at(self, day: date) -> frozenset[str]:
        """The codes that hold on `day`."""
        return _at(self, day)


@lru_cache(maxsize=256)
def _at(codes: CodeList, day: date) -> frozenset[str]:
    return frozenset(entry.code for entry in codes.entries if entry.holds(day))


# ---- reading


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Title(_Part):
    zh: str
    en: str


class _Binding(_Part):
    elements: list[str] = Field(min_length=1)
    code_list: str = ""
    agency: str = ""


class _Row(_Part):
    code: str
    from_: str = Field(default="", alias="from")
    until: str = ""
    zh: str = ""
    en: str = ""


class ListFile(_Part):
    name: str = Field(alias="list")
    title: _Title
    source: str
    edifact: list[_Binding] = []
    refuses: bool = True
    file: str = ""
    entries: list[_Row] = []


@dataclass(slots=True)
class _Rows:
    """Entries as they are read; every mistake with its place."""

    entries: list[Entry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    spots: list[Spot] = field(default_factory=list)

    def add(self, row: dict[str, str], spot: Spot) -> None:
        days = [self._day(row.get(name, ""), spot) for name in ("from", "until")]
        if not row["code"] or row["code"] != row["code"].strip():
            self.findings.append(spot.finding("codes.no_code", row["code"]))
        if days[0] and days[1] and days[0] > days[1]:
            self.findings.append(spot.finding("codes.date", f"{row['from']} … {row['until']}", "from <= until"))
        self.entries.append(Entry(row["code"], days[0], days[1], row.get("zh", ""), row.get("en", "")))
        self.spots.append(spot)

    def _day(self, text: str, spot: Spot) -> date | None:
        if not text:
            return None
        try:
            day = date.fromisoformat(text)
        except ValueError:
            day = None
        if day is None or day.isoformat() != text:  # 2026-W01-1 and 20260101 are days for Python
            self.findings.append(spot.finding("codes.date", text, "2026-01-31"))
        return day

    def overlaps(self) -> Iterator[Finding]:
        """Codes that stand twice for the same day; told at the later line."""
        known: dict[str, list[int]] = {}
        for number, entry in enumerate(self.entries):
            others = known.setdefault(entry.code, [])
            for other in others:
                if _meet(self.entries[other], entry):
                    yield self.spots[number].finding("codes.twice", entry.code, str(self.spots[other].line))
                    break
            others.append(number)


def _meet(one: Entry, other: Entry) -> bool:
    first, last = date.min, date.max
    return (one.since or first) <= (other.until or last) and (other.since or first) <= (one.until or last)


def read(folder: Path, file: Path) -> CodeList:
    """The list in `file`, a `.list.yaml` below `folder`. Raises DeclarationError with all findings."""
    source = declaration.read(folder, file)
    head = declaration.model(source, ListFile)
    rows = _Rows()
    if bool(head.file) == bool(head.entries):
        rows.findings.append(source.finding("site.bad_value", ("file",), head.file, "file, or entries"))
    elif head.file:
        _csv(folder, file, source, head.file, rows)
    else:
        for number, row in enumerate(head.entries):
            at = source.place(("entries", number))
            rows.add(row.model_dump(by_alias=True), Spot(source.file, at.line or 1, at.column or 1))
    rows.findings += rows.overlaps()
    if rows.findings:
        raise DeclarationError(f"{source.file}: {len(rows.findings)} mistakes", tuple(rows.findings))
    bindings = tuple(Binding(tuple(b.elements), b.code_list, b.agency) for b in head.edifact)
    title = head.title
    return CodeList(head.name, tuple(rows.entries), title.zh, title.en, head.source, bindings, head.refuses)


def _csv(folder: Path, beside: Path, source: Declaration, name: str, rows: _Rows) -> None:
    if Path(name).name != name or not name.endswith(".csv"):
        rows.findings.append(source.finding("site.bad_value", ("file",), name, "a .csv in the same folder"))
        return
    path = beside.parent / name
    shown = declaration.relative(folder, path)
    try:
        with path.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        text = data.decode("utf-8-sig")
    except (OSError, ValueError) as fault:
        said = fault.strerror if isinstance(fault, OSError) else str(fault)
        rows.findings.append(Spot(shown, 1, 1).finding("site.unreadable", said or name))
        return
    _lines(shown, csv.reader(io.StringIO(text, newline=""), strict=True), rows)


def _lines(shown: str, reader: Any, rows: _Rows) -> None:
    """The rows behind the line of names. What cannot be read ends it."""
    try:
        names: list[str] = next(reader, [])
        wrong = [name for name in names if name not in COLUMNS]
        if wrong or "code" not in names or len(set(names)) < len(names):
            found = ", ".join(wrong or names)
            rows.findings.append(Spot(shown, 1, 1).finding("codes.columns", found[:80], ", ".join(COLUMNS)))
            return
        for row in reader:
            spot = Spot(shown, reader.line_num, 1)
            if len(rows.entries) >= MAX_ROWS:
                rows.findings.append(spot.finding("site.unreadable", f"more than {MAX_ROWS} rows"))
                return
            if not row:
                continue
            if len(row) != len(names) or max(map(len, row)) > MAX_TEXT:
                rows.findings.append(spot.finding("codes.row", str(len(row)), str(len(names))))
                continue
            rows.add(dict(zip(names, row, strict=True)), spot)
    except csv.Error as fault:
        rows.findings.append(Spot(shown, max(reader.line_num, 1), 1).finding("site.unreadable", str(fault)))


def read_all(folder: Path) -> tuple[list[CodeList], list[Path], list[Finding]]:
    """Every list of the site in `folder`, the files that they are in, and what is wrong with them."""
    found: dict[str, CodeList] = {}
    files: list[Path] = []
    findings: list[Finding] = []
    for path in sorted((folder / "schemas" / "codes").glob("*.list.yaml")):
        try:
            codes = read(folder, path)
        except DeclarationError as fault:
            findings += fault.findings
            continue
        files.append(path)
        if codes.name in found:
            at = Spot(declaration.relative(folder, path), 1, 1)
            findings.append(at.finding("site.twice", codes.name, "schemas/codes"))
        found[codes.name] = codes
    findings += _bound_twice(folder, found.values())
    return list(found.values()), files, findings


def _bound_twice(folder: Path, lists: Iterable[CodeList]) -> Iterator[Finding]:
    """Elements that two lists claim."""
    known: dict[tuple[str, str, str], str] = {}
    for codes in lists:
        for binding in codes.edifact:
            for element in binding.elements:
                other = known.setdefault((element, binding.code_list, binding.agency), codes.name)
                if other != codes.name:
                    spot = Spot(f"schemas/codes/{codes.name}.list.yaml", 1, 1)
                    yield spot.finding("site.twice", element, other)
