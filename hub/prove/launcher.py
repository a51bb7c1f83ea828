"""Starts roles that will be killed. Run as

    python -m hub.prove.launcher ROLE SITE [POINT] [N]    one role; it dies the N-th time that it comes to POINT
    python -m hub.prove.launcher nursery SITE             a parent that has loaded everything and forks roles
    python -m hub.prove.launcher up SITE                  the hub as in a port, with its own supervisor

The nursery reads one JSON object a line: {"start": role, "seat": any name, "point": name or
"", "count": n, "plant": name or ""}.
It and its children write: {"ready": true}; {"started": pid, "seat": …}; {"working": pid} after a child's first
round; {"hit": pid, "point": …} just before a point kills; {"dead": pid, "status": exit code}. SIGUSR2 arms a child's
point: before that it passes it unharmed. When the nursery's input ends, its children are killed.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import adapters
from hub.engine import couriers, identity, supervisor, ticking
from hub.prove import plants, points
from hub.site.load import load
from hub.site.site import Site

LOOK_EVERY = 0.1
PROBE_EVERY = timedelta(seconds=1)
"""The clock and couriers look more often than in a port, so that a proof takes minutes and not hours."""


def tell(row: dict[str, object]) -> None:
    """One line on standard output; a line this short is written whole."""
    os.write(1, json.dumps(row).encode() + b"\n")


def ready(folder: Path) -> Site:
    """The site, and everything that its roles will import."""
    site = identity.ready(load(folder), folder)
    for endpoint in site.routes.endpoints.values():
        adapters.load(endpoint.adapter)
    import apscheduler.schedulers.background  # noqa: F401

    supervisor.prepare(folder)
    return site


def be(role: str, site: Site, folder: Path, point: str, count: int, plant: str, armed: Callable[[], bool]) -> None:
    """One role in this process, with a point and a planted fault in it."""
    ticking.LOOK_EVERY, couriers.PROBE_EVERY = LOOK_EVERY, PROBE_EVERY
    plants.plant(plant, role)
    points.first_rounds(tell)
    if point:
        points.install(role, point, count, tell, armed)
    supervisor.be(role, site, folder, threading.Event())


def nursery(folder: Path) -> None:
    """Fork roles on demand until the input ends."""
    site = ready(folder)
    armed = threading.Event()
    signal.signal(signal.SIGUSR2, lambda *_: armed.set())  # children inherit the handler: none dies of being armed
    gc.freeze()
    tell({"ready": True})
    children: set[int] = set()
    waiting = b""
    while True:
        if select.select([0], [], [], 0.005)[0]:
            read = os.read(0, 65536)
            if not read:
                break
            *lines, waiting = (waiting + read).split(b"\n")
            for line in lines:
                children.add(_fork(json.loads(line), site, folder, armed))
        children -= set(_buried())
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def up(folder: Path) -> None:
    """The supervisor with all roles, until the input ends."""
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        supervisor.Supervisor(folder).run()
        os._exit(0)
    tell({"ready": True})
    while os.read(0, 65536):
        pass
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)


def _fork(wanted: dict[str, Any], site: Site, folder: Path, armed: threading.Event) -> int:
    pid = os.fork()
    if not pid:
        os._exit(_child(wanted, site, folder, armed))
    return pid


def _child(wanted: dict[str, Any], site: Site, folder: Path, armed: threading.Event) -> int:
    # Told by the child itself: told by its parent, it could come behind the child's own "working" or "hit".
    tell({"started": os.getpid(), "seat": wanted["seat"]})
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    parent = os.getppid()
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    try:
        be(wanted["start"], site, folder, wanted["point"], wanted["count"], wanted["plant"], armed.is_set)
    except Exception:
        logging.getLogger("eport").exception("role %s", wanted["start"])
        return 1
    return 0


def _watch(parent: int) -> None:
    """A child whose nursery is gone is gone too."""
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(1)
    os.kill(os.getpid(), signal.SIGKILL)


def _buried() -> list[int]:
    gone: list[int] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return gone
        if not pid:
            return gone
        gone.append(pid)
        tell({"dead": pid, "status": os.waitstatus_to_exitcode(status)})


def main(arguments: list[str]) -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    role, folder = arguments[0], Path(arguments[1])
    if role in ("nursery", "up"):
        {"nursery": nursery, "up": up}[role](folder)
        return
    point, count = (arguments[2] if len(arguments) > 2 else ""), int((arguments[3:] or ["1"])[0])
    be(role, ready(folder), folder, point, count, "", lambda: True)


if __name__ == "__main__":
    main(sys.argv[1:])
