"""JSON: objects by element name, attributes as "@name", text beside them as "#text", arrays for what repeats.

Numbers and truth values are taken by their literal text: no digit passes through a float. Read by hand, since every
value must know where it stands, and no name may come twice.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from lxml import etree

from hub.declaration import near
from hub.finding import Finding, Place
from hub.records.shape import Item
from hub.records.tree import KEPT, MOST, Document, Node, Reading, Source, Spot, decoded, document

DEPTH = 100
"""Levels of objects and arrays."""
_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[^\s,:{}\[\]\"]{1,20}")
_WORDS = ("true", "false", "null")
What = Literal["object", "array", "string", "number", "word"]


@dataclass(slots=True)
class Value:
    """One value of the file: its literal text, or what is in it. `at`: characters before it."""

    what: What
    at: int
    text: str = ""
    members: dict[str, Value] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)  # where each name stands
    items: list[Value] = field(default_factory=list)


class _Broken(Exception):
    """The file cannot be read beyond a place."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Scanned:
    """A file of JSON before it is known what it means."""

    value: Value
    source: Source

    @property
    def root(self) -> str:
        """The only name of the outermost object; "" where it is anything else."""
        names = list(self.value.members)
        return names[0] if len(names) == 1 else ""


def scan(data: bytes) -> Scanned | Finding:
    """The values of a file, or why it is no JSON (RFC 8259, in UTF-8)."""
    source = decoded(data, "utf-8")
    if isinstance(source, Finding):
        return source
    try:
        return Scanned(_Scanner(source).whole(), source)
    except _Broken as broken:
        return broken.finding


class _Scanner:
    def __init__(self, source: Source) -> None:
        self.source, self.text, self.at, self.left = source, source.text, 0, MOST

    def whole(self) -> Value:
        value = self._value(1)
        self._blank()
        if self.at < len(self.text):
            self._broken("json.syntax", self._shown(), "the end of the file")
        return value

    def _broken(self, code: str, found: str, expected: str = "", at: int = -1) -> NoReturn:
        raise _Broken(self.source.finding(code, Spot(self.at if at < 0 else at), found, expected))

    def _shown(self) -> str:
        word = _WORD.match(self.text, self.at)
        return word[0] if word else self.text[self.at : self.at + 1] or "the end of the file"

    def _blank(self) -> str:
        """The next sign behind blanks; "" at the end."""
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.text[self.at : self.at + 1]

    def _value(self, depth: int) -> Value:
        sign = self._blank()
        self.left -= 1
        if self.left < 0:
            self._broken("records.too_large", str(MOST), "values")
        if depth > DEPTH:
            self._broken("records.too_large", str(DEPTH), "levels")
        if sign == "{":
            return self._object(depth)
        if sign == "[":
            return self._array(depth)
        if sign == '"':
            at = self.at
            return Value("string", at, self._string())
        number = _NUMBER.match(self.text, self.at)
        word = _WORD.match(self.text, self.at)
        if word and (word[0] in _WORDS or (number and number[0].startswith(word[0]))):
            what: What = "word" if word[0] in _WORDS else "number"
            text = word[0] if what == "word" or number is None else number[0]
            value = Value(what, self.at, text)
            self.at += len(text)
            return value
        self._broken("json.syntax", self._shown(), "a value")

    def _string(self) -> str:
        found = _STRING.match(self.text, self.at)
        if found is None:
            self._broken("json.syntax", self.text[self.at : self.at + 20], 'a text that ends with "')
        self.at = found.end()
        return str(json.loads(found[0])) if "\\" in found[0] else found[0][1:-1]

    def _object(self, depth: int) -> Value:
        made = Value("object", self.at)
        self.at += 1
        sign = self._blank()
        while sign != "}":
            if sign != '"':
                self._broken("json.syntax", self._shown(), 'a name in "" or }')
            at = self.at
            name = self._string()
            if name in made.members:
                self._broken("json.duplicate_name", name, at=at)
            if self._blank() != ":":
                self._broken("json.syntax", self._shown(), ":")
            self.at += 1
            made.members[name], made.keys[name] = self._value(depth + 1), at
            sign = self._next("}")
            if sign == "," and self._blank() == "}":
                self._broken("json.syntax", "}", 'a name in ""')
            sign = self._blank() if sign == "," else sign
        self.at += 1
        return made

    def _array(self, depth: int) -> Value:
        made = Value("array", self.at)
        self.at += 1
        sign = self._blank()
        while sign != "]":
            made.items.append(self._value(depth + 1))
            sign = self._next("]")
        self.at += 1
        return made

    def _next(self, end: str) -> str:
        """A comma, which is passed over, or `end`."""
        sign = self._blank()
        if sign not in (",", end) or not sign:
            self._broken("json.syntax", self._shown(), f", or {end}")
        self.at += sign == ","
        return sign


# ---- reading


