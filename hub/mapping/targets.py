"""Writing: branches of a mapping file as closures that fill a segment group or write an XML document.

A document is written as text and read once at its end: libxml2 builds a tree from text several times faster than
Python can, element by element.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from lxml import etree

from hub.edifact.model import Group, Segment
from hub.mapping.leaves import is_leaf, leaf
from hub.mapping.path import parse_path
from hub.mapping.plan import EdifactFacts, Emit, Find, Here, Leaf, Run, bad, word
from hub.mapping.rules import Branch, Listing, Rule, Spot, Text
from hub.mapping.sources import find, first, inside, names_of
from hub.xml.schema import Schema

_CONDITION = re.compile(r"(.+?)\s*(!?=)\s*'([^']*)'\s*$")
_GROUP = re.compile(r"SG[0-9]+")
# What XML text cannot hold as it stands, and what no XML 1.0 document can hold at all.
_ODD = re.compile("[^\n !#-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_IMPOSSIBLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\t": "&#9;"})
_OWN = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)

When = Callable[[Run], bool]
Entries = list[tuple[str, Rule]]


def _conditions(rule: Branch, here: Here) -> tuple[Entries, When | None, Find | None, Here]:
    """(children, when, each, here inside)."""
    options = {name: value for name, value in rule.entries if name in ("each", "when")}
    children = [(n.removeprefix("./"), r) for n, r in rule.entries if n not in options]
    each = None
    if "each" in options:
        text = word(options["each"])
        each = find(text, here, options["each"].spot)
        here = inside(here, parse_path(text), options["each"].spot)
    when = _when(options["when"], here) if "when" in options else None
    return children, when, each, here


def _when(rule: Rule, here: Here) -> When:
    text = word(rule)
    compared = _CONDITION.match(text)
    if not compared:
        anything = find(text, here, rule.spot)
        return lambda run: bool(anything(run))
    value = first(compared[1], here, rule.spot)
    wanted, same = compared[3], compared[2] == "="
    return lambda run: (value(run) == wanted) is same


def _looped(one: Emit, when: When | None, each: Find | None) -> Emit:
    """`one` under its condition, once or for each item."""
    if each is None and when is None:
        return one

    def emit(run: Run, parent: Any) -> None:
        if each is None:
            if when is None or when(run):
                one(run, parent)
            return
        for item in each(run):
            run.enter(item)
            if when is None or when(run):
                one(run, parent)
            run.leave()

    return emit


# ---- XML: emits append text to a list


def document(name: str, rule: Branch, here: Here, schema: Schema) -> Emit:
    """The whole document, from its root element on."""
    return _branch(name, rule.entries, here, schema, (name,), f' xmlns="{_escaped(schema.namespace)}"')


def parsed(texts: list[str]) -> etree._Element:
    """The document that was written."""
    return etree.fromstring("".join(texts), _OWN)


def _branch(name: str, entries: Any, here: Here, schema: Schema, path: tuple[str, ...], spaces: str = "") -> Emit:
    made: dict[str, list[Emit]] = {"@": [], "#": [], "": []}
    for child, rule in entries:
        child = child.removeprefix("./")
        made[child[0] if child[0] in "@#" else ""].append(_child(child, rule, here, schema, path))
    attributes, inner = made["@"], (*made["#"], *made[""])
    head, tail = f"<{name}{spaces if schema.namespace else ''}", f"</{name}>"

    def branch(run: Run, texts: list[str]) -> None:
        texts.append(head)
        for attribute in attributes:
            attribute(run, texts)
        texts.append(">")
        for emit in inner:
            emit(run, texts)
        texts.append(tail)

    return branch


def _child(name: str, rule: Rule, here: Here, schema: Schema, path: tuple[str, ...]) -> Emit:
    if not schema.has((*path, name)) and name != "#text":
        near = ", ".join(schema.children(path)[:12])
        raise bad(rule.spot, "/".join((*path, name)), near)
    if name == "#text":
        return _text("", leaf(rule, here), "", rule.spot, path)
    if name[0] == "@":
        return _text(f' {name[1:]}="', leaf(rule, here), '"', rule.spot, (*path, name))
    if is_leaf(rule):
        return _text(f"<{name}>", leaf(rule, here), f"</{name}>", rule.spot, (*path, name))
    if not isinstance(rule, Branch):
        raise bad(rule.spot, "a list", "one value or a branch")
    children, when, each, within = _conditions(rule, here)
    return _looped(_branch(name, children, within, schema, (*path, name)), when, each)


def _text(before: str, value_of: Leaf, behind: str, spot: Spot, path: tuple[str, ...]) -> Emit:
    """One value between `before` and `behind`; nothing when there is none or no XML can hold it."""
    odd, place = _ODD.search, "/".join(path)

    def put(run: Run, texts: list[str]) -> None:
        value = value_of(run)
        if not value:
            return
        if not value.isalnum() and odd(value):
            if _IMPOSSIBLE.search(value):
                run.wrong(spot, place, ascii(value)[1:-1])
                return
            value = _escaped(value)
        texts.append(f"{before}{value}{behind}")

    return put


def _escaped(value: str) -> str:
    return value.translate(_ESCAPES)


# ---- EDIFACT: emits fill a group


def message(rule: Branch, here: Here, facts: EdifactFacts, at: tuple[str, ...] = ()) -> Emit:
    """Fills a segment group: segments by tag, groups by SGn."""
    children, when, each, here = _conditions(rule, here)
    made = tuple(_group_children(children, here, facts, at))

    def emit(run: Run, group: Group) -> None:
        for child in made:
            child(run, group)

    return _looped(emit, when, each)


def _group_children(children: Entries, here: Here, facts: EdifactFacts, at: tuple[str, ...]) -> Iterator[Emit]:
    for name, inner in children:
        if name not in facts.spec.children(at):
            raise bad(inner.spot, "/".join((*at, name)), names_of(facts, at))
        for one in inner.items if isinstance(inner, Listing) else (inner,):
            if not isinstance(one, Branch):
                raise bad(one.spot, name, "a branch")
            yield _subgroup(name, one, here, facts, at) if _GROUP.fullmatch(name) else _segment(name, one, here, facts)


def _subgroup(name: str, rule: Branch, here: Here, facts: EdifactFacts, at: tuple[str, ...]) -> Emit:
    children, when, each, within = _conditions(rule, here)
    fill = message(Branch(tuple(children), rule.spot), within, facts, (*at, name))

    def one(run: Run, parent: Group) -> None:
        group = Group(name)
        fill(run, group)
        if group.parts:
            parent.add(name, group)

    return _looped(one, when, each)


def _segment(tag: str, rule: Branch, here: Here, facts: EdifactFacts) -> Emit:
    """A segment; not written when all that is in it are literals and it could have had more."""
    children, when, each, here = _conditions(rule, here)
    leaves: list[tuple[int, int, str, Leaf]] = []
    for path, inner in children:
        try:
            element, component = facts.directory.component_index(tag, path)
        except KeyError as unknown:
            raise bad(inner.spot, f"{tag}/{path}", str(unknown.args[0])) from unknown
        literal = inner.value[1:] if isinstance(inner, Text) and inner.value.startswith("=") else ""
        leaves.append((element, component, literal, leaf(inner, here)))
    literals = all(literal for _, _, literal, _ in leaves)

    def one(run: Run, group: Group) -> None:
        elements: list[list[str]] = []
        real = literals
        for element, component, literal, value_of in leaves:
            if literal:
                value = literal
            else:
                value = value_of(run)
                if not value:
                    continue
                real = True
            while len(elements) < element:
                elements.append([""])
            parts = elements[element - 1]
            while len(parts) < component:
                parts.append("")
            parts[component - 1] = value
        if real:
            group.add(tag, Segment(tag, elements))

    return _looped(one, when, each)
