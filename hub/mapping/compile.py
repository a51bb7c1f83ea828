"""Mapping files compiled once to closures over native segments and elements: no tree conversion, no expression engine.

A mapping file says `from` (one kind, or aliases with their kinds), `to`, and under `document` (XML) or `message`
(EDIFACT) the output in its own shape. Every leaf says where its value comes from:

    path              BGM/1004, SG1/LOC[3227=11]/C517/3225, Manifest/Vessel/Name, ../Party, call:BGM/1225
    =literal          the text itself
    $name             a value of the context: reference, now, sender, recipient, port, zone, case
    {from: path, as: function, map: table, unknown: keep, default: leaf, cut: n}
    {first: [leaf, …], default: leaf}     {join: [leaf, …], with: " "}     {count: path}

and every branch may say `each: path` (once for each found) and `when: path`, `when: path = 'x'` or `path != 'x'`.
A child whose name is one of these words is written with a leading `./`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from lxml import etree

from hub.edifact.directory import Directory, MessageSpec
from hub.edifact.model import Group, Segment
from hub.errors import DeclarationError
from hub.finding import Finding, Place
from hub.mapping import rules as language
from hub.mapping.functions import FUNCTIONS
from hub.mapping.path import Path, Step, parse_path
from hub.mapping.rules import Branch, Listing, Rule, Spot, Text
from hub.xml.schema import Schema

WORDS = frozenset({"from", "as", "map", "default", "each", "when", "first", "cut", "join", "with", "count", "unknown"})
_CONDITION = re.compile(r"(.+?)\s*(!?=)\s*'([^']*)'\s*$")
Tables = Map[str, Map[str, str]]


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
    """One application: sources by alias, the loop's items from the outermost in, the context, what went wrong."""

    sources: Map[str, Any]
    context: Map[str, str]
    items: list[Any] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


Find = Callable[[Run], list[Any]]
Leaf = Callable[[Run], str]
Emit = Callable[[Run, Any], None]


@dataclass(frozen=True, slots=True)
class Here:
    """Where a rule stands while it is compiled: facts by alias; for each loop (alias, groups below it, segment)."""

    facts: Map[str, Facts]
    tables: Tables
    loops: tuple[tuple[str, tuple[str, ...], str], ...] = ()


@dataclass(frozen=True, slots=True)
class Mapping:
    """A compiled mapping. `sources` is alias -> kind; a single source has the alias ""."""

    sources: dict[str, str]
    target: str
    name: str
    emit: Emit
    make: Callable[[], Any]
    finish: Callable[[Any], Any]

    def apply(self, sources: Map[str, Any], context: Map[str, str]) -> tuple[Any, list[Finding]]:
        """The target (Group or element; None when nothing came out) and what was wrong with values."""
        run = Run(sources, context)
        target = self.make()
        self.emit(run, target)
        return self.finish(target), run.findings


@dataclass(frozen=True, slots=True)
class Rules:
    """A mapping file as read."""

    sources: dict[str, str]
    target: str
    body: Branch
    xml: bool
    name: str


def load(path: FilePath, text: bytes | None = None) -> Rules:
    """Read one mapping file. Raises DeclarationError with findings."""
    entries = dict(language.load(path, text).entries)
    source, target = entries.get("from"), entries.get("to")
    body = entries.get("document") or entries.get("message")
    spot = Spot(str(path), 1, 1)
    if not (source and isinstance(target, Text) and isinstance(body, Branch)):
        raise _bad(spot, "", "from, to, and document or message")
    if isinstance(source, Text):
        return Rules({"": source.value}, target.value, body, "document" in entries, path.name)
    if not isinstance(source, Branch):
        raise _bad(source.spot, "a list", "a kind, or alias: kind")
    names = {alias: kind.value for alias, kind in source.entries if isinstance(kind, Text)}
    return Rules(names, target.value, body, "document" in entries, path.name)


