"""What a compiled mapping tells of its rules to those who check, draw or explain it; nothing of it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from hub.finding import Finding
from hub.mapping.rules import Spot

Read = tuple[str, str]
"""(alias of the source, absolute path as the source's own standard writes it)."""


@dataclass(frozen=True, slots=True)
class RuleFact:
    """One value, or one branch that stands in a loop of its own or under a condition of its own.

    target      as Manifest/Vessel/Name, Manifest/Note/@lang or SG3/EQD/C237/8260
    reads       of a value: where it comes from; of a branch: what its loop and its condition look at
    functions   in the order of their use, those with an argument as `pad 6 0`
    table       the code table, "" without
    literal     the text of a rule that is only that; None for every other
    narrow      what is done when the target cannot hold the value
    context     names of $values
    loops       the loops around it, from the outermost in, each an absolute path, with its alias if any
    conditions  what must hold for it to be written, from the outermost in
    optional    False when it gives something whatever there is in the sources
    leaf        True for a value, False for a branch
    """

    target: str
    spot: Spot
    reads: tuple[Read, ...] = ()
    functions: tuple[str, ...] = ()
    table: str = ""
    literal: str | None = None
    narrow: tuple[str, ...] = ("reject",)
    context: tuple[str, ...] = ()
    loops: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    optional: bool = True
    leaf: bool = True


@dataclass(slots=True)
class Page:
    """What was learnt of the rule that is being compiled."""

    reads: dict[Read, None] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)
    table: str = ""
    context: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Book:
    """The facts of all rules, in the order of the file, and the mistakes that were found on the way."""

    rules: list[RuleFact] = field(default_factory=list)
    mistakes: list[Finding] = field(default_factory=list)
    page: Page = field(default_factory=Page)

    def turn(self) -> Page:
        """The page as it is; the next one is empty."""
        done, self.page = self.page, Page()
        return done
