"""A release cut down to some of its message types: what these do not reach is left out."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from hub.edifact.tables import Entry, Facts


def choose(facts: Facts, types: Collection[str]) -> Facts:
    """`facts` with the messages in `types` and the segments, composites, elements and codes that they reach."""
    messages = {type: entry for type, entry in facts.messages.items() if type in types}
    segments = _reached(facts.segments, messages.values())
    composites = _reached(facts.composites, segments.values())
    inner = _ids([*segments.values(), *composites.values()])
    elements = {id: element for id, element in facts.elements.items() if id in inner}
    codes = {id: codes for id, codes in facts.codes.items() if id in inner}
    return replace(facts, messages=messages, segments=segments, composites=composites, elements=elements, codes=codes)


def _reached(entries: dict[str, Entry], above: Iterable[Entry]) -> dict[str, Entry]:
    wanted = _ids(above)
    return {id: entry for id, entry in entries.items() if id in wanted}


def _ids(entries: Iterable[Entry]) -> set[str]:
    return {line.id for entry in entries for line in entry.lines}
