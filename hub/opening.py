"""Steps 3 and 4: frame, recognise, verify, read the business keys, check. Findings are collected, never raised.

What is opened is one interchange: a file of several goes apart before (hub.apart).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from hub import answering
from hub.edifact import elements, places, reader, structure
from hub.edifact.model import Envelope, FunctionalGroup, RawMessage, Trailer
from hub.errors import DeclarationError
from hub.finding import Finding, Place, rejects
from hub.identity import xmldsig
from hub.message import Answer, Interchange
from hub.original import Written
from hub.packed import unpacked
from hub.records import json
from hub.records.tree import Reading, Spot
from hub.site.model import Kind, Party, Title
from hub.site.site import Site, Usage
from hub.standards.guide import Guide
from hub.xml import gate

STRANGER = Party(title=Title(zh="", en=""), role="")
"""Whoever sent what nobody in the port seems to have sent."""
GZIP = b"\x1f\x8b"
"""How gzip begins (RFC 1952)."""
KNOWN = ("edifact.unb_missing", "edifact.cut")
"""What is EDIFACT all the same, though no envelope can be read."""
_BLANKS = b"\xef\xbb\xbf \t\r\n\0"


class Asked(NamedTuple):
    """What is asked beside the standard and the guide.

    sender     is it the one whom UNB names
    signature  is there one where one is agreed, and is it good
    kind       does a system of the site take it; else a message of any directory that is here is judged by that
    """

    sender: bool = True
    signature: bool = True
    kind: bool = True


ALL = Asked()


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
    test: bool = False  # UNB 0035: it reaches nobody productive, and no case

    @property
    def rejected(self) -> bool:
        return rejects(self.findings)


Groups = tuple[tuple[FunctionalGroup, tuple[Finding, ...]], ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """One interchange, read and judged."""

    messages: tuple[OpenedMessage, ...]
    findings: tuple[Finding, ...] = ()
    envelope: Envelope | None = None
    reference: str = ""  # what makes an interchange the same again: recipient and 0020, or the hash
    groups: Groups = ()  # each UNG, with what is wrong with it
    data: bytes = b""  # what was read, unpacked: places count in it
    content: str = ""  # sha256 of UNB to UNZ, or of the document: the same wherever in a file, packed or not
    how: Written | None = None  # how JSON, CSV and flat records are written

    @property
    def rejected(self) -> bool:
        return rejects(self.findings)

    @property
    def written(self) -> Envelope | Written | None:
        """How what was read is written, so that it can be shown; None for XML and what nobody knows."""
        return self.envelope or self.how

    def every(self) -> list[Finding]:
        """All that was found, each once: of the interchange, of its groups, of its messages."""
        parts = [self.findings, *(found for _, found in self.groups), *(m.findings for m in self.messages)]
        seen: dict[int, Finding] = {}
        for finding in (f for part in parts for f in part):  # what takes several messages with it is the same object
            seen.setdefault(id(finding), finding)
        return list(seen.values())


def party_of(site: Site, interchange: Interchange) -> Party:
    """The party that sent it, or one that nothing is agreed with."""
    return site.parties.get(interchange.party, STRANGER)


def agreed(site: Site, interchange: Interchange, kind: str, association: str = "") -> Guide:
    """What held with its sender on the day on which the interchange came; kind "": for what lies around messages."""
    return site.guide(interchange.party, kind, site.day(interchange.received_at), association)


def open(site: Site, interchange: Interchange, data: bytes, now: datetime, asked: Asked = ALL) -> Opened:
    """Steps 3 and 4 for one interchange of one party."""
    party = party_of(site, interchange)
    if interchange.size > party.max_size:
        found, expected = str(interchange.size), str(party.max_size)
        return Opened((), (Finding("opening.too_large", Place(), found, expected),))
    content = content_of(party, data)
    if isinstance(content, Finding):
        return Opened((), (content,))
    if not content.strip():
        return Opened((), (Finding("opening.empty", Place()),))
    how = _OPEN[format_of(site, interchange.name, content)]
    return replace(how(site, interchange, content, now, asked), data=content)


def format_of(site: Site, name: str, data: bytes) -> str:
    """How a file is written: XML, JSON and EDIFACT are what begins as such, CSV and flat records by the file's name."""
    if looks_like_xml(data):
        return "xml"
    start = data[:1024].lstrip(_BLANKS)
    if start[:1] in (b"{", b"["):
        return "json"
    named = None if start.startswith((b"UNA", b"UNB")) else site.of_name(name)
    return named.rule.format if named else "edifact"


