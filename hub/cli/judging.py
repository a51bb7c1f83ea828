"""Commands of whoever writes messages: validate, answer. Exit codes: 0 accepted, 1 rejected, 2 unusable input."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.common import JsonOption, LangOption, SiteOption, load_site, out, read

if TYPE_CHECKING:
    from hub.judging import Judged, Verdict
    from hub.site.site import Site

FileArgument = Annotated[Path, typer.Argument(help="报文文件，- 为标准输入 · a file, - for standard input")]
PartyOption = Annotated[str, typer.Option("--party", help="发送方 · as the hub judges what this party sends")]
AnnotateOption = Annotated[bool, typer.Option("--annotate", help="逐段显示原文 · the file itself, with carets")]
STYLES = {"error": "red", "caret": "red", "warning": "yellow", "remedy": "green"}
DIM = ("place", "skipped")


def validate(
    file: FileArgument,
    site: SiteOption = None,
    json_: JsonOption = False,
    annotate: AnnotateOption = False,
    party: PartyOption = "",
    lang: LangOption = None,
) -> None:
    """校验一个报文文件 · say what is wrong with a file, where, and what to do."""
    from hub.catalogue import language
    from hub.cli.paint import state

    _, verdict = _verdict(file, site, party)
    if json_:
        out(verdict.as_json(language(lang)))
    else:
        for one in verdict.interchanges:
            _show(one, _name(file), lang, annotate)
        _summary(verdict)
        typer.echo(state(verdict.word))
    if verdict.formless:
        raise typer.Exit(2)
    if verdict.word == "rejected":
        raise typer.Exit(1)


def answer(file: FileArgument, site: SiteOption = None, party: PartyOption = "") -> None:
    """发送方会收到的回执 · the CONTRL and APERAK that the sender would get; nothing where none is due."""
    from hub.judging import answered
    from hub.plain import plain

    found, verdict = _verdict(file, site, party)
    for one in answered(found, verdict):
        shown = plain(one.data.decode("utf-8", "backslashreplace"), keep="\n") if sys.stdout.isatty() else one.data
        typer.echo(shown)
    if verdict.formless:
        raise typer.Exit(2)


def _verdict(file: Path, site: Path | None, party: str) -> tuple[Site, Verdict]:
    """The site, and its verdict on a file; exit code 2 for a party that it has not."""
    from hub.judging import judge

    data, found = read(file), load_site(site)
    if party and party not in found.parties:
        typer.echo(f"{party}: {', '.join(found.parties)}", err=True)
        raise typer.Exit(2)
    return found, judge(found, data, party, _name(file))


def _name(file: Path) -> str:
    return "stdin" if str(file) == "-" else file.name


def _show(one: Judged, name: str, lang: str | None, annotate: bool) -> None:
    """What was found in one interchange: as a list, or in the file itself."""
    from hub.catalogue import language
    from hub.rejection import annotated, explained, moved

    speak, opened = language(lang), one.opened
    findings = [*(moved(finding, -one.base) for finding in one.said), *one.findings]
    if annotate:
        _paint(annotated(opened.data, findings, speak, opened.written))
    elif findings:
        _paint(explained(speak, name, opened.data, findings, one.base, opened.written))


def _paint(lines: Iterable[tuple[str, str]]) -> None:
    for kind, line in lines:
        typer.secho(line, fg=STYLES.get(kind), bold=kind == "title", dim=kind in DIM)


def _summary(verdict: Verdict) -> None:
    """A line for each interchange that has an envelope."""
    from hub.plain import plain

    for one in verdict.interchanges:
        envelope = one.opened.envelope
        if envelope is not None:
            count = len(one.opened.messages)
            typer.echo(plain(f"{envelope.reference}  {envelope.sender} → {envelope.recipient}  {count}  {one.word}"))


COMMANDS = (validate, answer)
