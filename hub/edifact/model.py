"""The EDIFACT model: small, native, with positions. No conversion to another tree ever happens.

An element is a list of components (strings, un-escaped). A simple element is a list of one. A repeated element
(syntax 4) is a Repeats: it reads as its first occurrence and carries the others in `more`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hub.finding import Finding

Element = list[str]


class Repeats(list[str]):
    """An element that occurs more than once; itself the first occurrence."""

    __slots__ = ("more",)
    more: list[Element]


Cut = Callable[[str], list[Element]]
"""From text to elements."""


class Segment:
    """One segment. `number`: UNH = 1 in its message, UNB = 1 in its interchange. `offset`: bytes in the file.

    A segment that was read keeps the text behind its tag and is cut into elements when somebody asks for them: until
    then `unread` is that text, and afterwards None.
    """

    __slots__ = ("_cut", "_elements", "number", "offset", "tag", "unread")

    def __init__(
        self,
        tag: str,
        elements: list[Element] | None,
        number: int = 0,
        offset: int = 0,
        text: str = "",
        cut: Cut | None = None,
    ) -> None:
        self.tag = tag
        self._elements = elements
        self.number = number
        self.offset = offset
        self.unread = text if elements is None else None
        self._cut = cut

    @property
    def elements(self) -> list[Element]:
        """The elements behind the tag."""
        found = self._elements
        if found is None:
            found = self._elements = self.fresh()
            self.unread = None
        return found

    @elements.setter
    def elements(self, elements: list[Element]) -> None:
        self._elements = elements
        self.unread = None

    def fresh(self) -> list[Element]:
        """The elements, cut for this caller only: who looks at each segment once need not keep them all."""
        if self.unread is None or self._cut is None:
            return self._elements or []
        return self._cut(self.unread)

    def get(self, element: int, component: int = 1) -> str:
        """The value at `element` (1 = first behind the tag) and `component` (from 1); "" when absent."""
        elements = self._elements
        if elements is None:
            elements = self.elements
        if element <= len(elements):
            parts = elements[element - 1]
            if component <= len(parts):
                return parts[component - 1]
        return ""

    def __repr__(self) -> str:
        return f"{self.tag}+{'+'.join(':'.join(e) for e in self.elements)}'"


class Group:
    """A segment group (or the message itself, name ""): parts by key (`NAD`, `SG7`), each in order of arrival."""

    __slots__ = ("name", "parts")

    def __init__(self, name: str) -> None:
        self.name = name
        self.parts: dict[str, list[Segment | Group]] = {}

    def add(self, key: str, part: Segment | Group) -> None:
        self.parts.setdefault(key, []).append(part)

    def segments(self) -> Iterator[Segment]:
        """Every segment below, group by group."""
        for parts in self.parts.values():
            for part in parts:
                if isinstance(part, Segment):
                    yield part
                else:
                    yield from part.segments()


@dataclass(frozen=True, slots=True)
class Separators:
    """Service characters (UNA). `repetition` is "" below syntax version 4."""

    component: str = ":"
    element: str = "+"
    decimal: str = "."
    release: str = "?"
    repetition: str = ""
    terminator: str = "'"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What UNB says (ISO 9735-3 / -1 §UNB)."""

    syntax: str  # 0001, UNOA …
    version: str  # 0002, "1".."4"
    sender: str
    sender_qualifier: str
    recipient: str
    recipient_qualifier: str
    prepared: str  # 0017 + 0019 as received
    reference: str  # 0020
    application: str = ""  # 0026
    ack_requested: bool = False  # 0031 = 1
    test: bool = False  # 0035: any test
    charset: str = "ascii"  # the Python codec used
    separators: Separators = Separators()
    offset: int = 0
    findings: tuple[Finding, ...] = ()
    receipt_requested: bool = False  # 0031 = 2 (version 4): told that it came, no more


@dataclass(frozen=True, slots=True)
class FunctionalGroup:
    """What UNG says (ISO 9735-1 §UNG). In syntax version 4 only `reference` is mandatory."""

    type: str  # 0038
    sender: str
    sender_qualifier: str
    recipient: str
    recipient_qualifier: str
    reference: str  # 0048
    agency: str  # 0051
    version: str  # 0052
    release: str  # 0054
    offset: int = 0


@dataclass(frozen=True, slots=True)
class RawMessage:
    """UNH … UNT as read: segments with positions, and what is wrong with counts and references."""

    reference: str  # 0062
    type: str  # 0065
    version: str  # 0052
    release: str  # 0054
    agency: str  # 0051
    association: str  # 0057
    segments: list[Segment]
    offset: int  # first byte of UNH
    end: int  # one behind the last byte of UNT's terminator
    findings: tuple[Finding, ...] = ()
    group: FunctionalGroup | None = None  # the UNG it came in
    separators: Separators = Separators()  # what its segments were written with


@dataclass(frozen=True, slots=True)
class Trailer:
    """UNZ as read, or what took its place. `count` is the number of messages (or groups) seen.

    `groups` has every UNG in order of arrival, each with what is wrong with its UNG and UNE; `findings` has not.
    """

    reference: str
    count: int
    end: int
    findings: tuple[Finding, ...] = ()
    groups: tuple[tuple[FunctionalGroup, tuple[Finding, ...]], ...] = ()
