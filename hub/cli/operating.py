"""Commands of the operator: status, trace, held, and what a person decides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.common import (
    ByOption,
    JsonOption,
    LangOption,
    SiteOption,
    WhyOption,
    journal_of,
    load_site,
    out,
    site_folder,
)
from hub.plain import plain

if TYPE_CHECKING:
    from hub.journal.journal import Journal


def status(
    watch: Annotated[bool, typer.Option("--watch", help="持续刷新 · look again and again, until Ctrl-C")] = False,
    seconds: Annotated[float, typer.Argument(help="刷新间隔 · between two looks of --watch", min=0.1)] = 2.0,
    site: SiteOption = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """各表各状态的数量、各端点的队列 · how many of everything in each state; what is queued at each endpoint."""
    from hub.cli.paint import short_time, state, table
    from hub.engine.reload import standing
    from hub.tracing import endpoints

    journal = journal_of(site, "status")
    if watch:
        from hub.cli.watching import watch as keep_looking

        keep_looking(journal, seconds, json_)
        return
    counts, queues = journal.counts(), endpoints(journal)
    journal.close()
    declared = standing(site_folder(site))
    if json_:
        out({"counts": counts, "endpoints": queues, "declarations": declared})
        return
    for name, states in counts.items():
        words = (f"{state(which)} {count}" for which, count in sorted(states.items()))
        typer.echo(f"{name:12} " + "  ".join(words))
    if queues:
        typer.echo()
        for row in queues:
            row["queue"] = " ".join(f"{which} {count}" for which, count in row["queued"].items())
            row["next"] = short_time(row["next_try"] or "")
        table(("endpoint", "state", "queue", "next", "reason"), queues)
    if declared.get("state") == "refused":
        _refused(declared, lang)


def _refused(declared: dict[str, Any], lang: str | None) -> None:
    """The files say something else than what runs: since when, and what is wrong with them."""
    from hub.catalogue import language, text
    from hub.cli.paint import short_time

    speak, active = language(lang), str(declared["fingerprint"])[:12]
    said = text("status.refused", speak, at=short_time(declared["at"]), fingerprint=active)
    typer.secho(f"\n{said}", fg="red")
    for row in declared["findings"]:
        place = f"{row['file']}:{row['line']}:{row['column']}" if row["file"] else row["path"] or ""
        typer.echo(plain(f"    {place}: [{row['code']}] {row['text'][speak]}"))
    if not declared["findings"]:
        typer.echo(plain(f"    {declared['why']}"))


def trace(ref: str, site: SiteOption = None, json_: JsonOption = False, lang: LangOption = None) -> None:
    """一个编号的来龙去脉 · the whole story of a reference: file name, id, control or business number, case."""
    from hub.cli.story import tell
    from hub.tracing import trace as look

    journal = journal_of(site)
    story = look(journal, ref)
    journal.close()
    if json_:
        out(story)
    else:
        tell(ref, story, lang)
    if not any(story[part] for part in ("interchanges", "messages", "cases")):
        raise typer.Exit(1)


def held(
    owner: Annotated[str, typer.Option(help="只看此责任方 · of this owner only")] = "",
    site: SiteOption = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """什么在等、等谁、何时到期 · what waits, why, for whom, and by when."""
    from hub.catalogue import describe, language
    from hub.cli.paint import short_time, table
    from hub.finding import Finding
    from hub.tracing import held as look

    journal = journal_of(site)
    rows = look(journal, owner)
    journal.close()
    for row in rows:
        row["why"], row["remedy"] = describe(Finding(row["code"], found=row["detail"]), language(lang))
    if json_:
        out(rows)
        return
    for row in rows:
        row["by"] = ("!" if row["overdue"] else "") + short_time(row["due_at"])
    table(("subject", "owner", "by", "code", "why"), rows)


def release(ref: str, by: ByOption, why: WhyOption = "", site: SiteOption = None) -> None:
    """放行：滞留项继续处理，停用端点重新启用 · let what is held go on; open a stopped endpoint."""
    from hub import decisions

    loaded, journal = load_site(site), journal_of(site)
    _known(journal, ref)
    _said(ref, decisions.release(loaded, journal, ref, by, why, datetime.now(UTC)))
    journal.close()


def resend(
    ref: str,
    by: Annotated[str, typer.Option("--by", help="谁的决定 · who decides")] = "",
    why: WhyOption = "",
    plan: Annotated[bool, typer.Option("--plan", help="只看会怎样 · only say what would happen")] = False,
    site: SiteOption = None,
    json_: JsonOption = False,
) -> None:
    """原样重发一次或多次投递 · the same bytes once more, for one delivery or all open ones of REF."""
    from hub import decisions
    from hub.cli.paint import table
    from hub.errors import Impossible
    from hub.tracing import trace as look

    loaded, journal = load_site(site), journal_of(site)
    rows: list[dict[str, Any]] = []
    story = look(journal, ref)
    deliveries = {d["id"]: d for m in (*story["messages"], *story["interchanges"]) for d in m["deliveries"]}
    for id, row in ({ref: deliveries[ref]} if ref in deliveries else deliveries).items():
        would = decisions.may_resend(row)
        happened = "would be sent again" if would else "stays as it is"
        if would and not plan:
            if not by:
                typer.echo("--by", err=True)
                raise typer.Exit(2)
            try:
                happened = decisions.resend(loaded, journal, id, by, why, datetime.now(UTC))
            except Impossible as fault:
                happened = str(fault)
        rows.append({"delivery": id, "party": row["party"], "was": row["state"], "now": happened})
    journal.close()
    if json_:
        out(rows)
    else:
        table(("delivery", "party", "was", "now"), rows)
    if not rows:
        raise typer.Exit(1)


def cancel(ref: str, by: ByOption, why: WhyOption = "", site: SiteOption = None) -> None:
    """到此为止 · it ends here."""
    from hub import decisions

    journal = journal_of(site)
    _known(journal, ref)
    _said(ref, decisions.cancel(journal, ref, by, why, datetime.now(UTC)))
    journal.close()


def settle(
    ref: str,
    arrived: Annotated[bool, typer.Option("--arrived/--not-arrived", help="是否送达 · did it arrive")],
    by: ByOption,
    and_by: Annotated[str, typer.Option("--and-by", help="第二人 · the second person")],
    why: WhyOption = "",
    site: SiteOption = None,
) -> None:
    """两人确认存疑投递的结果 · two persons say what became of a delivery in doubt."""
    from hub import decisions

    journal = journal_of(site)
    _known(journal, ref)
    _said(ref, decisions.settle(journal, ref, arrived, by, and_by, why, datetime.now(UTC)))
    journal.close()


def hold(endpoint: str, by: ByOption, why: WhyOption = "", site: SiteOption = None) -> None:
    """停用一个端点，直到放行 · nothing goes to this endpoint until it is released."""
    from hub import decisions

    loaded, journal = load_site(site), journal_of(site)
    if endpoint not in loaded.routes.endpoints:
        typer.echo(f"{plain(endpoint)}: {' | '.join(loaded.routes.endpoints)}", err=True)
        raise typer.Exit(1)
    _said(endpoint, decisions.hold(loaded, journal, endpoint, by, why, datetime.now(UTC)))
    journal.close()


def _known(journal: Journal, ref: str) -> None:
    """Exit code 1 where nothing has this id."""
    from hub import decisions
    from hub.errors import Impossible

    try:
        decisions.find(journal, ref)
    except Impossible as fault:
        journal.close()
        typer.echo(plain(str(fault)), err=True)
        raise typer.Exit(1) from None


def _said(ref: str, state: str) -> None:
    from hub.cli.paint import state as painted

    typer.echo(f"{ref} {painted(state)}")


COMMANDS = (status, trace, held, release, resend, cancel, settle, hold)
