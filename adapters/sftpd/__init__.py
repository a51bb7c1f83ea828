"""The SFTP front door: parties log in with a public key and see four folders of their own.

    outbound/  the party writes here; a complete file is taken at once and disappears
    inbound/   the hub's answers and messages; removing a file acknowledges it
    error/     what the hub refused, with the reason; may be removed
    archive/   YYYY-MM-DD/: what the hub has taken over; read-only

On disk a party's home holds those four folders and two hidden ones:

    .taken/<time_ns>-<8 hex>__<name>              whole uploads that wait for the hub
    .taken/<time_ns>-<8 hex>-over<size>__<name>   the first 4 KiB of an upload that passed max_size
    .handed/<delivery>                            empty: this delivery was laid into inbound or error

Whoever writes, renames, removes or collects a file in outbound holds its flock, for door and inlet may be two
processes.

    box        what a party sees and may do         disk      the folders, and file operations in a safe order
    hubside    what the hub collects and lays down  handlers  SFTP requests
    server     logging in, sessions, the door
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from adapters.sftpd import disk
from adapters.sftpd.box import Box
from adapters.sftpd.hubside import BoxInlet, BoxOutlet
from hub.contract import DoorEndpoint, Ground
from hub.errors import DeclarationError

if TYPE_CHECKING:
    from adapters.sftpd.server import SftpDoor


class Options(BaseModel):
    """One party's box. `keys` are OpenSSH public key lines, or file:PATH (relative to the site) of such.

    home              folder of the box, relative to the spool; default boxes/<endpoint name>
    max_size          bytes of one file
    quota             bytes that may wait for the hub (outbound and .taken together)
    incomplete_after  seconds without change after which a cut file in outbound is collected as it is
    abandoned_after   seconds without change after which a temporary upload (.part and the like) is removed
    """

    model_config = ConfigDict(extra="forbid")

    user: str
    keys: list[str]
    home: str | None = None
    max_size: int = 50_000_000
    quota: int = 1_000_000_000
    incomplete_after: float = 60
    abandoned_after: float = Field(default=86_400, gt=0)

    @property
    def reads(self) -> bool:
        return True

    @property
    def writes(self) -> bool:
        return True


def _home(name: str, options: Options, ground: Ground) -> Path:
    return disk.prepare(ground.spool / (options.home or f"boxes/{name}"), options.abandoned_after)


def inlet(name: str, options: Options, ground: Ground) -> BoxInlet:
    """What this party has uploaded. Works whether or not the door runs in this process."""
    return BoxInlet(_home(name, options, ground), options.incomplete_after, options.abandoned_after)


def outlet(name: str, options: Options, ground: Ground) -> BoxOutlet:
    """This party's inbound and error folders."""
    return BoxOutlet(_home(name, options, ground))


def door(listen: tuple[str, int], endpoints: Sequence[DoorEndpoint], ground: Ground) -> SftpDoor:
    """Listen on (host, port) for all these parties. DeclarationError: a user named twice.

    Where a key cannot be had that party alone stays outside, see `keyless` of the door."""
    # Here, because paramiko is slow to import and only the door needs it.
    from adapters.sftpd.server import Guest, SftpDoor, host_key

    guests: dict[str, Guest] = {}
    for endpoint in endpoints:
        options = endpoint.options
        if not isinstance(options, Options):
            raise DeclarationError(f"{endpoint.name}: not the options of sftpd")
        if options.user in guests:
            raise DeclarationError(f"{endpoint.name}: user {options.user} is another endpoint's")
        home = _home(endpoint.name, options, ground)
        box = Box(home, options.max_size, options.quota, options.abandoned_after)
        guests[options.user] = Guest(endpoint.name, tuple(options.keys), box)
    return SftpDoor(listen, guests, ground, host_key(ground))
