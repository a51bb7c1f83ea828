"""Step 9: what has happened in a case decides which stages are reached. A pure fold over its events.

A stage is reached once for each set of messages that fulfils it; an amended message is a new set, so the stage is
reached again, the case makes its document anew, and only answers to that newest document count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.site.model import CaseRule


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a case stands: the newest message of each kind, and who said what about the newest document."""

    messages: dict[str, str]
    verdicts: dict[tuple[str, str], str]  # (verdict name, subject) -> receipt's message
    subject: str


def fold(events: Sequence[Any], subject: str) -> Standing:
    """Events in order; `subject` is the newest message that the parties were asked about."""
    messages: dict[str, str] = {}
    verdicts: dict[tuple[str, str], str] = {}
    for happened in events:
        if happened["what"] == "message":
            messages[happened["name"]] = happened["message"]
        elif happened["what"] == "answer":
            verdicts[happened["name"], happened["subject"]] = happened["message"]
    return Standing(messages, verdicts, subject)


def reached(rule: CaseRule, standing: Standing, stages: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Stages newly reached, in order: (stage, what fulfils it)."""
    fresh = []
    for name, stage in rule.stages.items():
        by = _by(standing, stage.on.all, all) if stage.on.all else _by(standing, stage.on.any, any)
        if by and stages.get(name, {}).get("by") != by:
            fresh.append((name, by))
    return fresh


def _by(standing: Standing, names: Iterable[str], how: Any) -> str:
    """The messages that fulfil the condition, as one string; "" when it is not fulfilled."""
    found = [_one(standing, name) for name in names]
    if not how(bool(item) for item in found):
        return ""
    return ",".join(sorted({item for item in found if item}))


def _one(standing: Standing, name: str) -> str:
    if " " in name:
        return standing.subject if (name, standing.subject) in standing.verdicts else ""
    return standing.messages.get(name, "")
