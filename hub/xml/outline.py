"""What schema files plainly say, found in the files themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lxml import etree

XS = "{http://www.w3.org/2001/XMLSchema}"
_MODELS = (f"{XS}sequence", f"{XS}choice", f"{XS}all")
_EXTENSION = f"{XS}complexContent/{XS}extension"


class Outline:
    """What schema files say of elements and attributes in the plainest way: a global element, and within types the
    sequences, choices, local elements, references to elements, extensions and attributes. It finds nothing that is
    not there; what is declared by other means (groups, substitution, redefinition) it does not find.
    """

    def __init__(self, namespace: str, files: Iterable[etree._Element]) -> None:
        self._namespace = namespace
        self._known: dict[tuple[str, ...], etree._Element | None] = {}
        self._named: dict[tuple[str, str], etree._Element] = {}
        for root in files:
            if root.find(f"{XS}redefine") is not None or root.find(f"{XS}override") is not None:
                self._named.clear()
                break
            for part in root.iterchildren(f"{XS}element", f"{XS}complexType"):
                self._named[str(part.tag), f"{{{root.get('targetNamespace', '')}}}{part.get('name')}"] = part

    def has(self, path: tuple[str, ...]) -> bool:
        """True when there is such an element, or as last step such an '@attribute'."""
        return self.find(path) is not None

    def find(self, path: tuple[str, ...]) -> etree._Element | None:
        """The xs:element or xs:attribute that declares what is at `path`."""
        if not path or not path[-1].startswith("@"):
            return self._element(path)
        element = self._element(path[:-1])
        for one in () if element is None else self._parts(element, f"{XS}attribute"):
            if one.get("name") == path[-1][1:] and one.get("use") != "prohibited":
                return one
        return None

    def _element(self, path: tuple[str, ...]) -> etree._Element | None:
        if path not in self._known:
            self._known[path] = self._find(path)
        return self._known[path]

    def _find(self, path: tuple[str, ...]) -> etree._Element | None:
        if len(path) < 2:
            return self._named.get((f"{XS}element", f"{{{self._namespace}}}{''.join(path)}"))
        above = self._element(path[:-1])
        if above is None:
            return None
        for one in self._parts(above, f"{XS}element"):
            found = self._referred(one, "ref", f"{XS}element") if one.get("ref") else one
            if found is not None and found.get("name") == path[-1] and one.get("maxOccurs") != "0":
                return found
        return None

    def _parts(self, element: etree._Element, tag: str) -> Iterator[etree._Element]:
        """The attributes or the child elements that the type of `element` declares."""
        held: etree._Element | None = element.find(f"{XS}complexType")
        if held is None:
            held = self._referred(element, "type", f"{XS}complexType")
        seen: list[etree._Element] = []
        while held is not None and held not in seen:
            seen.append(held)
            extension = next((one for one in held.iterfind(_EXTENSION)), None)
            body = held if extension is None else extension
            yield from body.iterchildren(tag)
            for group in body.iterchildren(*_MODELS):
                yield from _particles(group, tag)
            held = None if extension is None else self._referred(extension, "base", f"{XS}complexType")

    def _referred(self, part: etree._Element, attribute: str, tag: str) -> etree._Element | None:
        prefix, _, name = part.get(attribute, "").rpartition(":")
        return self._named.get((tag, f"{{{part.nsmap.get(prefix or None, '')}}}{name}"))


def _particles(group: etree._Element, tag: str) -> Iterator[etree._Element]:
    if group.get("maxOccurs") == "0":
        return
    yield from group.iterchildren(tag)
    for inner in group.iterchildren(*_MODELS):
        yield from _particles(inner, tag)
