"""Whether a bundle proves what it says. Stands alone: no site, no journal, no network, no clock.

Every check adds findings; the first one that is no more than form ends it, because nothing behind it means anything.
What is proved is said by the sealed events alone (hub.evidence.story). Whom to believe is for the reader to say
(`Trust`): without that a bundle is at most consistent with itself, and anybody can make such a one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from cryptography import x509

from hub.evidence import archive, canonical, merkle, stamp
from hub.evidence.head import FORMAT as HEAD_FORMAT
from hub.evidence.head import Head, digest, is_hash, parse
from hub.evidence.shape import FORMAT, HEAD, MANIFEST, NAMED, PLACE, README
from hub.finding import Finding, Place, rejects
from hub.identity import cms, xmldsig
from hub.identity.chain import Trust, highest
from hub.identity.keys import parse_certificate
from hub.identity.register import party_of

CLOCKS = timedelta(minutes=5)
"""How far the port's clock may be ahead of the authority's."""
Verdict = Literal["proved", "consistent", "refused"]


@dataclass(frozen=True, slots=True)
class Stamped:
    """Head `number`, and all before it, were there at `at`, says `authority`."""

    number: int
    at: datetime
    authority: str
    root: x509.Certificate


@dataclass(slots=True)
class Report:
    """What a bundle shows. `anchors` are the highest certificates that its signatures lead to."""

    findings: list[Finding] = field(default_factory=list)
    trusted: bool = False
    port: str = ""
    reference: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    heads: list[Head] = field(default_factory=list)
    anchors: dict[x509.Certificate, None] = field(default_factory=dict)
    stamps: list[Stamped] = field(default_factory=list)
    signers: dict[int, str] = field(default_factory=dict)  # by event: who signed what came in, where that can be seen
    removed: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        if rejects(self.findings):
            return "refused"
        return "proved" if self.trusted else "consistent"


@dataclass(frozen=True, slots=True)
class Bundle:
    """The content of an archive in good form."""

    files: Mapping[str, bytes]
    manifest: Mapping[str, Any]
    lines: list[bytes]


def verify(data: bytes, trust: Trust | None = None, stamp_roots: tuple[x509.Certificate, ...] = ()) -> Report:
    """What `data` proves to somebody who trusts `trust`; with `stamp_roots`, stamps of no other authority count."""
    report = Report(trusted=trust is not None)
    try:
        bundle = _read(data)
    except archive.Refused as refused:
        report.findings.append(refused.finding)
        return report
    report.port, report.reference = bundle.manifest["port"], bundle.manifest["reference"]
    report.removed = bundle.manifest["removed"]
    report.findings += _files(bundle)
    for read in (_heads, _events):
        if not rejects(report.findings):
            report.findings += read(bundle, report)
    if not rejects(report.findings):
        report.findings += _named(bundle, report)
        report.findings += _signatures(bundle, report, trust)
        report.findings += _sent(bundle, report, trust)
        report.findings += _stamps(bundle, report, stamp_roots)
    if not rejects(report.findings):
        _received(bundle, report, trust)
    return report


def _no(code: str, path: str, found: str = "", expected: str = "") -> Finding:
    return Finding(code, Place(path=path), found, expected)


# ---- form


def _read(data: bytes) -> Bundle:
    """The bundle in these bytes. Raises archive.Refused."""
    members = archive.read(data)
    for name in ("README.txt", "manifest.json", "events.jsonl"):
        if name not in members:
            raise archive.Refused(_no("evidence.member_missing", name))
    if hashlib.sha256(members["README.txt"]).hexdigest() != README:
        raise archive.Refused(_no("evidence.readme", "README.txt", expected=README))
    manifest = _manifest(members["manifest.json"])
    *lines, rest = members["events.jsonl"].split(b"\n")
    if rest or not lines or len(lines) != len(manifest["events"]):
        raise archive.Refused(_no("evidence.events", "events.jsonl", str(len(lines)), str(len(manifest["events"]))))
    files = {name.removeprefix("files/"): data for name, data in members.items() if name.startswith("files/")}
    return Bundle(files, manifest, lines)


def _manifest(data: bytes) -> dict[str, Any]:
    """The manifest, every field of it of the right kind. Raises archive.Refused."""
    try:
        manifest = canonical.fields(canonical.load(data), MANIFEST)
        if manifest["format"] != FORMAT:
            raise ValueError(f"format {manifest['format']}")
        for row in manifest["heads"]:
            canonical.fields(row, HEAD)
            if not (is_hash(row["head"]) and is_hash(row["signature"])):
                raise ValueError("a head without bytes or signature")
            if row["stamp"] and not is_hash(row["stamp"]):
                raise ValueError("a stamp that is no SHA-256")
        for row in manifest["events"]:
            canonical.fields(row, PLACE)
            if not all(is_hash(one) for one in row["path"]) or len(row["path"]) > 64:
                raise ValueError("a path that is none")
        for one in (*manifest["certificates"], *manifest["removed"]):
            if not is_hash(one):
                raise ValueError("a name that is no SHA-256")
    except ValueError as fault:
        raise archive.Refused(_no("evidence.manifest", "manifest.json", str(fault)[:200], FORMAT)) from None
    return manifest


def _files(bundle: Bundle) -> Iterator[Finding]:
    """Every file is the one that its name says, and those of heads and certificates are there."""
    for name, data in bundle.files.items():
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 != name:
            yield _no("evidence.file_changed", f"files/{name}", sha256, name)
    rows = bundle.manifest["heads"]
    wanted = [*bundle.manifest["certificates"], *(row[part] for row in rows for part in ("head", "signature", "stamp"))]
    for name in wanted:
        if name and name not in bundle.files:
            yield _no("evidence.file_missing", f"files/{name}")


# ---- heads and events


def _heads(bundle: Bundle, report: Report) -> Iterator[Finding]:
    """Heads of this port in their order; each that stands directly behind another names it."""
    before = b""
    for row in bundle.manifest["heads"]:
        data, path = bundle.files[row["head"]], f"heads/{row['number']}"
        try:
            head = parse(data)
        except ValueError as fault:
            yield _no("evidence.head", path, str(fault)[:200], HEAD_FORMAT)
            return
        last = report.heads[-1] if report.heads else None
        if head.number != row["number"] or head.port != report.port:
            yield _no("evidence.head", path, f"{head.port} {head.number}", f"{report.port} {row['number']}")
        if last and not (last.number < head.number and last.last < head.first and last.at <= head.at):
            yield _no("evidence.head_order", path, f"{head.number}", f"> {last.number}")
        if last and last.number + 1 == head.number and head.previous != digest(before):
            yield _no("evidence.head_chain", path, head.previous, digest(before))
        report.heads.append(head)
        before = data


def _events(bundle: Bundle, report: Report) -> Iterator[Finding]:
    """Every event is a leaf under its head."""
    by_number = {head.number: head for head in report.heads}
    seq = 0
    for count, (line, place) in enumerate(zip(bundle.lines, bundle.manifest["events"], strict=True), 1):
        path = f"events.jsonl:{count}"
        try:
            event = canonical.fields(canonical.load(line), canonical.EVENT)
            canonical.read_time(event["at"])
        except ValueError as fault:
            yield _no("evidence.event", path, str(fault)[:200])
            continue
        head = by_number.get(place["head"])
        if head is None:
            yield _no("evidence.head_missing", path, f"heads/{place['head']}")
            continue
        if not (seq < event["seq"] and head.first <= event["seq"] <= head.last):
            yield _no("evidence.event_order", path, str(event["seq"]), f"{head.first}…{head.last}")
        seq = event["seq"]
        beside = [bytes.fromhex(one) for one in place["path"]]
        root = merkle.climb(merkle.leaf(line), place["index"], head.count, beside)
        if root is None or root.hex() != head.root:
            yield _no("evidence.event_changed", path, root.hex() if root else "", head.root)
        report.events.append(event)


def _named(bundle: Bundle, report: Report) -> Iterator[Finding]:
    """Every file that an event names is here or said to be removed; nothing else is."""
    named = {text(event, name) for event in report.events for name in NAMED} - {""}
    removed = set(report.removed)
    for name in sorted(named - bundle.files.keys() - removed):
        yield _no("evidence.file_missing", f"files/{name}")
    rows = bundle.manifest["heads"]
    own = {*bundle.manifest["certificates"], *(row[part] for row in rows for part in ("head", "signature", "stamp"))}
    for name in sorted((bundle.files.keys() - named - own) | (removed - named) | (removed & bundle.files.keys())):
        yield _no("evidence.unnamed", f"files/{name}")
    used = {place["head"] for place in bundle.manifest["events"]}
    for before, head in zip([None, *report.heads], report.heads, strict=False):
        if head.number not in used and (before is None or before.number + 1 != head.number):
            yield _no("evidence.unnamed", f"heads/{head.number}")


# ---- signatures


def _signatures(bundle: Bundle, report: Report, trust: Trust | None) -> Iterator[Finding]:
    """The port signed every head."""
    for row, head in zip(bundle.manifest["heads"], report.heads, strict=True):
        data, signature = bundle.files[row["head"]], bundle.files[row["signature"]]
        yield from _by_port(bundle, report, trust, head.at, data, signature, f"heads/{head.number}")


def _by_port(
    bundle: Bundle, report: Report, trust: Trust | None, at: datetime, data: bytes, signature: bytes, path: str
) -> Iterator[Finding]:
    """`signature` (a detached one; b"" for one inside the XML `data`) is the port's, made at `at`."""
    try:
        above = _certificates(bundle)
        included = cms.certificates(signature) if signature else ()
    except ValueError as fault:
        yield _no("signature.malformed", path, str(fault)[:200], "X.509")
        return
    others = tuple(dict.fromkeys((*included, *above)))
    trusted = trust or Trust(highest(others))
    register = trusted.register(report.port, others, at)
    if signature:
        verified = cms.verify(data, signature, report.port, register, at)
    else:
        verified = xmldsig.verify(data, report.port, register, at)
    for finding in verified.findings:
        code, certificate = finding.code, verified.certificate
        if code == "signature.certificate_unknown" and certificate and party_of(certificate) == report.port:
            code = "evidence.anchor"
        place = path if not finding.place.path else f"{path} {finding.place.path}"
        yield replace(finding, code=code, place=Place(path=place))
    report.anchors |= dict.fromkeys(trusted.anchors(others))


