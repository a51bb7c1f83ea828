"""The one way by which XML bytes become a tree: no DTD, no entities, no network, bounded size, depth and
count.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from lxml import etree

from hub.finding import Finding, Place

_ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "gb18030": "gb18030",
    "gbk": "gbk",
    "gb2312": "gb2312",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "us-ascii": "ascii",
    "ascii": "ascii",
}
"""Declared name -> Python codec. Only codecs that the check below and libxml2 read alike."""

_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one document: `size` in bytes, `depth` in levels (root = 1), `elements` in start tags.

    `attributes` counts equals signs, in text too: each of a million attributes costs hundreds of bytes of memory."""

    size: int = 20_000_000
    depth: int = 100
    elements: int = 500_000
    attributes: int = 250_000


def parse(data: bytes, limits: Limits | None = None) -> tuple[etree._Element | None, list[Finding]]:
    """The root of a well-formed and harmless document and no findings, or None and what stands against it."""
    limits = limits or Limits()
    if len(data) > limits.size:
        return None, [Finding("xml.too_large", Place(), str(len(data)), str(limits.size))]
    if not data.strip():
        return None, [Finding("xml.empty", Place(offset=0))]
    codec, wrong = _codec(data)
    if wrong:
        return None, [wrong]
    try:
        text = data.decode(codec).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        return None, [Finding("xml.undecodable", Place(offset=error.start), data[error.start :][:4].hex(" "), codec)]
    doctype = _doctype(text)
    if doctype is not None:
        line = text.count("\n", 0, doctype) + 1
        return None, [Finding("xml.dtd", Place(line=line, column=doctype - text.rfind("\n", 0, doctype)))]
    # Before a tree is built: a small file can hold millions of elements.
    if text.count("<") - text.count("</") > limits.elements * 2:
        return None, [Finding("xml.too_many_elements", Place(), expected=str(limits.elements))]
    if text.count("=") > limits.attributes:
        return None, [Finding("xml.too_many_attributes", Place(), expected=str(limits.attributes))]
    return _tree(text, limits)


def _codec(data: bytes) -> tuple[str, Finding | None]:
    """The codec by byte order mark, else by declaration, else UTF-8; a finding when it is not allowed or
    they differ.
    """
    marked = next((codec for bom, codec in _BOMS if data.startswith(bom)), "")
    if not marked and data[:4] in (b"<\0?\0", b"\0<\0?"):
        marked = "utf-16-le" if data[0] else "utf-16-be"
    head = data[:512].replace(b"\0", b"") if marked.startswith("utf-16") else data[:512]
    match = _DECLARED.match(head.removeprefix(codecs.BOM_UTF8).removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff"))
    declared = match[1].decode("ascii").lower() if match else ""
    codec = _ENCODINGS.get(declared or "utf-8", "")
    if not codec:
        return "", Finding("xml.encoding", Place(offset=0), declared, "UTF-8, UTF-16, GB18030, GBK, GB2312, ISO-8859-1")
    if not declared:
        return marked or "utf-8", None
    if codec == marked or (codec == "utf-16" and marked.startswith("utf-16")):
        return marked, None
    if marked or codec.startswith("utf-16"):
        return "", Finding("xml.encoding", Place(offset=0), declared, marked or "utf-8")
    return codec, None


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


def _tree(text: str, limits: Limits) -> tuple[etree._Element | None, list[Finding]]:
    # libxml2 sees UTF-8 always: what was judged above is what is parsed.
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
    )
    try:
        root = etree.fromstring(text.encode("utf-8"), parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        place = Place(line=line, column=column)
        if (error.msg or "").startswith("Excessive depth"):
            return None, [Finding("xml.too_deep", place, expected=str(limits.depth))]
        # libxml2's advice to allow more is meant for us, not for the sender.
        why = re.sub(r",? (use|try) XML_PARSE_HUGE( option)?\s*", "", error.msg or "")
        return None, [Finding("xml.not_well_formed", place, why[:200])]
    if root.getroottree().docinfo.internalDTD is not None:
        return None, [Finding("xml.dtd", Place(line=1))]
    if root.xpath(f"count(//*) > {limits.elements}"):
        return None, [Finding("xml.too_many_elements", Place(), expected=str(limits.elements))]
    if root.xpath("boolean(" + "/*" * (limits.depth + 1) + ")"):
        return None, [Finding("xml.too_deep", Place(), expected=str(limits.depth))]
    return root, []
