"""`eport evidence`: bundles that prove something to somebody else. `eport audit`: the journal against its seals."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.common import JsonOption, LangOption, SiteOption, journal_of, load_site, out, read, site_folder

if TYPE_CHECKING:
    from cryptography import x509

    from hub.evidence.verify import Report
    from hub.identity.chain import Trust
    from hub.journal.journal import Journal
    from hub.site.site import Site

evidence = typer.Typer(no_args_is_help=True, help="存证包：导出、脱机核验 · bundles: export, verify without a hub")
audit = typer.Typer(no_args_is_help=True, help="审计日志与封存 · the events and their seals")

CaOption = Annotated[Path | None, typer.Option("--ca", help="口岸的 CA（PEM）· the port's CA")]


@evidence.command()
def export(
    ref: str,
    to: Annotated[Path | None, typer.Option("-o", "--out", help="文件，缺省为 REF.evidence.zip · file")] = None,
    site: SiteOption = None,
) -> None:
    """把一个编号的全部证据导出成一个文件 · everything about a reference that somebody else needs to check it."""
    from hub.errors import Impossible
    from hub.evidence import bundle
    from hub.message import legal
    from hub.tracing import trace

    loaded, journal = _ready(site), journal_of(site, "export")
    try:
        story = trace(journal, ref)
        if not any(story[part] for part in ("interchanges", "messages", "cases")):
            raise Impossible(f"{ref}: 没有找到 · nothing is known about it")
        _seal_now(loaded, journal)
        data = bundle.export(loaded, journal, ref, story)
    except Impossible as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(1) from None
    finally:
        journal.close()
    to = to or Path(f"{legal(ref)}.evidence.zip")
    try:
        to.write_bytes(data)
    except OSError as fault:
        typer.echo(f"{to}: {fault.strerror}", err=True)
        raise typer.Exit(2) from None
    typer.echo(str(to))


@evidence.command(name="verify")
def verify_bundle(
    file: Path,
    ca: CaOption = None,
    fingerprint: Annotated[str, typer.Option(help="可信证书的 SHA-256 · of a certificate that you trust")] = "",
    stamp_ca: Annotated[Path | None, typer.Option(help="时间戳机构的 CA（PEM）· the stamp authority's CA")] = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """脱机核验一个存证包 · check a bundle; needs neither hub nor network.

    Exit code 0: proved · 1: refused · 2: consistent, but nobody said whose certificate counts (or no such file)."""
    from hub.errors import IdentityError
    from hub.evidence.verify import verify

    try:
        trust, stamp_roots = _trust(ca, fingerprint), _certificates(stamp_ca)
    except IdentityError as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(2) from None
    report = verify(read(file), trust, stamp_roots)
    if json_:
        out(_as_json(report))
    else:
        _tell(report, lang)
    raise typer.Exit({"proved": 0, "refused": 1, "consistent": 2}[report.verdict])


@audit.command(name="verify")
def verify_journal(
    heads: Annotated[Path | None, typer.Option(help="他处保存的封存头 · heads that were kept elsewhere")] = None,
    payloads: Annotated[bool, typer.Option("--payloads", help="也核对报文内容 · hash every stored file too")] = False,
    site: SiteOption = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """重算全部哈希树、链和签名，指出第一条不符的记录 · compute everything again; name the first bad record."""
    from hub.catalogue import language, text
    from hub.cli.paint import show_findings
    from hub.evidence.audit import audit as look
    from hub.rejection import as_rows

    loaded, journal = _ready(site), journal_of(site, "audit")
    kept = [line for line in read(heads).splitlines() if line] if heads else []
    rule = loaded.routes.evidence.stamp
    roots = tuple(one for name in rule.roots for one in _certificates(loaded.folder / name)) if rule else ()
    found = look(journal, loaded.routes.port, loaded.register, kept, roots, payloads)
    journal.close()
    counts: dict[str, Any] = {name: getattr(found, name) for name in ("heads", "events", "stamps", "unsealed")}
    counts |= {"payloads": found.payloads} if payloads else {}
    if json_:
        out({"in_order": not found.findings, **counts, "findings": as_rows(found.findings)})
    else:
        show_findings(found.findings, lang)
        key = "audit.bad" if found.findings else "audit.good"
        typer.echo(text(key, language(lang), **counts, kept=len(kept)))
    if found.findings:
        raise typer.Exit(1)


@audit.command()
def heads(site: SiteOption = None) -> None:
    """打印全部已签名的封存头，供他处保存 · every signed head, one a line, for keeping somewhere else."""
    from hub.evidence.audit import outside

    journal = journal_of(site, "audit")
    for line in outside(journal):
        sys.stdout.buffer.write(line + b"\n")
    journal.close()


def _ready(given: Path | None) -> Site:
    """The site with its certificates."""
    from hub.engine import identity

    return identity.ready(load_site(given), site_folder(given))


def _seal_now(site: Site, journal: Journal) -> None:
    """Seal what is not, unless the hub runs and does so by itself."""
    from hub.evidence.seal import seal

    if journal.locks.hold("clock"):
        seal(site, journal, datetime.now(UTC))
        journal.locks.drop("clock")


def _certificates(path: Path | None) -> tuple[x509.Certificate, ...]:
    from hub.identity.keys import load_certificates

    return load_certificates(path) if path else ()


def _trust(ca: Path | None, fingerprint: str) -> Trust | None:
    """Whom the caller believes; None where that was not said."""
    from hub.identity.chain import Trust

    plain = fingerprint.replace(":", "").replace(" ", "").lower()
    return Trust(_certificates(ca), frozenset([plain] if plain else [])) if ca or plain else None


def _tell(report: Report, lang: str | None) -> None:
    """The report for a person."""
    from hub.catalogue import language, text
    from hub.cli.paint import show_findings
    from hub.evidence.story import tell
    from hub.identity.chain import fingerprint
    from hub.plain import plain

    speak = language(lang)

    def say(key: str, **holes: object) -> None:
        typer.echo(plain(text(key, speak, **holes)).rstrip())

    show_findings(report.findings, lang)
    if report.verdict != "refused":
        for key, holes in tell(report.events, report.signers):
            say(key, **holes)
        for one in report.stamps:
            holes = {"at": f"{one.at:%Y-%m-%dT%H:%M:%SZ}", "authority": one.authority, "number": str(one.number)}
            say("proof.stamped", **holes, fingerprint=fingerprint(one.root))
        if report.removed:
            say("proof.removed", count=len(report.removed))
    for anchor in report.anchors:
        holes = {"subject": anchor.subject.rfc4514_string(), "fingerprint": fingerprint(anchor)}
        say("proof.anchor", **holes)
    counts = {"events": len(report.events), "heads": len(report.heads), "port": report.port, "ref": report.reference}
    say(f"proof.{report.verdict}", **counts)


def _as_json(report: Report) -> dict[str, Any]:
    from hub.identity.chain import fingerprint
    from hub.rejection import as_rows

    return {
        "verdict": report.verdict,
        "port": report.port,
        "reference": report.reference,
        "anchors": [{"subject": a.subject.rfc4514_string(), "fingerprint": fingerprint(a)} for a in report.anchors],
        "events": report.events,
        "heads": [{"number": h.number, "at": h.at.isoformat(), "last": h.last} for h in report.heads],
        "stamps": [
            {"head": s.number, "at": s.at.isoformat(), "authority": s.authority, "root": fingerprint(s.root)}
            for s in report.stamps
        ],
        "signers": [{"event": seq, "party": party} for seq, party in report.signers.items()],
        "removed": report.removed,
        "findings": as_rows(report.findings),
    }
