"""What a running hub says: one record is one line on standard error, as text or as JSON.

A record never spans two lines and holds no control character, whatever a partner called its file: what cannot be
printed is escaped. In a terminal the trace of a fault is indented below its line; elsewhere it is part of the line.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from hub.plain import plain

FIELDS = ("code", "party", "endpoint", "interchange", "delivery", "case")
"""What a record may say beside its message (`extra=`): a finding's code, and what the record is about."""
FORMS = ("text", "json")
CHATTY = ("paramiko", "apscheduler", "alembic", "httpx2", "waitress", "pika")
COLOURS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


class Lines(logging.Formatter):
    """Writes records as lines. `role` is what this process is: every process has one for all its records."""

    role = "hub"

    def __init__(self, line: Callable[[logging.LogRecord, str, str], str]) -> None:
        super().__init__()
        self._line = line

    def format(self, record: logging.LogRecord) -> str:
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        return self._line(record, self.role, trace)


def start(form: str = "") -> None:
    """Send every record of this process and of those it forks to standard error. `form`: text, json, or "" for text."""
    if form == "json":
        line = as_json
    else:
        line = _in_colour if sys.stderr.isatty() else as_text
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(line))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.captureWarnings(True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.excepthook = _unhandled
    threading.excepthook = lambda fault: _unhandled(
        fault.exc_type, fault.exc_value or fault.exc_type(), fault.exc_traceback
    )


def is_now(role: str) -> None:
    """From here on this process is `role`."""
    Lines.role = role


def as_json(record: logging.LogRecord, role: str, trace: str = "") -> str:
    """`{"time", "level", "role", "pid", "logger", "message", …FIELDS, "trace"}`, the time in UTC."""
    row: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "role": role,
        "pid": record.process,
        "logger": record.name,
        "message": record.getMessage(),
        **_fields(record),
    }
    if trace:
        row["trace"] = trace
    return plain(json.dumps(row, ensure_ascii=False))


def as_text(record: logging.LogRecord, role: str, trace: str = "") -> str:
    """`time LEVEL role[pid] message field=value …`, the time of this machine with its offset."""
    at = datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="milliseconds")
    fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
    line = f"{at} {record.levelname} {role}[{record.process}] {record.getMessage()}{fields}"
    return plain(f"{line}\n{trace}" if trace else line)


def _in_colour(record: logging.LogRecord, role: str, trace: str = "") -> str:
    """Text for a terminal."""
    colour = COLOURS.get(record.levelname, "")
    line = as_text(record, role)
    if colour:
        line = line.replace(record.levelname, f"\x1b[{colour}m{record.levelname}\x1b[0m", 1)
    return "\n    | ".join([line, *(plain(part) for part in trace.splitlines())])


def _fields(record: logging.LogRecord) -> dict[str, str]:
    return {name: str(value) for name in FIELDS if (value := getattr(record, name, ""))}


def _unhandled(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
    """A fault that ends the process or a thread is a record too."""
    logging.getLogger("eport").critical("%s: %s", kind.__name__, fault, exc_info=(kind, fault, trace))
