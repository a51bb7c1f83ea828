"""Step 4 for an answer: which of our references it quotes, what it says, why, and where it points to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hub.edifact.model import Group
from hub.message import Answer
from hub.site.model import Pointer, Reasons
from hub.site.site import Usage


def answer(usage: Usage, node: Group | Any) -> Answer | None:
    """What a message says of one of ours; None where its kind answers nothing."""
    rule = usage.rule.answers
    if rule is None:
        return None
    said = usage.value(node, rule.verdict.from_)
    accepted = True if said in rule.verdict.accepted else False if said in rule.verdict.refused else None
    reasons = tuple(_reasons(usage, rule.reasons, node)) if rule.reasons else ()
    by = {name: usage.value(node, path) for name, path in rule.by.items()}
    number = usage.value(node, rule.number) if rule.number else ""
    return Answer(rule.level, accepted, "", by, number, reasons)


def _reasons(usage: Usage, rule: Reasons, node: Group | Any) -> Iterator[tuple[str, ...]]:
    for part in usage.parts(node, rule.each):
        of_all = usage.inner(part, rule.code)
        for own, at in _pointed(usage, rule, part):
            code = own or of_all
            words = usage.inner(part, rule.text) if rule.text else _meaning(usage, rule.code, code)
            yield (code, words, at) if at else (code, words)


def _pointed(usage: Usage, rule: Reasons, part: Any) -> Iterator[tuple[str, str]]:
    """(its own code, where) for each place that a reason names; ("", "") where it names none."""
    at = rule.at
    if isinstance(at, str):
        yield "", usage.inner(part, at) if at else ""
        return
    segment = usage.inner(part, at.segment)
    if not segment:
        yield "", ""
    elif not at.each:
        yield _numbered(usage, at, part, segment, "")
    elif places := usage.parts(part, at.each):
        yield from (_numbered(usage, at, one, segment, f"{rule.each}/{at.each}|") for one in places)
    else:
        yield "", f"({segment})"


def _numbered(usage: Usage, at: Pointer, part: Any, segment: str, below: str) -> tuple[str, str]:
    """The place as hub.lineage.pointer reads it, `(7) 4.1`: here elements are counted without the tag."""
    names = (at.element, at.component, at.code)
    element, component, code = (usage.inner(part, below + name) if name else "" for name in names)
    if not (element.isdecimal() and len(element) < 4 and int(element) > 1):
        return code, f"({segment})"
    return code, f"({segment}) {int(element) - 1}{f'.{component}' if component else ''}"


def _meaning(usage: Usage, path: str, code: str) -> str:
    """What the directory says of a code that stands at `path`."""
    return usage.directory.codes(path.rpartition("/")[2]).get(code, "") if usage.directory else ""
