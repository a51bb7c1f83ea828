"""Text from outside, such as a file name or a value of a message, made fit for a terminal, a log and a report.

What a terminal could obey (escape sequences, carriage returns), what would begin a line of its own in a log, and what
changes the order in which a line is read (bidirectional overrides) is written as an escape instead.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any


def plain(text: str, keep: str = "") -> str:
    """`text` with everything that is not to be seen written as \\uXXXX, but for the characters of `keep`."""
    if text.isprintable():
        return text
    if keep == "\n":  # a whole document, most of whose lines are plain
        return "\n".join(map(plain, text.split("\n")))
    return "".join(c if c in keep or _seen(c) else json.dumps(c)[1:-1] for c in text)


def _seen(char: str) -> bool:
    """True for what takes up room on a screen: letters, signs, and blanks of any width."""
    return char.isprintable() or unicodedata.category(char) == "Zs"


def width(text: str) -> int:
    """Cells on a screen: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def plainly(value: Any) -> Any:
    """The same dicts and lists with every text in them plain."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {key: plainly(inner) for key, inner in value.items()}
    return [plainly(inner) for inner in value] if isinstance(value, list | tuple) else value
