"""What is known where a condition holds, and conditions that never do."""

from __future__ import annotations

from dataclasses import dataclass, field

from hub.mapping import conditions, numbers
from hub.mapping.checking.book import Book
from hub.mapping.checking.sides import Key, Known, Located, locate, near, prefixes
from hub.mapping.plan import Here
from hub.mapping.rules import Branch, Listing, Rule, Spot, Text

Place = tuple[Key, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Where:
    """What holds at a rule: `there` leads somewhere, `gone` nowhere, `values` are all that a place may have."""

    there: Known = frozenset()
    gone: Known = frozenset()
    values: tuple[tuple[Place, frozenset[str]], ...] = ()

    def allowed(self, place: Place) -> frozenset[str] | None:
        found = [codes for at, codes in self.values if at == place]
        return frozenset.intersection(*found) if found else None


@dataclass(slots=True)
class _Reading:
    here: Here
    book: Book
    spot: Spot
    there: set[Place] = field(default_factory=set)
    gone: set[Place] = field(default_factory=set)
    values: list[tuple[Place, frozenset[str]]] = field(default_factory=list)


def under(rule: Rule | None, here: Here, where: Where, book: Book) -> Where:
    """`where` and the condition. One that never holds is told."""
    if rule is None:
        return where
    reading = _Reading(here, book, rule.spot, set(where.there), set(where.gone), list(where.values))
    _read(rule, reading, holds=True)
    made = Where(frozenset(reading.there), frozenset(reading.gone), tuple(reading.values))
    excluded = [place for place in reading.gone if place in reading.there]
    empty = [place for place, _ in made.values if made.allowed(place) == frozenset()]
    for _, steps in [*excluded, *empty][:1]:
        book.tell("mapping.idle", rule.spot, _said(rule), "/".join(steps), "warning")
    return made


def _said(rule: Rule) -> str:
    if isinstance(rule, Text):
        return rule.value
    inner = rule.items if isinstance(rule, Listing) else [one for _, one in rule.entries]
    return " · ".join(map(_said, inner))


def _read(rule: Rule, reading: _Reading, holds: bool) -> None:
    """All that must be so when the condition is `holds`."""
    if isinstance(rule, Text):
        _text(rule.value.strip(), rule.spot, reading, holds)
    elif isinstance(rule, Branch):
        [(name, inner)] = rule.entries
        if name == "not":
            _read(inner, reading, not holds)
        elif isinstance(inner, Listing):
            each = (name == "all") is holds  # of the others one may be enough
            for item in inner.items:
                apart = reading if each else _Reading(reading.here, reading.book, item.spot)
                _read(item, apart, holds)


def _text(text: str, spot: Spot, reading: _Reading, holds: bool) -> None:
    if text.startswith("not "):
        _text(text[4:].strip(), spot, reading, not holds)
        return
    left, sign, right = conditions.split(text)
    if left.startswith("$"):
        return
    place = locate(left, reading.here)
    tested(place, spot, reading.book)
    at = place.key, place.steps
    if not sign:
        _exists(place, reading, holds)
        return
    codes = frozenset(conditions.quoted(right))
    if (sign in ("=", "in") and holds and right[:1] in "'[") or (sign == "!=" and not holds and right[:1] == "'"):
        reading.there |= prefixes(place) if "" not in codes else set()
        reading.values.append((at, codes))
        _known(codes, place, spot, reading.book)
    elif right[:1] in "'[" and sign in ("=", "in", "!="):
        _known(codes, place, spot, reading.book)
    elif holds and (numbers.maybe(right) is not None or sign in ("<", "<=", ">", ">=")):
        reading.there |= prefixes(place)


def _exists(place: Located, reading: _Reading, holds: bool) -> None:
    if holds:
        reading.there |= prefixes(place)
    else:
        reading.gone.add((place.key, place.steps))


def _known(codes: frozenset[str], place: Located, spot: Spot, book: Book) -> None:
    known = place.domain.codes if place.domain else None
    for code in sorted(codes - {""}):
        if known is not None and code not in known:
            book.tell("mapping.idle", spot, code, near(code, known), "warning")


def tested(place: Located, spot: Spot, book: Book) -> None:
    """Tests of a path for codes that the source's standard does not have are told."""
    for test in place.tests:
        if test.codes is not None and test.value not in test.codes:
            book.tell("mapping.idle", spot, test.value, near(test.value, test.codes), "warning")
