"""What a guide makes of findings: warn, ignore, reject or repair, by code and place.

Real traffic fails a strict check three times out of four, so the agreement decides and not the code. What keeps the
hub safe, or what makes it unsure of what was sent, is no matter of agreement: only findings about content can be
tolerated, and of these none of NEVER.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from hub.edifact.model import Group, Segment
from hub.finding import Finding
from hub.standards.aim import Aim, values

Decision = Literal["warn", "ignore", "reject", "repair"]

ROOMS = ("edifact", "xml", "guide")
"""Rooms of the catalogue whose findings are about content. No other can be tolerated: signatures, identity, size."""

NEVER = frozenset(
    (
        # bytes that cannot be read for certain
        "edifact.undecodable",
        "edifact.charset_unsupported",
        "edifact.separator_in_charset",
        "edifact.encoding",
        "edifact.una_invalid",
        "edifact.una_differs",
        "edifact.syntax_version",
        "edifact.nul",
        "edifact.cut",
        "edifact.release_at_end",
        "edifact.empty",
        "edifact.no_interchange",
        "edifact.unb_missing",
        "xml.encoding",
        "xml.undecodable",
        "xml.empty",
        "xml.not_well_formed",
        "xml.truncated",
        "xml.truncated",
        # limits and attacks
        "edifact.limit",
        "xml.dtd",
        "xml.too_large",
        "xml.too_deep",
        "xml.too_many_elements",
        "xml.too_many_attributes",
        "xml.too_many_namespaces",
        "xml.too_many_asides",
        "xml.too_long",
        "xml.too_many_namespaces",
        "xml.too_many_asides",
        "xml.too_long",
        # without these nothing can be answered, or told apart
        "edifact.unb_incomplete",
        "edifact.ung_incomplete",
        "edifact.unh_incomplete",
        "edifact.unt_missing",
        "edifact.duplicate_reference",
        # content that would be passed over unseen
        "edifact.package",
        "edifact.interactive",
        "edifact.security",
        # `accept: each` says it
        "guide.batch",
    )
)

REPAIRS = frozenset(
    (
        "edifact.unt_count",
        "edifact.unt_reference",
        "edifact.une_count",
        "edifact.une_reference",
        "edifact.unz_count",
        "edifact.unz_reference",
    )
)
"""Findings whose right value the hub knows itself: it has counted, and the header has named the reference."""

VALUED = frozenset(
    (
        "edifact.code_unknown",
        "edifact.code_usual",
        "edifact.character_type",
        "edifact.decimal_invalid",
        "edifact.decimal_digit_missing",
        "edifact.date_invalid",
        "edifact.element_too_long",
        "edifact.element_too_short",
        "edifact.segment_unexpected",
        "edifact.segment_repeats",
        "edifact.group_repeats",
        "guide.code",
        "guide.identifier",
        "guide.too_long",
        "guide.too_short",
        "xml.value",
        "xml.identifier",
    )
)
"""Findings whose `found` is what the sender wrote: `values` can choose among them."""

LENGTHS = frozenset(("edifact.element_too_long", "guide.too_long"))
"""Findings that `upto` can be said of."""

WHOLE = re.compile(r"edifact\.(un[abehtz]_|interchange_|groups_|data_after)")
"""Findings about envelopes, trailers and what lies around them: no path leads there."""


def tolerable(code: str) -> bool:
    """True when a guide may speak of findings with this code."""
    return code.split(".")[0] in ROOMS and code not in NEVER


@dataclass(frozen=True, slots=True)
class Tolerance:
    """One rule. Without `at` it is for any place, without `values` for any value; `upto` is a length, 0 for any."""

    code: str
    decision: Decision
    at: str = ""
    aims: tuple[Aim, ...] = ()
    values: frozenset[str] = frozenset()
    upto: int = 0
    by: str = ""  # file:line
    why: str = ""
    tell: bool = False  # the sender is told although nothing is refused
    number: int = 0  # which rule of its file, from 0

    def takes(self, finding: Finding, message: Message) -> bool:
        """True when this rule decides on the finding."""
        if finding.code != self.code or (self.values and finding.found not in self.values):
            return False
        if self.aims and not message.lies(finding, self):
            return False
        return not self.upto or message.length(finding) <= self.upto

    def applied(self, finding: Finding) -> Finding | None:
        """The finding as decided, with who decided; None when it is ignored."""
        if self.decision == "ignore":
            return None
        said = {"by": self.by, "as": self.decision, "because": self.why, "tell": "yes" if self.tell else ""}
        severity: Literal["error", "warning"] = "error" if self.decision == "reject" else "warning"
        return replace(finding, severity=severity, args={**finding.args, **said})

    def covers(self, other: Tolerance) -> bool:
        """True when this rule decides on everything that `other` would, so that `other`, behind it, never does."""
        if self.code != other.code or (self.upto and not 0 < other.upto <= self.upto):
            return False
        if self.values and not (other.values and other.values <= self.values):
            return False
        return not self.aims or bool(
            other.aims and all(any(mine.covers(its) for mine in self.aims) for its in other.aims)
        )


def decisions(findings: Iterable[Finding]) -> str:
    """What guides have decided on these findings, for the journal: code, file:line, decision; each once."""
    said = (f"{f.code} {f.args['by']} {f.args['as']}" for f in findings if "by" in f.args)
    return "; ".join(dict.fromkeys(said))[:500]


class Message:
    """A message as tolerances look at it: which nodes lead to the place of a finding. Found when first asked for."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._chains: dict[int, tuple[Any, ...]] | None = None

    def lies(self, finding: Finding, rule: Tolerance) -> bool:
        """True when the finding's place is one of the rule's, or within it."""
        if "at" in finding.args and finding.args["at"] == rule.at:
            return True
        if not isinstance(self._node, Group):
            return self._xml(finding, rule.aims)
        place = finding.place
        if finding.code == "edifact.segment_missing":
            missed, chain = finding.expected.split(" ")[0], self._chain(place.segment)
            return any(_misses(aim, missed, chain) for aim in rule.aims)
        for aim in rule.aims:
            inside = aim.element in (0, place.element) and aim.component in (0, place.component)
            if inside and (aim.tag == place.tag if aim.anywhere else _leads(aim, self._chain(place.segment))):
                return True
        return False

    def length(self, finding: Finding) -> int:
        """Characters of the value that the finding is about; of a number only its digits."""
        if "length" in finding.args:
            return int(finding.args["length"])
        place = finding.place
        chain = self._chain(place.segment)
        if not chain or not place.element:
            return len(finding.found)
        spot = Aim((), place.element, place.component or 0)
        sizes = [
            len(_digits(value) if finding.expected.startswith("n") else value) for value in values(chain[-1], spot)
        ]
        return max(sizes, default=len(finding.found))

    def _chain(self, number: int | None) -> tuple[Any, ...]:
        """The groups and the segment that lead to a segment's number; () for one that is not in the tree."""
        if self._chains is None:
            self._chains = {}
            if isinstance(self._node, Group):
                self._chains.update(_chains(self._node, ()))
        return self._chains.get(number or 0, ())

    def _xml(self, finding: Finding, aims: tuple[Aim, ...]) -> bool:
        chain = _ancestors(self._node, finding.place.path or "")
        if chain is None:
            return False
        for aim in aims:
            if finding.code == "xml.element_missing" and _misses(aim, finding.expected, chain):
                return True
            if _leads(aim, chain) and aim.attribute in ("", finding.found):
                return True
        return False


