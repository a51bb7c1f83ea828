"""Commands that run something: up, run, drain, demo, send."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.cli.common import JsonOption, LangOption, SiteOption, journal_of, load_site, out, read, shipped, site_folder

LogOption = Annotated[str, typer.Option("--log", envvar="EPORT_LOG", help="日志格式 · text | json")]


def up(
    site: SiteOption = None,
    workers: Annotated[int, typer.Option(help="工作进程数 · worker processes")] = 1,
    log: LogOption = "text",
    lang: LangOption = None,
) -> None:
    """运行整个中枢，直到 Ctrl-C · run the whole hub until Ctrl-C; SIGHUP reads the declarations again."""
    from hub.engine import footing
    from hub.engine.supervisor import Supervisor

    folder = site_folder(site)
    _log(log)
    footing.stand()
    Supervisor(folder, workers=max(1, workers)).run()


def run(
    role: Annotated[str, typer.Argument(help="gate | worker | courier | clock")],
    site: SiteOption = None,
    log: LogOption = "text",
) -> None:
    """只运行一个角色 · run one role; several may run beside each other."""
    import threading

    from hub.engine import footing, identity, shared, supervisor
    from hub.engine.roles import ROLES
    from hub.site.load import load

    if role not in ROLES:
        typer.echo(f"{role}: {' | '.join(ROLES)}", err=True)
        raise typer.Exit(2)
    folder = site_folder(site)
    _log(log)
    footing.stand()
    loaded = identity.ready(load(folder), folder)
    supervisor.prepare(folder)
    shared.check(loaded, folder / "spool")
    supervisor.be(role, loaded, folder, threading.Event())


def _log(form: str) -> None:
    """Send the log to standard error; exit code 2 for a form that there is not."""
    from hub import logs

    if form not in logs.FORMS:
        typer.echo(f"--log {form}: {' | '.join(logs.FORMS)}", err=True)
        raise typer.Exit(2)
    logs.start(form)


def demo(
    once: Annotated[bool, typer.Option("--once", help="演示完即退出 · end after the show")] = False,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """演示：真实 SFTP、真实进程、模拟各部门 · the whole show: real SFTP, real processes, simulated agencies."""
    from hub.sandbox.show import show

    raise typer.Exit(0 if show(shipped(), once=once or json_, as_json=json_, lang=lang) else 1)


def send(
    file: Path,
    party: Annotated[str, typer.Option("--as", help="以哪一方的名义 · as which party")],
    name: Annotated[str, typer.Option(help="对方看到的文件名 · the name that answers quote")] = "",
    site: SiteOption = None,
) -> None:
    """以某一方的名义投递一个文件 · hand a file in as a party would, over its own way in."""
    from hub.sandbox.sender import hand_in

    folder, parties = site_folder(site), load_site(site).parties
    if party not in parties:
        typer.echo(f"{party}: {' | '.join(parties)}", err=True)
        raise typer.Exit(2)
    name = name or file.name
    where = hand_in(folder, party, name, read(file))
    typer.echo(f"{where}\neport trace {name}")


def drain(
    timeout: Annotated[str, typer.Option(help="最长等待，如 10m · at most, as 90s or 10m")] = "10m",
    site: SiteOption = None,
    json_: JsonOption = False,
) -> None:
    """停止接收，办完能办的，然后停机 · take nothing in, finish what can be finished now, then stop."""
    from datetime import UTC, datetime

    from hub.cli.paint import table
    from hub.draining import left
    from hub.engine.drain import drain as end
    from hub.site.model import span

    try:
        limit = span(timeout)
    except ValueError as fault:
        typer.echo(f"--timeout {timeout}: {fault}", err=True)
        raise typer.Exit(2) from None
    journal = journal_of(site, "drain")
    try:
        rest = end(site_folder(site), journal, limit, lambda: datetime.now(UTC))
        rows = left(journal)
    finally:
        journal.close()
    if json_:
        out({"finished": not rest, "unfinished": rest, "left": rows})
    else:
        table(("endpoint", "state", "awaits", "count", "why"), rows)
        for kind, count in rest.items():
            typer.echo(f"时间已到，未办完 · time is up, unfinished: {kind} {count}", err=True)
    if rest:
        raise typer.Exit(1)


COMMANDS = (up, run, drain, demo, send)