def content_of(party: Party, data: bytes) -> bytes | Finding:
    """The bytes to be read: unpacked where the party may send gzip, and else as they came."""
    if not data.startswith(GZIP):
        return data
    return unpacked(data, party.max_size) if party.gzip else Finding("opening.packed", Place(offset=0), "gzip")


def looks_like_xml(data: bytes) -> bool:
    """True when the first sign behind byte order mark and blanks is `<`, in any encoding that XML may have here."""
    start = data[:1024]
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        start = start[2:].replace(b"\0", b"")
    return start.lstrip(_BLANKS)[:1] == b"<"


def read_edifact(
    site: Site, interchange: Interchange, data: bytes, now: datetime, asked: Asked = ALL
) -> Iterator[Envelope | OpenedMessage | Trailer]:
    """An EDIFACT interchange while it is read: its envelope, every message judged, what ended it."""
    envelope: Envelope | None = None
    for part in reader.read([data], charset=agreed(site, interchange, "").charset or None):
        if isinstance(part, RawMessage):
            if envelope is not None:
                checked = _check_edifact(site, interchange, envelope, part, data, now, asked)
                exact = places.exact(checked.findings, data, envelope) if checked.findings else ()
                yield replace(checked, findings=exact) if exact else checked
        elif isinstance(part, Envelope) and envelope is not None:  # it would have gone apart before
            late = Finding("edifact.data_after_unz", Place(tag="UNB", offset=part.offset), found="UNB")
            yield Trailer("", 0, part.offset, (late,))
            return
        else:
            envelope = part if isinstance(part, Envelope) else envelope
            yield part


def _open_edifact(site: Site, interchange: Interchange, data: bytes, now: datetime, asked: Asked) -> Opened:
    opened = gathered(site, interchange, read_edifact(site, interchange, data, now, asked), data, asked)
    if opened.envelope is None and not any(finding.code in KNOWN for finding in opened.findings):
        unknown = Finding("opening.unknown_format", Place(offset=0), repr(data[:12])[2:-1])
        return replace(opened, findings=(*opened.findings, unknown))
    return opened


def gathered(
    site: Site,
    interchange: Interchange,
    parts: Iterator[Envelope | OpenedMessage | Trailer],
    data: bytes,
    asked: Asked = ALL,
) -> Opened:
    """The whole of an interchange, which is in `data`, and what that means for each of its messages."""
    envelope: Envelope | None = None
    messages: list[OpenedMessage] = []
    findings: list[Finding] = []
    groups: Groups = ()
    end = 0
    for part in parts:
        if isinstance(part, OpenedMessage):
            messages.append(part)
            continue
        findings += part.findings
        if isinstance(part, Envelope):
            envelope = part
        else:
            groups += part.groups
            end = part.end
    if envelope is None:
        return Opened((), tuple(findings))
    findings += _of_envelope(site, interchange, envelope, asked)
    cut = _cut_off(findings, len(data))
    findings += cut
    if cut and messages:
        messages[-1] = _without_the_rest(messages[-1])
    guide = agreed(site, interchange, *_only_kind(messages))
    findings = list(places.exact(guide.judged(findings), data, envelope))
    groups = tuple((group, places.exact(guide.judged(found), data, envelope)) for group, found in groups)
    refused = next((message for message in messages if message.rejected), None)
    if guide.accept == "all" and refused is not None and len(messages) > 1 and not interchange.is_part:
        place = Place(tag="UNB", segment=1, offset=envelope.offset)
        findings.append(Finding("guide.batch", place, refused.reference))
    whole = [finding for finding in findings if finding.severity == "error"]
    of_group = {group: [f for f in found if f.severity == "error"] for group, found in groups}
    for at, message in enumerate(messages):
        above = [*whole, *(of_group.get(message.raw.group, ()) if message.raw and message.raw.group else ())]
        if above:  # errors of the envelope, and of the group, take every message with them
            messages[at] = replace(message, findings=(*message.findings, *above))
    reference, content = f"{envelope.recipient}/{envelope.reference}", _sha(data[envelope.offset : end].rstrip())
    return Opened(tuple(messages), tuple(findings), envelope, reference, groups, data, content)


