"""One value of the output: where it comes from, and what is done with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hub.mapping import lineage, totals
from hub.mapping.conditions import condition
from hub.mapping.functions import FUNCTIONS, Step, Type, step
from hub.mapping.plan import Find, Here, Leaf, Run, When, bad, like, word
from hub.mapping.rules import Branch, Listing, Rule, Spot, Text, without
from hub.mapping.sources import composite, first, once, text_of
from hub.mapping.tables import mapped, party

HEADS = ("from", "first", "join", "count", "sum", "min", "max", "number", "running", "party", "spread")
"""Each of them makes a branch one value: it says where the value comes from."""
BESIDE = {"join": ("with",), "party": ("give", "unknown"), "spread": ("width", "times", "more")}
"""What only some of them take."""
STEPS = ("as", "map", "unknown", "default", "cut", "narrow", "when", "each")
"""What is done with a value; `each` and, in XML, `when` are the branch's (hub.mapping.branches)."""


@dataclass(frozen=True, slots=True)
class Value:
    """One compiled value.

    literal   its text when it is only that
    optional  False when it gives something whatever there is in the sources
    type      what functions may take it
    """

    leaf: Leaf
    type: Type = "text"
    literal: str | None = None
    optional: bool = True


def is_leaf(rule: Rule) -> bool:
    """True when the rule is one value, False when it has children."""
    if isinstance(rule, Branch):
        for name, inner in rule.entries:
            if name in HEADS:
                return True
            if name == "choose":
                return isinstance(inner, Listing) and all(is_leaf(item) for item in inner.items)
        return False
    return isinstance(rule, Text)


def leaf(rule: Rule, here: Here) -> Leaf:
    """The closure of one value; "" when there is none."""
    return value(rule, here).leaf


def value(rule: Rule, here: Here) -> Value:
    """One value. Raises DeclarationError."""
    if isinstance(rule, Text):
        return _plain(rule, here)
    if isinstance(rule, Listing):
        raise bad(rule.spot, "a list", "one value")
    options = dict(rule.entries)
    if "choose" in options:
        return _chosen(rule, here)
    head = next((name for name in options if name in HEADS), None)
    if head is None:
        raise bad(rule.spot, ", ".join(options) or "nothing", f"one of {', '.join(HEADS)}")
    allowed = (head, *BESIDE.get(head, ()), *STEPS)
    for name, key in zip(options, rule.keys, strict=False):
        if name not in allowed:
            raise bad(key, name, like(name, allowed))
    steps = [step(one) for one in _listed(options.get("as"))]
    made = replace(_head(head, options, here, rule.spot, steps), literal=None)
    made = _stepped(made, steps, here, options, head)
    made = _looked_up(made, options, here, head)
    if "default" in options:
        made = _or(made, value(options["default"], here))
    if "cut" in options:
        made = replace(made, leaf=_cut(made.leaf, options["cut"]))
    return _under(made, options["when"], here) if "when" in options else made


def number_of(rule: Rule, least: int = 1, most: int = 1_000_000) -> int:
    """A whole number that a rule must be. Raises DeclarationError."""
    text = word(rule)
    if not (text.isascii() and text.isdecimal() and least <= int(text[:9]) <= most):
        raise bad(rule.spot, text, f"a whole number from {least} to {most}")
    return int(text)


def _listed(rule: Rule | None) -> tuple[Rule, ...]:
    if rule is None:
        return ()
    return rule.items if isinstance(rule, Listing) else (rule,)


# ---- where it comes from


def _plain(rule: Text, here: Here) -> Value:
    text = rule.value
    if text.startswith("="):
        literal = text[1:]
        return Value(lambda run: literal, literal=literal, optional=not literal)
    if text.startswith("$"):
        return Value(_context(text[1:], rule.spot, here), optional=False)
    return Value(first(text, here, rule.spot))


def _context(name: str, spot: Spot, here: Here) -> Leaf:
    here.book.page.context[name] = None

    def leaf(run: Run) -> str:
        found = run.context.get(name)
        return run.wrong(spot, f"${name}", "") if found is None else found

    return leaf


def _head(head: str, options: dict[str, Rule], here: Here, spot: Spot, steps: list[Step]) -> Value:
    rule = options[head]
    if head == "from":
        return _from(rule, here, steps)
    if head == "first":
        return _first([value(item, here) for item in _rules(rule)])
    if head == "join":
        return _join(rule, options, here)
    if head == "count":
        return Value(totals.count(rule, here), "number", optional=False)
    if head == "number":
        return Value(totals.number(rule, here), "number", optional=False)
    if head == "running":
        return Value(totals.running(leaf(rule, here), here, rule.spot), "number", optional=False)
    if head == "party":
        return Value(party(leaf(rule, here), options.get("give"), options.get("unknown"), here, rule.spot))
    if head == "spread":
        return value(rule, here)
    return Value(totals.folded(head, rule, here), "number")


def _from(rule: Rule, here: Here, steps: list[Step]) -> Value:
    text = word(rule)
    if steps and "composite" in steps[0].takes:
        parts = composite(text, here, rule.spot)
        if parts is not None:
            return Value(parts, "composite")
    return _plain(Text(text, rule.spot), here)


def _rules(rule: Rule) -> tuple[Rule, ...]:
    if not isinstance(rule, Listing) or not rule.items:
        raise bad(rule.spot, "one value", "a list")
    return rule.items