def compile(rules: Rules, sources: Map[str, Facts], target: Facts, tables: Tables) -> Mapping:
    """Closures for `rules`. Raises DeclarationError: one finding with file, line and column for the first mistake."""
    here = Here(sources, tables)
    if isinstance(target, XmlFacts):
        [(name, rule)] = rules.body.entries
        namespace = target.schema.namespace
        if not target.schema.has((name,)) or not isinstance(rule, Branch):
            raise _bad(rule.spot, name, "the root element of " + rules.target)
        inner = _element(rule, here, target.schema, (name,))
        tag = f"{{{namespace}}}{name}" if namespace else name
        spaces: Any = {None: namespace} if namespace else None
        return Mapping(rules.sources, rules.target, rules.name, inner, lambda: etree.Element(tag, nsmap=spaces), _same)
    emit = _group(rules.body, here, target, ())
    return Mapping(rules.sources, rules.target, rules.name, emit, lambda: Group(""), _same)


def reader(text: str, facts: Facts, below: str = "") -> Callable[[Any], list[Any]]:
    """A path as a function of one node; `below` is the path of the loop that it stands in."""
    here = Here({"": facts}, {})
    spot = Spot(text, 1, 1)
    if below:
        here = _inside(here, parse_path(below), spot)
    find = _find(text, here, spot)
    return lambda node: find(Run({"": node}, {}, [node] if below else []))


def _same(target: Any) -> Any:
    return target


def _bad(spot: Spot, found: str, expected: str) -> DeclarationError:
    return DeclarationError(f"{spot.file}:{spot.line}", (spot.finding("mapping.unreadable", found, expected),))


# ---- reading: paths


def _find(text: str, here: Here, spot: Spot) -> Find:
    """A closure that gives everything at a path: strings, composites (lists), segments, groups or elements."""
    if text == ".":
        return lambda run: [run.items[-1]]
    try:
        path = parse_path(text)
        start, groups, tag, alias = _start(path, here)
        facts = here.facts[alias]
        steps = path.steps
        if isinstance(facts, XmlFacts):
            return _find_xml(start, steps, facts.schema, groups)
        return _find_edifact(start, steps, facts, groups, tag)
    except (KeyError, ValueError) as fault:
        raise _bad(spot, text, str(fault.args[0] if fault.args else fault)) from fault


def _start(path: Path, here: Here) -> tuple[Callable[[Run], Any], tuple[str, ...], str, str]:
    """(where a path begins, the groups or elements above it, the segment it is in, the source's alias)."""
    if path.source or path.root or not here.loops or path.up >= len(here.loops):
        alias = path.source or (here.loops[0][0] if here.loops else next(iter(here.facts)))
        if alias not in here.facts:
            raise ValueError(f"no source {alias}; there are {', '.join(here.facts)}")
        return (lambda run: run.sources[alias]), (), "", alias
    depth = len(here.loops) - 1 - path.up
    alias, groups, tag = here.loops[depth]
    return (lambda run: run.items[depth]), groups, tag, alias


def _inside(here: Here, path: Path, spot: Spot) -> Here:
    """`here` within a loop over `path`."""
    try:
        _, groups, _, alias = _start(path, here)
    except ValueError as fault:
        raise _bad(spot, str(path), str(fault)) from fault
    names = [step.name for step in path.steps]
    tag = ""
    if isinstance(here.facts[alias], EdifactFacts):
        if not names[-1].startswith("SG") or not names[-1][2:].isdigit():
            tag = names.pop()
        loop = (alias, (*groups, *names), tag)
    else:
        loop = (alias, (*groups, *names), "")
    return Here(here.facts, here.tables, (*here.loops, loop))


def _find_xml(start: Callable[[Run], Any], steps: tuple[Step, ...], schema: Schema, above: tuple[str, ...]) -> Find:
    names = tuple(step.name for step in steps)
    if not schema.has((*above, *names)):
        near = ", ".join(schema.children((*above, *names[:-1]))[:12])
        raise ValueError(f"the schema has no {'/'.join((*above, *names))}; there is {near}")
    skip = 0 if above else 1  # at the top the first step is the root element itself
    prefix = f"{{{schema.namespace}}}" if schema.namespace else ""
    walk = [(prefix + s.name, [(prefix + k, v) for k, v in s.tests], s.name) for s in steps[skip:]]

    def find(run: Run) -> list[Any]:
        nodes = [start(run)]
        for tag, tests, name in walk:
            if name[0] == "@":
                return [value for node in nodes if (value := node.get(name[1:])) is not None]
            nodes = [child for node in nodes for child in node.iterchildren(tag)]
            if tests:
                nodes = [n for n in nodes if all(n.findtext(k) == v for k, v in tests)]
        return nodes

    return find


