"""`eport cert`: the port's own CA. init, issue, list, revoke."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from hub.cli.common import JsonOption, SiteOption, out, site_folder

app = typer.Typer(no_args_is_help=True, help="口岸自建 CA · the port's own CA")


@app.command()
def init(name: Annotated[str, typer.Option(help="CA 名称 · its name")] = "", site: SiteOption = None) -> None:
    """建立 CA · make the CA."""
    from hub.identity.ca import Authority

    keys = site_folder(site) / "spool" / "keys"
    Authority(keys).init(datetime.now(UTC), name or "eport CA")
    typer.echo(str(keys / "ca.crt"))


@app.command()
def issue(
    party: str,
    to: Annotated[Path | None, typer.Option(help="目录，缺省为 spool/keys · folder")] = None,
    days: int = 825,
    key: Annotated[Literal["p256", "rsa2048", "rsa3072"], typer.Option(help="密钥类型 · key")] = "p256",
    site: SiteOption = None,
) -> None:
    """为一方签发证书和密钥 · a certificate and a key for a party."""
    from hub.engine.identity import write
    from hub.identity.ca import Authority

    keys = site_folder(site) / "spool" / "keys"
    issued = Authority(keys).issue(party, datetime.now(UTC), days, key)
    for path in write(issued, (to or keys) / party):
        typer.echo(str(path))


@app.command(name="list")
def list_(site: SiteOption = None, json_: JsonOption = False) -> None:
    """已签发的证书 · what was issued, and what of it is revoked."""
    from hub.cli.paint import short_time, table
    from hub.identity.ca import Authority

    rows = [
        {
            "serial": row.serial,
            "party": row.party,
            "not_before": row.not_before.isoformat(),
            "not_after": row.not_after.isoformat(),
            "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
        }
        for row in Authority(site_folder(site) / "spool" / "keys").listing()
    ]
    if json_:
        out(rows)
        return
    for row in rows:
        row["until"] = (row["not_after"] or "")[:10]
        row["revoked"] = short_time(row["revoked_at"] or "")
    table(("serial", "party", "until", "revoked"), rows)


@app.command()
def revoke(serial: str, site: SiteOption = None) -> None:
    """吊销；运行中的中枢立即生效 · revoke; a running hub takes it over at once."""
    from hub.engine.supervisor import tell_reload
    from hub.identity.ca import Authority

    folder = site_folder(site)
    Authority(folder / "spool" / "keys").revoke(serial, datetime.now(UTC))
    told = tell_reload(folder)
    typer.echo(f"{serial} revoked" + (", the running hub reloads" if told else ""))
