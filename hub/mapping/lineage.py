"""Where every value of an output came from: closures of a second compilation that tell what they used.

What it costs is paid only by those who ask (`Mapping.apply_traced`); those of `Mapping.apply` know nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, cast

from hub.edifact.model import Group
from hub.mapping.places import Occurrence
from hub.mapping.plan import Emit, Find, Leaf, Run
from hub.mapping.reach import Reach
from hub.mapping.rules import Spot

MOST_ORIGINS = 100
"""So many sources of one value are told (a sum may have a million)."""


@dataclass(frozen=True, slots=True)
class Origin:
    """One place that a value was read at: a segment with element and component (from 1; component 0 is a whole
    composite; element 0 the whole segment), or an XML element with, where it was one, an attribute."""

    source: str  # the alias, "" where there is one source
    node: Any
    element: int = 0
    component: int = 0
    attribute: str = ""


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One row of a code table, or of the parties."""

    table: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Trace:
    """One value of the output. Steps of `target` have positions where a rule may write several beside each other."""

    target: str
    value: str
    spot: Spot
    sources: tuple[Origin, ...] = ()
    functions: tuple[str, ...] = ()
    rows: tuple[CodeRow, ...] = ()


@dataclass(slots=True)
class Traced(Run):
    """A run that keeps what its closures tell.

    used, called, rows, value   what is known of the value that is being made
    at       steps of the target down to the branch that is being written
    counts   how many of each name were written there, one dict for each step
    pending  (which of the segments that a rule writes, value) while they are not finished
    """

    used: list[Origin] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    rows: list[CodeRow] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    at: list[str] = field(default_factory=list)
    counts: list[dict[str, int]] = field(default_factory=lambda: [{}])
    pending: list[tuple[int, Trace]] = field(default_factory=list)
    value: str = ""

    def begin(self) -> None:
        """A new value."""
        self.used, self.called, self.rows = [], [], []

    def trace(self, target: str, value: str, spot: Spot) -> Trace:
        """What is known of the value that was just made."""
        sources = tuple(dict.fromkeys(self.used[:MOST_ORIGINS]))
        return Trace(target, value, spot, sources, tuple(self.called), tuple(dict.fromkeys(self.rows)))

    def told(self, target: str, value: str, spot: Spot) -> None:
        """The value stands in the output, `target` below the branch that is being written."""
        self.traces.append(self.trace("/".join((*self.at, target) if target else self.at), value, spot))


# ---- reading


def first(found: Reach) -> Leaf:
    """`hub.mapping.sources.first` that tells its origin."""

    def leaf(run: Run) -> str:
        return _note(run, next(_values(found, run), None))

    return leaf


def noted(found: Reach, everything: Find, leaf: Leaf) -> Leaf:
    """`leaf`, made of everything at a path, that tells its origins."""

    def value(run: Run) -> str:
        origins = _inner(found, run) if found.attribute or found.part else _origins(found.read[0], everything(run))
        cast(Traced, run).used.extend(islice(origins, MOST_ORIGINS))
        return leaf(run)

    return value


def composite(found: Reach) -> Find:
    """`hub.mapping.sources.composite` that tells its origin."""
    element = found.cell[0] if found.cell else 0

    def parts(run: Run) -> Any:
        for node in found.nodes(run):
            if element <= len(node.elements):
                cast(Traced, run).used.append(Origin(found.read[0], node, element))
                return node.elements[element - 1]
        return ()

    return parts


def _note(run: Run, found: tuple[str, Origin] | None) -> str:
    if found is None:
        return ""
    value, origin = found
    if value:
        cast(Traced, run).used.append(origin)
    return value


def _values(found: Reach, run: Run) -> Iterator[tuple[str, Origin]]:
    """What `first` looks at, in its order."""
    alias = found.read[0]
    for node in found.nodes(run):
        if found.cell:
            element, component = found.cell
            if found.kind == "composite":
                if element <= len(node.elements):
                    parts = node.elements[element - 1]
                    yield (parts[0] if parts else ""), Origin(alias, node, element, 1)
            elif value := node.get(element, component):
                yield value, Origin(alias, node, element, component)
        elif found.part:
            if found.part <= len(node.parts) and node.parts[found.part - 1]:
                component = node.component or found.part
                yield node.parts[found.part - 1], Origin(alias, node.segment, node.element, component)
        elif found.attribute:
            if (value := node.get(found.attribute)) is not None:
                yield value, Origin(alias, node, attribute=found.attribute)
        else:
            yield (node.text or "").strip(), Origin(alias, node)


