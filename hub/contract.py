"""What the hub asks of an adapter. Adapters import this floor and the ones below it, nothing else.

An adapter module `adapters/<name>.py` offers some of

    Options                                 a pydantic model (extra="forbid") of the endpoint's settings; `reads` and
                                            `writes` say which ways an endpoint with these settings goes
    inlet(name, options, ground)  -> Inlet
    outlet(name, options, ground) -> Outlet
    door(listen, endpoints, ground) -> Door   servers that many endpoints share (sftpd, http)

Each Inlet and Outlet is used by one thread at a time. Library exceptions never leave an adapter: they become one of
hub.errors.{Unreachable, OutcomeUnknown, Untrusted}.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Ground:
    """Where an adapter stands: the site's folder and the folder that a running hub writes to."""

    site: Path
    spool: Path

    def secret(self, reference: str) -> str:
        """Resolve `env:NAME`, `$NAME` or `file:PATH` (relative to the site); anything else is refused.

        Raises ValueError without the value in its text."""
        import os

        kind, _, rest = reference.partition(":")
        if kind == "env" or reference.startswith("$"):
            name = rest if kind == "env" else reference[1:]
            if name not in os.environ:
                raise ValueError(f"environment variable {name} is not set")
            return os.environ[name]
        if kind == "file":
            return (self.site / rest).read_text("utf-8").strip()
        raise ValueError("a secret is written as env:NAME or file:PATH, never in the clear")

    def lacks(self, reference: str) -> str:
        """Why the secret cannot be had now, or ""."""
        try:
            self.secret(reference)
        except OSError as fault:
            return fault.strerror or type(fault).__name__
        except UnicodeDecodeError:
            return "not UTF-8"
        except ValueError as fault:
            return str(fault)
        return ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One complete file or message that waits at a source.

    key    identifies this arrival at this endpoint for ever: the same arrival seen again (a crash before settle)
           has the same key; the same bytes sent again on purpose have another
    name   the sender's name for it, to be echoed in answers; never a path
    size   bytes, as the source says
    """

    key: str
    name: str
    size: int


class Inlet(Protocol):
    """A source of arrivals."""

    def collect(self, limit: int) -> Sequence[Arrival]:
        """What is complete and waits, oldest first, at most `limit`. Changes nothing; may be called again."""

    def read(self, arrival: Arrival) -> Iterator[bytes]:
        """The bytes in chunks. Raises Unreachable when they cannot be had now."""

    def settle(self, arrival: Arrival) -> None:
        """Take it away at the source (delete, archive, ack). Called only after the journal's commit; repeatable."""

    def close(self) -> None: ...


@runtime_checkable
class Leaving(Protocol):
    """An Inlet that knows of things at its source which it will not offer, and which somebody should look at."""

    def left(self) -> str:
        """What they are and why, as of the last `collect`; "" for none."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One delivery ready to be handed over.

    delivery    the hub's delivery id, constant over all tries: idempotency key and MQ message id
    name        the file name at the destination: [A-Za-z0-9][A-Za-z0-9_.-]{0,127}
    data        the signed bytes exactly as they must arrive
    folder      the party's folder: "inbound" (answers and messages) or "error"; plain endpoints ignore it
    companions  (name, bytes) that must be there before `name` is, such as a detached signature
    headers     for transports that have headers
    """

    delivery: str
    name: str
    data: bytes
    folder: str = "inbound"
    companions: tuple[tuple[str, bytes], ...] = ()
    headers: Mapping[str, str] | None = None


class Known(StrEnum):
    """What is known of a handover."""

    DONE = "done"  # evidence that it arrived whole
    NOT_DONE = "not_done"  # evidence that it did not: may be tried again
    UNKNOWN = "unknown"  # no evidence either way
    REFUSED = "refused"  # the other side said no, for good
    UNTRUSTED = "untrusted"  # the other side is not who it should be: hold the endpoint


@dataclass(frozen=True, slots=True)
class Handover:
    """What became of one parcel. `evidence` is what the other side showed (path and hash, status line, confirm)."""

    delivery: str
    known: Known
    evidence: str = ""
    answer: bytes | None = None


class Outlet(Protocol):
    """A destination."""

    money_safe: bool
    """True when a repeated send cannot act twice, or when `probe` can tell: idempotent by key or queryable."""

    def send(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        """Hand over in order; one Handover each. Never raises for one parcel: what went wrong is its Handover."""

    def probe(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        """Look for evidence of earlier tries without sending anything."""

    def close(self) -> None: ...


class Door(Protocol):
    """A server that lets parties in. Listening when constructed; `address` is what it really listens on."""

    address: tuple[str, int]

    def refuse(self, why: str) -> None:
        """Take nothing in as long as `why` is not empty, and say so; what is under way may end, all else goes on."""

    def keyless(self) -> Mapping[str, str]:
        """Endpoints whose party cannot come in because its key or token cannot be had, and why. Looks for it again."""

    def close(self) -> None:
        """Stop listening, end the sessions, join the threads. Complete uploads are kept."""


@dataclass(frozen=True, slots=True)
class DoorEndpoint:
    """One party's way through a Door: endpoint name and validated Options of the adapter."""

    name: str
    options: object


def closing(items: Iterable[object]) -> None:
    """Close every item that can be closed."""
    for item in items:
        close = getattr(item, "close", None)
        if close:
            close()
