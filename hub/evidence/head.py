"""The head of a seal: what the hub signs each minute over all that has happened since the one before.

`previous` is the SHA-256 of the head before, so the newest head stands for the whole history, and a head that somebody
outside keeps makes every later change or rollback of the journal show. `format` keeps these bytes apart from anything
else that the same key signs.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime

from hub.evidence import canonical

FORMAT = "eport-head-1"
_SHAPE = {"at": str, "count": int, "first": int, "format": str, "last": int, "number": int}
_SHAPE |= {"port": str, "previous": str, "root": str}


@dataclass(frozen=True, slots=True)
class Head:
    """One tree over `count` events from number `first` to `last`, both included."""

    port: str
    number: int  # 1, 2, 3 … without a gap
    first: int
    last: int
    count: int
    root: str  # hexadecimal
    previous: str  # SHA-256 of the head before, hexadecimal; "" for the first
    at: datetime

    def encode(self) -> bytes:
        return canonical.dump({**asdict(self), "at": canonical.time(self.at), "format": FORMAT})


def parse(data: bytes) -> Head:
    """The head of these bytes. Raises ValueError where they are none."""
    values = canonical.fields(canonical.load(data), _SHAPE)
    if values.pop("format") != FORMAT:
        raise ValueError(f"no {FORMAT}")
    head = Head(**values | {"at": canonical.read_time(values["at"])})
    for name in ("root", "previous"):
        if not is_hash(values[name]) and not (name == "previous" and head.number == 1 and head.previous == ""):
            raise ValueError(f"{name} is no SHA-256")
    if head.number < 1 or head.first < 1 or not 1 <= head.count <= head.last - head.first + 1:
        raise ValueError("the numbers cannot be")
    return head


def digest(data: bytes) -> str:
    """What the next head says of this one."""
    return hashlib.sha256(data).hexdigest()


def is_hash(text: object) -> bool:
    """True for a SHA-256 in lower-case hexadecimal."""
    return isinstance(text, str) and len(text) == 64 and not text.strip("0123456789abcdef")
