"""The rules of a mapping file: what every declaration is made of, read by the reader that all declarations share."""

from __future__ import annotations

from pathlib import Path

from hub.declaration import Branch, Listing, Rule, Spot, Text, parse, read

__all__ = ["Branch", "Listing", "Rule", "Spot", "Text", "load", "without"]


def load(path: Path, text: bytes | None = None) -> Branch:
    """The rules in `text`, or in the file. Raises DeclarationError with a finding that has file, line and column."""
    return read(path.parent, path).top if text is None else parse(path.as_posix(), text)


def without(rule: Branch, names: tuple[str, ...]) -> Branch:
    """`rule` without these keys."""
    if not any(name in names for name, _ in rule.entries):
        return rule
    kept = [(entry, key) for entry, key in zip(rule.entries, rule.keys, strict=True) if entry[0] not in names]
    return Branch(tuple(entry for entry, _ in kept), rule.spot, tuple(key for _, key in kept))
