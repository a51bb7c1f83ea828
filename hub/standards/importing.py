"""A directory as UNECE publishes it for download, read into the project's own tables. Pure but for reading the files.

What a text is follows from what stands in it. What cannot be read is told and left out, and so is every message that
would refer to it: tables that come out of an import are whole.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Set
from dataclasses import dataclass, replace
from pathlib import Path

from hub.edifact.tables import Entry, Facts, Line
from hub.finding import Finding, Place
from hub.standards import segment_table, vocabulary
from hub.standards.archive import Archive
from hub.standards.choice import choose

_INTERACTIVE = re.compile(r"(?:^|/)I[DH][MSC]D[^/]*(?:/|$)|(?:^|/)[A-Z]{6}_I\.[^/]*$", re.I)
"""Names of the interactive part of a directory: other messages, and segments of the same tags."""
_NAMED = re.compile(r"(?:^|/)([A-Z]{6})(?:_D)?\.[^/]*$", re.I)
_RELEASE = re.compile(r"(?:D[.:]?)?(\d{2}[A-C])", re.I)
_ELSEWHERE = re.compile(r"SG\d+|U[A-Z]{2}")
"""Lines of a segment table that no segment of the directory stands behind: groups, and the service layer's."""
_IN_A_NAME = re.compile(r"D\.?(\d{2}[A-C])(?![A-Z0-9])|\.(\d{2}[A-C])$", re.I)


@dataclass(frozen=True, slots=True)
class Imported:
    """`facts.release` is "" when nothing says which release it is."""

    facts: Facts
    findings: tuple[Finding, ...]


def read(path: Path, types: Collection[str] = (), release: str = "") -> Imported:
    """The directory in a folder or zip; of its messages only `types`, where some are named. OSError when `path` cannot
    be read."""
    archive = Archive()
    facts = Facts("")
    findings: list[Finding] = []
    releases: Counter[str] = Counter()
    for name, text in archive.texts(path):
        releases.update(found[1] or found[2] for found in _IN_A_NAME.finditer(name))
        if _INTERACTIVE.search(name):
            continue
        if segment_table.is_message(text):
            _message(name, text, facts, findings, releases)
        else:
            _entries(name, text, facts, findings)
    facts.release = _release(release or max(releases, key=releases.__getitem__, default=""))
    facts.source = _source(path.name, facts.release)
    undefined = _whole(facts)
    chosen = choose(facts, types or facts.messages)
    return Imported(chosen, (*archive.findings, *findings, *undefined, *_lacking(chosen, types)))


def _message(name: str, text: str, facts: Facts, findings: list[Finding], releases: Counter[str]) -> None:
    said = segment_table.heading(text)
    found = _NAMED.search(name)
    type = said.get("message type", found[1] if found else "").upper()
    entry = segment_table.read(name, text, findings)
    release = _RELEASE.fullmatch(said.get("release", ""))
    if release:
        releases[release[1]] += 1
    if entry is None:
        return
    if not re.fullmatch("[A-Z]{6}", type):
        findings.append(Finding("standards.unread", Place(file=name, line=1, column=1), "message type", "CUSCAR"))
        return
    facts.messages[type] = entry


def _entries(name: str, text: str, facts: Facts, findings: list[Finding]) -> None:
    for id, found in vocabulary.read(name, text, findings):
        if isinstance(found, vocabulary.Element):
            _element(id, found, facts)
        elif len(id) == 3:
            facts.segments[id] = found
        else:
            facts.composites[id] = found


def _element(id: str, found: vocabulary.Element, facts: Facts) -> None:
    """EDED and UNCL both describe a coded element; only the latter has its codes."""
    name, picture = facts.elements.get(id, ("", ""))
    facts.elements[id] = name or found.name, picture or found.format
    if found.codes:
        facts.codes.setdefault(id, {}).update(found.codes)


def _release(said: str) -> str:
    """`said` (D:95B, D.95B, 95b) as D.95B; "" where it is no release."""
    found = _RELEASE.fullmatch(said)
    return f"D.{found[1].upper()}" if found else ""


def _source(name: str, release: str) -> tuple[str, ...]:
    return (
        "structural facts; not a UN/EDIFACT directory and not to be passed on as one",
        f"source: UN/EDIFACT directory {release} of the UNECE, read from {' '.join(name.split())[:80]}",
    )


def _whole(facts: Facts) -> list[Finding]:
    """Everything that refers to what nobody defines is taken out again, from the components up to the messages."""
    for entries in (facts.segments, facts.composites):
        for id, entry in entries.items():
            entries[id] = Entry(entry.name, tuple(_same(line, facts) for line in entry.lines))
    elsewhere = {line.id for entry in facts.messages.values() for line in entry.lines if _ELSEWHERE.fullmatch(line.id)}
    return [
        *_without(facts.composites, facts.elements.keys()),
        *_without(facts.segments, facts.elements.keys() | facts.composites.keys()),
        *_without(facts.messages, facts.segments.keys() | elsewhere),
    ]


def _same(line: Line, facts: Facts) -> Line:
    """A position says its format only where it departs from its element's."""
    return replace(line, format="") if line.format == facts.elements.get(line.id, ("", ""))[1] else line


def _without(entries: dict[str, Entry], known: Set[str]) -> list[Finding]:
    """Takes out the entries that refer to what is not `known`, and says so."""
    lacking = {id: {line.id for line in entry.lines} - known for id, entry in entries.items()}
    for id in [id for id, lacks in lacking.items() if lacks]:
        del entries[id]
    return [
        Finding("standards.undefined", found=id, expected=", ".join(sorted(lacks)))
        for id, lacks in lacking.items()
        if lacks
    ]


def _lacking(chosen: Facts, types: Collection[str]) -> list[Finding]:
    """What was asked for and is not there."""
    findings = [Finding("standards.no_type", found=type) for type in types if type not in chosen.messages]
    if not chosen.messages:
        findings.append(Finding("standards.nothing"))
    elif not chosen.release:
        findings.append(Finding("standards.no_release"))
    return findings
