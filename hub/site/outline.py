"""What a kind consists of, the same for EDIFACT and XML: fields with the names by which mappings call them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hub.edifact.directory import Directory, ElementSpec, Node
from hub.mapping.checking.particles import Particles, particles
from hub.mapping.plan import EdifactFacts, Facts, XmlFacts
from hub.xml.schema import Schema

DEEPEST = 12
"""Levels of an XML document; a schema may hold itself."""
IDENTIFIERS = {
    "3207": "country-code",
    "3225": "locode",
    "3293": "nationality",
    "6345": "currency-code",
    "6411": "unit-code",
    "7065": "package-type",
    "7124": "un-number",
    "7357": "hs-code",
    "8155": "size-type",
    "8213": "imo-number",
    "8260": "container-number",
    "8453": "country-code",
}
"""Data elements of EDIFACT that mostly hold one identifier (hub.standards.identifiers)."""


@dataclass(frozen=True, slots=True)
class Field:
    """A group, segment, element of EDIFACT, or an element or attribute of XML.

    name       the step that a mapping writes below its parent: SG5, NAD, C080/3036, Vessel, @lang
    path       all steps, from the message or the root element down
    about      what it is called where people read it: its name in the directory, the documentation of the schema
    form       an..35, of EDIFACT
    """

    name: str
    path: str
    required: bool
    repeats: bool
    about: str = ""
    form: str = ""
    identifier: str = ""
    children: tuple[Field, ...] = field(default=())

    def leaves(self) -> Iterator[Field]:
        """Every value in it, itself included."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()

    def branches(self) -> Iterator[Field]:
        """Everything in it that has children, itself included, from the top down."""
        if self.children:
            yield self
            for child in self.children:
                yield from child.branches()


def outline(facts: Facts, root: str = "") -> Field:
    """The whole kind; `root` is the root element of an XML document."""
    if isinstance(facts, XmlFacts):
        return _Xml(facts.schema).field(root, (root,), True, False)
    return Field("", "", True, False, children=tuple(_nodes(facts, facts.spec.nodes, "")))


# ---- EDIFACT


def _nodes(facts: EdifactFacts, nodes: tuple[Node, ...], above: str) -> Iterator[Field]:
    for node in nodes:
        path = f"{above}{node.key}"
        if node.children:
            children = tuple(_nodes(facts, node.children, f"{path}/"))
            about = facts.directory.segment_name(node.trigger)
            yield Field(node.key, path, node.required, node.max > 1, about, children=children)
        elif not node.key.startswith("UN") and facts.directory.defines(node.key):
            fields = tuple(_fields(facts.directory, node.key, path))
            about = facts.directory.segment_name(node.key)
            yield Field(node.key, path, node.required, node.max > 1, about, children=fields)


def _fields(directory: Directory, tag: str, above: str) -> Iterator[Field]:
    seen: dict[str, int] = {}
    for spec in directory.segment(tag):
        seen[spec.id] = seen.get(spec.id, 0) + 1
        turn = f"#{seen[spec.id]}" if seen[spec.id] > 1 else ""
        yield from _values(directory, spec, f"{spec.id}{turn}", above)


def _values(directory: Directory, spec: ElementSpec, name: str, above: str) -> Iterator[Field]:
    """A simple element, or the components of a composite; a composite that must be there has one at least."""
    must = spec.required and any(part.required for part in spec.components)
    seen: dict[str, int] = {}
    for at, part in enumerate(spec.components):
        seen[part.id] = seen.get(part.id, 0) + 1
        turn = f"#{seen[part.id]}" if seen[part.id] > 1 else ""
        step = f"{name}/{part.id}{turn}" if spec.composite else name
        required = spec.required and (not spec.composite or part.required or (not must and at == 0))
        about, known = directory.element_name(part.id), IDENTIFIERS.get(part.id, "")
        yield Field(step, f"{above}/{step}", required, False, about, part.repr, known)


# ---- XML


class _Xml:
    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.particles: Particles = particles(schema)

    def field(self, name: str, path: tuple[str, ...], required: bool, repeats: bool) -> Field:
        domain = self.particles.value(path)
        known = domain.name if domain else ""
        below = tuple(self.below(path)) if len(path) < DEEPEST and not name.startswith("@") else ()
        text = () if not below or domain is None else (Field("#text", f"{'/'.join(path)}/#text", required, False),)
        about = self.schema.about(path)
        return Field(name, "/".join(path), required, repeats, about, "", known, (*text, *below))

    def below(self, path: tuple[str, ...]) -> Iterator[Field]:
        for name, count in (self.particles.children(path) or {}).items():
            yield self.field(name, (*path, name), count.least > 0, count.most > 1)
