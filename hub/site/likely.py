"""Which field of a source a target probably wants: by identifier, by the end of its path, by the words of its names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from hub.site.outline import Field

LEAST, LEAST_LOOP = 1.0, 0.5
"""What scores less is not proposed: a value, a loop."""
_COMMON = ("country-code", "currency-code", "locode", "nationality", "package-type", "unit-code")
"""Identifiers that a message has of many things: the words decide which."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[一-鿿]")
_EMPTY = frozenset(("the", "of", "a", "an", "or", "and", "in", "to", "its", "s", "by", "for", "的"))
_SAME = {
    "ship": "vessel",
    "means": "vessel",
    "transport": "vessel",
    "no": "number",
    "nr": "number",
    "id": "number",
    "identifier": "number",
    "identification": "number",
    "wt": "weight",
    "pack": "package",
    "packages": "package",
    "goods": "cargo",
    "equipment": "container",
    "shipper": "consignor",
    "receiver": "consignee",
    "person": "member",
    "place": "port",
    "location": "port",
    "unload": "discharge",
    "loading": "load",
    "expected": "arrival",
    "eta": "arrival",
    "etd": "departure",
    "status": "state",
    "mark": "marks",
    "flag": "nationality",
    "bill": "lading",
    "sequence": "seq",
    "item": "line",
}
"""Words of the trade that mean the same in one document and the other."""


@dataclass(frozen=True, slots=True)
class Likely:
    """A source field and how much speaks for it."""

    field: Field
    alias: str
    score: float


def best(target: Field, sources: Iterable[tuple[str, Field]]) -> Likely | None:
    """The (alias, field) that most speaks for; None when too little does. Of equals the first."""
    scored = (Likely(field, alias, score(target, field)) for alias, field in sources)
    found = max(scored, key=lambda one: one.score, default=None)
    return found if found is not None and found.score >= LEAST else None


def score(target: Field, source: Field) -> float:
    """From 0. The same identifier, or the same end of the path, is enough; words have to agree in their majority."""
    known = 0.0
    if target.identifier and target.identifier == source.identifier:
        known = 0.85 if target.identifier in _COMMON else 1.5
    own, other = _steps(target), _steps(source)
    end = 0.0
    if own[-1] == other[-1]:
        end = 1.5 if own[-2:] == other[-2:] and len(own) > 1 else 1.0
    names = _share(words(own[-1]), words(other[-1]))
    above = _share(words(" ".join(own[-2:])), words(" ".join(other[-2:])))
    said = _common(words(f"{own[-1]} {target.about}"), words(f"{other[-1]} {source.about}"))
    return known + end + 0.6 * names + 0.6 * above + 0.6 * said


def _steps(field: Field) -> list[str]:
    return [step.removeprefix("@") for step in field.path.split("/")]


@lru_cache(maxsize=65536)
def words(text: str) -> frozenset[str]:
    """What a name or a sentence consists of; Chinese by its characters."""
    found = (word.lower() for word in _WORD.findall(text))
    return frozenset(_SAME.get(word, word) for word in found if word not in _EMPTY)


def _share(one: frozenset[str], other: frozenset[str]) -> float:
    both = one | other
    return len(one & other) / len(both) if both else 0.0


def _common(one: frozenset[str], other: frozenset[str]) -> float:
    """Of the shorter of two descriptions, how much the other says too; a single word says little."""
    return len(one & other) / max(2, min(len(one), len(other)))


def loop(target: Field, sources: Sequence[tuple[str, Field]]) -> tuple[str, Field] | None:
    """What a repeated branch probably goes over: the repeated source branch whose values fit best; None without."""
    wanted = list(target.leaves())
    found: tuple[float, tuple[str, Field]] | None = None
    for alias, branch in sources:
        inner = list(branch.leaves())
        fits = [max((score(one, leaf) for leaf in inner), default=0.0) for one in wanted]
        total = sum(fit for fit in fits if fit >= LEAST) / len(wanted) + score(target, branch)
        if total >= LEAST_LOOP and (found is None or total > found[0]):
            found = total, (alias, branch)
    return found[1] if found else None
