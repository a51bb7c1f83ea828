"""The table of checks, and how a hub is examined even when parts of it cannot be looked at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from hub.doctor import database, ground, invariants, trust, work
from hub.doctor.line import Line, Patient
from hub.engine import identity
from hub.errors import DeclarationError, EportError, IdentityError
from hub.journal.journal import Journal
from hub.site.load import load
from hub.site.model import Limits
from hub.site.site import Site

Check = Callable[[Patient], Line]
OF_MACHINE: dict[str, Check] = {
    "release": ground.release,
    "libraries": ground.libraries,
    "disk": ground.disk,
    "fsync": ground.syncing,
    "backup": ground.backup,
}
OF_SITE: dict[str, Callable[[Patient, Site], Line]] = {
    "certificates": trust.certificates,
    "stamps": trust.stamps,
}
OF_JOURNAL: dict[str, Check] = {
    "processes": ground.processes,
    "database": database.durability,
    "schema": database.schema,
    "clocks": database.clocks,
    "unopened": work.unopened,
    "undelivered": work.undelivered,
    "in_doubt": work.doubt,
    "poison": work.poison,
    "endpoints": work.endpoints,
    "late": work.late,
    "waiting": work.waiting,
    "seals": trust.seals,
    "conservation": invariants.conservation,
    "bytes": invariants.stored_bytes,
    "acceptance": invariants.acceptance,
    "receipts": invariants.receipts,
    "history": invariants.history,
    "waits": invariants.waits,
}
OTHERS = ("declarations", "identity")
"""Lines that come of making the site ready."""


def examine(folder: Path, now: datetime) -> list[Line]:
    """All lines of the page. What cannot be looked at is bad, and says why."""
    site, lines = _declared(folder)
    journal = Journal(folder / "spool", "doctor")
    patient = Patient(folder, journal, now, site.routes.limits if site is not None else Limits())
    try:
        lines += [_look(name, check, patient) for name, check in OF_MACHINE.items()]
        if site is not None and site.signer is not None:
            lines += [_look(name, check, patient, site) for name, check in OF_SITE.items()]
        try:
            journal.backlog()
        except DBAPIError as fault:
            return [*lines, Line("database", "bad", str(fault.orig), "eport status")]
        return lines + [_look(name, check, patient) for name, check in OF_JOURNAL.items()]
    finally:
        journal.close()


def _declared(folder: Path) -> tuple[Site | None, list[Line]]:
    """The site, as far as it can be had, and what is to be said of it."""
    try:
        site = load(folder)
    except DeclarationError as fault:
        return None, [Line("declarations", "bad", str(fault), "eport check")]
    good = Line("declarations", "ok", site.fingerprint[:12])
    if site.warnings:
        good = Line("declarations", "look", f"{site.fingerprint[:12]} · {len(site.warnings)}", "eport check")
    try:
        site = identity.ready(site, folder)
    except IdentityError as fault:
        return site, [good, Line("identity", "bad", str(fault), "eport cert list")]
    return site, [good]


def _look(name: str, check: Callable[..., Line], patient: Patient, *more: Site) -> Line:
    try:
        return check(patient, *more)
    except DBAPIError as fault:
        return Line(name, "bad", str(fault.orig), "eport status")
    except (OSError, EportError) as fault:
        return Line(name, "bad", str(fault), f"ls -la {patient.folder / 'spool'}")
