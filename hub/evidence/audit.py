"""The journal against its own seals: every tree, chain and signature computed again, and the first bad record named.

What was changed behind the newest head that somebody outside keeps cannot be hidden: not an edit, not a whole database
put back to last week. Without such a head, a journal that was put back is whole in itself.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from cryptography import x509
from sqlalchemy import Table, func, select

from hub.errors import JournalError
from hub.evidence import canonical, merkle, stamp
from hub.evidence.head import FORMAT as HEAD_FORMAT
from hub.evidence.head import Head, digest, parse
from hub.finding import Finding, Place
from hub.identity import cms
from hub.identity.register import Register
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.journal.statements import Row

MOST = 20
"""Findings; behind the first ones of a damaged journal nothing new is said."""
PAGE = 100
"""Seals that are read at once."""
OUTSIDE = {"head": str, "signature": str}
"""One line of what `outside` writes."""


@dataclass(slots=True)
class Audit:
    """What was looked at, and what is wrong. `newest` is the head that stands for all of it."""

    findings: list[Finding] = field(default_factory=list)
    heads: int = 0
    events: int = 0
    stamps: int = 0
    unsealed: int = 0
    payloads: int = 0
    newest: Head | None = None


def audit(
    journal: Journal,
    port: str,
    register: Register,
    kept: Sequence[bytes] = (),
    stamp_roots: tuple[x509.Certificate, ...] = (),
    payloads: bool = False,
) -> Audit:
    """Every seal of the journal; `kept` are lines of `outside` that somebody has kept; with `payloads` every stored
    file is hashed as well."""
    result = Audit()
    found = _all(journal, port, register, kept, stamp_roots, payloads, result)
    result.findings = list(islice(found, MOST))
    return result


def outside(journal: Journal) -> Iterator[bytes]:
    """Every signed head as one line, for keeping somewhere else."""
    for row in _seals(journal):
        signature = base64.b64encode(row["signature"]).decode()
        yield canonical.dump({"head": row["head"].decode("utf-8", "replace"), "signature": signature})


def _all(
    journal: Journal,
    port: str,
    register: Register,
    kept: Sequence[bytes],
    stamp_roots: tuple[x509.Certificate, ...],
    payloads: bool,
    result: Audit,
) -> Iterator[Finding]:
    known: dict[int, str] = {}
    before: Row | None = None
    for row in _seals(journal):
        yield from _seal(row, before, port, register, result)
        yield from _tree(journal, row, before)
        known[row["number"]] = digest(row["head"])
        before = row
        result.heads += 1
        result.events += len(row["leaves"]) // 32
    for row in _pages(journal, t.stamp):
        yield from _stamp(journal, row, stamp_roots)
        result.stamps += 1
    e = t.event
    waiting = select(func.count().label("n")).where(e.c.seq > (before["last"] if before else 0))
    result.unsealed = journal.rows(waiting)[0]["n"]
    yield from _kept(kept, known, port, register)
    if payloads:
        yield from _payloads(journal, result)


def _seals(journal: Journal) -> Iterator[Row]:
    return _pages(journal, t.seal)


def _pages(journal: Journal, table: Table) -> Iterator[Row]:
    """All rows in the order of their number, never many at once."""
    rows: Sequence[Row] = [{"number": 0}]
    while rows:
        behind = table.c.number > rows[-1]["number"]
        rows = journal.rows(select(table).where(behind).order_by(table.c.number).limit(PAGE))
        yield from rows


def _no(code: str, path: str, found: str = "", expected: str = "") -> Finding:
    return Finding(code, Place(path=path), found, expected)


def _seal(row: Row, before: Row | None, port: str, register: Register, result: Audit) -> Iterator[Finding]:
    """The head is signed by the port, follows the one before, and says what its row says."""
    path = f"seal {row['number']}"
    number = before["number"] + 1 if before else 1
    if row["number"] != number:
        yield _no("evidence.seal_missing", f"seal {number}", f"{row['number']}", f"{number}")
    try:
        head = result.newest = parse(row["head"])
    except ValueError as fault:
        yield _no("evidence.head", path, str(fault)[:200], HEAD_FORMAT)
        return
    verified = cms.verify(row["head"], row["signature"], port, register, head.at)
    for finding in verified.findings:
        if finding.severity == "error":
            yield _no(finding.code, path, finding.found, finding.expected)
    said = (head.port, head.number, head.first, head.last, head.at)
    shown = (port, row["number"], row["first"], row["last"], row["at"])
    if said != shown:
        yield _no("evidence.seal_row", path, _words(shown), _words(said))
    previous = digest(before["head"]) if before and row["number"] == number else head.previous
    if head.previous != previous:
        yield _no("evidence.head_chain", path, head.previous, previous)
    if merkle.root([*_leaves(row)]).hex() != head.root or len(row["leaves"]) != 32 * head.count:
        yield _no("evidence.seal_leaves", path, merkle.root([*_leaves(row)]).hex(), head.root)


def _words(values: Sequence[Any]) -> str:
    return " ".join(canonical.time(value) if isinstance(value, datetime) else str(value) for value in values)


def _leaves(row: Row) -> Iterator[bytes]:
    return (row["leaves"][at : at + 32] for at in range(0, len(row["leaves"]), 32))


def _tree(journal: Journal, row: Row, before: Row | None) -> Iterator[Finding]:
    """The events behind the seal `before`, up to this one's last, are those that were sealed; else the first that is
    not."""
    e = t.event
    where = [e.c.seq <= row["last"], *([e.c.seq > before["last"]] if before else [])]
    sealed = list(_leaves(row))
    try:
        events = journal.rows(select(e).where(*where).order_by(e.c.seq))
    except ValueError as fault:  # a detail that is no JSON
        yield _no("evidence.event_changed", f"event of seal {row['number']}", str(fault)[:200])
        return
    for count, event in enumerate(events):
        found = _leaf(event)
        if count < len(sealed) and found == sealed[count]:
            continue
        path = f"event {event['seq']} ({event['subject']} {event['what']})"
        if found in sealed[count:]:
            yield _no("evidence.event_missing", f"event before {event['seq']}", f"seal {row['number']}")
        elif count < len(sealed) and sealed[count] not in (_leaf(later) for later in events[count + 1 :]):
            yield _no("evidence.event_changed", path, found.hex(), sealed[count].hex())
        else:
            yield _no("evidence.event_added", path, found.hex())
        return
    if len(events) < len(sealed):
        yield _no("evidence.event_missing", f"event {row['last']} or before", f"seal {row['number']}")


def _leaf(event: Row) -> bytes:
    """The hash of an event as it stands now; of one that no hub could have written, a hash that is none."""
    try:
        return merkle.leaf(canonical.event(event))
    except ValueError:
        return b""


def _stamp(journal: Journal, row: Row, roots: tuple[x509.Certificate, ...]) -> Iterator[Finding]:
    """The stamp is over the head of its seal."""
    sealed = journal.row(select(t.seal.c.head).where(t.seal.c.number == row["number"]))
    if sealed is None:
        yield _no("evidence.seal_missing", f"seal {row['number']}", expected="a stamp is over it")
        return
    for finding in stamp.verify(sealed["head"], row["response"], roots).findings:
        yield _no(finding.code, f"seal {row['number']} stamp", finding.found, finding.expected)


def _kept(kept: Sequence[bytes], known: dict[int, str], port: str, register: Register) -> Iterator[Finding]:
    """What somebody outside has kept is what the journal has."""
    for count, line in enumerate(kept, 1):
        path = f"heads:{count}"
        try:
            values = canonical.fields(canonical.load(line), OUTSIDE)
            data, signature = values["head"].encode(), base64.b64decode(values["signature"], validate=True)
            head = parse(data)
        except ValueError as fault:
            yield _no("evidence.head", path, str(fault)[:200], HEAD_FORMAT)
            continue
        verified = cms.verify(data, signature, port, register, head.at)
        wrong = next((finding for finding in verified.findings if finding.severity == "error"), None)
        if wrong:
            yield _no(wrong.code, path, wrong.found, wrong.expected)
        elif head.number not in known:
            yield _no("evidence.rolled_back", f"seal {head.number}", str(max(known, default=0)), str(head.number))
        elif known[head.number] != digest(data):
            yield _no("evidence.forked", f"seal {head.number}", known[head.number], digest(data))


def _payloads(journal: Journal, result: Audit) -> Iterator[Finding]:
    """Every stored file is the one that its name says."""
    p = t.payload
    for row in journal.rows(select(p.c.sha256).where(p.c.removed_at.is_(None)).order_by(p.c.sha256)):
        sha256 = row["sha256"]
        result.payloads += 1
        try:
            found = hashlib.sha256(journal.payload(sha256)).hexdigest()
        except JournalError as fault:
            found = str(fault)
        if found != sha256:
            yield _no("evidence.payload_changed", f"payload {sha256}", found)
