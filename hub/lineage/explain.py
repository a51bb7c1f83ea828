"""Every output of a file that a party sends: the canonical document, and what each reader gets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hub import delivery, documents, judging, routing
from hub.edifact.model import Envelope
from hub.finding import Finding
from hub.lineage.documents import Field, Known, Made, make
from hub.lineage.sources import Received, Source
from hub.mapping.facts import RuleFact
from hub.opening import OpenedMessage
from hub.records.tree import Document
from hub.site.site import Site


@dataclass(frozen=True, slots=True)
class Output:
    """One document that comes of `messages` (their references); `reader` "" for one that the port keeps."""

    messages: tuple[str, ...]
    made: Made
    reader: str = ""
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """`refused`: what keeps messages from becoming anything, at their places in the file."""

    outputs: tuple[Output, ...]
    refused: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Set:
    """Messages that become something together, and what has been made of them."""

    references: list[str]
    sender: str
    have: dict[str, Known] = field(default_factory=dict)


def received(
    message: OpenedMessage,
    file: str,
    data: bytes,
    envelope: Envelope | None = None,
    shift: int = 0,
    document: Document | None = None,
) -> Received | None:
    """A message as what values are traced to; None for one of no kind."""
    if message.usage is None or not message.usage.name:
        return None
    return Received(message.usage, message.node, file, data, message.reference, envelope, shift, document)


def explained(site: Site, verdict: judging.Verdict, file: str, now: datetime, kind: str = "") -> Explained:
    """What comes of a judged file, or only what becomes `kind`."""
    outputs: list[Output] = []
    refused: list[Finding] = []
    every: list[_Set] = []
    cases: dict[str, list[_Set]] = {}
    for one in verdict.interchanges:
        for message in one.opened.messages:
            known = received(message, file, one.opened.data, one.opened.envelope, one.base, _document(message))
            if known is None or message.rejected:
                continue
            mine = _Set([message.reference], one.party, {known.usage.name: known})
            every.append(mine)
            outputs += _of_message(site, mine, message, now)
            if case := documents.case_of(site, one.party, message):
                cases.setdefault(case, []).append(mine)
        refused += [finding for finding in one.told if finding.severity == "error"]
    for case, sets in cases.items():
        outputs += _of_case(site, case, sets, now)
    if kind:
        outputs = [one for one in outputs if one.made.usage.name == kind] or _on_the_way(site, kind, every, now)
    return Explained(tuple(outputs), tuple(refused))


def _document(message: OpenedMessage) -> Document | None:
    """What knows where the values of JSON, CSV and flat records stood: they are read again."""
    form = message.usage.form if message.usage else None
    return form.read(message.data).documents[0] if form else None


def _of_message(site: Site, mine: _Set, message: OpenedMessage, now: datetime) -> Iterator[Output]:
    """The canonical document and what readers get of the message alone."""
    [name] = mine.have
    becomes = site.kinds[name].rule.becomes
    if becomes:
        canonical = make(site, becomes, mine.have, site.context(now))
        if canonical is None:
            return
        mine.have[becomes] = canonical
        yield Output(tuple(mine.references), canonical)
    kinds = [kind for kind in (name, becomes) if kind]
    yield from _read(site, mine, routing.plan(site, kinds, mine.sender, message.test), now)


def _of_case(site: Site, case: str, sets: Sequence[_Set], now: datetime) -> Iterator[Output]:
    """What the case makes of its messages, and what readers get of that."""
    system = site.systems[case.partition("/")[0]]
    together = _together(sets)
    for stage in system.case.stages.values() if system.case else ():
        made = make(site, stage.make, together.have, site.context(now, case=case)) if stage.make else None
        if made is not None:
            yield Output(tuple(together.references), made)
            mine = _Set(together.references, together.sender, {stage.make: made})
            yield from _read(site, mine, routing.plan(site, [stage.make], mine.sender, False), now)


def _together(sets: Sequence[_Set]) -> _Set:
    references = [reference for one in sets for reference in one.references]
    return _Set(references, sets[0].sender, {kind: known for one in sets for kind, known in one.have.items()})


def _read(site: Site, mine: _Set, legs: Iterable[routing.Leg], now: datetime) -> Iterator[Output]:
    for leg in legs:
        if leg.kind in mine.have:
            continue  # it gets the bytes that came, or the canonical document
        context = delivery.context_of(site, leg, mine.sender, "E000000000", now)
        made = make(site, leg.kind, mine.have, context)
        if made is not None:
            yield Output(tuple(mine.references), made, leg.party)


def _on_the_way(site: Site, kind: str, sets: Sequence[_Set], now: datetime) -> list[Output]:
    """A kind that no reader gets today, but that a mapping makes."""
    outputs = []
    alone = [one for one in sets if judging.way(site, set(one.have), kind)]
    for one in alone or ([_together(sets)] if sets else []):
        have = dict(one.have)
        for step in judging.way(site, set(have), kind):
            made = make(site, step, have, {**_anything(site, one.sender), **site.context(now)})
            if made is None:
                break
            have[step] = made
        if isinstance(known := have.get(kind), Made):
            outputs.append(Output(tuple(one.references), known))
    return outputs


def _anything(site: Site, sender: str) -> dict[str, str]:
    port = site.routes.port
    return {"reference": "E000000000", "sender": sender, "recipient": port, "port": port, "case": ""}


def rule_of(made: Made, path: str) -> RuleFact | None:
    """The rule that writes at a path without numbers, whether it gave something or not."""
    names = path.split("/")
    tails = (fact for fact in made.mapping.rules if fact.target.split("/")[-len(names) :] == names)
    return next(tails, None)


# ---- as plain data


def as_json(output: Output, wanted: str = "") -> dict[str, Any]:
    """One output as JSON takes it; `wanted` is a path of which every name must be in the field's."""
    return {
        "messages": list(output.messages),
        "kind": output.made.usage.name,
        "reader": output.reader,
        "mapping": output.made.mapping.name,
        "sha256": output.made.mapping.sha256,
        "notes": [finding.code for finding in output.notes],
        "fields": [_row(one) for one in fields(output, wanted)],
    }


def fields(output: Output, wanted: str = "") -> list[Field]:
    """The values of an output, or those at a path: `Name`, `Bill[2]/Name`, `NAD`, from any step on."""
    return [one for one in output.made.fields if not wanted or _named(one, wanted)]


def _named(one: Field, wanted: str) -> bool:
    """True where the path, with numbers or without any, is a part of the field's."""
    plain = "/".join(name.partition("[")[0] for name in one.target.split("/"))
    return f"/{wanted}/" in f"/{one.target}/" or f"/{wanted}/" in f"/{plain}/"


def _row(one: Field) -> dict[str, Any]:
    return {
        "target": one.target,
        "value": one.value,
        "sources": [source_row(source) for source in one.sources],
        "rules": [
            {
                "kind": step.kind,
                "target": step.target,
                "file": step.spot.file,
                "line": step.spot.line,
                "functions": list(step.functions),
                "codes": [{"table": row.table, "key": row.key, "value": row.value} for row in step.rows],
            }
            for step in one.steps
        ],
    }


def source_row(source: Source) -> dict[str, Any]:
    """One place in a file as JSON takes it."""
    place = source.place
    return {
        "file": source.file,
        "kind": source.kind,
        "path": source.path,
        "value": source.value,
        "message": place.message,
        "segment": place.segment,
        "tag": place.tag,
        "element": place.element,
        "component": place.component,
        "offset": place.offset,
        "line": place.line,
        "column": place.column,
    }
