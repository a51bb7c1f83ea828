"""Everything in a site's declarations that could only fail later, found before the site runs.

One function for each subject; each looks at all declarations and yields findings with their places.
"""

from __future__ import annotations

import codecs
import re
import zoneinfo
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import adapters
from hub.contract import Ground
from hub.declaration import Declaration, Listing, Rule, Text, explain, near
from hub.errors import IdentityError
from hub.finding import Finding
from hub.mapping.compile import Mapping
from hub.site import watches
from hub.site.model import CaseRule, Endpoint, Kind, Retry, Routes, Stage, System
from hub.site.site import Usage

KeyPath = tuple[Any, ...]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
SENDER = "sender"
"""The word that stands for whoever sent the message; no party may be called so."""
RECORD = "case-record"
"""The kind that every reached stage is told in (hub.cases)."""
ARRIVING = frozenset(("now", "zone"))
MADE = ARRIVING | {"case"}
DELIVERED = ARRIVING | {"reference", "sender", "recipient", "port"}
"""What a mapping may read as $name: when a message becomes its canonical kind (hub.opening), when a case makes a
document (hub.cases), when a delivery is prepared (hub.delivery)."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What was read. `rules` are all kinds, `kinds` those of them that can be used."""

    folder: Path
    source: Declaration
    routes: Routes
    sources: dict[str, Declaration]
    systems: dict[str, System]
    rules: dict[str, Kind]
    kinds: dict[str, Usage]
    mappings: dict[tuple[str, str], Mapping]
    written: dict[tuple[str, str], Declaration]
    tables: dict[str, dict[str, str]]

    def led(self, have: Iterable[str], kind: str) -> bool:
        """True when a mapping makes `kind` of kinds that are there, or one that could is itself at fault."""
        there = set(have)
        if kind not in self.kinds or not there <= self.kinds.keys():
            return True
        return any(target == kind and there.issuperset(source.split(",")) for source, target in self.mappings)


def cross_check(d: Declared) -> list[Finding]:
    """Every name that a declaration uses exists; every delivery has its mapping; every awaited answer can come."""
    checks = (_names, _port, _identity, _parties, _endpoints, _spans, _routes, _kinds, _recognised, _cases, _values)
    ground = Ground(d.folder, d.folder / "spool")
    return [*(finding for check in checks for finding in check(d)), *watches.check(d.source, d.routes, ground)]


# ---- names and settings


def _names(d: Declared) -> Iterator[Finding]:
    """Names become parts of file names, ids and lists."""
    places: list[tuple[Declaration, KeyPath]] = [
        *((d.source, ("parties", name)) for name in d.routes.parties),
        *((d.source, ("endpoints", name)) for name in d.routes.endpoints),
        *((d.sources[s], ("kinds", name)) for s, system in d.systems.items() for name in system.kinds),
    ]
    for source, path in places:
        if not NAME.fullmatch(path[-1]) or path == ("parties", SENDER):
            yield source.finding("site.bad_name", path, path[-1], key=True)
    for name in d.systems:
        if not NAME.fullmatch(name):
            yield d.sources[name].finding("site.bad_name", ("system",), name)


def _unknown(
    source: Declaration, path: KeyPath, found: str, names: Iterable[str], key: bool = False
) -> Iterator[Finding]:
    names = list(names)
    if found not in names:
        yield source.finding("site.unknown_name", path, found, near(found, names), key)


def _port(d: Declared) -> Iterator[Finding]:
    yield from _unknown(d.source, ("port",), d.routes.port, d.routes.parties)
    try:
        zoneinfo.ZoneInfo(d.routes.zone)
    except (KeyError, ValueError, OSError):
        yield d.source.finding("site.bad_value", ("zone",), d.routes.zone, "Asia/Shanghai")
    for name in type(d.routes.doors).model_fields:
        address = getattr(d.routes.doors, name)
        host, _, port = address.rpartition(":")
        if name == "metrics" and not address:
            continue
        if not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
            yield d.source.finding("site.bad_value", ("doors", name), address, "127.0.0.1:2222")


