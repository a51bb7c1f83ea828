"""Looking up: code tables, dated or not, and the parties of the site; what to do with a code that is not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hub.mapping import lineage, moments
from hub.mapping.plan import Here, Leaf, Run, bad, like, word
from hub.mapping.rules import Branch, Rule, Spot, Text

POLICIES = ("reject", "keep", "empty")
GIVES = ("name", "edi", "role", "title", "title.zh", "title.en")
Unknown = Callable[[Run, str], str]


@dataclass(frozen=True, slots=True)
class Row:
    """What a code means from `since` until `until`, both days included (2026-01-31); "" is no bound."""

    value: str
    since: str = ""
    until: str = ""


class Rows(dict[str, str]):
    """A code table: code -> value; `dated` has the codes whose value depends on the day."""

    def __init__(self, rows: dict[str, str], dated: dict[str, tuple[Row, ...]] | None = None) -> None:
        super().__init__(rows)
        self.dated = dated or {}


def unknown(rule: Rule | None, spot: Spot, label: str) -> Unknown:
    """What stands for a code that is not there. Raises DeclarationError."""
    said = word(rule) if rule else "reject"
    if said.startswith("="):
        literal = said[1:]
        return lambda run, key: literal
    if rule and said not in POLICIES:
        raise bad(rule.spot, said, f"{like(said, POLICIES)} or =text")
    if said == "keep":
        return lambda run, key: key
    if said == "empty":
        return lambda run, key: ""
    return lambda run, key: run.wrong(spot, label, key)


def mapped(value: Leaf, rule: Rule, also: Rule | None, here: Here, label: str, compile: Callable[..., Leaf]) -> Leaf:
    """`value` by the code table that `map:` names; `also` is an `unknown:` beside it; `compile` makes the leaf of
    `at:`."""
    options = dict(rule.entries) if isinstance(rule, Branch) else {"table": rule}
    for name, key in zip(options, rule.keys if isinstance(rule, Branch) else (), strict=False):
        if name not in ("table", "unknown", "at"):
            raise bad(key, name, like(name, ("table", "unknown", "at")))
    if "table" not in options:
        raise bad(rule.spot, "no table", "{table: name}")
    name = word(options["table"])
    if name not in here.tables:
        raise bad(options["table"].spot, name, like(name, here.tables))
    table = here.tables[name]
    here.book.page.table = name
    other = unknown(options.get("unknown", also), rule.spot, label)
    dated = isinstance(table, Rows) and bool(table.dated)
    if not dated and "at" not in options:
        get = table.get
        return _looked_up(value, name, lambda run, key: get(key), other, here.traced)
    day = compile(options.get("at", Text("$now", rule.spot)), here)
    rows = table.dated if isinstance(table, Rows) else {}
    plain = table.get

    def on_the_day(run: Run, key: str) -> str | None:
        return _valid(rows[key], day(run)) if key in rows else plain(key)

    return _looked_up(value, name, on_the_day, other, here.traced)


def _valid(rows: tuple[Row, ...], text: str) -> str | None:
    day = moments.day(text)
    at = day.isoformat() if day else ""
    fits = (r.value for r in rows if at and (not r.since or r.since <= at) and (not r.until or at <= r.until))
    return next(fits, None)


def party(key: Leaf, give: Rule | None, also: Rule | None, here: Here, spot: Spot) -> Leaf:
    """What the site knows of the party that `key` names, by its name or its id in UNB."""
    said = word(give) if give else "name"
    if said not in GIVES:
        raise bad(give.spot if give else spot, said, like(said, GIVES))
    parties, other = here.parties, unknown(also, spot, "party")
    here.book.page.table = "parties"

    def look(run: Run, name: str) -> str | None:
        return parties[name].get(said, "") if name in parties else None

    return _looked_up(key, "parties", look, other, here.traced)


def _looked_up(value: Leaf, name: str, look: Callable[[Run, str], str | None], other: Unknown, traced: bool) -> Leaf:
    def leaf(run: Run) -> str:
        key = value(run)
        if not key:
            return ""
        known = look(run, key)
        return other(run, key) if known is None else known

    def told(run: Run) -> str:
        key = value(run)
        known = look(run, key) if key else None
        if known is not None:
            lineage.row(run, name, key, known)
        return other(run, key) if key and known is None else known or ""

    return told if traced else leaf
