"""What a hub stands on, looked at before it starts: libraries without known holes; and a process that leaves no traces.

The reasons for each version are in docs/security.md. They are the floors of setup.cfg too, but a floor there holds
only on the day of the installation.
"""

from __future__ import annotations

import ctypes
import re
import resource
import sys
from importlib.metadata import PackageNotFoundError, version

from hub.errors import EportError

LEAST = {"lxml": "6.1.1", "signxml": "5.0.1", "paramiko": "5", "cryptography": "45"}
"""Packages that read what strangers send, and the oldest version of each that does so safely."""
_PR_SET_DUMPABLE = 4


def stand() -> None:
    """Raises EportError when a library is too old. From then on this process and its children dump no core, and no
    other process of the same user may read their memory: they hold the port's signing key."""
    if weak():
        raise EportError(f"too old to be safe: {'; '.join(weak())}")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    close()


def close() -> None:
    """No core dump and no reading of this process's memory by others (prctl(2), PR_SET_DUMPABLE). Linux only."""
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise EportError(f"memory cannot be closed to others: errno {ctypes.get_errno()}")


def weak() -> list[str]:
    """What is too old, in words; empty when nothing is."""
    old = {name: have for name, have in versions().items() if _numbers(have) < _numbers(LEAST[name])}
    return [f"{name} {have or 'is missing'}, {LEAST[name]} is needed" for name, have in old.items()]


def versions() -> dict[str, str]:
    """The versions that are installed of what LEAST names; "" for what is not."""
    found = {}
    for name in LEAST:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def inside() -> dict[str, str]:
    """What this hub is made of, by name: itself, its libraries, and what these have brought with them."""
    import sqlite3

    from cryptography.hazmat.backends.openssl import backend
    from lxml import etree

    return {
        "eport": version("eport-hub"),
        **versions(),
        "libxml2": ".".join(map(str, etree.LIBXML_VERSION)),
        "OpenSSL": backend.openssl_version_text().removeprefix("OpenSSL ").partition(" ")[0],
        "SQLite": sqlite3.sqlite_version,
        "Python": sys.version.partition(" ")[0],
    }


def _numbers(text: str) -> list[int]:
    """`6.1.3rc1` as [6, 1, 3]: what follows the first part that is no number says nothing about holes."""
    leading = re.match(r"[0-9]+(?:\.[0-9]+)*", text)
    return [int(part) for part in leading[0].split(".")] if leading else []
