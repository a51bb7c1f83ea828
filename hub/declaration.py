"""Declarations: YAML in which every key and every value knows its file, line and column.

Refused: duplicate keys, anchors, aliases, tags, a second document, more than 1 MB, more than 20 levels (each has been
an attack or an accident somewhere). libyaml only cuts the text into events; what a plain value means is said here, as
in YAML 1.2: `on`, `no` and `12:30` are texts, and so is 0123, which keeps its zero.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from hub.errors import DeclarationError
from hub.finding import Finding, Place

M = TypeVar("M", bound=BaseModel)
MAX_BYTES = 1_000_000
MAX_DEPTH = 20
WIDTH = 100  # columns of an excerpt
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FRACTION = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}")
_UNPRINTABLE = yaml.reader.Reader.NON_PRINTABLE
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where something stands; line and column count from 1, `file` from the site's folder."""

    file: str
    line: int
    column: int

    def finding(self, code: str, found: str = "", expected: str = "") -> Finding:
        return Finding(code, Place(file=self.file, line=self.line, column=self.column), found, expected)


@dataclass(frozen=True, slots=True)
class Text:
    """One value as written: `0123` stays `0123`."""

    value: str
    spot: Spot
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """Keys in the order of the file; `keys` says where each of them stands."""

    entries: tuple[tuple[str, Rule], ...]
    spot: Spot
    keys: tuple[Spot, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """Several rules of one key."""

    items: tuple[Rule, ...]
    spot: Spot


Rule = Text | Branch | Listing


@dataclass(frozen=True, slots=True)
class Declaration:
    """One file."""

    file: str
    top: Branch

    def place(self, path: tuple[Any, ...], key: bool = False) -> Place:
        """The place of the value at `path`; of its key when `key`, or when there is more than one word to it.

        What is not there has the place of the deepest part that is."""
        node: Rule | None = self.top
        spot = self.top.spot
        for part in path:
            node, at = _inner(node, part)
            if node is None or at is None:
                break
            spot = at if key or not isinstance(node, Text) else node.spot
        return Place(file=spot.file, line=spot.line, column=spot.column, path=".".join(str(part) for part in path))

    def finding(
        self, code: str, path: tuple[Any, ...], found: str = "", expected: str = "", key: bool = False
    ) -> Finding:
        return Finding(code, self.place(path, key), found, expected)


def _inner(node: Rule | None, part: Any) -> tuple[Rule | None, Spot | None]:
    """What stands at one key or index below `node`, and where that key is."""
    if isinstance(node, Branch):
        for (name, inner), at in zip(node.entries, node.keys, strict=True):
            if name == part:
                return inner, at
    elif isinstance(node, Listing) and isinstance(part, int) and part < len(node.items):
        return node.items[part], node.items[part].spot
    return None, None


# ---- reading


def read(folder: Path, file: Path) -> Declaration:
    """The declaration in `file`, named by its path below `folder`. Raises DeclarationError with one finding."""
    name = relative(folder, file)
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as fault:
        _refuse("site.unreadable", Spot(name, 1, 1), fault.strerror or str(fault))
    return Declaration(name, parse(name, data))


def relative(folder: Path, file: Path) -> str:
    """`file` as findings name it: from the site's folder."""
    return (file.relative_to(folder) if file.is_relative_to(folder) else file).as_posix()


def parse(name: str, data: bytes) -> Branch:
    """The keys in `data`; findings name the file `name`. Raises DeclarationError with one finding."""
    if len(data) > MAX_BYTES:
        _refuse("site.unreadable", Spot(name, 1, 1), f"more than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as fault:
        before = data[: fault.start].decode("utf-8")
        _refuse("site.unreadable", _end(name, before), f"{data[fault.start : fault.end].hex(' ')}: not UTF-8")
    wrong = _UNPRINTABLE.search(text)
    if wrong:
        _refuse("site.unreadable", _end(name, text[: wrong.start()]), f"U+{ord(wrong[0]):04X}")
    try:
        top = _document(yaml.parse(text, Loader=yaml.CSafeLoader), name)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        spot = _spot(name, mark) if mark else Spot(name, 1, 1)
        _refuse("site.unreadable", spot, str(fault.problem or fault.context))
    except yaml.YAMLError as fault:
        _refuse("site.unreadable", Spot(name, 1, 1), str(fault))
    if not isinstance(top, Branch):
        _refuse("site.unreadable", top.spot if top else Spot(name, 1, 1), "no keys")
    return top


def _refuse(code: str, spot: Spot, found: str, expected: str = "") -> NoReturn:
    raise DeclarationError(f"{spot.file}:{spot.line}:{spot.column}: {found}", (spot.finding(code, found, expected),))


def _spot(name: str, mark: Any) -> Spot:
    return Spot(name, mark.line + 1, mark.column + 1)


def _end(name: str, text: str) -> Spot:
    """The spot behind `text`."""
    lines = _BREAK.split(text)
    return Spot(name, len(lines), len(lines[-1]) + 1)


def _document(events: Iterator[Any], name: str) -> Rule | None:
    top: Rule | None = None
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent) and top is not None:
            _refuse("site.unreadable", _spot(name, event.start_mark), "a second document")
        if isinstance(event, yaml.NodeEvent):
            top = _node(events, event, name, 1)
    return top


def _node(events: Iterator[Any], event: Any, name: str, depth: int) -> Rule:
    """The node that `event` begins; takes its further events. At most MAX_DEPTH levels below each other."""
    spot = _spot(name, event.start_mark)
    if event.anchor or getattr(event, "tag", None):
        _refuse("site.unreadable", spot, "an anchor, alias or tag")
    if isinstance(event, yaml.ScalarEvent):
        return Text(event.value, spot, not event.implicit[0])
    if depth > MAX_DEPTH:
        _refuse("site.unreadable", spot, f"more than {MAX_DEPTH} levels")
    if isinstance(event, yaml.SequenceStartEvent):
        return Listing(tuple(_nodes(events, name, depth)), spot)
    keys: dict[str, Spot] = {}
    entries: list[tuple[str, Rule]] = []
    inner = _nodes(events, name, depth)
    for key in inner:
        if not isinstance(key, Text):
            _refuse("site.unreadable", key.spot, "a key of several words")
        if key.value in keys:
            _refuse("site.duplicate_key", key.spot, key.value, str(keys[key.value].line))
        keys[key.value] = key.spot
        entries.append((key.value, next(inner)))
    return Branch(tuple(entries), spot, tuple(keys.values()))


def _nodes(events: Iterator[Any], name: str, depth: int) -> Iterator[Rule]:
    """The nodes up to the end of the collection that was begun."""
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            return
        yield _node(events, event, name, depth + 1)


def plain(rule: Rule) -> Any:
    """Dicts, lists, texts, numbers, booleans and None."""
    if isinstance(rule, Branch):
        return {name: plain(inner) for name, inner in rule.entries}
    if isinstance(rule, Listing):
        return [plain(item) for item in rule.items]
    text = rule.value
    if rule.quoted:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FRACTION.fullmatch(text) else text


# ---- models


def model(source: Declaration, kind: type[M]) -> M:
    """The file as `kind`. Raises DeclarationError with one finding per mistake, each with its place."""
    try:
        return kind.model_validate(plain(source.top))
    except ValidationError as fault:
        raise DeclarationError(f"{source.file} cannot be used", explain(source, kind, fault)) from fault


def explain(
    source: Declaration, kind: type[BaseModel], fault: ValidationError, above: tuple[Any, ...] = ()
) -> tuple[Finding, ...]:
    """One finding for each mistake that pydantic found in the part of `source` at the path `above`."""
    return tuple(_explain(source, kind, error, above) for error in fault.errors(include_url=False))


def _explain(source: Declaration, kind: type[BaseModel], error: Any, above: tuple[Any, ...]) -> Finding:
    loc = tuple(part for part in error["loc"] if part != "[key]")
    path = (*above, *loc)
    if error["type"] == "extra_forbidden":
        wrong = str(loc[-1])
        return source.finding("site.unknown_key", path, wrong, near(wrong, _fields(kind, loc[:-1])), key=True)
    if error["type"] == "missing":
        return source.finding("site.missing_key", path, expected=str(loc[-1]))
    said = error["msg"].removeprefix("Value error, ")
    return source.finding("site.bad_value", path, _shown(error["input"]), said, key="[key]" in error["loc"])


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "{…}" if isinstance(value, dict) else "[…]"
    return "null" if value is None else str(value)[:80]


def _fields(kind: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """The keys that may stand at `path` below `kind`."""
    names: Any = kind
    keyed = False
    for part in path:
        if keyed:
            keyed = False
            continue
        found = next((f for n, f in getattr(names, "model_fields", {}).items() if part in (n, f.alias)), None)
        if found is None:
            return []
        names = _part(found.annotation)
        keyed = get_origin(found.annotation) in (dict, list)
    return [field.alias or name for name, field in getattr(names, "model_fields", {}).items()]


def _part(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inner = _part(argument)
        if inner is not None:
            return inner
    return None


def near(name: str, names: Iterable[Any]) -> str:
    """A name close to `name`, or all of them when they are few."""
    known = sorted(str(n) for n in names)
    close = difflib.get_close_matches(name, known, 1)
    return close[0] if close else ", ".join(known[:12])


# ---- showing


def excerpt(folder: Path, finding: Finding) -> str:
    """The line that a finding is about and, below it, a caret under the place; "" when there is nothing to show.

    Characters of double width count twice; what a terminal could obey is replaced."""
    place = finding.place
    if not place.file or not place.line:
        return ""
    file = (folder / place.file).resolve()
    if not file.is_relative_to(folder.resolve()):
        return ""
    try:
        with file.open("rb") as opened:
            lines = _BREAK.split(opened.read(MAX_BYTES).decode("utf-8", "replace").removeprefix("\ufeff"))
    except OSError:
        return ""
    if place.line > len(lines):  # what is missed behind the last line is missed at its end
        return _caret(lines[-1], len(lines), len(lines[-1]) + 1, "")
    return _caret(lines[place.line - 1], place.line, place.column or 1, finding.found)


def _caret(line: str, number: int, column: int, found: str) -> str:
    at = min(column - 1, len(line))
    quote = line[at : at + 1] in ("'", '"')
    length = len(found) + 2 * quote if found and line.startswith(found, at + quote) else 1
    start = max(0, min(at - WIDTH // 2, len(line) - WIDTH))
    shown = "".join(c if c.isprintable() else " " if c == "\t" else "\ufffd" for c in line)
    head = "…" if start else ""
    tail = "…" if len(line) > start + WIDTH else ""
    before = head + shown[start:at]
    mark = "^" * max(1, _columns(shown[at : min(at + length, start + WIDTH)]))
    return f"{number:>5} | {head}{shown[start : start + WIDTH]}{tail}\n      | {' ' * _columns(before)}{mark}"


def _columns(text: str) -> int:
    """Columns of a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
