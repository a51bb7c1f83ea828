"""What the rooms of the mapping language share: facts about kinds, where a rule stands, and one application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from hub.edifact.directory import Directory, MessageSpec
from hub.edifact.tokenizer import KEEP
from hub.errors import DeclarationError
from hub.finding import Finding, Place
from hub.mapping.facts import Book
from hub.mapping.path import Step
from hub.mapping.rules import Rule, Spot, Text
from hub.xml.schema import Schema

Tables = Map[str, Map[str, str]]
Parties = Map[str, Map[str, str]]
"""What is known of each party, under each name that a message may call it by: name, edi, role, title …"""

MOST_VALUES = 2_000_000
"""So many values may one application write; longer ones count by their length."""
LONG = 200  # characters, from which on the length of a value counts
NUMBER, MEMBERS = -1, -2
"""Slots of `Run.seen` for what belongs to a loop's item: its position, and the members of its group."""


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
    `children` has the children of an XML element by tag. `left` is how many more values may be written.
    """

    sources: Map[str, Any]
    context: Map[str, str]
    items: list[Any] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    seen: list[dict[int, Any]] = field(default_factory=lambda: [{}])
    children: dict[Any, dict[Any, list[Any]]] = field(default_factory=dict)
    left: int = MOST_VALUES

    def enter(self, item: Any) -> None:
        """`item` becomes the innermost."""
        self.items.append(item)
        self.seen.append({})

    def leave(self) -> None:
        self.items.pop()
        self.seen.pop()

    def wrong(self, spot: Spot, path: str, value: str) -> str:
        """Tell a value that cannot be mapped; what stands in its place."""
        return self.tell("mapping.value", spot, path, value[:LONG])

    def tell(self, code: str, spot: Spot, path: str, value: str, severity: Any = "error") -> str:
        """Add a finding about a value; "" for what stands in its place. The rule's file and line are `expected`."""
        if len(self.findings) < KEEP:
            place = f"{spot.file}:{spot.line}"
            self.findings.append(Finding(code, Place(path=path), value, place, severity))
        return ""

    def afford(self, values: int, spot: Spot) -> bool:
        """True while there is room for so many more values; the first time that there is not is told."""
        before, self.left = self.left, self.left - values
        if before >= 0 > self.left:
            self.findings.append(Finding("mapping.too_large", Place(), str(MOST_VALUES), f"{spot.file}:{spot.line}"))
        return self.left >= 0


Find = Callable[[Run], Any]
"""Everything at a path: a list of strings, composites (lists), segments, groups or elements. Not to be changed."""

Leaf = Callable[[Run], str]
When = Callable[[Run], bool]
Emit = Callable[[Run, Any], None]


@dataclass(frozen=True, slots=True)
class Loop:
    """One scope that paths may be relative to: a loop (`each`), or the first of a place (`at`, not `counted`).

    steps    the absolute path of its items
    above    groups or XML elements down to an item
    tag      the segment that an item is, or is part of
    element  what an item is within its segment, as C108 or C108/4440
    asked    slots of `Run.seen` that rules inside ask for
    """

    alias: str
    steps: tuple[Step, ...]
    above: tuple[str, ...]
    tag: str = ""
    element: str = ""
    counted: bool = field(default=True, compare=False)
    grouped: bool = field(default=False, compare=False)
    asked: set[int] = field(default_factory=set, compare=False)

    def __str__(self) -> str:
        alias = f"{self.alias}:" if self.alias else ""
        return alias + "/".join(map(str, self.steps))


@dataclass(frozen=True, slots=True)
class Here:
    """Where a rule stands while it is compiled.

    loops       from the outermost in
    conditions  what must hold here, in words
    shared      the closure of every step that was compiled, so that a path that begins alike is walked once
    book        what is learnt about the rules while they are compiled
    traced      True when the closures tell what they used (hub.mapping.lineage)
    """

    facts: Map[str, Facts]
    tables: Tables
    loops: tuple[Loop, ...] = ()
    shared: dict[Any, Find] = field(default_factory=dict)
    book: Book = field(default_factory=Book)
    parties: Parties = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    traced: bool = False

    def under(self, *conditions: str) -> Here:
        """`self` where these hold too."""
        return replace(self, conditions=(*self.conditions, *conditions)) if conditions else self


def bad(spot: Spot, found: str, expected: str, code: str = "mapping.unreadable") -> DeclarationError:
    return DeclarationError(f"{spot.file}:{spot.line}", (spot.finding(code, found, expected),))


def like(name: str, names: Iterable[str]) -> str:
    """Names that `name` may have been meant for, or all of them when none is near."""
    known = sorted(names)
    longer = [one for one in known if name and name in one]
    close = dict.fromkeys([*longer[:3], *get_close_matches(name, known, 3, 0.5)])
    return ", ".join(close or known[:40])


def word(rule: Rule) -> str:
    """The text of a rule that must be one word."""
    if not isinstance(rule, Text):
        raise bad(rule.spot, "a branch or a list", "one word")
    return rule.value
