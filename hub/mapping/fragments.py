"""Fragments: branches that are written once and used by name.

`Consignor: {use: party, at: "SG5/SG7[NAD/3035=CZ]"}` has the children of the fragment `party`; what stands beside
`use` is added, and takes the place of what has the same name. They are put in before anything is compiled.
"""

from __future__ import annotations

from collections.abc import Mapping as Map

from hub.mapping.plan import bad, like, word
from hub.mapping.rules import Branch, Listing, Rule, Spot

MOST_RULES = 50_000
"""So many rules may a mapping have when every fragment is in its place."""
Fragments = Map[str, Branch]
_Entry = tuple[str, Rule, Spot]


def fragments(rule: Rule | None) -> dict[str, Branch]:
    """Named branches. Raises DeclarationError."""
    if rule is None:
        return {}
    if not isinstance(rule, Branch):
        raise bad(rule.spot, "no names", "name: branch")
    found: dict[str, Branch] = {}
    for name, inner in rule.entries:
        if not isinstance(inner, Branch):
            raise bad(inner.spot, name, "a branch")
        found[name] = inner
    return found


def expanded(rule: Branch, known: Fragments) -> tuple[Branch, frozenset[str]]:
    """`rule` with every fragment in its place, and the files of those that were used. Raises DeclarationError."""
    work = _Expansion(known)
    return work.branch(rule, ()), frozenset(work.files)


class _Expansion:
    def __init__(self, known: Fragments) -> None:
        self.known = known
        self.files: set[str] = set()
        self.count = 0

    def rule(self, rule: Rule, within: tuple[str, ...]) -> Rule:
        self.count += 1
        if self.count > MOST_RULES:
            raise bad(rule.spot, f"more than {MOST_RULES} rules", "fragments that use each other less often")
        if isinstance(rule, Branch):
            return self.branch(rule, within)
        if isinstance(rule, Listing):
            return Listing(tuple(self.rule(item, within) for item in rule.items), rule.spot)
        return rule

    def branch(self, rule: Branch, within: tuple[str, ...]) -> Branch:
        made: dict[str, _Entry] = {}
        keys = rule.keys or (rule.spot,) * len(rule.entries)
        for (name, inner), key in zip(rule.entries, keys, strict=True):
            if name == "use":
                used = self.used(inner, within)
                made = {n: (n, r, k) for (n, r), k in zip(used.entries, used.keys, strict=True)} | made
            else:
                made[name] = (name, self.rule(inner, within), key)
        return Branch(tuple((n, r) for n, r, _ in made.values()), rule.spot, tuple(k for _, _, k in made.values()))

    def used(self, rule: Rule, within: tuple[str, ...]) -> Branch:
        name = word(rule)
        if name not in self.known:
            raise bad(rule.spot, name, like(name, self.known) or "a fragment: of this file or of mappings/fragments")
        if name in within:
            raise bad(rule.spot, " → ".join((*within, name)), "a fragment that does not use itself")
        self.files.add(self.known[name].spot.file)
        return self.branch(self.known[name], (*within, name))
