"""File names that may enter, and whether a file that is still being written is already whole.

Shared by every adapter that sees files: folder, sftp, sftpd and the http door.
"""

from __future__ import annotations

import re

#: What `complete` wants to see of each end of a file, in bytes.
WINDOW = 4096

#: Names that are safe as a file name anywhere: no path, no option, no hidden file, no blank.
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")

_TEMPORARY_ENDS = (".tmp", ".part", ".partial", ".filepart", ".filetmp", "~")
_BLANK = " \t\r\n"

_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be", b"<\x00": "utf-16-le", b"\x00<": "utf-16-be"}
_UTF8_BOM = b"\xef\xbb\xbf"

_PROLOG = re.compile(r"(?:[ \t\r\n]+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE(?:[^\[>]|\[[^\]]*\])*>)*", re.DOTALL)
_ROOT = re.compile(r"""<([^ \t\r\n/<>!?"']+)((?:"[^"]*"|'[^']*'|[^<>"'])*)>""")
_ROOT_NAME = re.compile(r"""<([^ \t\r\n/<>!?"']+)[ \t\r\n/>]""")
_OPAQUE = re.compile(r"<!\[CDATA\[.*?\]\]>|<!--.*?-->|<\?.*?\?>", re.DOTALL)


def safe(name: str) -> bool:
    """True when `name` may be used as a file name as it stands."""
    return SAFE.fullmatch(name) is not None


def temporary(name: str) -> bool:
    """True when `name` is one that programs give to files they are still writing."""
    lower = name.lower()
    return lower.startswith(".") or lower.endswith(_TEMPORARY_ENDS) or "octransferid" in lower


def complete(head: bytes, tail: bytes) -> bool | None:
    """Tell from its two ends whether an EDIFACT or XML file is whole; None for any other format.

    `head` and `tail` are the first and the last WINDOW bytes, the same bytes when the file is smaller. True
    promises only that the last segment or tag is the one that ends the file: what lies between is for the hub
    to check. None also when the ends do not suffice, such as a comment longer than WINDOW before the root.
    """
    if not head:
        return None
    verdict = _edifact(head, tail)
    return _xml(head, tail) if verdict is None else verdict


def _edifact(head: bytes, tail: bytes) -> bool | None:
    """ISO 9735-1: the interchange ends with a terminated UNZ. Separators from UNA, else `+`, `?` and `'`."""
    text = head.removeprefix(_UTF8_BOM).lstrip()
    element, release, terminator = b"+", b"?", b"'"
    if text.startswith(b"UNA"):
        if len(text) < 9:
            return False
        element, release, terminator = text[4:5], text[6:7], text[8:9]
        text = text[9:].lstrip()
        if len(text) < 4 and b"UNB".startswith(text[:3]):
            return False
    if not text.startswith(b"UNB" + element):
        return None
    return _ends_with_unz(tail, element, release, terminator)


def _ends_with_unz(tail: bytes, element: bytes, release: bytes, terminator: bytes) -> bool:
    """True when the last thing in `tail`, white space apart, is a terminated UNZ segment."""
    body = tail.rstrip()
    if terminator.isspace():
        # Some systems end segments with a line feed alone: then the blank at the end is what terminates.
        if terminator not in tail[len(body) :]:
            return False
        body += terminator
    end = len(body) - 1
    if body[end:] != terminator or _released(body, end, release):
        return False
    start = body.rfind(terminator, 0, end)
    while start >= 0 and _released(body, start, release):
        start = body.rfind(terminator, 0, start)
    return body[start + 1 : end].lstrip().startswith(b"UNZ" + element)


def _released(body: bytes, at: int, release: bytes) -> bool:
    """True when an odd run of release characters stands before `at`. A blank one in UNA releases nothing."""
    if release == b" ":
        return False
    run = 0
    while at - run > 0 and body[at - run - 1 : at - run] == release:
        run += 1
    return run % 2 == 1


def _xml(head: bytes, tail: bytes) -> bool | None:
    """XML 1.0, production [1] document: prolog, one root element, then comments, instructions, blanks."""
    encoding = _UTF16.get(head[:2], "latin-1")
    first = _text(head, encoding)
    if not first.startswith("<"):
        return None
    prolog = _PROLOG.match(first)
    begins = prolog.end() if prolog else 0
    name = _ROOT_NAME.match(first, begins)
    if name is None:
        return False if len(head) < WINDOW else None
    root = _ROOT.match(first, begins)
    if root and root[2].endswith("/"):
        return not _OPAQUE.sub("", first[root.end() :]).strip(_BLANK) if len(head) < WINDOW else None
    # Closed comments and CDATA may hold anything that looks like a tag; one still open means the file is cut.
    last = _OPAQUE.sub("", _text(tail, encoding)).rstrip(_BLANK)
    if "<!--" in last or "<![CDATA[" in last:
        return False
    return re.search(rf"</{re.escape(name[1])}[ \t\r\n]*>\Z", last) is not None


def _text(data: bytes, encoding: str) -> str:
    """Decode for comparing tags only: Latin-1 keeps any ASCII superset comparable byte by byte."""
    data = data.removeprefix(_UTF8_BOM) if encoding == "latin-1" else data
    return data.decode(encoding, "replace").removeprefix("\ufeff").lstrip(_BLANK)
