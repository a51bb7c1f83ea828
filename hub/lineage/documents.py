"""Documents that were made of others, each value with its rules and with where it stands in what was sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from hub.finding import Finding
from hub.lineage.marks import Cell, Mark, cell_of, marks
from hub.lineage.sources import Received, Source
from hub.mapping.compile import Mapping as Compiled
from hub.mapping.lineage import CodeRow, Origin, Trace
from hub.mapping.rules import Spot
from hub.site.site import Site, Usage

MOST_SOURCES = 100
"""So many places of one value are told."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rule on the way of a value, and what it used."""

    kind: str
    target: str
    spot: Spot
    functions: tuple[str, ...] = ()
    rows: tuple[CodeRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a document. `steps` from its own rule back; no `sources`: the rules wrote it themselves."""

    target: str
    value: str
    cell: Cell
    steps: tuple[Step, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Made:
    """A document that a mapping made; `node` is None where it could not, and `findings` say why."""

    usage: Usage
    node: Any
    fields: tuple[Field, ...]
    findings: tuple[Finding, ...]
    mapping: Compiled

    @cached_property
    def marks(self) -> dict[Any, Mark]:
        return {} if self.node is None else marks(self.node)

    @cached_property
    def cells(self) -> dict[Cell, Field]:
        return {field.cell: field for field in self.fields}

    def below(self, cell: Cell) -> list[Field]:
        """The value at a place, or, where it is none of its own, every value below."""
        if cell in self.cells:
            return [self.cells[cell]]
        depth = len(cell.steps)
        return [field for field in self.fields if field.cell.steps[:depth] == cell.steps and _within(cell, field.cell)]

    def at(self, origin: Origin) -> list[Field]:
        """What is known of a place that another mapping read."""
        mark = self.marks.get(origin.node)
        return self.below(Cell(mark.steps, origin.element, origin.component, origin.attribute)) if mark else []


Known = Received | Made


def _within(asked: Cell, cell: Cell) -> bool:
    """True when `cell` is in the element or composite that is asked for."""
    if asked.attribute:
        return False
    return not asked.element or (asked.element == cell.element and not asked.component)


def make(site: Site, kind: str, have: Mapping[str, Known], context: Mapping[str, str]) -> Made | None:
    """A document of `kind` from those we have; None where no mapping makes it or one of them could not be made."""
    there = {name: known for name, known in have.items() if known.node is not None}
    found = site.mapping_into(kind, set(there))
    if found is None:
        return None
    mapping, usage = found[1], site.kinds[kind]
    sources = {alias: there[name] for alias, name in mapping.sources.items()}
    node, findings, traces = mapping.apply_traced({alias: one.node for alias, one in sources.items()}, context)
    fields = tuple(_field(trace, usage, sources) for trace in traces)
    return Made(usage, node, fields, tuple(findings), mapping)


def _field(trace: Trace, usage: Usage, known: Mapping[str, Known]) -> Field:
    steps = [Step(usage.name, trace.target, trace.spot, trace.functions, trace.rows)]
    sources: list[Source] = []
    for origin in trace.sources:
        document = known[origin.source]
        if isinstance(document, Received):
            sources.append(document.source(origin))
            continue
        for field in document.at(origin):
            steps += field.steps
            sources += field.sources
    cell = cell_of(trace.target, usage)
    return Field(trace.target, trace.value, cell, tuple(_once(steps)), tuple(_once(sources)))


def _once(items: Iterable[Any]) -> list[Any]:
    """Each once, the first of them."""
    return list(islice(dict.fromkeys(items), MOST_SOURCES))
