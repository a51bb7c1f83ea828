"""CSV (RFC 4180): one line for each row of a document; values of the document itself stand in each of its lines.

Read by hand, since every field must know where it stands; what it reads is what Python's csv module reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from lxml import etree

from hub.declaration import near
from hub.finding import Finding, Place
from hub.records.shape import Item
from hub.records.tree import (
    KEPT,
    MOST,
    Document,
    Node,
    Path,
    Reading,
    Source,
    Spot,
    decoded,
    document,
    encoded,
    found,
    homeless,
    values,
)

WIDTH = 1000
"""Columns of a file."""
_QUOTED = re.compile('"((?:[^"]++|"")*+)"')
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a line."""

    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Line:
    """One record of the file: from `at` up to `end`, line break included."""

    cells: list[Cell]
    at: int
    end: int


class _Broken(Exception):
    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


def lines(source: Source, delimiter: str) -> Iterator[Line]:
    """Every line that is not blank. Raises _Broken with the finding beyond which nothing can be read."""
    bare = re.compile(f"[^{re.escape(delimiter)}\r\n]*+")
    text, at, left = source.text, 0, MOST
    while at < len(text):
        start, cells = at, []
        while True:
            cell, at = _cell(source, at, bare)
            cells.append(cell)
            left -= 1
            if left < 0 or len(cells) > WIDTH:
                most, what = (WIDTH, "columns") if left >= 0 else (MOST, "values")
                raise _Broken(source.finding("records.too_large", Spot(cell.at), str(most), what))
            if text[at : at + 1] != delimiter:
                break
            at += 1
        at += 2 if text.startswith("\r\n", at) else at < len(text)
        if len(cells) > 1 or cells[0].text:
            yield Line(cells, start, at)


def _cell(source: Source, at: int, bare: re.Pattern[str]) -> tuple[Cell, int]:
    """The field that begins at `at`, and where it ends."""
    text = source.text
    if text[at : at + 1] != '"':
        match = bare.match(text, at)
        return Cell(match[0] if match else "", at), match.end() if match else at
    quoted = _QUOTED.match(text, at)
    if quoted is None:
        raise _Broken(source.finding("csv.quote", Spot(at), text[at : at + 20], '"'))
    behind = bare.match(text, quoted.end())
    if behind and behind[0]:
        raise _Broken(source.finding("csv.quote", Spot(quoted.end()), behind[0][:20], '""'))
    return Cell(quoted[1].replace('""', '"'), at), quoted.end()


@dataclass(frozen=True)
class CsvForm:
    """How a document stands in lines.

    row      path of the repeating element, from below the root
    columns  header -> path below that element
    head     header -> path below the root, of values that stand in each line
    split    headers whose change begins another document of the same file
    named    the first line has the headers; else fields follow `head`, then `columns`, as declared
    guard    a value that a spreadsheet would take for a formula is written with ' before it
    """

    root: Item
    row: Path
    columns: dict[str, Path]
    head: dict[str, Path] = field(default_factory=dict)
    split: tuple[str, ...] = ()
    delimiter: str = ","
    charset: str = "utf-8"
    named: bool = True
    guard: bool = False

    @cached_property
    def headers(self) -> list[str]:
        return [*self.head, *self.columns]

    @cached_property
    def item(self) -> Item:
        """The repeating element."""
        item = self.root
        for name in self.row:
            item = item.children[name]
        return item

    # ---- reading

    def read(self, data: bytes) -> Reading:
        source = decoded(data, self.charset)
        if isinstance(source, Finding):
            return Reading((), (source,))
        reader = _Reader(self, source)
        try:
            return reader.reading(data)
        except _Broken as broken:
            return Reading((), (*reader.findings, broken.finding))

    # ---- writing

    def write(self, root: etree._Element) -> tuple[bytes, list[Finding]]:
        rows = root.findall("/".join(self._tags()))
        same = [found(root, self.root, path) for path in self.head.values()]
        table = [[*same, *(found(row, self.item, path) for path in self.columns.values())] for row in rows]
        empty = [
            Finding("records.no_place", Place(path="/".join(self.row))) for row in table if not any(row[len(same) :])
        ]
        if not rows and any(same):
            table = [[*same, *[""] * len(self.columns)]]
        known = [*self.head.values(), *(self.row + path for path in self.columns.values())]
        lost = homeless((path for path, _ in values(root, self.root)), self.root, known)
        every = [self.headers, *table] if self.named else table
        text = "".join(self.delimiter.join(self._written(value) for value in row) + "\r\n" for row in every)
        data, wrong = encoded(text, self.charset)
        return data, [*empty[:1], *lost, *wrong]

    def _tags(self) -> list[str]:
        item, tags = self.root, []
        for name in self.row:
            item = item.children[name]
            tags.append(item.tag)
        return tags

    def _written(self, value: str) -> str:
        if self.guard and value.startswith(_FORMULA) and not _NUMBER.fullmatch(value):
            value = f"'{value}"
        if any(sign in value for sign in (self.delimiter, '"', "\r", "\n")):
            return '"' + value.replace('"', '""') + '"'
        return value


