"""`eport status --watch`: the journal's figures and how fast they change, until Ctrl-C. In a terminal one page that is
drawn anew; in a pipe tab-separated lines, or with --json one object a line."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import typer

from hub import figures
from hub.plain import plain
from hub.tracing import endpoints

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hub.journal.journal import Journal

SPARING = 20
"""A look is followed by a rest of at least so many times as long as it took, however often it was asked for."""
SHARES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Look:
    """One look. `rates`: by table and state, how many more there are for each second since the look before; `journeys`:
    seconds from arrival until sent or answered of what got there since then, at half, 95 % and 99 % of it."""

    at: str
    counts: figures.Counts
    rates: dict[str, dict[str, float]]
    endpoints: list[dict[str, Any]]
    waiting: dict[str, int]  # by owner
    journeys: dict[str, list[float]]


def watch(journal: Journal, seconds: float, as_json: bool) -> None:
    """Look until Ctrl-C; the journal is closed then."""
    try:
        if as_json or not sys.stdout.isatty():
            for look in looks(journal, seconds):
                for line in [json.dumps(asdict(look), ensure_ascii=False)] if as_json else lines(look):
                    typer.echo(line)
        else:
            _draw(journal, seconds)
    except KeyboardInterrupt:
        pass
    finally:
        journal.close()


def looks(journal: Journal, seconds: float) -> Iterator[Look]:
    """One look after the other, for ever."""
    before: figures.Counts = {}
    last, then = figures.newest_event(journal), time.monotonic()
    while True:
        began = time.monotonic()
        counts, seen = journal.counts(), figures.happened(journal, last)
        yield Look(
            datetime.now(UTC).isoformat(timespec="seconds"),
            counts,
            _rates(before, counts, began - then) if before else {},
            endpoints(journal),
            _owners(journal),
            {name: [figures.percentile(v, share) for share in SHARES] for name, v in seen.journeys.items() if v},
        )
        before, last, then = counts, seen.last, began
        time.sleep(max(seconds, SPARING * (time.monotonic() - began)))


def _owners(journal: Journal) -> dict[str, int]:
    owners: Counter[str] = Counter()
    for row in figures.waiting(journal):
        owners[row["owner"]] += row["n"]
    return dict(owners.most_common())


def _rates(before: figures.Counts, after: figures.Counts, seconds: float) -> dict[str, dict[str, float]]:
    return {
        table: {state: (n - before.get(table, {}).get(state, 0)) / seconds for state, n in states.items()}
        for table, states in after.items()
    }


def lines(look: Look) -> Iterator[str]:
    """time, table, state, how many, how many more a second; then endpoints, what waits for whom, journeys."""
    for table, states in look.counts.items():
        for state, count in sorted(states.items()):
            rate = look.rates.get(table, {}).get(state, 0.0)
            yield f"{look.at}\t{table}\t{state}\t{count}\t{rate:.2f}"
    for row in look.endpoints:
        queue = sum(row["queued"].values())
        yield f"{look.at}\tendpoint\t{row['endpoint']}\t{row['state']}\t{queue}"
    for owner, count in look.waiting.items():
        yield f"{look.at}\twaiting\t{plain(owner)}\t{count}"
    for until, values in look.journeys.items():
        yield "\t".join([look.at, "journey", until, *(f"{value:.2f}" for value in values)])


def _draw(journal: Journal, seconds: float) -> None:
    from rich.live import Live

    with Live(auto_refresh=False, screen=False) as screen:
        for look in looks(journal, seconds):
            screen.update(page(look), refresh=True)


def page(look: Look) -> RenderableType:
    """The look as tables side by side with what they mean in colour."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    counted = Table(box=None, pad_edge=False, show_header=False)
    for table, states in look.counts.items():
        words = Text()
        for state, count in sorted(states.items()):
            rate = look.rates.get(table, {}).get(state, 0.0)
            words.append(f"{state} ", _style(state)).append(str(count), "bold")
            words.append(f" {rate:+.1f}/s  " if rate else "  ", "cyan")
        counted.add_row(table, words)
    if look.waiting:
        counted.add_row("waiting", "  ".join(f"{plain(owner)} {n}" for owner, n in look.waiting.items()))
    queues = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("endpoint", "state", "queue", "oldest", "reason"):
        queues.add_column(title, no_wrap=title != "reason", overflow="ellipsis")
    for row in look.endpoints:
        queue = " ".join(f"{which} {n}" for which, n in row["queued"].items())
        standing = Text(row["state"], _style(row["state"]))
        queues.add_row(row["endpoint"], standing, queue, _age(row["oldest"], look.at), Text(plain(row["reason"])))
    speed = "   ".join(
        f"{until} p50 {p50:.1f} s  p95 {p95:.1f} s  p99 {p99:.1f} s" for until, (p50, p95, p99) in look.journeys.items()
    )
    return Group(Text(f"{look.at}   Ctrl-C", "dim"), counted, Text(), queues, Text(speed))


def _style(state: str) -> str:
    from hub.cli.paint import BAD, GOOD, WAIT

    return "green" if state in GOOD else "red" if state in BAD else "yellow" if state in WAIT else ""


def _age(since: str | None, at: str) -> str:
    if not since:
        return ""
    whole = max(timedelta(), datetime.fromisoformat(at) - datetime.fromisoformat(since))
    return str(timedelta(seconds=int(whole.total_seconds())))
