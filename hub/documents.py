"""Step 5, first half: is this document known, what does it supersede, and which ones waited for it.

The business number is remembered for ever. The same number with the same content is a duplicate; with other content
it is a conflict, which a person decides. An amendment that comes before its original waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.message import MessageState
from hub.opening import OpenedMessage
from hub.site.site import Site

AMENDS_NOTHING = "routing.amends_nothing"
NO_ROUTE = "routing.no_route"
CONFLICT = "opening.document_conflict"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a message is among its sender's documents. `code` is a finding of the catalogue, `about` its detail."""

    state: MessageState = MessageState.ROUTED
    code: str = ""
    about: str = ""
    supersedes: str = ""

    @property
    def reason(self) -> str:
        return f"{self.code} {self.about}".strip()


def case_of(site: Site, sender: str, message: OpenedMessage) -> str:
    """The id of the case that this message belongs to, or ""."""
    if message.usage is None or message.rejected:
        return ""
    rule = site.systems[message.usage.system].case
    keys = dict(message.keys)
    if rule is None or message.usage.rule.answers or not all(keys.get(name) for name in rule.key):
        return ""
    return "/".join([message.usage.system, sender, *(keys[name] for name in rule.key)])


def known(journal: Journal, outcome: Outcome, sender: str, id: str, message: OpenedMessage) -> Standing:
    """Where a message with a business number stands; a new one is remembered in `outcome`."""
    kind = message.usage.name if message.usage else ""
    version = "" if message.function == "original" else f"/{message.function}/{message.content}"
    key = f"{kind}/{message.document}{version}"
    d = t.document
    seen = outcome.added("document", party=sender, key=key) or journal.row(
        select(d).where(d.c.party == sender, d.c.key == key)
    )
    mine = seen is not None and seen["message"] == id  # taken up again after a release
    if seen is not None and not mine:
        if seen["sha256"] == message.content:
            return Standing(MessageState.DUPLICATE, about=f"the same as {seen['message']}")
        return Standing(MessageState.HELD, CONFLICT, seen["message"])
    entry = {"party": sender, "key": key, "message": id, "sha256": message.content}
    if message.function == "original":
        if not mine:
            outcome.add("document", **entry)
        _release_amendments(journal, outcome, sender, kind, message.document)
        return Standing()
    held = _current(journal, sender, kind, message.document)
    if outcome.touches("message", held) or outcome.added("document", party=sender, key=f"{kind}/{message.document}"):
        return Standing(MessageState.RELEASED)  # what it amends is in this very commit
    if held:
        if not mine:
            outcome.add("document", **entry)
        return Standing(supersedes=held)
    return Standing(MessageState.HELD, AMENDS_NOTHING, message.document)


def _current(journal: Journal, sender: str, kind: str, document: str) -> str:
    """The version of a document that is in force, or ""."""
    m = t.message
    query = select(m.c.id).where(
        m.c.sender == sender,
        m.c.kind == kind,
        m.c.document == document,
        m.c.superseded_by == "",
        m.c.state.in_((MessageState.ROUTED, MessageState.DONE)),
    )
    found = journal.row(query.order_by(m.c.id.desc()))
    return str(found["id"]) if found else ""


def _release_amendments(journal: Journal, outcome: Outcome, sender: str, kind: str, document: str) -> None:
    m = t.message
    query = select(m.c.id).where(
        m.c.sender == sender,
        m.c.kind == kind,
        m.c.document == document,
        m.c.state == MessageState.HELD,
        m.c.reason.startswith(AMENDS_NOTHING),
    )
    for row in journal.rows(query):
        outcome.move("message", row["id"], (MessageState.HELD,), state=MessageState.RELEASED, reason="")
