"""Patterns of a schema (xs:pattern) that a backtracking engine could match for hours: `(a+)+b` on a row of 40 a.

libxml2, which judges messages, builds automata and does not mind; xmlschema, which explains them to people, uses
Python's engine. So such a pattern is refused when the schema is read.

A pattern becomes an automaton with one state per character class and an edge for each way from one to the next. It
explodes when a loop can be gone through in two ways with the same text (exponential ambiguity): when, in the automaton
run twice side by side, two runs part and meet again in the state that they parted in.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

_SAMPLE = [*map(chr, range(32, 127)), *"\t\n\réпΩ中ア٣，　€𠀀\u00a0\u0301"]
"""Characters that stand for all: classes meet where one of these, or one that the pattern names, is in both."""

_COPIES = 64  # of what is counted exactly and has no loop in it; more are as good as endless
_FEW = 4  # a counted choice up to here is written out, above it is as good as endless
_STATES = 400  # a pattern with more is not looked into and passes for explosive
_INITIAL = frozenset("_:")
_NAME = frozenset("_:.-·")


class _Part(NamedTuple):
    """A piece of the automaton: where it begins and ends, each with the number of ways; whether it can be empty."""

    first: tuple[int, ...]
    last: tuple[int, ...]
    empty: bool


@lru_cache(maxsize=1024)
def explosive(pattern: str) -> bool:
    """True where some text can be matched in exponentially many ways, and where that cannot be told."""
    try:
        machine = _Machine(pattern)
        machine.read()
    except (_Unclear, RecursionError):
        return True
    return machine.ambiguous()


class _Unclear(Exception):
    """The pattern is too large or not one of XML Schema."""


class _Machine:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.sample = [*dict.fromkeys([*_SAMPLE, *pattern])]
        self.every = (1 << len(self.sample)) - 1
        self.loops = 0
        self.masks: list[int] = []  # by state: which characters of the sample it takes
        self.edges: list[list[int]] = []  # by state: the next ones, twice where there are two ways

    # ---- reading

    def read(self) -> None:
        self._choice()
        if self.at < len(self.pattern):
            raise _Unclear

    def _choice(self) -> _Part:
        parts = [self._row()]
        while self._next("|"):
            parts.append(self._row())
        first = tuple(state for part in parts for state in part.first)
        last = tuple(state for part in parts for state in part.last)
        return _Part(first, last, any(part.empty for part in parts))

    def _row(self) -> _Part:
        row = _Part((), (), True)
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            row = self._join(row, self._counted())
        return row

    def _join(self, one: _Part, other: _Part) -> _Part:
        self._link(one.last, other.first)
        first = one.first + other.first if one.empty else one.first
        last = one.last + other.last if other.empty else other.last
        return _Part(first, last, one.empty and other.empty)

    def _link(self, last: tuple[int, ...], first: tuple[int, ...]) -> None:
        for state in last:
            self.edges[state].extend(first)

    def _counted(self) -> _Part:
        start, loops, part = self.at, self.loops, self._atom()
        end, looped = self.at, self.loops > loops
        least, most = self._quantifier()
        if most == 1:
            return part._replace(empty=part.empty or least == 0)
        if most is not None and most > _FEW and part.empty:
            raise _Unclear  # so many nothings: (a?){30}
        if most is not None and not looped and (least == most <= _COPIES or most <= _FEW):
            for number in range(1, most):
                behind, self.at = self.at, start
                again = self._atom()
                self.at = max(behind, end)
                part = self._join(part, again._replace(empty=again.empty or number >= least))
            return part._replace(empty=part.empty or least == 0)
        self._link(part.last, part.first)
        self.loops += 1
        return part._replace(empty=part.empty or least == 0)

    def _quantifier(self) -> tuple[int, int | None]:
        if self._next("?"):
            return 0, 1
        if self._next("*"):
            return 0, None
        if self._next("+"):
            return 1, None
        if not self._next("{"):
            return 1, 1
        end = self.pattern.find("}", self.at)
        least, comma, most = self.pattern[self.at : end].partition(",")
        self.at = end + 1
        if end < 0 or not least.isdecimal() or not (most.isdecimal() or not most):
            raise _Unclear
        return int(least), int(most) if most else (None if comma else int(least))

    def _atom(self) -> _Part:
        if self._next("("):
            part = self._choice()
            if not self._next(")"):
                raise _Unclear
            return part
        if len(self.masks) >= _STATES:
            raise _Unclear
        self.masks.append(self._class() if self._next("[") else self._single())
        self.edges.append([])
        state = (len(self.masks) - 1,)
        return _Part(state, state, False)

    def _next(self, sign: str) -> bool:
        found = self.pattern.startswith(sign, self.at)
        self.at += found
        return found

    # ---- characters

    def _mask(self, takes: Callable[[str], bool]) -> int:
        return sum(1 << at for at, char in enumerate(self.sample) if takes(char))

    def _range(self, low: str, high: str) -> int:
        return self._mask(lambda char: low <= char <= high)

    def _single(self) -> int:
        char = self._take()
        if char == ".":
            return self._mask(lambda c: c not in "\n\r")
        return self._escape() if char == "\\" else self._range(char, char)

    def _take(self) -> str:
        if self.at >= len(self.pattern):
            raise _Unclear
        self.at += 1
        return self.pattern[self.at - 1]

    def _class(self) -> int:
        """Behind [: characters, ranges, escapes; a class taken from it, [a-z-[aeiou]]."""
        negative, mask = self._next("^"), 0
        while not self._next("]"):
            if self.pattern.startswith("-[", self.at):
                self.at += 2
                taken = self._class()
                mask = (self.every & ~mask if negative else mask) & ~taken
                if not self._next("]"):
                    raise _Unclear
                return mask
            char = self._take()
            if char == "\\":
                mask |= self._escape()
            elif self.pattern.startswith("-", self.at) and not self.pattern.startswith(("-]", "-["), self.at):
                self.at += 1
                end = self._take()
                end = self._take() if end == "\\" else end
                mask |= self._range(char, end)
            else:
                mask |= self._range(char, char)
        return self.every & ~mask if negative else mask

    def _escape(self) -> int:
        char = self._take()
        if char in "pP":
            end = self.pattern.find("}", self.at)
            name = self.pattern[self.at + 1 : end]
            self.at = end + 1
            mask = (
                self.every if name.startswith("Is") else self._mask(lambda c: unicodedata.category(c).startswith(name))
            )
            return self.every & ~mask if char == "P" and not name.startswith("Is") else mask
        plain = {"n": "\n", "r": "\r", "t": "\t"}
        known: dict[str, Callable[[str], bool]] = {
            "d": str.isdecimal,
            "s": lambda c: c in " \t\n\r",
            "w": lambda c: unicodedata.category(c)[0] not in "PZC",
            "i": lambda c: c.isalpha() or c in _INITIAL,
            "c": lambda c: c.isalnum() or c in _NAME,
        }
        takes = known.get(char.lower())
        if takes is None:
            return self._mask(lambda c: c == plain.get(char, char))
        mask = self._mask(takes)
        return self.every & ~mask if char.isupper() else mask

    # ---- judging

    def ambiguous(self) -> bool:
        """True when two runs can part in a state and meet there again with the same text."""
        for state in range(len(self.masks)):
            parted = self._parted(state)
            if parted and self._meet(parted, state):
                return True
        return False

    def _parted(self, state: int) -> set[tuple[int, int]]:
        """Where two runs can be one character after they part in `state`; the same state twice if by two ways."""
        nexts = self.edges[state]
        return {
            (one, other)
            for at, one in enumerate(nexts)
            for other in nexts[at + 1 :]
            if self.masks[one] & self.masks[other]
        }

    def _meet(self, parted: set[tuple[int, int]], state: int) -> bool:
        seen, open_ = set(parted), [*parted]
        while open_:
            one, other = open_.pop()
            if one == other == state:
                return True
            for a in set(self.edges[one]):
                for b in set(self.edges[other]):
                    if self.masks[a] & self.masks[b] and (a, b) not in seen:
                        seen.add((a, b))
                        open_.append((a, b))
        return False
