"""A guide: one party's tightened or loosened rules for a kind, beside the standard.

`narrowed` finds what the guide asks beyond the standard; `judged` then decides on all findings, each by the first rule
that takes it. Decisions are recorded in the finding itself: `args` has by (file:line), as (warn, repair, reject),
because (the reason that the guide gives) and tell. Where nothing is said the standard holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Literal

from hub.edifact.model import Separators
from hub.edifact.tokenizer import KEEP
from hub.finding import Finding
from hub.standards.narrowing import Narrowing
from hub.standards.tolerance import Message, Tolerance

Accept = Literal["all", "each"]
_STANDARD = Separators()


@dataclass(frozen=True, slots=True)
class Write:
    """How EDIFACT is written to a party. `charset` is a Python codec; "": the one of `syntax`."""

    una: bool = False
    syntax: str = "UNOC"  # 0001
    version: str = "3"  # 0002
    charset: str = ""
    separators: Separators = _STANDARD


PLAIN = Write()


@dataclass(frozen=True, slots=True)
class Guide:
    """What holds for one party and one kind on one day, from every file that speaks of them. Without rules: nothing.

    `accept`: with `each` good messages of an interchange go on although others are refused; with `all` none does.
    """

    tolerances: tuple[Tolerance, ...] = ()
    narrowings: tuple[Narrowing, ...] = ()
    charset: str = ""  # of what the party sends, a Python codec; "": as UNB says
    write: Write = PLAIN
    accept: Accept = "each"

    def narrowed(self, node: Any) -> list[Finding]:
        """What the guide has against a message, a Group or the root element of a document; at most KEEP findings."""
        if not self.narrowings:
            return []
        return list(islice(chain.from_iterable(rule.check(node) for rule in self.narrowings), KEEP))

    def judged(self, findings: Iterable[Finding], node: Any = None) -> tuple[Finding, ...]:
        """The findings as decided, in their order. Without `node`, for what lies around messages, no path leads
        anywhere: only rules without `at` decide."""
        if not self.tolerances:
            return tuple(findings)
        message = Message(node)
        decided = (self._decided(finding, message) for finding in findings)
        return tuple(finding for finding in decided if finding is not None)

    def checked(self, findings: Iterable[Finding], node: Any) -> list[Finding]:
        """What is left of the standard's findings about a message and the guide's own, all decided on."""
        return list(self.judged([*findings, *self.narrowed(node)], node))

    def _decided(self, finding: Finding, message: Message) -> Finding | None:
        rule = next((rule for rule in self.tolerances if rule.takes(finding, message)), None)
        return finding if rule is None else rule.applied(finding)


STRICT = Guide()
"""No guide: the standard alone."""
