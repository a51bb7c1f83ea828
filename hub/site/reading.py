"""YAML with places: file, line and column of every key; near names for what is misspelt.

Refused: duplicate keys, anchors, aliases, tags, more than 1 MB, more than 20 levels (each has been an attack or an
accident somewhere). Numbers that could be codes keep their text: write codes in quotes.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent

from hub.errors import DeclarationError
from hub.finding import Finding, Place

M = TypeVar("M", bound=BaseModel)
MAX_BYTES = 1_000_000
MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Source:
    """One YAML file: its values and where each of them stands."""

    file: Path
    value: Any

    def place(self, path: tuple[Any, ...]) -> Place:
        """The place of the deepest part of `path` that exists."""
        node, line, column = self.value, 0, 0
        for key in path:
            try:
                if isinstance(node, dict) and key in node:
                    line, column = node.lc.key(key)  # type: ignore[attr-defined]
                elif isinstance(node, list):
                    line, column = node.lc.item(key)  # type: ignore[attr-defined]
                node = node[key]
            except (KeyError, IndexError, TypeError, AttributeError):
                break
        dotted = ".".join(str(part) for part in path)
        return Place(file=str(self.file), line=line + 1, column=column + 1, path=dotted)

    def finding(self, code: str, path: tuple[Any, ...], found: str = "", expected: str = "") -> Finding:
        return Finding(code, self.place(path), found, expected)


def near(name: str, names: Any) -> str:
    """A name close to `name`, or all of them when they are few."""
    names = sorted(str(n) for n in names)
    close = difflib.get_close_matches(name, names, 1)
    return close[0] if close else ", ".join(names[:12])


def read(file: Path) -> Source:
    """Read one YAML file. Raises DeclarationError with findings."""
    try:
        raw = file.read_bytes()
    except OSError as fault:
        raise _unreadable(file, f"{fault.strerror}") from fault
    if len(raw) > MAX_BYTES:
        raise _unreadable(file, f"{len(raw)} bytes")
    yaml = YAML(typ="rt", pure=True)
    try:
        depth = 0
        for event in YAML(typ="rt", pure=True).parse(raw.decode("utf-8")):
            opens = type(event).__name__ in ("MappingStartEvent", "SequenceStartEvent")
            depth += opens - (type(event).__name__ in ("MappingEndEvent", "SequenceEndEvent"))
            if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
                raise _unreadable(file, "an anchor or alias", event.start_mark.line, event.start_mark.column)
            if depth > MAX_DEPTH:
                raise _unreadable(file, f"more than {MAX_DEPTH} levels", event.start_mark.line)
        return Source(file, yaml.load(raw.decode("utf-8")))
    except MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        raise _unreadable(file, str(fault.problem or fault.context), line, column) from fault
    except UnicodeDecodeError as fault:
        raise _unreadable(file, "bytes that are not UTF-8") from fault


def _unreadable(file: Path, what: str, line: int = 0, column: int = 0) -> DeclarationError:
    place = Place(file=str(file), line=line + 1, column=column + 1)
    return DeclarationError(f"{file}: {what}", (Finding("site.unreadable", place, found=what),))


def plain(value: Any) -> Any:
    """Ruamel's containers and scalars as plain ones."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return str(value)
    return value


def model(source: Source, kind: type[M]) -> M:
    """The file as `kind`. Raises DeclarationError with one finding per mistake, each with its place."""
    try:
        return kind.model_validate(plain(source.value))
    except ValidationError as fault:
        findings = tuple(_explain(source, kind, error) for error in fault.errors())
        raise DeclarationError(f"{source.file} cannot be used", findings) from fault


def _explain(source: Source, kind: type[BaseModel], error: Any) -> Finding:
    path = tuple(part for part in error["loc"] if part != "[key]")
    if error["type"] == "extra_forbidden":
        names = _fields(kind, path[:-1])
        return source.finding("site.unknown_key", path, found=str(path[-1]), expected=near(str(path[-1]), names))
    if error["type"] == "missing":
        return source.finding("site.missing_key", path, expected=str(path[-1]))
    return source.finding("site.bad_value", path, found=str(error.get("input", ""))[:80], expected=error["msg"])


def _fields(kind: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """The keys that may stand at `path` below `kind`."""
    names: Any = kind
    for part in path:
        fields = getattr(names, "model_fields", None)
        if fields is None:
            continue  # a key of a dict of parts
        found = next((f for n, f in fields.items() if part in (n, f.alias)), None)
        if found is None:
            return []
        names = _part(found.annotation)
    return [field.alias or name for name, field in getattr(names, "model_fields", {}).items()]


def _part(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inner = _part(argument)
        if inner is not None:
            return inner
    return None
