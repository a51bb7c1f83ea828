"""Patterns of a schema (xs:pattern) that a backtracking engine could match for hours: `(a+)+b` on a row of 40 a.

libxml2, which judges messages, builds automata and does not mind; xmlschema, which explains them to people, uses
Python's engine. So such a pattern is refused when the schema is read.
"""

from __future__ import annotations

import re

_ENDLESS = re.compile(r"[*+]|\{[0-9]+,\}")
_COUNTED = re.compile(r"\?|\{[0-9]+(?:,[0-9]+)?\}")
_PROPERTY = re.compile(r"\\[pP]\{[^}]*\}|\\.", re.S)


def explosive(pattern: str) -> bool:
    """True where something that repeats without end stands in something that does so too."""
    at, holds = 0, [False]  # for each open bracket: is there anything endless in it?
    while at < len(pattern):
        char, inner = pattern[at], False
        if char == "(":
            holds.append(False)
            at += 1
            continue
        if char == ")" and len(holds) > 1:
            inner, at = holds.pop(), at + 1
        elif char == "[":
            at = _behind_class(pattern, at)
        else:
            escape = _PROPERTY.match(pattern, at)
            at = escape.end() if escape else at + 1
        endless = _ENDLESS.match(pattern, at)
        counted = endless or _COUNTED.match(pattern, at)
        if endless and inner:
            return True
        at = counted.end() if counted else at
        holds[-1] = holds[-1] or inner or bool(endless)
    return False


def _behind_class(pattern: str, at: int) -> int:
    """Where the character class ends that begins at `at`; one may be taken from another: [a-z-[aeiou]]."""
    depth = 0
    while at < len(pattern):
        char = pattern[at]
        at += 2 if char == "\\" else 1
        depth += (char == "[") - (char == "]")
        if depth == 0:
            break
    return at
