"""Which rules of the mappings the golden cases exercise."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hub.golden.cases import NOW
from hub.judging import between
from hub.mapping.compile import Mapping
from hub.mapping.facts import RuleFact
from hub.mapping.rules import Spot
from hub.site.site import Site

_POSITION = re.compile(r"\[[0-9]+\]")
_COMPONENT = re.compile(r"#[0-9]+$")
_Used = set[tuple[Spot, str]]
"""Where a rule stands, and what it wrote: a fragment writes the same to several places."""
_CONTEXT = {name: name for name in ("reference", "sender", "recipient", "port", "case")}


@dataclass(frozen=True, slots=True)
class Cover:
    """One mapping: how many of its values some case has made, and the rules of the others."""

    mapping: str
    file: str
    rules: int
    uncovered: tuple[RuleFact, ...]

    @property
    def covered(self) -> int:
        return self.rules - len(self.uncovered)


def cover(site: Site, cases: Iterable[dict[str, Any]]) -> list[Cover]:
    """For every mapping that somebody wrote; `cases` are the nodes by kind that each case gave."""
    written = {key: mapping for key, mapping in site.mappings.items() if mapping.name.endswith(".yaml")}
    used: dict[str, _Used] = {mapping.name: set() for mapping in written.values()}
    for nodes in cases:
        for (sources, target), mapping in written.items():
            given = between(site, nodes, target, NOW)[0] if nodes else {}
            if given.keys() >= set(sources.split(",")):
                used[mapping.name] |= _exercised(site, mapping, given)
    return [_covered(mapping, used[mapping.name]) for mapping in written.values()]


def _exercised(site: Site, mapping: Mapping, nodes: dict[str, Any]) -> _Used:
    sources = {alias: nodes[kind] for alias, kind in mapping.sources.items()}
    made, _ = mapping.apply_all_traced(sources, site.context(NOW, **_CONTEXT))
    every = [one for _, told in made for one in told]
    return {(one.spot, target) for one in every for target in _targets(one.target)}


def _targets(traced: str) -> tuple[str, str]:
    """The target of the rule, and of one that spreads its value over several components."""
    target = _POSITION.sub("", traced)
    return target, _COMPONENT.sub("", target)


def _covered(mapping: Mapping, used: _Used) -> Cover:
    values = [rule for rule in mapping.rules if rule.leaf]
    missed = [rule for rule in values if (rule.spot, rule.target) not in used]
    file = next((rule.spot.file for rule in values if rule.spot.file.endswith(mapping.name)), mapping.name)
    return Cover(mapping.name, file, len(values), tuple(missed))
