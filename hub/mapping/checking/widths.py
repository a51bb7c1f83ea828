"""How many characters a pattern of XML Schema matches."""

from __future__ import annotations

import re
from functools import lru_cache

_ATOM = re.compile(r"\\[pP]\{[^}]*\}|\\.|\[(?:\\.|[^\]\\])+\]|[^|()?*+{}]", re.S)
_TIMES = re.compile(r"[?*+]|\{([0-9]+)(,?)([0-9]*)\}")
_ENDLESS = 1_000_000


@lru_cache(maxsize=1024)
def width(pattern: str) -> tuple[int, int]:
    """(fewest, most) characters; most is 0 where there is no bound or the pattern is not understood."""
    try:
        least, most, at = _choice(pattern, 0)
    except (ValueError, RecursionError):
        return 0, 0
    return (least, most if most < _ENDLESS else 0) if at == len(pattern) else (0, 0)


def _choice(pattern: str, at: int) -> tuple[int, int, int]:
    least, most, at = _row(pattern, at)
    while at < len(pattern) and pattern[at] == "|":
        fewer, more, at = _row(pattern, at + 1)
        least, most = min(least, fewer), max(most, more)
    return least, most, at


def _row(pattern: str, at: int) -> tuple[int, int, int]:
    least = most = 0
    while at < len(pattern) and pattern[at] not in "|)":
        if pattern[at] == "(":
            one, ones, at = _choice(pattern, at + 1)
            if not pattern.startswith(")", at):
                raise ValueError(pattern)
            at += 1
        else:
            atom = _ATOM.match(pattern, at)
            if atom is None:
                raise ValueError(pattern)
            one, ones, at = 1, 1, atom.end()
        times = _TIMES.match(pattern, at)
        fewest, often = _counted(times)
        at = times.end() if times else at
        least, most = least + one * fewest, most + ones * often
    return least, most, at


def _counted(times: re.Match[str] | None) -> tuple[int, int]:
    if times is None:
        return 1, 1
    if times[0] in "?*+":
        return int(times[0] == "+"), 1 if times[0] == "?" else _ENDLESS
    return int(times[1]), int(times[3]) if times[3] else _ENDLESS if times[2] else int(times[1])
