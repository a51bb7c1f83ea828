"""The records: what the journal keeps, as frozen types, and the one list of states.

An id tells where a thing comes from: interchange `1KB4Z…`, its second message `1KB4Z….2`, that message's delivery to
CUSTOMS `1KB4Z….2-CUSTOMS`. A file of several interchanges, or a large one, goes apart: `1KB4Z…-0003` is its third
piece. Ids of pieces, messages and deliveries follow from the interchange's, so a repeated step makes the same rows
again instead of new ones.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class InterchangeState(StrEnum):
    RECEIVED = "received"  # stored; a worker opens it
    OPENED = "opened"  # its messages have rows of their own
    SPLIT = "split"  # several interchanges, or a large one: its pieces have rows of their own (hub.apart)
    REJECTED = "rejected"  # the sender was told why
    DUPLICATE = "duplicate"  # the same again; the stored receipts were sent again
    CONFLICT = "conflict"  # the same reference with other content; a person decides
    QUARANTINED = "quarantined"  # could not be identified, or broke the worker three times


class MessageState(StrEnum):
    RELEASED = "released"  # what it waited for has come; a worker takes it up again
    ROUTED = "routed"  # deliveries exist, or the case has it
    DONE = "done"  # every delivery is at rest
    REJECTED = "rejected"  # the sender was told why
    DUPLICATE = "duplicate"  # same document again; the stored receipts were sent again
    HELD = "held"  # waits with reason, owner and clock
    CANCELLED = "cancelled"  # by a named person


class DeliveryState(StrEnum):
    RELEASED = "released"  # was held; a worker makes it anew
    PENDING = "pending"  # the courier takes it when `next_at` has come
    SENDING = "sending"  # handed to the adapter; nothing known yet
    SENT = "sent"  # the transport has it; the end where no answer is owed
    RECEIPTED = "receipted"  # the other side's syntax check passed
    ACKNOWLEDGED = "acknowledged"  # taken into the other side's system
    ANSWERED = "answered"  # the business answer is yes
    REFUSED = "refused"  # the answer, at any level, is no
    FAILED = "failed"  # surely not done; the courier tries again at `next_at`
    IN_DOUBT = "in_doubt"  # outcome unknown; left only by evidence
    HELD = "held"  # waits with reason, owner and clock
    DEAD = "dead"  # tries used up or refused by the transport; a person decides
    CANCELLED = "cancelled"  # by a named person


class ReceiptState(StrEnum):
    MATCHED = "matched"  # settled one delivery
    LATE = "late"  # matched, after its clock
    DUPLICATE = "duplicate"  # the same answer again
    ORPHAN = "orphan"  # answers nothing that we know
    OUT_OF_ORDER = "out_of_order"  # a lower level after a higher one
    CONTRADICTORY = "contradictory"  # yes after no, or no after yes


class EndpointState(StrEnum):
    OPEN = "open"  # deliveries go
    BROKEN = "broken"  # nothing got through; one trial at `next_at`
    HELD = "held"  # not who it should be, or stopped by a person; nothing goes until it is released


class AlarmState(StrEnum):
    PENDING = "pending"  # to be told at `next_at`
    TOLD = "told"  # and again at `next_at`, where its rule repeats
    RESTING = "resting"  # its cause has gone; that is to be told at `next_at`
    RESTED = "rested"  # over


LEVELS = ("transport", "syntax", "application", "business", "closing")
"""Receipt levels from the lowest to the highest."""

AT_REST = frozenset(
    {
        DeliveryState.ANSWERED,
        DeliveryState.REFUSED,
        DeliveryState.DEAD,
        DeliveryState.CANCELLED,
    }
)

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


_turn = threading.Lock()
_newest = 0
"""The newest id that this process has given."""


def new_id(now: datetime) -> str:
    """Nine characters of time (milliseconds) and five of chance: sorts by time, can be read out on the phone.

    In one process later ones sort later, also when the time of day was set back: what came first is opened first."""
    global _newest
    with _turn:
        number = int(now.timestamp() * 1000) << 25 | secrets.randbits(25)
        if number <= _newest:
            number = _newest + 1 + secrets.randbits(20)
        _newest = number
    digits = []
    while number:
        number, digit = divmod(number, 32)
        digits.append(_CROCKFORD[digit])
    return "".join(reversed(digits))


def legal(name: str) -> str:
    """What an answer to the file `name` may begin with: letters, digits, dot, dash, underscore; at most 60 of them."""
    return re.sub(r"^[^A-Za-z0-9]", "f", re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:60])


LONGEST_REFERENCE = 512
"""Characters of the longest name, id or reference that the journal keeps."""


def askable(reference: str) -> bool:
    """True when something in the journal could be called so: no database is asked for more than it can hold."""
    lone = any("\ud800" <= char <= "\udfff" for char in reference)
    return bool(reference.strip()) and len(reference) <= LONGEST_REFERENCE and "\0" not in reference and not lone


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a piece of a file comes from.

    whole   the id of the interchange that is the file
    number  which of its `count` pieces, from 1
    base    what to add to a place in the piece for the place in the file, in bytes
    first   the number of its first message in the interchange that it is a part of; 0 for an interchange of its own
    """

    whole: str
    number: int
    count: int
    base: int
    first: int

    @property
    def id(self) -> str:
        return f"{self.whole}-{self.number:04d}"

    @property
    def key(self) -> str:
        """What stands in the place of the key of an arrival."""
        return f"part:{self.number}:{self.count}:{self.base}:{self.first}:{self.whole}"


def pieces_of(row: Mapping[Any, Any]) -> list[str]:
    """The ids of the pieces of an interchange's row; none where it did not go apart."""
    if row["state"] != InterchangeState.SPLIT:
        return []
    return [f"{row['id']}-{number:04d}" for number in range(1, int(row["reason"] or 0) + 1)]


def whole_of(interchange: str) -> str:
    """The id of what an interchange is a piece of, or ""."""
    return interchange.rpartition("-")[0]


_ID = re.compile(r"([^-.]+(?:-[0-9]{4})*)(\.[0-9]+)?(?:-(.+))?")


def parted(id: str) -> tuple[str, str, str]:
    """(interchange, message, party) that the id of an interchange, of a message that came in, or of a delivery names;
    "" for what it does not name."""
    match = _ID.fullmatch(id)
    if match is None:
        return "", "", ""
    interchange, number, party = match[1], match[2] or "", match[3] or ""
    return interchange, interchange + number if number else "", party


@dataclass(frozen=True, slots=True)
class Interchange:
    """One arrival: what came in at an endpoint, whole; or a piece of it."""

    id: str
    endpoint: str
    party: str
    name: str
    key: str  # the arrival's key at its endpoint
    sha256: str
    size: int
    received_at: datetime
    tries: int = 0

    @property
    def origin(self) -> Origin | None:
        """Where it comes from when it is a piece. Only ids of pieces have a dash: a key may be anything."""
        if "-" not in self.id:
            return None
        _, number, count, base, first, whole = self.key.split(":")
        return Origin(whole, int(number), int(count), int(base), int(first))

    @property
    def is_part(self) -> bool:
        """True for a part of a large interchange: it was answered and remembered as a whole (hub.apart)."""
        return self.origin is not None and self.origin.first > 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receipt says about one delivery."""

    level: str
    accepted: bool | None  # None: says neither yes nor no (a query)
    party: str
    by: dict[str, str]
    number: str = ""
    reasons: tuple[tuple[str, ...], ...] = ()  # code, text and, where it says where, the pointer
