"""What `eport check` accepts works: for sources made from their standards a mapping of the site gives what the target's
standard accepts, or it was foreseen that it may not."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hub.finding import rejects
from hub.mapping import compile as language
from hub.mapping.checking.check import Checked, check
from hub.mapping.fragments import fragments
from hub.mapping.plan import EdifactFacts, XmlFacts
from hub.mapping.rules import load as read
from hub.site.load import load
from hub.site.site import Site

from .conftest import ROOT
from .valid import Document, Message, refused

FILES = sorted((ROOT / "mappings").glob("*/*--to--*.yaml"))
RUNS = 60


@cache
def site() -> Site:
    return load(ROOT)


def facts(kind: str) -> Any:
    usage = site().kinds[kind]
    if usage.schema is not None:
        return XmlFacts(usage.schema)
    assert usage.directory and usage.spec
    return EdifactFacts(usage.directory, usage.spec)


@cache
def checked(path: Path) -> Checked:
    shared: dict[str, Any] = {}
    files = list((ROOT / "mappings" / "fragments").glob("*.yaml"))
    for file in files:
        shared |= fragments(read(file))
    rules = language.load(path, None, shared, {file.name: file.read_bytes() for file in files})
    sources = {alias: facts(kind) for alias, kind in rules.sources.items()}
    return check(rules, sources, facts(rules.target), site().tables)


def source(kind: str, seed: int) -> Any:
    usage = site().kinds[kind]
    if usage.schema is not None:
        tree = Document(usage, seed).tree()
        assert usage.schema.check(tree) == [], f"{kind} {seed}"
        return tree
    assert usage.directory and usage.spec
    tree = Message(usage.directory, usage.spec, seed).tree()
    assert refused(tree, usage.directory, usage.spec) == [], f"{kind} {seed}"
    return tree


def faults(target: Any, kind: str) -> list[str]:
    """What the target's standard has against it, in words that name what is wrong."""
    usage = site().kinds[kind]
    if usage.schema is not None:
        found = usage.schema.check(target)
        return [f"{one.found} {one.expected} {one.args.get('message', '')}" for one in found]
    assert usage.directory and usage.spec
    return [f"{one.place.tag} {one.expected}" for one in refused(target, usage.directory, usage.spec)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_the_check_accepts_gives_what_the_target_accepts(path: Path) -> None:
    said = checked(path)
    assert not rejects(said.findings)
    mapping = next(one for one in site().mappings.values() if one.name == path.name)
    context = site().context(datetime(2026, 11, 23, 9, tzinfo=UTC), reference="E1", sender="A", recipient="B", port="P")
    for seed in range(RUNS):
        made = {alias: source(kind, seed * 7 + at) for at, (alias, kind) in enumerate(mapping.sources.items())}
        target, findings = mapping.apply(made, context)
        if rejects(findings):
            continue
        wrong = faults(target, mapping.target)
        if not said.foreseen:
            assert wrong == [], seed
        for fault in wrong:
            assert any(foreseen(place, fault) for place in said.foreseen), (seed, fault, sorted(said.foreseen))


def foreseen(place: str, fault: str) -> bool:
    """True when the last step of a place that was foreseen is in the words of the fault."""
    return re.search(rf"\b{re.escape(place.split('/')[-1])}\b", fault) is not None
