"""`eport new`: the beginning of a system or of a mapping. Exit codes: 1 it is there already, 2 no such kind or name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.common import LangOption, SiteOption, site_folder
from hub.plain import plain

if TYPE_CHECKING:
    from hub.site.outline import Field
    from hub.site.site import Usage

app = typer.Typer(no_args_is_help=True, help="新建系统或映射的骨架 · the beginning of a system or a mapping")


@app.command()
def system(
    name: Annotated[str, typer.Argument(help="系统名 · the name of the system")],
    site: SiteOption = None,
    lang: LangOption = None,
) -> None:
    """新建系统 · a new system: mappings/NAME/system.yaml to be filled in."""
    from hub.site import skeleton
    from hub.site.check import NAME

    if not NAME.fullmatch(name):
        typer.echo(f"{plain(name)}: {NAME.pattern}", err=True)
        raise typer.Exit(2)
    _write(site_folder(site), skeleton.system(name), lang)


@app.command()
def mapping(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="来源种类，或 call=KIND,crew=KIND · kind, or name=kind")
    ],
    target: Annotated[str, typer.Argument(metavar="TO", help="目标种类 · the kind to make")],
    system: Annotated[str, typer.Option("--system", help="放入此系统 · its folder; that of FROM otherwise")] = "",
    site: SiteOption = None,
    lang: LangOption = None,
) -> None:
    """新建映射：列出必填目标，建议来源 · a new mapping: mandatory targets listed, likely sources proposed."""
    from hub.site import skeleton
    from hub.site.load import usable

    folder, sources = site_folder(site), _sources(source)
    kinds = usable(folder)
    for kind in (*sources.values(), target):
        if kind not in kinds:
            typer.echo(f"{plain(kind)}: {', '.join(sorted(kinds))}", err=True)
            raise typer.Exit(2)
    room = system or kinds[next(iter(sources.values()))].system
    outlines = {alias: (kind, _outline(kinds[kind])) for alias, kind in sources.items()}
    files = skeleton.mapping(room, outlines, target, _outline(kinds[target]), _case(folder, room, target))
    _write(folder, files, lang)


def _sources(said: str) -> dict[str, str]:
    """Kinds by alias; one kind alone has the alias ""."""
    pairs = [one.strip().rpartition("=") for one in said.split(",")]
    return {alias if "=" in said else "": kind for alias, _, kind in pairs}


def _outline(usage: Usage) -> Field:
    from hub.site.load import facts_of
    from hub.site.outline import outline

    return outline(facts_of(usage), usage.rule.root)


def _case(folder: Path, system: str, target: str) -> str:
    """The name of the next golden case."""
    numbers = [path.name[:2] for path in (folder / "mappings" / system / "cases").glob("[0-9][0-9]-*")]
    return f"{max(map(int, numbers), default=0) + 1:02}-{target}"


def _write(folder: Path, files: Mapping[PurePath, str], lang: str | None) -> None:
    from hub.catalogue import language, text
    from hub.site import skeleton

    speak = language(lang)
    try:
        for file in skeleton.write(folder, files):
            typer.echo(text("new.written", speak, file=file))
    except FileExistsError as there:
        typer.echo(text("new.there", speak, file=there), err=True)
        raise typer.Exit(1) from None
    lines = [line for content in files.values() for line in content.splitlines()]
    count = sum(f'"{skeleton.FILL_IN}"' in line.partition("#")[0] for line in lines)
    if count:
        typer.echo(text("new.blanks", speak, count=count))
