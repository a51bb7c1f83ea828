"""What schema files say of children (how often) and of values (which), read from the files themselves.

What is declared by other means than these (redefinition, restriction of content, substitution) is not known, and of
what is not known nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache

from lxml import etree

from hub.mapping import numbers
from hub.mapping.checking.domain import Domain
from hub.mapping.checking.widths import width
from hub.xml.outline import XS
from hub.xml.schema import Schema

MANY = 1_000_000_000
_SPACE = XS[1:-1]
_WIDE = Domain(wide=True)
_INTEGER = Domain("integer", decimals=0)
_BUILT_IN = {
    "string": _WIDE,
    "normalizedString": _WIDE,
    "token": _WIDE,
    "anyURI": _WIDE,
    "decimal": Domain("decimal"),
    "integer": _INTEGER,
    "long": _INTEGER,
    "int": _INTEGER,
    "short": _INTEGER,
    "byte": replace(_INTEGER, low=Decimal(-128), high=Decimal(127)),
    "nonNegativeInteger": replace(_INTEGER, low=Decimal(0)),
    "positiveInteger": replace(_INTEGER, low=Decimal(1)),
    "unsignedInt": replace(_INTEGER, low=Decimal(0)),
    "unsignedShort": replace(_INTEGER, low=Decimal(0), high=Decimal(65535)),
    "boolean": Domain(codes=frozenset(("true", "false", "1", "0"))),
    "date": Domain("date"),
    "dateTime": Domain("date-time"),
}


@dataclass(frozen=True, slots=True)
class Count:
    """How often a child may be there."""

    least: int
    most: int


class Particles:
    """One schema. Paths are local names from the root element down, attributes as @name."""

    def __init__(self, schema: Schema) -> None:
        self._namespace = schema.namespace
        self._named: dict[tuple[str, str], etree._Element] = {}
        self._elements: dict[tuple[str, ...], etree._Element | None] = {}
        self._counts: dict[tuple[str, ...], dict[str, Count] | None] = {}
        for root in schema.files:
            if root.find(f"{XS}redefine") is not None or root.find(f"{XS}override") is not None:
                self._named.clear()
                break
            for part in root.iterchildren():
                if part.get("name"):
                    self._named[str(part.tag), f"{{{root.get('targetNamespace', '')}}}{part.get('name')}"] = part

    def children(self, path: tuple[str, ...]) -> dict[str, Count] | None:
        """Children and attributes of the element at `path` with how often they may be there; None: not known."""
        if path not in self._counts:
            element = self._element(path)
            self._counts[path] = None if element is None else self._counted(element)
        return self._counts[path]

    def value(self, path: tuple[str, ...]) -> Domain | None:
        """The text of the element or attribute at `path`; None when it has none or it is not known."""
        if path[-1] == "#text":
            path = path[:-1]
        if path[-1].startswith("@"):
            element = self._element(path[:-1])
            for one in () if element is None else self._attributes(element):
                if one.get("name") == path[-1][1:]:
                    return self._typed(one)
            return None
        element = self._element(path)
        return None if element is None else self._typed(element)

    def choices(self, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Names of which the element at `path` must have one."""
        element = self._element(path)
        return [] if element is None else [one for body in self._bodies(element) for one in self._chosen(body)]

    # ---- elements

    def _element(self, path: tuple[str, ...]) -> etree._Element | None:
        if path not in self._elements:
            self._elements[path] = self._find(path)
        return self._elements[path]

    def _find(self, path: tuple[str, ...]) -> etree._Element | None:
        if len(path) < 2:
            return self._named.get((f"{XS}element", f"{{{self._namespace}}}{''.join(path)}"))
        above = self._element(path[:-1])
        for one, _ in () if above is None else self._particles(above) or ():
            if one.get("name") == path[-1]:
                return one
        return None

    def _counted(self, element: etree._Element) -> dict[str, Count] | None:
        particles = self._particles(element)
        if particles is None:
            return None
        counts: dict[str, Count] = {}
        for one, count in particles:
            before = counts.get(one.get("name", ""), Count(0, 0))
            counts[one.get("name", "")] = Count(before.least + count.least, min(before.most + count.most, MANY))
        for one in self._attributes(element):
            if one.get("use") != "prohibited":
                counts[f"@{one.get('name')}"] = Count(int(one.get("use") == "required"), 1)
        return counts

    def _particles(self, element: etree._Element) -> list[tuple[etree._Element, Count]] | None:
        """The elements that the type of `element` declares; None when it does so by means not known here."""
        found: list[tuple[etree._Element, Count]] = []
        for body in self._bodies(element):
            if body.tag == f"{XS}restriction" and body.getparent().tag == f"{XS}complexContent":  # type: ignore[union-attr]
                return None
            for model in body.iterchildren(f"{XS}sequence", f"{XS}choice", f"{XS}all", f"{XS}group"):
                found += self._model(model, Count(1, 1))
        return found

    def _model(self, model: etree._Element, around: Count) -> Iterator[tuple[etree._Element, Count]]:
        here = _times(around, model)
        if model.tag == f"{XS}element":
            one = self._referred(model, "ref", "element") if model.get("ref") else model
            if one is not None and here.most:
                yield one, here
            return
        if model.tag == f"{XS}group":
            model = self._referred(model, "ref", "group") if model.get("ref") else model  # type: ignore[assignment]
            inner = here
        else:
            inner = Count(0, here.most) if model.tag == f"{XS}choice" and len(model) > 1 else here
        for part in (
            ()
            if model is None
            else model.iterchildren(f"{XS}element", f"{XS}sequence", f"{XS}choice", f"{XS}all", f"{XS}group")
        ):
            yield from self._model(part, inner)

    def _chosen(self, around: etree._Element) -> Iterator[tuple[str, ...]]:
        for model in around.iterchildren(f"{XS}sequence", f"{XS}choice"):
            if model.get("minOccurs") == "0":
                continue
            if model.tag == f"{XS}sequence":
                yield from self._chosen(model)
            elif all(one.tag == f"{XS}element" and one.get("minOccurs") != "0" for one in model.iterchildren("{*}*")):
                names = (one.get("name", one.get("ref", "")) for one in model.iterchildren("{*}*"))
                yield tuple(name.rpartition(":")[2] for name in names)

    def _bodies(self, element: etree._Element) -> Iterator[etree._Element]:
        """The complex type of an element and all that it extends."""
        held = element.find(f"{XS}complexType")
        if held is None:
            held = self._referred(element, "type", "complexType")
        seen: list[etree._Element] = []
        while held is not None and held not in seen:
            seen.append(held)
            derived = next(held.iterfind(f"{XS}complexContent/*"), None)
            if derived is None:
                derived = next(held.iterfind(f"{XS}simpleContent/*"), None)
            yield held if derived is None else derived
            held = None if derived is None else self._referred(derived, "base", "complexType")

    def _attributes(self, element: etree._Element) -> Iterator[etree._Element]:
        for body in self._bodies(element):
            for part in body.iterchildren(f"{XS}attribute", f"{XS}attributeGroup"):
                group = self._referred(part, "ref", "attributeGroup") if part.tag == f"{XS}attributeGroup" else None
                yield from part.iterchildren() if part.tag != f"{XS}attribute" and group is None else ()
                for one in (part,) if group is None else group.iterchildren(f"{XS}attribute"):
                    if one.get("ref"):
                        referred = self._referred(one, "ref", "attribute")
                        name = one.get("ref", "").rpartition(":")[2]
                        yield _named_attribute(name, one, referred)
                    elif one.tag == f"{XS}attribute":
                        yield one

    # ---- values

    def _typed(self, part: etree._Element) -> Domain | None:
        inner = part.find(f"{XS}simpleType")
        if inner is not None:
            return self._simple(inner)
        if part.get("type"):
            return self._by_name(part, "type")
        for body in self._bodies(part):
            if body.getparent() is not None and body.getparent().tag == f"{XS}simpleContent":  # type: ignore[union-attr]
                return self._by_name(body, "base")
        return None

    def _by_name(self, part: etree._Element, attribute: str) -> Domain | None:
        prefix, _, name = part.get(attribute, "").rpartition(":")
        if part.nsmap.get(prefix or None) == _SPACE:
            return _BUILT_IN.get(name, Domain("any"))
        simple = self._referred(part, attribute, "simpleType")
        if simple is not None:
            return self._simple(simple)
        complex = self._referred(part, attribute, "complexType")
        content = None if complex is None else next(complex.iterfind(f"{XS}simpleContent/*"), None)
        return None if content is None else self._by_name(content, "base")

    @lru_cache(maxsize=1024)  # noqa: B019 (as long as the schema)
    def _simple(self, simple: etree._Element) -> Domain:
        rule = simple.find(f"{XS}restriction")
        if rule is None:
            return Domain("any")
        inner = rule.find(f"{XS}simpleType")
        base = self._simple(inner) if inner is not None else self._by_name(rule, "base")
        if base is None or base.form == "any":
            return Domain("any")
        made = _restricted(base, rule)
        return replace(made, name=simple.get("name", "")) if made.patterns != base.patterns else made

    def _referred(self, part: etree._Element, attribute: str, kind: str) -> etree._Element | None:
        prefix, _, name = part.get(attribute, "").rpartition(":")
        return self._named.get((f"{XS}{kind}", f"{{{part.nsmap.get(prefix or None, '')}}}{name}"))


