"""Judge one file as the hub would, without a hub: what `eport validate` says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hub import opening, rejection
from hub.finding import Finding, rejects
from hub.message import Interchange
from hub.site.site import Site


@dataclass(frozen=True, slots=True)
class Verdict:
    """accepted, accepted-with-warnings or rejected, and why."""

    word: str
    findings: tuple[Finding, ...]
    messages: tuple[tuple[str, str, str], ...]  # reference, kind, verdict

    def as_json(self) -> dict[str, Any]:
        found = json.loads(rejection.machine("", self.findings))["findings"]
        messages = [{"reference": r, "kind": k, "verdict": v} for r, k, v in self.messages]
        return {"verdict": self.word, "messages": messages, "findings": found}


def judge(site: Site, data: bytes) -> Verdict:
    """The verdict on a file of any party: who sent it is not asked."""
    now = datetime.now(UTC)
    party = next(iter(site.parties))
    one = Interchange("X", "", party, "", "", "", len(data), now)
    opened = opening.open(site, one, data, now)
    whole = [f for f in opened.findings if f.code != "opening.sender_mismatch"]
    findings = [*whole]
    messages = []
    for message in opened.messages:
        own = [f for f in message.findings if f.code != "opening.sender_mismatch" and f not in findings]
        findings += own
        kind = message.usage.name if message.usage else ""
        messages.append((message.reference, kind, "rejected" if rejects(own) else "accepted"))
    word = "rejected" if rejects(findings) else "accepted-with-warnings" if findings else "accepted"
    return Verdict(word, tuple(findings), tuple(messages))
