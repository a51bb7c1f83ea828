"""Between records and the tree of a document: values with their places in the file, elements in the schema's order."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, Protocol

from lxml import etree

from hub.finding import Finding, Place
from hub.records.shape import Item

MOST = 500_000
"""Values of one file; each node of a tree costs hundreds of bytes."""
KEPT = 1000
"""Findings of one file that are told."""
STRIDE = 65_536
_STEP = re.compile(r"/([^/\[@]+)(?:\[([0-9]+)\])?")
_IMPOSSIBLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BOM = b"\xef\xbb\xbf"
Path = tuple[str, ...]
"""Local names from the root, or below an element; an attribute last as @name; () is the element's own text."""


class Spot(NamedTuple):
    """Where a value stands: characters before it; the column's name; the record's number and tag, its field from 1."""

    at: int = 0
    name: str = ""
    record: int = 0
    tag: str = ""
    field: int = 0


@dataclass(frozen=True)
class Source:
    """The text of a file, and how its characters were written."""

    text: str
    charset: str
    before: int = 0  # bytes of a byte order mark

    @cached_property
    def _marks(self) -> list[tuple[int, int]]:
        """(bytes, line breaks) before every STRIDE-th character: a file of many faults is not counted anew for each."""
        marks = [(self.before, 0)]
        for at in range(0, len(self.text), STRIDE):
            piece = self.text[at : at + STRIDE]
            size, breaks = marks[-1]
            marks.append((size + len(piece.encode(self.charset)), breaks + piece.count("\n")))
        return marks

    def place(self, spot: Spot, path: str = "") -> Place:
        """Line and column from 1 in characters, the offset in bytes."""
        mark = spot.at // STRIDE
        size, breaks = self._marks[mark]
        line = breaks + self.text.count("\n", mark * STRIDE, spot.at) + 1
        column = spot.at - self.text.rfind("\n", 0, spot.at)
        offset = size + len(self.text[mark * STRIDE : spot.at].encode(self.charset))
        if spot.record:
            record, part = spot.record, spot.field or None
            return Place(segment=record, tag=spot.tag, element=part, offset=offset, line=line, column=column)
        return Place(offset=offset, line=line, column=column, path=spot.name or path or None)

    def finding(self, code: str, spot: Spot, found: str = "", expected: str = "") -> Finding:
        shown = found[:80].encode("utf-8", "backslashreplace").decode("utf-8")  # half a surrogate pair is none
        return Finding(code, self.place(spot), shown, expected)


def decoded(data: bytes, charset: str) -> Source | Finding:
    """The bytes as text, without a byte order mark."""
    before = len(_BOM) if charset == "utf-8" and data.startswith(_BOM) else 0
    try:
        return Source(data[before:].decode(charset), charset, before)
    except UnicodeDecodeError as fault:
        at = before + fault.start
        return Finding("records.charset", Place(offset=at), data[at : before + fault.end].hex(" "), charset)


@dataclass(slots=True)
class Node:
    """One element on its way into the tree: `text` is None where it has none."""

    item: Item
    spot: Spot
    text: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    children: dict[str, list[Node]] = field(default_factory=dict)

    def add(self, name: str, spot: Spot) -> Node:
        """One more element `name` below this one. KeyError where the schema has none."""
        node = Node(self.item.children[name], spot)
        self.children.setdefault(name, []).append(node)
        return node

    def inner(self, path: Path, spot: Spot) -> Node:
        """The last element at `path`; made where there is none."""
        node = self
        for name in path:
            there = node.children.get(name)
            node = there[-1] if there else node.add(name, spot)
        return node

    def put(self, path: Path, text: str, spot: Spot) -> None:
        """A value at `path`. No text is no value; but what must be there, right below, is there and empty."""
        if not text and not (len(path) == 1 and not _wanted(self.item, path[0]).optional):
            return
        if path and path[-1].startswith("@"):
            self.inner(path[:-1], spot).attributes[path[-1][1:]] = text
            return
        node = self.inner(path, spot)
        node.text, node.spot = text, spot


