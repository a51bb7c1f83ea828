"""The identifiers in a document: what has an XSD type that derives from one of `hub.standards.identifiers`.

A name that every declaration in the schema files gives the same identifier is known by its name alone; of the others
the path decides, by the outline or, where the files do not say it plainly, by xmlschema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from lxml import etree

from hub.finding import Finding, Place
from hub.standards.identifiers import IDENTIFIERS, NAMESPACE
from hub.xml.outline import XS, Outline

Judge = Callable[[str, str], str | None]
"""(name of an identifier, value) -> what was expected, or None."""

KEEP = 500  # findings of one document

Types = Callable[[tuple[str, ...]], list[str]]
_TYPES = (f"{XS}simpleType", f"{XS}complexType")
_BASES = (f"{XS}restriction", f"{XS}simpleContent/{XS}extension", f"{XS}simpleContent/{XS}restriction")


class Identified:
    """Where the identifiers of one schema are. `check` may be called by several threads."""

    def __init__(self, files: Iterable[etree._Element], outline: Outline, types: Types) -> None:
        self._outline = outline
        self._ask = types
        self._types: dict[str, list[etree._Element]] = {}
        self._paths: dict[tuple[str, ...], str] = {}
        roots = list(files)
        for root in roots:
            for one in root.iter(*_TYPES):
                if one.get("name"):
                    self._types.setdefault(f"{{{root.get('targetNamespace', '')}}}{one.get('name')}", []).append(one)
        self._used = {
            written.rpartition(":")[2] for root in roots for one in root.iter() for written in _named(one)
        } | {""}
        self._elements = self._known(roots, f"{XS}element")
        self._attributes = self._known(roots, f"{XS}attribute")
        self._tags = tuple(f"{{*}}{name}" for name in self._elements)
        names = " | ".join(f"//@*[local-name() = '{name}']" for name in self._attributes)
        self._find: Any = etree.XPath(names) if names else None

    def check(self, root: etree._Element, judge: Judge) -> list[Finding]:
        """One finding for each identifier that is wrong though its form is right, which is the schema's to tell; at
        most KEEP."""
        findings: list[Finding] = []
        for node, attribute, name, value in self._values(root):
            wrong = judge(name, value) if name and value else None  # only a nil element is empty
            if wrong and wrong != IDENTIFIERS[name].pattern:
                findings.append(_finding(node, attribute, name, value, wrong))
                if len(findings) == KEEP:
                    break
        return findings

    def _values(self, root: etree._Element) -> Iterator[tuple[Any, str, str, str]]:
        """(element, attribute or "", identifier or "", value) of all that may be one."""
        known = self._elements
        for node in root.iter(*self._tags) if self._tags else ():
            tag = node.tag
            name = known[tag[tag.find("}") + 1 :]]
            if name is None:
                name = self._at((tag, *[above.tag for above in node.iterancestors()]))
            yield node, "", name, (node.text or "").strip()
        for value in self._find(root) if self._find else ():
            node, attribute = value.getparent(), value.attrname.rpartition("}")[2]
            name = self._attributes[attribute]
            if name is None:
                name = self._at((f"@{attribute}", node.tag, *[above.tag for above in node.iterancestors()]))
            yield node, attribute, name, value.strip()

    def _at(self, tags: tuple[str, ...]) -> str:
        """The identifier at a path of tags up to the root; "" where there is none."""
        known = self._paths.get(tags)
        if known is None:
            path = tuple(tag[tag.find("}") + 1 :] for tag in reversed(tags))
            declared = self._outline.find(path)
            known = _identifier(self._ask(path)) if declared is None else self._declared(declared)
            if len(self._paths) < 10_000:  # documents of a schema that holds itself have paths without end
                self._paths[tags] = known
        return known

    # ---- reading the schema

    def _known(self, roots: list[etree._Element], tag: str) -> dict[str, str | None]:
        """Names that are an identifier somewhere -> the identifier, None where the path decides."""
        found: dict[str, set[str]] = {}
        for root in roots:
            for one in root.iter(tag):
                if one.get("name") and self._reached(one):
                    found.setdefault(one.get("name", ""), set()).add(self._declared(one))
        return {
            name: next(iter(said)) if len(said) == 1 else None for name, said in sorted(found.items()) if said != {""}
        }

    def _reached(self, one: etree._Element) -> bool:
        """False for what stands in a type that nothing is of, as most of a shared file."""
        return all(above.get("name", "") in self._used for above in one.iterancestors(f"{XS}complexType"))

    def _declared(self, one: etree._Element) -> str:
        """The identifier that an xs:element or xs:attribute is declared to be, or ""."""
        return _identifier(self._derived(one, frozenset()))

    def _derived(self, one: etree._Element, seen: frozenset[str]) -> Iterator[str]:
        """Names of the types that a declaration or a type has above it."""
        bases = [part.get("base", "") for way in _BASES for part in one.iterfind(way)]
        for inner in one.iterchildren(*_TYPES):
            yield from self._derived(inner, seen)
        for written in (one.get("type", ""), *bases):
            prefix, _, name = written.rpartition(":")
            full = f"{{{one.nsmap.get(prefix or None, '')}}}{name}"
            if name and full not in seen:
                yield full
                for kind in self._types.get(full) or self._types.get(f"{{}}{name}", []):
                    yield from self._derived(kind, seen | {full})


def _named(one: etree._Element) -> tuple[str, str]:
    return one.get("type", ""), one.get("base", "")


def _identifier(types: Iterable[str]) -> str:
    """The first of the types that is an identifier's."""
    for full in types:
        namespace, _, name = full[1:].partition("}")
        if namespace == NAMESPACE and name in IDENTIFIERS:
            return name
    return ""


def _finding(node: Any, attribute: str, name: str, value: str, wrong: str) -> Finding:
    path = node.getroottree().getpath(node) + (f"/@{attribute}" if attribute else "")
    titles = {"title_zh": IDENTIFIERS[name].zh, "title_en": IDENTIFIERS[name].en}
    return Finding("xml.identifier", Place(line=node.sourceline, path=path), value[:80], wrong, args=titles)
