"""Messages made from a segment table, right ones and ones with a single mistake: tags only, the structure is all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from hub.edifact.directory import Directories, MessageSpec, Node
from hub.edifact.model import RawMessage, Segment

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "schemas" / "edifact"
SHARED = ROOT.parent / "shared" / "edifact"
"""Facts of many directories as JSON. They lie beside the project on some machines only."""

FOREIGN = "ZZZ"


@dataclass(frozen=True)
class Table:
    """A segment table: where it is from, and its lines."""

    name: str
    nodes: tuple[Node, ...]

    @property
    def spec(self) -> MessageSpec:
        return MessageSpec(self.name, self.name, self.name.partition("/")[0], self.nodes)


@dataclass(frozen=True)
class Mutation:
    """A message with one mistake, which is in the segments `first` to `last` (UNH = 1)."""

    kind: str
    first: int
    last: int
    tags: tuple[str, ...]


def shipped() -> Iterator[Table]:
    """Every segment table of schemas/edifact, each different one once."""
    directories = Directories(SHIPPED)
    found: dict[Any, Table] = {}
    for release in directories.available():
        directory = directories.get(release)
        for type in directory.types():
            nodes = directory.message(type).nodes
            found.setdefault(_facts(nodes), Table(f"{release}/{type}", nodes))
    yield from found.values()


@lru_cache(maxsize=1)
def shared() -> tuple[Table, ...]:
    """Every segment table of the shared facts, each different one once."""
    found: dict[str, Table] = {}
    for path in sorted(SHARED.glob("*.json")):
        raw = json.loads(path.read_text("utf-8"))
        for part, tables in raw.items() if path.stem == "SERVICE" else [(path.stem, raw)]:
            for type, message in tables["messages"].items():
                struct = json.dumps(message["struct"])
                if struct not in found:
                    found[struct] = Table(f"{part}/{type}", tuple(_nodes(message["struct"])))
    return tuple(found.values())


def _nodes(struct: list[list[Any]]) -> Iterator[Node]:
    for key, status, most, *children in struct:
        yield Node(key, status == "M", most, tuple(_nodes(children[0])) if children else ())


def _facts(nodes: tuple[Node, ...]) -> tuple[Any, ...]:
    return tuple((node.key, node.required, node.max, _facts(node.children)) for node in nodes)


def message(tags: tuple[str, ...]) -> RawMessage:
    segments = [Segment(tag, [], number) for number, tag in enumerate(tags, 1)]
    return RawMessage("1", "TEST", "D", "96B", "UN", "", segments, 0, 0)


def least(nodes: tuple[Node, ...]) -> tuple[str, ...]:
    """What is mandatory, once."""
    tags: list[str] = []
    for node in nodes:
        if node.required:
            tags += (least(node.children) or (node.trigger,)) if node.children else (node.key,)
    return tuple(tags)


def fullest(nodes: tuple[Node, ...], most: int) -> tuple[str, ...]:
    """Every line up to `most` times, in groups one time less at each depth, so that the size stays bounded."""
    tags: list[str] = []
    for node in nodes:
        inner = fullest(node.children, max(1, most - 1)) if node.children else (node.key,)
        tags += inner * min(node.max, most)
    return tuple(tags)


def capped(nodes: tuple[Node, ...], most: int) -> tuple[Node, ...]:
    """The same table with smaller maxima, so that they can be exceeded in a short message."""
    return tuple(replace(node, max=min(node.max, most), children=capped(node.children, most)) for node in nodes)


def mutations(tags: tuple[str, ...], most: int) -> Iterator[Mutation]:
    """Each single mistake in a segment: it is dropped, there are `most` more, a foreign one stands before it, it
    changes places with the next one."""
    for at in range(1, len(tags) - 1):
        before, tag, after = tags[:at], tags[at], tags[at + 1 :]
        yield Mutation("dropped", at, at, before + after)
        yield Mutation("repeated", at + 2, at + 1 + most, before + (tag,) * (most + 1) + after)
        yield Mutation("foreign", at + 1, at + 1, (*before, FOREIGN, tag, *after))
        if after[0] != tag and len(after) > 1:
            yield Mutation("swapped", at, at + 2, (*before, after[0], tag, *after[1:]))


def group_mutations(nodes: tuple[Node, ...], most: int) -> Iterator[Mutation]:
    """Each single mistake in a group, in the message that has every line once: there are `most` more, or it changes
    places with the group behind it."""
    tags = fullest(nodes, 1)
    for siblings in _siblings(nodes, 0):
        for start, end in siblings:
            more = tags[start:end] * most
            yield Mutation("group repeated", end + 1, end + len(more), tags[:start] + more + tags[start:])
        for (start, middle), (again, end) in pairwise(siblings):
            if middle == again and tags[start] != tags[middle]:
                swapped = tags[:start] + tags[middle:end] + tags[start:middle] + tags[end:]
                yield Mutation("group swapped", start, end + 1, swapped)


def _siblings(nodes: tuple[Node, ...], offset: int) -> Iterator[list[tuple[int, int]]]:
    """At each level: where each of its groups begins and ends in the message that has every line once."""
    here = []
    for node in nodes:
        size = len(fullest((node,), 1))
        if node.children:
            here.append((offset, offset + size))
            yield from _siblings(node.children, offset)
        offset += size
    yield here
