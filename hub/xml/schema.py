"""XML schemas from local files: libxml2 decides, xmlschema explains and tells what paths there are.

xmlschema takes a long time to begin. So a path that the files plainly declare is found in them directly (`Outline`);
what is not found so is asked of xmlschema, which knows all of XML Schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from lxml import etree

from hub.errors import DeclarationError
from hub.finding import Finding, Place
from hub.xml.gate import parse
from hub.xml.patterns import explosive

_XS = "{http://www.w3.org/2001/XMLSchema}"
_MODELS = (f"{_XS}sequence", f"{_XS}choice", f"{_XS}all")
_EXTENSION = f"{_XS}complexContent/{_XS}extension"
_NAME = re.compile(r"@?[^\W\d][\w.-]*")
_EXPECTED = re.compile(r"Expected is (?:one of )?\( (.+?) \)\.")
_VALUE = re.compile(r": '(.*?)' is not |The value '(.*?)'", re.S)
_NAMESPACE = re.compile(r"\{[^}]*\}")
_SUBJECT = re.compile(r"The attribute '([^']+)'|attribute '([^']+)'")


class Schema:
    """One compiled schema. `check` may be called by several threads."""

    def __init__(self, path: Path) -> None:
        """Raises DeclarationError when the file or one that it includes is unusable or not a local file."""
        self.path = path
        self._lock = Lock()
        files: dict[Path, etree._Element] = {}
        _local(path.resolve(), files)
        try:
            tree = etree.parse(str(path), etree.XMLParser(no_network=True, resolve_entities=False))
            self._compiled = etree.XMLSchema(tree)
        except (etree.LxmlError, OSError) as error:
            raise _unusable(path, error) from error
        self.namespace: str = tree.getroot().get("targetNamespace", "")
        self._outline = Outline(self.namespace, files.values())

    def check(self, root: etree._Element) -> list[Finding]:
        """What the schema has against the document: line, path, found and expected of each fault."""
        with self._lock:
            if self._compiled.validate(root.getroottree()):
                return []
            entries: list[Any] = [*self._compiled.error_log]  # type: ignore[misc]
        findings: list[Finding] = []
        last = ("", 0)
        for entry in entries:
            at = (entry.path or "", entry.line)
            # libxml2 tells a facet and then, of the same value, that its type is not met: one fault.
            if entry.type_name.startswith("SCHEMAV_CVC_DATATYPE") and last == at:
                continue
            last = at if "FACET" in entry.type_name or "LENGTH" in entry.type_name or _facet(entry) else ("", 0)
            findings.append(_finding(entry))
        return findings

    def explain(self, data: bytes) -> list[str]:
        """Every fault in words with its XPath; slow, for people. [] when there is none."""
        root, findings = parse(data)
        if root is None:
            return [f"{finding.code} {finding.found}".strip() for finding in findings]
        return [f"{error.path}: {error.reason}" for error in self._model.iter_errors(root)]

    @cached_property
    def _model(self) -> Any:
        import xmlschema

        try:
            return xmlschema.XMLSchema(str(self.path.resolve()), allow="local", defuse="always")
        except xmlschema.XMLSchemaException as error:
            raise _unusable(self.path, error) from error

    def has(self, path: tuple[str, ...]) -> bool:
        """True when there is such an element (local names from the root) or, as last step, such an
        '@attribute'.
        """
        if not all(_NAME.fullmatch(name) for name in path):
            return False
        if self._outline.has(path):
            return True
        if path and path[-1].startswith("@"):
            element = self._element(path[:-1])
            return element is not None and path[-1][1:] in _attributes(element)
        return self._element(path) is not None

    def children(self, path: tuple[str, ...] = ()) -> list[str]:
        """Local names below `path` in the order of the schema, attributes as '@name' behind; () gives the
        roots.
        """
        if not path:
            return [element.local_name for element in self._globals()]
        element = self._element(path)
        if element is None:
            raise KeyError("/".join(path))
        names = dict.fromkeys(child.local_name for child in _elements(element))
        return [*names, *(f"@{name}" for name in _attributes(element))]

    def _globals(self) -> list[Any]:
        return list(self._model.elements.values())

    def _element(self, path: tuple[str, ...]) -> Any:
        candidates = self._globals()
        found: Any = None
        for name in path:
            found = next((one for one in candidates if one.local_name == name), None)
            if found is None:
                return None
            candidates = _elements(found)
        return found


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
            if root.find(f"{_XS}redefine") is not None or root.find(f"{_XS}override") is not None:
                self._named.clear()
                break
            for part in root.iterchildren(f"{_XS}element", f"{_XS}complexType"):
                self._named[str(part.tag), f"{{{root.get('targetNamespace', '')}}}{part.get('name')}"] = part

    def has(self, path: tuple[str, ...]) -> bool:
        if path and path[-1].startswith("@"):
            element = self._element(path[:-1])
            return element is not None and any(
                one.get("name") == path[-1][1:] and one.get("use") != "prohibited"
                for one in self._parts(element, f"{_XS}attribute")
            )
        return self._element(path) is not None

    def _element(self, path: tuple[str, ...]) -> etree._Element | None:
        if path not in self._known:
            self._known[path] = self._find(path)
        return self._known[path]

    def _find(self, path: tuple[str, ...]) -> etree._Element | None:
        if len(path) < 2:
            return self._named.get((f"{_XS}element", f"{{{self._namespace}}}{''.join(path)}"))
        above = self._element(path[:-1])
        if above is None:
            return None
        for one in self._parts(above, f"{_XS}element"):
            found = self._referred(one, "ref", f"{_XS}element") if one.get("ref") else one
            if found is not None and found.get("name") == path[-1] and one.get("maxOccurs") != "0":
                return found
        return None

    def _parts(self, element: etree._Element, tag: str) -> Iterator[etree._Element]:
        """The attributes or the child elements that the type of `element` declares."""
        held: etree._Element | None = element.find(f"{_XS}complexType")
        if held is None:
            held = self._referred(element, "type", f"{_XS}complexType")
        seen: list[etree._Element] = []
        while held is not None and held not in seen:
            seen.append(held)
            extension = next((one for one in held.iterfind(_EXTENSION)), None)
            body = held if extension is None else extension
            yield from body.iterchildren(tag)
            for group in body.iterchildren(*_MODELS):
                yield from _particles(group, tag)
            held = None if extension is None else self._referred(extension, "base", f"{_XS}complexType")

    def _referred(self, part: etree._Element, attribute: str, tag: str) -> etree._Element | None:
        prefix, _, name = part.get(attribute, "").rpartition(":")
        return self._named.get((tag, f"{{{part.nsmap.get(prefix or None, '')}}}{name}"))


def _particles(group: etree._Element, tag: str) -> Iterator[etree._Element]:
    if group.get("maxOccurs") == "0":
        return
    yield from group.iterchildren(tag)
    for inner in group.iterchildren(*_MODELS):
        yield from _particles(inner, tag)


def _unusable(path: Path, error: Exception) -> DeclarationError:
    """The fault with a finding that has the file's path and, where it is known, the line."""
    log = getattr(error, "error_log", None)
    first = log[0] if log else None
    line, column = (first.line, first.column) if first is not None else (1, 1)
    place = Place(file=str(path.resolve()), line=max(line, 1), column=max(column, 1))
    said = error.strerror if isinstance(error, OSError) else first.message if first is not None else str(error)
    return DeclarationError(f"{path.name}: {error}", (Finding("site.bad_schema", place, _short(said, path)),))


