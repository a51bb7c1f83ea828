"""Sealing: what has happened since the last seal becomes one tree, whose head the hub signs. Then the heads get the
time of an authority (RFC 3161), where one is configured.

Only whoever holds the lock `clock` does this, so heads follow one another without a fork. A head stands for all before
it, therefore only the newest one is stamped: after five hours without the authority one request is enough. Nothing
waits for it but the gate, once the oldest event that no stamp covers is older than was agreed (`stopped`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from sqlalchemy import bindparam, func, select

from hub.errors import IdentityError, Stale, Unreachable
from hub.evidence import canonical, merkle, stamp
from hub.evidence.head import Head, digest
from hub.finding import Finding
from hub.identity import cms
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.statements import Question, Row
from hub.site.model import Stamping
from hub.site.site import Site

MOST = 10_000
"""Events under one head: what is read and hashed at once."""
_e = t.event
UNSEALED = Question(
    select(_e)
    .where(_e.c.seq > bindparam("last"), _e.c.seq <= bindparam("horizon"))
    .order_by(_e.c.seq)
    .limit(bindparam("most"))
)
AGAIN = timedelta(seconds=30)
"""Between two questions to an authority that does not answer."""
EVER = datetime.min.replace(tzinfo=UTC)


def tick(site: Site, journal: Journal, now: datetime) -> int:
    """One round of the clock: seal what is due. How many events. A certificate that cannot sign stops no clock; that
    nothing is sealed is on the list of what waits."""
    try:
        if site.signer is None or not due(site, journal, now):
            return 0
        sealed = seal(site, journal, now)
    except Stale:
        return 0  # writers were not done in time: the next round
    except IdentityError as fault:
        _tell(journal, "seal", "evidence.unsealed", str(fault), now + site.routes.attention, now)
        return 0
    _rest(journal, "seal", now)
    return sealed


def due(site: Site, journal: Journal, now: datetime) -> bool:
    """True when events wait that are as many, or as old, as was agreed."""
    rule, e = site.routes.evidence, t.event
    last = sealed_up_to(journal)
    oldest = journal.row(select(e.c.at).where(e.c.seq > last).order_by(e.c.seq).limit(1))
    if oldest is None:
        return False
    newest = journal.rows(select(func.max(e.c.seq).label("seq")))[0]["seq"]
    return bool(now - oldest["at"] >= rule.every or newest - last >= rule.events)


def sealed_up_to(journal: Journal) -> int:
    """The number of the last event that is under a head."""
    newest = journal.rows(select(func.max(t.seal.c.last).label("last")))
    return int(newest[0]["last"] or 0)


def seal(site: Site, journal: Journal, now: datetime) -> int:
    """Seal everything that has happened. How many events.

    Raises Stale when writers of events do not come to an end in time, or somebody else has sealed; IdentityError when
    the hub's certificate cannot sign at `now`."""
    horizon = journal.horizon()
    before = journal.row(select(t.seal).order_by(t.seal.c.number.desc()).limit(1))
    sealed = 0
    while True:
        last = before["last"] if before else 0
        events = journal.ask(UNSEALED, last=last, horizon=horizon, most=MOST)
        if not events:
            return sealed
        row = _sealed(site, events, before, now)
        outcome = Outcome()
        outcome.add("seal", **row)
        journal.commit([outcome], now)
        before, sealed = row, sealed + len(events)


def _sealed(site: Site, events: Sequence[Row], before: Row | dict[str, Any] | None, now: datetime) -> dict[str, Any]:
    """The row of the seal over `events`, behind the seal `before`."""
    if site.signer is None:
        raise IdentityError("the hub has no certificate")
    leaves = [merkle.leaf(canonical.event(row)) for row in events]
    head = Head(
        port=site.routes.port,
        number=before["number"] + 1 if before else 1,
        first=events[0]["seq"],
        last=events[-1]["seq"],
        count=len(events),
        root=merkle.root(leaves).hex(),
        previous=digest(before["head"]) if before else "",
        at=now,
    )
    data = head.encode()
    return {
        "number": head.number,
        "first": head.first,
        "last": head.last,
        "head": data,
        "signature": cms.sign(data, site.signer, now),
        "leaves": b"".join(leaves),
        "at": now,
    }