def _wanted(item: Item, name: str) -> Item:
    return item.step(name) or item


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: its tree, its own bytes, what is wrong with it, and where each element came from."""

    root: etree._Element
    data: bytes
    findings: tuple[Finding, ...]
    source: Source
    spots: tuple[Spot, ...]

    def placed(self, findings: Iterable[Finding]) -> list[Finding]:
        """What was found in the tree, at its places in the file."""
        finder: _Finder | None = None
        moved: list[Finding] = []
        for finding in findings:
            if finding.place.offset is None and len(moved) < KEPT:
                finder = finder or _Finder(self.root)
                number, name = finder.found(finding.place.path or "")
                finding = replace(finding, place=self.source.place(self.spots[number], name))
            moved.append(finding)
        return moved


class _Finder:
    """Elements by the paths that libxml2 gives them: /*/*[3] or /List/Box[2]."""

    def __init__(self, root: etree._Element) -> None:
        self.root = root
        self.numbers = {one: number for number, one in enumerate(root.iter(etree.Element))}
        self.below: dict[etree._Element, dict[str, list[etree._Element]]] = {}

    def found(self, path: str) -> tuple[int, str]:
        """(the number of the element in document order, its path in local names); the root where there is none."""
        steps = _STEP.findall(path)
        element, names = self.root, [etree.QName(self.root).localname]
        for name, number in steps[1:]:
            same = self._children(element).get(name, [])
            at = int(number or 1) - 1
            if at >= len(same):
                break
            element = same[at]
            names.append(self._named(element))
        return self.numbers[element], "/".join(names)

    def _children(self, element: etree._Element) -> dict[str, list[etree._Element]]:
        if element not in self.below:
            made: dict[str, list[etree._Element]] = {}
            for child in element.iterchildren(etree.Element):
                for name in ("*", etree.QName(child).localname):
                    made.setdefault(name, []).append(child)
            self.below[element] = made
        return self.below[element]

    def _named(self, element: etree._Element) -> str:
        """Its local name, with its number where there are several."""
        above, name = element.getparent(), etree.QName(element).localname
        same = [] if above is None else self._children(above)[name]
        if len(same) < 2:
            return name
        return f"{name}[{bisect_left(same, self.numbers[element], key=lambda one: self.numbers[one]) + 1}]"


@dataclass(frozen=True, slots=True)
class Reading:
    """A file that was read; `findings` are of the file as a whole, and there are no documents where it cannot be
    read."""

    documents: tuple[Document, ...]
    findings: tuple[Finding, ...] = ()


class Form(Protocol):
    """One way to write the documents of a schema."""

    def read(self, data: bytes) -> Reading:
        """Never raises."""

    def write(self, root: etree._Element) -> tuple[bytes, list[Finding]]:
        """The document as bytes, and what of it cannot be written."""


def document(top: Node, source: Source, data: bytes, findings: Iterable[Finding] = ()) -> Document:
    """The tree of `top`; `data` is what this document alone would be."""
    space = top.item.tag[1:].partition("}")[0] if top.item.tag.startswith("{") else ""
    made = _Made(source, list(findings))
    spaces: dict[str | None, str] = {None: space} if space else {}
    root = etree.Element(top.item.tag, nsmap=spaces)  # type: ignore[arg-type]  # None is the prefix of no prefix
    made.fill(root, top)
    return Document(root, data, tuple(made.findings), source, tuple(made.spots))


@dataclass(slots=True)
class _Made:
    source: Source
    findings: list[Finding]
    spots: list[Spot] = field(default_factory=list)

    def fill(self, element: etree._Element, node: Node) -> None:
        self.spots.append(node.spot)
        for name, value in node.attributes.items():
            if self._possible(value, node):
                element.set(node.item.attributes[name].tag, value)
        if node.text and self._possible(node.text, node):
            element.text = node.text
        for name in node.item.children if node.children else ():
            for child in node.children.get(name, ()):
                self.fill(etree.SubElement(element, child.item.tag), child)

    def _possible(self, text: str, node: Node) -> bool:
        wrong = _IMPOSSIBLE.search(text)
        if wrong and len(self.findings) < KEPT:
            self.findings.append(self.source.finding("records.character", node.spot, f"U+{ord(wrong[0]):04X}"))
        return wrong is None


# ---- from the tree


def values(root: etree._Element, item: Item) -> Iterator[tuple[Path, str]]:
    """Every value below `root` with its path; what the schema gives no name has a path that it does not know."""
    for name, text in root.attrib.items():
        yield (f"@{etree.QName(str(name)).localname}",), str(text)
    if root.text and not len(root) and (item.value or root.text.strip()):
        yield (), root.text
    for child in root.iterchildren(etree.Element):
        name = etree.QName(child).localname
        inner = item.children.get(name)
        if inner is None or inner.tag != child.tag:
            yield (name,), ""
            continue
        for path, text in values(child, inner):
            yield (name, *path), text


def found(element: etree._Element, item: Item, path: Path) -> str:
    """The value at `path` below `element`, or ""."""
    for name in path:
        if name.startswith("@"):
            return str(element.get(item.attributes[name[1:]].tag, ""))
        item = item.children[name]
        inner = element.find(item.tag)
        if inner is None:
            return ""
        element = inner
    return element.text or ""


def encoded(text: str, charset: str) -> tuple[bytes, list[Finding]]:
    """The bytes; a finding for what the charset cannot hold."""
    try:
        return text.encode(charset), []
    except UnicodeEncodeError as fault:
        wrong = text[fault.start : fault.end][:20]
        return b"", [Finding("records.unwritable", Place(), wrong, charset)]


def homeless(paths: Iterable[Path], root: Item, known: Iterable[Path]) -> list[Finding]:
    """A finding for each path that has a value and no place to be written to."""
    names = set(known)
    lost = dict.fromkeys(path for path in paths if path not in names)
    return [Finding("records.no_place", Place(path="/".join((root.name, *path)))) for path in lost]
