"""A Finding is a fact that something is wrong: code, place, found, expected. Findings are collected, not raised.

The codes are a closed list in hub/catalogue.toml, table `[finding."<code>"]`, each with severity, who acts,
the CONTRL code (data element 0085) where ISO 9735 has one, and sentence and remedy in English and Chinese.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where. Every part is optional; numbers follow ISO 9735-4 (UCS/UCD).

    message    UNH 0062 reference
    segment    UNH = 1 within its message; for the envelope UNB = 1 of its interchange
    element    1 = first behind the tag
    component  from 1
    occurrence of a repeated element, from 1 (syntax version 4)
    offset     bytes from the start of the file
    path       XPath of an XML node, or the key path of a declaration
    """

    message: str | None = None
    segment: int | None = None
    tag: str | None = None
    element: int | None = None
    component: int | None = None
    offset: int | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    path: str | None = None
    occurrence: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong. `code` is a key of the catalogue; `args` fill the holes of its sentences."""

    code: str
    place: Place = Place()
    found: str = ""
    expected: str = ""
    severity: Severity = "error"
    args: dict[str, str] = field(default_factory=dict)


def rejects(findings: list[Finding] | tuple[Finding, ...]) -> bool:
    """True when at least one finding is an error."""
    return any(finding.severity == "error" for finding in findings)
