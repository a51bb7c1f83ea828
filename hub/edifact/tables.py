"""One release of tables as a text file: the layout is described in schemas/edifact/README.md.

A release is opened by reading its bytes; of a section only the entry that is asked for is looked up and parsed. What
is not as it should be is told as a declaration's mistake is, by file and line, when it is met.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from hub.errors import DeclarationError
from hub.finding import Finding, Place

SECTIONS = ("messages", "segments", "composites", "elements", "codes")
_HEAD = re.compile(r"EDIFACT (\S+)(?:\n#.*)*\n(?=messages\n)")
_ENTRY = re.compile(r"\n(?! )([^ \n]*)")
_ENTRY_END = re.compile(r"\n(?! )")
_LINE = re.compile(r"( +)([A-Z0-9]+) ([MC])(?: ([1-9]\d*))?(?: ((?:an|a|n)(?:\.\.)?\d+))?")
_PICTURE = re.compile(r"(?:an|a|n)(?:\.\.)?\d+|-")


@dataclass(frozen=True, slots=True)
class Line:
    """One line below an entry: a segment or group of a message, a position of a segment, a component.

    `depth` counts from 1; `format` is "" but where a position departs from its element."""

    depth: int
    id: str
    required: bool
    max: int = 1
    format: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message, segment or composite. `revision` is of messages alone."""

    name: str
    lines: tuple[Line, ...]
    revision: str = ""


@dataclass(slots=True)
class Facts:
    """A whole release in memory: what an importer collects and `write` puts down.

    elements  id: (name, format); format "" where the directory has none
    codes     id: {code: short name}
    """

    release: str
    source: tuple[str, ...] = ()
    messages: dict[str, Entry] = field(default_factory=dict)
    segments: dict[str, Entry] = field(default_factory=dict)
    composites: dict[str, Entry] = field(default_factory=dict)
    elements: dict[str, tuple[str, str]] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)


class Tables:
    """The text of one release. Parsed entries are not kept: `Directory` keeps what it made of them."""

    def __init__(self, file: str, text: str) -> None:
        """Raises DeclarationError when `text` is not a table from its first line to its last."""
        self.file = file
        self._text = text
        head = _HEAD.match(text)
        if head is None:
            self._no(0, "the first line is not EDIFACT and a release, or messages does not follow")
        self.release = head[1]
        ends = [head.end() - 1]
        for name in SECTIONS[1:]:
            ends.append(text.find(f"\n{name}\n", ends[-1]))
            if ends[-1] < 0:
                self._no(len(text), f"the section {name} is missing")
        if not text.endswith("\nend\n"):
            self._no(len(text), "the last line is not end")
        self._places: dict[str, dict[str, int]] = {}
        self._sections = dict(zip(SECTIONS, pairwise([*ends, len(text) - len("\nend\n")]), strict=True))

    def names(self, section: str) -> list[str]:
        """What a section has entries for, in the order of the file."""
        return list(self._index(section))

    def has(self, section: str, id: str) -> bool:
        """True when a section has an entry for `id`."""
        return id in self._index(section)

    def _index(self, section: str) -> dict[str, int]:
        """Where each entry of a section stands: the place behind its id. Made when the section is first asked."""
        found = self._places.get(section)
        if found is None:
            start, stop = self._sections[section]
            found = {}
            for entry in _ENTRY.finditer(self._text, start + 1 + len(section), stop):
                if not entry[1] or entry[1] in found:
                    said = f"{entry[1]} stands in {section} twice" if entry[1] else "an empty line"
                    self._no(entry.end(), said)
                found[entry[1]] = entry.end()
            self._places[section] = found
        return found

    def message(self, type: str) -> Entry | None:
        """The segment table of a message type; None when the release has no such type."""
        found = self._find("messages", type)
        if found is None:
            return None
        revision, _, name = found[0].partition(" ")
        return Entry(name, self._lines(found), "" if revision == "-" else revision)

    def parts(self, section: str, id: str) -> Entry | None:
        """The positions of a segment or the components of a composite."""
        found = self._find(section, id)
        return None if found is None else Entry(found[0], self._lines(found))

    def element(self, id: str) -> tuple[str, str] | None:
        """(name, format) of an element; format "" where the directory has none."""
        found = self._find("elements", id)
        if found is None:
            return None
        picture, _, name = found[0].partition(" ")
        if not _PICTURE.fullmatch(picture) or found[1] != found[2]:
            self._no(found[1], f"{id}: {picture} is not a format such as an..35")
        return name, "" if picture == "-" else picture

    def codes(self, id: str) -> dict[str, str] | None:
        """{code: short name} of an element; None when it has no list."""
        found = self._find("codes", id)
        if found is None:
            return None
        _, start, stop = found
        lines = self._text[start:stop].split("\n ")[1:]
        codes = {code: name for code, _, name in [line.partition(" ") for line in lines]}
        if len(codes) != len(lines) or "" in codes:
            self._twice(start + 1, lines)
        return codes

    def _twice(self, at: int, lines: list[str]) -> NoReturn:
        """Raises DeclarationError: the first of `lines`, which begin at `at`, whose code is no code or is not new."""
        seen = {""}
        for line in lines:
            code = line.partition(" ")[0]
            if code in seen:
                break
            seen.add(code)
            at += len(line) + 2
        self._no(at, f"{line.strip()[:40]}: the code is empty or stands here twice")

    def _find(self, section: str, id: str) -> tuple[str, int, int] | None:
        """(what stands behind `id` in its line, end of that line, end of the entry)."""
        behind = self._index(section).get(id)
        if behind is None:
            return None
        stop = self._sections[section][1]
        end = self._text.find("\n", behind, stop)
        end = stop if end < 0 else end
        last = _ENTRY_END.search(self._text, end, stop)
        return self._text[behind + 1 : end], end, last.start() if last else stop

    def _lines(self, found: tuple[str, int, int]) -> tuple[Line, ...]:
        _, at, stop = found
        lines: list[Line] = []
        for text in self._text[at + 1 : stop].split("\n") if at < stop else ():
            read = _LINE.fullmatch(text)
            depth = len(read[1]) if read else 0
            if read is None or depth > (lines[-1].depth + 1 if lines else 1):
                self._no(at + 1, f"{text.strip()[:40] or 'an empty line'}: not an id, M or C and how many")
            lines.append(Line(depth, read[2], read[3] == "M", int(read[4] or 1), read[5] or ""))
            at += 1 + len(text)
        if not lines:
            self._no(at, "an entry without lines")
        return tuple(lines)

    def missing(self, section: str, id: str) -> NoReturn:
        """Raises DeclarationError: something refers to `id`, and its section does not have it."""
        self._no(self._sections[section][0] + 1, f"{section} lacks {id}")

    def _no(self, at: int, said: str) -> NoReturn:
        line = self._text.count("\n", 0, at) + 1
        place = Place(file=self.file, line=line, column=1)
        raise DeclarationError(f"{self.file}:{line}: {said}", (Finding("site.bad_table", place, said),))


