"""Commands that run something: up, run, demo, send."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from hub.cli.common import JsonOption, LangOption, SiteOption, load_site, shipped, site_folder
from hub.cli.declarations import read


def up(
    site: SiteOption = None,
    workers: Annotated[int, typer.Option(help="工作进程数 · worker processes")] = 1,
    lang: LangOption = None,
) -> None:
    """运行整个中枢，直到 Ctrl-C · run the whole hub until Ctrl-C; SIGHUP reads the declarations again."""
    from hub.engine.supervisor import Supervisor

    folder = site_folder(site)
    _log()
    Supervisor(folder, workers=max(1, workers)).run()


def run(role: Annotated[str, typer.Argument(help="gate | worker | courier | clock")], site: SiteOption = None) -> None:
    """只运行一个角色 · run one role; several may run beside each other."""
    import threading

    from hub.engine import identity, supervisor
    from hub.engine.roles import ROLES
    from hub.site.load import load

    if role not in ROLES:
        typer.echo(f"{role}: {' | '.join(ROLES)}", err=True)
        raise typer.Exit(2)
    folder = site_folder(site)
    _log()
    loaded = identity.ready(load(folder), folder)
    supervisor.prepare(folder)
    supervisor.be(role, loaded, folder, threading.Event())


def _log() -> None:
    line = "%(asctime)s %(levelname)s %(processName)s %(threadName)s %(name)s %(message)s"
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=line)
    for chatty in ("paramiko", "apscheduler", "alembic", "httpx2", "waitress"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


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


COMMANDS = (up, run, demo, send)
