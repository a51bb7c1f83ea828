"""Documents that were made of others, each value with its rules and with where it stands in what was sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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

MOST_SOURCES, MOST_BELOW = 100, 200
"""So many places of one value are told, and so many values of a whole element."""


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
    """A document that a mapping made of `known`; `node` is None where it could not, and `findings` say why.

    Where a value came from is worked out when it is asked for."""

    usage: Usage
    node: Any
    traces: tuple[Trace, ...]
    findings: tuple[Finding, ...]
    mapping: Compiled
    known: Mapping[str, Known]
    _told: dict[Cell, Field] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def marks(self) -> dict[Any, Mark]:
        return {} if self.node is None else marks(self.node)

    @cached_property
    def cells(self) -> dict[Cell, Trace]:
        return {cell_of(trace.target, self.usage): trace for trace in self.traces}

    @property
    def fields(self) -> tuple[Field, ...]:
        """Every value, in the order in which they were written."""
        return tuple(self.field(cell) for cell in self.cells)

    def field(self, cell: Cell) -> Field:
        """The value at a place that has one."""
        if cell not in self._told:
            self._told[cell] = self._traced(cell, self.cells[cell])
        return self._told[cell]

    def below(self, cell: Cell) -> list[Field]:
        """The value at a place, or, where it is none of its own, the first values below."""
        if cell in self.cells:
            return [self.field(cell)]
        depth = len(cell.steps)
        inside = (one for one in self.cells if one.steps[:depth] == cell.steps and _within(cell, one))
        return [self.field(one) for one in islice(inside, MOST_BELOW)]

    def at(self, origin: Origin) -> list[Field]:
        """What is known of a place that another mapping read."""
        mark = self.marks.get(origin.node)
        return self.below(Cell(mark.steps, origin.element, origin.component, origin.attribute)) if mark else []

    def _traced(self, cell: Cell, trace: Trace) -> Field:
        steps = [Step(self.usage.name, trace.target, trace.spot, trace.functions, trace.rows)]
        sources: list[Source] = []
        for origin in trace.sources:
            document = self.known[origin.source]
            if isinstance(document, Received):
                sources.append(document.source(origin))
                continue
            for one in document.at(origin):
                steps += one.steps
                sources += one.sources
        return Field(trace.target, trace.value, cell, _once(steps), _once(sources))


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
    return Made(usage, node, tuple(traces), tuple(findings), mapping, sources)


def _once(items: Iterable[Any]) -> tuple[Any, ...]:
    """Each once, the first of them."""
    return tuple(islice(dict.fromkeys(items), MOST_SOURCES))