def _named_attribute(name: str, use: etree._Element, referred: etree._Element | None) -> etree._Element:
    """An xs:attribute for a reference to one."""
    made: etree._Element = etree.Element(f"{XS}attribute", nsmap={} if referred is None else dict(referred.nsmap))  # type: ignore[arg-type]
    for key, value in (("name", name), ("use", use.get("use", "")), ("type", "")):
        if value:
            made.set(key, value)
    if referred is not None and referred.get("type"):
        made.set("type", referred.get("type", ""))
    return made


def _times(around: Count, part: etree._Element) -> Count:
    least, most = part.get("minOccurs", "1"), part.get("maxOccurs", "1")
    bound = MANY if most == "unbounded" else int(most)
    return Count(around.least * int(least), min(around.most * bound, MANY))


def _restricted(base: Domain, rule: etree._Element) -> Domain:
    codes = [one.get("value", "") for one in rule.iterchildren(f"{XS}enumeration")]
    patterns = tuple(one.get("value", "") for one in rule.iterchildren(f"{XS}pattern"))
    made = replace(base, name="")
    if codes:
        least, most = min(map(len, codes)), max(map(len, codes))
        made = replace(made, codes=frozenset(codes), least=least, most=most, wide=False)
    if patterns:
        widths = [width(one) for one in patterns]
        most = max(most for _, most in widths) if all(most for _, most in widths) else made.most
        least = max(made.least, min(least for least, _ in widths))
        made = replace(made, patterns=(*base.patterns, patterns), least=least, most=most, wide=False)
    for facet in rule.iterchildren():
        name, value = (
            etree.QName(facet).localname,
            numbers.maybe(facet.get("value", "")) if facet.get("value") else None,
        )
        if value is None:
            continue
        if name in ("length", "maxLength"):
            made = replace(made, most=int(value))
        if name in ("length", "minLength"):
            made = replace(made, least=int(value))
        if name == "totalDigits":
            made = replace(made, digits=int(value))
        if name == "fractionDigits":
            made = replace(made, decimals=int(value))
        if name == "minInclusive":
            made = replace(made, low=value)
        if name == "maxInclusive":
            made = replace(made, high=value)
    return made


@lru_cache(maxsize=64)
def particles(schema: Schema) -> Particles:
    """Those of a schema, read once."""
    return Particles(schema)