def _inner(found: Reach, run: Run) -> Iterator[Origin]:
    """Of texts, which say nothing of where they stood."""
    for node in found.nodes(run):
        if found.attribute and node.get(found.attribute) is not None:
            yield Origin(found.read[0], node, attribute=found.attribute)
        elif found.part and found.part <= len(node.parts):
            yield Origin(found.read[0], node.segment, node.element, node.component or found.part)


def _origins(alias: str, nodes: Any) -> Iterator[Origin]:
    for node in nodes:
        if isinstance(node, Occurrence):
            yield Origin(alias, node.segment, node.element, node.component)
        elif isinstance(node, Group):
            yield from (Origin(alias, segment) for segment in islice(node.segments(), 1))
        else:
            yield Origin(alias, node)


# ---- what is done with a value


def called(leaf: Leaf, name: str) -> Leaf:
    """`leaf` ends with the call of a function, which is told when it gave something."""

    def value(run: Run) -> str:
        made = leaf(run)
        if made:
            cast(Traced, run).called.append(name)
        return made

    return value


def row(run: Run, table: str, key: str, value: str) -> None:
    """A row of a table was used."""
    cast(Traced, run).rows.append(CodeRow(table, key, value))


# ---- writing


def valued(leaf: Leaf, target: str, spot: Spot) -> Leaf:
    """The value of an element of a segment; it counts when the segment is written (`finished`)."""

    def value(run: Run) -> str:
        traced = cast(Traced, run)
        traced.begin()
        made = leaf(run)
        if made:
            traced.pending.append((0, traced.trace(target, made, spot)))
        return made

    return value


def finished(one: Emit, tag: str, several: bool, literals: list[tuple[str, str, Spot]]) -> Emit:
    """`one` writes a segment: the values that are in it have their place now, and its literals (path, text, spot)."""

    def emit(run: Run, group: Group) -> None:
        traced = cast(Traced, run)
        before = len(group.parts.get(tag, ()))
        traced.pending.clear()
        one(run, group)
        made = len(group.parts.get(tag, ())) - before
        for nth in range(made):
            step = f"{tag}[{before + nth + 1}]" if several or made > 1 else tag
            for path, text, spot in literals:
                traced.traces.append(Trace("/".join((*traced.at, step, path)), text, spot))
            for at, trace in traced.pending:
                if at == nth:
                    place = "/".join((*traced.at, step, trace.target))
                    traced.traces.append(replace(trace, target=place))

    return emit


def spread(run: Run, lines: list[str], names: tuple[str, ...], spot: Spot) -> None:
    """The lines of one long text: each in its own place, further segments taking what one cannot."""
    traced = cast(Traced, run)
    for at, line in enumerate(lines):
        nth, name = divmod(at, len(names))
        traced.pending.append((nth, traced.trace(names[name], line, spot)))


def grouped(one: Emit, name: str, several: bool) -> Emit:
    """`one` fills a segment group and hangs it below its parent."""

    def emit(run: Run, parent: Group) -> None:
        at = cast(Traced, run).at
        at.append(f"{name}[{len(parent.parts.get(name, ())) + 1}]" if several else name)
        one(run, parent)
        at.pop()

    return emit


def branched(one: Emit, name: str, several: bool) -> Emit:
    """`one` writes an XML element with others in it."""

    def emit(run: Run, texts: Any) -> None:
        traced = cast(Traced, run)
        traced.at.append(_numbered(traced, name) if several else name)
        traced.counts.append({})
        one(run, texts)
        traced.at.pop()
        traced.counts.pop()

    return emit


def kept(leaf: Leaf) -> Leaf:
    """The value of an XML element or attribute; it counts when it is written (`texted`)."""

    def value(run: Run) -> str:
        traced = cast(Traced, run)
        traced.begin()
        traced.value = leaf(run)
        return traced.value

    return value


def texted(one: Emit, name: str, spot: Spot, several: bool) -> Emit:
    """`one` writes one value into XML, that of a `kept` leaf."""

    def emit(run: Run, texts: Any) -> None:
        traced = cast(Traced, run)
        before = len(texts)
        one(run, texts)
        if len(texts) > before:
            traced.told(_numbered(traced, name) if several else name, traced.value, spot)

    return emit


def _numbered(run: Traced, name: str) -> str:
    counts = run.counts[-1]
    counts[name] = counts.get(name, 0) + 1
    return f"{name}[{counts[name]}]"
