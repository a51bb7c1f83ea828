"""`eport alarm`: what was told to whom, and a trial of each way. list, test."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from hub.cli.common import JsonOption, SiteOption, journal_of, load_site, out, site_folder

app = typer.Typer(no_args_is_help=True, help="告警 · alarms")


@app.command(name="list")
def list_(
    count: Annotated[int, typer.Option(help="最近多少条 · how many, the newest")] = 50,
    site: SiteOption = None,
    json_: JsonOption = False,
) -> None:
    """发过的和待发的告警 · what was told, and what is still to be told."""
    from hub.cli.paint import short_time, table
    from hub.tracing import alarms

    journal = journal_of(site)
    rows = alarms(journal, count)
    journal.close()
    if json_:
        out(rows)
        return
    for row in rows:
        row["at"], row["next"] = short_time(row["at"]), short_time(row["next_at"] or "")
    table(("at", "rule", "subject", "code", "state", "notices", "next", "reason"), rows)


@app.command()
def test(name: str, site: SiteOption = None) -> None:
    """试发一次 · send a trial by this alarm's way."""
    from hub.alarms.telling import trial
    from hub.contract import Ground

    folder, loaded = site_folder(site), load_site(site)
    if name not in loaded.routes.alarms:
        typer.echo(f"{name}: {' | '.join(loaded.routes.alarms)}", err=True)
        raise typer.Exit(1)
    trial(loaded, Ground(folder, folder / "spool"), name, datetime.now(UTC))
    typer.echo(f"{name}: told")
