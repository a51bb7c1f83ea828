"""Segments, composites, elements and codes as UNECE prints them.

Every entry begins with its id and name, followed by `Function:` or `Desc:`. The layouts differ by decade: change marks
(* + # | X -) stand before or behind the numbers, maxima came with D.97A, code values stand left or right in their
column. What an entry is follows from its id, so that the names of the files do not matter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from hub.edifact.tables import Entry, Line
from hub.finding import Finding, Place

_MARKS = r"[*+#|X\- ]*"
_HEADING = re.compile(
    rf"^{_MARKS}\b(?P<id>\d{{4}}|[CS]\d{{3}}|[A-Z]{{3}}) +(?P<name>\S.*(?:\n {{6,}}(?!Desc|Function)\S.*)?)\n"
    rf"(?:[-─ ]*\n)*{_MARKS}(?:Desc|Description|Function) ?:",
    re.M,
)
_USAGE = re.compile(r" *\[[A-Z]?\]$")
_PICTURE = r"(an|a|n) ?(\.\.)? ?(\d+)"
_REPR = re.compile(rf"^{_MARKS}Repr ?: *{_PICTURE}\b.*$", re.M)
_POSITION = re.compile(
    rf"^ *{_MARKS}(?P<number>\d{{3}})?{_MARKS}\b(?P<id>[CS]\d{{3}}|\d{{4}}) +(?P<name>.*?) +(?P<status>[MC])"
    rf"(?: +(?P<max>\d+))?(?: +{_PICTURE})? *{_MARKS}$"
)
_BEGUN = re.compile(rf"^ *{_MARKS}(?:\d{{3}}{_MARKS})?\b(?:[CS]\d{{3}}|\d{{4}}) +\S")
_NOTE = re.compile(rf"^{_MARKS}(?:Note|Desc|Function) *\d* ?:", re.I)
_CODE = re.compile(r"(?P<mark>[*+#|X\- ]{0,4} {1,9})(?P<code>\S{1,17})(?P<gap> +)(?P<name>\S.*)")


@dataclass(frozen=True, slots=True)
class Element:
    """A data element; `codes` is empty where it has no list here. `format` is "" where none is printed."""

    name: str
    format: str
    codes: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where a file of codes has the code, its name and its description: the most usual columns."""

    code: int
    name: int
    text: int


def read(name: str, text: str, findings: list[Finding]) -> Iterator[tuple[str, Entry | Element]]:
    """(id, what it is) of every entry of a text. What begins like an entry and cannot be read is told."""
    heads = list(_HEADING.finditer(text))
    columns: _Columns | None = None
    for at, head in enumerate(heads):
        stop = heads[at + 1].start() if at + 1 < len(heads) else len(text)
        id, body = head["id"], text[head.end() : stop]
        said = " ".join(_USAGE.sub("", head["name"].strip()).split())
        if id.isdigit():
            columns = columns or _columns(text)
            yield id, _element(said, body, columns)
            continue
        lines = tuple(_positions(body, composite=len(id) == 4))
        if lines:
            yield id, Entry(said, lines)
        else:
            place = Place(file=name, line=text.count("\n", 0, head.start()) + 1, column=1)
            findings.append(Finding("standards.unread", place, id, "010  id  name  M or C"))


def _positions(body: str, composite: bool) -> Iterator[Line]:
    """Positions of a segment are numbered; below a composite its components are printed again, without numbers."""
    begun = ""
    for line in body.split("\n"):
        begun = f"{begun.rstrip()} {line.strip()}" if begun and line.strip() and not _BEGUN.match(line) else line
        found = _POSITION.match(begun)
        if found is None:
            begun = begun if _BEGUN.match(begun) else ""
            continue
        begun = ""
        if composite or found["number"]:
            picture = f"{found[6]}{found[7] or ''}{found[8]}" if found[6] else ""
            yield Line(1, found["id"], found["status"] == "M", int(found["max"] or 1), picture)


def _element(name: str, body: str, columns: _Columns) -> Element:
    picture = _REPR.search(body)
    if picture is None:
        return Element(name, "", {})
    codes = dict(_codes(body[picture.end() :], columns))
    return Element(name, f"{picture[1]}{picture[2] or ''}{picture[3]}", codes)


def _codes(body: str, columns: _Columns) -> Iterator[tuple[str, str]]:
    code, name, naming, noting = "", "", False, False
    for line in body.split("\n"):
        noting = bool(line.strip()) and (noting or bool(_NOTE.match(line)))
        found = None if noting else _code(line, columns)
        if found is not None:
            if code:
                yield code, name
            (code, name), naming = found, True
        elif naming and columns.code < _indent(line) < columns.text:
            name = f"{name} {' '.join(line.split())}"
        else:
            naming = False
    if code:
        yield code, name


def _code(line: str, columns: _Columns) -> tuple[str, str] | None:
    """The code and its name: the name stands in its column, or the code in its own and is too long for it."""
    found = _CODE.fullmatch(line.rstrip())
    if found is None:
        return None
    if found.start("name") == columns.name or (found.start("code") == columns.code and found["gap"] == " "):
        return found["code"], " ".join(found["name"].split())
    return None


def _columns(text: str) -> _Columns:
    """Told by the lines that are followed by a deeper one, as codes are by what they mean."""
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    codes: Counter[int] = Counter()
    names: Counter[int] = Counter()
    texts: Counter[int] = Counter()
    for line, below in pairwise(lines):
        found = _CODE.fullmatch(line)
        if found is None or _NOTE.match(line) or _NOTE.match(below) or _indent(below) <= found.start("name"):
            continue
        codes[found.start("code")] += 1
        names[found.start("name")] += 1
        texts[_indent(below)] += 1
    if not names:
        return _Columns(5, 11, 14)
    return _Columns(codes.most_common(1)[0][0], names.most_common(1)[0][0], texts.most_common(1)[0][0])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
