"""The journal's tables. Times are UTC; every id is a string (hub.message); every state change is also an event."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC as UTC_ZONE
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = MetaData()

Count = BigInteger().with_variant(Integer(), "sqlite")
"""Numbers that grow with the traffic: at a hundred interchanges a second 32 bits of events are full within a week. On
SQLite every integer has 64, and only INTEGER numbers itself."""
KEPT = "look_at > received_at"
"""Interchanges whose time had come, and which were not over."""


class UTC(TypeDecorator[object]):
    """Aware datetimes in, aware UTC datetimes out, on databases that forget the zone too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        return _read if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _read(text: str | None) -> datetime | None:
    """SQLite keeps a time as text without a zone: ours are all UTC."""
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC_ZONE)


payload = Table(
    "payload",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("size", Count, nullable=False),
    Column("data", LargeBinary),  # null when the bytes lie in the spool under their hash, or are gone
    Column("used_at", UTC),  # when a row last began to refer to it; null when the bytes are gone
    Column("removed_at", UTC),  # when the agreed time of keeping was over
    Index("payload_used", "used_at"),
)

interchange = Table(
    "interchange",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("endpoint", String(64), nullable=False),
    Column("party", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("key", String(512), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", Count, nullable=False),
    Column("received_at", UTC, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("original", String(40), nullable=False, default=""),  # of a duplicate or conflict
    Column("tries", Integer, nullable=False, default=0),
    Column("holder", String(64)),  # the process that works on it now
    Column("look_at", UTC),  # counted from here its bytes may be over (hub.retention); null once they are
    UniqueConstraint("endpoint", "key"),
    Index("interchange_work", "state", "holder", "id"),
    Index("interchange_look", "look_at"),
    Index("interchange_kept", "id", sqlite_where=text(KEPT), postgresql_where=text(KEPT)),
)

envelope = Table(
    "envelope",
    metadata,
    Column("party", String(64), primary_key=True),
    Column("reference", String(512), primary_key=True),  # UNB recipient/0020, or the hash of an XML file
    Column("interchange", String(40), nullable=False),
    Column("sha256", String(64), nullable=False),  # of UNB to UNZ, or of the XML file
)

document = Table(
    "document",
    metadata,
    Column("party", String(64), primary_key=True),
    Column("key", String(512), primary_key=True),  # type, business number, version, function
    Column("message", String(48), nullable=False),
    Column("sha256", String(64), nullable=False),  # of the business content, without the envelope
)

message = Table(
    "message",
    metadata,
    Column("id", String(48), primary_key=True),
    Column("interchange", String(40), nullable=False, index=True),
    Column("kind", String(64), nullable=False),
    Column("system", String(64), nullable=False),
    Column("sender", String(64), nullable=False),
    Column("reference", String(255), nullable=False),
    Column("keys", JSON, nullable=False),
    Column("document", String(255), nullable=False),
    Column("function", String(16), nullable=False),
    Column("payload", String(64), nullable=False),
    Column("frame", String(120), nullable=False, default=""),  # UNA and UNB to read an EDIFACT payload with again
    Column("charset", String(32), nullable=False, default=""),  # and its codec
    Column("canonical_kind", String(64), nullable=False),
    Column("canonical", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("supersedes", String(48), nullable=False, default=""),
    Column("superseded_by", String(48), nullable=False, default=""),
    Column("test", Boolean, nullable=False, default=False),
    Column("case", String(160), nullable=False, default="", index=True),
    Column("tries", Integer, nullable=False, default=0),  # to take it up after a release
    Column("at", UTC, nullable=False),
    Index("message_document", "sender", "kind", "document"),
    Index("message_state", "state"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("seq", Count, primary_key=True, autoincrement=True),
    Column("id", String(120), nullable=False, unique=True),
    Column("message", String(48), nullable=False, index=True),
    Column("party", String(64), nullable=False),
    Column("endpoint", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("payload", String(64), nullable=False),
    Column("signature", String(64), nullable=False, default=""),
    Column("folder", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("order_key", String(255), nullable=False),
    Column("tries", Integer, nullable=False, default=0),
    Column("next_at", UTC, nullable=False),
    Column("give_up_at", UTC, nullable=False),
    Column("awaits", String(16), nullable=False, default=""),
    Column("due_at", UTC),  # clock of the awaited receipt
    Column("overdue", Boolean, nullable=False, default=False),
    Column("at", UTC, nullable=False),
    Column("sent_at", UTC),
    Index("delivery_work", "endpoint", "state", "seq"),
    Index("delivery_order", "endpoint", "order_key", "seq"),
    Index("delivery_due", "endpoint", "state", "next_at"),
    Index("delivery_old", "state", "give_up_at"),
    Index("delivery_clock", "state", "due_at"),
)

reference = Table(
    "reference",
    metadata,
    Column("party", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("value", String(255), primary_key=True),
    Column("delivery", String(120), primary_key=True),
)

receipt = Table(
    "receipt",
    metadata,
    Column("id", String(160), primary_key=True),  # message id, and the delivery it speaks of
    Column("message", String(48), nullable=False, index=True),
    Column("delivery", String(120), nullable=False, index=True),  # "" for an orphan
    Column("party", String(64), nullable=False),
    Column("level", String(16), nullable=False),
    Column("accepted", Boolean),
    Column("state", String(16), nullable=False),
    Column("number", String(255), nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("at", UTC, nullable=False),
)

case = Table(
    "port_case",
    metadata,
    Column("id", String(160), primary_key=True),  # system/key
    Column("system", String(64), nullable=False),
    Column("sender", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # open, closed
    Column("stages", JSON, nullable=False),  # stage -> {"at": …, "version": n}
    Column("outcome", String(64), nullable=False, default=""),
    Column("version", Integer, nullable=False, default=0),  # grows with every document the case makes
    Column("opened_at", UTC, nullable=False),
    Column("closed_at", UTC),
    Column("due_at", UTC),
    Column("overdue", Boolean, nullable=False, default=False),
    Column("ripe", Boolean, nullable=False, default=False),  # has events that no worker has looked at
    Column("tries", Integer, nullable=False, default=0),  # to advance it, since that last went well
    Column("holder", String(64)),
    Index("case_work", "ripe", "holder", "id"),
    Index("case_clock", "state", "due_at"),
)

case_event = Table(
    "case_event",
    metadata,
    Column("seq", Count, primary_key=True, autoincrement=True),
    Column("case", String(160), nullable=False, index=True),
    Column("at", UTC, nullable=False),
    Column("what", String(16), nullable=False),  # message, answer, late
    Column("name", String(160), nullable=False),  # kind, or "PARTY accepted"
    Column("message", String(48), nullable=False, default=""),
    Column("subject", String(48), nullable=False, default=""),  # the case's own message that was answered
)

event = Table(
    "event",
    metadata,
    Column("seq", Count, primary_key=True, autoincrement=True),
    Column("at", UTC, nullable=False),
    Column("subject", String(160), nullable=False, index=True),
    Column("what", String(64), nullable=False),
    Column("detail", JSON, nullable=False),
)

waiting = Table(
    "waiting",
    metadata,
    Column("subject", String(160), primary_key=True),  # id of such a row, or source/ENDPOINT
    Column("what", String(16), nullable=False),  # interchange, message, delivery, port_case, endpoint; source
    Column("code", String(64), nullable=False),  # a finding of the catalogue: why it waits
    Column("detail", Text, nullable=False),
    Column("owner", String(64), nullable=False),  # who has to act: a party, or a role of the port
    Column("since", UTC, nullable=False),
    Column("due_at", UTC, nullable=False),  # by when the owner should have acted
    Column("overdue", Boolean, nullable=False, default=False),
    Index("waiting_clock", "overdue", "due_at"),
)

endpoint = Table(
    "endpoint",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("failures", Integer, nullable=False, default=0),  # rounds in a row in which nothing got through
    Column("next_at", UTC),  # the next trial of a broken one
    Column("since", UTC, nullable=False),
)

counter = Table(
    "counter",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Count, nullable=False),
)

seal = Table(
    "seal",
    metadata,
    Column("number", Count, primary_key=True, autoincrement=False),  # 1, 2, 3 …: no gaps
    Column("first", Count, nullable=False),  # event.seq of the batch's first event
    Column("last", Count, nullable=False),  # and of its last one
    Column("head", LargeBinary, nullable=False),  # the signed bytes: number, count, root, previous head, time
    Column("signature", LargeBinary, nullable=False),  # detached CMS over `head`
    Column("leaves", LargeBinary, nullable=False),  # the hash of each event, 32 bytes each: which one was changed
    Column("at", UTC, nullable=False),
    Index("seal_last", "last"),
)

stamp = Table(
    "stamp",
    metadata,
    Column("number", Count, primary_key=True, autoincrement=False),  # of the seal whose head it is over
    Column("response", LargeBinary, nullable=False),  # RFC 3161, of the authority that is configured
    Column("at", UTC, nullable=False),  # the authority's time
)

alarm = Table(
    "alarm",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("rule", String(64), nullable=False),
    Column("subject", String(160), nullable=False),
    Column("since", UTC, nullable=False),  # of the row of `waiting` that it is about
    Column("code", String(64), nullable=False),
    Column("detail", Text, nullable=False, default=""),
    Column("owner", String(64), nullable=False, default=""),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),  # why it could not be told
    Column("notices", Integer, nullable=False, default=0),  # how often it was told
    Column("tries", Integer, nullable=False, default=0),  # since it was told last
    Column("next_at", UTC),  # the next try or repetition
    Column("at", UTC, nullable=False),
    UniqueConstraint("subject", "rule", "since"),
    Index("alarm_work", "state", "rule", "next_at"),
)
