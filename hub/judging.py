"""Judge, answer or translate one file as the hub would, without a hub: `eport validate`, `answer`, `translate`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

from hub import delivery, opening, rejection, replies, routing
from hub.edifact import reader
from hub.finding import Finding, rejects
from hub.message import Interchange
from hub.opening import Asked, Opened, OpenedMessage
from hub.packed import unpacked
from hub.site.site import Site

FORMLESS = ("opening.empty", "opening.unknown_format", "edifact.unb_missing", "xml.empty")
"""What is neither EDIFACT nor XML, or has no envelope."""
ANYBODYS = Asked(sender=False, signature=False, kind=False)
ITS_OWN = Asked(signature=False)  # no register of certificates is at hand


@dataclass(frozen=True, slots=True)
class Judged:
    """One interchange of a file. `findings` are at their places in `opened.data`, `said` and `told` at those in the
    file: `said` is what stands before and behind the interchange, `told` everything."""

    party: str
    opened: Opened
    said: tuple[Finding, ...] = ()
    base: int = 0

    @property
    def findings(self) -> list[Finding]:
        return self.opened.every()

    @property
    def told(self) -> list[Finding]:
        return [*self.said, *(rejection.moved(finding, self.base) for finding in self.findings)]

    @property
    def word(self) -> str:
        return _word(self.told)

    def as_json(self, lang: str) -> dict[str, Any]:
        envelope = self.opened.envelope
        return {
            "sender": envelope.sender if envelope else self.party,
            "recipient": envelope.recipient if envelope else "",
            "reference": envelope.reference if envelope else "",
            "messages": [_message(message) for message in self.opened.messages],
            "findings": rejection.as_rows(self.told, lang),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """accepted, accepted-with-warnings or rejected, and why: each interchange of a file."""

    interchanges: tuple[Judged, ...]

    @property
    def findings(self) -> list[Finding]:
        return [finding for one in self.interchanges for finding in one.told]

    @property
    def messages(self) -> list[OpenedMessage]:
        return [message for one in self.interchanges for message in one.opened.messages]

    @property
    def word(self) -> str:
        return _word(self.findings)

    @property
    def formless(self) -> bool:
        """True for what is neither EDIFACT nor XML, or has no envelope."""
        return any(
            finding.code in FORMLESS for one in self.interchanges for finding in one.told if not one.opened.envelope
        )

    def as_json(self, lang: str) -> dict[str, Any]:
        """For programs, its words in one language."""
        return {"verdict": self.word, "interchanges": [one.as_json(lang) for one in self.interchanges]}


def _word(findings: Sequence[Finding]) -> str:
    return "rejected" if rejects(list(findings)) else "accepted-with-warnings" if findings else "accepted"


def _message(message: OpenedMessage) -> dict[str, str]:
    raw, usage = message.raw, message.usage
    return {
        "reference": message.reference,
        "type": raw.type if raw else usage.rule.root if usage else "",
        "release": f"{raw.version}:{raw.release}" if raw else "",
        "kind": usage.name if usage else "",
        "verdict": _word(message.findings),
    }


def judge(site: Site, data: bytes, party: str = "", name: str = "", now: datetime | None = None) -> Verdict:
    """The verdict on a file: as the hub would judge what `party` sends; without it by the guide of whoever UNB names,
    and who sent it is not asked."""
    return Verdict(tuple(_judged(site, data, party, name, now or datetime.now(UTC))))


def _judged(site: Site, data: bytes, party: str, name: str, now: datetime) -> Iterator[Judged]:
    sender = site.parties[party] if party else opening.STRANGER
    packed = data.startswith(opening.GZIP) and not party  # whether that is agreed is not asked
    content = unpacked(data, sender.max_size) if packed else opening.content_of(sender, data)
    if isinstance(content, Finding):
        yield Judged(party, Opened((), (content,)))
        return
    edifact = opening.format_of(site, name, content) == "edifact"
    pieces = reader.pieces(content, sender.charset or None) if edifact else []
    if len(pieces) < 2:
        yield _one(site, content, party, name, now)
        return
    for piece in pieces:
        judged = _one(site, piece.data, party, name, now)
        yield Judged(judged.party, judged.opened, piece.said, piece.base)


def _one(site: Site, data: bytes, party: str, name: str, now: datetime) -> Judged:
    by = party or _named(site, data)
    one = Interchange("X", "", by, name, "", "", len(data), now)
    return Judged(by, opening.open(site, one, data, now, ITS_OWN if party else ANYBODYS))


def _named(site: Site, data: bytes) -> str:
    """The party that UNB names as the sender; "" for a stranger."""
    envelope = reader.envelope(data)
    named = envelope.sender if envelope else ""
    return next((name for name, party in site.parties.items() if named and named in (party.edi or name,)), "")


def answered(site: Site, verdict: Verdict) -> list[replies.Answer]:
    """What the sender of the file would get back, interchange by interchange."""
    numbers, now = count(1), datetime.now(UTC)
    return [
        answer
        for one in verdict.interchanges
        for answer in replies.answers(site.parties.get(one.party, opening.STRANGER), one.opened, numbers.__next__, now)
    ]


def translated(site: Site, data: bytes, kind: str) -> tuple[bytes, list[Finding]]:
    """The file as a message of `kind`, by way of the canonical documents between; b"" with the reasons."""
    now = datetime.now(UTC)
    if kind not in site.kinds:
        return b"", [Finding("site.unknown_name", found=kind, expected=", ".join(sorted(site.kinds)))]
    party = _named(site, data) or next(iter(site.parties))
    opened = opening.open(site, Interchange("X", "", party, "", "", "", len(data), now), data, now, ANYBODYS)
    findings = opened.every()
    if rejects(findings):
        return b"", findings
    written, wrong = made(site, nodes_of(opened.messages), kind, party, now)
    return written, [*findings, *wrong]


def nodes_of(messages: Iterable[OpenedMessage]) -> dict[str, Any]:
    """What messages can be mapped from, by kind: themselves, and the canonical documents that they became."""
    known = [m for m in messages if m.usage and m.usage.name]
    found = {m.usage.name: m.node for m in known if m.usage}
    return found | {m.usage.rule.becomes: m.canonical for m in known if m.usage and m.canonical is not None}


def made(site: Site, nodes: dict[str, Any], kind: str, sender: str, now: datetime) -> tuple[bytes, list[Finding]]:
    """The bytes of a message of `kind`, as whoever reads it would get them; b"" with the reasons."""
    nodes, findings = between(site, nodes, kind, now)
    leg = routing.Leg(_reader(site, kind), kind, None)
    source = delivery.Source("X", nodes, {}, sender, (), "")
    written, wrong = delivery.render(site, source, leg, "E000000000", now)
    findings += wrong
    return (b"" if rejects(findings) else written), findings


def between(site: Site, nodes: dict[str, Any], kind: str, now: datetime) -> tuple[dict[str, Any], list[Finding]]:
    """`nodes` with the documents that are to be made on the way to `kind`."""
    findings: list[Finding] = []
    nodes = dict(nodes)
    for step in way(site, set(nodes), kind)[:-1]:
        found = site.mapping_into(step, set(nodes))
        if found is not None:
            sources = {alias: nodes[name] for alias, name in found[1].sources.items()}
            nodes[step], wrong = found[1].apply(sources, site.context(now, case=""))
            findings += wrong
    return nodes, findings


def way(site: Site, have: set[str], kind: str, seen: frozenset[str] = frozenset()) -> list[str]:
    """The kinds to make one after the other, `kind` last, from those we have; [] where it cannot be made."""
    if kind in seen:
        return []
    if site.mapping_into(kind, have) is not None:
        return [kind]
    for sources, target in site.mappings:
        if target == kind:
            missing = [name for name in sources.split(",") if name not in have]
            ways = [way(site, have, name, seen | {kind}) for name in missing]
            if all(ways):
                return [*dict.fromkeys(step for way in ways for step in way), kind]
    return []


def _reader(site: Site, kind: str) -> str:
    """A party that a route gives this kind to, else the port itself."""
    readers = (party for r in site.routes.routes.values() for party, made in r.to.items() if made == kind)
    return next((party for party in readers if party in site.parties), site.routes.port)