@dataclass(frozen=True, slots=True)
class JsonForm:
    """JSON documents of one root element."""

    root: Item

    def read(self, data: bytes) -> Reading:
        scanned = scan(data)
        return Reading((), (scanned,)) if isinstance(scanned, Finding) else Reading((self.document(scanned, data),))

    def document(self, scanned: Scanned, data: bytes) -> Document:
        """The document that `data` holds, already scanned."""
        reader = _Reader(scanned.source)
        top = Node(self.root, Spot(scanned.value.at))
        value = scanned.value.members.get(self.root.name)
        if value is None or len(scanned.value.members) > 1:
            reader.wrong("json.wrong_shape", scanned.value.at, _said(scanned.value), f'{{"{self.root.name}": …}}')
        else:
            reader.fill(top, value)
        return document(top, scanned.source, data, reader.findings)

    def write(self, root: etree._Element) -> tuple[bytes, list[Finding]]:
        writer = _Writer()
        text = f"{{\n  {json.dumps(self.root.name)}: {writer.element(root, self.root, '  ')}\n}}\n"
        return text.encode("utf-8"), writer.findings


def _said(value: Value) -> str:
    if value.what in ("object", "array"):
        return value.what
    return f'"{value.text}"' if value.what == "string" else value.text


@dataclass(slots=True)
class _Reader:
    source: Source
    findings: list[Finding] = field(default_factory=list)

    def wrong(self, code: str, at: int, found: str, expected: str = "") -> None:
        if len(self.findings) < KEPT:
            self.findings.append(self.source.finding(code, Spot(at), found, expected))

    def fill(self, node: Node, value: Value) -> None:
        """`node` with what `value` says of it."""
        item = node.item
        node.spot = Spot(value.at)
        if value.what == "object" and (item.names() or "#text" in value.members or not item.value):
            for name, inner in value.members.items():
                self._member(node, name, inner, value.keys[name])
        elif value.what in ("object", "array") or not item.value:
            wanted = "an object" if item.names() else "one value"
            self.wrong("json.wrong_shape", value.at, _said(value), wanted)
        else:
            node.text = value.text

    def _member(self, node: Node, name: str, value: Value, at: int) -> None:
        item, absent = node.item, value.what == "word" and value.text == "null"
        if name == "#text" and item.value:
            node.text = None if absent else self._plain(value)
        elif item.step(name) is None:
            names = [*item.names(), *(["#text"] if item.value else [])]
            self.wrong("json.unknown_name", at, name, near(name, names))
        elif absent:
            return
        elif name.startswith("@"):
            node.attributes[name[1:]] = self._plain(value)
        else:
            self._children(node, name, value)

    def _plain(self, value: Value) -> str:
        if value.what in ("object", "array"):
            self.wrong("json.wrong_shape", value.at, _said(value), "one value")
        return value.text

    def _children(self, node: Node, name: str, value: Value) -> None:
        """One element, or one for each item of an array."""
        if value.what == "array" and not node.item.children[name].repeats:
            self.wrong("json.wrong_shape", value.at, "array", "one value")
            return
        for inner in value.items if value.what == "array" else [value]:
            if inner.what == "word" and inner.text == "null":
                self.wrong("json.wrong_shape", inner.at, "null", "a value")
            else:
                self.fill(node.add(name, Spot(inner.at)), inner)


# ---- writing


class _Writer:
    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def element(self, element: etree._Element, item: Item, indent: str) -> str:
        """An element as JSON; its further lines begin with `indent`."""
        if not item.names() or (item.value and not element.attrib):
            return self._text(element.text or "", item)
        inner = indent + "  "
        members: list[str] = []
        for tag, value in element.attrib.items():
            known = item.attributes.get(etree.QName(str(tag)).localname)
            if known is None or known.tag != tag:
                self._lost(element, f"@{tag!s}")
            else:
                members.append(f"{json.dumps('@' + known.name)}: {self._text(str(value), known)}")
        if item.value and element.text:
            members.append(f'"#text": {self._text(element.text, item)}')
        members += self._children(element, item, inner)
        return "{\n" + ",\n".join(inner + one for one in members) + f"\n{indent}}}" if members else "{}"

    def _children(self, element: etree._Element, item: Item, indent: str) -> list[str]:
        several: dict[str, list[str]] = {}
        for child in element.iterchildren(etree.Element):
            name = etree.QName(child).localname
            known = item.children.get(name)
            if known is None or known.tag != child.tag:
                self._lost(element, name)
                continue
            several.setdefault(name, []).append(self.element(child, known, indent + "  " * known.repeats))
        return [f"{json.dumps(n)}: {self._listed(v, item.children[n], indent)}" for n, v in several.items()]

    def _listed(self, made: list[str], item: Item, indent: str) -> str:
        if not item.repeats:
            return made[0]
        return "[\n" + ",\n".join(f"{indent}  {one}" for one in made) + f"\n{indent}]"

    def _text(self, text: str, item: Item) -> str:
        """A number or a truth value bare where its text is one in JSON, and all else in quotes."""
        bare = item.value == "number" and _NUMBER.fullmatch(text)
        if bare or (item.value == "boolean" and text in ("true", "false")):
            return text
        return json.dumps(text, ensure_ascii=False)

    def _lost(self, element: etree._Element, name: str) -> None:
        path = f"{etree.QName(element).localname}/{name.rpartition('}')[2]}"
        self.findings.append(Finding("records.no_place", Place(path=path)))
