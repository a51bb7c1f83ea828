"""`eport doctor`: one page that says what is wrong and what to type next."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from hub.cli.common import JsonOption, LangOption, SiteOption, out, site_folder, spool_of

if TYPE_CHECKING:
    from hub.doctor.line import Line

MARKS = {"ok": ("✓", "green"), "look": ("!", "yellow"), "bad": ("✗", "red")}


def doctor(site: SiteOption = None, json_: JsonOption = False, lang: LangOption = None) -> None:
    """体检：哪里不对、下一步做什么 · what is wrong, and the command to type next; exit code 1 if something is bad."""
    from dataclasses import asdict

    from hub.catalogue import check, language, text
    from hub.doctor.examination import examine

    spool_of(site)
    speak = language(lang)
    lines = examine(site_folder(site), datetime.now(UTC))
    verdicts = Counter(line.verdict for line in lines)
    if json_:
        out([asdict(line) | dict(zip(("title", "remedy"), check(line.check, speak), strict=True)) for line in lines])
    else:
        for line in lines:
            _show(line, *check(line.check, speak))
        if sys.stdout.isatty():
            typer.echo()
            numbers = {verdict: verdicts[verdict] for verdict in ("ok", "look", "bad")}
            typer.secho(text("doctor.sum", speak, **numbers), bold=True)
    if verdicts["bad"]:
        raise typer.Exit(1)


def _show(line: Line, title: str, remedy: str) -> None:
    """In a terminal a mark, what was found and, where something is to be done, what; in a pipe tabs."""
    from hub.cli.paint import pad
    from hub.plain import plain

    if not sys.stdout.isatty():
        typer.echo("\t".join((line.verdict, line.check, plain(line.found), line.todo)))
        return
    mark, colour = MARKS[line.verdict]
    typer.echo(f" {typer.style(mark, fg=colour, bold=True)} {pad(title, 16)} {plain(line.found)}")
    if line.verdict != "ok":
        typer.secho(f"     {remedy}", dim=True)
        typer.echo(f"     {typer.style('→', fg=colour)} {typer.style(line.todo, bold=True)}")


COMMANDS = (doctor,)
