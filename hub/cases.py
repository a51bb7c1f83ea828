"""Step 9: what has happened in a case decides which stages are reached (`fold` and `reached`, pure), and a stage that
is reached makes and sends what its declaration says (`advance_one`).

A stage is reached once for each set of messages that fulfils it; an amended message is a new set, so the stage is
reached again, the case makes its document anew, and only answers to that newest document count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lxml import etree
from sqlalchemy import select

from hub import delivery, routing
from hub.errors import JournalError
from hub.finding import Finding, rejects
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.numbers import Numbers
from hub.message import MessageState
from hub.opening import reread
from hub.routing import Leg
from hub.site.model import CaseRule
from hub.site.site import Site


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a case stands: the newest message of each kind, and who said what about the newest document."""

    messages: dict[str, str]
    verdicts: dict[tuple[str, str], str]  # (verdict name, subject) -> receipt's message
    subject: str


def fold(events: Sequence[Any], subject: str) -> Standing:
    """Events in order; `subject` is the newest message that the parties were asked about."""
    messages: dict[str, str] = {}
    verdicts: dict[tuple[str, str], str] = {}
    for happened in events:
        if happened["what"] == "message":
            messages[happened["name"]] = happened["message"]
        elif happened["what"] == "answer":
            verdicts[happened["name"], happened["subject"]] = happened["message"]
    return Standing(messages, verdicts, subject)