def _certificates(bundle: Bundle) -> tuple[x509.Certificate, ...]:
    return tuple(parse_certificate(bundle.files[name]) for name in bundle.manifest["certificates"])


def _sent(bundle: Bundle, report: Report, trust: Trust | None) -> Iterator[Finding]:
    """What the port says that it signed for a recipient, it signed."""
    for event in report.events:
        at, sha256, how = canonical.read_time(event["at"]), text(event, "sha256"), text(event, "signed")
        data, signature = bundle.files.get(sha256), bundle.files.get(text(event, "signature"), b"")
        if data is not None and (how == "xmldsig" or (how and signature)):
            yield from _by_port(bundle, report, trust, at, data, signature, f"files/{sha256}")


def _received(bundle: Bundle, report: Report, trust: Trust | None) -> None:
    """Whose own signature stands in what came in. Only a CA that stands above the port too can say so here; what is not
    signed, or by somebody that CA does not know, is no fault of the bundle."""
    above = _certificates(bundle)
    anchors = Trust((trust or Trust(highest(above))).anchors(above))
    for event in report.events:
        party, at = text(event, "party"), canonical.read_time(event["at"])
        data = bundle.files.get(text(event, "sha256"), b"")
        if party and xmldsig.signed(data):
            verified = xmldsig.verify(data, party, anchors.register(party, above, at), at)
            if verified.signed:
                report.signers[event["seq"]] = party


def text(event: Mapping[str, Any], name: str) -> str:
    """A detail of an event that is a text, else ""."""
    value = event["detail"].get(name)
    return value if isinstance(value, str) else ""


def _stamps(bundle: Bundle, report: Report, roots: tuple[x509.Certificate, ...]) -> Iterator[Finding]:
    """Stamps over heads; a head is not younger than its stamp."""
    for row, head in zip(bundle.manifest["heads"], report.heads, strict=True):
        if not row["stamp"]:
            continue
        stamped = stamp.verify(bundle.files[row["head"]], bundle.files[row["stamp"]], roots)
        path = f"heads/{head.number} stamp"
        yield from (replace(finding, place=Place(path=path)) for finding in stamped.findings)
        if stamped.findings:
            continue
        if head.at - stamped.at > CLOCKS:
            yield _no("evidence.stamp_time", path, canonical.time(stamped.at), canonical.time(head.at))
        name = stamped.chain[0].subject.rfc4514_string()
        report.stamps.append(Stamped(head.number, stamped.at, name, stamped.chain[-1]))
