"""The command line. Start-up imports nothing heavy; each command loads what it needs when it runs.

    declarations  init check validate translate        operating  status trace held release resend cancel settle hold
    running       up run demo send                     cert       init issue list revoke
    prove         crash

Exit codes: 0 as asked · 1 the answer is no (a rejected file, a demo that went wrong, an unknown reference) ·
2 unusable input or wrong call · 3 the hub cannot do it now (journal, identity, transport).
"""

from __future__ import annotations

import sys

import typer

from hub.cli import cert, declarations, operating, prove, running
from hub.errors import DeclarationError, EportError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,  # in a pipe plain, and three times as quick
    pretty_exceptions_enable=False,
    help="电子口岸报文交换中枢 · EDI hub for electronic ports",
)
for command in (*declarations.COMMANDS, *running.COMMANDS, *operating.COMMANDS):
    app.command()(command)
app.add_typer(cert.app, name="cert")
app.add_typer(prove.app, name="prove")


def main() -> None:
    """Entry point of the `eport` command."""
    try:
        app()
    except DeclarationError as fault:
        from hub.cli.paint import show_findings

        show_findings(list(fault.findings), None, str(fault))
        raise SystemExit(2) from None
    except EportError as fault:
        typer.echo(str(fault), err=True)
        raise SystemExit(3) from None
