"""`eport diff`: what two versions of the declarations make of the same messages.

Exit codes: 0 the same, 1 something differs, 2 unusable: a version that does not load, no messages, or some that could
not be looked at while the others are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from hub.cli.common import JsonOption, LangOption, SiteOption, journal_of, out, site_folder
from hub.plain import plain

if TYPE_CHECKING:
    from datetime import datetime

    from hub.golden.corpus import Item
    from hub.golden.versions import Told
    from hub.site.site import Site

OldArgument = Annotated[str, typer.Argument(help="原版本：站点目录或一个声明文件 · a site folder, or one declaration")]
NewArgument = Annotated[str, typer.Argument(help="新版本；省略时以当前站点为原版本 · without it OLD against the site")]
SystemArgument = Annotated[str, typer.Argument(help="只比较此系统 · messages of this system only")]
CorpusOption = Annotated[Path | None, typer.Option("--corpus", help="报文目录 · a folder of messages as they came")]
LastOption = Annotated[str, typer.Option("--last", help="日志库最近的报文，如 7d · what the journal took in, e.g. 7d")]
MostOption = Annotated[int, typer.Option("--most", min=0, help="最多详列几条 · how many are told in detail")]
COLOURS = {"same": "green", "changed": "yellow", "accepted": "green", "refused": "red", "error": "red"}
Counts = dict[str, Counter[str]]


def diff(
    old: OldArgument,
    new: NewArgument = "",
    system: SystemArgument = "",
    corpus: CorpusOption = None,
    last: LastOption = "",
    most: MostOption = 20,
    site: SiteOption = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """两个版本的声明对真实报文的差异 · which real messages would change and how, field by field."""
    from hub.golden.versions import compared

    since = _since(corpus, last)
    with ExitStack() as stack:
        active = site_folder(site)
        before = _site(stack, active, Path(old) if new else active, lang)
        after = _site(stack, active, Path(new or old), lang)
        if system and system not in before.systems.keys() | after.systems.keys():
            _unusable(f"{system}: {', '.join(after.systems)}")
        counts: Counts = {}
        shown: list[Told] = []
        for told in compared(before, after, _corpus(stack, site, corpus, since, after, system), system):
            counts.setdefault(told.by, Counter())[told.word] += 1
            if told.word != "same" and len(shown) < most:
                shown.append(told)
    if json_:
        out({"mappings": _sums(counts), "messages": [_row(told) for told in shown], "left_out": _left(counts, shown)})
    else:
        _show(counts, shown, lang)
    _leave(counts)


def _unusable(said: str) -> NoReturn:
    typer.echo(plain(said), err=True)
    raise typer.Exit(2)


def _site(stack: ExitStack, active: Path, given: Path, lang: str | None) -> Site:
    """The site in a folder, or the active one with one file replaced; exit code 2 with what is wrong with it."""
    from tempfile import TemporaryDirectory

    from hub.cli.paint import show_findings
    from hub.errors import DeclarationError
    from hub.golden.draft import laid_out
    from hub.site.load import load

    if not given.exists():
        _unusable(f"{given}?")
    try:
        if given.is_file():
            given = laid_out(active, given, Path(stack.enter_context(TemporaryDirectory(prefix="eport-diff-"))))
        return load(given)
    except DeclarationError as fault:
        typer.echo(plain(str(fault)), err=True)
        show_findings(list(fault.findings), lang)
        raise typer.Exit(2) from None


def _since(corpus: Path | None, last: str) -> datetime | None:
    """The beginning of the time that --last names; None without it. Exit code 2 for a corpus that is none."""
    from datetime import UTC, datetime

    from hub.site.model import span

    if corpus and (last or not corpus.is_dir()):
        _unusable("--corpus | --last" if last else f"{corpus}/?")
    try:
        return datetime.now(UTC) - span(last) if last else None
    except (ValueError, OverflowError):
        _unusable(f"--last {last}: 7d, 12h")


def _corpus(
    stack: ExitStack, site: Path | None, corpus: Path | None, since: datetime | None, after: Site, system: str
) -> Iterator[Item]:
    """The messages that were asked for: of a folder, of the journal, or else the golden inputs of the new version."""
    from datetime import UTC, datetime

    from hub.golden import corpus as messages

    if corpus:
        return messages.files(corpus, datetime.now(UTC))
    if since:
        return messages.received(stack.enter_context(closing(journal_of(site))), since)
    return messages.golden(after.folder, system)


def _leave(counts: Counts) -> None:
    words = sum(counts.values(), Counter[str]())
    if words.keys() & {"changed", "refused", "accepted"}:
        raise typer.Exit(1)
    if not words["same"] or words["error"]:
        raise typer.Exit(2)


# ---- as data


def _sums(counts: Counts) -> list[dict[str, Any]]:
    from hub.golden.versions import WORDS

    sums = counts.items()
    return [{"mapping": by, "messages": found.total(), **{word: found[word] for word in WORDS}} for by, found in sums]


def _row(told: Told) -> dict[str, Any]:
    differences = [
        {"what": one.what, "path": one.change.path, "old": one.change.expected, "new": one.change.got}
        for one in told.differences
    ]
    names = {"item": told.item, "message": told.message, "mapping": told.by, "kind": told.kind}
    return {**names, "verdict": told.word, "differences": differences}


def _left(counts: Counts, shown: list[Told]) -> int:
    """How many that are not the same are not told in detail."""
    return sum(found.total() - found["same"] for found in counts.values()) - len(shown)


# ---- for a person


def _show(counts: Counts, shown: list[Told], lang: str | None) -> None:
    """The sums first, then what differs."""
    from hub.catalogue import language, text
    from hub.cli.golden import side
    from hub.cli.paint import table
    from hub.golden.versions import WORDS

    speak = language(lang)
    table(("mapping", "messages", *WORDS), [{k: str(v) for k, v in row.items()} for row in _sums(counts)])
    for told in shown:
        mark = typer.style(text(f"diff.{told.word}", speak), fg=COLOURS[told.word])
        typer.echo(f"{mark}  {plain(' '.join(part for part in (told.item, told.message) if part))}  {told.by}")
        for one in told.differences:
            if one.change.path:
                typer.echo(f"      {plain(one.change.path)}")
            side("-", one.change.expected, "red")
            side("+", one.change.got, "green")
    if not counts:
        typer.echo(text("diff.none", speak), err=True)
    elif left := _left(counts, shown):
        typer.echo(text("diff.more", speak, count=left))
    elif not shown:
        typer.echo(text("diff.all_same", speak))


COMMANDS = (diff,)
