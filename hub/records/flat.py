"""Flat records: a tag, fields by position, a terminator, as Chinese ports write them: `00:IFCSUM:MANIFEST:9:…'`.

A record opens an element and fills it. What stands below that element in the document comes in the records behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lxml import etree

from hub.declaration import near
from hub.finding import Finding, Place
from hub.records.csv import misplaced
from hub.records.shape import Item
from hub.records.tree import (
    KEPT,
    MOST,
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

COUNT = "#records"
"""A field with the number of all records of the file."""
_BREAKS, _BLANKS = re.compile("[\r\n\x1a]*"), re.compile("[\\s\x1a]*")


@dataclass(frozen=True, slots=True)
class Field:
    """What stands at one position: a value at `path`, always the same text, the count of records, or nothing."""

    path: Path | None = None
    constant: str = ""
    count: bool = False


def a_field(text: str) -> Field:
    """A field as declarations write it: a path, `=text`, `#records`, or "" for what is neither read nor written."""
    if text == COUNT:
        return Field(count=True)
    if not text or text.startswith("="):
        return Field(constant=text[1:])
    return Field(path=() if text == "." else tuple(text.split("/")))


@dataclass(frozen=True, slots=True)
class Record:
    """One type of record: the element that it opens, as a path from the root; None where it opens nothing."""

    tag: str
    opens: Path | None
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One record of a file; `fields` behind the tag, each with its place."""

    number: int
    tag: str
    at: int
    fields: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class FlatForm:
    """How a document stands in records, in the order in which they are written. `escape` may be empty: then no value
    may hold the separator or the terminator."""

    root: Item
    records: tuple[Record, ...]
    separator: str = ":"
    terminator: str = "'"
    escape: str = "?"
    charset: str = "utf-8"

    # ---- reading

    def read(self, data: bytes) -> Reading:
        source = decoded(data, self.charset)
        if isinstance(source, Finding):
            return Reading((), (source,))
        reader = _Reader(self, source)
        lines = list(self._lines(source, reader))
        return reader.reading(lines, data)

    def _lines(self, source: Source, reader: _Reader) -> Iterator[Line]:
        escape = re.escape(self.escape)
        signs = f"{re.escape(self.separator)}{re.escape(self.terminator)}{escape}"
        one = re.compile(f"(?:[^{signs}]++|{escape}.)*+" if escape else f"[^{signs}]*+", re.S)
        text, number, left = source.text, 0, MOST
        at = self._begin(text, 0)
        while at < len(text):
            start, fields, number, more = at, [], number + 1, True
            while more:
                match = one.match(text, at)
                end = match.end() if match else at
                fields.append((self._plain(text[at:end]), at))
                more = text[end : end + 1] == self.separator
                at, left = end + 1, left - 1
            if left < 0:
                reader.wrong("records.too_large", Spot(start), str(MOST), "values")
                return
            if text[end : end + 1] != self.terminator and not (self.terminator == "\n" and end == len(text)):
                reader.wrong("flat.not_ended", Spot(min(end, len(text))), text[end : end + 1], self.terminator)
            yield Line(number, fields[0][0], start, fields[1:])
            at = self._begin(text, at)

    def _begin(self, text: str, at: int) -> int:
        """Where the next record begins, behind line breaks and, where those end no record, blanks."""
        match = (_BREAKS if self.terminator == "\n" else _BLANKS).match(text, at)
        return match.end() if match else at

    def _plain(self, text: str) -> str:
        text = text.removesuffix("\r") if self.terminator == "\n" else text
        if not self.escape or self.escape not in text:
            return text
        return re.sub(re.escape(self.escape) + "(.)", r"\1", text, flags=re.S)

    # ---- writing

    def write(self, root: etree._Element) -> tuple[bytes, list[Finding]]:
        writer = _Writer(self)
        lines = list(writer.lines(root))
        known = [
            (*(record.opens or ()), *one.path)
            for record in self.records
            for one in record.fields
            if one.path is not None
        ]
        lost = homeless((path for path, _ in values(root, self.root)), self.root, known)
        count = str(len(lines))
        ends = self.terminator if self.terminator == "\n" else f"{self.terminator}\r\n"
        text = "".join(self.separator.join(count if one is None else one for one in line) + ends for line in lines)
        data, wrong = encoded(text, self.charset)
        return data, [*writer.findings, *lost, *wrong]


