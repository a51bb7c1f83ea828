"""Long text over a repeated place of the target: {spread: value, width: 70, times: 5, more: segment}."""

from __future__ import annotations

from dataclasses import dataclass

from hub.mapping.leaves import Value, number_of, value
from hub.mapping.plan import Here, Run, bad, word
from hub.mapping.rules import Branch, Rule, without

MORE = "segment"


@dataclass(frozen=True, slots=True)
class Spread:
    """Lines of at most `width` characters, `times` of them in one segment or, in XML, at all; 0: as many as there is
    room for. `more` when further segments take what is left."""

    value: Value
    width: int
    times: int
    more: bool
    rule: Branch


def is_spread(rule: Rule) -> bool:
    return isinstance(rule, Branch) and any(name == "spread" for name, _ in rule.entries)


def spread(rule: Branch, here: Here, width: int, times: int) -> Spread:
    """As the rule says; `width` and `times` of the target (0: it says nothing) when it does not, and at most those.
    Raises DeclarationError."""
    options = dict(rule.entries)
    most, lines = width or 1_000_000, times or 1_000_000
    if "width" in options:
        width = number_of(options["width"], 1, most)
    if "times" in options:
        times = number_of(options["times"], 1, lines)
    if not width:
        raise bad(rule.spot, "no width", "width: characters in a line")
    if "more" in options and word(options["more"]) != MORE:
        raise bad(options["more"].spot, word(options["more"]), MORE)
    made = value(without(rule, ("width", "times", "more")), here)
    return Spread(made, width, times, "more" in options, rule)


def lines(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` characters, broken at blanks where there are any: what is joined by blanks
    again says the same. Blanks at the end of a component would not survive (ISO 9735: they are left out)."""
    text = " ".join(text.splitlines()).strip(" ")
    found, at = [], 0
    while len(text) - at > width:
        stop = text.rfind(" ", at + 1, at + width + 1)
        stop = at + width if stop < 0 else stop
        found.append(text[at:stop].rstrip(" "))
        at = stop
        while text[at] == " ":
            at += 1
    return [*found, text[at:]] if text else []


def fitting(run: Run, made: list[str], most: int, policy: tuple[str, ...], spec: Spread, target: str) -> list[str]:
    """The lines that there is room for; what is left goes by `narrow`. 0: there is room for all."""
    if not most or len(made) <= most:
        return made
    left = " ".join(made[most:])[:80]
    if "truncate" in policy:
        run.tell("mapping.truncated", spec.rule.spot, target, left, "warning")
        return made[:most]
    run.tell("mapping.too_long", spec.rule.spot, target, left)
    return []
