"""Mapping files compiled once to closures over native segments and elements: no tree conversion, no expression engine.

A mapping file says `from` (one kind, or aliases with their kinds), `to`, and under `document` (XML) or `message`
(EDIFACT) the output in its own shape; `fragments` and `split` may stand beside them. docs/mapping.md is the language on
one page. The words of a leaf are in hub.mapping.leaves, those of a branch in hub.mapping.branches.
A child whose name is one of these words is written with a leading `./`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from hub.edifact.model import Group
from hub.errors import DeclarationError
from hub.finding import Finding, Place
from hub.mapping import edifact_target, xml_target
from hub.mapping import rules as language
from hub.mapping.facts import RuleFact
from hub.mapping.fragments import Fragments, expanded, fragments
from hub.mapping.lineage import Trace, Traced
from hub.mapping.loops import looping
from hub.mapping.plan import (
    NUMBER,
    EdifactFacts,
    Emit,
    Facts,
    Find,
    Here,
    Parties,
    Run,
    Tables,
    XmlFacts,
    bad,
    like,
    word,
)
from hub.mapping.rules import Branch, Listing, Rule, Spot, Text
from hub.mapping.sources import every, first, inside, reach, text_of

__all__ = ["EdifactFacts", "Facts", "Mapping", "Rules", "Tables", "XmlFacts", "compile", "load", "reader", "text_of"]

REJECTS = ("missing", "long", "form", "letters", "more")
"""What `reject:` may name: what the sources' standard allows, the target's refuses, and the sender is to be told of.
missing: nothing where something must be · long, form: no such text, number, date or code · letters that the receiver's
character set may lack · more than there may be."""
_KEYS = ("from", "to", "reject", "document", "message", "fragments", "split")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What makes targets: `items` of a split, None when there is one target; `make` begins one, `finish` ends it."""

    emit: Emit
    items: Find | None
    make: Callable[[], Any]
    finish: Callable[[Any], Any]
    spot: Spot
    facts: tuple[RuleFact, ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A compiled mapping. `sources` is alias -> kind; a single source has the alias "". `rules` are facts about every
    value and every branch with a loop or a condition of its own, in the order of the file."""

    sources: dict[str, str]
    target: str
    name: str
    plan: _Plan = field(repr=False)
    traced: Callable[[], _Plan] = field(repr=False)
    written: bytes = b""  # the file that it was compiled from, and behind it each file whose fragments it uses
    sha256: str = ""  # of these bytes: which version of the mapping this is

    @property
    def rules(self) -> tuple[RuleFact, ...]:
        return self.plan.facts

    @property
    def splits(self) -> bool:
        """True when it makes several targets."""
        return self.plan.items is not None

    def apply(self, sources: Map[str, Any], context: Map[str, str]) -> tuple[Any, list[Finding]]:
        """The target (Group or element) and what was wrong with values.

        Of a mapping that splits: the only target; None and a finding when there is none or more than one."""
        plan, run = self.plan, Run(sources, context)
        if plan.items is not None:
            return _only([made for made, _ in _split(plan, run)], plan.spot, run)
        target = plan.make()
        plan.emit(run, target)
        return plan.finish(target), run.findings

    def apply_all(self, sources: Map[str, Any], context: Map[str, str]) -> tuple[list[Any], list[Finding]]:
        """Every target of a mapping that splits, or the one of another, and what was wrong with values."""
        run = Run(sources, context)
        return [made for made, _ in _split(self.plan, run)], run.findings

    def apply_traced(self, sources: Map[str, Any], context: Map[str, str]) -> tuple[Any, list[Finding], list[Trace]]:
        """As `apply`, with where every value came from, in the order in which they were written."""
        run = Traced(sources, context)
        made = list(_split(self.traced(), run))
        traces = [trace for _, told in made for trace in told]
        if not self.splits:
            return made[0][0], run.findings, traces
        return *_only([target for target, _ in made], self.plan.spot, run), traces

    def apply_all_traced(
        self, sources: Map[str, Any], context: Map[str, str]
    ) -> tuple[list[tuple[Any, list[Trace]]], list[Finding]]:
        """As `apply_all`, with where every value came from."""
        run = Traced(sources, context)
        return list(_split(self.traced(), run)), run.findings


def _only(made: list[Any], spot: Spot, run: Run) -> tuple[Any, list[Finding]]:
    if len(made) == 1:
        return made[0], run.findings
    wrong = Finding("mapping.split", Place(), str(len(made)), f"{spot.file}:{spot.line}")
    return None, [*run.findings, wrong]


def _split(plan: _Plan, run: Run) -> list[tuple[Any, list[Trace]]]:
    made: list[tuple[Any, list[Trace]]] = []
    if plan.items is None:
        made.append(_one(plan, run))
        return made
    items = plan.items(run)
    if not run.afford(len(items), plan.spot):
        return made
    for number, item in enumerate(items, 1):
        run.enter(item)
        run.seen[-1][NUMBER] = number
        made.append(_one(plan, run))
        run.leave()
    return made


def _one(plan: _Plan, run: Run) -> tuple[Any, list[Trace]]:
    target = plan.make()
    plan.emit(run, target)
    told: list[Trace] = []
    if isinstance(run, Traced):
        told, run.traces = run.traces, []
    return plan.finish(target), told


@dataclass(frozen=True, slots=True)
class Rules:
    """A mapping file as read, its fragments in their places. `split` is what makes several targets of it, `rejects`
    what it leaves to the target's standard to refuse."""

    sources: dict[str, str]
    target: str
    body: Branch
    xml: bool
    name: str
    written: bytes = b""  # the file, and behind it each file whose fragments it uses
    split: Rule | None = None
    rejects: tuple[str, ...] = ()


def load(
    path: FilePath,
    text: bytes | None = None,
    shared: Fragments | None = None,
    texts: Map[str, bytes] | None = None,
) -> Rules:
    """Read one mapping file; `shared` are fragments of other files, whose bytes are `texts` by their names. Raises
    DeclarationError with findings."""
    top = language.load(path, text)
    entries = dict(top.entries)
    for name, key in zip(entries, top.keys, strict=True):
        if name not in _KEYS:
            raise bad(key, name, like(name, _KEYS))
    source, target = entries.get("from"), entries.get("to")
    body = entries.get("document") or entries.get("message")
    spot = Spot(str(path), 1, 1)
    if not (source and isinstance(target, Text) and isinstance(body, Branch)):
        raise bad(spot, "", "from, to, and document or message")
    known = {**(shared or {}), **fragments(entries.get("fragments"))}
    whole, files = expanded(body, known)
    own = path.read_bytes() if text is None else text
    written = b"\n---\n".join([own, *((texts or {})[file] for file in sorted(files - {body.spot.file}))])
    split, rejects = entries.get("split"), _rejects(entries.get("reject"))
    made = Rules({}, target.value, whole, "document" in entries, path.name, written, split, rejects)
    if isinstance(source, Text):
        return replace(made, sources={"": source.value})
    if not isinstance(source, Branch):
        raise bad(source.spot, "a list", "a kind, or alias: kind")
    return replace(made, sources={alias: kind.value for alias, kind in source.entries if isinstance(kind, Text)})


def _rejects(rule: Rule | None) -> tuple[str, ...]:
    items = () if rule is None else rule.items if isinstance(rule, Listing) else (rule,)
    for one in items:
        if word(one) not in REJECTS:
            raise bad(one.spot, word(one), like(word(one), REJECTS))
    return tuple(map(word, items))


def compile(
    rules: Rules, sources: Map[str, Facts], target: Facts, tables: Tables, parties: Parties | None = None
) -> Mapping:
    """Closures for `rules`. Raises DeclarationError: every mistake with its file, line and column."""

    def plan(traced: bool) -> _Plan:
        return _planned(rules, Here(sources, tables, parties=parties or {}, traced=traced), target)

    sha256, traced = hashlib.sha256(rules.written).hexdigest(), cache(lambda: plan(True))
    return Mapping(rules.sources, rules.target, rules.name, plan(False), traced, rules.written, sha256)


def _planned(rules: Rules, here: Here, target: Facts) -> _Plan:
    items, book, spot = None, here.book, rules.body.spot
    if rules.split is not None:
        spot = rules.split.spot
        items, here = looping(rules.split, here)
        page = book.turn()
        book.rules.append(RuleFact("", spot, tuple(page.reads), loops=(str(here.loops[-1]),), leaf=False))
    make: Callable[[], Any] = _message
    finish: Callable[[Any], Any] = _whole
    if isinstance(target, XmlFacts):
        make, finish = list, xml_target.parsed
        emit = _document(rules, here, target)
    else:
        emit = edifact_target.message(rules.body, here, target)
    if book.mistakes:
        raise DeclarationError(f"{rules.name}: {len(book.mistakes)} mistakes", tuple(book.mistakes))
    return _Plan(emit, items, make, finish, spot, tuple(book.rules))


def _document(rules: Rules, here: Here, target: XmlFacts) -> Emit:
    if len(rules.body.entries) != 1:
        raise bad(rules.body.spot, "several roots", "the root element of " + rules.target)
    (name, rule), key = rules.body.entries[0], rules.body.keys[0]
    if not target.schema.has((name,)) or not isinstance(rule, Branch):
        raise bad(key, name, "the root element of " + rules.target)
    return xml_target.document(name, rule, here, target.schema)


def _message() -> Group:
    return Group("")


def _whole(group: Group) -> Group:
    return group


def reader(text: str, facts: Facts, below: str = "") -> Callable[[Any], list[Any]]:
    """A path as a function of one node; `below` is the path of the loop that it stands in."""
    here = Here({"": facts}, {})
    spot = Spot(text, 1, 1)
    if below:
        here = inside(here, below, spot)
    found = reach(text, here, spot)
    one = first(text, here, spot) if found.kind == "value" and (found.cell or found.part) else None
    everything = every(text, here, spot)

    def read(node: Any) -> list[Any]:
        run = Run({"": node}, {})
        if below:
            run.enter(node)
        if one is None:
            return list(everything(run))
        value = one(run)
        return [value] if value else []

    return read
