"""What would change: the same messages judged and mapped by two versions of the declarations, output by output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any

from hub import documents
from hub.errors import Damaged, Gone
from hub.finding import Finding, rejects
from hub.golden.cases import FINDINGS, Difference, lines
from hub.golden.compare import Change, changes
from hub.golden.corpus import Item
from hub.judging import Judged, judge, made, nodes_of, way
from hub.opening import OpenedMessage
from hub.site.site import Site

SAME, CHANGED, REFUSED, ACCEPTED, ERROR = WORDS = ("same", "changed", "refused", "accepted", "error")
"""What becomes of a message: `refused` and `accepted` are new, `error` could not be looked at."""


@dataclass(frozen=True, slots=True)
class Told:
    """One message, or one output of it.

    item         which part of the corpus
    message      its reference (0062), of several that are mapped together each
    by           the kind of a message, the mapping of an output
    kind         what it is
    word         one of WORDS
    differences  `expected` is what the old version gives, `got` the new one
    """

    item: str
    message: str
    by: str
    kind: str
    word: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class _Judged:
    """One message by one version; an interchange that has none is one without `message`."""

    party: str
    findings: tuple[Finding, ...]
    refused: bool
    message: OpenedMessage | None = None

    @property
    def kind(self) -> str:
        if self.message is None:
            return ""
        usage, raw = self.message.usage, self.message.raw
        return usage.name if usage and usage.name else raw.type if raw else ""

    @property
    def system(self) -> str:
        return self.message.usage.system if self.message and self.message.usage else ""


@dataclass(frozen=True, slots=True)
class _Output:
    """What one version makes of messages in one kind; `data` is b"" where it refuses."""

    by: str
    data: bytes
    said: tuple[str, ...]


_MISSING = _Judged("", (), True)
_NOTHING = _Output("", b"", ())
_Pair = tuple[_Judged, _Judged]


def compared(old: Site, new: Site, corpus: Iterable[Item], system: str = "") -> Iterator[Told]:
    """Every message and every output of it, one part of the corpus after the other; perhaps of one system only."""
    for item in corpus:
        try:
            sent = [(file.name, file.party, file.read()) for file in item.files]
        except (OSError, Gone, Damaged) as fault:
            yield Told(item.name, "", "", "", ERROR, (Difference("in", Change("", None, str(fault))),))
            continue
        had = [one for file in sent for one in _judged(old, *file, item.at)]
        has = [one for file in sent for one in _judged(new, *file, item.at)]
        for pairs in _groups(old, new, zip_longest(had, has, fillvalue=_MISSING), item.keeps):
            if system in ("", *(one.system for pair in pairs for one in pair)):
                yield from _told(old, new, item, pairs)


def _judged(site: Site, name: str, party: str, data: bytes, now: datetime) -> Iterator[_Judged]:
    if party and party not in site.parties:
        yield _Judged(party, (Finding("site.unknown_name", found=party, expected=", ".join(site.parties)),), True)
        return
    for one in judge(site, data, party, name, now).interchanges:
        yield from _messages(one)


def _messages(one: Judged) -> Iterator[_Judged]:
    """What is wrong around its messages is told with the first."""
    within = {id(finding) for message in one.opened.messages for finding in message.findings}
    around = (*one.said, *(finding for finding in one.findings if id(finding) not in within))
    if not one.opened.messages:
        yield _Judged(one.party, around, one.word == "rejected")
    for message in one.opened.messages:
        yield _Judged(one.party, (*around, *message.findings), message.rejected or one.opened.rejected, message)
        around = ()


def _groups(old: Site, new: Site, pairs: Iterable[_Pair], keeps: Callable[[str], bool]) -> list[list[_Pair]]:
    """Messages that are mapped together: those of one case, any other alone."""
    groups: dict[tuple[str, int], list[_Pair]] = {}
    for at, (had, has) in enumerate(pairs):
        its = _case(old, had) or _case(new, has)
        if keeps(its):
            groups.setdefault((its, 0 if its else at), []).append((had, has))
    return list(groups.values())


def _case(site: Site, one: _Judged) -> str:
    known = one.message is not None and one.system in site.systems
    return documents.case_of(site, one.party, one.message) if known and one.message else ""


# ---- one group


def _told(old: Site, new: Site, item: Item, pairs: Sequence[_Pair]) -> Iterator[Told]:
    """Its messages, then what is made of them."""
    references = []
    for had, has in pairs:
        message = has.message or had.message
        references.append(message.reference if message else "")
        kind = has.kind or had.kind
        word = _word(not had.refused, not has.refused)
        different = _said(lines(kind, had.findings), lines(kind, has.findings))
        yield Told(item.name, references[-1], kind, kind, _seen(word, different), different)
    before = dict(_outputs(old, [had for had, _ in pairs], item.at))
    after = dict(_outputs(new, [has for _, has in pairs], item.at))
    for kind in dict.fromkeys([*before, *after]):
        told = _between(old, new, kind, before.get(kind, _NOTHING), after.get(kind, _NOTHING))
        by = (after.get(kind) or before[kind]).by
        yield Told(item.name, " + ".join(references), by, kind, *told)


def _outputs(site: Site, judged: Sequence[_Judged], now: datetime) -> Iterator[tuple[str, _Output]]:
    """Every kind that this version can make of what it does not refuse."""
    good = [one for one in judged if not one.refused and one.message]
    nodes = nodes_of(one.message for one in good if one.message)
    sender = next((one.party for one in good if one.party), next(iter(site.parties)))
    for kind in site.kinds:
        steps = way(site, set(nodes), kind)
        if steps:
            data, findings = made(site, nodes, kind, sender, now)
            whole = b"" if rejects(findings) else data  # nothing comes of what was refused on the way
            yield kind, _Output(_mapping(site, nodes, steps), whole, tuple(lines(kind, findings)))


def _mapping(site: Site, nodes: Mapping[str, Any], steps: Sequence[str]) -> str:
    """The mapping of the last step."""
    found = site.mapping_into(steps[-1], {*nodes, *steps[:-1]})
    return found[1].name.removesuffix(".yaml") if found else ""


def _between(old: Site, new: Site, kind: str, had: _Output, has: _Output) -> tuple[str, tuple[Difference, ...]]:
    """The word for an output, and how it differs; its fields only where both versions make it."""
    word = _word(bool(had.data), bool(has.data))
    different = _said(had.said, has.said)
    if had.data and has.data:
        usage = new.kinds[kind] if kind in new.kinds else old.kinds[kind]
        fields = tuple(Difference(kind, change) for change in changes(usage, had.data, has.data))
        different = (*fields, *different)
    return _seen(word, different), different


def _word(before: bool, after: bool) -> str:
    return SAME if before == after else ACCEPTED if after else REFUSED


def _seen(word: str, different: tuple[Difference, ...]) -> str:
    return CHANGED if word == SAME and different else word


def _said(before: Sequence[str], after: Sequence[str]) -> tuple[Difference, ...]:
    """Findings that only one version has."""
    gone = [Change("", line, None) for line in before if line not in after]
    come = [Change("", None, line) for line in after if line not in before]
    return tuple(Difference(FINDINGS, change) for change in (*gone, *come))
