"""Bytes that the disk has changed under the hub are found before they are used and set aside; the rest goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from hub import journey
from hub.engine import gate
from hub.journal import tables as t

BOTH = True
CASES = Path(__file__).parents[2] / "mappings" / "manifest" / "cases"
ORIGINAL = (CASES / "01-original" / "in.edi").read_bytes()
OTHER = ORIGINAL.replace(b"TJ26112301", b"TJ26112399").replace(b"TJL2611230001", b"TJL2611230099")


def flip(port: Any, sha256: str) -> None:
    """One bit of a stored payload."""
    data = bytearray(port.journal.payload(sha256))
    data[len(data) // 2] ^= 1
    with port.journal.engine.begin() as connection:
        connection.execute(update(t.payload).where(t.payload.c.sha256 == sha256).values(data=bytes(data)))


def waits(port: Any) -> dict[str, str]:
    return {row["subject"]: row["code"] for row in port.journal.rows(select(t.waiting))}


def test_an_interchange_that_was_changed_is_never_opened(port: Any) -> None:
    port.submit("tjline", "a.edi", ORIGINAL)
    port.submit("tjline", "b.edi", OTHER)
    gate.gate_round(port.site, port.journal, port.inlets, port.now)
    [bad] = port.journal.rows(select(t.interchange).where(t.interchange.c.name == "a.edi"))
    flip(port, bad["sha256"])
    port.run()
    states = {row["name"]: row["state"] for row in port.journal.rows(select(t.interchange))}
    assert states == {"a.edi": "quarantined", "b.edi": "opened"}
    assert waits(port) == {bad["id"]: "journal.damaged"}
    [asked] = port.files("customs", "in")
    assert b"TJL2611230099" in asked.read_bytes()


def test_a_delivery_that_was_changed_is_never_sent(port: Any) -> None:
    port.submit("tjline", "a.edi", ORIGINAL)
    port.submit("tjline", "b.edi", OTHER)
    gate.gate_round(port.site, port.journal, port.inlets, port.now)
    journey.work(port.site, port.journal, port.numbers, port.now)
    d = t.delivery
    bad = port.journal.rows(select(d).where(d.c.party == "CUSTOMS").order_by(d.c.seq))[0]
    flip(port, bad["payload"])
    port.run()
    [held] = port.journal.rows(select(d).where(d.c.id == bad["id"]))
    assert held["state"] == "held" and held["reason"].startswith("journal.damaged")
    assert waits(port)[bad["id"]] == "journal.damaged"
    assert len(port.files("customs", "in")) == 1 and len(port.files("terminal", "inbound")) == 2
