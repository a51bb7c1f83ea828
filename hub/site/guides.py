"""Guides of a site: read from schemas/<system>/*.guide.yaml, compiled for each kind, merged for one party and day.

Who is more specific decides: a role < a role with an association code < a party < a party with an association code.
Tolerances stand in this order, and the first that fits decides; of what is asked beyond the standard, and of how to
read and write, the most specific word counts. Two files of one rank that contradict each other are a mistake
(hub.site.guidecheck), so the order of files never matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from hub.declaration import Declaration, model, near, read
from hub.edifact.separators import advice
from hub.errors import DeclarationError
from hub.finding import Finding
from hub.mapping.plan import Facts
from hub.site.guidefile import GuideFile, Listed, Narrow, Tolerate, Written
from hub.site.model import Party
from hub.standards.aim import Aim, aims
from hub.standards.codelist import CodeList
from hub.standards.guide import Guide, Write
from hub.standards.narrowing import Condition, Narrowing, condition
from hub.standards.tolerance import Tolerance

V = TypeVar("V")
Tables = Mapping[str, Mapping[str, str]]
_KEPT = 1000
"""Merged guides that are remembered: parties × kinds × days."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one file for one kind."""

    tolerances: tuple[Tolerance, ...] = ()
    narrowings: tuple[Narrowing, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """One file as read, and its rules by kind; "" has those for any kind."""

    source: Declaration
    rule: GuideFile
    rules: Mapping[str, Rules]

    def rank(self, party: str) -> int:
        """How specific it is about the party; the higher decides."""
        return 2 * (party in self.rule.for_.parties) + bool(self.rule.for_.associations)

    def applies(self, party: str, role: str, kind: str, association: str) -> bool:
        """Files about certain kinds say nothing of what lies around messages (kind "")."""
        about = self.rule.for_
        return (
            (party in about.parties or role in about.roles)
            and (not about.kinds or kind in about.kinds)
            and (not about.associations or association in about.associations)
        )


# ---- reading


def read_all(folder: Path) -> tuple[list[tuple[Declaration, GuideFile]], list[Path], list[Finding]]:
    """Every guide file of the site in `folder`, their paths, and what is wrong with them."""
    made: list[tuple[Declaration, GuideFile]] = []
    files: list[Path] = []
    findings: list[Finding] = []
    for path in sorted((folder / "schemas").glob("*/*.guide.yaml")):
        try:
            source = read(folder, path)
            made.append((source, model(source, GuideFile)))
        except DeclarationError as fault:
            findings += fault.findings
            continue
        files.append(path)
    return made, files, findings


def compiled(
    source: Declaration, rule: GuideFile, facts: Mapping[str, Facts], tables: Tables, lists: Iterable[CodeList]
) -> tuple[File, list[Finding]]:
    """The file with its paths made exact, and a finding for each path and each list that is not there."""
    known = {**{name: frozenset(rows) for name, rows in tables.items()}, **{one.name: frozenset() for one in lists}}
    findings: list[Finding] = []
    rules: dict[str, Rules] = {}
    for kind in rule.for_.kinds or [""]:
        if not kind or kind in facts:
            making = _Making(source, facts.get(kind), known)
            rules[kind] = making.rules(rule)
            findings += [finding for finding in making.findings if finding not in findings]
    return File(source, rule, rules), findings


class _Making:
    """Rules of one file for one kind; without facts a rule may have no path."""

    def __init__(self, source: Declaration, facts: Facts | None, lists: Mapping[str, frozenset[str]]) -> None:
        self.source = source
        self.facts = facts
        self.lists = lists
        self.findings: list[Finding] = []

    def rules(self, rule: GuideFile) -> Rules:
        tolerances = [self._tolerance(("tolerate", at), one) for at, one in enumerate(rule.tolerate)]
        narrowings = [self._narrowing(("narrow", at), one) for at, one in enumerate(rule.narrow)]
        return Rules(
            tuple(one for one in tolerances if one is not None), tuple(one for one in narrowings if one is not None)
        )

    def _tolerance(self, at: tuple[Any, ...], rule: Tolerate) -> Tolerance | None:
        places = self._aims((*at, "at"), rule.at) if rule.at else ()
        if places is None:
            return None
        by, values = self._by(at), frozenset(rule.values)
        return Tolerance(rule.code, rule.as_, rule.at, places, values, rule.upto, by, rule.why, rule.tell, at[-1])

    def _narrowing(self, at: tuple[Any, ...], rule: Narrow) -> Narrowing | None:
        places = self._aims((*at, "at"), rule.at)
        when = self._condition((*at, "when"), rule.when) if rule.when else None
        if places is None or (rule.when and when is None):
            return None
        codes, listed = self._codes((*at, "codes"), rule.codes)
        shortest, longest = rule.lengths
        return Narrowing(
            rule.at,
            places,
            by=self._by(at),
            why=rule.why,
            status=rule.status,
            shortest=shortest,
            longest=longest,
            codes=codes,
            listed=listed,
            identifier=rule.identifier,
            repeat=rule.repeat,
            when=when,
            number=at[-1],
        )

    def _aims(self, at: tuple[Any, ...], path: str) -> tuple[Aim, ...] | None:
        if self.facts is None:
            self.findings.append(self.source.finding("site.bad_path", at, path, "for: {kinds: […]}"))
            return None
        try:
            return aims(path, self.facts)
        except (KeyError, ValueError) as fault:
            self.findings.append(self.source.finding("site.bad_path", at, path, str(fault.args[0])))
            return None

    def _condition(self, at: tuple[Any, ...], text: str) -> Condition | None:
        if self.facts is None:
            return None
        try:
            return condition(text, self.facts)
        except (KeyError, ValueError) as fault:
            self.findings.append(self.source.finding("site.bad_path", at, text, str(fault.args[0])))
            return None

    def _codes(self, at: tuple[Any, ...], codes: list[str] | Listed | None) -> tuple[frozenset[str] | None, str]:
        """The codes of a dated list are put in on each day (Guides.of)."""
        if not isinstance(codes, Listed):
            return (None if codes is None else frozenset(codes)), ""
        if codes.list not in self.lists:
            expected = near(codes.list, self.lists)
            self.findings.append(self.source.finding("site.unknown_name", (*at, "list"), codes.list, expected))
        return self.lists.get(codes.list), codes.list

    def _by(self, at: tuple[Any, ...]) -> str:
        return f"{Path(self.source.file).name}:{self.source.place(at).line}"


# ---- merging


@dataclass(frozen=True, slots=True)
class Guides:
    """All guide files of a site. `of` may be called by several threads."""

    files: tuple[File, ...] = ()
    lists: Mapping[str, CodeList] = field(default_factory=dict)
    _made: dict[tuple[Any, ...], Guide] = field(default_factory=dict)

    def of(self, name: str, party: Party, kind: str, day: date, association: str = "") -> Guide:
        """What holds for a party and a kind on a day; kind "" is for what lies around messages."""
        hold = [
            at
            for at, file in enumerate(self.files)
            if file.applies(name, party.role, kind, association) and file.rule.holds(day)
        ]
        key = (name, kind, day, *hold)
        made = self._made.get(key)
        if made is None:
            if len(self._made) >= _KEPT:
                self._made.clear()
            files = sorted((self.files[at] for at in hold), key=lambda file: -file.rank(name))
            made = self._made[key] = self._merged(files, party, kind, day)
        return made

    def _merged(self, files: list[File], party: Party, kind: str, day: date) -> Guide:
        rules = [file.rules.get(kind) or file.rules.get("", Rules()) for file in files]
        return Guide(
            tuple(one for each in rules for one in each.tolerances),
            tuple(self._on(one, day) for one in _most_specific(one for each in rules for one in each.narrowings)),
            first((file.rule.read.charset for file in files if file.rule.read), party.charset),
            written([file.rule.write for file in files if file.rule.write], party.charset),
            first((file.rule.accept for file in files if file.rule.accept), "each"),
        )

    def _on(self, rule: Narrowing, day: date) -> Narrowing:
        codes = self.lists.get(rule.listed)
        return replace(rule, codes=codes.at(day)) if codes else rule


def first(said: Iterable[V], otherwise: V) -> V:
    return next(iter(said), otherwise)


def _most_specific(rules: Iterable[Narrowing]) -> Iterator[Narrowing]:
    """Of what several rules say of the same thing at the same path and condition, the first."""
    seen: set[tuple[str, str, str]] = set()
    for rule in rules:
        mine = {name: (rule.at, rule.when.text if rule.when else "", name) for name in rule.aspects}
        fresh = [name for name, key in mine.items() if key not in seen]
        seen.update(mine.values())
        if fresh:
            yield rule.only(fresh)


def written(rules: list[Written], charset: str) -> Write:
    """How to write, from the most specific to the least. `charset` is the party's own, from routes.yaml."""
    syntax, _, version = first((rule.syntax for rule in rules if rule.syntax), "UNOC:3").partition(":")
    signs = first((rule.separators for rule in rules if rule.separators), "")
    return Write(
        una=first((rule.una for rule in rules if rule.una is not None), False),
        syntax=syntax,
        version=version,
        charset=first((rule.charset for rule in rules if rule.charset), charset),
        separators=advice(signs, 0)[0] if signs else Write().separators,
    )
