"""A database of its own for one proof."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from hub.errors import Impossible


@contextmanager
def beside(url: str) -> Iterator[str]:
    """URL of a fresh database on the server of `url`, dropped after the block; "" for "".

    The user of `url` needs the right to make one. Raises Impossible where it cannot be made."""
    if not url:
        yield ""
        return
    import psycopg

    name = f"eport_proof_{secrets.token_hex(4)}"
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
    except psycopg.Error as fault:
        raise Impossible(f"no database of its own for the proof: {fault}") from fault
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
