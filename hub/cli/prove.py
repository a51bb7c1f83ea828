"""`eport prove`: break it on purpose, and have an independent checker look."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="自证 · prove that nothing is lost and nothing is done twice")


@app.command()
def crash(
    kills: Annotated[int, typer.Option(help="至少杀死进程的次数 · kills, at least one at each point")] = 60,
    seed: Annotated[int, typer.Option(help="随机种子 · what is random repeats with it")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="保留现场 · keep the folder")] = False,
) -> None:
    """在每个环节杀死每个角色，再由独立检查程序核对 · kill every role at every step, then check from outside."""
    from hub.prove.crash import main

    raise typer.Exit(main(kills, seed, keep))


@app.callback()
def _group() -> None:
    """Keeps `crash` a command of its own name while it is the only one."""
