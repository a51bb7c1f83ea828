"""Step 5, first half: is this document known, what does it supersede, and which ones waited for it.

The business number is remembered for ever. The same number with the same content is a duplicate; with other content
it is a conflict, which a person decides. An amendment that comes before its original waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.desk import Desk
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.message import MessageState
from hub.opening import OpenedMessage
from hub.site.site import Site

AMENDS_NOTHING = "routing.amends_nothing"
NO_ROUTE = "routing.no_route"
CONFLICT = "opening.document_conflict"
IN_FORCE = (MessageState.ROUTED, MessageState.DONE)
VERSIONS = ("sender", "kind", "document")
"""The columns of a message that all versions of one document share."""


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
    """The id of the case that this message belongs to, or "": what a case makes goes to productive parties, so a test
    opens none."""
    if message.usage is None or message.rejected or message.test:
        return ""
    rule = site.systems[message.usage.system].case
    keys = dict(message.keys)
    if rule is None or message.usage.rule.answers or not all(keys.get(name) for name in rule.key):
        return ""
    return "/".join([message.usage.system, sender, *(keys[name] for name in rule.key)])


def key_of(message: OpenedMessage) -> str:
    """What makes a document the same again: its kind and number, for an amendment also its content."""
    kind = message.usage.name if message.usage else ""
    version = "" if message.function == "original" else f"/{message.function}/{message.content}"
    return f"{kind}/{message.document}{version}"


def known(desk: Desk, outcome: Outcome, sender: str, id: str, message: OpenedMessage) -> Standing:
    """Where a message with a business number stands; a new one is remembered in `outcome`."""
    kind = message.usage.name if message.usage else ""
    key, seen = _seen(desk, outcome, sender, key_of(message))
    mine = seen is not None and seen["message"] == id  # taken up again after a release
    if seen is not None and not mine:
        if seen["sha256"] == message.content:
            return Standing(MessageState.DUPLICATE, about=seen["message"])
        return Standing(MessageState.HELD, CONFLICT, seen["message"])
    entry = {"party": sender, "key": key, "message": id, "sha256": message.content}
    if message.function == "original":
        if not mine:
            outcome.add("document", **entry)
        _release_amendments(desk, outcome, sender, kind, message.document)
        return Standing()
    is_new = _is_new(desk, sender, kind, message.document, id)
    if _earlier(desk, sender, kind, message.document, id):
        return Standing(MessageState.RELEASED)  # versions are taken up in the order in which they came
    held = _current(desk, sender, kind, message.document)
    if outcome.touches("message", held) or (is_new and not held):
        return Standing(MessageState.RELEASED)  # what it amends may be in this very commit, before it or behind it
    if held:
        if not mine:
            outcome.add("document", **entry)
        return Standing(supersedes=held)
    in_force = {"superseded_by": "", "state": IN_FORCE}
    outcome.relied_on_none("message", sender=sender, kind=kind, document=message.document, **in_force)
    return Standing(MessageState.HELD, AMENDS_NOTHING, message.document)


def _seen(desk: Desk, outcome: Outcome, sender: str, key: str) -> tuple[str, Mapping[Any, Any] | None]:
    """What is known of a document, and under which key. One that a person has cancelled frees its number."""
    while True:
        stored = desk.recall.one(t.document, ("party", "key"), sender, key)
        seen = outcome.added("document", party=sender, key=key) or stored
        before = desk.recall.one(t.message, ("id",), stored["message"]) if stored else None
        if before is None or before["state"] != MessageState.CANCELLED:
            return key, seen
        key = f"{key}~{before['id']}"


def _earlier(desk: Desk, sender: str, kind: str, document: str, id: str) -> bool:
    """True when a version that came before message `id` is still to be taken up."""
    versions = desk.recall.rows(t.message, VERSIONS, sender, kind, document)
    return any(row["state"] == MessageState.RELEASED and _place(row["id"]) < _place(id) for row in versions)


def _is_new(desk: Desk, sender: str, kind: str, document: str, id: str) -> bool:
    """True for a message that has no row yet, False for one that is taken up."""
    return all(row["id"] != id for row in desk.recall.rows(t.message, VERSIONS, sender, kind, document))


def _place(id: str) -> tuple[str, int]:
    """Messages in the order in which they came: the tenth of an interchange is behind the ninth."""
    interchange, _, index = id.rpartition(".")
    return interchange, int(index)


def _current(desk: Desk, sender: str, kind: str, document: str) -> str:
    """The version of a document that is in force, or ""."""
    in_force = [
        row["id"]
        for row in desk.recall.rows(t.message, VERSIONS, sender, kind, document)
        if not row["superseded_by"] and row["state"] in IN_FORCE
    ]
    return str(in_force[-1]) if in_force else ""


def _release_amendments(desk: Desk, outcome: Outcome, sender: str, kind: str, document: str) -> None:
    for row in desk.recall.rows(t.message, VERSIONS, sender, kind, document):
        if row["state"] == MessageState.HELD and row["reason"].startswith(AMENDS_NOTHING):
            outcome.move("message", row["id"], (MessageState.HELD,), state=MessageState.RELEASED, reason="")
    waiting = {"state": MessageState.HELD, "reason": f"{AMENDS_NOTHING} {document}"}
    outcome.relied_on_none("message", sender=sender, kind=kind, document=document, **waiting)
