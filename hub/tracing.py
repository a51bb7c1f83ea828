"""What the journal knows about one reference, and what waits: everything that a person asks, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from hub import figures
from hub.journal import keeping
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.message import askable, pieces_of, whole_of

Row = dict[str, Any]


def trace(journal: Journal, ref: str) -> Row:
    """The whole story of `ref`: an id, a file name, a control or business reference, a document or a case.

    {"interchanges", "messages" (each with "deliveries", each with "receipts"), "cases", "versions", "waiting",
    "events"}, every list in order of time, all empty when nothing is known. Interchanges, messages and deliveries say
    when their bytes were taken away ("removed_at", None while they are there)."""
    if not askable(ref):
        return {part: [] for part in ("interchanges", "messages", "cases", "versions", "waiting", "events")}
    interchanges = _with_pieces(journal, _interchanges(journal, ref))
    cases = _cases(journal, ref)
    messages = _messages(journal, ref, interchanges, cases)
    cases |= _by_id(journal, t.case, {row["case"] for row in messages.values() if row["case"]})
    messages |= _of_cases(journal, cases)
    interchanges |= _by_id(journal, t.interchange, {row["interchange"] for row in messages.values()})
    interchanges = _with_wholes(journal, interchanges)
    d, r = t.delivery, t.receipt
    owners = [*messages, *interchanges]
    deliveries = _plain(journal.rows(select(d).where(d.c.message.in_(owners)).order_by(d.c.seq)))
    receipts = _plain(journal.rows(select(r).where(r.c.delivery.in_([x["id"] for x in deliveries])).order_by(r.c.at)))
    for row in deliveries:
        row["receipts"] = [x for x in receipts if x["delivery"] == row["id"]]
    for id, row in (messages | interchanges).items():
        row["deliveries"] = [x for x in deliveries if x["message"] == id]
    _mark_removed(journal, [*interchanges.values(), *messages.values(), *deliveries])
    subjects = [*owners, *cases, *(row["id"] for row in deliveries)]
    told = journal.rows(select(t.alarm.c.id).where(t.alarm.c.subject.in_(subjects)))
    return {
        "interchanges": list(interchanges.values()),
        "messages": list(messages.values()),
        "cases": list(cases.values()),
        "versions": versions(journal, messages.values()),
        "waiting": _plain(journal.rows(select(t.waiting).where(t.waiting.c.subject.in_(subjects)))),
        "events": _events(journal, [*subjects, *(row["id"] for row in told)]),
    }


def _mark_removed(journal: Journal, rows: Iterable[Row]) -> None:
    """`removed_at` of each row: when its bytes were taken away, None while they are there."""
    rows = list(rows)
    columns = ("sha256", "payload")
    gone = keeping.removed(journal, [row[name] for row in rows for name in columns if name in row])
    for row in rows:
        at = next((gone[row[name]] for name in columns if row.get(name) in gone), None)
        row["removed_at"] = at.isoformat() if at else None


def alarms(journal: Journal, count: int) -> list[Row]:
    """The newest alarms: what each is about, whether it was told, and when it will be."""
    a = t.alarm
    return _plain(journal.rows(select(a).order_by(a.c.at.desc(), a.c.id).limit(count)))


def _by_id(journal: Journal, table: Any, ids: Iterable[str]) -> dict[str, Row]:
    return {row["id"]: row for row in _plain(journal.rows(select(table).where(table.c.id.in_(set(ids)))))}


def _interchanges(journal: Journal, ref: str) -> dict[str, Row]:
    i, e, d = t.interchange, t.envelope, t.delivery
    by_reference = select(e.c.interchange).where(e.c.reference.endswith(f"/{ref}", autoescape=True))
    by_reply = select(d.c.message).where(or_(d.c.id == ref, d.c.name == ref))
    where = (i.c.id == ref, i.c.name == ref, i.c.original == ref, i.c.id.in_(by_reference), i.c.id.in_(by_reply))
    query = select(i).where(or_(*where))
    return {row["id"]: row for row in _plain(journal.rows(query.order_by(i.c.id)))}


def _with_pieces(journal: Journal, found: dict[str, Row]) -> dict[str, Row]:
    """These interchanges and, of those that went apart, every piece."""
    fresh = found
    while ids := {id for row in fresh.values() for id in pieces_of(row)} - found.keys():
        fresh = _by_id(journal, t.interchange, ids)
        found = found | fresh
    return dict(sorted(found.items()))


def _with_wholes(journal: Journal, found: dict[str, Row]) -> dict[str, Row]:
    """These interchanges, and the files that they are pieces of."""
    while ids := {whole_of(id) for id in found} - found.keys() - {""}:
        found = found | _by_id(journal, t.interchange, ids)
    return dict(sorted(found.items()))


def _cases(journal: Journal, ref: str) -> dict[str, Row]:
    c = t.case
    found = journal.rows(select(c).where(or_(c.c.id == ref, c.c.id.endswith(f"/{ref}", autoescape=True))))
    return {row["id"]: row for row in _plain(found)}


def _messages(journal: Journal, ref: str, interchanges: Iterable[str], cases: Iterable[str]) -> dict[str, Row]:
    m, d, r = t.message, t.delivery, t.reference
    quoted = select(r.c.delivery).where(r.c.value == ref)
    asked = select(d.c.message).where(or_(d.c.id == ref, d.c.name == ref, d.c.id.in_(quoted)))
    wanted = or_(
        m.c.id == ref,
        m.c.document == ref,
        m.c.reference == ref,
        m.c.interchange.in_(list(interchanges)),
        m.c.case.in_(list(cases)),
        m.c.id.in_(asked),
    )
    return {row["id"]: row for row in _plain(journal.rows(select(m).where(wanted).order_by(m.c.at, m.c.id)))}


def _of_cases(journal: Journal, cases: Iterable[str]) -> dict[str, Row]:
    m = t.message
    query = select(m).where(m.c.case.in_(list(cases))).order_by(m.c.at, m.c.id)
    return {row["id"]: row for row in _plain(journal.rows(query))}


def versions(journal: Journal, messages: Iterable[Row]) -> list[Row]:
    """Who holds which version of the documents of `messages`.

    [{"document", "kind", "version" (message id), "at", "superseded_by" ("" for the one in force), "held_by"}]: a
    party holds the newest version that was handed over to it."""
    m, d = t.message, t.delivery
    result: list[Row] = []
    for sender, kind, document in dict.fromkeys(
        (row["sender"], row["kind"], row["document"]) for row in messages if row["document"]
    ):
        mine = (m.c.sender == sender, m.c.kind == kind, m.c.document == document)
        chain = _plain(journal.rows(select(m).where(*mine).order_by(m.c.at, m.c.id)))
        ids = [row["id"] for row in chain if row["state"] in ("routed", "done")]
        sent = journal.rows(select(d.c.message, d.c.party).where(d.c.message.in_(ids), d.c.sent_at.isnot(None)))
        holds: dict[str, str] = {}
        for row in sorted(sent, key=lambda row: ids.index(row["message"])):
            holds[row["party"]] = row["message"]
        result += [
            {
                "document": document,
                "kind": kind,
                "version": row["id"],
                "at": row["at"],
                "superseded_by": row["superseded_by"],
                "held_by": sorted(party for party, version in holds.items() if version == row["id"]),
            }
            for row in chain
            if row["id"] in ids
        ]
    return result


def _events(journal: Journal, subjects: Iterable[str]) -> list[Row]:
    e = t.event
    return _plain(journal.rows(select(e).where(e.c.subject.in_(list(subjects))).order_by(e.c.seq)))


def held(journal: Journal, owner: str = "") -> list[Row]:
    """The list of what waits: subject, what it is, why, for whom, since when, by when; the most urgent first."""
    w = t.waiting
    rows = _plain(journal.rows(select(w).order_by(w.c.due_at)))
    return [row for row in rows if not owner or owner in row["owner"].split(", ")]


def endpoints(journal: Journal) -> list[Row]:
    """Every endpoint that has something to do or went wrong: its state, what is queued there, the next try, why."""
    queued = figures.unserved(journal)
    known = {row["id"]: row for row in _plain(journal.rows(select(t.endpoint)))}
    result: dict[str, Row] = {}
    for name in sorted({row["endpoint"] for row in queued} | known.keys()):
        mine = {row["state"]: row for row in _plain(queued) if row["endpoint"] == name}
        own = known.get(name, {"state": "open", "reason": "", "since": None, "next_at": None})
        tries = [own["next_at"], *(mine[state]["next"] for state in ("pending", "failed") if state in mine)]
        result[name] = {
            "endpoint": name,
            "state": own["state"],
            "since": own["since"],
            "queued": {state: row["n"] for state, row in mine.items()},
            "oldest": min((row["oldest"] for row in mine.values()), default=None),
            "next_try": max((at for at in tries if at), default=None),
            "reason": own["reason"],
        }
    return list(result.values())


def _plain(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows as JSON takes them."""
    return [{name: _value(value) for name, value in row.items()} for row in rows]


def _value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
