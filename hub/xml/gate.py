"""The one way by which XML bytes become a tree: no DTD, no entities, no network, nothing from outside; bounded size,
depth, counts and lengths. Content that ends too early is told as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lxml import etree

from hub.finding import Finding, Place
from hub.xml.encoding import decode


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one document: `size` in bytes, `depth` in levels (root = 1), `elements` in start tags, `attribute`
    and `text` in characters of one value; `asides` are comments and processing instructions.

    `attributes` counts equals signs and `namespaces` the word xmlns, in text too: they are counted before there is a
    tree, each node of which costs hundreds of bytes."""

    size: int = 20_000_000
    depth: int = 100
    elements: int = 500_000
    attributes: int = 250_000
    attribute: int = 65_536
    text: int = 1_000_000
    namespaces: int = 1_000
    asides: int = 10_000


LIMITS = Limits()


def parse(data: bytes, limits: Limits | None = None) -> tuple[etree._Element | None, list[Finding]]:
    """The root of a well-formed and harmless document and no findings, or None and what stands against it."""
    limits = limits or LIMITS
    if len(data) > limits.size:
        return None, [Finding("xml.too_large", Place(), str(len(data)), str(limits.size))]
    if not data.strip():
        return None, [Finding("xml.empty", Place(offset=0))]
    text = decode(data)
    if isinstance(text, Finding):
        return None, [text]
    wrong = _before(text, limits)
    return (None, [wrong]) if wrong else _tree(text, limits)


# ---- before there is a tree


def _before(text: str, limits: Limits) -> Finding | None:
    doctype = _doctype(text)
    if doctype is not None:
        line = text.count("\n", 0, doctype) + 1
        return Finding("xml.dtd", Place(line=line, column=doctype - text.rfind("\n", 0, doctype)))
    for code, count, most in _counts(text, limits):
        if count > most:
            return Finding(code, Place(), expected=str(most))
    return None


def _counts(text: str, limits: Limits) -> Iterator[tuple[str, int, int]]:
    """(code, how many there may be of it, bound); what no text so short could have too many of is not counted."""
    if len(text) > limits.asides:
        yield "xml.too_many_asides", text.count("<!") + text.count("<?"), limits.asides
    if len(text) > limits.elements:
        more = text.count("</") + text.count("<!") + text.count("<?")
        yield "xml.too_many_elements", text.count("<") - more, limits.elements
    if len(text) > limits.attributes:
        yield "xml.too_many_attributes", text.count("="), limits.attributes
    if len(text) > limits.namespaces * len("xmlns"):
        yield "xml.too_many_namespaces", text.count("xmlns"), limits.namespaces


def _doctype(text: str) -> int | None:
    """Where a document type declaration starts, by walking over white space, instructions and comments."""
    at = 0
    while True:
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        if text.startswith("<?", at):
            end = text.find("?>", at)
        elif text.startswith("<!--", at):
            end = text.find("-->", at + 4)
            end += 1 if end >= 0 else 0
        else:
            return at if text.startswith("<!", at) else None
        if end < 0:
            return None
        at = end + 2


# ---- the tree


def _parser(kind: type[etree.XMLParser]) -> etree.XMLParser:
    # libxml2 sees UTF-8 always: what was judged before is what is parsed. Without comments and instructions no text
    # is cut in two: 1<!-- -->00 is 100 for the schema and would be 1 for whoever reads `.text`.
    return kind(
        remove_comments=True,
        remove_pis=True,
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
    )


def _tree(text: str, limits: Limits) -> tuple[etree._Element | None, list[Finding]]:
    data = text.encode("utf-8")
    try:
        root = etree.fromstring(data, _parser(etree.XMLParser))
    except etree.XMLSyntaxError as error:
        return None, [_malformed(data, error, limits)]
    wrong = next(_behind(root, text, limits), None)
    return (None, [wrong]) if wrong else (root, [])


def _malformed(data: bytes, error: etree.XMLSyntaxError, limits: Limits) -> Finding:
    line, column = error.position
    place = Place(line=line, column=column)
    if (error.msg or "").startswith("Excessive depth"):
        return Finding("xml.too_deep", place, expected=str(limits.depth))
    if _ended_early(data):
        return Finding("xml.truncated", place)
    # libxml2's advice to allow more is meant for us, not for the sender.
    why = re.sub(r",? (use|try) XML_PARSE_HUGE( option)?\s*", "", error.msg or "")
    return Finding("xml.not_well_formed", place, why[:200])


def _ended_early(data: bytes) -> bool:
    """True when nothing is wrong but that more should have come."""
    parser: Any = _parser(etree.XMLPullParser)
    with suppress(etree.XMLSyntaxError):
        parser.feed(data)
    return not parser.feed_error_log and data.lstrip()[:1] == b"<"


def _behind(root: etree._Element, text: str, limits: Limits) -> Iterator[Finding]:
    """What only the tree shows."""
    if root.getroottree().docinfo.internalDTD is not None:
        yield Finding("xml.dtd", Place(line=1))
    if _asked("boolean(" + "/*" * (limits.depth + 1) + ")")(root):
        yield Finding("xml.too_deep", Place(), expected=str(limits.depth))
    for what, most in (("@*", limits.attribute), ("text()", limits.text)):
        # A text that is shorter than the bound has no part that is longer.
        if len(text) > most and _asked(f"boolean(//{what}[string-length() > {most}])")(root):
            yield Finding("xml.too_long", Place(), expected=str(most))


@lru_cache(maxsize=32)
def _asked(path: str) -> etree.XPath:
    return etree.XPath(path)