def _only_kind(messages: list[OpenedMessage]) -> tuple[str, str]:
    """The kind and the association code of all messages; "" where there are several, or none is known."""
    kinds = {(m.usage.name, m.raw.association if m.raw else "") if m.usage else ("", "") for m in messages}
    return kinds.pop() if len(kinds) == 1 else ("", "")


def _of_envelope(site: Site, interchange: Interchange, envelope: Envelope, asked: Asked) -> Iterator[Finding]:
    """What the agreement with the party has against an envelope."""
    party = party_of(site, interchange)
    wanted = party.edi or interchange.party
    if asked.sender and envelope.sender != wanted:
        place = Place(tag="UNB", segment=1, element=2, component=1)
        yield Finding("opening.sender_mismatch", place, envelope.sender, wanted)
    if asked.signature and party.signed:  # a detached signature has no way in yet, so nobody may rely on one
        yield Finding("signature.missing", Place(tag="UNB", segment=1, offset=envelope.offset))


def _cut_off(findings: list[Finding], size: int) -> list[Finding]:
    """That the transfer ended before the interchange did: neither UNZ nor another interchange follows."""
    ends = any(f.code == "edifact.unz_missing" and f.found == "end" for f in findings)
    return [Finding("opening.truncated", Place(offset=size), expected="UNZ")] if ends else []


def _without_the_rest(message: OpenedMessage) -> OpenedMessage:
    """The message in which a transfer ended. What would have come behind its last segment is told once: as the end."""
    last = message.raw.segments[-1] if message.raw else None
    if last is None or last.tag == "UNT":
        return message
    kept = (f for f in message.findings if f.code != "edifact.segment_missing" or f.place.segment != last.number)
    return replace(message, findings=tuple(kept))


def _check_edifact(
    site: Site,
    interchange: Interchange,
    envelope: Envelope,
    raw: RawMessage,
    data: bytes,
    now: datetime,
    asked: Asked,
) -> OpenedMessage:
    usage = site.edifact.get((raw.type, f"{raw.version}:{raw.release}"))
    if usage is None and not asked.kind:
        usage = _by_the_standard(site, raw)
    body = data[raw.offset : raw.end]
    if usage is None or usage.spec is None or usage.directory is None:
        place = Place(message=raw.reference, segment=1, tag="UNH", element=2, offset=raw.offset)
        if not (raw.type and raw.version and raw.release):  # was told
            return OpenedMessage(raw.reference, None, None, body, raw.findings, raw, test=envelope.test)
        found = f"{raw.type} {raw.version}:{raw.release}"
        known = site.kinds if asked.kind else site.directories.available()
        finding = Finding("opening.unknown_kind", place, found, ", ".join(sorted(known)))
        return OpenedMessage(raw.reference, None, None, body, (*raw.findings, finding), raw, test=envelope.test)
    tree, wrong = structure.build(raw, usage.spec)
    lists = site.external(site.day(interchange.received_at))
    findings = [*raw.findings, *wrong, *elements.check(raw, usage.directory, version=envelope.version, lists=lists)]
    findings = agreed(site, interchange, usage.name, raw.association).checked(findings, tree)
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
        test=envelope.test,
    )
    return opened if opened.rejected else _understand(site, opened, now)


def _by_the_standard(site: Site, raw: RawMessage) -> Usage | None:
    """A message that no system of the site takes, as its directory has it; None where there is none, or not in it."""
    release = f"{raw.version}:{raw.release}"
    try:
        directory = site.directories.get(release)
        spec = directory.message(raw.type)
    except KeyError:
        return None
    return Usage("", "", Kind(format="edifact", type=raw.type, release=release), directory, spec)


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
    if usage.form is not None:
        return usage.form.read(data).documents[0].root
    if usage.rule.format == "xml":
        return gate.parse(data)[0]
    parts = reader.read([frame.encode("latin-1"), data], charset=charset or None)
    raw = next(part for part in parts if isinstance(part, RawMessage))
    if usage.spec is None:
        raise DeclarationError(f"{usage.name} has no structure")
    return structure.build(raw, usage.spec)[0]


