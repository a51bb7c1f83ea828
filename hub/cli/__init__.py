"""The command line. Start-up imports nothing heavy; each command loads what it needs when it runs.

Exit codes: 0 as asked · 1 the answer is no (a rejected file, a site with mistakes) · 2 unusable input or wrong call.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hub.finding import Finding
    from hub.site.site import Site

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="电子口岸报文交换中枢 · EDI hub for electronic ports"
)

SiteOption = Annotated[Path | None, typer.Option("--site", help="站点目录 · site folder", envvar="EPORT_SITE")]
JsonOption = Annotated[bool, typer.Option("--json", help="机器可读 · for machines")]
LangOption = Annotated[str | None, typer.Option("--lang", help="zh / en")]


def main() -> None:
    """Entry point of the `eport` command."""
    app()


def _site(folder: Path | None, lang: str | None) -> Site:
    from hub.errors import DeclarationError
    from hub.site.load import load

    try:
        return load(folder or Path.cwd())
    except DeclarationError as fault:
        _show(list(fault.findings), lang, str(fault))
        raise typer.Exit(2) from None


def _show(findings: list[Finding], lang: str | None, otherwise: str = "") -> None:
    from hub.catalogue import describe, language, where

    speak = language(lang)
    for finding in findings:
        what, remedy = describe(finding, speak)
        typer.echo(f"{where(finding)}: {finding.severity} [{finding.code}] {what}\n    → {remedy}")
    if not findings and otherwise:
        typer.echo(otherwise, err=True)


@app.command()
def check(site: SiteOption = None, lang: LangOption = None) -> None:
    """检查站点的全部声明 · check every declaration of a site."""
    from hub.catalogue import language, text

    found = _site(site, lang)
    counts = {"systems": len(found.systems), "kinds": len(found.kinds), "mappings": len(found.mappings)}
    typer.echo(text("check.good", language(lang), **counts, fingerprint=found.fingerprint[:12]))


@app.command()
def validate(file: Path, site: SiteOption = None, json_: JsonOption = False, lang: LangOption = None) -> None:
    """校验一个报文文件 · say what is wrong with a file, where, and what to do."""
    from hub.judging import judge

    try:
        data = file.read_bytes()
    except OSError as fault:
        typer.echo(f"{file}: {fault.strerror}", err=True)
        raise typer.Exit(2) from None
    verdict = judge(_site(site, lang), data)
    if json_:
        typer.echo(json.dumps(verdict.as_json(), ensure_ascii=False, indent=1))
    else:
        _show(list(verdict.findings), lang)
        typer.echo(verdict.word)
    if verdict.word == "rejected":
        raise typer.Exit(1)


@app.command()
def status(site: SiteOption = None, json_: JsonOption = False) -> None:
    """各表各状态的数量 · how many of everything in each state."""
    from hub.journal.journal import Journal

    journal = Journal((site or Path.cwd()) / "spool", "status")
    counts = journal.counts()
    journal.close()
    if json_:
        typer.echo(json.dumps(counts))
        return
    for table, states in counts.items():
        typer.echo(f"{table:12} " + "  ".join(f"{state} {n}" for state, n in sorted(states.items())))


@app.command()
def demo(site: SiteOption = None, json_: JsonOption = False) -> None:
    """演示一次完整流程 · run the whole show once: real SFTP, signed answers, failure twins."""
    from hub.sandbox.show import play

    rows = play(site or Path.cwd())
    if json_:
        typer.echo(json.dumps(rows))
    else:
        for row in rows:
            mark = "✓" if row["good"] == "True" else "✗"
            typer.echo(f"{mark} {row['party']:8} {row['file']:30} {row['fate']:20} ({row['wanted']})")
    if any(row["good"] != "True" for row in rows):
        raise typer.Exit(1)