@dataclass(slots=True)
class _Group:
    """The lines of one document."""

    lines: list[Line] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class _Reader:
    def __init__(self, form: CsvForm, source: Source) -> None:
        self.form, self.source = form, source
        self.findings: list[Finding] = []
        self.places: dict[str, int] = {}  # header -> number of its field
        self.width = len(form.headers)  # fields that a line may have

    def wrong(self, findings: list[Finding], code: str, spot: Spot, said: str, expected: str = "") -> None:
        if len(findings) < KEPT:
            findings.append(self.source.finding(code, spot, said, expected))

    def reading(self, data: bytes) -> Reading:
        every = lines(self.source, self.form.delimiter)
        first = next(every, None) if self.form.named else None
        if first is None:
            self.places = {name: number for number, name in enumerate(self.form.headers)}
        else:
            self._headers(first)
        groups = self._groups(every)
        if not groups:
            self.wrong(self.findings, "csv.no_lines", Spot(len(self.source.text)), "")
        if len(groups) == 1:
            return Reading((self._document(groups[0], data),), tuple(self.findings))
        before = self.source.text[: first.end] if first else ""
        made = [self._document(group, self._alone(before, group)) for group in groups]
        return Reading(tuple(made), tuple(self.findings))

    def _alone(self, before: str, group: _Group) -> bytes:
        """The bytes of one document of several, with the headers."""
        text = self.source.text[group.lines[0].at : group.lines[-1].end]
        return (before + text).encode(self.source.charset)

    def _headers(self, line: Line) -> None:
        known, self.width = self.form.headers, len(line.cells)
        for number, cell in enumerate(line.cells):
            name, spot = cell.text.strip(), Spot(cell.at)
            if name in self.places:
                self.wrong(self.findings, "csv.twice", spot, name)
            elif name in known:
                self.places[name] = number
            else:
                left = [one for one in known if one not in self.places]
                self.wrong(self.findings, "csv.unknown_column", spot, name, near(name, left))
        for name in known:
            if name not in self.places and self._needed(name):
                self.wrong(self.findings, "csv.missing_column", Spot(line.at), "", name)

    def _needed(self, name: str) -> bool:
        """True for a column without which no document can be right, or told from another."""
        inside = name in self.form.columns
        item, path = self.form.item if inside else self.form.root, (self.form.columns | self.form.head)[name]
        for part in path:
            below = item.step(part)
            if below is None or below.optional:
                return name in self.form.split
            item = below
        return True

    def _groups(self, every: Iterator[Line]) -> list[_Group]:
        """Lines that stand together and are of one document."""
        groups: list[_Group] = []
        seen: dict[tuple[str, ...], int] = {}
        last: tuple[str, ...] | None = None
        for line in every:
            key = tuple(self._cell(line, name).text for name in self.form.split)
            if key != last:
                groups.append(_Group())
            if key != last and key in seen:
                spot = Spot(self._cell(line, self.form.split[0]).at, self.form.split[0])
                self.wrong(self.findings, "csv.scattered", spot, ", ".join(key), str(seen[key]))
            seen[key] = self.source.text.count("\n", 0, line.at) + 1 if key != last else seen[key]
            last = key
            groups[-1].lines.append(line)
            self._counted(line, groups[-1])
        return groups

    def _counted(self, line: Line, group: _Group) -> None:
        for cell in line.cells[self.width : self.width + 1]:
            self.wrong(group.findings, "csv.too_many_fields", Spot(cell.at), str(len(line.cells)), str(self.width))

    def _cell(self, line: Line, name: str) -> Cell:
        number = self.places.get(name, -1)
        return line.cells[number] if 0 <= number < len(line.cells) else Cell("", line.at)

    # ---- one document

    def _document(self, group: _Group, data: bytes) -> Document:
        form, first = self.form, group.lines[0]
        top = Node(form.root, Spot(first.at))
        for name, path in form.head.items():
            cell = self._cell(first, name)
            top.put(path, cell.text, Spot(cell.at, name))
        for line in group.lines:
            self._same(line, first, group)
            self._row(top, line)
        return document(top, self.source, data, group.findings)

    def _same(self, line: Line, first: Line, group: _Group) -> None:
        """What the document says once is alike in all of its lines."""
        for name in self.form.head if line is not first else ():
            cell, wanted = self._cell(line, name), self._cell(first, name).text
            if cell.text != wanted:
                self.wrong(group.findings, "csv.head_differs", Spot(cell.at, name), cell.text, wanted)

    def _row(self, top: Node, line: Line) -> None:
        cells = [(name, path, self._cell(line, name)) for name, path in self.form.columns.items()]
        if not any(cell.text for _, _, cell in cells):
            return
        row = top.inner(self.form.row[:-1], Spot(line.at)).add(self.form.row[-1], Spot(line.at))
        for name, path, cell in cells:
            row.put(path, cell.text, Spot(cell.at, name))


