"""Writing XML: branches of a mapping file as closures that append text to a list.

A document is written as text and read once at its end: libxml2 builds a tree from text several times faster than
Python can, element by element.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lxml import etree

from hub.mapping import lineage
from hub.mapping.branches import OPTIONS, Scope, chosen, is_choice, learn, learnt, looped, scope
from hub.mapping.leaves import HEADS, is_leaf, value
from hub.mapping.narrow import fit, policies
from hub.mapping.plan import LONG, Emit, Here, Leaf, Run, bad, like
from hub.mapping.rules import Branch, Listing, Rule, Spot, without
from hub.mapping.spread import fitting, is_spread, lines, spread
from hub.xml.schema import Schema

# What XML text cannot hold as it stands, and what no XML 1.0 document can hold at all.
_ODD = re.compile("[^\n !#-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_IMPOSSIBLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\t": "&#9;"})
_OWN = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)


@dataclass(frozen=True, slots=True)
class _At:
    """Where a rule writes: the element's path, and whether another rule writes the same name beside it."""

    schema: Schema
    path: tuple[str, ...]
    several: bool = False

    @property
    def target(self) -> str:
        return "/".join(name for name in self.path if name != "#text")


def document(name: str, rule: Branch, here: Here, schema: Schema) -> Emit:
    """The whole document, from its root element on. Raises DeclarationError."""
    for option, key in zip((option for option, _ in rule.entries), rule.keys, strict=False):
        if option in OPTIONS:
            raise bad(key, option, "below the root element, or split: for several documents")
    emit = _branch(name, rule, here, _At(schema, (name,)), f' xmlns="{_escaped(schema.namespace)}"')
    return lineage.branched(emit, name, False) if here.traced else emit


def parsed(texts: list[str]) -> etree._Element:
    """The document that was written."""
    return etree.fromstring("".join(texts), _OWN)


def _branch(name: str, rule: Rule, here: Here, at: _At, spaces: str = "") -> Emit:
    if not isinstance(rule, Branch):
        raise bad(rule.spot, "a list", "one value or a branch")
    made: dict[str, list[Emit]] = {"@": [], "#": [], "": []}
    for (child, inner), key in zip(rule.entries, rule.keys or (rule.spot,) * len(rule.entries), strict=True):
        child = child.removeprefix("./")
        kind = child[:1] if child[:1] in "@#" else ""
        made[kind].append(learnt(here, lambda n=child, r=inner, k=key: _child(n, r, k, here, at)))  # type: ignore[misc]
    attributes, inside = made["@"], (*made["#"], *made[""])
    head, tail = f"<{name}{spaces if at.schema.namespace else ''}", f"</{name}>"

    def branch(run: Run, texts: list[str]) -> None:
        texts.append(head)
        for attribute in attributes:
            attribute(run, texts)
        texts.append(">")
        for emit in inside:
            emit(run, texts)
        texts.append(tail)

    return branch


def _child(name: str, rule: Rule, key: Spot, here: Here, above: _At) -> Emit:
    """Everything that is written under one name."""
    at = _At(above.schema, (*above.path, name), isinstance(rule, Listing))
    if name != "#text" and not at.schema.has(at.path):
        raise bad(key, at.target, like(name, at.schema.children(above.path) or HEADS))
    if name[0] in "@#":
        if isinstance(rule, Branch) and "each" in dict(rule.entries):
            raise bad(rule.spot, "each", "an element, which may be there several times")
        ends = (f' {name[1:]}="', '"') if name[0] == "@" else ("", "")
        return _value(rule, here, at, *ends)
    if not isinstance(rule, Listing):
        return _element(name, rule, here, at)
    several = [_element(name, item, here, at) for item in rule.items]

    def emit(run: Run, texts: list[str]) -> None:
        for one in several:
            one(run, texts)

    return emit