def _parties(d: Declared) -> Iterator[Finding]:
    owner: dict[str, str] = {}
    for name, party in d.routes.parties.items():
        at: KeyPath = ("parties", name)
        if party.at:
            yield from _unknown(d.source, (*at, "at"), party.at, d.routes.endpoints)
            if party.at in owner and _can(d, party.at, "inlet"):
                yield d.source.finding("site.shared_endpoint", (*at, "at"), party.at, owner[party.at])
            owner.setdefault(party.at, name)
        if party.charset and not _codec(party.charset):
            yield d.source.finding("site.bad_value", (*at, "charset"), party.charset, "utf-8, gb18030, latin-1")
        for index, file in enumerate(party.certificates):
            yield from _pem(d, (*at, "certificates", index), file, "load_certificates")


def _codec(name: str) -> bool:
    """True for a codec of text."""
    try:
        codecs.lookup(name)
        "".encode(name)
    except (LookupError, ValueError):
        return False
    return True


def _identity(d: Declared) -> Iterator[Finding]:
    """The port's own key and certificates, where it does not make them itself."""
    own = d.routes.identity
    files = [("key", own.key, "load_key"), ("certificate", own.certificate, "load_certificates")]
    for name, file, how in files:
        if file:
            yield from _pem(d, ("identity", name), file, how)
        elif any(other for _, other, _ in files):
            yield d.source.finding("site.missing_key", ("identity", name), expected=name)
    for index, file in enumerate(own.roots):
        yield from _pem(d, ("identity", "roots", index), file, "load_certificates")
    for index, file in enumerate(own.crls):
        yield from _pem(d, ("identity", "crls", index), file, "load_crl")
    stamping = d.routes.evidence.stamp
    for index, file in enumerate(stamping.roots if stamping else ()):
        yield from _pem(d, ("evidence", "stamp", "roots", index), file, "load_certificates")


def _pem(d: Declared, path: KeyPath, file: str, how: str) -> Iterator[Finding]:
    """What keeps the PEM file from being read by the function `how` of hub.identity.keys."""
    from hub.identity import keys

    try:
        getattr(keys, how)(d.folder / file)
    except (IdentityError, ValueError) as fault:
        yield d.source.finding("site.certificate", path, file, str(fault).replace(f"{d.folder}/", ""))


# ---- endpoints


def _endpoints(d: Declared) -> Iterator[Finding]:
    for name, endpoint in d.routes.endpoints.items():
        yield from _adapter(d.source, name, endpoint)
        for path, value in _texts(endpoint.options, ("endpoints", name, "options")):
            if value.startswith(("env:", "file:")) or re.fullmatch(r"\$[A-Za-z_][A-Za-z0-9_]*", value):
                wrong = Ground(d.folder, d.folder / "spool").lacks(value)
                if wrong:
                    yield Finding("site.secret", d.source.place(path), value, wrong, "warning")


def _adapter(source: Declaration, name: str, endpoint: Endpoint) -> Iterator[Finding]:
    at = ("endpoints", name, "adapter")
    if endpoint.adapter not in adapters.ADAPTERS and endpoint.adapter not in adapters.known():
        yield from _unknown(source, at, endpoint.adapter, adapters.known())
        return
    try:
        module = adapters.load(endpoint.adapter)
        module.Options.model_validate(endpoint.options)
    except ValidationError as fault:
        yield from explain(source, module.Options, fault, ("endpoints", name, "options"))
    except (ImportError, AttributeError, ValueError) as fault:
        yield source.finding("site.bad_value", at, endpoint.adapter, str(fault)[:300])


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Every text within options, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(inner, (*path, key))


