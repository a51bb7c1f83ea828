"""Adapters: how bytes come in and go out. Each is a module, or a package, that keeps the contract of hub.contract.

One is imported only when an endpoint names it. What is not in ADAPTERS is no adapter: `names` and `algorithms` are
shared by several, the modules inside a package are its own. Third parties enter by the entry-point group
"eport.adapters".
"""

from __future__ import annotations

import difflib
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType

#: Alias in routes.yaml -> module.
ADAPTERS: dict[str, str] = {
    "amqp": "adapters.amqp",
    "folder": "adapters.folder",
    "http": "adapters.http",
    "memory": "adapters.memory",
    "sftp": "adapters.sftp",
    "sftpd": "adapters.sftpd",
}

#: Entry-point group by which other packages add adapters; they cannot replace one of ADAPTERS.
GROUP = "eport.adapters"


def known() -> dict[str, str]:
    """Every alias that `load` takes, with its module; installed third parties included."""
    return {point.name: point.value for point in entry_points(group=GROUP)} | ADAPTERS


def load(alias: str) -> ModuleType:
    """Import the adapter called `alias`. Raises ValueError, with the nearest name, when there is none."""
    if alias in ADAPTERS:
        return import_module(ADAPTERS[alias])
    aliases = known()
    if alias in aliases:
        return import_module(aliases[alias])
    near = difflib.get_close_matches(alias, aliases, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "known are " + ", ".join(sorted(aliases))
    raise ValueError(f"there is no adapter {alias!r}; {hint}")