class _Reader:
    def __init__(self, form: FlatForm, source: Source) -> None:
        self.form, self.source = form, source
        self.findings: list[Finding] = []
        self.types = {record.tag: record for record in form.records}
        self.open: dict[Path, Node] = {}
        self.count = 0

    def wrong(self, code: str, spot: Spot, said: str, expected: str = "") -> None:
        if len(self.findings) < KEPT:
            self.findings.append(self.source.finding(code, spot, said, expected))

    def reading(self, lines: list[Line], data: bytes) -> Reading:
        self.count = len(lines)
        for line in lines:
            record = self.types.get(line.tag)
            if record is None:
                spot = Spot(line.at, record=line.number, tag=line.tag[:10])
                self.wrong("flat.unknown_record", spot, line.tag, near(line.tag, self.types))
            else:
                self._record(record, line)
        for record in self.form.records:
            if record.opens is None and all(line.tag != record.tag for line in lines):
                self.wrong("flat.missing_record", Spot(len(self.source.text)), "", record.tag)
        top = self.open.get(())
        if top is None:
            root = next(record.tag for record in self.form.records if record.opens == ())
            self.wrong("flat.missing_record", Spot(len(self.source.text)), "", root)
            return Reading((), tuple(self.findings))
        return Reading((document(top, self.source, data, self.findings),))

    def _record(self, record: Record, line: Line) -> None:
        node = None if record.opens is None else self._opened(record, record.opens, line)
        if record.opens is not None and node is None:
            return
        for number, (text, at) in enumerate(line.fields, 1):
            spot = Spot(at, record=line.number, tag=line.tag, field=number)
            if number > len(record.fields):
                if text:
                    self.wrong("flat.too_many_fields", spot, text, str(len(record.fields)))
                continue
            self._field(record.fields[number - 1], node, text, spot)
        for number in range(len(line.fields) + 1, len(record.fields) + 1):  # trailing ones may be left out
            spot = Spot(line.at, record=line.number, tag=line.tag, field=number)
            self._field(record.fields[number - 1], node, "", spot)

    def _field(self, one: Field, node: Node | None, text: str, spot: Spot) -> None:
        if one.count:
            if text.strip() and not (text.isdecimal() and text.isascii() and int(text[:18]) == self.count):
                self.wrong("flat.count", spot, text, str(self.count))
        elif one.constant and text != one.constant:
            self.wrong("flat.constant", spot, text, one.constant)
        elif one.path is not None and node is not None:
            node.put(one.path, text, spot)

    def _opened(self, record: Record, path: Path, line: Line) -> Node | None:
        """The element that a record opens, below the last of those that it belongs to; None with a finding."""
        spot = Spot(line.at, record=line.number, tag=record.tag)
        if not path:
            if path in self.open:
                self.wrong("flat.twice", spot, record.tag)
                return None
            self.open = {(): Node(self.form.root, spot)}
            return self.open[()]
        above = max((one for one in self._openers() if one == path[: len(one)] and one != path), key=len, default=())
        if above not in self.open:
            wanted = next(one.tag for one in self.form.records if one.opens == above)
            self.wrong("flat.out_of_place", spot, record.tag, wanted)
            return None
        holder = self.open[above].inner(path[len(above) : -1], spot)
        there = holder.children.get(path[-1])
        if there and not there[0].item.repeats:
            self.wrong("flat.twice", spot, record.tag)
            return None
        self.open = {one: node for one, node in self.open.items() if one[: len(path)] != path}
        self.open[path] = holder.add(path[-1], spot)
        return self.open[path]

    def _openers(self) -> Iterator[Path]:
        return (record.opens for record in self.form.records if record.opens is not None)


