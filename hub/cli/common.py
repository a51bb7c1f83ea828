"""What every command shares: its options, and where the site is."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hub.journal.journal import Journal
    from hub.site.site import Site

SiteOption = Annotated[Path | None, typer.Option("--site", help="站点目录 · site folder ($EPORT_SITE)")]
JsonOption = Annotated[bool, typer.Option("--json", help="机器可读 · for machines")]
LangOption = Annotated[str | None, typer.Option("--lang", help="zh / en")]
ByOption = Annotated[str, typer.Option("--by", help="谁的决定 · who decides")]
WhyOption = Annotated[str, typer.Option("--why", help="理由 · the reason")]


def site_folder(given: Path | None) -> Path:
    """--site › $EPORT_SITE › the current folder › the shipped reference site."""
    if given is not None:
        return given
    if "EPORT_SITE" in os.environ:
        return Path(os.environ["EPORT_SITE"])
    return Path.cwd() if (Path.cwd() / "routes.yaml").exists() else shipped()


def shipped() -> Path:
    """The reference site: beside the package in a checkout, in share/eport of an installation."""
    checkout = Path(__file__).parents[2]
    return checkout if (checkout / "routes.yaml").exists() else Path(sysconfig.get_path("data")) / "share" / "eport"


def load_site(given: Path | None) -> Site:
    """The site. Raises DeclarationError."""
    from hub.site.load import load

    return load(site_folder(given))


def spool_of(given: Path | None) -> Path:
    """The spool of a site that has run before; exit code 2 where there is no journal."""
    spool = site_folder(given) / "spool"
    if not (spool / "journal.db").exists() and "EPORT_DATABASE_URL" not in os.environ:
        typer.echo(f"{spool}: 尚无日志库 · no journal yet; eport up", err=True)
        raise typer.Exit(2)
    return spool


def journal_of(given: Path | None, name: str = "cli") -> Journal:
    """The journal of a site that has run before; exit code 2 where there is none.

    Raises JournalError where it cannot be read."""
    from sqlalchemy.exc import DBAPIError

    from hub.errors import JournalError
    from hub.journal.journal import Journal

    spool = spool_of(given)
    journal = Journal(spool, name)
    try:
        journal.backlog()
    except DBAPIError as fault:
        journal.close()
        raise JournalError(f"the journal in {spool} cannot be used: {fault.orig}") from fault
    return journal


def read(file: Path) -> bytes:
    """The bytes of a file that a person named, of standard input for `-`; exit code 2 where it cannot be read."""
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as fault:
        typer.echo(f"{file}: {fault.strerror}", err=True)
        raise typer.Exit(2) from None


def out(data: Any) -> None:
    """One JSON document on standard output; what a terminal could obey is escaped in it."""
    from hub.plain import plain

    typer.echo(plain(json.dumps(data, ensure_ascii=False, indent=1), keep="\n"))
