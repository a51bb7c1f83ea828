"""Output that is beautiful in a terminal and plain in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hub.plain import plain, width

if TYPE_CHECKING:
    from hub.finding import Finding

GOOD = {"opened", "split", "done", "answered", "closed", "open", "sent", "receipted", "acknowledged", "matched"}
GOOD |= {"accepted"}
BAD = {"rejected", "dead", "refused", "quarantined", "conflict", "contradictory", "orphan", "broken"}
WAIT = {"held", "in_doubt", "failed", "late", "accepted-with-warnings"}


def show_findings(findings: list[Finding], lang: str | None, otherwise: str = "", site: Path | None = None) -> None:
    """Findings for a person: place, what is wrong, what to do."""
    from hub.catalogue import describe, language, where
    from hub.declaration import excerpt

    speak = language(lang)
    for finding in findings:
        what, remedy = describe(finding, speak)
        colour = "red" if finding.severity == "error" else "yellow"
        typer.echo(f"{where(finding)}: {typer.style(finding.severity, fg=colour)} [{finding.code}] {what}")
        for line in excerpt(site, finding).splitlines() if site else ():
            typer.echo(f"    {line}")
        typer.echo(f"    → {remedy}")
    if not findings and otherwise:
        typer.echo(plain(otherwise), err=True)


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as a table; in a pipe as lines of columns that are parted by tabs."""
    cells = [[plain(str(row.get(column, "") or "")) for column in columns] for row in rows]
    if not sys.stdout.isatty():
        for line in cells:
            typer.echo("\t".join(line))
        return
    widths = [max(width(text) for text in [name, *(line[at] for line in cells)]) for at, name in enumerate(columns)]
    typer.secho("  ".join(pad(name, widths[at]) for at, name in enumerate(columns)), bold=True)
    for line in cells:
        typer.echo("  ".join(state(text, widths[at]) for at, text in enumerate(line)).rstrip())


def state(text: str, wide: int = 0) -> str:
    """A word in the colour of what it means."""
    colour = "green" if text in GOOD else "red" if text in BAD else "yellow" if text in WAIT else None
    return typer.style(pad(text, wide), fg=colour) if colour else pad(text, wide)


def pad(text: str, wide: int) -> str:
    return text + " " * max(0, wide - width(text))


def short_time(iso: str) -> str:
    """`2026-11-23T08:30:00.123+00:00` as `11-23 16:30:00` on this machine's clock."""
    from datetime import datetime

    return f"{datetime.fromisoformat(iso).astimezone():%m-%d %H:%M:%S}" if iso else ""