def _open_xml(site: Site, interchange: Interchange, data: bytes, now: datetime, asked: Asked) -> Opened:
    root, findings = gate.parse(data)
    whole = _sha(data)
    if root is None:
        return Opened((), tuple(findings), reference=whole, content=whole)
    usage = site.xml.get(str(root.tag))
    if usage is None or usage.schema is None:
        found = Finding("opening.unknown_kind", Place(path=str(root.tag)), str(root.tag), ", ".join(site.kinds))
        return Opened((), (*findings, found), reference=whole, content=whole)
    lists = site.external(site.day(interchange.received_at))
    findings = [*findings, *usage.schema.check(root, lists.check)]
    findings = agreed(site, interchange, usage.name).checked(findings, root)
    if not asked.signature:
        pass
    elif xmldsig.has_signature(root):
        verified = xmldsig.verify(data, interchange.party, site.register, now)
        findings.extend(verified.findings)
        if not rejects(findings):
            root, again = gate.parse(verified.signed)
            findings.extend(again)
    elif party_of(site, interchange).signed:
        findings.append(Finding("signature.missing", Place(path=str(root.tag))))
    opened = OpenedMessage(interchange.name, usage, root, data, tuple(findings), content=whole)
    return Opened((opened if opened.rejected else _understand(site, opened, now),), reference=whole, content=whole)


def _open_json(site: Site, interchange: Interchange, data: bytes, now: datetime, asked: Asked) -> Opened:
    scanned = json.scan(data)
    if isinstance(scanned, Finding):
        return Opened((), (scanned,), reference=_sha(data), content=_sha(data), how=Written())
    usage = site.of_root(scanned.root)
    if usage is None or not isinstance(usage.form, json.JsonForm):
        place = scanned.source.place(Spot(scanned.value.at), scanned.root)
        found = Finding("opening.unknown_kind", place, scanned.root or "{…}", ", ".join(sorted(site.kinds)))
        return Opened((), (found,), reference=_sha(data), content=_sha(data), how=Written())
    reading = Reading((usage.form.document(scanned, data),))
    return _recorded(site, interchange, usage, reading, data, now, asked)


def _open_named(site: Site, interchange: Interchange, data: bytes, now: datetime, asked: Asked) -> Opened:
    usage = site.of_name(interchange.name)
    if usage is None or usage.form is None:
        raise DeclarationError(f"{interchange.name} has no form")
    return _recorded(site, interchange, usage, usage.form.read(data), data, now, asked)


def _recorded(
    site: Site, interchange: Interchange, usage: Usage, reading: Reading, data: bytes, now: datetime, asked: Asked
) -> Opened:
    """Every document of a file of JSON, CSV or flat records, judged as XML documents are."""
    guide, whole, rule = agreed(site, interchange, usage.name), _sha(data), usage.rule
    findings = list(guide.judged(reading.findings))
    if asked.signature and party_of(site, interchange).signed:  # there is no way in yet for a signature of these
        findings.append(Finding("signature.missing", Place(path=rule.root)))
    how = Written(rule.charset, rule.terminator, rule.escape) if rule.format == "flat" else Written(rule.charset)
    messages: list[OpenedMessage] = []
    if not rejects(findings) and usage.schema is not None:
        lists = site.external(site.day(interchange.received_at))
        for number, document in enumerate(reading.documents, 1):
            found = [*document.findings, *usage.schema.check(document.root, lists.check)]
            placed = tuple(document.placed(guide.checked(found, document.root)))
            reference = interchange.name if len(reading.documents) == 1 else f"{interchange.name}/{number}"
            opened = OpenedMessage(reference, usage, document.root, document.data, placed, content=_sha(document.data))
            messages.append(opened if opened.rejected else _understand(site, opened, now))
    return Opened(tuple(messages), tuple(findings), reference=whole, content=whole, how=how)


_OPEN = {"xml": _open_xml, "edifact": _open_edifact, "json": _open_json, "csv": _open_named, "flat": _open_named}


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
        answer=answering.answer(usage, node),
    )


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
