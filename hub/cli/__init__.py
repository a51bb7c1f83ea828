"""The command line. Start-up imports nothing heavy; each command loads what it needs when it runs.

    declarations  init check translate test            operating  status trace held release resend cancel settle hold
    running       up run drain demo send                     cert       init issue list revoke
    restoring     fence
    prove         crash                                evidence   export verify            audit  verify heads
    judging       validate answer                            explain    where each value came from
    diff          two versions of the declarations
    play          a mapping on the bench
    health        doctor                                     alarm      list test
    new           system mapping
    standards     list show import doc

Exit codes: 0 as asked · 1 the answer is no (a rejected file, a demo that went wrong, an unknown reference) ·
2 unusable input or wrong call · 3 the hub cannot do it now (journal, identity, transport).
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hub.cli import (
    alarm,
    cert,
    declarations,
    diff,
    evidence,
    explain,
    golden,
    health,
    judging,
    new,
    operating,
    play,
    prove,
    restoring,
    running,
    standards,
)
from hub.errors import DeclarationError, EportError
from hub.plain import plain


def _version(wanted: bool) -> None:
    if wanted:
        from hub.engine.footing import inside

        for name, number in inside().items():
            typer.echo(f"{name} {number}")
        raise typer.Exit


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,  # in a pipe plain, and three times as quick
    pretty_exceptions_enable=False,
    help="电子口岸报文交换中枢 · EDI hub for electronic ports",
)
for command in (
    *declarations.COMMANDS,
    *golden.COMMANDS,
    *diff.COMMANDS,
    *judging.COMMANDS,
    *explain.COMMANDS,
    *play.COMMANDS,
    *running.COMMANDS,
    *operating.COMMANDS,
    *restoring.COMMANDS,
    *health.COMMANDS,
):
    app.command()(command)
app.add_typer(new.app, name="new")
app.add_typer(cert.app, name="cert")
app.add_typer(alarm.app, name="alarm")
app.add_typer(prove.app, name="prove")
app.add_typer(standards.app, name="standards")
app.add_typer(evidence.evidence, name="evidence")
app.add_typer(evidence.audit, name="audit")


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="版本 · what this is made of")
    ] = False,
) -> None: ...


def main() -> None:
    """Entry point of the `eport` command."""
    try:
        app()
    except DeclarationError as fault:
        from hub.cli.paint import show_findings

        show_findings(list(fault.findings), None, str(fault))
        raise SystemExit(2) from None
    except EportError as fault:
        typer.echo(plain(str(fault), keep="\n"), err=True)
        raise SystemExit(3) from None
