"""Step 5 for interchanges: is this envelope known, and what is remembered of it.

The reference is remembered for ever. The same reference with the same bytes gets the stored receipts again; with other
bytes it is a conflict. What was rejected may come again, corrected, under its reference. The parts of one large
interchange have none of their own: it was remembered when they were cut.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hub import replies
from hub.desk import Desk
from hub.finding import Finding
from hub.journal import tables as t
from hub.journal.changes import MINE, Outcome
from hub.journal.statements import Row
from hub.message import Interchange, InterchangeState, pieces_of
from hub.opening import Opened

KEY = ("party", "reference")


def close(
    desk: Desk,
    outcome: Outcome,
    ix: Interchange,
    state: InterchangeState,
    code: str = "",
    about: str = "",
    agreed: str = "",
) -> None:
    """The interchange is done with: the state that it enters, why, and what its sender's guide has decided."""
    reason, was = f"{code} {about}".strip(), (InterchangeState.RECEIVED,)
    original = about if state in (InterchangeState.DUPLICATE, InterchangeState.CONFLICT) else ""
    mine = {"holder": MINE}
    told = {"agreed": agreed} if agreed else None
    outcome.move("interchange", ix.id, was, mine, told, state=state, reason=reason, original=original, holder=None)
    if state in (InterchangeState.CONFLICT, InterchangeState.QUARANTINED):
        outcome.wait("interchange", ix.id, code, desk.look_by, about)


def why(opened: Opened) -> str:
    """The errors in a line, those of messages before those of the envelope."""
    errors = [f for m in opened.messages for f in m.findings] or list(opened.findings)
    return "; ".join(dict.fromkeys(f"{f.code} {f.found}".strip() for f in errors if f.severity == "error"))[:500]


def remember(outcome: Outcome, ix: Interchange, opened: Opened) -> None:
    outcome.add("envelope", party=ix.party, reference=opened.reference, interchange=ix.id, sha256=opened.content)


def seen_before(desk: Desk, outcome: Outcome, ix: Interchange, opened: Opened) -> bool:
    """True, and everything that follows is in `outcome`, when the same envelope was here before."""
    seen = desk.recall.one(t.envelope, KEY, ix.party, opened.reference)
    if seen is None:
        return False
    first = str(seen["interchange"])
    if seen["sha256"] in (opened.content, ix.sha256):  # formerly the whole file was compared
        close(desk, outcome, ix, InterchangeState.DUPLICATE, "", first)
        replies.again(desk, outcome, ix, [first, *(str(row["id"]) for row in messages_of(desk, first))])
        return True
    finding = Finding("opening.conflict", found=opened.reference, expected=first)
    close(desk, outcome, ix, InterchangeState.CONFLICT, finding.code, first)
    replies.reply(desk, outcome, ix, replace(opened, findings=(*opened.findings, finding)))
    return True


def messages_of(desk: Desk, interchange: str) -> Iterable[Row]:
    """The messages of an interchange, also where they lie in its parts."""
    row = desk.recall.one(t.interchange, ("id",), interchange)
    ids = [interchange, *(pieces_of(row) if row else ())]
    return desk.recall.fetch(t.message, ("interchange",), [(id,) for id in ids])
