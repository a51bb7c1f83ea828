"""Two versions of one message, field by field: EDIFACT by groups, segments and elements, XML by elements.

Both become the same plain tree of names and values; what stands in only one of them is told as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise, zip_longest

from lxml import etree

from hub.edifact import reader, structure
from hub.edifact.directory import Directory
from hub.edifact.model import Envelope, Group, RawMessage, Repeats, Segment
from hub.site.site import Usage
from hub.xml import gate

LONGEST = 200  # characters of a part that is told as a whole


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs; None where there is nothing. `path` as Manifest/Container[2]/Number or
    SG3[2]/EQD/C237/8260; "" is the whole."""

    path: str
    expected: str | None
    got: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """A named part of a message with its value or its own parts."""

    name: str
    value: str = ""
    parts: tuple[Part, ...] = ()

    def words(self) -> Iterator[str]:
        """Every value in it."""
        if self.value:
            yield self.value
        for part in self.parts:
            yield from part.words()


def changes(usage: Usage, expected: bytes | None, got: bytes | None) -> list[Change]:
    """Where two messages of one kind differ; None: there is none."""
    if expected is None or got is None:
        return [] if expected is got else [Change("", _whole(expected), _whole(got))]
    had, has = pretty(usage, expected), pretty(usage, got)
    if had == has:
        return []
    told = list(_changed(tree(usage, had), tree(usage, has), ""))
    return told or _by_lines(had, has)


def pretty(usage: Usage, data: bytes) -> bytes:
    """The message as a person reads it: a segment or an element a line. What cannot be read stays as it is."""
    if usage.rule.format == "xml":
        root, _ = gate.parse(data)
        if root is None:
            return data
        etree.indent(root)
        return b'<?xml version="1.0" encoding="UTF-8"?>\n' + etree.tostring(root, encoding="UTF-8") + b"\n"
    if usage.rule.format == "edifact":
        return b"".join(line + b"\n" for line in _segments(data))
    return data


def _segments(data: bytes) -> list[bytes]:
    """UNA and UNB, the segments of every message, UNZ; each without the line break behind it."""
    cuts: dict[int, None] = {0: None, len(data): None}
    for part in reader.read([data]):
        if isinstance(part, Envelope):
            cuts[part.offset] = None
        elif isinstance(part, RawMessage):
            cuts |= dict.fromkeys([*(segment.offset for segment in part.segments), part.end])
    places = sorted(cuts)
    pieces = (data[start:end].strip(b"\r\n") for start, end in pairwise(places))
    return [piece for piece in pieces if piece]


# ---- trees


def tree(usage: Usage, data: bytes) -> Part:
    """The message as parts; without any where it cannot be read."""
    if usage.form is not None:
        return Part("", parts=tuple(_element(one.root) for one in usage.form.read(data).documents))
    if usage.rule.format == "xml":
        root, _ = gate.parse(data)
        return Part("") if root is None else Part("", parts=(_element(root),))
    return Part("", parts=tuple(_interchange(usage, data)))


def _element(node: etree._Element) -> Part:
    attributes = [Part(f"@{_local(str(name))}", str(value)) for name, value in node.attrib.items()]
    inner = [_element(child) for child in node if isinstance(child.tag, str)]
    return Part(_local(str(node.tag)), (node.text or "").strip(), (*attributes, *inner))


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _interchange(usage: Usage, data: bytes) -> Iterator[Part]:
    lines = [line.decode("utf-8", "backslashreplace") for line in _segments(data)]
    yield Part("UNB", lines[0] if lines else "")
    for part in reader.read([data]):
        if isinstance(part, RawMessage) and usage.spec and usage.directory:
            group, _ = structure.build(part, usage.spec)
            yield from _group(usage.directory, group)
    yield Part("UNZ", lines[-1] if lines else "")


def _group(directory: Directory, group: Group) -> Iterator[Part]:
    for key, parts in group.parts.items():
        for part in parts:
            inner = _fields(directory, part) if isinstance(part, Segment) else _group(directory, part)
            yield Part(key, parts=tuple(inner))


def _fields(directory: Directory, segment: Segment) -> Iterator[Part]:
    """Every value of a segment under the name that mappings call it by."""
    specs = directory.segment(segment.tag) if directory.defines(segment.tag) else ()
    seen: Counter[str] = Counter()
    for at, element in enumerate(segment.elements):
        spec = specs[min(at, len(specs) - 1)] if specs else None
        name = spec.id if spec else str(at + 1)
        seen[name] += 1
        name = name if seen[name] == 1 else f"{name}#{seen[name]}"
        ids = [part.id for part in spec.components] if spec and spec.composite else []
        for occurrence in (element, *(element.more if isinstance(element, Repeats) else ())):
            yield from _components(name, ids, occurrence)


def _components(name: str, ids: list[str], element: list[str]) -> Iterator[Part]:
    seen: Counter[str] = Counter()
    for at, value in enumerate(element):
        id = ids[at] if at < len(ids) else str(at + 1) if ids or at else ""
        seen[id] += 1
        if value:
            turn = f"#{seen[id]}" if seen[id] > 1 else ""
            yield Part(f"{name}/{id}{turn}" if id else name, value)


# ---- comparing


def _changed(expected: Part, got: Part, path: str) -> Iterator[Change]:
    if expected.value != got.value:
        yield Change(path, expected.value or None, got.value or None)
    had, has = _paths(expected, path), _paths(got, path)
    matched = SequenceMatcher(None, expected.parts, got.parts, autojunk=False)
    for word, start, end, other, behind in matched.get_opcodes():
        if word == "equal":
            continue
        left = list(zip(expected.parts[start:end], had[start:end], strict=True))
        right = list(zip(got.parts[other:behind], has[other:behind], strict=True))
        for part, place in left:
            same = next((pair for pair in right if pair[0].name == part.name), None)
            if same is None:
                yield Change(place, _words(part), None)
            else:
                right.remove(same)
                yield from _changed(part, same[0], place)
        for part, place in right:
            yield Change(place, None, _words(part))


def _paths(part: Part, above: str) -> list[str]:
    """The path of each part below, with its position where there are several of a name."""
    many = Counter(inner.name for inner in part.parts)
    seen: Counter[str] = Counter()
    paths = []
    for inner in part.parts:
        seen[inner.name] += 1
        step = f"{inner.name}[{seen[inner.name]}]" if many[inner.name] > 1 else inner.name
        paths.append(f"{above}/{step}" if above else step)
    return paths


def _words(part: Part) -> str:
    text = " ".join(part.words())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _whole(data: bytes | None) -> str | None:
    return None if data is None else f"{len(data)} bytes"


def _by_lines(had: bytes, has: bytes) -> list[Change]:
    """What differs in nothing but its form: the first such line."""
    left, right = ([line.decode("utf-8", "backslashreplace") for line in data.split(b"\n")] for data in (had, has))
    pairs = enumerate(zip_longest(left, right), 1)
    return [Change(f"line {at}", one, other) for at, (one, other) in pairs if one != other][:1]
