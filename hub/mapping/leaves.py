"""One value of the output: a path, a literal, a value of the context, and what is done with it."""

from __future__ import annotations

from hub.mapping.functions import FUNCTIONS
from hub.mapping.plan import Find, Here, Leaf, Run, bad, word
from hub.mapping.rules import Branch, Listing, Rule, Spot, Text
from hub.mapping.sources import find, first, text_of

WORDS = frozenset({"from", "as", "map", "default", "each", "when", "first", "cut", "join", "with", "count", "unknown"})


def is_leaf(rule: Rule) -> bool:
    """True when the rule is one value, False when it has children."""
    if isinstance(rule, Branch):
        return any(name in ("from", "first", "join", "count") for name, _ in rule.entries)
    return isinstance(rule, Text)


def leaf(rule: Rule, here: Here) -> Leaf:
    """The closure of one value; "" when there is none."""
    if isinstance(rule, Text):
        return _plain(rule, here)
    if isinstance(rule, Listing):
        raise bad(rule.spot, "a list", "one value")
    options = dict(rule.entries)
    unknown = [name for name in options if name not in WORDS]
    if unknown:
        raise bad(rule.spot, unknown[0], ", ".join(sorted(WORDS)))
    if "first" in options:
        return _first(options, here)
    if "join" in options:
        return _join(options, here)
    if "count" in options:
        everything = find(word(options["count"]), here, rule.spot)
        return lambda run: str(len(everything(run)))
    if "from" not in options:
        raise bad(rule.spot, ", ".join(options), "from, first, join or count")
    return _from(options, here, rule.spot)


def _plain(rule: Text, here: Here) -> Leaf:
    text = rule.value
    if text.startswith("="):
        literal = text[1:]
        return lambda run: literal
    if text.startswith("$"):
        name = text[1:]
        return lambda run: run.context[name]
    return first(text, here, rule.spot)


def _list_of(rule: Rule, here: Here) -> list[Leaf]:
    if not isinstance(rule, Listing):
        raise bad(rule.spot, "one value", "a list")
    return [leaf(item, here) for item in rule.items]


def _first(options: dict[str, Rule], here: Here) -> Leaf:
    leaves = _list_of(options["first"], here)
    if "default" in options:
        leaves.append(leaf(options["default"], here))
    return lambda run: next((value for leaf in leaves if (value := leaf(run))), "")


def _join(options: dict[str, Rule], here: Here) -> Leaf:
    leaves = _list_of(options["join"], here)
    between = word(options["with"]) if "with" in options else ""
    return lambda run: between.join(value for leaf in leaves if (value := leaf(run)))


def _from(options: dict[str, Rule], here: Here, spot: Spot) -> Leaf:
    text = word(options["from"])
    if text[:1] in "=$":
        plain = _plain(Text(text, spot), here)
        everything: Find = lambda run: [plain(run)]  # noqa: E731
    else:
        everything = find(text, here, spot)
    function = table = None
    if "as" in options:
        name = word(options["as"])
        if name not in FUNCTIONS:
            raise bad(options["as"].spot, name, ", ".join(sorted(FUNCTIONS)))
        function = FUNCTIONS[name]
    if "map" in options:
        name = word(options["map"])
        if name not in here.tables:
            raise bad(options["map"].spot, name, ", ".join(sorted(here.tables)))
        table = here.tables[name]
    default = leaf(options["default"], here) if "default" in options else None
    cut = int(word(options["cut"])) if "cut" in options else None
    keep = "unknown" in options and word(options["unknown"]) == "keep"

    def value(run: Run) -> str:
        found = everything(run)
        raw = found[0] if found else ""
        value = text_of(raw)
        if function is not None and (value or isinstance(raw, list)):
            try:
                value = function(raw if isinstance(raw, list) else [value], run.context)
            except ValueError as fault:
                return run.wrong(spot, text, str(fault))
        if table is not None and value:
            known = table.get(value)
            if known is None and not keep:
                return run.wrong(spot, text, value)
            value = known or value
        if not value and default is not None:
            value = default(run)
        return value[:cut] if cut else value

    return value
