"""What a check finds, and what the mapping has chosen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hub.finding import Finding, Severity
from hub.mapping.plan import Tables
from hub.mapping.rules import Spot


@dataclass(slots=True)
class Book:
    """Findings of one mapping. `foreseen` are targets that can come out wrong, chosen or not; `met` the codes that
    each table can be asked for, None when that can be anything."""

    tables: Tables
    rejects: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    foreseen: set[str] = field(default_factory=set)
    met: dict[str, list[tuple[Spot, frozenset[str] | None]]] = field(default_factory=dict)

    def tell(self, code: str, spot: Spot, found: str, expected: str = "", severity: Severity = "error") -> None:
        finding = replace(spot.finding(code, found[:300], expected[:300]), severity=severity)
        if finding not in self.findings:
            self.findings.append(finding)

    def may(self, what: str, target: str, code: str, spot: Spot, found: str, expected: str, severity: Severity) -> None:
        """As `tell`, but where the mapping has chosen that this is refused."""
        self.foreseen.add(target)
        if what not in self.rejects:
            self.tell(code, spot, found, expected, severity)
