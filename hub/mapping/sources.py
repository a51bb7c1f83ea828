"""Reading: paths of a mapping file as closures over native segments and XML elements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from hub.mapping import lineage
from hub.mapping.edifact_source import edifact
from hub.mapping.path import Path, parse_path
from hub.mapping.places import Occurrence, occurrences
from hub.mapping.plan import MEMBERS, EdifactFacts, Find, Here, Leaf, Loop, Run, XmlFacts, bad, like
from hub.mapping.reach import Chain, Reach
from hub.mapping.rules import Spot
from hub.mapping.xml_source import xml


@dataclass(frozen=True, slots=True)
class Start:
    """Where a path begins: `depth` of its loop (-1 for a source), that loop, and the source's alias."""

    depth: int
    loop: Loop


def reach(text: str, here: Here, spot: Spot) -> Reach:
    """Where a path leads. Raises DeclarationError. It is noted as read."""
    found = _reach(text, here, spot)[0]
    here.book.page.reads[found.read] = None
    return found


def first(text: str, here: Here, spot: Spot) -> Leaf:
    """A closure that gives the text of the first at a path, "" when there is none."""
    found = reach(text, here, spot)
    if found.kind in ("group", "segment"):
        raise bad(spot, text, "a path down to a value, such as " + found.example)
    if here.traced:
        return lineage.first(found)
    leaf = _first(found)
    return _kept(leaf, found, here) if found.outer else leaf


def composite(text: str, here: Here, spot: Spot) -> Find | None:
    """A closure that gives the components of the first composite at a path; None when the path leads elsewhere."""
    if text[:1] in "=$" or text == ".":
        return None
    found = _reach(text, here, spot)[0]
    if found.kind != "composite" or found.cell is None:
        return None
    here.book.page.reads[found.read] = None
    return lineage.composite(found) if here.traced else _composite(found.nodes, found.cell[0] - 1)


def every(text: str, here: Here, spot: Spot) -> Find:
    """A closure that gives everything at a path: groups, segments, XML elements, occurrences of elements, texts of
    attributes."""
    found = reach(text, here, spot)
    everything = _every(found)
    return _kept(everything, found, here) if found.outer else everything


def once(text: str, here: Here, spot: Spot, make: Callable[[Run, Any], str], values: bool = True) -> Leaf:
    """A closure that gives what `make` makes of everything at a path, made once for each item of the loop in which the
    path begins; `values` when it needs texts."""
    found = reach(text, here, spot)
    if values and found.kind in ("group", "segment"):
        raise bad(spot, text, "a path down to a value, such as " + found.example)
    everything = _kept(_every(found), found, here) if found.outer else _every(found)

    def leaf(run: Run) -> str:
        return make(run, everything(run))

    made: Leaf = _kept(leaf, found, here) if found.outer else leaf
    return lineage.noted(found, everything, made) if here.traced else made


def exists(text: str, here: Here, spot: Spot) -> Find:
    """A closure whose answer is true when there is something at a path."""
    found = reach(text, here, spot)
    everything = _first(found) if found.cell and found.kind == "value" else _every(found)
    return _kept(everything, found, here) if found.outer else everything


def kept(take: Callable[[Run], Any], text: str, here: Here, spot: Spot) -> Callable[[Run], Any]:
    """`take` once for each item of the loop in which the path begins, however often an inner loop asks."""
    return cast(Callable[[Run], Any], _kept(take, _reach(text, here, spot)[0], here))


def inside(here: Here, text: str, spot: Spot, counted: bool = True, grouped: bool = False) -> Here:
    """`here` within a loop over a path."""
    loop = replace(_reach(text, here, spot)[1], counted=counted, grouped=grouped, asked=set())
    return replace(here, loops=(*here.loops, loop))


def text_of(value: Any) -> str:
    """The text of a string, a composite (its first component), an occurrence or an XML element."""
    if isinstance(value, str):
        return value
    if isinstance(value, Occurrence):
        return value.parts[0] if value.parts else ""
    if isinstance(value, list):
        return str(value[0]) if value else ""
    return (value.text or "").strip()


# ---- where a path begins


