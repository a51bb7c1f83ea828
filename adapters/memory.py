"""An in-memory twin of every transport, for tests and the sandbox.

    shop = box("shop")                        the same box wherever the name is used in this process
    shop.put("a.edi", b"UNB+...")             something waits
    shop.failures.append(Known.NOT_DONE)      the next parcel fails so; the queue empties from the left
    shop.sent                                 what arrived, in order

Options: `name` of the box.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from pydantic import BaseModel, ConfigDict

from hub.contract import Arrival, Ground, Handover, Known, Parcel
from hub.errors import Unreachable


class Options(BaseModel):
    """Settings of a memory endpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "default"

    @property
    def reads(self) -> bool:
        return True

    @property
    def writes(self) -> bool:
        return True


@dataclass
class Memory:
    """One box: a source and a destination at once.

    waiting   what a collect sees, oldest first
    sent      what arrived; a delivery id arrives once however often it is sent
    failures  outcomes of the next sends. With DONE and with UNKNOWN the parcel arrives (UNKNOWN: only the
              answer is lost), with the others it does not
    blind     True: `probe` cannot tell, as with a transport that has no memory
    down      True: nothing can be collected, read or sent
    """

    waiting: list[tuple[Arrival, bytes]] = field(default_factory=list)
    sent: list[Parcel] = field(default_factory=list)
    failures: deque[Known] = field(default_factory=deque)
    blind: bool = False
    down: bool = False
    _numbers: Iterator[int] = field(default_factory=lambda: count(1), repr=False)

    def put(self, name: str, data: bytes) -> Arrival:
        """Let `data` wait under a new key, as if a party had sent it."""
        arrival = Arrival(key=f"{name}:{next(self._numbers)}", name=name, size=len(data))
        self.waiting.append((arrival, data))
        return arrival


_BOXES: dict[str, Memory] = {}


def box(name: str) -> Memory:
    """The box of that name; made at its first use and kept until `forget`."""
    return _BOXES.setdefault(name, Memory())


def forget() -> None:
    """Drop every box, between tests."""
    _BOXES.clear()


class MemoryInlet:
    """The box as a source."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def collect(self, limit: int) -> Sequence[Arrival]:
        if self._memory.down:
            raise Unreachable("the box is down")
        return [arrival for arrival, _ in self._memory.waiting[:limit]]

    def read(self, arrival: Arrival) -> Iterator[bytes]:
        if self._memory.down:
            raise Unreachable("the box is down")
        for waiting, data in self._memory.waiting:
            if waiting.key == arrival.key:
                yield data
                return
        raise Unreachable(f"{arrival.key} is not there any more")

    def settle(self, arrival: Arrival) -> None:
        self._memory.waiting[:] = [item for item in self._memory.waiting if item[0].key != arrival.key]

    def close(self) -> None:
        """Nothing to release: the box outlives its endpoints."""


class MemoryOutlet:
    """The box as a destination. Idempotent by delivery id."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    @property
    def money_safe(self) -> bool:
        return not self._memory.blind

    @money_safe.setter
    def money_safe(self, value: bool) -> None:
        self._memory.blind = not value

    def send(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        for parcel in parcels:
            yield self._send(parcel)

    def _send(self, parcel: Parcel) -> Handover:
        memory = self._memory
        if memory.down:
            return Handover(parcel.delivery, Known.NOT_DONE, "the box is down")
        known = memory.failures.popleft() if memory.failures else Known.DONE
        if known in (Known.DONE, Known.UNKNOWN) and not self._has(parcel):
            memory.sent.append(parcel)
        return Handover(parcel.delivery, known, f"memory: {known.value}")

    def probe(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        for parcel in parcels:
            if self._memory.blind or self._memory.down:
                yield Handover(parcel.delivery, Known.UNKNOWN, "memory: cannot tell")
            elif self._has(parcel):
                yield Handover(parcel.delivery, Known.DONE, "memory: it is there")
            else:
                yield Handover(parcel.delivery, Known.NOT_DONE, "memory: it is not there")

    def _has(self, parcel: Parcel) -> bool:
        return any(sent.delivery == parcel.delivery for sent in self._memory.sent)

    def close(self) -> None:
        """Nothing to release: the box outlives its endpoints."""


def inlet(name: str, options: Options, ground: Ground) -> MemoryInlet:
    """The source of the box that the options name."""
    return MemoryInlet(box(options.name))


def outlet(name: str, options: Options, ground: Ground) -> MemoryOutlet:
    """The destination of the box that the options name."""
    return MemoryOutlet(box(options.name))
