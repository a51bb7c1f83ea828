"""What a person should hear of a commit, said once: whatever has begun to wait for somebody, an endpoint that is open
again, what nobody has looked at in time. The code is that of the finding in the list of what waits."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from hub.catalogue import catalogue, describe
from hub.finding import Finding
from hub.journal.changes import Alarm, Change, Move, Wait
from hub.message import EndpointState, parted

log = logging.getLogger("eport")
log.addHandler(logging.NullHandler())  # a command that commits a decision says so itself
_OPEN = EndpointState.OPEN

OURS = ("hub", "operator", "integrator")
"""Where one of these has to act it is an error; where somebody else has to, a warning."""


def tell(changes: Iterable[Change], waits: Sequence[Wait]) -> None:
    """Log what was committed: `waits` are those that entered the list."""
    for wait in waits:
        entry = catalogue()["finding"][wait.code]
        ours = entry["severity"] == "error" and entry["acts"] in OURS
        what, remedy = describe(Finding(wait.code, found=wait.detail), "en")
        said = f"{wait.subject} waits for {wait.owner}: {what} -> {remedy}"
        about = fields(wait.what, wait.subject) | {"code": wait.code}
        log.log(logging.ERROR if ours else logging.WARNING, "%s", said, extra=about)
    for change in changes:
        if isinstance(change, Alarm):
            log.warning("nobody has looked at %s in time", change.subject)
        elif isinstance(change, Move) and change.table == "endpoint" and change.values.get("state") == _OPEN:
            log.info("endpoint %s is open again", change.id, extra={"endpoint": change.id})


def fields(what: str, id: str) -> dict[str, str]:
    """What a record about row `id` of table `what` names. The id of a message that came in begins with its
    interchange's, that of its delivery ends with the party (hub.message)."""
    if what in ("source", "door"):
        return {"endpoint": id.partition("/")[2]}
    interchange, message, party = parted(id)
    found = {what: id} if what in ("delivery", "interchange", "endpoint", "case") else {}
    if message and what in ("delivery", "message"):
        found |= {"interchange": interchange} | ({"party": party} if party else {})
    return found
