"""`eport play`: a mapping on the bench, in the browser of this machine. Exit codes: 2 no such mapping or file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.common import LangOption, SiteOption, load_site, read

if TYPE_CHECKING:
    from hub.site.site import Site


def play(
    mapping: Annotated[str, typer.Argument(help="映射文件 · a mapping file of the site, or what it makes")] = "",
    file: Annotated[Path | None, typer.Argument(help="报文文件，默认为首个样例 · else the first golden case")] = None,
    port: Annotated[int, typer.Option("--port", help="本机端口 · on 127.0.0.1; 0 takes a free one")] = 0,
    site: SiteOption = None,
    lang: LangOption = None,
) -> None:
    """映射工作台：来源、规则、输出并列，即改即现 · source, mapping and output side by side, live, on a local page."""
    from hub.catalogue import language, text
    from hub.workshop.bench import Bench, text_of
    from hub.workshop.draft import Drafts
    from hub.workshop.server import Workshop

    found = load_site(site)
    rules = _rules(found, mapping)
    source = _case(found, rules) if file is None else file
    content, codec = text_of(read(source)) if source else ("", "utf-8")
    name = rules.relative_to(found.folder).as_posix()
    bench = Bench(Drafts.of(found, name), source.name if source else "", codec, language(lang))
    try:
        server = Workshop(bench, content, rules.read_text("utf-8"), port)
    except OSError as fault:
        typer.echo(f"127.0.0.1:{port}: {fault.strerror}", err=True)
        raise typer.Exit(2) from None
    typer.echo(text("play.open", language(lang), url=server.url))
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def _rules(site: Site, wanted: str) -> Path:
    """The mapping file of this name, or the first that makes this kind; without a name the first."""
    files = sorted((site.folder / "mappings").glob("*/*--to--*.yaml"))
    named = [file for file in files if wanted in ("", file.stem, file.name, file.relative_to(site.folder).as_posix())]
    named += [file for file in files if file.stem.endswith(f"--to--{wanted}")]
    if not named:
        typer.echo(f"{wanted}: {', '.join(file.stem for file in files)}", err=True)
        raise typer.Exit(2)
    return named[0]


def _case(site: Site, rules: Path) -> Path | None:
    """The first golden case of which the mapping makes something; its own system's come first."""
    from hub.golden.cases import found
    from hub.judging import judge, nodes_of, way

    target, now = rules.stem.partition("--to--")[2], datetime.now(UTC)
    cases = sorted(found(site.folder), key=lambda case: case.system != rules.parent.name)
    for file in (file for case in cases for file in case.inputs):
        verdict = judge(site, file.read_bytes(), name=file.name, now=now)
        if verdict.word != "rejected" and way(site, set(nodes_of(verdict.messages)), target):
            return file
    return None


COMMANDS = (play,)
