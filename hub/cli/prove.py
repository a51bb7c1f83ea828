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
    wires: Annotated[
        bool, typer.Option("--wires", help="走真实通道 · over SFTP, HTTP, and queues at $EPORT_AMQP_URL")
    ] = False,
) -> None:
    """在每个环节杀死每个角色，再由独立检查程序核对 · kill every role at every step, then check from outside."""
    from hub.prove.crash import main

    raise typer.Exit(main(kills, seed, keep, wires))


@app.command()
def faults(
    only: Annotated[str, typer.Option(help="只试这些故障,如 F3,F7 · these faults only")] = "",
    trials: Annotated[int, typer.Option(help="每行的次数 · times that each fault happens; 0: as the table says")] = 0,
    seed: Annotated[int, typer.Option(help="随机种子 · what is random repeats with it")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="给程序看 · for machines")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="数秒一行 · seconds a row, not minutes")] = False,
) -> None:
    """断网、断电、满盘、乱钟,再独立核对 · break network, disk, database, clock; then check from outside."""
    from hub.prove.faults.campaign import main

    try:
        raise typer.Exit(main([name for name in only.split(",") if name], trials, seed, as_json, quick))
    except ValueError as fault:
        raise typer.BadParameter(str(fault)) from fault


@app.command()
def machines(
    hubs: Annotated[str, typer.Option(help="用几台中枢主机测量 · with how many hubs to measure")] = "1,2,3",
    seed: Annotated[int, typer.Option(help="随机种子 · what is random repeats with it")] = 1,
) -> None:
    """多机:拔网线、断电源,再独立核对 · several hosts on one PostgreSQL: pull a cable, switch one off; then check."""
    from hub.prove.machines import main

    try:
        numbers = [int(number) for number in hubs.split(",")]
    except ValueError as fault:
        raise typer.BadParameter(hubs) from fault
    raise typer.Exit(main(numbers, seed))