def reached(rule: CaseRule, standing: Standing, stages: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Stages newly reached, in order: (stage, what fulfils it)."""
    fresh = []
    for name, stage in rule.stages.items():
        by = _by(standing, stage.on.all, all) if stage.on.all else _by(standing, stage.on.any, any)
        if by and stages.get(name, {}).get("by") != by:
            fresh.append((name, by))
    return fresh


def _by(standing: Standing, names: Iterable[str], how: Any) -> str:
    """The messages that fulfil the condition, as one string; "" when it is not fulfilled."""
    found = [_one(standing, name) for name in names]
    if not how(bool(item) for item in found):
        return ""
    return ",".join(sorted({item for item in found if item}))


def _one(standing: Standing, name: str) -> str:
    if " " in name:
        return standing.subject if (name, standing.subject) in standing.verdicts else ""
    return standing.messages.get(name, "")


def deadline(rule: CaseRule, opened_at: datetime, stages: Mapping[str, Any]) -> datetime | None:
    """When the next stage that is not reached yet will be late; None when nothing is promised any more."""
    closed = any(rule.stages[name].closes for name in stages)
    due = [opened_at + s.within for name, s in rule.stages.items() if s.within and name not in stages]
    return None if closed else min(due, default=None)


def awaited(rule: CaseRule, standing: Standing, stages: Mapping[str, Any], opened_at: datetime, now: datetime) -> Late:
    """The first stage that is late, and who has not said what it needs."""
    for name, stage in rule.stages.items():
        if stage.within and name not in stages and opened_at + stage.within <= now:
            missing = [want.partition(" ")[0] for want in stage.on.all if not _one(standing, want)]
            return Late(name, ", ".join(missing))
    return Late("", "")


@dataclass(frozen=True, slots=True)
class Late:
    """A late stage and whose part is missing (parties, or kinds of messages)."""

    stage: str
    missing: str


def tell(
    site: Site,
    journal: Journal,
    outcome: Outcome,
    case: str,
    system: str,
    sender: str,
    kind: str,
    id: str,
    now: datetime,
) -> None:
    """Open the case or wake it: message `id` of `kind` has come."""
    if not outcome.touches("port_case", case):
        if journal.row(select(t.case.c.id).where(t.case.c.id == case)) is None:
            rule = site.systems[system].case
            due = deadline(rule, now, {}) if rule else None
            row = {"id": case, "system": system, "sender": sender, "state": "open", "stages": {}, "version": 0}
            outcome.add("port_case", **row, opened_at=now, due_at=due, ripe=True)
            outcome.event(case, "opened", by=id)
        else:
            outcome.move("port_case", case, (), ripe=True)
    outcome.add("case_event", case=case, at=now, what="message", name=kind, message=id, subject="")


# ---- what a reached stage makes and sends


def advance_one(site: Site, journal: Journal, numbers: Numbers, id: str, now: datetime) -> Outcome:
    """Stages that the case's events have reached, what they make and send."""
    outcome = Outcome()
    row = journal.row(select(t.case).where(t.case.c.id == id))
    if row is None:
        raise JournalError(f"no case {id}")
    rule = site.systems[row["system"]].case
    if rule is None:
        raise JournalError(f"system {row['system']} has no cases")
    stages: dict[str, Any] = dict(row["stages"])
    values: dict[str, Any] = {"holder": None, "tries": 0}
    stand = standing(journal, row)
    for name, by in reached(rule, stand, stages):
        stage = rule.stages[name]
        stages[name] = {"at": now.isoformat(), "by": by}
        outcome.event(id, f"stage {name}", by=by)
        made = f"C{hashlib.sha256(f'{id}/{name}/{by}'.encode()).hexdigest()[:16].upper()}"
        if stage.make:
            _make(site, journal, numbers, outcome, row, stage.make, made, stand.messages, now)
            stages[name]["made"] = made
        if stage.send:
            record = case_record(site, journal, row, name, stand, now)
            _send(site, journal, numbers, outcome, row, stage.send, made, record, stand, now)
        if stage.closes:
            values |= {"state": "closed", "outcome": name, "closed_at": now}
        elif row["state"] == "closed":
            values |= {"state": "open", "outcome": "", "closed_at": None}
    outcome.move("port_case", id, (), stages=stages, due_at=deadline(rule, row["opened_at"], stages), **values)
    if len(stages) > len(row["stages"]):
        outcome.rest(id)  # if a stage is late still, the clock finds it again
    return outcome


def standing(journal: Journal, row: Any) -> Standing:
    """Where a case stands now, from its events."""
    e = t.case_event
    events = journal.rows(select(e).where(e.c.case == row["id"]).order_by(e.c.seq))
    return fold(events, _subject(journal, row["id"], row["stages"]))


def _subject(journal: Journal, case: str, stages: Mapping[str, Any]) -> str:
    """The newest message that parties were asked about: the one the case made last, else the last one routed."""
    made = [stage["made"] for stage in stages.values() if "made" in stage]
    if made:
        return str(made[-1])
    m, d = t.message, t.delivery
    asked = (
        select(m.c.id).join(d, d.c.message == m.c.id).where(m.c.case == case, m.c.interchange != "", d.c.awaits != "")
    )
    newest = journal.row(asked.order_by(d.c.seq.desc()))
    return str(newest["id"]) if newest else ""


def source_of(site: Site, journal: Journal, row: Any, order_key: str) -> delivery.Source:
    """What deliveries of a message that was checked before are mapped from."""
    kinds = [(row["kind"], row["payload"]), (row["canonical_kind"], row["canonical"])]
    data = {kind: journal.payload(sha) for kind, sha in kinds if kind and sha}
    nodes = {kind: reread(site.kinds[kind], raw, row["frame"], row["charset"]) for kind, raw in data.items()}
    own = {kind: raw for kind, raw in data.items() if site.kinds[kind].rule.format == "xml"}
    keys = tuple((name, str(value)) for name, value in row["keys"].items())
    return delivery.Source(row["id"], nodes, own, row["sender"], keys, order_key)


def _nodes(site: Site, journal: Journal, messages: dict[str, str]) -> dict[str, Any]:
    """The case's newest messages, read again from their bytes."""
    nodes: dict[str, Any] = {}
    for kind, id in messages.items():
        row = journal.row(select(t.message).where(t.message.c.id == id))
        if row is None:
            continue
        sha = row["canonical"] if row["canonical_kind"] == kind else row["payload"]
        nodes[kind] = reread(site.kinds[kind], journal.payload(sha), row["frame"], row["charset"])
    return nodes


def _make(
    site: Site,
    journal: Journal,
    numbers: Numbers,
    outcome: Outcome,
    case: Any,
    kind: str,
    id: str,
    messages: dict[str, str],
    now: datetime,
) -> None:
    """The case makes a document from its messages; it is routed like any other."""
    nodes = _nodes(site, journal, messages)
    usage = site.kinds[kind]
    found = site.mapping_into(kind, set(nodes))
    node, findings = None, [Finding("routing.no_mapping", found=", ".join(nodes), expected=kind)]
    if found is not None:
        sources = {alias: nodes[name] for alias, name in found[1].sources.items()}
        node, findings = found[1].apply(sources, site.context(now, case=case["id"]))
    data = b""
    if node is not None and not rejects(findings):
        data, wrong = usage.write(node)
        findings = [*findings, *wrong]
    bad = node is None or rejects(findings)
    keys = {} if bad else {name: usage.value(node, path) for name, path in usage.rule.keys.items()}
    older = _older(journal, case["id"], kind)
    why = "; ".join(f"{f.code} {f.found} {f.expected}" for f in findings)[:500]
    outcome.add(
        "message",
        id=id,
        interchange="",
        kind=kind,
        system=case["system"],
        sender=case["sender"],
        reference=case["id"],
        keys=keys,
        document=case["id"],
        function="amendment" if older else "original",
        payload=outcome.keep(data),
        canonical_kind="",
        canonical="",
        state=MessageState.HELD if bad else MessageState.ROUTED,
        reason=why,
        supersedes=older,
        case=case["id"],
        at=now,
    )
    outcome.event(id, "held" if bad else "made", kind=kind, case=case["id"])
    if bad:
        outcome.wait("message", id, "case.not_made", now + site.routes.attention, why)
        return
    if older:
        outcome.move("message", older, (), given={"superseded_by": ""}, superseded_by=id)
        outcome.event(older, "superseded", by=id)
    source = delivery.Source(id, {kind: node}, {kind: data}, case["sender"], tuple(keys.items()), case["id"], "")
    for leg in routing.plan(site, [kind], case["sender"], False, routing.holders(journal, older)):
        delivery.prepare(site, outcome, source, leg, numbers.next(), now)


def _older(journal: Journal, case: str, kind: str) -> str:
    m = t.message
    query = select(m.c.id).where(m.c.case == case, m.c.kind == kind, m.c.interchange == "", m.c.superseded_by == "")
    found = journal.row(query)
    return str(found["id"]) if found else ""


def _send(
    site: Site,
    journal: Journal,
    numbers: Numbers,
    outcome: Outcome,
    case: Any,
    send: Any,
    id: str,
    record: Any,
    standing: Standing,
    now: datetime,
) -> None:
    """A finished stage tells somebody, usually the sender."""
    data = etree.tostring(record, encoding="UTF-8", xml_declaration=True)
    party = case["sender"] if send.to == "sender" else send.to
    name = _first_name(journal, standing)
    outcome.add(
        "message",
        id=f"{id}S",
        interchange="",
        kind="case-record",
        system=case["system"],
        sender=case["sender"],
        reference=case["id"],
        keys={},
        document="",
        function="original",
        payload=outcome.keep(data),
        canonical_kind="",
        canonical="",
        state=MessageState.ROUTED,
        case=case["id"],
        at=now,
    )
    nodes = {"case-record": record}
    source = delivery.Source(f"{id}S", nodes, {}, case["sender"], (), case["id"] + "/reply", name)
    delivery.prepare(site, outcome, source, Leg(party, send.kind, None), numbers.next(), now)


def _first_name(journal: Journal, standing: Standing) -> str:
    """The name of the file that opened the case: answers are named after it."""
    for id in standing.messages.values():
        i = t.interchange
        row = journal.row(select(i.c.name).where(i.c.id == id.rsplit(".", 1)[0]))
        if row is not None:
            return str(row["name"])
    return ""


CASE = "urn:eport:case:1"


def case_record(site: Site, journal: Journal, case: Any, stage: str, standing: Standing, now: datetime) -> Any:
    """The case as a document (schemas/case-record.xsd): what the messages of a finished stage are mapped from."""
    spaces: Any = {None: CASE}
    root = etree.Element(f"{{{CASE}}}CaseRecord", nsmap=spaces)

    def put(parent: Any, tag: str, value: str, **attributes: str) -> Any:
        node = etree.SubElement(parent, f"{{{CASE}}}{tag}", attributes)
        node.text = value
        return node

    rule = site.systems[case["system"]].case
    put(root, "System", case["system"])
    for name, value in zip(rule.key if rule else [], case["id"].split("/")[2:], strict=False):
        put(root, "Key", value, name=name)
    put(root, "Case", case["id"].replace("/", ":"))
    put(root, "Stage", stage)
    refused = any(verdict.endswith(" refused") for verdict, about in standing.verdicts if about == standing.subject)
    put(root, "Verdict", "refused" if refused else "accepted")
    put(root, "At", now.isoformat(timespec="seconds"))
    put(root, "Sender", case["sender"])
    put(root, "Reference", case["id"].rsplit("/", 1)[-1])
    put(root, "Original", case["id"].rsplit("/", 1)[-1])
    for (verdict, about), message in standing.verdicts.items():
        if about == standing.subject:
            party, said = verdict.split(" ")
            answer = etree.SubElement(root, f"{{{CASE}}}Answer")
            receipt = journal.row(select(t.receipt).where(t.receipt.c.message == message))
            asked = journal.row(select(t.message.c.kind).where(t.message.c.id == message))
            put(answer, "Party", party)
            put(answer, "Kind", asked["kind"] if asked else "")
            put(answer, "Verdict", said)
            put(answer, "At", (receipt["at"] if receipt else now).isoformat(timespec="seconds"))
            if receipt and receipt["number"]:
                put(answer, "Number", receipt["number"])
            for code, words in receipt["reasons"] if receipt else []:
                reason = etree.SubElement(answer, f"{{{CASE}}}Reason")
                put(reason, "Code", code)
                put(reason, "Text", words)
    return root
