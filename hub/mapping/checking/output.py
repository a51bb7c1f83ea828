"""What the rules of both targets have in common: branches with loops and conditions, and values that must fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hub.finding import Severity
from hub.mapping.checking.book import Book
from hub.mapping.checking.conditions import Place, Where, tested, under
from hub.mapping.checking.domain import Domain, Misfit, misfits
from hub.mapping.checking.possible import Possible
from hub.mapping.checking.sides import locate, prefixes
from hub.mapping.checking.values import possible
from hub.mapping.loops import looping
from hub.mapping.plan import Here, word
from hub.mapping.rules import Branch, Listing, Rule, Spot, Text
from hub.mapping.sources import inside

PLENTY = 99
"""Of what a standard lets come so often one more is no mistake."""


@dataclass(frozen=True, slots=True)
class Comes:
    """How often something is written.

    gap     why it may not be, "" when it always is
    times   the most
    places  it is written when there is something at one of these; None when that cannot be said
    """

    spot: Spot
    gap: str = ""
    times: int = 1
    places: frozenset[Place] | None = None


@dataclass(frozen=True, slots=True)
class Inside:
    """Where the children of a branch stand, and how often it is written because of its loop and its condition."""

    here: Here
    where: Where
    gap: str = ""
    times: int = 1
    free: bool = True  # of loops and conditions

    def around(self, comes: Comes) -> Comes:
        """What comes within, as it is outside."""
        if self.free:
            return comes
        return replace(comes, gap=self.gap or comes.gap, times=min(self.times * comes.times, 10**9), places=None)


def scope(rule: Branch, here: Here, where: Where, book: Book) -> Inside:
    """Behind `each`, `at` and `when` of a branch."""
    options = dict(rule.entries)
    gap, times, free = "", 1, True
    for name in ("each", "at"):
        if name in options:
            gap, times, here, where = _loop(options[name], name == "each", here, where, book)
            free = False
    if "when" in options:
        where = under(options["when"], here, where, book)
        said = options["when"]
        gap, free = gap or (f"when: {said.value}" if isinstance(said, Text) else "when"), False
    return Inside(here, where, gap, times, free)


def _loop(rule: Rule, each: bool, here: Here, where: Where, book: Book) -> tuple[str, int, Here, Where]:
    options = dict(rule.entries) if isinstance(rule, Branch) else {}
    text = word(options.get("from", rule))
    place = locate(text, here, where.there)
    tested(place, rule.spot, book)
    inner = looping(rule, here)[1] if each else inside(here, text, rule.spot, counted=False)
    gap = place.gap or ("where" if "where" in options else "")
    return gap, place.times if each else 1, inner, replace(where, there=where.there | prefixes(place))


def fitting(rule: Rule, here: Here, where: Where, place: Domain | None, target: str, book: Book) -> Possible:
    """One value of the output; what keeps it from its place is told."""
    made = possible(rule, here, where, book)
    options = dict(rule.entries) if isinstance(rule, Branch) else {}
    if made.many:
        book.tell("mapping.several", rule.spot, made.many, target, "warning")
    if place is not None and "spread" not in options:
        own = "map" in options or (isinstance(rule, Text) and rule.value[:1] == "=")
        for misfit in misfits(made.domain, place):
            _told(misfit, rule.spot, options, own, target, book)
    return made


_CODES = {"refused": "mapping.refused", "long": "mapping.wide", "form": "mapping.unlike", "letters": "mapping.letters"}


def _told(misfit: Misfit, spot: Spot, options: dict[str, Rule], own: bool, target: str, book: Book) -> None:
    narrow = options.get("narrow")
    words = [word(one) for one in (narrow.items if isinstance(narrow, Listing) else (narrow,))] if narrow else []
    wanted = {"long": {"truncate", "reject"}, "letters": {"transliterate", "reject"}}.get(misfit.fault, set())
    if wanted & set(words):
        book.foreseen.add(target)
        return
    if misfit.fault == "refused" and (own or misfit.sure):
        spot = options["map"].spot if "map" in options else spot
        book.foreseen.add(target)
        book.tell("mapping.refused", spot, misfit.found, misfit.expected)
        return
    severity: Severity = "error" if misfit.sure else "warning"
    what = "form" if misfit.fault == "refused" else misfit.fault
    if misfit.sure:
        book.foreseen.add(target)
        book.tell(_CODES[misfit.fault], spot, misfit.found, misfit.expected, severity)
        return
    book.may(what, target, _CODES[misfit.fault], spot, misfit.found, misfit.expected, severity)


def demanded(name: str, least: int, most: int, come: list[Comes], target: str, spot: Spot, book: Book) -> None:
    """What the standard has against this number of something."""
    if least and not come:
        book.foreseen.add(target)
        book.tell("mapping.unfed", spot, target, name)
    elif least and all(one.gap for one in come):
        book.may("missing", target, "mapping.may_lack", come[0].spot, target, come[0].gap, "error")
    if sum(not one.gap for one in come) > most:
        sure = [one for one in come if not one.gap]
        book.foreseen.add(target)
        book.tell("mapping.crowded", sure[most].spot, target, str(most))
    elif most < PLENTY and sum(one.times for one in come) > most:
        spot = next((one.spot for one in come if one.times > most), come[-1].spot)
        book.may("more", target, "mapping.crowded", spot, target, str(most), "warning")
