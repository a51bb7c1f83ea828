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

from hub import delivery, routing
from hub.desk import Desk
from hub.documents import IN_FORCE
from hub.errors import Gone, JournalError
from hub.finding import Finding, rejects
from hub.journal import tables as t
from hub.journal.changes import MINE, Outcome
from hub.journal.recall import Recall
from hub.message import MessageState
from hub.opening import reread
from hub.routing import Leg
from hub.site.model import CaseRule


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


def tell(desk: Desk, outcome: Outcome, case: str, system: str, sender: str, kind: str, id: str) -> None:
    """Open the case or wake it: message `id` of `kind` has come."""
    if not outcome.touches("port_case", case):
        if desk.recall.one(t.case, ("id",), case) is None:
            rule = desk.site.systems[system].case
            due = deadline(rule, desk.now, {}) if rule else None
            row = {"id": case, "system": system, "sender": sender, "state": "open", "stages": {}, "version": 0}
            outcome.add("port_case", **row, opened_at=desk.now, due_at=due, ripe=True)
            outcome.event(case, "opened", by=id)
        else:
            outcome.move("port_case", case, (), ripe=True)
    outcome.add("case_event", case=case, at=desk.now, what="message", name=kind, message=id, subject="")


# ---- what a reached stage makes and sends


def fetch(recall: Recall, ids: Iterable[str]) -> None:
    """Read at once what advancing these cases will ask for."""
    keys = [(id,) for id in ids]
    recall.fetch(t.case, ("id",), keys)
    events = recall.fetch(t.case_event, ("case",), keys)
    said = {(row["message"],) for row in events}
    recall.fetch(t.receipt, ("message",), said)
    recall.fetch(t.message, ("id",), said)
    recall.fetch(t.interchange, ("id",), {(id.rsplit(".", 1)[0],) for (id,) in said})
    messages = recall.fetch(t.message, ("case",), keys)
    recall.fetch(t.delivery, ("message",), [(row["id"],) for row in messages])


def advance_one(desk: Desk, id: str) -> Outcome:
    """Stages that the case's events have reached, what they make and send."""
    outcome = Outcome()
    row = desk.recall.one(t.case, ("id",), id)
    if row is None:
        raise JournalError(f"no case {id}")
    rule = desk.site.systems[row["system"]].case
    if rule is None:
        raise JournalError(f"system {row['system']} has no cases")
    stages: dict[str, Any] = dict(row["stages"])
    values: dict[str, Any] = {"holder": None, "tries": 0}
    stand = standing(desk.recall, row)
    for name, by in reached(rule, stand, stages):
        stage = rule.stages[name]
        stages[name] = {"at": desk.now.isoformat(), "by": by}
        outcome.event(id, f"stage {name}", by=by)
        made = id_of(id, name, by)
        if stage.make:
            _make(desk, outcome, row, stage.make, made, stand.messages)
            stages[name]["made"] = made
        if stage.send:
            _send(desk, outcome, row, stage.send, made, case_record(desk, row, name, stand), stand)
        if stage.closes:
            values |= {"state": "closed", "outcome": name, "closed_at": desk.now}
        elif row["state"] == "closed" and values.get("state") != "open":
            stages = {had: stages[had] for had in stages if not rule.stages[had].closes}
            values |= {"state": "open", "outcome": "", "closed_at": None, "opened_at": desk.now, "overdue": False}
    due = deadline(rule, values["opened_at"] if "opened_at" in values else row["opened_at"], stages)
    outcome.move("port_case", id, (), {"holder": MINE}, stages=stages, due_at=due, **values)
    if len(stages) > len(row["stages"]):
        outcome.rest(id)  # if a stage is late still, the clock finds it again
    return outcome


def id_of(case: str, stage: str, by: str) -> str:
    """The id of the message that a case makes when a stage is reached by these messages."""
    return f"C{hashlib.sha256(f'{case}/{stage}/{by}'.encode()).hexdigest()[:16].upper()}"


