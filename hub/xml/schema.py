"""XML schemas from local files: libxml2 decides, xmlschema explains and tells what paths there are.

xmlschema takes a long time to begin. So a path that the files plainly declare is found in them directly (`Outline`);
what is not found so is asked of xmlschema, which knows all of XML Schema.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from lxml import etree

from hub.errors import DeclarationError
from hub.finding import Finding, Place
from hub.standards import identifiers
from hub.xml.gate import parse
from hub.xml.identified import Identified, Judge
from hub.xml.outline import XS, Outline
from hub.xml.patterns import explosive

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
        self.files = tuple(files.values())  # it, and all that it includes or imports
        self._outline = Outline(self.namespace, files.values())
        self._identified = Identified(files.values(), self._outline, self._type)

    def check(self, root: etree._Element, judge: Judge = identifiers.check) -> list[Finding]:
        """What the schema has against the document: line, path, found and expected of each fault; and what `judge`
        has against its identifiers: check digits, or with `External.check` the code lists of a day as well."""
        return [*self._faults(root), *self._identified.check(root, judge)]

    def _faults(self, root: etree._Element) -> list[Finding]:
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

    def about(self, path: tuple[str, ...]) -> str:
        """What the files say of the element or attribute at `path`, in each of their languages; "" for nothing."""
        found = self._outline.find(path)
        said = () if found is None else found.iterfind(f"{XS}annotation/{XS}documentation")
        return " ".join(word for text in said for word in (text.text or "").split())

    def _type(self, path: tuple[str, ...]) -> list[str]:
        """Names of the type at `path` and of all that it is derived from; [] where there is nothing."""
        name = path[-1].removeprefix("@")
        element = self._element(path[:-1] if name != path[-1] else path)
        found = element
        if element is not None and name != path[-1]:
            every = (getattr(element.type, "attributes", None) or {}).items()
            found = next((one for full, one in every if full and full.rpartition("}")[2] == name), None)
        names: list[str] = []
        kind = None if found is None else found.type
        while kind is not None and kind.base_type is not kind:
            content = getattr(kind, "content", None)
            names += [kind.name or "", getattr(content, "name", None) or ""]
            kind = kind.base_type
        return names

    def longest(self, path: tuple[str, ...]) -> int:
        """The most characters that a value at `path` may have; 0 when the schema does not say."""
        name = path[-1].removeprefix("@")
        element = self._element(path[:-1] if path[-1][0] in "@#" else path)
        kind = None if element is None else element.type
        if path[-1].startswith("@"):
            every = (getattr(kind, "attributes", None) or {}).items()
            kind = next((one.type for full, one in every if full and full.rpartition("}")[2] == name), None)
        return getattr(getattr(kind, "content", None) or kind, "max_length", None) or 0

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
    for facet in root.iter(f"{XS}pattern"):
        if explosive(facet.get("value", "")):
            said = f"pattern {facet.get('value')}: endless repetition within endless repetition"
            at: Any = facet.sourceline
            place = Place(file=str(path), line=at, column=1)
            raise DeclarationError(f"{path.name}:{at}: {said}", (Finding("site.bad_schema", place, said),))
    for step in root.iter(f"{XS}include", f"{XS}import", f"{XS}redefine", f"{XS}override"):
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
