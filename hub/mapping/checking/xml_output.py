"""A document of a schema: what it demands is written, in its number, and values fit."""

from __future__ import annotations

from dataclasses import dataclass

from hub.mapping.branches import OPTIONS, is_choice
from hub.mapping.checking.book import Book
from hub.mapping.checking.conditions import Where, under
from hub.mapping.checking.output import Comes, demanded, fitting, scope
from hub.mapping.checking.particles import MANY, Particles
from hub.mapping.leaves import choices, is_leaf
from hub.mapping.plan import Here
from hub.mapping.rules import Branch, Listing, Rule, without

_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class XmlOutput:
    schema: Particles
    book: Book

    def document(self, body: Branch, here: Here, where: Where) -> None:
        """The whole document, from its root element on."""
        [(name, rule)] = body.entries
        if isinstance(rule, Branch):
            self._branch(rule, here, where, (name,))

    def _branch(self, rule: Branch, here: Here, where: Where, path: _Path) -> None:
        come: dict[str, list[Comes]] = {}
        for name, inner in rule.entries:
            name = name.removeprefix("./")
            for item in inner.items if isinstance(inner, Listing) else (inner,):
                come.setdefault(name, []).append(self._element(item, here, where, (*path, name)))
        for name, count in (self.schema.children(path) or {}).items():
            target = "/".join((*path, name))
            demanded(path[0], count.least, count.most, come.get(name, []), target, rule.spot, self.book)
        for names in self.schema.choices(path):
            one_of = [one for name in names for one in come.get(name, ())]
            demanded(path[0], 1, MANY, one_of, "/".join((*path, "|".join(names))), rule.spot, self.book)

    def _element(self, rule: Rule, here: Here, where: Where, path: _Path) -> Comes:
        inner = None
        if isinstance(rule, Branch) and not is_leaf(rule):
            inner = scope(rule, here, where, self.book)
        elif isinstance(rule, Branch) and any(name in OPTIONS for name, _ in rule.entries):
            inner = scope(rule, here, where, self.book)
            rule = without(rule, OPTIONS)
        if inner is None:
            return self._value(rule, here, where, path)
        if is_leaf(rule):
            return inner.around(self._value(rule, inner.here, inner.where, path))
        if isinstance(rule, Branch):
            rule = without(rule, OPTIONS)
            if is_choice(rule):
                return inner.around(self._choice(rule, inner.here, inner.where, path))
            self._branch(rule, inner.here, inner.where, path)
        return inner.around(Comes(rule.spot))

    def _choice(self, rule: Branch, here: Here, where: Where, path: _Path) -> Comes:
        closed, gap = False, ""
        for item, when in choices(rule.entries[0][1]):
            come = self._element(item, here, under(when, here, where, self.book), path)
            closed, gap = when is None, gap or come.gap
        return Comes(rule.spot, gap if closed else gap or "choose")

    def _value(self, rule: Rule, here: Here, where: Where, path: _Path) -> Comes:
        target = "/".join(name for name in path if name != "#text")
        made = fitting(rule, here, where, self.schema.value(path), target, self.book)
        spread = isinstance(rule, Branch) and any(name == "spread" for name, _ in rule.entries)
        return Comes(rule.spot, made.gap, MANY if spread else 1, made.places)
