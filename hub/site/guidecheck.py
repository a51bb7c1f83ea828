"""Everything in guide files that could never take effect, contradicts another, or must not be agreed at all."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import combinations
from typing import Any

from hub.declaration import Declaration, near
from hub.edifact.reader import CHARSETS, fits
from hub.edifact.separators import advice
from hub.finding import Finding
from hub.mapping.plan import EdifactFacts, Facts
from hub.site import guiderules
from hub.site.guidefile import GuideFile
from hub.site.guides import File, Tables, compiled
from hub.site.model import Routes
from hub.standards.codelist import CodeList

KeyPath = tuple[Any, ...]
Read = tuple[Declaration, GuideFile]
UNA = ":+.? '"
"""Six characters as in UNA: component, element, decimal mark, release, repetition, terminator."""


def check(
    routes: Routes,
    kinds: Iterable[str],
    facts: Mapping[str, Facts],
    tables: Tables,
    lists: list[CodeList],
    guided: list[Read],
) -> tuple[tuple[File, ...], list[Finding]]:
    """The guide files compiled, and all that is wrong with them. `kinds` are all that are declared, `facts` has those
    that can be used."""
    files: list[File] = []
    findings = list(_twice(guided))
    for source, rule in guided:
        file, wrong = compiled(source, rule, facts, tables, lists)
        files.append(file)
        findings += [*_for(routes, kinds, source, rule), *_said(routes, facts, file), *wrong]
        findings += guiderules.check(file, facts, lists)
    findings += [finding for one, other in combinations(files, 2) for finding in _contradict(routes, one, other)]
    return tuple(files), findings


def _twice(guided: list[Read]) -> Iterator[Finding]:
    names: dict[str, str] = {}
    for source, rule in guided:
        if rule.guide in names:
            yield source.finding("site.twice", ("guide",), rule.guide, names[rule.guide])
        names.setdefault(rule.guide, source.file)


# ---- whom it is for


def _for(routes: Routes, kinds: Iterable[str], source: Declaration, rule: GuideFile) -> Iterator[Finding]:
    about = rule.for_
    roles = {party.role for party in routes.parties.values()}
    for key, named, known in (
        ("parties", about.parties, list(routes.parties)),
        ("roles", about.roles, sorted(roles)),
        ("kinds", about.kinds, list(kinds)),
    ):
        for at, name in enumerate(named):
            if name not in known:
                yield source.finding("site.unknown_name", ("for", key, at), name, near(name, known))
    if not about.parties and not about.roles:
        yield source.finding("site.missing_key", ("for",), expected="parties, roles", key=True)
    if rule.from_ and rule.until and rule.until < rule.from_:
        yield source.finding("site.never_applies", ("until",), str(rule.until), f"from: {rule.from_}")


# ---- how to read and write


def _said(routes: Routes, facts: Mapping[str, Facts], file: File) -> Iterator[Finding]:
    source, rule = file.source, file.rule
    if rule.read:
        yield from _charset(routes, file, ("read", "charset"), rule.read.charset)
        if rule.for_.kinds or rule.for_.associations:
            said = "the charset is needed before the kind is known"
            yield source.finding("site.bad_value", ("read",), "for: kinds, associations", said, key=True)
    used = [facts[kind] for kind in rule.for_.kinds if kind in facts]
    xml = bool(used) and not any(isinstance(one, EdifactFacts) for one in used)
    if xml and rule.for_.associations:
        said = "XML has no association code"
        yield source.finding("site.never_applies", ("for", "associations"), rule.for_.associations[0], said, key=True)
    if rule.write is None:
        return
    yield from _charset(routes, file, ("write", "charset"), rule.write.charset)
    syntax, _, version = rule.write.syntax.partition(":")
    if rule.write.syntax and (syntax not in CHARSETS or version not in ("1", "2", "3", "4")):
        expected = f"{near(syntax, CHARSETS)}:3"
        yield source.finding("site.bad_value", ("write", "syntax"), rule.write.syntax, expected)
    yield from _separators(file)
    if xml:
        said = "XML has neither UNA nor UNB"
        yield source.finding("site.never_applies", ("write",), "write", said, key=True)


def _charset(routes: Routes, file: File, at: KeyPath, name: str) -> Iterator[Finding]:
    """A codec of text, said in one place only."""
    if not name:
        return
    try:
        codecs.lookup(name)
        "".encode(name)
    except (LookupError, ValueError):
        yield file.source.finding("site.bad_value", at, name, "utf-8, gb18030, latin-1")
    for party in _parties(routes, file):
        if routes.parties[party].charset:
            yield file.source.finding("site.twice", at, name, f"routes.yaml: parties.{party}.charset")


def _separators(file: File) -> Iterator[Finding]:
    write = file.rule.write
    if write is None or not write.separators:
        return
    at = ("write", "separators")
    signs = write.separators
    if len(signs) != 6:
        yield file.source.finding("site.bad_value", at, signs, UNA)
        return
    separators, wrong = advice(signs, 0)
    if wrong or not fits(separators, write.charset or "ascii"):
        yield file.source.finding("site.bad_value", at, signs, UNA)


# ---- two files


def _parties(routes: Routes, file: File) -> set[str]:
    about = file.rule.for_
    return {name for name, party in routes.parties.items() if name in about.parties or party.role in about.roles}


def _contradict(routes: Routes, one: File, other: File) -> Iterator[Finding]:
    """What both say of the same at the same rank, and differently; told in the second."""
    shared = _parties(routes, one) & _parties(routes, other)
    if not any(one.rank(party) == other.rank(party) for party in shared) or not _meet(one.rule, other.rule):
        return
    yield from _settings(one, other)
    for kind in one.rules.keys() | other.rules.keys():
        mine, its = (file.rules.get(kind) or file.rules.get("") for file in (one, other))
        if mine is None or its is None:
            continue
        for tolerance in its.tolerances:
            for known in mine.tolerances:
                if known.decision != tolerance.decision and (known.covers(tolerance) or tolerance.covers(known)):
                    at: KeyPath = ("tolerate", tolerance.number)
                    yield other.source.finding("site.contradiction", at, tolerance.code, known.by)
        for narrowing in its.narrowings:
            for asked in mine.narrowings:
                if narrowing.contradicts(asked):
                    at = ("narrow", narrowing.number)
                    yield other.source.finding("site.contradiction", at, narrowing.at, asked.by)


def _meet(one: GuideFile, other: GuideFile) -> bool:
    """True when there is a message on some day that both are about."""
    for mine, its in (
        (one.for_.kinds, other.for_.kinds),
        (one.for_.associations, other.for_.associations),
    ):
        if mine and its and not set(mine) & set(its):
            return False
    first, last = date.min, date.max
    return (one.from_ or first) <= (other.until or last) and (other.from_ or first) <= (one.until or last)


def _settings(one: File, other: File) -> Iterator[Finding]:
    known, said = _flat(one.rule), _flat(other.rule)
    for path in known.keys() & said.keys():
        if known[path] != said[path]:
            at = one.source.place(path)
            yield other.source.finding("site.contradiction", path, str(said[path]), f"{at.file}:{at.line}")


def _flat(rule: GuideFile) -> dict[KeyPath, Any]:
    """What a file says of reading, writing and accepting, by its path."""
    found: dict[KeyPath, Any] = {("accept",): rule.accept}
    for name, part in (("read", rule.read), ("write", rule.write)):
        found |= {(name, key): getattr(part, key) for key in (type(part).model_fields if part else ())}
    return {path: value for path, value in found.items() if value not in (None, "")}
