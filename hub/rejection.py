"""Step 10, the human half: the sender's own file, line by line, with carets under what is wrong, in both languages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hub.catalogue import LANGUAGES, contrl_code, describe, text, where
from hub.finding import Finding
from hub.plain import plain

CONTEXT = 60
SHOWN = 500
"""Findings that are told one by one: a small file may have thousands, and its answer would be a large one."""


def explain(name: str, data: bytes, findings: Sequence[Finding]) -> tuple[bytes, bytes]:
    """(the text that a person reads, the JSON that a program reads), both UTF-8."""
    blocks = [explain_in(lang, name, data, findings) for lang in LANGUAGES]
    return "\n".join(blocks).encode(), machine(name, findings)


def explain_in(lang: str, name: str, data: bytes, findings: Sequence[Finding]) -> str:
    """The findings, each with its place in the file, in one language; the first SHOWN of them."""
    lines = [text("rejection.title", lang, name=plain(name), count=len(findings)), ""]
    for number, finding in enumerate(findings[:SHOWN], 1):
        what, remedy = describe(finding, lang)
        lines.append(f"{number}. [{finding.code}] {what}")
        lines.append(f"   {where(finding)}")
        lines.extend(f"   {line}" for line in excerpt(data, finding))
        lines.append(f"   → {remedy}")
        lines.append("")
    if len(findings) > SHOWN:
        lines.append(text("rejection.more", lang, count=len(findings) - SHOWN))
    return "\n".join(lines)


def excerpt(data: bytes, finding: Finding) -> list[str]:
    """The piece of the file around the place, and a caret below it; nothing where there is no place."""
    offset = finding.place.offset
    if offset is None or offset > len(data):
        return []
    first, last = max(0, offset - CONTEXT), offset + CONTEXT
    start = max(data.rfind(b"'", first, offset), data.rfind(b"\n", first, offset), first - 1) + 1
    end = data.find(b"'", offset, last)
    end = end + 1 if end >= 0 else min(len(data), last)
    return [_line(data[start:end]), " " * len(_line(data[start:offset])) + "^"]


def _line(data: bytes) -> str:
    """A piece of the file in one line."""
    return plain(data.decode("utf-8", "backslashreplace").replace("\n", " ").replace("\r", " "))


def machine(name: str, findings: Sequence[Finding]) -> bytes:
    """The same for a program; what a terminal could obey is escaped in it."""
    told = {"file": name, "count": len(findings), "findings": as_rows(findings[:SHOWN])}
    rows = json.dumps(told, ensure_ascii=False, indent=1)
    return plain(rows, keep="\n").encode()


def as_rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as JSON takes them."""
    return [
        {
            "code": f.code,
            "contrl": contrl_code(f),
            "severity": f.severity,
            "message_reference": f.place.message,
            "segment": f.place.segment,
            "tag": f.place.tag,
            "element": f.place.element,
            "component": f.place.component,
            "offset": f.place.offset,
            "path": f.place.path,
            "file": f.place.file,
            "line": f.place.line,
            "column": f.place.column,
            "found": f.found,
            "expected": f.expected,
            "text": {lang: describe(f, lang)[0] for lang in LANGUAGES},
            "remedy": {lang: describe(f, lang)[1] for lang in LANGUAGES},
        }
        for f in findings
    ]
