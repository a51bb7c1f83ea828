"""Which codec the bytes of an XML document are read by, and which disguises are refused.

The byte order mark decides, then the declaration, then it is UTF-8 (XML 1.0 appendix F), and mark and declaration must
agree. What is judged here is handed on as UTF-8, so libxml2 never chooses for itself.
"""

from __future__ import annotations

import codecs
import re

from hub.finding import Finding, Place

ACCEPTED = "UTF-8, UTF-16, GB18030, GBK, GB2312, ISO-8859-1"
_CODECS = {
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
"""Declared name -> Python codec. Only those that keep `<` where ASCII has it, or have a byte order mark."""

_DISGUISES = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"<\0\0\0", "UTF-32"),
    (b"\0\0\0<", "UTF-32"),
    (b"<\0", "UTF-16 without a byte order mark"),
    (b"\0<", "UTF-16 without a byte order mark"),
    (b"\x4c\x6f\xa7\x94", "EBCDIC"),
    (b"\xdd\x73\x66\x73", "UTF-EBCDIC"),
    (b"+/v", "UTF-7"),
    (b"+ADw-", "UTF-7"),
    (b"\xf7\x64\x4c", "UTF-1"),
    (b"\x0e\xfe\xff", "SCSU"),
    (b"\xfb\xee\x28", "BOCU-1"),
)
"""First bytes -> what they are the first bytes of. Longer ones first: UTF-32 begins like UTF-16."""

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARATION = re.compile(r"<\?xml\s[^>]*?\?>")
_DECLARED = re.compile(r"""\sencoding\s*=\s*["']([^"'>]*)["']""")


def decode(data: bytes) -> str | Finding:
    """The text without its byte order mark, or what stands against it."""
    codec = _codec(data)
    if isinstance(codec, Finding):
        return codec
    try:
        return data.decode(codec).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if _cut(data, codec):
            return Finding("xml.truncated", Place(offset=len(data)))
        found = data[error.start :][:4].hex(" ")
        return Finding("xml.undecodable", Place(offset=error.start), found, codec)


def _cut(data: bytes, codec: str) -> bool:
    """True when all is right but for a last character that has not come whole."""
    try:
        codecs.getincrementaldecoder(codec)().decode(data, final=False)
    except UnicodeDecodeError:
        return False
    return True


def _codec(data: bytes) -> str | Finding:
    for first, name in _DISGUISES:
        if data.startswith(first):
            return _refused(name)
    marked, mark = next(((codec, bom) for bom, codec in _MARKS if data.startswith(bom)), ("", b""))
    head = data[len(mark) : 4096].decode(marked if marked.startswith("utf-16") else "latin-1", "replace")
    declaration = _DECLARATION.match(head)
    if declaration is None:
        # One that begins and does not end would hide what it declares.
        return (
            _refused("<?xml …")
            if head.startswith("<?xml") and "?>" not in head and len(data) > 4096
            else (marked or "utf-8")
        )
    match = _DECLARED.search(declaration[0])
    if match is None:
        return marked or "utf-8"
    declared = match[1].lower()
    codec = _CODECS.get(declared, "")
    if not codec:
        return _refused(match[1][:40])
    if codec == marked or (codec == "utf-16" and marked.startswith("utf-16")):
        return marked
    if marked or codec.startswith("utf-16"):
        return _refused(match[1], marked or "utf-8")
    return codec


def _refused(found: str, expected: str = ACCEPTED) -> Finding:
    return Finding("xml.encoding", Place(offset=0), found, expected)
