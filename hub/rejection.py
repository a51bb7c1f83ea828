"""Step 10, the human half: the sender's own file, line by line, with carets under what is wrong, in both languages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from hub.catalogue import LANGUAGES, contrl_code, describe, text, where
from hub.edifact.model import Envelope
from hub.finding import Finding, rejects
from hub.original import Original, Written
from hub.plain import plain

SHOWN = 500
"""Findings that are told one by one: a small file may have thousands, and its answer would be a large one."""
WHOLE, AROUND = 400, 2
"""Lines up to which a file is annotated as a whole; of a longer one those around each finding."""


def explain(
    name: str, data: bytes, findings: Sequence[Finding], base: int = 0, envelope: Envelope | Written | None = None
) -> tuple[bytes, bytes]:
    """(the text that a person reads, the JSON that a program reads), both UTF-8.

    `base`: what to add to a place in `data` for the place in the file. `envelope`: how `data` is written."""
    blocks = [explain_in(lang, name, data, findings, base, envelope) for lang in LANGUAGES]
    return "\n".join(blocks).encode(), machine(name, [moved(finding, base) for finding in findings])


def moved(finding: Finding, base: int) -> Finding:
    """The same at its place in the file."""
    if not base or finding.place.offset is None:
        return finding
    return replace(finding, place=replace(finding.place, offset=finding.place.offset + base))


def explain_in(
    lang: str,
    name: str,
    data: bytes,
    findings: Sequence[Finding],
    base: int = 0,
    envelope: Envelope | Written | None = None,
) -> str:
    """The findings, each with its place in the file, in one language; the first SHOWN of them."""
    return "\n".join(line for _, line in explained(lang, name, data, findings, base, envelope))


def explained(
    lang: str,
    name: str,
    data: bytes,
    findings: Sequence[Finding],
    base: int = 0,
    envelope: Envelope | Written | None = None,
) -> Iterator[tuple[str, str]]:
    """The same as (what it is, the line): title, error or warning, place, text, caret, remedy, skipped."""
    original = Original(data, envelope)
    title, who = "rejection.title" if rejects(list(findings)) else "rejection.remarks", ""
    if findings and (who := findings[0].args.get("who", "")):  # a reader has answered (hub.lineage.answer)
        title = "lineage.title"
    yield "title", text(title, lang, name=plain(name), count=len(findings), who=plain(who))
    yield "text", ""
    for number, finding in enumerate(findings[:SHOWN], 1):
        what, remedy = describe(finding, lang)
        yield finding.severity, f"{number}. [{finding.code}] {what}"
        yield "place", f"   {where(moved(finding, base))}"
        for kind, line in zip(("text", "caret"), original.excerpt(finding), strict=False):
            yield kind, f"   {line}"
        yield "remedy", f"   → {remedy}"
        yield "text", ""
    if len(findings) > SHOWN:
        yield "skipped", text("rejection.more", lang, count=len(findings) - SHOWN)


def annotated(
    data: bytes, findings: Sequence[Finding], lang: str, envelope: Envelope | Written | None = None
) -> Iterator[tuple[str, str]]:
    """The file in lines, one segment each, and under each carets and what is wrong there, as (what it is, the line):
    text, skipped, caret, error or warning, and remedy. First what names no place in the file."""
    original = Original(data, envelope)
    of_line: dict[int | None, list[Finding]] = {}
    for finding in findings[:SHOWN]:
        of_line.setdefault(original.line_of(finding), []).append(finding)
    for finding in of_line.pop(None, []):
        yield from _said(finding, lang, "")
    count = len(original.starts)
    gutter = len(str(count))
    near = {at for line in of_line if line is not None for at in range(line - AROUND, line + AROUND + 1)}
    behind = 0
    for number in range(count) if count <= WHOLE else sorted(near & set(range(count))):
        if number > behind:
            yield "skipped", f"{'⋮':>{gutter}}"
        behind = number + 1
        yield "text", f"{behind:>{gutter}} │ {original.line(number)}"
        for finding in of_line.get(number, []):
            margin = f"{'':>{gutter}} │ "
            yield "caret", margin + original.carets(number, finding)
            yield from _said(finding, lang, margin)
    if len(findings) > SHOWN:
        yield "skipped", text("rejection.more", lang, count=len(findings) - SHOWN)


def _said(finding: Finding, lang: str, margin: str) -> Iterator[tuple[str, str]]:
    what, remedy = describe(finding, lang)
    yield finding.severity, f"{margin}[{finding.code}] {what}"
    yield "remedy", f"{margin}→ {remedy}"


def machine(name: str, findings: Sequence[Finding]) -> bytes:
    """The same for a program; what a terminal could obey is escaped in it."""
    told = {"file": name, "count": len(findings), "findings": as_rows(findings[:SHOWN])}
    rows = json.dumps(told, ensure_ascii=False, indent=1)
    return plain(rows, keep="\n").encode()


def as_rows(findings: Sequence[Finding], lang: str = "") -> list[dict[str, Any]]:
    """Findings as JSON takes them; the words in one language, or else in each by its name."""
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
            "text": describe(f, lang)[0] if lang else {one: describe(f, one)[0] for one in LANGUAGES},
            "remedy": describe(f, lang)[1] if lang else {one: describe(f, one)[1] for one in LANGUAGES},
        }
        for f in findings
    ]
