"""What others believe us by: certificates that last, events that are sealed."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from hub import figures
from hub.doctor.line import Line, Patient, Verdict, graded, span, worst
from hub.engine.expiry import Expiry, expiries
from hub.evidence import seal
from hub.journal import tables as t
from hub.site.site import Site

SHOWN = 3
SEALED = timedelta(minutes=5), timedelta(hours=4)


def certificates(p: Patient, site: Site) -> Line:
    """The next to expire: of the hub, the parties, the CAs; and revocation lists that should have been renewed. To be
    looked at from the first time on at which somebody is told (`limits: {certificates: …}`), bad from the last."""
    found = expiries(site, p.folder)
    if not found:
        return Line("certificates", "bad", "-", "eport cert list")
    shown = " · ".join(f"{one.owner} {one.kind} {(one.until - p.now).days} d" for one in found[:SHOWN])
    judged = [(_judge(one, p), one) for one in found]
    verdict = worst(said for said, _ in judged)
    first = next(one for said, one in judged if said == verdict)
    todo = f"eport cert issue {first.owner}" if first.kind in ("hub", "party") else "eport cert list"
    return Line("certificates", verdict, shown, "" if verdict == "ok" else todo)


def _judge(one: Expiry, p: Patient) -> Verdict:
    left = (one.until - p.now).total_seconds() / 86400
    if one.kind == "crl":
        return "bad" if left < 0 else "ok"
    return graded(-left, -max(p.limits.certificates, default=0), -min(p.limits.certificates, default=0))


def seals(p: Patient) -> Line:
    """Events are sealed soon after they happen; where nothing has happened, nothing is to be sealed."""
    newest = figures.newest(p.journal, t.seal)
    e = t.event
    query = select(e.c.at).where(e.c.seq > seal.sealed_up_to(p.journal)).order_by(e.c.seq).limit(1)
    waits = p.journal.row(query)
    verdict = graded(p.age(waits["at"]), *SEALED) if waits else "ok"
    shown = f"{newest['number']} · {span(p.age(newest['at']))}" if newest else "-"
    return Line("seals", verdict, shown, "" if verdict == "ok" else "eport held")


def stamps(p: Patient, site: Site) -> Line:
    """Where a time-stamp authority is declared: for how long it has been missing, against what was agreed."""
    rule = site.routes.evidence.stamp
    if rule is None:
        return Line("stamps", "ok", "-")
    newest = figures.newest(p.journal, t.stamp)
    since = seal.unproved_since(p.journal)
    verdict = graded(p.age(since), rule.stop_after / 2, rule.stop_after) if since else "ok"
    shown = f"{newest['number']} · {span(p.age(newest['at']))}" if newest else "-"
    return Line("stamps", verdict, shown, "" if verdict == "ok" else f"curl -I {rule.url}")