def _first(values: list[Value]) -> Value:
    leaves = tuple(one.leaf for one in values)
    optional = all(one.optional for one in values)
    return Value(lambda run: next((text for leaf in leaves if (text := leaf(run))), ""), optional=optional)


def _join(rule: Rule, options: dict[str, Rule], here: Here) -> Value:
    """A list: what each gives; a path: everything there."""
    between = word(options["with"]) if "with" in options else ""
    if isinstance(rule, Text):
        return Value(once(rule.value, here, rule.spot, lambda run, found: between.join(_texts(found))))
    values = [value(item, here) for item in _rules(rule)]
    leaves = tuple(one.leaf for one in values)
    optional = all(one.optional for one in values)
    return Value(lambda run: between.join([text for leaf in leaves if (text := leaf(run))]), optional=optional)


def _texts(found: Any) -> list[str]:
    return [text for one in found if (text := text_of(one))]


def _chosen(rule: Branch, here: Here) -> Value:
    """The first whose `when` holds."""
    options = dict(rule.entries)
    for name, key in zip(options, rule.keys, strict=False):
        if name not in ("choose", "when", "each"):
            raise bad(key, name, like(name, ("choose", "when", "each")))
    pairs: list[tuple[When | None, Leaf]] = []
    for item, when in choices(options["choose"]):
        holds = quiet(when, here)[0] if when is not None else None
        pairs.append((holds, leaf(item, here)))

    def chosen(run: Run) -> str:
        for when, one in pairs:
            if when is None or when(run):
                return one(run)
        return ""

    made = Value(chosen)
    return _under(made, options["when"], here) if "when" in options else made


def choices(rule: Rule) -> list[tuple[Rule, Rule | None]]:
    """The branches of `choose:` without their `when`, and it; None only in the last. Raises DeclarationError."""
    found: list[tuple[Rule, Rule | None]] = []
    items = _rules(rule)
    for at, item in enumerate(items, 1):
        when = dict(item.entries).get("when") if isinstance(item, Branch) else None
        if when is None and at < len(items):
            raise bad(item.spot, "no when", "when: in every branch of choose but the last")
        inner = without(item, ("when",)) if isinstance(item, Branch) else item
        found.append((inner, when))
    return found


def quiet(rule: Rule, here: Here) -> tuple[When, str]:
    """A condition, and it in words: what it looks at is no origin of any value."""
    made = condition(rule, replace(here, traced=False))
    return made.holds, made.said


# ---- what is done with it


def _stepped(made: Value, steps: list[Step], here: Here, options: dict[str, Rule], head: str) -> Value:
    if not steps:
        return made
    type: Type = made.type
    for one, rule in zip(steps, _listed(options["as"]), strict=True):
        if type not in one.takes:
            raise bad(rule.spot, f"{one.name} of a {type}", _fitting(type), "mapping.type")
        type = one.gives
        here.book.page.functions.append(one.name)
    label = _label(options[head])
    if here.traced:
        return Value(_applied_traced(made.leaf, steps, options["as"].spot, label), type, optional=made.optional)
    if len(steps) == 1:
        return Value(_applied(made.leaf, steps[0], options["as"].spot, label), type, optional=made.optional)
    return Value(_applied_all(made.leaf, steps, options["as"].spot, label), type, optional=made.optional)


def _label(rule: Rule) -> str:
    return rule.value if isinstance(rule, Text) else "value"


def _fitting(type: Type) -> str:
    return f"one for a {type}: " + ", ".join(name for name, one in FUNCTIONS.items() if type in one.takes)


def _applied(value: Find, one: Step, spot: Spot, label: str) -> Leaf:
    call = one.call

    def leaf(run: Run) -> str:
        raw = value(run)
        if not raw:
            return ""
        try:
            return call(raw, run.context)
        except ValueError as fault:
            return run.wrong(spot, label, str(fault))

    return leaf


def _applied_all(value: Find, steps: list[Step], spot: Spot, label: str) -> Leaf:
    leaf = value
    for one in steps:
        leaf = _applied(leaf, one, spot, label)
    return leaf


def _applied_traced(value: Find, steps: list[Step], spot: Spot, label: str) -> Leaf:
    leaf = value
    for one in steps:
        leaf = lineage.called(_applied(leaf, one, spot, label), one.name)
    return leaf


def _looked_up(made: Value, options: dict[str, Rule], here: Here, head: str) -> Value:
    if "map" not in options:
        if "unknown" in options and head != "party":
            raise bad(options["unknown"].spot, "unknown", "map: beside it")
        return made
    if made.type == "composite":
        raise bad(options["map"].spot, "map of a composite", "a component of it", "mapping.type")
    label = _label(options[head])
    mapping = mapped(made.leaf, options["map"], options.get("unknown"), here, label, leaf)
    return Value(mapping, optional=made.optional)


def _or(made: Value, other: Value) -> Value:
    before, behind = made.leaf, other.leaf
    return replace(made, leaf=lambda run: before(run) or behind(run), optional=made.optional and other.optional)


def _cut(value: Leaf, rule: Rule) -> Leaf:
    most = number_of(rule)
    return lambda run: value(run)[:most]


def _under(made: Value, rule: Rule, here: Here) -> Value:
    holds, _ = quiet(rule, here)
    inner = made.leaf
    return replace(made, leaf=lambda run: inner(run) if holds(run) else "", optional=True)