def _short(said: object, path: Path) -> str:
    return str(said).replace(str(path), path.name)[:300]


def _local(path: Path, files: dict[Path, etree._Element]) -> None:
    """Read the schema and all that it includes or imports into `files`; anything but relative paths is refused."""
    if path in files:
        return
    try:
        root, findings = parse(path.read_bytes())
    except OSError as error:
        raise _unusable(path, error) from error
    if root is None:
        said = ", ".join(f"{finding.code} {finding.found}".strip() for finding in findings)
        place = Place(file=str(path), line=findings[0].place.line or 1, column=findings[0].place.column or 1)
        raise DeclarationError(f"{path.name}: {said}", (Finding("site.bad_schema", place, said),))
    files[path] = root
    for facet in root.iter(f"{_XS}pattern"):
        if explosive(facet.get("value", "")):
            said = f"pattern {facet.get('value')}: endless repetition within endless repetition"
            at: Any = facet.sourceline
            place = Place(file=str(path), line=at, column=1)
            raise DeclarationError(f"{path.name}:{at}: {said}", (Finding("site.bad_schema", place, said),))
    for step in root.iter(f"{_XS}include", f"{_XS}import", f"{_XS}redefine", f"{_XS}override"):
        location = step.get("schemaLocation")
        if location is None:
            continue
        if ":" in location or location.startswith(("/", "\\")):
            said = f"{location} is not a relative path"
            line: Any = step.sourceline
            place = Place(file=str(path), line=line, column=1)
            raise DeclarationError(f"{path.name}:{line}: {said}", (Finding("site.bad_schema", place, said),))
        _local((path.parent / location).resolve(), files)


def _elements(element: Any) -> list[Any]:
    content: Any = getattr(element.type, "content", None)
    if not hasattr(content, "iter_elements"):
        return []
    return [one for one in content.iter_elements() if getattr(one, "local_name", None) and one.max_occurs != 0]


def _attributes(element: Any) -> list[str]:
    """Local names."""
    attributes = getattr(element.type, "attributes", None) or {}
    return [name.rpartition("}")[2] for name, one in attributes.items() if name and one.use != "prohibited"]


def _facet(entry: Any) -> bool:
    return "[facet '" in entry.message


def _finding(entry: Any) -> Finding:
    message = _NAMESPACE.sub("", entry.message)
    place = Place(line=entry.line, column=entry.column or None, path=entry.path)
    kind = entry.type_name
    wanted = _EXPECTED.search(message)
    expected = wanted[1] if wanted else ""
    if "Missing child" in message:
        return Finding("xml.element_missing", place, "", expected, args={"message": message})
    if "not expected" in message or "No matching global declaration" in message:
        found = message.split("'")[1] if "'" in message else ""
        return Finding("xml.element_unexpected", place, found, expected, args={"message": message})
    if "ATTRIBUTE" in kind or kind.startswith("SCHEMAV_CVC_COMPLEX_TYPE_3") or kind.endswith("_TYPE_4"):
        subject = _SUBJECT.search(message)
        name = (subject[1] or subject[2]) if subject else ""
        return Finding("xml.attribute", place, name, "", args={"message": message})
    value = _VALUE.search(message)
    text = (value[1] or value[2] or "")[:80] if value else ""
    return Finding("xml.value", place, text, message.split(": ", 1)[-1][:300], args={"message": message})
