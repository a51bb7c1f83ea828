"""Command of the operator after a restore: fence."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from hub.cli.common import ByOption, JsonOption, SiteOption, WhyOption, journal_of, load_site, out


def fence(by: ByOption, why: WhyOption = "", site: SiteOption = None, json_: JsonOption = False) -> None:
    """恢复备份后、启动前:未决投递先查证再发 · after a restore, before the start: ask first, send nothing blindly."""
    from hub.fence import fence as raise_fence

    loaded, journal = load_site(site), journal_of(site)
    try:
        counted = raise_fence(loaded, journal, by, why, datetime.now(UTC))
    finally:
        journal.close()
    if json_:
        out(counted)
        return
    for what, count in counted.items():
        typer.echo(f"{what:12} {count}")
    typer.echo("eport held")


COMMANDS = (fence,)
