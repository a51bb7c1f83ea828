"""`eport standards`: the tables, code lists and guides that messages are judged by. list, show, import, doc."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.common import JsonOption, LangOption, SiteOption, load_site, out, site_folder
from hub.cli.standards_doc import doc

if TYPE_CHECKING:
    from hub.edifact.directory import Directories
    from hub.edifact.tables import Facts
    from hub.finding import Finding
    from hub.standards.pages import Page

app = typer.Typer(no_args_is_help=True, help="数据标准 · the data standards: EDIFACT tables, code lists, guides")
app.command()(doc)

_SHOWN = 20
"""Findings of an import that are shown to a person."""


@app.command(name="list")
def list_(site: SiteOption = None, json_: JsonOption = False, lang: LangOption = None) -> None:
    """目录版本、单证、代码表和规范 · releases with their types, the port's documents, code lists and guides."""
    from hub.standards.inventory import releases

    folder = site_folder(site)
    rows = releases(_directories(folder))
    port = _declared(site)
    if json_:
        out({"releases": rows, **port})
        return
    _table(
        "release", ("release", "types", "segments", "lists"), [{**r, "types": _joined(r["types"])} for r in rows], lang
    )
    for what, columns in _DECLARED.items():
        if port[what]:
            _table(what, columns, port[what], lang)


