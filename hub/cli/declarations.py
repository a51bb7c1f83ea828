"""Commands of the integrator: init, check, translate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.common import JsonOption, LangOption, SiteOption, load_site, out, read, shipped, site_folder

if TYPE_CHECKING:
    from hub.site.site import Site


def init(folder: Path) -> None:
    """新建站点：参考声明、密钥、证书 · a new site: the reference declarations, keys and certificates."""
    from hub.sandbox.ground import prepare

    for line in prepare(shipped(), folder):
        typer.echo(line)


def check(
    mapping: Annotated[str, typer.Argument(help="与 --loss 同用：映射 · with --loss: a mapping")] = "",
    loss: Annotated[bool, typer.Option("--loss", help="来源中无规则读取的数据 · what no rule reads")] = False,
    site: SiteOption = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """检查站点的全部声明 · check every declaration of a site."""
    if loss:
        _loss(mapping, site, json_, lang)
        return
    from hub.catalogue import language, text
    from hub.cli.paint import show_findings
    from hub.errors import DeclarationError
    from hub.finding import Finding
    from hub.rejection import as_rows

    folder = site_folder(site)
    findings: list[Finding]
    try:
        found = load_site(site)
        findings = list(found.warnings)
    except DeclarationError as fault:
        found, findings = None, list(fault.findings)
        if not findings:
            raise
    if json_:
        out({"in_order": found is not None, "findings": as_rows(findings)})
    else:
        show_findings(findings, lang, site=folder)
    if found is None:
        raise typer.Exit(2)
    if not json_:
        counts = {"systems": len(found.systems), "kinds": len(found.kinds), "mappings": len(found.mappings)}
        typer.echo(text("check.good", language(lang), **counts, fingerprint=found.fingerprint[:12]))
        typer.echo(text("check.loss", language(lang), count=str(_unread(found))))


def _unread(found: Site) -> int:
    from hub.cli.loss import count

    return count(found)


def _loss(mapping: str, site: Path | None, json_: bool, lang: str | None) -> None:
    from hub.cli import loss

    made = loss.report(load_site(site), site_folder(site), mapping)
    if json_:
        out(loss.rows(made))
    else:
        loss.show(made, lang)


def translate(
    file: Path,
    to: Annotated[str, typer.Option("--to", help="目标报文种类 · kind to make")],
    site: SiteOption = None,
    lang: LangOption = None,
) -> None:
    """把一个文件转换成另一种报文 · what a party that reads KIND would get."""
    from hub.cli.paint import show_findings
    from hub.judging import translated

    data, findings = translated(load_site(site), read(file), to)
    if findings:
        show_findings(findings, lang)
    if not data:
        raise typer.Exit(1)
    typer.echo(data, nl=False)


COMMANDS = (init, check, translate)
