"""What the rooms of the mapping language share: facts about kinds, where a rule stands, and one application."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from typing import Any

from hub.edifact.directory import Directory, MessageSpec
from hub.errors import DeclarationError
from hub.finding import Finding, Place
from hub.mapping.rules import Rule, Spot, Text
from hub.xml.schema import Schema

Tables = Map[str, Map[str, str]]


@dataclass(frozen=True, slots=True)
class EdifactFacts:
    """One message type of one release."""

    directory: Directory
    spec: MessageSpec


@dataclass(frozen=True, slots=True)
class XmlFacts:
    """One XML schema."""

    schema: Schema


Facts = EdifactFacts | XmlFacts


@dataclass(slots=True)
class Run:
    """One application: sources by alias, the loop's items from the outermost in, the context, what went wrong.

    `seen` has what was found below the sources, then below each item: leaves share the steps of their paths.
    `children` has the children of an XML element by tag.
    """

    sources: Map[str, Any]
    context: Map[str, str]
    items: list[Any] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    seen: list[dict[int, Any]] = field(default_factory=lambda: [{}])
    children: dict[Any, dict[Any, list[Any]]] = field(default_factory=dict)

    def enter(self, item: Any) -> None:
        """`item` becomes the innermost."""
        self.items.append(item)
        self.seen.append({})

    def leave(self) -> None:
        self.items.pop()
        self.seen.pop()

    def wrong(self, spot: Spot, path: str, value: str) -> str:
        """Tell a value that cannot be mapped; what stands in its place."""
        self.findings.append(Finding("mapping.value", Place(path=path), value, f"{spot.file}:{spot.line}"))
        return ""


Find = Callable[[Run], Any]
"""Everything at a path: a list of strings, composites (lists), segments, groups or elements. Not to be changed."""

Leaf = Callable[[Run], str]
Emit = Callable[[Run, Any], None]
Loop = tuple[str, tuple[str, ...], str]


@dataclass(frozen=True, slots=True)
class Here:
    """Where a rule stands while it is compiled.

    loops   for each: alias, groups or elements below it, segment
    shared  the closure of every step that was compiled, so that a path that begins alike is walked once
    """

    facts: Map[str, Facts]
    tables: Tables
    loops: tuple[Loop, ...] = ()
    shared: dict[Any, Find] = field(default_factory=dict)


def bad(spot: Spot, found: str, expected: str) -> DeclarationError:
    return DeclarationError(f"{spot.file}:{spot.line}", (spot.finding("mapping.unreadable", found, expected),))


def word(rule: Rule) -> str:
    """The text of a rule that must be one word."""
    if not isinstance(rule, Text):
        raise bad(rule.spot, "a branch", "one word")
    return rule.value
