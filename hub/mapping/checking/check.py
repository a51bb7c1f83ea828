"""One mapping checked on both sides: every demand of the target met, nothing lost by accident, no rule idle.

Of what a standard does not say here (the text of a $value, a schema type by means that are not read) nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass

from hub.finding import Finding
from hub.mapping.checking.book import Book
from hub.mapping.checking.conditions import Where
from hub.mapping.checking.edifact_output import EdifactOutput
from hub.mapping.checking.output import scope
from hub.mapping.checking.particles import particles
from hub.mapping.checking.xml_output import XmlOutput
from hub.mapping.compile import Rules
from hub.mapping.plan import Facts, Here, Tables, XmlFacts
from hub.mapping.rules import Branch, Spot

Met = Map[str, list[tuple[Spot, frozenset[str] | None]]]
"""By code table: where it is used, and the codes that it can be asked for there (None: any)."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong with a mapping; `foreseen` are the targets that can come out wrong, chosen by it or not."""

    findings: tuple[Finding, ...]
    foreseen: frozenset[str]
    met: Met


def check(rules: Rules, sources: Map[str, Facts], target: Facts, tables: Tables) -> Checked:
    """The rules of a mapping that has been compiled."""
    book = Book(tables, rules.rejects)
    here, where = Here(sources, tables), Where()
    if rules.split is not None:
        key = rules.split.spot
        inner = scope(Branch((("each", rules.split),), key, (key,)), here, where, book)
        here, where = inner.here, inner.where
    if isinstance(target, XmlFacts):
        XmlOutput(particles(target.schema), book).document(rules.body, here, where)
    else:
        EdifactOutput(target, book).message(rules.body, here, where)
    return Checked(tuple(book.findings), frozenset(book.foreseen), book.met)


def idle_rows(every: list[Met], tables: Tables) -> list[Finding]:
    """Rows that no mapping of a site can ever come to, told where the table is first used."""
    found: list[Finding] = []
    for name in dict.fromkeys(name for met in every for name in met):
        uses = [use for met in every for use in met.get(name, ())]
        asked = [codes for _, codes in uses if codes is not None]
        never = sorted(tables[name].keys() - frozenset[str]().union(*asked)) if len(asked) == len(uses) else []
        if never:
            finding = uses[0][0].finding("mapping.idle_row", f"{name}: {', '.join(never)}", name)
            found.append(Finding(finding.code, finding.place, finding.found, finding.expected, "warning"))
    return found
