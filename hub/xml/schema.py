"""XML schemas from local files: libxml2 decides, xmlschema explains and tells what paths there are."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from lxml import etree

from hub.errors import DeclarationError
from hub.finding import Finding, Place
from hub.xml.gate import parse

_XS = "{http://www.w3.org/2001/XMLSchema}"
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
        _local(path.resolve(), set())
        try:
            tree = etree.parse(str(path), etree.XMLParser(no_network=True, resolve_entities=False))
            self._compiled = etree.XMLSchema(tree)
        except (etree.LxmlError, OSError) as error:
            raise DeclarationError(f"{path.name}: {error}") from error
        self.namespace: str = tree.getroot().get("targetNamespace", "")

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

        return xmlschema.XMLSchema(str(self.path.resolve()), allow="local", defuse="always")

    def has(self, path: tuple[str, ...]) -> bool:
        """True when there is such an element (local names from the root) or, as last step, such an
        '@attribute'.
        """
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

    def required(self, path: tuple[str, ...]) -> list[str]:
        """Names below `path` that must be there, attributes as '@name'. KeyError when there is no such
        element.
        """
        element = self._element(path)
        if element is None:
            raise KeyError("/".join(path))
        content: Any = getattr(element.type, "content", None)
        names = _mandatory(content) if hasattr(content, "iter_elements") else []
        return [*names, *(f"@{name}" for name, use in _attributes(element).items() if use == "required")]

    def paths(self, depth: int = 40) -> set[tuple[str, ...]]:
        """Every path to an element or '@attribute'. A type within itself is followed once; `depth` levels
        at most.
        """
        found: set[tuple[str, ...]] = set()
        stack: list[tuple[tuple[str, ...], Any, tuple[Any, ...]]] = [
            ((element.local_name,), element, (element.type,)) for element in self._globals()
        ]
        while stack:
            path, element, types = stack.pop()
            found.add(path)
            found.update((*path, f"@{name}") for name in _attributes(element))
            if len(path) < depth:
                for child in _elements(element):
                    if types.count(child.type) < 2 or child.type.is_simple():
                        stack.append(((*path, child.local_name), child, (*types, child.type)))
        return found

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


def _local(path: Path, seen: set[Path]) -> None:
    """Refuse schemas that include or import anything but files by relative path, at any depth."""
    if path in seen:
        return
    seen.add(path)
    try:
        root, findings = parse(path.read_bytes())
    except OSError as error:
        raise DeclarationError(f"{path.name}: {error.strerror}") from error
    if root is None:
        raise DeclarationError(f"{path.name} is not usable XML", tuple(findings))
    for step in root.iter(f"{_XS}include", f"{_XS}import", f"{_XS}redefine", f"{_XS}override"):
        location = step.get("schemaLocation")
        if location is None:
            continue
        if ":" in location or location.startswith(("/", "\\")):
            raise DeclarationError(f"{path.name}:{step.sourceline}: {location} is not a relative path")
        _local((path.parent / location).resolve(), seen)


def _elements(element: Any) -> list[Any]:
    content: Any = getattr(element.type, "content", None)
    if not hasattr(content, "iter_elements"):
        return []
    return [child for child in content.iter_elements() if getattr(child, "local_name", None)]


def _attributes(element: Any) -> dict[str, str]:
    attributes = getattr(element.type, "attributes", None) or {}
    return {name.rpartition("}")[2]: attribute.use for name, attribute in attributes.items() if name}


def _mandatory(group: Any) -> list[str]:
    """Names that every instance holds: all of a sequence's required particles, what all branches of a
    choice share.
    """
    if group.min_occurs == 0:
        return []
    branches: list[list[str]] = []
    for particle in group:
        if hasattr(particle, "iter_elements") and hasattr(particle, "model"):
            branches.append(_mandatory(particle))
        elif particle.min_occurs and getattr(particle, "local_name", None):
            branches.append([particle.local_name])
        else:
            branches.append([])
    if group.model == "choice":
        return [name for name in branches[0] if all(name in other for other in branches)] if branches else []
    return list(dict.fromkeys(name for branch in branches for name in branch))


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