@app.command()
def show(
    what: Annotated[str, typer.Argument(help="CUSCAR, CUSCAR/SG7, NAD, C082, 3035, D95B:CUSCAR/SG7/NAD")],
    site: SiteOption = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """报文结构、段、复合元、数据元 · a message, a group, a segment, a composite, an element."""
    from dataclasses import asdict

    from hub.standards.pages import page

    try:
        found = page(_directories(site_folder(site)), what)
    except KeyError as fault:
        typer.echo(str(fault.args[0]), err=True)
        raise typer.Exit(1) from None
    if json_:
        out(asdict(found))
    else:
        _show(found, lang)


@app.command(name="import")
def import_(
    path: Annotated[Path, typer.Argument(help="UNECE 目录的压缩包或文件夹 · zip or folder of a UNECE directory")],
    types: Annotated[str, typer.Option("--types", help="CUSCAR,CUSRES；缺省为全部 · all when not given")] = "",
    release: Annotated[str, typer.Option("--release", help="D.96A；缺省由内容判断 · told by the texts otherwise")] = "",
    force: Annotated[bool, typer.Option("--force", help="替换已有的版本 · replace a release that is here")] = False,
    site: SiteOption = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """导入下载的 UN/EDIFACT 目录 · a directory that was downloaded becomes a table of this site."""
    from hub.catalogue import language, text
    from hub.finding import rejects
    from hub.rejection import as_rows
    from hub.standards.importing import read

    try:
        imported = read(path, [type for type in types.upper().replace(" ", "").split(",") if type], release)
    except OSError as fault:
        typer.echo(f"{path}: {fault.strerror}", err=True)
        raise typer.Exit(2) from None
    refused = rejects(imported.findings)
    file = _folder(site_folder(site)) / f"{imported.facts.release.replace('.', '')}.txt"
    kept = not refused and file.exists() and not force
    if not refused and not kept:
        _write(file, imported.facts)
    if json_:
        said = {"release": imported.facts.release, "types": sorted(imported.facts.messages)}
        written = None if refused or kept else str(file)
        out({**said, "written": written, "findings": as_rows(imported.findings)})
    else:
        _findings(list(imported.findings), lang)
    if kept:
        typer.echo(text("standards.kept", language(lang), file=file), err=True)
    if refused or kept:
        raise typer.Exit(1)
    if not json_:
        counts = {"release": imported.facts.release, "count": len(imported.facts.messages)}
        typer.echo(text("standards.imported", language(lang), **counts, file=file))


def _folder(site: Path) -> Path:
    return site / "schemas" / "edifact"


def _directories(site: Path) -> Directories:
    """The site's tables; exit code 2 where it has none."""
    from hub.edifact.directory import Directories

    folder = _folder(site)
    if not (folder / "SERVICE3.txt").exists() or not (folder / "SERVICE4.txt").exists():
        typer.echo(f"{folder}: SERVICE3.txt, SERVICE4.txt?", err=True)
        raise typer.Exit(2)
    return Directories(folder)


def _write(file: Path, facts: Facts) -> None:
    """All of it or nothing; exit code 2 where the disk refuses."""
    from hub.edifact.tables import write

    draft = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(write(facts), "utf-8", newline="\n")
        draft.replace(file)
    except OSError as fault:
        typer.echo(f"{file}: {fault.strerror}", err=True)
        raise typer.Exit(2) from None


_DECLARED = {
    "documents": ("kind", "system", "format", "standard"),
    "codes": ("list", "entries"),
    "guides": ("guide",),
}
"""What a site declares besides tables, and the columns of each."""


def _declared(given: Path | None) -> dict[str, list[dict[str, Any]]]:
    """The port's own documents, code lists and guides; nothing where the site cannot be loaded (`eport check`)."""
    from hub.errors import DeclarationError

    try:
        site = load_site(given)
    except DeclarationError:
        return {what: [] for what in _DECLARED}
    documents = [
        {
            "kind": kind,
            "system": usage.system,
            "format": usage.rule.format,
            "standard": usage.rule.schema_ or f"{usage.rule.type} {usage.rule.release}",
        }
        for kind, usage in site.kinds.items()
    ]
    codes = [{"list": name, "entries": len(rows)} for name, rows in site.tables.items()]
    codes += [{"list": one.name, "entries": len(one.entries)} for one in site.lists]
    folder = site.folder / "schemas"
    guides = [{"guide": file.relative_to(folder).as_posix()} for file in sorted(folder.glob("*/*.guide.yaml"))]
    return {"documents": documents, "codes": codes, "guides": guides}


# ---- showing


def _show(page: Page, lang: str | None) -> None:
    """In a terminal a title and a tree, in a pipe rows with the whole path."""
    from hub.catalogue import language, text
    from hub.plain import plain
    from hub.standards.pages import COLUMNS

    rows: list[dict[str, Any]] = list(page.rows)
    if sys.stdout.isatty() or not rows:  # an element without a list of codes is its title
        typer.secho(plain(f"{page.path}  {page.name}  {page.release}"), bold=True)
    if sys.stdout.isatty():
        rows = [{**row, **_indented(row)} for row in rows]
    _table("", COLUMNS[page.what], rows, lang)
    if page.elsewhere and sys.stdout.isatty():
        typer.secho(text("standards.elsewhere", language(lang), releases=", ".join(page.elsewhere)), dim=True)


def _indented(row: dict[str, Any]) -> dict[str, str]:
    """A path as its last step below the steps before it; a component below its composite."""
    for column, sign in (("path", "/"), ("position", ".")):
        if column in row:
            last = row[column] if column == "position" else row[column].rpartition(sign)[2]
            return {column: "  " * row[column].count(sign) + last}
    return {}


def _table(title: str, columns: tuple[str, ...], rows: list[dict[str, Any]], lang: str | None) -> None:
    """Rows with headings in the reader's language; the title is for a terminal."""
    from hub.catalogue import language, text
    from hub.cli.paint import table

    speak = language(lang)
    if title and sys.stdout.isatty():
        typer.secho(f"\n{text(f'standards.title_{title}', speak)}", bold=True)
    heads = {column: text(f"standards.column_{column}", speak) for column in columns}
    table(tuple(heads.values()), [{heads[column]: row[column] for column in columns} for row in rows])


def _joined(names: object) -> str:
    return " ".join(map(str, names)) if isinstance(names, list) else ""


def _findings(findings: list[Finding], lang: str | None) -> None:
    from hub.catalogue import language, text
    from hub.cli.paint import show_findings

    show_findings(findings[:_SHOWN], lang)
    if len(findings) > _SHOWN:
        typer.echo(text("standards.more", language(lang), count=len(findings) - _SHOWN))
