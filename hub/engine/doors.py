"""The servers that let parties in, opened by the gate. What they listen on is written to spool/run/doors.json."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import adapters
from hub.contract import Door, DoorEndpoint, Ground, closing
from hub.errors import AdapterError, DeclarationError, Unreachable
from hub.site.site import Site

log = logging.getLogger("eport")


def open_all(site: Site, ground: Ground) -> list[Door]:
    """One server for each adapter that has a door and is used.

    Raises Unreachable where one cannot listen, DeclarationError where one user is two endpoints'; none is open then.
    """
    listening = {"sftpd": site.routes.doors.sftp, "http": site.routes.doors.http}
    opened: dict[str, Door] = {}
    for adapter, address in listening.items():
        used = [(n, e) for n, e in site.routes.endpoints.items() if e.adapter == adapter]
        if used:
            module: Any = adapters.load(adapter)
            ways = [DoorEndpoint(name, module.Options.model_validate(e.options)) for name, e in used]
            host, _, port = address.rpartition(":")
            try:
                opened[adapter] = module.door((host, int(port)), ways, ground)
            except OSError as fault:
                closing(opened.values())
                raise Unreachable(f"the {adapter} door cannot listen on {address}: {fault.strerror}") from fault
            except (AdapterError, DeclarationError):
                closing(opened.values())
                raise
            log.info("%s listens on %s:%s", adapter, *opened[adapter].address)
    _tell(ground.spool, {adapter: door.address for adapter, door in opened.items()})
    return list(opened.values())


def refuse(opened: Iterable[Door], ground: Ground, why: str) -> None:
    """Parties can hand nothing in as long as `why` is not empty; they still fetch what is for them. A file
    spool/run/shut-PID says so to others (hub.engine.drain)."""
    for door in opened:
        door.refuse(why)
    path = ground.spool / "run" / f"shut-{os.getpid()}"
    if why:
        with suppress(OSError):  # the disk may be full
            path.write_text(why, "utf-8")
    else:
        path.unlink(missing_ok=True)


def keyless(opened: Iterable[Door]) -> dict[str, str]:
    """Endpoints whose party cannot come in because its key or token cannot be had, and why. Looked for again."""
    return {name: why for door in opened for name, why in door.keyless().items()}


def _tell(spool: Path, addresses: dict[str, tuple[str, int]]) -> None:
    path = spool / "run" / "doors.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"pid": os.getpid(), "doors": addresses}), "utf-8")
    fresh.rename(path)


def addresses(spool: Path) -> dict[str, tuple[str, int]]:
    """What the doors of a running hub listen on, by adapter; {} when none has been opened."""
    try:
        said = json.loads((spool / "run" / "doors.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return {adapter: (host, port) for adapter, (host, port) in said["doors"].items()}
