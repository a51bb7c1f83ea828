"""Judge or translate one file as the hub would, without a hub: `eport validate` and `eport translate`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hub import delivery, opening, rejection, routing
from hub.finding import Finding, rejects
from hub.message import Interchange
from hub.site.site import Site

UNASKED = ("opening.sender_mismatch", "signature.missing")
"""What depends on who sent the file, which is not asked here."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """accepted, accepted-with-warnings or rejected, and why."""

    word: str
    findings: tuple[Finding, ...]
    messages: tuple[tuple[str, str, str], ...]  # reference, kind, verdict

    def as_json(self) -> dict[str, Any]:
        found = rejection.as_rows(self.findings)
        messages = [{"reference": r, "kind": k, "verdict": v} for r, k, v in self.messages]
        return {"verdict": self.word, "messages": messages, "findings": found}


def judge(site: Site, data: bytes) -> Verdict:
    """The verdict on a file of any party: who sent it is not asked."""
    now = datetime.now(UTC)
    party = next(iter(site.parties))
    one = Interchange("X", "", party, "", "", "", len(data), now)
    opened = opening.open(site, one, data, now)
    whole = [f for f in opened.findings if f.code not in UNASKED]
    findings = [*whole]
    messages = []
    for message in opened.messages:
        own = [f for f in message.findings if f.code not in UNASKED and f not in findings]
        findings += own
        kind = message.usage.name if message.usage else ""
        messages.append((message.reference, kind, "rejected" if rejects(own) else "accepted"))
    word = "rejected" if rejects(findings) else "accepted-with-warnings" if findings else "accepted"
    return Verdict(word, tuple(findings), tuple(messages))


def translated(site: Site, data: bytes, kind: str) -> tuple[bytes, list[Finding]]:
    """The file as a message of `kind`, by way of the canonical documents between; b"" with the reasons."""
    now = datetime.now(UTC)
    if kind not in site.kinds:
        return b"", [Finding("site.unknown_name", found=kind, expected=", ".join(sorted(site.kinds)))]
    party = next(iter(site.parties))
    opened = opening.open(site, Interchange("X", "", party, "", "", "", len(data), now), data, now)
    findings = [*opened.findings, *(f for m in opened.messages for f in m.findings)]
    findings = [f for f in findings if f.code not in UNASKED]
    if rejects(findings):
        return b"", findings
    nodes = {m.usage.name: m.node for m in opened.messages if m.usage}
    nodes |= {m.usage.rule.becomes: m.canonical for m in opened.messages if m.usage and m.canonical is not None}
    for step in _way(site, set(nodes), kind)[:-1]:
        found = site.mapping_into(step, set(nodes))
        if found is not None:
            sources = {alias: nodes[name] for alias, name in found[1].sources.items()}
            nodes[step], wrong = found[1].apply(sources, site.context(now, case=""))
            findings += wrong
    leg = routing.Leg(_reader(site, kind), kind, None)
    source = delivery.Source("X", nodes, {}, party, (), "")
    written, wrong = delivery.render(site, source, leg, "E000000000", now)
    return (b"" if rejects(wrong) else written), [*findings, *wrong]


def _way(site: Site, have: set[str], kind: str, seen: frozenset[str] = frozenset()) -> list[str]:
    """The kinds to make one after the other, `kind` last, from those we have."""
    if kind in seen:
        return []
    if site.mapping_into(kind, have) is not None:
        return [kind]
    for sources, target in site.mappings:
        if target == kind:
            missing = [name for name in sources.split(",") if name not in have]
            ways = [_way(site, have, name, seen | {kind}) for name in missing]
            if all(ways):
                return [*dict.fromkeys(step for way in ways for step in way), kind]
    return []


def _reader(site: Site, kind: str) -> str:
    """A party that a route gives this kind to, else the port itself."""
    readers = (party for r in site.routes.routes.values() for party, made in r.to.items() if made == kind)
    return next((party for party in readers if party in site.parties), site.routes.port)
