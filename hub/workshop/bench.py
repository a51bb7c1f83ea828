"""From a source and a mapping, as they are being written, to the output, its fields and everything that is found."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from hub import delivery
from hub.catalogue import describe, where
from hub.edifact import elements, places, reader, structure, writer
from hub.edifact.model import Envelope, RawMessage
from hub.finding import Finding
from hub.golden.compare import pretty
from hub.judging import Verdict, judge
from hub.lineage.documents import Field, Made
from hub.lineage.explain import Output, explained
from hub.lineage.sources import Received
from hub.mapping.lineage import Origin
from hub.site.site import Site, Usage
from hub.workshop.draft import Drafts
from hub.workshop.meaning import Meanings, Row
from hub.workshop.spans import Sheet, Span
from hub.xml import encoding, gate

MOST_OUTPUTS, MOST_FINDINGS = 20, 500
"""Documents of one source that are shown, and findings."""


@dataclass(frozen=True)
class Written:
    """One output as it is shown, read again so that each value has its place; None where it cannot be read."""

    sheet: Sheet
    received: Received | None = None
    findings: tuple[Finding, ...] = ()

    @cached_property
    def _nodes(self) -> dict[Any, Any]:
        return {mark.steps: node for node, mark in self.received.marks.items()} if self.received else {}

    def span(self, one: Field) -> Span | None:
        """Where a value of the output stands."""
        cell, node = one.cell, self._nodes.get(one.cell.steps)
        if self.received is None or node is None:
            return None
        source = self.received.source(Origin("", node, cell.element, cell.component, cell.attribute))
        return self.sheet.at(source.place, one.value)


@dataclass(frozen=True, slots=True)
class Bench:
    """One mapping file of a site. `source` is the name of the file that is mapped, `codec` how its text is written."""

    drafts: Drafts
    source: str
    codec: str
    lang: str

    def work(self, source: str, mapping: str, now: datetime) -> dict[str, Any]:
        """What the page shows, as JSON takes it: output, kind, fields, findings, meanings. Never raises."""
        draft = self.drafts.draft(mapping)
        site = draft.site or self.drafts.site
        sheet = self.sheet(source)
        verdict = judge(site, sheet.data, name=self.source, now=now)
        usage = next((message.usage for message in verdict.messages if message.usage), None)
        shown = _Shown(self, sheet)
        shown.tell("mapping", draft.findings)
        shown.tell("source", verdict.findings, sheet)
        if draft.site is not None:
            for output in _outputs(draft.site, verdict, self.source, draft.target, now):
                shown.add(draft.site, output, now)
        rows = {"source": shown.meanings.of(site, sheet, usage), "output": shown.meant}
        return {
            "output": shown.text,
            "kind": draft.target,
            "made": bool(shown.text),
            "fields": shown.fields,
            "findings": shown.findings[:MOST_FINDINGS],
            "meanings": {**rows, "texts": shown.meanings.texts},
        }

    def sheet(self, source: str) -> Sheet:
        """The source in its own character set; in UTF-8 where that does not have all its letters."""
        try:
            data, codec = source.encode(self.codec), self.codec
        except UnicodeEncodeError:
            data, codec = source.encode("utf-8", "replace"), "utf-8"
        envelope = reader.envelope(data) if not source.lstrip("\ufeff \r\n\t").startswith("<") else None
        return Sheet(source, data, codec, envelope.separators if envelope else None)


def text_of(data: bytes) -> tuple[str, str]:
    """(text, codec) of a file that is to be shown."""
    envelope = None if data.lstrip().startswith(b"<") else reader.envelope(data)
    codec = envelope.charset if envelope else "utf-8"
    if envelope is None and data.lstrip()[:1] == b"<":
        decoded = encoding.decode(data)
        if isinstance(decoded, str):
            return decoded.replace("\r\n", "\n"), codec
    return data.decode(codec, "replace").replace("\r\n", "\n"), codec


def _outputs(site: Site, verdict: Verdict, name: str, kind: str, now: datetime) -> list[Output]:
    outputs = [one for one in explained(site, verdict, name, now, kind).outputs if one.made.usage.name == kind]
    return outputs[:MOST_OUTPUTS]


@dataclass(slots=True)
class _Shown:
    """What is gathered for the page."""

    bench: Bench
    source: Sheet
    text: str = ""
    fields: list[dict[str, Any]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    meanings: Meanings = field(default_factory=Meanings)
    meant: list[Row] = field(default_factory=list)

    def add(self, site: Site, output: Output, now: datetime) -> None:
        """One output behind those that are there."""
        made = output.made
        self.tell("mapping", [*made.findings, *output.notes])
        if made.node is None:
            return
        written = _written(site, made, output.reader or site.routes.port, now)
        base = _length(self.text)
        self.tell("output", written.findings, written.sheet, base)
        self.fields += [self._field(one, written, base) for one in made.fields]
        rows = self.meanings.of(site, written.sheet, made.usage)
        self.meant += [(start + base, end + base, number) for start, end, number in rows]
        self.text += written.sheet.text

    def tell(self, pane: str, findings: Iterable[Finding], sheet: Sheet | None = None, base: int = 0) -> None:
        for finding in findings:
            line = _line(finding, self.bench.drafts.name)
            span = sheet.at(finding.place) if sheet and not line else None
            what, remedy = describe(finding, self.bench.lang)
            row = {
                "pane": "mapping" if line else pane,
                "code": finding.code,
                "severity": finding.severity,
                "text": what,
                "remedy": remedy,
                "where": where(finding),
                "line": line,
                "span": (span[0] + base, span[1] + base) if span else None,
            }
            if row not in self.findings:
                self.findings.append(row)

    def _field(self, one: Field, written: Written, base: int) -> dict[str, Any]:
        name = self.bench.drafts.name
        span = written.span(one)
        sources = [(self.source.at(source.place, source.value), source.path) for source in one.sources]
        used = [word for step in one.steps for word in (*step.functions, *(f"{r.key} = {r.value}" for r in step.rows))]
        return {
            "target": one.target,
            "value": one.value,
            "out": (span[0] + base, span[1] + base) if span else None,
            "sources": [(*at, path) for at, path in sources if at],
            "lines": list(dict.fromkeys(step.spot.line for step in one.steps if step.spot.file == name)),
            "used": list(dict.fromkeys(used)),
        }


def _length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _line(finding: Finding, name: str) -> int:
    """The line of the mapping file that a finding is about, 0 for none; that of a value is in what is expected."""
    if finding.place.file == name:
        return finding.place.line or 0
    rule = re.fullmatch(re.escape(name) + r":(\d+)", finding.expected)
    return int(rule[1]) if rule else 0


def _written(site: Site, made: Made, party: str, now: datetime) -> Written:
    usage = made.usage
    if usage.rule.format == "edifact":
        return _edifact(site, usage, made.node, party, now)
    data, wrong = usage.write(made.node)
    data = pretty(usage, data)
    sheet = Sheet(data.decode("utf-8", "replace"), data)
    if usage.form is not None:
        documents = usage.form.read(data).documents
        again = Received(usage, documents[0].root, "", data, document=documents[0]) if documents else None
        return Written(sheet, again, tuple(wrong))
    root, _ = gate.parse(data)
    faults = usage.schema.check(root) if usage.schema and root is not None else wrong
    return Written(sheet, None if root is None else Received(usage, root, "", data), tuple(faults))


def _edifact(site: Site, usage: Usage, node: Any, party: str, now: datetime) -> Written:
    guide = site.guide(party, usage.name, site.day(now), usage.rule.association)
    try:
        data = pretty(usage, delivery.interchange(site, usage, node, party, "E000000000", now, guide.write))
    except writer.EncodingLost as lost:
        return Written(Sheet("", b""), None, (Finding("delivery.charset", found=str(lost), expected=party),))
    parts = list(reader.read([data], charset=guide.write.charset or None))
    envelope = next((part for part in parts if isinstance(part, Envelope)), None)
    raw = next((part for part in parts if isinstance(part, RawMessage)), None)
    codec = envelope.charset if envelope else "utf-8"
    sheet = Sheet(data.decode(codec, "replace"), data, codec, envelope.separators if envelope else None)
    if raw is None or envelope is None or usage.spec is None or usage.directory is None:
        return Written(sheet)
    tree, wrong = structure.build(raw, usage.spec)
    told = guide.checked([*raw.findings, *wrong, *elements.check(raw, usage.directory)], tree)
    received = Received(usage, tree, "", data, raw.reference, envelope)
    return Written(sheet, received, places.exact(told, data, envelope))
