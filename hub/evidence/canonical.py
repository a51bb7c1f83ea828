"""One spelling for one value: the bytes that are hashed and signed, and a reader that takes no other spelling.

The subset of RFC 8785 (JSON canonicalisation) that evidence needs: objects with ASCII names in order, no blanks, UTF-8,
whole numbers only. A lone surrogate, which has no UTF-8, is written as \\udxxx, the way JSON.stringify writes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

_WRITER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_LARGEST = 2**53 - 1
"""RFC 8785 numbers are those of JavaScript."""

EVENT = {"at": str, "detail": dict, "seq": int, "subject": str, "what": str}
"""The fields of an event, which are also its columns in the journal."""


def dump(value: Any) -> bytes:
    """The canonical bytes of `value`. Raises ValueError for what this subset does not have, such as a float."""
    _check(value)
    return _WRITER.encode(value).encode("utf-8", "backslashreplace")


def load(data: bytes) -> Any:
    """The value of canonical bytes. Raises ValueError for any other spelling of it."""
    try:
        value = json.loads(data.decode("utf-8"), parse_float=_no_number, parse_constant=_no_number)
        again = dump(value)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if again != data:
        raise ValueError("not the canonical spelling")
    return value


def fields(value: Any, shape: Mapping[str, type]) -> dict[str, Any]:
    """`value` if it is an object with exactly these fields of these types, else ValueError."""
    if not isinstance(value, dict):
        raise ValueError("not an object")
    for name in sorted(value.keys() ^ shape.keys()):
        raise ValueError(f"{'unknown' if name in value else 'missing'} field {name}")
    for name, kind in shape.items():
        if type(value[name]) is not kind:
            raise ValueError(f"{name} is no {kind.__name__}")
    return value


def event(row: Mapping[str, Any]) -> bytes:
    """The leaf of one event of the journal."""
    return dump({name: time(row["at"]) if name == "at" else row[name] for name in EVENT})


def time(at: datetime) -> str:
    """A time as evidence writes it: UTC, microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def read_time(text: str) -> datetime:
    """The time that `time` wrote. Raises ValueError."""
    at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    if time(at) != text:
        raise ValueError(f"{text} is not the one spelling of a time")
    return at


def _check(value: Any) -> None:
    if isinstance(value, str):
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            if not (isinstance(name, str) and name.isascii()):
                raise ValueError(f"the name {name!r} is not ASCII")
            _check(inner)
    elif isinstance(value, list):
        for inner in value:
            _check(inner)
    elif isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        raise ValueError("a number beyond 2^53")
    elif value is not None and not isinstance(value, int):
        raise ValueError(f"{type(value).__name__} {value!r} has no place in evidence")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no whole number")