def _find_edifact(
    start: Callable[[Run], Any], steps: tuple[Step, ...], facts: EdifactFacts, above: tuple[str, ...], tag: str
) -> Find:
    groups: list[tuple[str, list[Any]]] = []
    rest = list(steps)
    if not tag:
        at = above
        while rest and rest[0].name not in facts.spec.children(at):
            raise ValueError(f"{rest[0].name} is not in {'/'.join(at) or facts.spec.type}: {_list(facts, at)}")
        while rest and re.fullmatch(r"SG[0-9]+", rest[0].name):
            at = (*at, rest[0].name)
            groups.append((rest.pop(0).name, []))
            if rest and rest[0].name not in facts.spec.children(at):
                raise ValueError(f"{rest[0].name} is not in {'/'.join(at)}: {_list(facts, at)}")
        if rest:
            step = rest.pop(0)
            tag = step.name
            tests = [(_place(facts, tag, inner), value) for inner, value in step.tests]
            groups.append((tag, tests))
    where = _place(facts, tag, "/".join(_written(s) for s in rest)) if rest else None
    return _walk(start, groups, where)


def _list(facts: EdifactFacts, at: tuple[str, ...]) -> str:
    return " ".join(facts.spec.children(at))


def _written(step: Step) -> str:
    return f"{step.name}#{step.nth}" if step.nth > 1 else step.name


def _place(facts: EdifactFacts, tag: str, path: str) -> tuple[int, int]:
    """(element, component) of a component path; component 0 for a whole composite."""
    if re.fullmatch(r"C[0-9]{3}", path):
        for number, spec in enumerate(facts.directory.segment(tag), 1):
            if spec.id == path:
                return number, 0
    return facts.directory.component_index(tag, path)


def _walk(start: Callable[[Run], Any], groups: list[tuple[str, list[Any]]], where: tuple[int, int] | None) -> Find:
    def find(run: Run) -> list[Any]:
        nodes = [start(run)]
        for key, tests in groups:
            nodes = [part for node in nodes for part in node.parts.get(key, ())]
            if tests:
                nodes = [n for n in nodes if all(n.get(*at) == value for at, value in tests)]
        if where is None:
            return nodes
        element, component = where
        if component:
            return [value for node in nodes if (value := node.get(element, component))]
        return [node.elements[element - 1] for node in nodes if len(node.elements) >= element]

    return find


# ---- leaves


def text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return str(value[0]) if value else ""
    return (value.text or "").strip()


def _leaf(rule: Rule, here: Here) -> Leaf:
    """The closure of one value; "" when there is none."""
    if isinstance(rule, Text):
        return _plain(rule, here)
    if isinstance(rule, Listing):
        raise _bad(rule.spot, "a list", "one value")
    options = dict(rule.entries)
    unknown = [name for name in options if name not in WORDS]
    if unknown:
        raise _bad(rule.spot, unknown[0], ", ".join(sorted(WORDS)))
    if "first" in options:
        return _first(options, here)
    if "join" in options:
        return _join(options, here)
    if "count" in options:
        find = _find(_word(options["count"]), here, rule.spot)
        return lambda run: str(len(find(run)))
    if "from" not in options:
        raise _bad(rule.spot, ", ".join(options), "from, first, join or count")
    return _from(options, here, rule.spot)


def _word(rule: Rule) -> str:
    if not isinstance(rule, Text):
        raise _bad(rule.spot, "a branch", "one word")
    return rule.value


def _plain(rule: Text, here: Here) -> Leaf:
    text = rule.value
    if text.startswith("="):
        literal = text[1:]
        return lambda run: literal
    if text.startswith("$"):
        name = text[1:]
        return lambda run: run.context[name]
    find = _find(text, here, rule.spot)

    def leaf(run: Run) -> str:
        found = find(run)
        return text_of(found[0]) if found else ""

    return leaf


