"""What is under way and what waits: how much, since when, for whom."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta

from sqlalchemy import func, select

from hub import figures
from hub.doctor.line import Line, Patient, Verdict, graded, span, worst
from hub.journal import tables as t
from hub.message import EndpointState, InterchangeState

OPENING = timedelta(minutes=1), timedelta(minutes=10)
UNSERVED = timedelta(minutes=15), timedelta(hours=4)
DOUBT = timedelta(0), timedelta(hours=4)
BROKEN = timedelta(0), timedelta(minutes=5)
"""Above these times somebody should look; above the second of each it is bad."""
HELD = "eport held"


def unopened(p: Patient) -> Line:
    i = t.interchange
    query = select(func.count().label("n"), func.min(i.c.received_at).label("oldest"))
    [row] = p.journal.rows(query.where(i.c.state == InterchangeState.RECEIVED))
    if not row["n"]:
        return Line("unopened", "ok", "0")
    age = p.age(row["oldest"])
    verdict = graded(age, *OPENING)
    return Line("unopened", verdict, f"{row['n']} · {span(age)}", "" if verdict == "ok" else "eport run worker")


def undelivered(p: Patient) -> Line:
    """Deliveries that no endpoint has taken, by state, with the age of the oldest."""
    oldest: dict[str, datetime] = {}
    number: Counter[str] = Counter()
    for row in figures.unserved(p.journal):
        state = row["state"]
        number[state] += row["n"]
        oldest[state] = min(row["oldest"], oldest.get(state, row["oldest"]))
    shown = " · ".join(f"{state} {number[state]} ({span(p.age(oldest[state]))})" for state in sorted(number))
    verdict = worst(graded(p.age(at), *UNSERVED) for at in oldest.values())
    return Line("undelivered", verdict, shown or "0", "" if verdict == "ok" else "eport status")


def doubt(p: Patient) -> Line:
    number, since = figures.in_doubt(p.journal)
    if not number:
        return Line("in_doubt", "ok", "0")
    age = p.age(since) if since else timedelta(0)
    return Line("in_doubt", "bad" if age > DOUBT[1] else "look", f"{number} · {span(age)}", HELD)


def poison(p: Patient) -> Line:
    w = t.waiting
    subjects = [row["subject"] for row in p.journal.rows(select(w.c.subject).where(w.c.code == "opening.poison"))]
    if not subjects:
        return Line("poison", "ok", "0")
    return Line("poison", "bad", " ".join(subjects[:5]), f"eport trace {subjects[0]}")


def waiting(p: Patient) -> Line:
    """The list of what waits, by owner; what nobody has looked at in time."""
    owners: Counter[str] = Counter()
    late = 0
    for row in figures.waiting(p.journal):
        owners[row["owner"]] += row["n"]
        late += row["n"] if row["overdue"] else 0
    shown = " · ".join(f"{owner} {number}" for owner, number in owners.most_common())
    shown += f" · unattended {late}" if late else ""
    return Line("waiting", "look" if late else "ok", shown or "0", HELD if late else "")


def late(p: Patient) -> Line:
    """Answers and stages that were promised by now."""
    codes: Counter[str] = Counter()
    for row in figures.waiting(p.journal):
        if row["code"].endswith(".overdue"):
            codes[row["code"]] += row["n"]
    shown = " · ".join(f"{code} {number}" for code, number in sorted(codes.items()))
    return Line("late", "look" if codes else "ok", shown or "0", HELD if codes else "")


def endpoints(p: Patient) -> Line:
    """A broken one is tried now and then; a held one gets nothing until a person decides."""
    e = t.endpoint
    shown: dict[Verdict, list[str]] = defaultdict(list)
    first = ""
    for row in p.journal.rows(select(e).where(e.c.state != EndpointState.OPEN).order_by(e.c.since)):
        age = p.age(row["since"])
        shown[graded(age, *BROKEN)].append(f"{row['id']} {row['state']} {span(age)}")
        first = first or row["id"]
    if not shown:
        return Line("endpoints", "ok", "0")
    return Line("endpoints", worst(shown), " · ".join(one for some in shown.values() for one in some), HELD)
