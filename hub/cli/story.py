"""`eport trace` for a person: what came in, what became of it, who holds which version, what waits."""

from __future__ import annotations

import re
from typing import Any

import typer

from hub.catalogue import describe, language, text
from hub.cli.paint import short_time, state
from hub.finding import Finding
from hub.plain import plain, plainly

Row = dict[str, Any]


def tell(ref: str, story: Row, lang: str | None) -> None:
    """Print the whole story of `ref`."""
    speak, ref, story = language(lang), plain(ref), plainly(story)
    if not any(story[part] for part in ("interchanges", "messages", "cases")):
        typer.echo(text("trace.unknown", speak, ref=ref), err=True)
        return
    for interchange in story["interchanges"]:
        _interchange(interchange)
        for message in story["messages"]:
            if message["interchange"] == interchange["id"]:
                _message(message)
        for delivery in interchange["deliveries"]:
            _delivery(delivery, "  ")
    for message in story["messages"]:
        if not message["interchange"]:
            _message(message)
    for case in story["cases"]:
        _case(case)
    if story["versions"]:
        typer.echo()
        typer.secho(text("trace.versions", speak), bold=True)
        for version in story["versions"]:
            _version(version, speak)
    if story["waiting"]:
        typer.echo()
        typer.secho(text("trace.waiting", speak), bold=True)
        for row in story["waiting"]:
            what, remedy = describe(Finding(row["code"], found=row["detail"]), speak)
            typer.echo(f"  {row['subject']}  {row['owner']}  {short_time(row['due_at'])}  {what}\n      → {remedy}")
    _removed([*story["interchanges"], *story["messages"]], speak)
    typer.echo()
    typer.secho(text("trace.events", speak), bold=True)
    for event in story["events"]:
        detail = " ".join(f"{k}={_short(v)}" for k, v in event["detail"].items() if v not in ("", None))
        typer.echo(f"  {short_time(event['at'])}  {event['subject']:28} {state(event['what'], 12)} {detail}".rstrip())


def _short(value: object) -> str:
    """A hash by its beginning, anything else as it is."""
    return str(value)[:12] if re.fullmatch("[0-9a-f]{64}", str(value)) else str(value)


def _interchange(row: Row) -> None:
    line = f"{row['id']}  {row['party']}  {row['name']}  {row['size']} B  {short_time(row['received_at'])}"
    typer.echo(f"{line}  {state(row['state'])}{_why(row)}")


def _message(row: Row) -> None:
    document = f"  {row['document']}" if row["document"] else ""
    typer.echo(f"  {row['id']}  {row['kind']}{document}  {state(row['state'])}{_why(row)}")
    for delivery in row["deliveries"]:
        _delivery(delivery, "    ")


def _delivery(row: Row, indent: str) -> None:
    owed = f"  ← {row['awaits']} {short_time(row['due_at'] or '')}" if row["awaits"] else ""
    late = "  !" if row["overdue"] else ""
    typer.echo(
        f"{indent}→ {row['party']:10} {row['kind']:18} {row['name']}  {state(row['state'])}{owed}{late}{_why(row)}"
    )
    for receipt in row["receipts"]:
        said = {True: "yes", False: "no", None: "—"}[receipt["accepted"]]
        reasons = "; ".join(" ".join(reason) for reason in receipt["reasons"])
        line = f"{indent}  ← {receipt['party']} {receipt['level']} {said} {state(receipt['state'])} {reasons}"
        typer.echo(f"{line.rstrip()}  {short_time(receipt['at'])}")


def _case(row: Row) -> None:
    stages = " → ".join(row["stages"])
    due = f"  ⏲ {short_time(row['due_at'])}" if row["due_at"] else ""
    typer.echo(f"{row['id']}  {state(row['state'])} {row['outcome']}  {stages}{due}{'  !' if row['overdue'] else ''}")


def _version(row: Row, speak: str) -> None:
    mark = "·" if row["superseded_by"] else "●"
    who = ", ".join(row["held_by"]) or "—"
    after = text("trace.superseded", speak, by=row["superseded_by"]) if row["superseded_by"] else ""
    typer.echo(f"  {mark} {row['document']}  {row['kind']}  {row['version']}  {who}  {after}".rstrip())


def _removed(rows: list[Row], speak: str) -> None:
    """How many bytes were kept long enough, of these and of their deliveries."""
    every = [*rows, *(delivery for row in rows for delivery in row["deliveries"])]
    gone = [row["removed_at"] for row in every if row["removed_at"]]
    if gone:
        typer.echo("\n" + text("trace.removed", speak, count=len(gone), until=min(gone)[:10]))


def _why(row: Row) -> str:
    return f"  ({row['reason']})" if row["reason"] else ""
