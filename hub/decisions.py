"""What a person decides about something that waits. Each decision is one commit and one event with the person's name.

release   go on: what was held is taken up again by today's declarations; a stopped endpoint is opened
resend    hand the same bytes over again
cancel    it ends here
settle    two persons say what became of a delivery in doubt
hold      an endpoint gets nothing until it is released
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from hub import courier, delivery
from hub.documents import CONFLICT
from hub.errors import Impossible
from hub.fence import RESTORED
from hub.journal import keeping
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.statements import Row
from hub.message import DeliveryState, EndpointState, InterchangeState, MessageState, askable
from hub.site.site import Site

TABLES = {
    "delivery": t.delivery,
    "message": t.message,
    "interchange": t.interchange,
    "endpoint": t.endpoint,
    "port_case": t.case,
}

D = DeliveryState


def find(journal: Journal, id: str) -> tuple[str, Row]:
    """(table, row) of an id. Raises Impossible when there is none."""
    for name, table in TABLES.items() if askable(id) else ():
        row = journal.row(select(table).where(table.c.id == id))
        if row is not None:
            return name, row
    raise Impossible(f"{id}: no delivery, message, interchange, endpoint or case has this id")


def release(site: Site, journal: Journal, id: str, by: str, why: str, now: datetime) -> str:
    """Let it go on; the state that it enters. Raises Impossible where nothing is held."""
    table, row = find(journal, id)
    values: dict[str, Any]
    match table, row["state"]:
        case "message", MessageState.HELD if row["interchange"] and not row["reason"].startswith(CONFLICT):
            values = {"state": MessageState.RELEASED, "reason": "", "tries": 0}
        case "interchange", InterchangeState.QUARANTINED:
            values = {"state": InterchangeState.RECEIVED, "reason": "", "tries": 0, "holder": None}
        case "delivery", D.HELD if not row["reason"].startswith("delivery.gave_up"):
            values = {"state": D.RELEASED}
        case "delivery", D.HELD | D.DEAD:
            return resend(site, journal, id, by, why, now)
        case "port_case", state if _waits(journal, id, "opening.poison") or _waits(journal, id, RESTORED):
            values = {"state": state, "ripe": True, "tries": 0}
        case "endpoint", EndpointState.HELD | EndpointState.BROKEN:
            values = {"state": EndpointState.OPEN, "failures": 0, "reason": "", "next_at": None, "since": now}
        case _:
            raise Impossible(f"{id} is {row['state']}: there is nothing to release")
    return _decide(journal, table, row, values, "release", by, why, now)


def resend(site: Site, journal: Journal, id: str, by: str, why: str, now: datetime) -> str:
    """The same bytes once more. Raises Impossible for what was answered, is under way, or was never made."""
    table, row = find(journal, id)
    of = journal.row(select(t.message.c.superseded_by).where(t.message.c.id == row.get("message", "")))
    if of is not None and of["superseded_by"]:
        raise Impossible(
            f"{id} is of a version that {of['superseded_by']} has superseded: the old must not follow the new"
        )
    if table != "delivery" or not may_resend(row):
        raise Impossible(f"{id} is {row['state']}: only a made delivery without an answer can be sent again")
    gone = keeping.removed(journal, [row["payload"], row["signature"]])
    if gone:
        raise Impossible(f"{id}: its bytes were kept until {min(gone.values()):%Y-%m-%d}, as agreed")
    give_up = now + site.routes.endpoints[row["endpoint"]].retry.give_up
    clock = {"give_up_at": give_up, "due_at": delivery.due_again(site, row, now), "overdue": False}
    values = {"state": D.PENDING, "next_at": now, "reason": "", **clock}
    return _decide(journal, table, row, values, "resend", by, why, now, _used_anew(journal, row, now))


def _used_anew(journal: Journal, row: Row, now: datetime) -> Outcome:
    """The bytes of a delivery and all that it came from are needed again, whatever time was agreed for keeping them."""
    outcome = Outcome()
    outcome.use(row["payload"], row["signature"])
    i, m = t.interchange, t.message
    case = select(m.c.case).where(m.c.id == row["message"], m.c.case != "")
    mine = select(m.c.interchange).where(or_(m.c.id == row["message"], m.c.case.in_(case)))
    for came in journal.rows(select(i.c.id).where(or_(i.c.id == row["message"], i.c.id.in_(mine)))):
        outcome.move("interchange", came["id"], (), look_at=now)
    return outcome


def may_resend(row: Mapping[Any, Any]) -> bool:
    """True for a delivery that was made, is not under way and has no verdict."""
    if row["state"] == D.HELD:
        return bool(row["reason"].startswith("delivery.gave_up"))
    return row["state"] in (D.DEAD, D.FAILED, D.SENT, D.RECEIPTED)


def cancel(journal: Journal, id: str, by: str, why: str, now: datetime) -> str:
    """End it here. Raises Impossible for what is under way or was handed over."""
    table, row = find(journal, id)
    open_deliveries = (D.PENDING, D.FAILED, D.HELD, D.DEAD)
    values: dict[str, Any]
    match table, row["state"]:
        case "message", MessageState.HELD:
            values = {"state": MessageState.CANCELLED}
        case "message", MessageState.DONE if _waits(journal, id):
            values = {"state": MessageState.DONE}  # an orphan or a contradiction that was cleared up
        case "interchange", InterchangeState.QUARANTINED | InterchangeState.CONFLICT:
            values = {"state": InterchangeState.REJECTED}
        case "delivery", state if state in open_deliveries:
            values = {"state": D.CANCELLED}
        case _:
            raise Impossible(f"{id} is {row['state']}: it cannot be cancelled")
    return _decide(journal, table, row, values, "cancel", by, why, now)


def settle(journal: Journal, id: str, done: bool, by: str, and_by: str, why: str, now: datetime) -> str:
    """Two persons know what became of a delivery in doubt. Raises Impossible where there is no doubt, or one person."""
    table, row = find(journal, id)
    if table != "delivery" or row["state"] != D.IN_DOUBT:
        raise Impossible(f"{id} is {row['state']}: there is no doubt to settle")
    if by.strip().lower() == and_by.strip().lower() or not by.strip() or not and_by.strip():
        raise Impossible("two different persons have to say it")
    values: dict[str, Any] = {"state": D.SENT, "sent_at": now}
    if not done:  # the doubt took from the time in which it may be tried
        values = {"state": D.PENDING, "next_at": now, "give_up_at": now + (row["give_up_at"] - row["at"])}
    return _decide(journal, table, row, values, "settle", f"{by}, {and_by}", why, now)


def hold(site: Site, journal: Journal, endpoint: str, by: str, why: str, now: datetime) -> str:
    """Stop an endpoint. Raises Impossible when the site has none of this name."""
    if endpoint not in site.routes.endpoints:
        raise Impossible(f"{endpoint}: the site has no such endpoint")
    _named(by)
    standing = journal.standing(endpoint)
    outcome = Outcome()
    courier.enter(outcome, standing, endpoint, EndpointState.HELD, why, 0, None, now)
    outcome.event(endpoint, "decision", decision="hold", by=by, why=why)
    outcome.wait("endpoint", endpoint, "endpoint.stopped", now + site.routes.attention, f"{by}: {why}")
    journal.commit([outcome], now)
    return EndpointState.HELD


def _waits(journal: Journal, id: str, code: str = "") -> bool:
    row = journal.row(select(t.waiting.c.code).where(t.waiting.c.subject == id))
    return row is not None and code in ("", row["code"])


def _named(by: str) -> None:
    if not by.strip():
        raise Impossible("a decision needs the name of who decides")


def _decide(
    journal: Journal,
    table: str,
    row: Row,
    values: dict[str, Any],
    what: str,
    by: str,
    why: str,
    now: datetime,
    outcome: Outcome | None = None,
) -> str:
    """Raises Impossible without a name, Stale when the row has moved on meanwhile."""
    _named(by)
    outcome = outcome or Outcome()
    outcome.move(table, row["id"], (row["state"],), **values)
    outcome.event(row["id"], "decision", decision=what, by=by, why=why)
    journal.commit([outcome], now)
    return str(values["state"])
