"""What the hub watches over itself: conditions that are no row of anything else stand in the list of what waits, so
`eport held` shows them and alarms come from one source. One whose words change (60 days, then 30) enters anew.

    disk                 less free where spool/ is than agreed: the gate takes nothing in as long as this lasts
    unopened             the oldest arrival has waited for longer than agreed to be opened
    certificate/SERIAL   the hub's own, its CAs', and the newest registered or issued one of each party end soon
    clock                the kernel says that nobody keeps this machine's clock, or that it is off by more than agreed
"""

from __future__ import annotations

import ctypes
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from sqlalchemy import func, select

from hub.errors import IdentityError, Stale
from hub.identity.ca import Authority
from hub.identity.keys import describe
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.message import InterchangeState
from hub.site.model import Limits, Room
from hub.site.site import Site

KIND = "condition"
"""What such a row of the list is."""
_UNSYNCHRONISED = 0x40
"""STA_UNSYNC of adjtimex(2)."""
_STEPS = {"unopened": "port.unopened_old", "clock": "port.clock_off", "disk": "port.disk_low"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is not as it should be now. `detail` says how bad, in steps, not in what changes every minute."""

    subject: str
    detail: str

    @property
    def code(self) -> str:
        return _STEPS.get(self.subject, "port.certificate_expires")


def watch(site: Site, journal: Journal, spool: Path, now: datetime) -> int:
    """File what has become so, let rest what no longer is. How many of both."""
    found = {one.subject: one for one in conditions(site, journal, spool, now)}
    w = t.waiting
    there = {row["subject"]: row["detail"] for row in journal.rows(select(w).where(w.c.what == KIND))}
    outcome = Outcome()
    for subject, detail in there.items():
        if subject not in found or found[subject].detail != detail:
            outcome.rest(subject)
    for subject, one in found.items():
        if there.get(subject) != one.detail:
            outcome.wait(KIND, subject, one.code, now + site.routes.attention, one.detail)
    try:
        journal.commit([outcome], now)
    except Stale:
        return 0
    return len(outcome.changes)


def conditions(site: Site, journal: Journal, spool: Path, now: datetime) -> Iterator[Condition]:
    """All that is not as it should be now."""
    limits = site.routes.limits
    if not room(spool, limits.disk):
        yield Condition("disk", words(limits.disk))
    i = t.interchange
    oldest = select(func.min(i.c.received_at).label("at")).where(i.c.state == InterchangeState.RECEIVED)
    came = journal.rows(oldest)[0]["at"]
    if came is not None and now - came > limits.unopened:
        yield Condition("unopened", f"{int(limits.unopened.total_seconds())} s")
    yield from _certificates(site, spool, now)
    off = clock(limits)
    if off:
        yield Condition("clock", off)


def room(folder: Path, least: Room) -> bool:
    """True when the disk under `folder` has as much free as it should."""
    disk = shutil.disk_usage(folder)
    return disk.free >= least.of(disk.total)


def words(least: Room) -> str:
    """As it is declared."""
    return f"{least.percent}%" if least.percent else f"{least.bytes // 10**6} MB"


def _certificates(site: Site, spool: Path, now: datetime) -> Iterator[Condition]:
    for certificate in _newest(site, spool):
        end = certificate.not_valid_after_utc
        left = (end - now).total_seconds() / 86400
        step = min((days for days in site.routes.limits.certificates if left <= days), default=None)
        if step is not None:
            when = "has ended" if left <= 0 else f"within {step} days"
            detail = f"{describe(certificate)}, {end:%Y-%m-%d}, {when}"
            yield Condition(f"certificate/{certificate.serial_number:x}", detail)


def _newest(site: Site, spool: Path) -> list[x509.Certificate]:
    """Certificates that somebody has to replace in time; not those that have a successor, nor the revoked."""
    register, groups = site.register, [[root] for root in site.register.roots]
    groups += [list(pinned) for pinned in register.registered.values()]
    groups += [[site.signer.certificate]] if site.signer else []
    if not site.routes.identity.roots:
        groups += _issued(Authority(spool / "keys"))
    newest = [max(group, key=lambda one: one.not_valid_after_utc) for group in groups if group]
    return list({one.serial_number: one for one in newest}.values())


def _issued(authority: Authority) -> list[list[x509.Certificate]]:
    """What the port's own CA has issued to each party and not revoked."""
    try:
        return list(authority.good().values())
    except IdentityError:  # a hub with a key of its own needs no CA
        return []


class _Timex(ctypes.Structure):
    """struct timex of Linux, as far as it is read; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("most", ctypes.c_long),  # maxerror, microseconds
        ("estimated", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_long * 40),
    )


def clock(limits: Limits) -> str:
    """Why this machine's clock is not to be trusted, or "". Nobody is asked where no limit is declared."""
    if limits.clock is None or not sys.platform.startswith("linux"):
        return ""
    said = _Timex()
    ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(said))
    return judged(said.status, said.most, limits)


def judged(status: int, most: int, limits: Limits) -> str:
    """What adjtimex(2) told, in words: `status` bits, `most` microseconds of possible error."""
    if limits.clock is None:
        return ""
    if status & _UNSYNCHRONISED:
        return "nobody keeps it"
    return f"off by more than {limits.clock.total_seconds():g} s" if most > limits.clock.total_seconds() * 1e6 else ""
