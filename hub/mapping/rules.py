"""A mapping file as frozen nodes with positions. YAML 1.2; no aliases, anchors, tags or duplicate keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hub.errors import DeclarationError
from hub.finding import Finding, Place

DEPTH = 20
SIZE = 1_000_000


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a value stands; line and column count from 1."""

    file: str
    line: int
    column: int

    def finding(self, code: str, found: str = "", expected: str = "") -> Finding:
        return Finding(code, Place(file=self.file, line=self.line, column=self.column), found, expected)


@dataclass(frozen=True, slots=True)
class Text:
    """One value as written: `0123` stays `0123`."""

    value: str
    spot: Spot


@dataclass(frozen=True, slots=True)
class Branch:
    """Keys in the order of the file."""

    entries: tuple[tuple[str, Rule], ...]
    spot: Spot


@dataclass(frozen=True, slots=True)
class Listing:
    """Several rules of one key."""

    items: tuple[Rule, ...]
    spot: Spot


Rule = Text | Branch | Listing


def load(path: Path, text: bytes | None = None) -> Branch:
    """The rules in `text`, or in the file. Raises DeclarationError with findings that have line and column."""
    data = path.read_bytes() if text is None else text
    top = Spot(path.name, 1, 1)
    if len(data) > SIZE:
        raise _refused(top, f"{len(data)} bytes", f"at most {SIZE}")
    try:
        source = data.decode("utf-8")
        # Events come before nodes: depth and aliases must be refused while nothing has been built.
        depth = 0
        for event in YAML(typ="rt", pure=True).parse(source):
            kind = type(event).__name__
            depth += kind in ("MappingStartEvent", "SequenceStartEvent")
            depth -= kind in ("MappingEndEvent", "SequenceEndEvent")
            mark = event.start_mark
            spot = Spot(path.name, mark.line + 1, mark.column + 1)
            if depth > DEPTH:
                raise _refused(spot, f"depth {depth}", f"at most {DEPTH}")
            if getattr(event, "anchor", None) or getattr(event, "tag", None):
                raise _refused(spot, "alias, anchor or tag", "plain values")
        node = YAML(typ="rt", pure=True).compose(source)
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        spot = Spot(path.name, mark.line + 1, mark.column + 1) if mark else top
        raise _refused(spot, str(getattr(error, "problem", error)), "YAML 1.2 in UTF-8") from error
    rule = _rule(node, path.name) if node is not None else None
    if not isinstance(rule, Branch):
        raise _refused(top, "no keys", "from, to and document or message")
    return rule


def _refused(spot: Spot, found: str, expected: str) -> DeclarationError:
    place = f"{spot.file}:{spot.line}:{spot.column}"
    return DeclarationError(f"{place}: {found}", (spot.finding("mapping.unreadable", found, expected),))


def _rule(node: Node, file: str) -> Rule:
    spot = Spot(file, node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, ScalarNode):
        return Text(node.value, spot)
    if isinstance(node, SequenceNode):
        return Listing(tuple(_rule(item, file) for item in node.value), spot)
    if not isinstance(node, MappingNode):
        raise _refused(spot, type(node).__name__, "a mapping, a list or a value")
    entries: dict[str, Rule] = {}
    for key, value in node.value:
        at = Spot(file, key.start_mark.line + 1, key.start_mark.column + 1)
        if not isinstance(key, ScalarNode) or key.value in entries:
            raise _refused(at, f"key {key.value}", "each key once")
        entries[key.value] = _rule(value, file)
    return Branch(tuple(entries.items()), spot)