def _chains(group: Group, above: tuple[Any, ...]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    for parts in group.parts.values():
        for part in parts:
            if isinstance(part, Segment):
                yield part.number, (*above, part)
            else:
                yield from _chains(part, (*above, part))


def _leads(aim: Aim, chain: tuple[Any, ...]) -> bool:
    """True when the levels of the aim are the first of the chain."""
    if len(aim.levels) > len(chain):
        return False
    return all(level.name == _name(node) and level.fits(node) for level, node in zip(aim.levels, chain, strict=False))


def _misses(aim: Aim, key: str, chain: tuple[Any, ...]) -> bool:
    """True when what is missing, `key` (a group, a segment or the local name of an element), is what the aim names."""
    if aim.inner or not aim.levels:
        return False
    above = aim.levels[: len(aim.levels) - 1 - aim.begins]
    named = aim.levels[len(above)].name.rpartition("}")[2]
    return key in (named, aim.tag) and _leads(Aim(above), chain)


def _name(node: Any) -> str:
    if isinstance(node, Segment):
        return node.tag
    return node.name if isinstance(node, Group) else str(node.tag)


def _digits(value: str) -> str:
    return "".join(sign for sign in value if sign not in "-.,")


_STEP = re.compile(r"(?:[\w.-]+:)?([\w.-]+|\*)(\[[0-9]+\])?")


def _ancestors(root: Any, path: str) -> tuple[Any, ...] | None:
    """The elements from below the root to the one at an XPath as libxml2 writes it; None when there is none."""
    steps = [_STEP.fullmatch(step) for step in path.split("/")[1:]]
    if root is None or not steps or not all(steps):
        return None
    written = ("*" if m[1] == "*" else f"*[local-name()='{m[1]}']" for m in steps if m)
    query = "/" + "/".join(f"{name}{m[2] or ''}" for name, m in zip(written, [m for m in steps if m], strict=True))
    at = root.getroottree().xpath(query)
    if not at:
        return None
    chain = [at[0], *at[0].iterancestors()]
    return tuple(reversed(chain[:-1]))