def _can(d: Declared, endpoint: str, what: str) -> bool:
    """True when the endpoint has an inlet or an outlet as it is set, or is itself at fault."""
    rule = d.routes.endpoints.get(endpoint)
    if rule is None:
        return True
    try:
        module = adapters.load(rule.adapter)
        options = module.Options.model_validate(rule.options)
    except (ImportError, AttributeError, ValueError):
        return True
    return hasattr(module, what) and bool(options.reads if what == "inlet" else options.writes)


def _reached(d: Declared, party: str, path: KeyPath, source: Declaration, key: bool) -> Iterator[Finding]:
    """A party that something is sent to exists and has an endpoint that can be written to."""
    if party == SENDER:
        return
    if party not in d.routes.parties:
        yield source.finding("site.unknown_name", path, party, near(party, (*d.routes.parties, SENDER)), key)
        return
    endpoint = d.routes.parties[party].at
    if not endpoint:
        yield source.finding("site.no_endpoint", path, party, key=key)
    elif not _can(d, endpoint, "outlet"):
        yield source.finding("site.no_outlet", path, endpoint, party, key)


# ---- times


def _spans(d: Declared) -> Iterator[Finding]:
    """No span is nothing; waits between tries grow, and giving up comes last."""
    for name, endpoint in d.routes.endpoints.items():
        at: KeyPath = ("endpoints", name, "retry")
        yield from _positive(d.source, at, endpoint.retry)
        yield from _growing(d.source, at, endpoint.retry)
    yield from _positive(d.source, (), d.routes)
    yield from _positive(d.source, ("evidence",), d.routes.evidence)
    if d.routes.evidence.stamp:
        yield from _positive(d.source, ("evidence", "stamp"), d.routes.evidence.stamp)
    for kind, parts in (("endpoints", d.routes.endpoints), ("parties", d.routes.parties)):
        for name, part in parts.items():
            yield from _positive(d.source, (kind, name), part)
    for name, route in d.routes.routes.items():
        if route.answer:
            yield from _positive(d.source, ("routes", name, "answer"), route.answer)
    for system, rule in d.systems.items():
        for name, stage in rule.case.stages.items() if rule.case else ():
            yield from _positive(d.sources[system], ("case", "stages", name), stage)


def _positive(source: Declaration, at: KeyPath, part: Any) -> Iterator[Finding]:
    for field in type(part).model_fields:
        value = getattr(part, field)
        if isinstance(value, timedelta) and value <= timedelta(0):
            yield source.finding("site.bad_value", (*at, field), "0s", "more than 0s")


def _growing(source: Declaration, at: KeyPath, retry: Retry) -> Iterator[Finding]:
    for lower, upper in (("first", "longest"), ("longest", "give_up")):
        if getattr(retry, lower) > getattr(retry, upper):
            given = upper if upper in retry.model_fields_set else lower
            yield source.finding("site.bad_value", (*at, given), given, f"{lower} ≤ {upper}")


# ---- routes


def _routes(d: Declared) -> Iterator[Finding]:
    levels = {rule.answers.level for rule in d.rules.values() if rule.answers}
    for name, route in d.routes.routes.items():
        at: KeyPath = ("routes", name)
        when = route.when
        yield from _unknown(d.source, (*at, "when", "kind"), when.kind, d.rules)
        if when.sender:
            yield from _unknown(d.source, (*at, "when", "sender"), when.sender, d.routes.parties)
        if not route.to:
            yield d.source.finding("site.bad_value", (*at, "to"), "{}", "PARTY: kind")
        for party, kind in route.to.items():
            yield from _reached(d, party, (*at, "to", party), d.source, key=True)
            yield from _unknown(d.source, (*at, "to", party), kind, d.rules)
            if kind in d.rules and when.kind in d.rules and not _passes(d, when.kind, kind):
                yield d.source.finding("site.no_mapping", (*at, "to", party), when.kind, kind)
            known = d.routes.parties.get(party)
            if route.answer and known and known.at:
                can = _can(d, known.at, "inlet") and route.answer.level in levels
                if not can:
                    yield d.source.finding("site.no_answer", (*at, "to", party), route.answer.level, party, key=True)