def standing(recall: Recall, row: Any) -> Standing:
    """Where a case stands now, from its events."""
    events = recall.rows(t.case_event, ("case",), row["id"])
    return fold(events, _subject(recall, row["id"], row["stages"]))


def _subject(recall: Recall, case: str, stages: Mapping[str, Any]) -> str:
    """The newest message that parties were asked about: the one the case made last, else the last one routed."""
    made = [stage["made"] for stage in stages.values() if "made" in stage]
    if made:
        return str(made[-1])
    received = [row["id"] for row in recall.rows(t.message, ("case",), case) if row["interchange"]]
    asked = [row for id in received for row in recall.rows(t.delivery, ("message",), id) if row["awaits"]]
    newest = max(asked, key=lambda row: int(row["seq"]), default=None)
    return str(newest["message"]) if newest else ""


def source_of(desk: Desk, row: Any, order_key: str) -> delivery.Source:
    """What deliveries of a message that was checked before are mapped from."""
    kinds = [(row["kind"], row["payload"]), (row["canonical_kind"], row["canonical"])]
    site = desk.site
    data = {kind: desk.recall.payload(sha) for kind, sha in kinds if kind and sha}
    nodes = {kind: reread(site.kinds[kind], raw, row["frame"], row["charset"]) for kind, raw in data.items()}
    own = {kind: raw for kind, raw in data.items() if site.kinds[kind].rule.format != "edifact"}
    keys = tuple((name, str(value)) for name, value in row["keys"].items())
    name = ""
    if row["case"] and not row["interchange"]:
        case = desk.recall.one(t.case, ("id",), row["case"])
        name = _first_name(desk.recall, standing(desk.recall, case)) if case else ""
    return delivery.Source(row["id"], nodes, own, row["sender"], keys, order_key, name)


def _nodes(desk: Desk, messages: dict[str, str]) -> dict[str, Any]:
    """The case's newest messages, read again from their bytes."""
    nodes: dict[str, Any] = {}
    for kind, id in messages.items():
        row = desk.recall.one(t.message, ("id",), id)
        if row is not None:
            sha = row["canonical"] if row["canonical_kind"] == kind else row["payload"]
            nodes[kind] = reread(desk.site.kinds[kind], desk.recall.payload(sha), row["frame"], row["charset"])
    return nodes


def _make(desk: Desk, outcome: Outcome, case: Any, kind: str, id: str, messages: dict[str, str]) -> None:
    """The case makes a document from its messages; it is routed like any other."""
    site, now = desk.site, desk.now
    usage = site.kinds[kind]
    node: Any = None
    try:
        nodes = _nodes(desk, messages)
        found = site.mapping_into(kind, set(nodes))
        findings = [Finding("routing.no_mapping", found=", ".join(nodes), expected=kind)]
    except Gone as gone:
        found, findings = None, [gone.finding()]
    if found is not None:
        sources = {alias: nodes[name] for alias, name in found[1].sources.items()}
        node, findings = found[1].apply(sources, site.context(now, case=case["id"]))
    data = b""
    if node is not None and not rejects(findings):
        data, wrong = usage.write(node)
        findings = [*findings, *wrong]
    bad = node is None or rejects(findings)
    keys = {} if bad else {name: usage.value(node, path) for name, path in usage.rule.keys.items()}
    older, unmade = _older(desk.recall, case["id"], kind)
    why = "; ".join(f"{f.code} {f.found} {f.expected}" for f in findings)[:500]
    payload = outcome.keep(data)
    outcome.add(
        "message",
        id=id,
        kind=kind,
        keys=keys,
        document=case["id"],
        function="amendment" if older else "original",
        payload=payload,
        state=MessageState.HELD if bad else MessageState.ROUTED,
        reason=why,
        supersedes=older,
        **_of_case(case, now),
    )
    bound = {"sha256": payload, "mapping": found[1].sha256 if found else ""}
    outcome.event(id, "held" if bad else "made", kind=kind, case=case["id"], **bound)
    if bad:
        outcome.wait("message", id, "case.not_made", desk.look_by, why)
        return
    for version in unmade:  # what it waited for has come: this one is newer and could be made
        outcome.move("message", version, (MessageState.HELD,), state=MessageState.CANCELLED, superseded_by=id)
    if older:
        outcome.move("message", older, (), given={"superseded_by": ""}, superseded_by=id)
        outcome.event(older, "superseded", by=id)
    source = delivery.Source(id, {kind: node}, {kind: data}, case["sender"], tuple(keys.items()), case["id"], "")
    for leg in routing.plan(site, [kind], case["sender"], False, routing.holders(desk.recall, older)):
        delivery.prepare(desk, outcome, source, leg)


