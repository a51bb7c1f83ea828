"""The shape of a document as its schema files plainly declare it: what may stand where, once or several times.

What records cannot hold is refused here, before the first document: mixed text, elements in an order of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from lxml import etree

from hub.xml.outline import XS

Value = Literal["", "text", "number", "boolean"]
"""What text an element may have; "" for none."""

_SPACE = "{http://www.w3.org/XML/1998/namespace}"
_MODELS = (f"{XS}sequence", f"{XS}choice", f"{XS}all")
_INTEGERS = ("integer", "long", "int", "short", "byte", "nonNegativeInteger", "positiveInteger", "nonPositiveInteger")
_UNSIGNED = ("negativeInteger", "unsignedLong", "unsignedInt", "unsignedShort", "unsignedByte")
_NUMBERS = {"decimal", "float", "double", *_INTEGERS, *_UNSIGNED}


class Item:
    """What may stand at one place: an element, or an attribute as `@name`.

    `tag` is its name with the namespace. `repeats`: it may be there several times; `optional`: it may be missing."""

    def __init__(self, files: _Files, declared: etree._Element, tag: str, repeats: bool, optional: bool) -> None:
        self._files, self.declared = files, declared
        self.tag, self.repeats, self.optional = tag, repeats, optional
        self.name = tag.rpartition("}")[2]

    @cached_property
    def _content(self) -> _Content:
        return self._files.content(self.declared)

    @property
    def value(self) -> Value:
        return self._content.value

    @property
    def attributes(self) -> dict[str, Item]:
        """By local name, without @."""
        return self._content.attributes

    @property
    def children(self) -> dict[str, Item]:
        """By local name, in the order of the schema."""
        return self._content.children

    def names(self) -> list[str]:
        """Everything that may stand below, attributes as @name."""
        return [*self.children, *(f"@{name}" for name in self.attributes)]

    def step(self, name: str) -> Item | None:
        """What is called `name` right below."""
        return self.attributes.get(name[1:]) if name.startswith("@") else self.children.get(name)


@dataclass(frozen=True, slots=True)
class _Content:
    value: Value
    attributes: dict[str, Item]
    children: dict[str, Item]


def shape(files: Iterable[etree._Element], namespace: str, root: str) -> Item:
    """The root element `root` and all below it. Raises ValueError with what no record can hold."""
    known = _Files(files)
    tag = f"{{{namespace}}}{root}" if namespace else root
    item = Item(known, known.named("element", tag), tag, False, False)
    _walk(item, set())
    return item


def _walk(item: Item, seen: set[etree._Element]) -> None:
    if item.declared not in seen:
        seen.add(item.declared)
        for inner in item.children.values():
            _walk(inner, seen)


class _Files:
    """All global declarations of a schema's files."""

    def __init__(self, files: Iterable[etree._Element]) -> None:
        self._named: dict[tuple[str, str], etree._Element] = {}
        for root in files:
            for part in root.iterchildren(etree.Element):
                if part.tag in (f"{XS}redefine", f"{XS}override") or part.get("substitutionGroup"):
                    raise ValueError(f"{etree.QName(part).localname} {part.get('name', '')}".strip())
                name = part.get("name")
                if name:
                    space = root.get("targetNamespace", "")
                    self._named[etree.QName(part).localname, f"{{{space}}}{name}" if space else name] = part

    def named(self, kind: str, tag: str) -> etree._Element:
        if (kind, tag) not in self._named:
            raise ValueError(f"{kind} {tag}: not declared in these files")
        return self._named[kind, tag]

    def content(self, element: etree._Element) -> _Content:
        """What an element of this declaration, or an attribute of it, may hold."""
        simple, complex_ = element.find(f"{XS}simpleType"), element.find(f"{XS}complexType")
        if simple is not None:
            return _Content(self._simple(simple), {}, {})
        if complex_ is None:
            named = element.get("type")
            if named is None and element.tag == f"{XS}element":
                raise ValueError(f"{element.get('name')} has no type")
            if named is None:
                return _Content("text", {}, {})
            tag = _resolved(element, named)
            if tag.startswith(XS):
                return _Content(_builtin(tag), {}, {})
            if ("simpleType", tag) in self._named:
                return _Content(self._simple(self._named["simpleType", tag]), {}, {})
            complex_ = self.named("complexType", tag)
        return self._complex(complex_)

    def _simple(self, kind: etree._Element) -> Value:
        restriction = kind.find(f"{XS}restriction")
        if restriction is None:  # a list or a union
            return "text"
        base = restriction.get("base")
        if base is None:
            inner = restriction.find(f"{XS}simpleType")
            return "text" if inner is None else self._simple(inner)
        return self._based(restriction, base)

    def _based(self, part: etree._Element, base: str) -> Value:
        tag = _resolved(part, base)
        return _builtin(tag) if tag.startswith(XS) else self._simple(self.named("simpleType", tag))

    def _complex(self, kind: etree._Element) -> _Content:
        if "true" in (kind.get("mixed"), *(one.get("mixed") for one in kind.iterchildren(f"{XS}complexContent"))):
            raise ValueError("text between elements (mixed)")
        for content in kind.iterchildren(f"{XS}simpleContent", f"{XS}complexContent"):
            return self._derived(content)
        children: dict[str, Item] = {}
        self._add(children, kind)
        return _Content("", dict(self._attributes(kind)), children)

    def _derived(self, content: etree._Element) -> _Content:
        """What extends or restricts another type."""
        [way] = content.iterchildren(f"{XS}extension", f"{XS}restriction")
        tag = _resolved(way, way.get("base", ""))
        if ("complexType", tag) in self._named:
            base = self._complex(self._named["complexType", tag])
        else:
            base = _Content(self._based(way, way.get("base", "")), {}, {})
        children = {} if way.tag == f"{XS}restriction" else dict(base.children)
        self._add(children, way)
        return _Content(base.value, {**base.attributes, **dict(self._attributes(way))}, children)

    def _attributes(self, part: etree._Element) -> Iterator[tuple[str, Item]]:
        for one in part.iterchildren(f"{XS}attribute"):
            named, tag = one, one.get("name", "")
            if one.get("ref"):
                tag = _resolved(one, one.get("ref", ""))
                named = self.named("attribute", tag)
            elif one.get("form", one.getroottree().getroot().get("attributeFormDefault")) == "qualified":
                tag = _spaced(one, tag)
            if one.get("use") != "prohibited":
                yield tag.rpartition("}")[2], Item(self, named, tag, False, one.get("use") != "required")
        for group in part.iterchildren(f"{XS}attributeGroup"):
            yield from self._attributes(self.named("attributeGroup", _resolved(group, group.get("ref", ""))))

    def _add(self, children: dict[str, Item], part: etree._Element) -> None:
        for group in part.iterchildren(*_MODELS, f"{XS}group"):
            for item in self._particles(group, False):
                if item.name in children:
                    raise ValueError(f"{item.name} at two places of one element")
                children[item.name] = item

    def _particles(self, group: etree._Element, optional: bool) -> list[Item]:
        """The elements of a group in order, each with how often it may come."""
        if group.get("maxOccurs") == "0":
            return []
        inner: list[Item] = []
        free = optional or group.tag == f"{XS}choice" or group.get("minOccurs") == "0"
        if group.tag == f"{XS}group":
            held = self.named("group", _resolved(group, group.get("ref", "")))
            inner = [item for one in held.iterchildren(*_MODELS) for item in self._particles(one, free)]
        for part in group.iterchildren(f"{XS}element", f"{XS}group", *_MODELS):
            inner += self._element(part, free) if part.tag == f"{XS}element" else self._particles(part, free)
        if group.get("maxOccurs", "1") != "1":
            if len(inner) > 1:
                raise ValueError(f"{', '.join(item.name for item in inner)} in an order of their own")
            for item in inner:
                item.repeats = True
        return inner

    def _element(self, part: etree._Element, optional: bool) -> list[Item]:
        most = part.get("maxOccurs", "1")
        if most == "0":
            return []
        declared, tag = part, part.get("name", "")
        if part.get("ref"):
            tag = _resolved(part, part.get("ref", ""))
            declared = self.named("element", tag)
        elif part.get("form", part.getroottree().getroot().get("elementFormDefault")) == "qualified":
            tag = _spaced(part, tag)
        return [Item(self, declared, tag, most != "1", optional or part.get("minOccurs") == "0")]


def _spaced(part: etree._Element, name: str) -> str:
    space = part.getroottree().getroot().get("targetNamespace", "")
    return f"{{{space}}}{name}" if space else name


def _resolved(part: etree._Element, name: str) -> str:
    """A name of a schema with its namespace instead of its prefix."""
    prefix, _, local = name.rpartition(":")
    if prefix == "xml":
        return f"{_SPACE}{local}"
    space = part.nsmap.get(prefix or None, "")
    return f"{{{space}}}{local}" if space else local


def _builtin(tag: str) -> Value:
    name = tag.removeprefix(XS)
    return "number" if name in _NUMBERS else "boolean" if name == "boolean" else "text"
