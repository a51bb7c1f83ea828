"""What a folder of tables holds: one row for each release and service layer."""

from __future__ import annotations

from hub.edifact.directory import Directories
from hub.standards.pages import newest

Row = dict[str, object]


def releases(directories: Directories) -> list[Row]:
    """Release, its message types, and how many segments and coded elements these reach; the newest release first.

    OSError and DeclarationError where a file cannot be used."""
    return [_row(directories, key) for key in (*newest(directories.available()), "SERVICE4", "SERVICE3")]


def _row(directories: Directories, key: str) -> Row:
    own = directories.get(key).own
    return {
        "release": key,
        "types": own.names("messages"),
        "segments": len(own.names("segments")),
        "lists": len(own.names("codes")),
    }
