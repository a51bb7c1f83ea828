"""`eport test`: the golden cases beside the mappings. Exit codes: 0 all hold, 1 something differs, 2 no such case."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.common import JsonOption, LangOption, SiteOption, load_site, out, site_folder
from hub.plain import plain

if TYPE_CHECKING:
    from hub.golden.cases import Result
    from hub.golden.cover import Cover


def test(
    system: Annotated[str, typer.Argument(help="只运行此系统的案例 · the cases of this system only")] = "",
    case: Annotated[str, typer.Option("--case", help="只运行此案例 · this case only, by its name or number")] = "",
    update: Annotated[bool, typer.Option("--update", help="改写预期结果 · rewrite what is expected")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="不再询问 · --update does not ask")] = False,
    uncovered: Annotated[bool, typer.Option("--uncovered", help="未覆盖的规则 · rules that no case exercises")] = False,
    site: SiteOption = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """运行映射的样例，逐字段列出差异 · run the golden cases and show what differs, field by field."""
    from hub.golden.cases import found, run
    from hub.golden.cover import cover

    loaded, cases = load_site(site), found(site_folder(site), system, case)
    if not cases:
        typer.echo(f"{system or '*'}/{case or '*'}: mappings/<system>/cases/NN-name/?", err=True)
        raise typer.Exit(2)
    results = [run(loaded, one) for one in cases]
    covers = [] if system or case else cover(loaded, [result.nodes for result in results])
    if json_:
        out({"cases": [_row(result) for result in results], "mappings": [_cover_row(one) for one in covers]})
    else:
        _show(results, covers, uncovered, lang)
    if update:
        _update([result for result in results if result.stale], yes, lang)
    elif not all(result.holds for result in results):
        raise typer.Exit(1)


def _row(result: Result) -> dict[str, Any]:
    told = [
        {"what": one.what, "path": one.change.path, "expected": one.change.expected, "got": one.change.got}
        for one in result.differences
    ]
    return {"system": result.case.system, "case": result.case.name, "holds": result.holds, "differences": told}


def _cover_row(one: Cover) -> dict[str, Any]:
    missed = [{"target": r.target, "file": r.spot.file, "line": r.spot.line} for r in one.uncovered]
    return {"mapping": one.mapping, "rules": one.rules, "covered": one.covered, "uncovered": missed}


def _show(results: Sequence[Result], covers: Sequence[Cover], uncovered: bool, lang: str | None) -> None:
    from hub.catalogue import language, text

    speak = language(lang)
    for result in results:
        word, colour = ("ok", "green") if result.holds else ("differs", "red")
        mark = typer.style(text(f"golden.{word}", speak), fg=colour)
        typer.echo(f"{mark}  {result.case.system}/{result.case.name}")
        what = ""
        for one in result.differences:
            if one.what != what:
                what = one.what
                typer.secho(f"    {what}", bold=True)
            if one.change.path:
                typer.echo(f"      {plain(one.change.path)}")
            side("-", one.change.expected, "red")
            side("+", one.change.got, "green")
    held = sum(result.holds for result in results)
    typer.echo(text("golden.sum", speak, held=held, count=len(results)))
    for cover in covers:
        typer.echo(text("golden.cover", speak, mapping=cover.mapping, covered=cover.covered, rules=cover.rules))
        for rule in cover.uncovered if uncovered else ():
            typer.secho(f"    {rule.spot.file}:{rule.spot.line}:{rule.spot.column}: {rule.target}", fg="yellow")


def side(sign: str, value: str | None, colour: str) -> None:
    """One side of a difference; a side that has nothing is left out."""
    if value is not None:
        typer.secho(f"        {sign} {plain(value)}", fg=colour)


def _update(results: Sequence[Result], yes: bool, lang: str | None) -> None:
    """Rewrite, after asking a person; exit code 2 where nobody can be asked."""
    from hub.catalogue import language, text
    from hub.golden.cases import update

    speak = language(lang)
    if not results:
        return
    if not yes:
        if not sys.stdin.isatty():
            typer.echo("--yes", err=True)
            raise typer.Exit(2)
        count = sum(len(result.stale) for result in results)
        typer.confirm(text("golden.rewrite", speak, count=count), abort=True)
    for result in results:
        for file in update(result):
            typer.echo(text("golden.written", speak, file=file), err=True)


COMMANDS = (test,)
