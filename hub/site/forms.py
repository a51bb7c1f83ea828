"""How the kinds of a site that are JSON, CSV or flat records are written, and the mappings that nobody has to write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hub.declaration import Declaration, Spot
from hub.errors import DeclarationError
from hub.finding import Finding
from hub.mapping import compile as language
from hub.records import csv, flat
from hub.records.json import JsonForm
from hub.records.same import copying
from hub.records.shape import Item, shape
from hub.records.tree import Form, Path
from hub.site.model import Kind, Layout
from hub.site.site import Usage
from hub.xml.schema import Schema

EXTENSIONS = {"edifact": "edi", "xml": "xml", "json": "json", "csv": "csv", "flat": "txt"}
"""How files of a format are called."""
RECORDS = ("json", "csv", "flat")
_CSV = ("names", "charset", "row", "columns", "head", "split", "delimiter", "header", "guard")
_FLAT = ("names", "charset", "records", "separator", "terminator", "escape")
_OWN: dict[str, tuple[str, ...]] = {"csv": _CSV, "flat": _FLAT}
NEEDED = {
    "edifact": ("type", "release"),
    "xml": ("schema", "root"),
    "json": ("schema", "root"),
    "csv": ("schema", "root", "row", "columns"),
    "flat": ("schema", "root", "records"),
}
"""The keys without which a kind of a format is nothing."""

Problem = tuple[Sequence[Any], str, str]


def refuse_idle(kind: str, rule: Kind, source: Declaration) -> None:
    """Raises DeclarationError for keys that say nothing about a kind of this format."""
    idle = [name for name in Layout.model_fields if name in rule.model_fields_set - {*_OWN.get(rule.format, ())}]
    if idle:
        at = ("kinds", kind)
        raise _no(*(source.finding("site.unknown_key", (*at, name), name, rule.format, key=True) for name in idle))


def form(kind: str, rule: Kind, schema: Schema, source: Declaration) -> Form | None:
    """How documents of a kind are written; None for XML. Raises DeclarationError with every mistake in it."""
    if rule.format not in _FORMS:
        return None
    at = ("kinds", kind)
    try:
        made, problems = _FORMS[rule.format](rule, shape(schema.files, schema.namespace, rule.root))
    except ValueError as fault:
        raise _no(source.finding("site.bad_kind", (*at, "schema"), kind, str(fault))) from fault
    wrong = [source.finding("site.bad_path", (*at, *keys), found, expected) for keys, found, expected in problems]
    if wrong:
        raise _no(*wrong)
    return made


def _json(rule: Kind, root: Item) -> tuple[Form, Iterator[Problem]]:
    return JsonForm(root), iter(())


def _csv(rule: Kind, root: Item) -> tuple[Form, Iterator[Problem]]:
    made = csv.CsvForm(
        root,
        _below(rule.row, root),
        {name: _steps(path) for name, path in rule.columns.items()},
        {name: _below(path, root) for name, path in rule.head.items()},
        tuple(rule.split),
        rule.delimiter,
        rule.charset,
        rule.header,
        rule.guard,
    )
    return made, csv.problems(made)


def _flat(rule: Kind, root: Item) -> tuple[Form, Iterator[Problem]]:
    records = (
        flat.Record(
            tag,
            None if one.opens is None else _below(one.opens, root),
            tuple(flat.a_field(text) for text in one.fields),
        )
        for tag, one in rule.records.items()
    )
    made = flat.FlatForm(root, tuple(records), rule.separator, rule.terminator, rule.escape, rule.charset)
    return made, flat.problems(made)


_FORMS = {"json": _json, "csv": _csv, "flat": _flat}


def _steps(path: str) -> Path:
    return () if path == "." else tuple(path.split("/"))


def _below(path: str, root: Item) -> Path:
    """A path from the root, without it. Where it begins otherwise, nothing is found at it."""
    steps = tuple(path.split("/"))
    return steps[1:] if steps[0] == root.name else steps


def copies(kinds: dict[str, Usage], sources: dict[str, Declaration]) -> Iterator[language.Rules]:
    """The rules between every two kinds of one document of which one at least is no XML. Raises DeclarationError."""
    for one in kinds.values():
        for other in kinds.values():
            if one is not other and one.schema is not None and _alike(one.rule, other.rule):
                yield _copied(one, other, one.schema, sources[one.system])


def _alike(one: Kind, other: Kind) -> bool:
    recorded = one.format in RECORDS or other.format in RECORDS
    return recorded and (one.schema_, one.root) == (other.schema_, other.root)


def _copied(one: Usage, other: Usage, schema: Schema, source: Declaration) -> language.Rules:
    place = source.place(("kinds", one.name), key=True)
    spot = Spot(source.file, place.line or 1, place.column or 1)
    try:
        return copying(shape(schema.files, schema.namespace, one.rule.root), one.name, other.name, spot)
    except ValueError as fault:
        raise _no(source.finding("site.bad_kind", ("kinds", one.name), one.name, str(fault), key=True)) from fault


def _no(*findings: Finding) -> DeclarationError:
    return DeclarationError(findings[0].code, findings)
