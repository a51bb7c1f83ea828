"""The rules of a mapping file: what every declaration is made of, read by the reader that all declarations share."""

from __future__ import annotations

from pathlib import Path

from hub.declaration import Branch, Listing, Rule, Spot, Text, parse, read

__all__ = ["Branch", "Listing", "Rule", "Spot", "Text", "load"]


def load(path: Path, text: bytes | None = None) -> Branch:
    """The rules in `text`, or in the file. Raises DeclarationError with a finding that has file, line and column."""
    return read(path.parent, path).top if text is None else parse(path.as_posix(), text)
