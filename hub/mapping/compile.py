"""Mapping files compiled once to closures over native segments and elements: no tree conversion, no expression engine.

A mapping file says `from` (one kind, or aliases with their kinds), `to`, and under `document` (XML) or `message`
(EDIFACT) the output in its own shape. Every leaf says where its value comes from:

    path              BGM/1004, SG1/LOC[3227=11]/C517/3225, Manifest/Vessel/Name, ../Party, call:BGM/1225
    =literal          the text itself
    $name             a value of the context: reference, now, sender, recipient, port, zone, case
    {from: path, as: function, map: table, unknown: keep, default: leaf, cut: n}
    {first: [leaf, …], default: leaf}     {join: [leaf, …], with: " "}     {count: path}

and every branch may say `each: path` (once for each found) and `when: path`, `when: path = 'x'` or `path != 'x'`.
A child whose name is one of these words is written with a leading `./`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from collections.abc import Mapping as Map
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from hub.edifact.model import Group
from hub.finding import Finding
from hub.mapping import rules as language
from hub.mapping.path import parse_path
from hub.mapping.plan import EdifactFacts, Emit, Facts, Here, Run, Tables, XmlFacts, bad
from hub.mapping.rules import Branch, Spot, Text
from hub.mapping.sources import find, inside, text_of
from hub.mapping.targets import document, message, parsed

__all__ = ["EdifactFacts", "Facts", "Mapping", "Rules", "Tables", "XmlFacts", "compile", "load", "reader", "text_of"]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A compiled mapping. `sources` is alias -> kind; a single source has the alias ""."""

    sources: dict[str, str]
    target: str
    name: str
    emit: Emit
    make: Callable[[], Any]
    finish: Callable[[Any], Any]
    sha256: str = ""  # of the file it was compiled from

    def apply(self, sources: Map[str, Any], context: Map[str, str]) -> tuple[Any, list[Finding]]:
        """The target (Group or element; None when nothing came out) and what was wrong with values."""
        run = Run(sources, context)
        target = self.make()
        self.emit(run, target)
        return self.finish(target), run.findings


@dataclass(frozen=True, slots=True)
class Rules:
    """A mapping file as read."""

    sources: dict[str, str]
    target: str
    body: Branch
    xml: bool
    name: str
    sha256: str = ""


def load(path: FilePath, text: bytes | None = None) -> Rules:
    """Read one mapping file. Raises DeclarationError with findings."""
    entries = dict(language.load(path, text).entries)
    sha256 = hashlib.sha256(path.read_bytes() if text is None else text).hexdigest()
    source, target = entries.get("from"), entries.get("to")
    body = entries.get("document") or entries.get("message")
    spot = Spot(str(path), 1, 1)
    if not (source and isinstance(target, Text) and isinstance(body, Branch)):
        raise bad(spot, "", "from, to, and document or message")
    if isinstance(source, Text):
        return Rules({"": source.value}, target.value, body, "document" in entries, path.name, sha256)
    if not isinstance(source, Branch):
        raise bad(source.spot, "a list", "a kind, or alias: kind")
    names = {alias: kind.value for alias, kind in source.entries if isinstance(kind, Text)}
    return Rules(names, target.value, body, "document" in entries, path.name, sha256)


def compile(rules: Rules, sources: Map[str, Facts], target: Facts, tables: Tables) -> Mapping:
    """Closures for `rules`. Raises DeclarationError: one finding with file, line and column for the first mistake."""
    here = Here(sources, tables)
    if isinstance(target, XmlFacts):
        [(name, rule)] = rules.body.entries
        if not target.schema.has((name,)) or not isinstance(rule, Branch):
            raise bad(rule.spot, name, "the root element of " + rules.target)
        emit = document(name, rule, here, target.schema)
        return Mapping(rules.sources, rules.target, rules.name, emit, list, parsed, rules.sha256)
    emit = message(rules.body, here, target)
    return Mapping(rules.sources, rules.target, rules.name, emit, lambda: Group(""), lambda group: group, rules.sha256)


def reader(text: str, facts: Facts, below: str = "") -> Callable[[Any], list[Any]]:
    """A path as a function of one node; `below` is the path of the loop that it stands in."""
    here = Here({"": facts}, {})
    spot = Spot(text, 1, 1)
    if below:
        here = inside(here, parse_path(below), spot)
    everything = find(text, here, spot)

    def read(node: Any) -> list[Any]:
        run = Run({"": node}, {})
        if below:
            run.enter(node)
        return list(everything(run))

    return read
