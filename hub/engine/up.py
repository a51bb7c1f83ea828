"""Every role of one port in one process: one thread each, and one more per endpoint, until told to stop."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import adapters
from hub.contract import Door, DoorEndpoint, Ground, closing
from hub.engine import roles
from hub.identity.ca import Authority
from hub.identity.keys import Signer, load_certificates, load_key
from hub.identity.register import Register
from hub.journal.journal import Journal
from hub.journal.schema import upgrade
from hub.site.load import load
from hub.site.site import Site


@dataclass(frozen=True, slots=True)
class Running:
    """A hub at work."""

    doors: list[Door]
    journal: Journal
    stop: threading.Event
    threads: list[threading.Thread]

    def close(self) -> None:
        """Shut the doors, let every role end its round, then close the journal."""
        closing(self.doors)
        self.stop.set()
        for thread in self.threads:
            thread.join()
        self.journal.close()


def identity(site: Site, folder: Path) -> Site:
    """The site with the port's own CA and certificate, made on first start below spool/keys."""
    keys = folder / "spool" / "keys"
    authority = Authority(keys)
    if not (keys / "ca.key").exists():
        authority.init(roles.now(), f"{site.routes.port} CA")
    if not (keys / "hub.key").exists():
        issued = authority.issue(site.routes.port, roles.now())
        (keys / "hub.crt").write_bytes(issued.certificate)
        (keys / "hub.key").touch(mode=0o600)
        (keys / "hub.key").write_bytes(issued.private_key or b"")
    crl = authority.crl()
    register = Register(roots=(authority.certificate(),), crls=(crl,) if crl else ())
    signer = Signer(load_key(keys / "hub.key"), load_certificates((keys / "hub.crt").read_bytes())[0])
    return replace(site, register=register, signer=signer)


def doors(site: Site, ground: Ground) -> list[Door]:
    """The servers that let parties in: one for each adapter that has a door and is used."""
    listening = {"sftpd": site.routes.doors.sftp, "http": site.routes.doors.http}
    opened: list[Door] = []
    for adapter, address in listening.items():
        used = [(n, e) for n, e in site.routes.endpoints.items() if e.adapter == adapter]
        if used:
            module: Any = adapters.load(adapter)
            ways = [DoorEndpoint(name, module.Options.model_validate(e.options)) for name, e in used]
            host, _, port = address.rpartition(":")
            opened.append(module.door((host, int(port)), ways, ground))
    return opened


def up(folder: Path) -> Running:
    """Start everything. Raises DeclarationError before anything was started when the site cannot run."""
    site = identity(load(folder), folder)
    ground = Ground(folder, folder / "spool")
    journal = Journal(folder / "spool", "up")
    upgrade(journal.engine)
    journal.take_back(lambda name: False)  # one process is the whole hub: whoever held a claim is dead
    stop = threading.Event()
    work = (site, journal, ground, stop)
    threads = [threading.Thread(target=roles.run, args=(role, *work), name=role, daemon=True) for role in roles.ROLES]
    opened = doors(site, ground)
    for thread in threads:
        thread.start()
    return Running(opened, journal, stop, threads)
