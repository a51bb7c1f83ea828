"""Steps 3 and 4: frame, recognise, verify, read the business keys, check. Findings are collected, never raised."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from hub.edifact import elements, reader, structure
from hub.edifact.model import Envelope, Group, RawMessage, Trailer
from hub.errors import DeclarationError
from hub.finding import Finding, Place, rejects
from hub.identity import xmldsig
from hub.message import Answer, Interchange
from hub.site.model import Party
from hub.site.site import Site, Usage
from hub.xml import gate


@dataclass(frozen=True, slots=True)
class OpenedMessage:
    """One message, read and judged. `node` is what mappings read: a Group or an XML element."""

    reference: str
    usage: Usage | None
    node: Any
    data: bytes
    findings: tuple[Finding, ...] = ()
    raw: RawMessage | None = None
    keys: tuple[tuple[str, str], ...] = ()
    document: str = ""
    function: str = "original"
    content: str = ""  # sha256 without the envelope: what makes a duplicate
    canonical: Any = None
    canonical_data: bytes = b""
    frame: str = ""  # what an EDIFACT message is to be read again with
    charset: str = ""
    answer: Answer | None = None

    @property
    def rejected(self) -> bool:
        return rejects(self.findings)


@dataclass(frozen=True, slots=True)
class Opened:
    """One interchange, read and judged."""

    messages: tuple[OpenedMessage, ...]
    findings: tuple[Finding, ...] = ()
    envelope: Envelope | None = None
    reference: str = ""  # what makes an interchange the same again: recipient and 0020, or the hash

    @property
    def rejected(self) -> bool:
        return rejects(self.findings)


def open(site: Site, interchange: Interchange, data: bytes, now: datetime) -> Opened:
    """Steps 3 and 4 for one interchange of one party."""
    party = site.parties[interchange.party]
    if interchange.size > party.max_size:
        found, expected = str(interchange.size), str(party.max_size)
        return Opened((), (Finding("opening.too_large", Place(), found, expected),))
    if not data.strip():
        return Opened((), (Finding("opening.empty", Place()),))
    if _looks_like_xml(data):
        return _open_xml(site, interchange, data, now)
    return _open_edifact(site, interchange, party, data, now)


def _looks_like_xml(data: bytes) -> bool:
    """True when the first sign behind byte order mark and blanks is `<`, in any encoding that XML may have here."""
    start = data[:1024]
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        start = start[2:].replace(b"\0", b"")
    return start.lstrip(b"\xef\xbb\xbf \t\r\n\0")[:1] == b"<"


def _open_edifact(site: Site, interchange: Interchange, party: Party, data: bytes, now: datetime) -> Opened:
    envelope: Envelope | None = None
    messages: list[OpenedMessage] = []
    findings: list[Finding] = []
    for part in reader.read([data], charset=party.charset or None):
        if isinstance(part, Envelope):
            if envelope is not None:  # one answer speaks of one interchange, and one reference is remembered
                place = Place(tag="UNB", offset=part.offset)
                findings += part.findings
                findings.append(Finding("opening.several", place, part.reference[:40], envelope.reference[:40]))
                break
            envelope = part
            findings.extend(part.findings)
        elif isinstance(part, Trailer):
            findings.extend(part.findings)
        elif envelope is not None:
            messages.append(_check_edifact(site, envelope, part, data, now))
    if envelope is None:
        return Opened((), (*findings, Finding("opening.unknown_format", Place(offset=0), repr(data[:12])[2:-1])))
    wanted = party.edi or interchange.party
    if envelope.sender != wanted:
        place = Place(tag="UNB", segment=1, element=2, component=1)
        findings.append(Finding("opening.sender_mismatch", place, envelope.sender, wanted))
    if party.signed:  # a detached signature has no way in yet, so nobody may rely on one
        findings.append(Finding("signature.missing", Place(tag="UNB", segment=1, offset=envelope.offset)))
    if rejects(findings):
        messages = [replace(m, findings=(*m.findings, *_whole(findings))) for m in messages]
    return Opened(tuple(messages), tuple(findings), envelope, f"{envelope.recipient}/{envelope.reference}")


def _whole(findings: list[Finding]) -> list[Finding]:
    """Errors of the envelope take every message with them."""
    return [finding for finding in findings if finding.severity == "error"]


def _check_edifact(site: Site, envelope: Envelope, raw: RawMessage, data: bytes, now: datetime) -> OpenedMessage:
    key = (raw.type, f"{raw.version}:{raw.release}")
    usage = site.edifact.get(key)
    body = data[raw.offset : raw.end]
    if usage is None or usage.spec is None or usage.directory is None:
        place = Place(message=raw.reference, segment=1, tag="UNH", element=2, offset=raw.offset)
        finding = Finding("opening.unknown_kind", place, f"{raw.type} {key[1]}", ", ".join(sorted(site.kinds)))
        return OpenedMessage(raw.reference, None, None, body, (*raw.findings, finding), raw)
    tree, wrong = structure.build(raw, usage.spec)
    findings = [*raw.findings, *wrong, *elements.check(raw, usage.directory)]
    inner = data[raw.segments[1].offset : raw.segments[-1].offset] if len(raw.segments) > 2 else body
    opened = OpenedMessage(
        raw.reference,
        usage,
        tree,
        body,
        tuple(findings),
        raw,
        content=_sha(inner),
        frame=frame(envelope),
        charset=envelope.charset,
    )
    return opened if opened.rejected else _understand(site, opened, now)


def place_of(message: OpenedMessage) -> Place:
    """Where a message begins in its file."""
    if message.raw is None:
        return Place()
    return Place(message=message.reference, segment=1, tag="UNH", offset=message.raw.offset)


def frame(envelope: Envelope) -> str:
    """UNA and a bare UNB with the separators and the syntax of `envelope`."""
    s = envelope.separators
    una = f"UNA{s.component}{s.element}{s.decimal}{s.release or ' '}{s.repetition or ' '}{s.terminator}"
    unb = ["UNB", f"{envelope.syntax}{s.component}{envelope.version}", "A", "B", f"000101{s.component}0000", "0"]
    return una + s.element.join(unb) + s.terminator


def reread(usage: Usage, data: bytes, frame: str, charset: str) -> Any:
    """The node of a message that was checked before, from its kept bytes."""
    if usage.rule.format == "xml":
        return gate.parse(data)[0]
    parts = reader.read([frame.encode("latin-1"), data], charset=charset or None)
    raw = next(part for part in parts if isinstance(part, RawMessage))
    if usage.spec is None:
        raise DeclarationError(f"{usage.name} has no structure")
    return structure.build(raw, usage.spec)[0]


def _open_xml(site: Site, interchange: Interchange, data: bytes, now: datetime) -> Opened:
    root, findings = gate.parse(data)
    whole = _sha(data)
    if root is None:
        return Opened((), tuple(findings), reference=whole)
    usage = site.xml.get(str(root.tag))
    if usage is None or usage.schema is None:
        found = Finding("opening.unknown_kind", Place(path=str(root.tag)), str(root.tag), ", ".join(site.kinds))
        return Opened((), (*findings, found), reference=whole)
    findings = [*findings, *usage.schema.check(root)]
    if xmldsig.has_signature(root):
        verified = xmldsig.verify(data, interchange.party, site.register, now)
        findings.extend(verified.findings)
        if not rejects(findings):
            root, again = gate.parse(verified.signed)
            findings.extend(again)
    elif site.parties[interchange.party].signed:
        findings.append(Finding("signature.missing", Place(path=str(root.tag))))
    opened = OpenedMessage(interchange.name, usage, root, data, tuple(findings), content=whole)
    return Opened((opened if opened.rejected else _understand(site, opened, now),), reference=whole)


def _understand(site: Site, opened: OpenedMessage, now: datetime) -> OpenedMessage:
    """The business keys, the canonical document, and what an answer says."""
    usage = opened.usage
    if usage is None:
        return opened
    rule, node = usage.rule, opened.node
    findings = list(opened.findings)
    canonical, canonical_data, speaks = None, b"", usage
    if rule.becomes:
        mapping = site.mappings[usage.name, rule.becomes]
        speaks = site.kinds[rule.becomes]
        canonical, wrong = mapping.apply({"": node}, site.context(now))
        findings.extend(wrong)
        if canonical is not None and not rejects(wrong):
            canonical_data, wrong = speaks.write(canonical)
            findings.extend(wrong)
    source = canonical if canonical is not None else node
    keys = tuple((name, speaks.value(source, path)) for name, path in speaks.rule.keys.items())
    function = "original"
    if speaks.rule.function:
        code = speaks.value(source, speaks.rule.function.from_)
        table = site.tables.get(speaks.rule.function.map)
        function = table.get(code, code) if table else code
    return replace(
        opened,
        findings=tuple(findings),
        canonical=canonical,
        canonical_data=canonical_data,
        keys=keys,
        document=speaks.value(source, speaks.rule.document) if speaks.rule.document else "",
        function=function or "original",
        answer=_answer(usage, node),
    )


def _answer(usage: Usage, node: Group | Any) -> Answer | None:
    rule = usage.rule.answers
    if rule is None:
        return None
    said = usage.value(node, rule.verdict.from_)
    accepted = True if said in rule.verdict.accepted else False if said in rule.verdict.refused else None
    reasons: tuple[tuple[str, str], ...] = ()
    if rule.reasons:
        parts = usage.parts(node, rule.reasons.each)
        code, text = rule.reasons.code, rule.reasons.text
        reasons = tuple((usage.inner(part, code), usage.inner(part, text)) for part in parts)
    by = {name: usage.value(node, path) for name, path in rule.by.items()}
    number = usage.value(node, rule.number) if rule.number else ""
    return Answer(rule.level, accepted, "", by, number, reasons)


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