class _Writer:
    def __init__(self, form: FlatForm) -> None:
        self.form = form
        self.findings: list[Finding] = []

    def lines(self, root: etree._Element) -> Iterator[list[str | None]]:
        """Every record; a count that is not known yet is None."""
        for record in self.form.records:
            if record.opens == ():
                yield from self._element(root, self.form.root, (), record)
            elif record.opens is None:
                yield self._fields(record, root, self.form.root)

    def _element(self, element: etree._Element, item: Item, path: Path, record: Record) -> Iterator[list[str | None]]:
        yield self._fields(record, element, item)
        for inner in self.form.records:
            if inner.opens is not None and self._belongs(inner.opens, path):
                below, tags = item, []
                for name in inner.opens[len(path) :]:
                    below = below.children[name]
                    tags.append(below.tag)
                for one in element.findall("/".join(tags)):
                    yield from self._element(one, below, inner.opens, inner)

    def _belongs(self, opens: Path, above: Path) -> bool:
        """True when no other record opens an element between the two."""
        if opens == above or opens[: len(above)] != above:
            return False
        between = (record.opens for record in self.form.records if record.opens is not None)
        return not any(opens[: len(one)] == one and len(above) < len(one) < len(opens) for one in between)

    def _fields(self, record: Record, element: etree._Element, item: Item) -> list[str | None]:
        made: list[str | None] = [record.tag]
        for one in record.fields:
            if one.count:
                made.append(None)
            elif one.path is None:
                made.append(self._written(one.constant))
            else:
                made.append(self._written(found(element, item, one.path)))
        while len(made) > 1 and made[-1] == "":
            made.pop()
        return made

    def _written(self, text: str) -> str:
        form = self.form
        signs = [sign for sign in (form.separator, form.terminator) if sign in text]
        if form.terminator == "\n" and ("\r" in text or "\n" in text):
            self.findings.append(Finding("records.unwritable", Place(), repr(text)[1:21], "no line break"))
            return ""
        if not form.escape:
            if signs:
                self.findings.append(Finding("records.unwritable", Place(), text[:20], f"no {signs[0]}"))
            return "" if signs else text
        text = text.replace(form.escape, form.escape * 2)
        for sign in signs:
            text = text.replace(sign, form.escape + sign)
        return text


def problems(form: FlatForm) -> Iterator[tuple[Sequence[str | int], str, str]]:
    """(keys of the declaration, what it says, what it might say) for each path that the document does not have."""
    if len({form.separator, form.terminator, form.escape}) < 3:
        yield ("separator",), form.separator, "three signs: separator, terminator, escape"
    roots = [record.tag for record in form.records if record.opens == ()]
    if len(roots) != 1:
        yield ("records",), ", ".join(roots), f"one record with opens: {form.root.name}"
    seen: set[Path] = set()
    for record in form.records:
        item: Item | None = form.root
        for name in record.opens or ():
            below = item.step(name) if item else None
            if item is not None and below is None:
                yield ("records", record.tag, "opens"), "/".join(record.opens or ()), near(name, item.names())
            item = below
        if record.opens is not None and record.opens in seen:
            yield ("records", record.tag, "opens"), "/".join(record.opens), "one record for each element"
        seen |= {record.opens} if record.opens is not None else set()
        for number, one in enumerate(record.fields):
            if one.path is None or item is None:
                continue
            if record.opens is None:
                yield ("records", record.tag, "fields"), "/".join(one.path), "opens: the element that it is below"
            else:
                for expected in misplaced(item, one.path):
                    yield ("records", record.tag, "fields", number), "/".join(one.path), expected