def _reach(text: str, here: Here, spot: Spot) -> tuple[Reach, Loop]:
    try:
        path = Path(()) if text == "." else parse_path(text)
        start = begin(path, here)
        facts = here.facts[start.loop.alias]
        chain = _chain(here, start, path)
        if isinstance(facts, XmlFacts):
            return xml(chain, path.steps, facts, start.loop)
        return edifact(chain, path.steps, facts, start.loop)
    except (KeyError, ValueError) as fault:
        raise bad(spot, text, str(fault.args[0] if fault.args else fault)) from fault


def begin(path: Path, here: Here) -> Start:
    """Where a path begins. ValueError says what is meant."""
    if path.members:
        depth = max((d for d, loop in enumerate(here.loops) if loop.grouped), default=-1)
        if depth < 0:
            raise ValueError("a loop around it with by: * stands for the members of its group")
        return Start(depth, here.loops[depth])
    if path.source or path.root or not here.loops or path.up >= len(here.loops):
        if not path.steps:
            raise ValueError("a loop around it: . is the loop's item")
        alias = path.source or (here.loops[0].alias if here.loops else next(iter(here.facts)))
        if alias not in here.facts:
            raise ValueError(f"a source that there is: {like(alias, here.facts)}")
        return Start(-1, Loop(alias, (), ()))
    depth = len(here.loops) - 1 - path.up
    return Start(depth, here.loops[depth])


def _chain(here: Here, start: Start, path: Path) -> Chain:
    alias, depth = start.loop.alias, start.depth
    nodes: Find
    if path.members:
        here.loops[depth].asked.add(MEMBERS)
        nodes = lambda run: run.seen[depth + 1][MEMBERS]  # noqa: E731
    elif depth < 0:
        nodes = lambda run: (run.sources[alias],)  # noqa: E731
    else:
        nodes = lambda run: (run.items[depth],)  # noqa: E731
    key = (here.loops[: depth + 1], alias, path.members)
    return Chain(here.shared, depth + 1, key, nodes, outer=depth + 1 < len(here.loops))


# ---- closures


def _first(found: Reach) -> Leaf:
    if found.cell and found.kind == "value":
        return _first_value(found.nodes, found.cell[0] - 1, found.cell[1] - 1)
    if found.part:
        return _first_part(found.nodes, found.part - 1)
    if not (found.cell or found.attribute):
        return _first_text(found.nodes)
    everything = _composite(found.nodes, found.cell[0] - 1) if found.cell else _every(found)

    def leaf(run: Run) -> str:
        values = everything(run)
        return text_of(values[0]) if values else ""

    return leaf


def _first_value(nodes: Find, element: int, component: int) -> Leaf:
    def leaf(run: Run) -> str:
        for node in nodes(run):
            elements = node.elements
            if element < len(elements):
                values = elements[element]
                if component < len(values) and values[component]:
                    return str(values[component])
        return ""

    return leaf


def _first_text(nodes: Find) -> Leaf:
    def leaf(run: Run) -> str:
        for node in nodes(run):
            text = node.text
            return text.strip() if text else ""
        return ""

    return leaf


def _first_part(nodes: Find, component: int) -> Leaf:
    def leaf(run: Run) -> str:
        for node in nodes(run):
            if component < len(node.parts) and node.parts[component]:
                return str(node.parts[component])
        return ""

    return leaf


def _composite(nodes: Find, element: int) -> Find:
    def parts(run: Run) -> Any:
        for node in nodes(run):
            elements = node.elements
            if element < len(elements):
                return elements[element]
        return ()

    return parts


def _every(found: Reach) -> Find:
    nodes, attribute, where = found.nodes, found.attribute, found.places
    if attribute:
        return lambda run: [value for node in nodes(run) if (value := node.get(attribute)) is not None]
    if found.part:
        part = found.part
        return lambda run: [node.parts[part - 1] for node in nodes(run) if part <= len(node.parts)]
    if where:
        return lambda run: [one for node in nodes(run) for one in occurrences(node, where)]
    return nodes


def _kept(take: Any, found: Reach, here: Here) -> Any:
    """`take` once for each item of the loop in which the path begins, however often an inner loop asks."""
    slot, depth = len(here.shared), found.depth
    here.shared[found.key, take] = take

    def kept(run: Run) -> Any:
        seen = run.seen[depth]
        value = seen.get(slot)
        if value is None:
            value = seen[slot] = take(run)
        return value

    return kept


__all__ = ["EdifactFacts", "composite", "every", "exists", "first", "inside", "reach", "text_of"]