def _of_case(case: Any, now: datetime) -> dict[str, Any]:
    """The columns that every message of a case's own making shares."""
    return {
        "interchange": "",
        "system": case["system"],
        "sender": case["sender"],
        "reference": case["id"],
        "canonical_kind": "",
        "canonical": "",
        "case": case["id"],
        "at": now,
    }


def _older(recall: Recall, case: str, kind: str) -> tuple[str, list[str]]:
    """The version of `kind` in force that the case made before, or "", and those that it could not make."""
    rows = [row for row in recall.rows(t.message, ("case",), case) if row["kind"] == kind and not row["interchange"]]
    unmade = [str(row["id"]) for row in rows if row["state"] == MessageState.HELD]
    in_force = (row for row in rows if not row["superseded_by"] and row["state"] in IN_FORCE)
    return next((str(row["id"]) for row in in_force), ""), unmade


def _send(desk: Desk, outcome: Outcome, case: Any, send: Any, id: str, record: Any, standing: Standing) -> None:
    """A finished stage tells somebody, usually the sender."""
    payload = outcome.keep(etree.tostring(record, encoding="UTF-8", xml_declaration=True))
    party = case["sender"] if send.to == "sender" else send.to
    outcome.add(
        "message",
        id=f"{id}S",
        kind="case-record",
        keys={},
        document="",
        function="original",
        payload=payload,
        state=MessageState.ROUTED,
        **_of_case(case, desk.now),
    )
    outcome.event(f"{id}S", "made", kind="case-record", case=case["id"], sha256=payload)
    name, nodes = _first_name(desk.recall, standing), {"case-record": record}
    source = delivery.Source(f"{id}S", nodes, {}, case["sender"], (), case["id"] + "/reply", name)
    delivery.prepare(desk, outcome, source, Leg(party, send.kind, None))


def _first_name(recall: Recall, standing: Standing) -> str:
    """The name of the file that opened the case: answers are named after it."""
    for id in standing.messages.values():
        row = recall.one(t.interchange, ("id",), id.rsplit(".", 1)[0])
        if row is not None:
            return str(row["name"])
    return ""


CASE = "urn:eport:case:1"


def case_record(desk: Desk, case: Any, stage: str, standing: Standing) -> Any:
    """The case as a document (schemas/case-record.xsd): what the messages of a finished stage are mapped from."""
    spaces: Any = {None: CASE}
    root = etree.Element(f"{{{CASE}}}CaseRecord", nsmap=spaces)

    def put(parent: Any, tag: str, value: str, **attributes: str) -> Any:
        node = etree.SubElement(parent, f"{{{CASE}}}{tag}", attributes)
        node.text = value
        return node

    now, recall = desk.now, desk.recall
    rule = desk.site.systems[case["system"]].case
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
            receipt = recall.one(t.receipt, ("message",), message)
            asked = recall.one(t.message, ("id",), message)
            put(answer, "Party", party)
            put(answer, "Kind", asked["kind"] if asked else "")
            put(answer, "Verdict", said)
            put(answer, "At", (receipt["at"] if receipt else now).isoformat(timespec="seconds"))
            if receipt and receipt["number"]:
                put(answer, "Number", receipt["number"])
            for code, words, *where in receipt["reasons"] if receipt else []:
                reason = etree.SubElement(answer, f"{{{CASE}}}Reason")
                put(reason, "Code", code)
                put(reason, "Text", words)
                for tag, said in zip(("Path", "Place"), where, strict=False):
                    put(reason, tag, said)
    return root