def read(path: Path) -> Tables:
    """The tables in a file. OSError when it cannot be read, DeclarationError when it is not a table."""
    data = path.read_bytes()
    try:
        return Tables(str(path.resolve()), data.decode("utf-8"))
    except UnicodeDecodeError as fault:
        place = Place(file=str(path.resolve()), line=data.count(b"\n", 0, fault.start) + 1, column=1)
        said = f"byte {fault.start} is not UTF-8"
        raise DeclarationError(f"{path}: {said}", (Finding("site.bad_table", place, said),)) from fault


def everything(tables: Tables) -> Facts:
    """The whole release, every entry parsed. Raises DeclarationError at the first that is not as it should be."""
    whole = Facts(tables.release)
    for section in SECTIONS:
        for id in tables.names(section):
            entry = tables.message(id) if section == "messages" else _parsed(tables, section, id)
            getattr(whole, section)[id] = entry
    return whole


def _parsed(tables: Tables, section: str, id: str) -> object:
    if section == "elements":
        return tables.element(id)
    return tables.codes(id) if section == "codes" else tables.parts(section, id)


# ---- writing


def write(facts: Facts) -> str:
    """The text of a release."""
    return "\n".join(_written(facts)) + "\n"


def _written(facts: Facts) -> Iterator[str]:
    yield f"EDIFACT {facts.release}"
    yield from (f"# {line}" for line in facts.source)
    yield "messages"
    for type, entry in sorted(facts.messages.items()):
        yield f"{type} {entry.revision or '-'} {entry.name}".rstrip()
        yield from (f"{' ' * line.depth}{line.id} {_status(line)} {line.max}" for line in entry.lines)
    yield "segments"
    yield from _entries(facts.segments)
    yield "composites"
    yield from _entries(facts.composites)
    yield "elements"
    yield from (f"{id} {format or '-'} {name}".rstrip() for id, (name, format) in sorted(facts.elements.items()))
    yield "codes"
    for id, codes in sorted(facts.codes.items()):
        yield id
        yield from (f" {code} {name}".rstrip() for code, name in codes.items())
    yield "end"


def _entries(entries: Mapping[str, Entry]) -> Iterator[str]:
    for id, entry in sorted(entries.items()):
        yield f"{id} {entry.name}".rstrip()
        for line in entry.lines:
            yield " ".join(_words(line))


def _words(line: Line) -> Iterable[str]:
    yield f" {line.id}"
    yield _status(line)
    if line.max > 1:
        yield str(line.max)
    if line.format:
        yield line.format


def _status(line: Line) -> str:
    return "M" if line.required else "C"