def _passes(d: Declared, source: str, kind: str) -> bool:
    """True when a message of kind `source` can be sent as `kind`: mapped, or as it came when it is no EDIFACT."""
    have = {source, d.rules[source].becomes} - {""}
    return (kind in have and d.rules[kind].format != "edifact") or d.led(have, kind)


# ---- kinds


def _kinds(d: Declared) -> Iterator[Finding]:
    quoted = {"reference", "number", *(key for rule in d.rules.values() for key in rule.keys)}
    for name, usage in d.kinds.items():
        rule, source = usage.rule, d.sources[usage.system]
        at: KeyPath = ("kinds", name)
        if rule.becomes:
            yield from _unknown(source, (*at, "becomes"), rule.becomes, d.rules)
            if rule.becomes in d.rules and d.rules[rule.becomes].format != "xml":
                yield source.finding("site.bad_value", (*at, "becomes"), rule.becomes, "format: xml")
            elif rule.becomes in d.rules and not d.led({name}, rule.becomes):
                yield source.finding("site.no_mapping", (*at, "becomes"), name, rule.becomes)
        if rule.function and rule.function.map:
            yield from _unknown(source, (*at, "function", "map"), rule.function.map, d.tables)
        if rule.answers:
            if not rule.answers.by:
                yield source.finding("site.bad_value", (*at, "answers", "by"), "{}", near("", quoted))
            for key in rule.answers.by:
                yield from _unknown(source, (*at, "answers", "by", key), key, quoted, key=True)


def _recognised(d: Declared) -> Iterator[Finding]:
    """A message is of one kind: by type and release of UNH, by namespace and name of the root element, by the only
    name of a JSON object, or by the name of its file."""
    first: dict[tuple[str, ...], str] = {}
    for name, usage in d.kinds.items():
        by, key = _sign(usage)
        if by in first:
            at = ("kinds", name, key)
            yield d.sources[usage.system].finding("site.ambiguous_kind", at, name, first[by])
        if any(by):
            first.setdefault(by, name)


def _sign(usage: Usage) -> tuple[tuple[str, ...], str]:
    """By what messages of a kind are known, and the key of the declaration that says so."""
    rule = usage.rule
    if rule.format == "edifact":
        return (rule.type, rule.release), "type"
    if rule.format in ("xml", "json"):
        space = usage.schema.namespace if usage.schema and rule.format == "xml" else ""
        return (rule.format, space, rule.root), "root"
    return (rule.names.lower(),), "names"


# ---- cases


def _cases(d: Declared) -> Iterator[Finding]:
    for name, system in d.systems.items():
        if system.case:
            yield from _case(d, d.sources[name], name, system.case)


def _case(d: Declared, source: Declaration, system: str, case: CaseRule) -> Iterator[Finding]:
    own = {kind: rule for kind, rule in d.rules.items() if kind in d.systems[system].kinds}
    carried = {key for rule in own.values() for key in rule.keys}
    for index, key in enumerate(case.key):
        yield from _unknown(source, ("case", "key", index), key, carried)
    if not case.key:
        yield source.finding("site.bad_value", ("case", "key"), "[]", near("", carried))
    told = _told(d, own, case)
    made = {stage.make for stage in case.stages.values() if stage.make}
    verdicts = _verdicts(d, told | {k for k in own if own[k].becomes in told} | made)
    if not any(stage.closes for stage in case.stages.values()):
        yield source.finding("site.no_end", ("case", "stages"), system)
    for name, stage in case.stages.items():
        at: KeyPath = ("case", "stages", name)
        yield from _conditions(d, source, at, stage, told, verdicts)
        yield from _outcome(d, source, at, stage, told)


def _told(d: Declared, own: dict[str, Kind], case: CaseRule) -> set[str]:
    """Kinds whose messages a case gets: those that carry its keys and are no answers, under the name they become."""
    told = set()
    for kind, rule in own.items():
        speaks = d.rules.get(rule.becomes or kind, rule)
        if not rule.answers and all(key in speaks.keys for key in case.key):
            told.add(rule.becomes or kind)
    return told


