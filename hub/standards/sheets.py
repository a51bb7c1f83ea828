"""What the reference of the standards shows, as plain values: documents read from their schemas by xmlschema, guides.

xmlschema knows all of XML Schema and takes its time; nothing that judges messages comes this way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hub.standards import identifiers

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_XS = "{http://www.w3.org/2001/XMLSchema}"
_LONGEST = 40  # levels of a document that holds itself

Texts = tuple[str, str]
"""The same in Chinese and in English."""


@dataclass(frozen=True, slots=True)
class Row:
    """One element or attribute (`@name`). `occurs` is 1, 0..1, 1..n, 0..n; `kind` names its type, which is one of the
    document's own unless `shared`; `identifier` is a name of `hub.standards.identifiers`; `facets` say what values of
    a type of its own are held to."""

    depth: int
    name: str
    occurs: str
    kind: str = ""
    shared: bool = False
    identifier: str = ""
    facets: tuple[str, ...] = ()
    said: Texts = ("", "")
    choice: bool = False  # one of several that exclude each other


@dataclass(frozen=True, slots=True)
class Type:
    """One type that several documents share."""

    name: str
    base: str
    facets: tuple[str, ...]
    said: Texts


@dataclass(frozen=True, slots=True)
class Document:
    """One kind of XML document."""

    kind: str
    system: Texts
    said: Texts
    namespace: str
    file: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One kind of EDIFACT message."""

    kind: str
    system: Texts
    type: str
    release: str
    becomes: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One guide: for whom it is, and its rules as (where, what, why)."""

    name: str
    file: str
    about: str
    rules: tuple[tuple[str, str, str], ...]


def rows(element: Any) -> tuple[Row, ...]:
    """An element of an xmlschema schema and all below it, in the order of the schema."""
    return tuple(_rows(element, 0, 1, 1, False, ()))


def types(schema: Any) -> dict[str, Type]:
    """By name, the types of other namespaces that a schema builds on; identifiers are told by themselves."""
    own = (identifiers.NAMESPACE, schema.target_namespace, _XS[1:-1])
    return {
        kind.local_name: Type(kind.local_name, _name(kind.base_type), _facets(kind), texts(kind))
        for kind in schema.maps.types.values()
        if kind.name and kind.target_namespace not in own and kind.target_namespace.startswith("urn:")
    }


def texts(component: Any) -> Texts:
    """What the schema says of a component."""
    notes = getattr(component.annotation, "documentation", None) or []
    said = {note.get(_LANG, "en"): " ".join((note.text or "").split()) for note in notes}
    return said.get("zh", ""), said.get("en", "")


def _rows(
    element: Any, depth: int, least: int, most: int | None, choice: bool, above: tuple[Any, ...]
) -> Iterator[Row]:
    """`least` and `most` are of the group around it: a choice or a repeated sequence counts for what is in it."""
    kind = element.type
    found = [] if kind in above or depth > _LONGEST else list(_particles(kind))
    yield Row(
        depth,
        element.local_name,
        _occurs(min(least, 1) * element.min_occurs, _times(most, element.max_occurs)),
        "" if found else _name(kind),
        _shared(element, kind),
        _identifier(kind),
        () if _shared(element, kind) else _facets(kind),
        _said(element),
        choice,
    )
    for name, attribute in (getattr(kind, "attributes", None) or {}).items():
        if name and attribute.use != "prohibited":
            yield _attribute(depth + 1, name, attribute)
    for child, inner, outer, one in found:
        yield from _rows(child, depth + 1, inner, outer, one, (*above, kind))


def _attribute(depth: int, name: str, attribute: Any) -> Row:
    occurs = "1" if attribute.use == "required" else "0..1"
    shown = "@xml:lang" if name == _LANG else f"@{name.rpartition('}')[2]}"
    kind = attribute.type
    shared = _shared(attribute, kind)
    facets = () if shared else _facets(kind)
    return Row(depth, shown, occurs, _name(kind), shared, _identifier(kind), facets, _said(attribute))


def _shared(component: Any, kind: Any) -> bool:
    """True for a type by name that another namespace than the component's has; those of XML Schema are everybody's."""
    return bool(kind.name) and not kind.name.startswith((_XS, f"{{{component.schema.target_namespace}}}"))


def _particles(kind: Any) -> Iterator[tuple[Any, int, int | None, bool]]:
    """(child element, least and most of the groups around it, whether it is one of a choice)."""
    content = getattr(kind, "content", None)
    if hasattr(content, "iter_elements"):
        yield from _group(content, 1, 1, False)


def _group(group: Any, least: int, most: int | None, choice: bool) -> Iterator[tuple[Any, int, int | None, bool]]:
    choice = choice or group.model == "choice"
    least = 0 if choice else least * group.min_occurs
    most = _times(most, group.max_occurs)
    for part in group:
        if hasattr(part, "model"):
            yield from _group(part, least, most, choice)
        elif getattr(part, "local_name", None) and hasattr(part, "type") and part.max_occurs != 0:
            yield part, least, most, choice


def _times(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one * other


def _occurs(least: int, most: int | None) -> str:
    return "1" if least == most == 1 else f"{least}..{'n' if most is None else most}"


def _said(component: Any) -> Texts:
    """Its own words, else those of its type."""
    own = texts(component)
    return own if any(own) else texts(component.type)


def _line(kind: Any) -> Iterator[Any]:
    """A simple type, or that of a simple content, and what it is derived from."""
    content = getattr(kind, "content", None)
    kind = content if getattr(content, "base_type", None) is not None and kind.is_complex() else kind
    while kind is not None and getattr(kind, "base_type", kind) is not kind:
        yield kind
        kind = kind.base_type


def _identifier(kind: Any) -> str:
    spaces = f"{{{identifiers.NAMESPACE}}}"
    names = ((one.name or "").removeprefix(spaces) for one in _line(kind))
    return next((name for name in names if name in identifiers.NAMES), "")


def _name(kind: Any) -> str:
    """Its name, else that of the type that it narrows."""
    names = (one.name for one in _line(kind) if one.name)
    name: str = next(names, "")
    return name.replace(_XS, "xs:").rpartition("}")[2]


def _facets(kind: Any) -> tuple[str, ...]:
    """Values that are allowed, patterns, lengths, bounds; those of an identifier are told with the identifier."""
    if _identifier(kind):
        return ()
    found: dict[str, str] = {}
    for one in _line(kind):
        for name, facet in (getattr(one, "facets", None) or {}).items():
            if name and (one.name or "").startswith(_XS) is False:
                found.setdefault(name.replace(_XS, ""), _value(facet))
    if "enumeration" in found:
        return (found["enumeration"],)
    lengths = [found.pop(name, "") for name in ("minLength", "maxLength")]
    shown = [found.pop(name) for name in ("pattern",) if name in found]
    if any(lengths):
        shown.append(f"{lengths[0] or 0}..{lengths[1] or 'n'}")
    signs = {"minInclusive": "≥ ", "maxInclusive": "≤ ", "minExclusive": "> ", "maxExclusive": "< "}
    named = {"totalDigits": "digits ≤ ", "fractionDigits": "decimals ≤ ", "length": "length "}
    return (*shown, *(f"{(signs | named)[name]}{value}" for name, value in found.items() if name in signs | named))


def _value(facet: Any) -> str:
    if hasattr(facet, "enumeration"):
        return " | ".join(str(value) for value in facet.enumeration)
    if hasattr(facet, "regexps"):
        return " | ".join(facet.regexps)
    return str(facet.value)