def _element(name: str, rule: Rule, here: Here, at: _At) -> Emit:
    around, before = None, len(here.book.rules)
    if isinstance(rule, Branch) and any(option in OPTIONS for option, _ in rule.entries):
        around, rule = scope(rule, here, at.target)
        here, at = around.here, replace(at, several=at.several or around.several)
    return _looped(_content(name, rule, here, at), around, here, before)


def _looped(one: Emit, around: Scope | None, here: Here, before: int) -> Emit:
    return looped(one, around, len(here.book.rules) - before) if around else one


def _content(name: str, rule: Rule, here: Here, at: _At) -> Emit:
    """One element: a choice, one or several values, or a branch."""
    if is_choice(rule) and not is_leaf(rule) and isinstance(rule, Branch):
        return chosen(rule, here, lambda item, within: _element(name, item, within, at))
    if isinstance(rule, Branch) and is_spread(rule):
        return _spread(name, rule, here, at)
    if is_leaf(rule):
        return _value(rule, here, at, f"<{name}>", f"</{name}>")
    emit = _branch(name, rule, here, at)
    return lineage.branched(emit, name, at.several) if here.traced else emit


# ---- values


def _value(rule: Rule, here: Here, at: _At, before: str, behind: str) -> Emit:
    made = value(rule, here)
    policy = policies(dict(rule.entries).get("narrow")) if isinstance(rule, Branch) else ("reject",)
    learn(here, at.target, rule.spot, made, policy)
    leaf = made.leaf
    if policy != ("reject",):
        leaf = _narrowed(leaf, policy, rule.spot, at)
    name = at.path[-1] if at.path[-1] != "#text" else ""
    if here.traced:
        put = _text(before, lineage.kept(leaf), behind, rule.spot, at.target)
        return lineage.texted(put, name, rule.spot, at.several)
    return _text(before, leaf, behind, rule.spot, at.target)


def _narrowed(leaf: Leaf, policy: tuple[str, ...], spot: Spot, at: _At) -> Leaf:
    most = at.schema.longest(at.path)
    if "transliterate" in policy:
        raise bad(spot, "transliterate", "truncate or reject: XML holds every letter")
    if not most:
        raise bad(spot, "truncate", f"a length of {at.target} in the schema, or cut: characters")
    fitted = fit(policy, most, False, spot, at.target)

    def value(run: Run) -> str:
        text = leaf(run)
        return fitted(run, text) if len(text) > most else text

    return value


def _text(before: str, value_of: Leaf, behind: str, spot: Spot, place: str) -> Emit:
    """One value between `before` and `behind`; nothing when there is none or no XML can hold it."""
    odd = _ODD.search

    def put(run: Run, texts: list[str]) -> None:
        value = value_of(run)
        if not value:
            return
        if not value.isalnum() and odd(value):
            if _IMPOSSIBLE.search(value):
                run.wrong(spot, place, ascii(value)[1:-1])
                return
            value = _escaped(value)
        if len(value) > LONG and not run.afford(len(value), spot):
            return
        texts.append(f"{before}{value}{behind}")

    return put


def _escaped(value: str) -> str:
    return value.translate(_ESCAPES)


def _spread(name: str, rule: Branch, here: Here, at: _At) -> Emit:
    """One element for each line."""
    policy = policies(dict(rule.entries).get("narrow"))
    spec = spread(without(rule, ("narrow",)), here, at.schema.longest(at.path), 0)
    learn(here, at.target, rule.spot, spec.value, policy)
    texts_of = lineage.kept(spec.value.leaf) if here.traced else spec.value.leaf

    slot = len(here.shared)
    here.shared["spread", slot] = texts_of

    def line(run: Run) -> str:
        return str(run.seen[-1][slot])

    put = _text(f"<{name}>", line, f"</{name}>", rule.spot, at.target)
    if here.traced:
        put = lineage.texted(put, name, rule.spot, True)

    def emit(run: Run, texts: list[str]) -> None:
        for one in fitting(run, lines(texts_of(run), spec.width), spec.times, policy, spec, at.target):
            run.seen[-1][slot] = one
            put(run, texts)

    return emit