def _list_of(rule: Rule, here: Here) -> list[Leaf]:
    if not isinstance(rule, Listing):
        raise _bad(rule.spot, "one value", "a list")
    return [_leaf(item, here) for item in rule.items]


def _first(options: dict[str, Rule], here: Here) -> Leaf:
    leaves = _list_of(options["first"], here)
    if "default" in options:
        leaves.append(_leaf(options["default"], here))
    return lambda run: next((value for leaf in leaves if (value := leaf(run))), "")


def _join(options: dict[str, Rule], here: Here) -> Leaf:
    leaves = _list_of(options["join"], here)
    between = _word(options["with"]) if "with" in options else ""
    return lambda run: between.join(value for leaf in leaves if (value := leaf(run)))


def _from(options: dict[str, Rule], here: Here, spot: Spot) -> Leaf:
    text = _word(options["from"])
    if text[:1] in "=$":
        plain = _plain(Text(text, spot), here)
        find: Find = lambda run: [plain(run)]  # noqa: E731
    else:
        find = _find(text, here, spot)
    function = table = None
    if "as" in options:
        name = _word(options["as"])
        if name not in FUNCTIONS:
            raise _bad(options["as"].spot, name, ", ".join(sorted(FUNCTIONS)))
        function = FUNCTIONS[name]
    if "map" in options:
        name = _word(options["map"])
        if name not in here.tables:
            raise _bad(options["map"].spot, name, ", ".join(sorted(here.tables)))
        table = here.tables[name]
    default = _leaf(options["default"], here) if "default" in options else None
    cut = int(_word(options["cut"])) if "cut" in options else None
    keep = "unknown" in options and _word(options["unknown"]) == "keep"

    def leaf(run: Run) -> str:
        found = find(run)
        raw = found[0] if found else ""
        value = text_of(raw)
        if function is not None and (value or isinstance(raw, list)):
            try:
                value = function(raw if isinstance(raw, list) else [value], run.context)
            except ValueError as fault:
                run.findings.append(_wrong(spot, text, str(fault)))
                return ""
        if table is not None and value:
            known = table.get(value)
            if known is None and not keep:
                run.findings.append(_wrong(spot, text, value))
                return ""
            value = known or value
        if not value and default is not None:
            value = default(run)
        return value[:cut] if cut else value

    return leaf


def _wrong(spot: Spot, path: str, value: str) -> Finding:
    return Finding("mapping.value", Place(path=path), value, f"{spot.file}:{spot.line}")


# ---- branches


def _conditions(
    rule: Branch, here: Here
) -> tuple[list[tuple[str, Rule]], Callable[[Run], bool] | None, Find | None, Here]:
    """(children, when, each, here inside)."""
    options = {name: value for name, value in rule.entries if name in ("each", "when")}
    children = [(n.removeprefix("./"), r) for n, r in rule.entries if n not in options]
    each = None
    if "each" in options:
        text = _word(options["each"])
        each = _find(text, here, options["each"].spot)
        here = _inside(here, parse_path(text), options["each"].spot)
    when = _when(options["when"], here) if "when" in options else None
    return children, when, each, here


def _when(rule: Rule, here: Here) -> Callable[[Run], bool]:
    text = _word(rule)
    compared = _CONDITION.match(text)
    if not compared:
        find = _find(text, here, rule.spot)
        return lambda run: bool(find(run))
    find = _find(compared[1], here, rule.spot)
    wanted, same = compared[3], compared[2] == "="

    def holds(run: Run) -> bool:
        found = find(run)
        return ((text_of(found[0]) if found else "") == wanted) is same

    return holds


def _looped(one: Emit, when: Callable[[Run], bool] | None, each: Find | None) -> Emit:
    """`one` under its condition, once or for each item."""

    def emit(run: Run, parent: Any) -> None:
        if each is None:
            if when is None or when(run):
                one(run, parent)
            return
        for item in each(run):
            run.items.append(item)
            if when is None or when(run):
                one(run, parent)
            run.items.pop()

    return emit


def _is_leaf(rule: Rule) -> bool:
    if isinstance(rule, Branch):
        return any(name in ("from", "first", "join", "count") for name, _ in rule.entries)
    return isinstance(rule, Text)


