"""A message of a type: mandatory segments, elements and components are written, in their number, and values fit."""

from __future__ import annotations

from dataclasses import dataclass

from hub.edifact.directory import Node
from hub.mapping.branches import OPTIONS, is_choice
from hub.mapping.checking.book import Book
from hub.mapping.checking.conditions import Where, under
from hub.mapping.checking.output import Comes, demanded, fitting, scope
from hub.mapping.checking.sides import element_domain
from hub.mapping.edifact_source import GROUP
from hub.mapping.leaves import choices
from hub.mapping.plan import EdifactFacts, Here
from hub.mapping.rules import Branch, Listing, Rule, Spot, Text, without

_Path = tuple[str, ...]
_OWN = ("UNH", "UNT")
"""What the hub writes."""


@dataclass(frozen=True, slots=True)
class _Cell:
    come: Comes
    literal: bool


@dataclass(frozen=True, slots=True)
class EdifactOutput:
    facts: EdifactFacts
    book: Book

    def message(self, body: Branch, here: Here, where: Where) -> None:
        """The whole message between UNH and UNT."""
        inner = scope(body, here, where, self.book)
        come = self._parts(without(body, OPTIONS), inner.here, inner.where, ())
        for node in self.facts.spec.nodes:
            if node.key not in _OWN:
                self._demanded(node, come.get(node.key, []), (), body.spot)

    def _parts(self, rule: Branch, here: Here, where: Where, path: _Path) -> dict[str, list[Comes]]:
        come: dict[str, list[Comes]] = {}
        for name, inner in rule.entries:
            for item in inner.items if isinstance(inner, Listing) else (inner,):
                come.setdefault(name, []).append(self._part(name, item, here, where, path))
        return come

    def _part(self, name: str, rule: Rule, here: Here, where: Where, path: _Path) -> Comes:
        """A segment or a group, or a choice of them."""
        if not isinstance(rule, Branch):
            return Comes(rule.spot)
        inner = scope(rule, here, where, self.book)
        rule = without(rule, OPTIONS)
        if is_choice(rule):
            come = self._choice(name, rule, inner.here, inner.where, path)
        elif GROUP.fullmatch(name):
            come = self._group(name, rule, inner.here, inner.where, path)
        else:
            come = self._segment(name, rule, inner.here, inner.where, path)
        return inner.around(come)

    def _choice(self, name: str, rule: Branch, here: Here, where: Where, path: _Path) -> Comes:
        closed, gap = False, ""
        for item, when in choices(rule.entries[0][1]):
            come = self._part(name, item, here, under(when, here, where, self.book), path)
            closed, gap = when is None, gap or come.gap
        return Comes(rule.spot, gap if closed else gap or "choose")

    def _group(self, name: str, rule: Branch, here: Here, where: Where, path: _Path) -> Comes:
        path = (*path, name)
        come = self._parts(rule, here, where, path)
        every = [one for listed in come.values() for one in listed]
        for node in self.facts.spec.node(path).children:
            own = come.get(node.key, [])
            others = [one for key, listed in come.items() if key != node.key for one in listed]
            if others and not _implied(own, others):
                self._demanded(node, own, path, rule.spot)
            elif own:
                demanded(self.facts.spec.type, 0, node.max, own, "/".join((*path, node.key)), rule.spot, self.book)
        return _any(rule.spot, every)

    def _demanded(self, node: Node, come: list[Comes], path: _Path, spot: Spot) -> None:
        target = "/".join((*path, node.key))
        lines = self.facts.spec.node(path).children if path else self.facts.spec.nodes
        most = sum(one.max for one in lines if one.key == node.key)
        demanded(self.facts.spec.type, int(node.required), most, come, target, spot, self.book)

    # ---- segments

    def _segment(self, tag: str, rule: Branch, here: Here, where: Where, path: _Path) -> Comes:
        cells: dict[tuple[int, int], _Cell] = {}
        for name, inner in rule.entries:
            name = name.removeprefix("./")
            at = self.facts.directory.component_index(tag, name)
            target = "/".join((*path, tag, name))
            made = fitting(inner, here, where, element_domain(self.facts.directory, tag, *at), target, self.book)
            literal = isinstance(inner, Text) and inner.value[:1] == "="
            cells[at] = _Cell(Comes(inner.spot, made.gap, 1, made.places), literal)
        values = [cell.come for cell in cells.values() if not cell.literal]
        self._elements(tag, cells, values, "/".join((*path, tag)), rule.spot)
        if not values:
            return Comes(rule.spot, places=frozenset())
        return _any(rule.spot, values)

    def _elements(
        self, tag: str, cells: dict[tuple[int, int], _Cell], values: list[Comes], target: str, spot: Spot
    ) -> None:
        """Mandatory elements of a segment that comes, and mandatory components of an element that does."""
        for number, spec in enumerate(self.facts.directory.segment(tag), 1):
            own = {part: cell for (element, part), cell in cells.items() if element == number}
            if not own and spec.required:
                self._cell(spec.id, None, values, target, spot)
            if not own:
                continue
            literal = any(cell.literal for cell in own.values())
            beside = [cell.come for cell in own.values() if not cell.literal]
            pressing = values if spec.required or literal else beside
            for part, component in enumerate(spec.components, 1):
                if component.required:
                    name = f"{spec.id}/{component.id}" if spec.composite else spec.id
                    self._cell(name, own.get(part), pressing, target, spot)
            free = not any(part.required for part in spec.components)
            if spec.required and free and not literal and not _implied(beside, values):
                self._cell(spec.id, next(iter(own.values())), values, target, spot)

    def _cell(self, name: str, cell: _Cell | None, pressing: list[Comes], target: str, spot: Spot) -> None:
        """One mandatory place, which must hold something where one of `pressing` does."""
        if cell is not None and (cell.literal or not cell.come.gap or _implied([cell.come], pressing)):
            return
        come = [] if cell is None else [cell.come]
        demanded(target.rpartition("/")[2], 1, 1, come, f"{target}/{name}", spot, self.book)


def _any(spot: Spot, come: list[Comes]) -> Comes:
    """What comes when one of these does."""
    gap = "" if any(not one.gap for one in come) else next((one.gap for one in come), "?")
    places = [one.places for one in come if one.places is not None]
    return Comes(spot, gap, 1, frozenset().union(*places) if len(places) == len(come) else None)


def _implied(own: list[Comes], others: list[Comes]) -> bool:
    """True when one of `own` comes wherever one of `others` does."""
    if any(not one.gap for one in own):
        return True
    for other in others:
        if other in own:
            continue
        if other.places is None or not any(one.places is not None and other.places <= one.places for one in own):
            return False
        if not other.gap:
            return False
    return True