# ---- stamps


@dataclass(slots=True)
class Stamper:
    """One authority. `ask` sends it a request and gives its answer, or raises Unreachable."""

    rule: Stamping
    roots: tuple[x509.Certificate, ...]
    ask: Callable[[str, bytes], bytes]
    next_at: datetime = EVER

    def tick(self, journal: Journal, now: datetime) -> int:
        """Have the newest head stamped, if it is not. How many stamps. No transaction is open while the authority is
        asked; while it cannot be had, that is on the list of what waits."""
        s = t.seal
        newest = journal.row(select(s.c.number, s.c.head).order_by(s.c.number.desc()).limit(1))
        if newest is None or now < self.next_at or newest["number"] <= stamped_up_to(journal):
            return 0
        nonce = secrets.randbits(64)
        try:
            response = self.ask(self.rule.url, stamp.request(newest["head"], nonce))
        except Unreachable as fault:
            self._missing(journal, str(fault), now)
            return 0
        stamped = stamp.verify(newest["head"], response, self.roots, nonce)
        if stamped.findings:
            self._missing(journal, _words(stamped.findings), now)
            return 0
        outcome = Outcome()
        outcome.add("stamp", number=newest["number"], response=response, at=stamped.at)
        journal.commit([outcome], now)
        _rest(journal, "stamp", now)
        return 1

    def _missing(self, journal: Journal, why: str, now: datetime) -> None:
        self.next_at = now + AGAIN
        due_at = (unproved_since(journal) or now) + self.rule.stop_after
        code = "evidence.stopped" if now >= due_at else "evidence.unstamped"
        _tell(journal, "stamp", code, why, due_at, now)


def stamped_up_to(journal: Journal) -> int:
    """The number of the newest stamped head: it stands for all before it."""
    newest = journal.rows(select(func.max(t.stamp.c.number).label("number")))
    return int(newest[0]["number"] or 0)


def unproved_since(journal: Journal) -> datetime | None:
    """Since when there is a head that no stamp covers, or an event without a head; None where there is neither."""
    s, e = t.seal, t.event
    head = journal.row(select(s.c.at).where(s.c.number > stamped_up_to(journal)).order_by(s.c.number).limit(1))
    if head is None:
        head = journal.row(select(e.c.at).where(e.c.seq > sealed_up_to(journal)).order_by(e.c.seq).limit(1))
    return head["at"] if head else None


def stopped(site: Site, journal: Journal, now: datetime) -> bool:
    """True when the port takes nothing in: stamps have been missing for longer than was agreed."""
    rule = site.routes.evidence.stamp
    since = unproved_since(journal) if rule else None
    return bool(rule and since and now - since >= rule.stop_after)


# ---- the list of what waits


def _words(findings: Sequence[Finding]) -> str:
    return "; ".join(f"{finding.code} {finding.found}".strip() for finding in findings)


def _tell(journal: Journal, subject: str, code: str, why: str, due_at: datetime, now: datetime) -> None:
    """Put it on the list, and say so once."""
    if _waits(journal, subject) == code:
        return
    outcome = Outcome()
    outcome.wait("seal", subject, code, due_at, why)
    outcome.event(subject, code.rpartition(".")[2], why=why)
    with suppress(Stale):
        journal.commit([outcome], now)


def _rest(journal: Journal, subject: str, now: datetime) -> None:
    """Take it off the list."""
    if _waits(journal, subject):
        outcome = Outcome()
        outcome.rest(subject)
        outcome.event(subject, "goes on")
        with suppress(Stale):
            journal.commit([outcome], now)


def _waits(journal: Journal, subject: str) -> str:
    row = journal.row(select(t.waiting.c.code).where(t.waiting.c.subject == subject))
    return row["code"] if row else ""