def problems(form: CsvForm) -> Iterator[tuple[Sequence[str], str, str]]:
    """(keys of the declaration, what it says, what it might say) for each path that the document does not have."""
    item: Item | None = form.root
    for name in form.row:
        below = item.step(name) if item else None
        if item is not None and below is None:
            yield ("row",), "/".join(form.row), near(name, item.names())
        item = below
    if item is None:
        return
    if not item.repeats or not form.row:
        yield ("row",), "/".join(form.row), "a path that repeats"
    for above in _steps(form.root, form.row[:-1]):
        if above.repeats:
            yield ("row",), "/".join(form.row), f"nothing above that repeats: {above.name}"
    for key, start, paths in (("columns", item, form.columns), ("head", form.root, form.head)):
        seen: set[Path] = set()
        for header, path in paths.items():
            for expected in misplaced(start, path):
                yield (key, header), "/".join(path), expected
            if path in seen or (key == "columns" and header in form.head):
                yield (key, header), "/".join(path), "one column for each value"
            seen.add(path)
    for header in form.split:
        if header not in form.head:
            yield ("split",), header, near(header, form.head)


def misplaced(start: Item, path: Path) -> Iterator[str]:
    """What might be meant by a path that leads from `start` to no single value."""
    item = start
    for name in path:
        below = item.step(name)
        if below is None:
            yield near(name, item.names())
            return
        if below.repeats:
            yield f"nothing that repeats: {name}"
            return
        item = below
    if not item.value:
        yield near("", item.names()) or "a path to a value"


def _steps(item: Item, path: Path) -> Iterator[Item]:
    for name in path:
        item = item.children[name]
        yield item