def _verdicts(d: Declared, asked: set[str]) -> set[str]:
    """Parties that are asked about the case's messages and owe an answer."""
    return {
        party
        for route in d.routes.routes.values()
        if route.answer and route.when.kind in asked
        for party in route.to
        if party in d.routes.parties and _can(d, d.routes.parties[party].at, "inlet")
    }


def _conditions(
    d: Declared, source: Declaration, at: KeyPath, stage: Stage, told: set[str], verdicts: set[str]
) -> Iterator[Finding]:
    """Every name of `on` exists, and what it waits for can come."""
    named = [("all", i, on) for i, on in enumerate(stage.on.all)] + [
        ("any", i, on) for i, on in enumerate(stage.on.any)
    ]
    if not named or (stage.on.all and stage.on.any):
        yield source.finding("site.unreachable_stage", (*at, "on"), at[-1], "all, any", key=True)
    hopeless: list[Finding] = []
    for how, index, on in named:
        path = (*at, "on", how, index)
        name, _, verdict = on.partition(" ")
        if verdict:
            yield from _unknown(source, path, name, d.routes.parties)
            yield from _unknown(source, path, verdict, ("accepted", "refused"))
            possible = name in verdicts or name not in d.routes.parties
        else:
            yield from _unknown(source, path, on, d.rules)
            possible = on in told or on not in d.rules
        if not possible:
            hopeless.append(source.finding("site.unreachable_stage", path, str(at[-1]), on))
    if stage.on.all or len(hopeless) == len(stage.on.any):
        yield from hopeless


def _outcome(d: Declared, source: Declaration, at: KeyPath, stage: Stage, told: set[str]) -> Iterator[Finding]:
    """What a stage makes and sends is known, can be made of what is there, and can be sent."""
    if stage.make:
        path = (*at, "make")
        yield from _unknown(source, path, stage.make, d.rules)
        if stage.make in d.rules and d.rules[stage.make].format != "xml":
            yield source.finding("site.bad_value", path, stage.make, "format: xml")
        elif stage.make in d.rules and not d.led(told, stage.make):
            yield source.finding("site.no_mapping", path, ", ".join(sorted(told)), stage.make)
    if stage.send:
        path = (*at, "send")
        yield from _unknown(source, (*path, "kind"), stage.send.kind, d.rules)
        if stage.send.kind in d.rules and not d.led({RECORD}, stage.send.kind):
            yield source.finding("site.no_mapping", (*path, "kind"), RECORD, stage.send.kind)
        yield from _reached(d, stage.send.to, (*path, "to"), source, key=False)


# ---- mappings


def _values(d: Declared) -> Iterator[Finding]:
    """Every $name of a mapping has a value wherever the mapping is used."""
    arriving = {(kind, rule.becomes) for kind, rule in d.rules.items() if rule.becomes}
    stages = [stage for system in d.systems.values() if system.case for stage in system.case.stages.values()]
    made = {stage.make for stage in stages}
    delivered = {kind for route in d.routes.routes.values() for kind in route.to.values()}
    delivered |= {stage.send.kind for stage in stages if stage.send}
    for key, source in d.written.items():
        uses = [ARRIVING] * (key in arriving) + [MADE] * (key[1] in made) + [DELIVERED] * (key[1] in delivered)
        names = frozenset.intersection(*uses) if uses else MADE | DELIVERED
        for text in _context(source.top):
            if text.value[1:] not in names:
                yield text.spot.finding("site.unknown_name", text.value, near(text.value, [f"${n}" for n in names]))


def _context(rule: Rule) -> Iterator[Text]:
    """Every value that is a $name."""
    if isinstance(rule, Text):
        if rule.value.startswith("$"):
            yield rule
        return
    inner = rule.items if isinstance(rule, Listing) else [part for _, part in rule.entries]
    for part in inner:
        yield from _context(part)
