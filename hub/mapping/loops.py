"""What `each:` may say: a path, or {from: path, where: {inner path: value}, by: inner path, sort: inner path}.

`where` is a join by key: an index is built once, so a loop within a loop does not look at everything each time. `by`
makes groups: the item is the first of its group, and `*` inside stands for the members.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

from hub.mapping import numbers
from hub.mapping.leaves import leaf
from hub.mapping.plan import Find, Here, Leaf, Run, bad, like, word
from hub.mapping.rules import Branch, Rule, Text
from hub.mapping.sources import every, inside, kept, text_of

WORDS = ("from", "where", "by", "sort")


def looping(rule: Rule, here: Here) -> tuple[Find, Here]:
    """What `each:` finds, and `here` inside of it. Raises DeclarationError."""
    quiet = replace(here, traced=False)
    if isinstance(rule, Text):
        return every(rule.value, quiet, rule.spot), inside(here, rule.value, rule.spot)
    if not isinstance(rule, Branch) or "from" not in dict(rule.entries):
        raise bad(rule.spot, "no path", "a path, or {from: path, where: …, by: …, sort: …}")
    for name, key in zip((name for name, _ in rule.entries), rule.keys, strict=False):
        if name not in WORDS:
            raise bad(key, name, like(name, WORDS))
    options = dict(rule.entries)
    text, spot = word(options["from"]), options["from"].spot
    items = every(text, quiet, spot)
    within = inside(here, text, spot, grouped="by" in options)
    below = replace(within, traced=False)
    if "where" in options:
        items = _joined(items, options["where"], quiet, below, text)
    if "sort" in options:
        items = _sorted(items, _texts(options["sort"], below))
    if "by" in options:
        items = _grouped(items, _texts(options["by"], below))
    return items, within


def _texts(rule: Rule, here: Here) -> Callable[[Run, Any], list[str]]:
    """The texts at an inner path of an item that is not entered yet."""
    everything = every(word(rule), here, rule.spot)

    def texts(run: Run, item: Any) -> list[str]:
        run.enter(item)
        found = [text for one in everything(run) if (text := text_of(one))]
        run.leave()
        return found

    return texts


def _joined(items: Find, rule: Rule, here: Here, below: Here, text: str) -> Find:
    if not isinstance(rule, Branch) or not rule.entries:
        raise bad(rule.spot, "no key", "{inner path: value}")
    keys = rule.keys or (rule.spot,) * len(rule.entries)
    inner = [_texts(Text(name, spot), below) for (name, _), spot in zip(rule.entries, keys, strict=True)]
    outer: list[Leaf] = [leaf(value, here) for _, value in rule.entries]

    def index(run: Run) -> dict[tuple[str, ...], list[Any]]:
        table: dict[tuple[str, ...], list[Any]] = {}
        for item in items(run):
            values = [dict.fromkeys(texts(run, item)) for texts in inner]
            if not run.afford(prod(map(len, values)), rule.spot):
                break
            for key in product(*values):
                table.setdefault(key, []).append(item)
        return table

    indexed = kept(index, text, here, rule.spot)

    def joined(run: Run) -> Any:
        return indexed(run).get(tuple([one(run) for one in outer]), ())

    return joined


def _sorted(items: Find, texts: Callable[[Run, Any], list[str]]) -> Find:
    """Numbers by their value before texts by theirs; equal ones as they came."""

    def key(run: Run, item: Any) -> tuple[int, Any]:
        text = next(iter(texts(run, item)), "")
        number = numbers.maybe(text)
        return (1, text) if number is None else (0, number)

    return lambda run: sorted(items(run), key=lambda item: key(run, item))


def _grouped(items: Find, texts: Callable[[Run, Any], list[str]]) -> Find:
    """Lists of members, in the order of their first."""

    def groups(run: Run) -> list[list[Any]]:
        found: dict[str, list[Any]] = {}
        for item in items(run):
            found.setdefault(next(iter(texts(run, item)), ""), []).append(item)
        return list(found.values())

    return groups