def _element(rule: Branch, here: Here, schema: Schema, path: tuple[str, ...]) -> Emit:
    """Fills the element at `path` with its children."""
    made = [_child(name, inner, here, schema, path) for name, inner in rule.entries]

    def emit(run: Run, element: Any) -> None:
        for child in made:
            child(run, element)

    return emit


def _child(name: str, rule: Rule, here: Here, schema: Schema, path: tuple[str, ...]) -> Emit:
    name = name.removeprefix("./")
    if not schema.has((*path, name)) and name != "#text":
        near = ", ".join(schema.children(path)[:12])
        raise _bad(rule.spot, "/".join((*path, name)), near)
    if name == "#text" or name[0] == "@":
        return _attribute(name, _leaf(rule, here))
    tag = f"{{{schema.namespace}}}{name}" if schema.namespace else name
    if _is_leaf(rule):
        leaf = _leaf(rule, here)

        def put(run: Run, parent: Any) -> None:
            value = leaf(run)
            if value:
                etree.SubElement(parent, tag).text = value

        return put
    if not isinstance(rule, Branch):
        raise _bad(rule.spot, "a list", "one value or a branch")
    children, when, each, inside = _conditions(rule, here)
    made = [_child(n, r, inside, schema, (*path, name)) for n, r in children]

    def branch(run: Run, parent: Any) -> None:
        element = etree.SubElement(parent, tag)
        for child in made:
            child(run, element)

    return _looped(branch, when, each)


def _attribute(name: str, leaf: Leaf) -> Emit:
    def put(run: Run, element: Any) -> None:
        value = leaf(run)
        if name == "#text":
            element.text = value
        elif value:
            element.set(name[1:], value)

    return put


def _group(rule: Branch, here: Here, facts: EdifactFacts, at: tuple[str, ...]) -> Emit:
    """Fills a segment group: segments by tag, groups by SGn."""
    children, when, each, here = _conditions(rule, here)
    made: list[Emit] = []
    for name, inner in children:
        if name not in facts.spec.children(at):
            raise _bad(inner.spot, "/".join((*at, name)), _list(facts, at))
        for one in inner.items if isinstance(inner, Listing) else (inner,):
            if not isinstance(one, Branch):
                raise _bad(one.spot, name, "a branch")
            is_group = re.fullmatch(r"SG[0-9]+", name)
            made.append(_subgroup(name, one, here, facts, at) if is_group else _segment(name, one, here, facts))

    def emit(run: Run, group: Group) -> None:
        for child in made:
            child(run, group)

    return _looped(emit, when, each)


def _subgroup(name: str, rule: Branch, here: Here, facts: EdifactFacts, at: tuple[str, ...]) -> Emit:
    children, when, each, inside = _conditions(rule, here)
    fill = _group(Branch(tuple(children), rule.spot), inside, facts, (*at, name))

    def one(run: Run, parent: Group) -> None:
        group = Group(name)
        fill(run, group)
        if group.parts:
            parent.add(name, group)

    return _looped(one, when, each)


def _segment(tag: str, rule: Branch, here: Here, facts: EdifactFacts) -> Emit:
    children, when, each, here = _conditions(rule, here)
    leaves: list[tuple[int, int, Leaf, bool]] = []
    for path, inner in children:
        try:
            element, component = facts.directory.component_index(tag, path)
        except KeyError as unknown:
            raise _bad(inner.spot, f"{tag}/{path}", str(unknown.args[0])) from unknown
        constant = isinstance(inner, Text) and inner.value.startswith("=")
        leaves.append((element, component, _leaf(inner, here), constant))

    def one(run: Run, group: Group) -> None:
        elements: list[list[str]] = []
        real = False
        for element, component, leaf, constant in leaves:
            value = leaf(run)
            if not value:
                continue
            real = real or not constant
            elements.extend([""] for _ in range(element - len(elements)))
            parts = elements[element - 1]
            parts.extend("" for _ in range(component - len(parts)))
            parts[component - 1] = value
        if real or all(constant for *_, constant in leaves):
            group.add(tag, Segment(tag, elements))

    return _looped(one, when, each)
