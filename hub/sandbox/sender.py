"""Hand a file in as a party's ERP would: over its own way in."""

from __future__ import annotations

import io
import socket
from pathlib import Path
from typing import Any

from hub.engine.doors import addresses
from hub.errors import Impossible
from hub.site.load import load


def hand_in(folder: Path, party: str, name: str, data: bytes) -> str:
    """Where it was put. Raises Impossible when this machine cannot act as that party."""
    site = load(folder)
    if party not in site.parties or not site.parties[party].at:
        raise Impossible(f"{party}: no party of this name has a way in; there are {', '.join(site.parties)}")
    endpoint = site.parties[party].at
    rule = site.routes.endpoints[endpoint]
    if rule.adapter == "folder":
        return _into_folder(folder, rule.options, name, data)
    if rule.adapter == "sftpd":
        door = addresses(folder / "spool").get("sftpd")
        key = folder / "spool" / "keys" / f"{endpoint}.key"
        if door is None or not key.exists():
            raise Impossible(f"{party} comes over SFTP: the hub must run, and its private key be {key}")
        with sftp(door, rule.options["user"], key) as session:
            session.putfo(io.BytesIO(data), f"outbound/{name}")
        return f"sftp://{rule.options['user']}@{door[0]}:{door[1]}/outbound/{name}"
    raise Impossible(f"{party} comes over {rule.adapter}: hand the file in there")


def _into_folder(folder: Path, options: dict[str, Any], name: str, data: bytes) -> str:
    inbox = folder / (options.get("in") or f"{options['out']}/outbound")
    fresh = inbox / f".{name}.part"
    fresh.write_bytes(data)
    fresh.rename(inbox / name)
    return str(inbox / name)


class sftp:
    """One SFTP session of an ERP at the front door."""

    def __init__(self, door: tuple[str, int], user: str, key: Path) -> None:
        import paramiko

        line = socket.create_connection(door, timeout=10)  # not left to paramiko, which forgets one that it cannot use
        try:
            self._transport = paramiko.Transport(line)
            self._transport.connect(username=user, pkey=paramiko.Ed25519Key.from_private_key_file(str(key)))
        except BaseException:
            line.close()
            raise

    def __enter__(self) -> Any:
        import paramiko

        return paramiko.SFTPClient.from_transport(self._transport)

    def __exit__(self, *_: object) -> None:
        self._transport.close()
