"""A message that is sent again, and an answer that somebody forged or mixed up (T9, T23). One process, real journal."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from adapters.memory import Memory, MemoryInlet
from hub import intake, journey
from hub.identity.xmldsig import sign
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.journal.numbers import Numbers
from tests.faults.conftest import Port, manifest, port

__all__ = ["Port", "port"]

REPLAYS = 1000
ANSWER = (
    '<CustomsAnswer xmlns="urn:eport:manifest:customs-answer:1"><Reference>{}</Reference><Number>{}</Number>'
    "<Status>{}</Status><At>2026-11-23T08:30:00+08:00</At></CustomsAnswer>"
)


def test_a_thousand_replays_at_once_are_one_acceptance_and_equal_receipts(port: Any) -> None:
    """By four gates and four workers side by side, each with a journal connection of its own."""
    data = manifest(77)  # asks for a CONTRL
    source, faults = [Memory() for _ in range(4)], []
    for number in range(REPLAYS):
        source[number % 4].put(f"replay-{number}.edi", data)

    def replay(number: int) -> None:
        journal = Journal(port.folder / "spool", f"replay-{number}")
        try:
            inlet, numbers = MemoryInlet(source[number]), Numbers(journal)
            while intake.accept(inlet, journal, f"gate-{number}", "TJLINE", 1_000_000, port.now):
                journey.work(port.site, journal, numbers, port.now)
            while journey.work(port.site, journal, numbers, port.now) or journal.backlog():
                pass
        except BaseException as fault:
            faults.append(fault)
            raise
        finally:
            journal.close()

    threads = [threading.Thread(target=replay, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(110)
    assert faults == []
    i, d = t.interchange, t.delivery
    states = {
        row["state"]: row["n"]
        for row in port.journal.rows(select(i.c.state, func.count().label("n")).group_by("state"))
    }
    assert states == {"opened": 1, "duplicate": REPLAYS - 1}
    to_customs = port.journal.rows(select(d.c.id).where(d.c.party == "CUSTOMS"))
    told = port.journal.rows(select(d.c.payload).where(d.c.party == "TJLINE", d.c.kind == "contrl"))
    assert len(port.column(t.message, "id")) == len(to_customs) == 1
    assert len(told) == REPLAYS and len({row["payload"] for row in told}) == 1


@pytest.fixture
def delivered(port: Any) -> dict[str, str]:
    """A manifest is at its readers: the delivery of each party by its reference, and what each is called."""
    port.submit("tjline", "one.edi", manifest(88))
    port.run()
    rows = port.journal.rows(select(t.reference).where(t.reference.c.name == "reference"))
    return {row["party"]: row["value"] for row in rows}


def state(port: Any, party: str) -> str:
    return str(port.journal.row(select(t.delivery.c.state).where(t.delivery.c.party == party))["state"])


def says(port: Any, party: str, xml: str, signer: str = "") -> str:
    """What an agency lays down, signed by `signer` or not at all; what became of it."""
    data = sign(xml.encode(), port.signers[signer], port.now) if signer else xml.encode()
    name = f"answer-{len(port.column(t.interchange, 'id'))}.xml"
    (port.home(party.lower()) / "out" / name).write_bytes(data)
    port.now += timedelta(seconds=1)
    port.run()
    i, r = t.interchange, t.receipt
    receipt = port.journal.row(select(r.c.state).join(i, r.c.message.startswith(i.c.id)).where(i.c.name == name))
    return str(receipt["state"] if receipt else port.journal.row(select(i.c.state).where(i.c.name == name))["state"])


def test_an_answer_that_customs_did_not_sign_decides_nothing(port: Any, delivered: dict[str, str]) -> None:
    forged = ANSWER.format(delivered["CUSTOMS"], "TJL0000000088", "03")
    assert says(port, "CUSTOMS", forged) == "rejected"
    assert says(port, "CUSTOMS", forged, signer="INSPECTION") == "rejected"
    assert says(port, "CUSTOMS", forged, signer="TJEPORT") == "rejected"
    assert state(port, "CUSTOMS") == "sent" and port.column(t.receipt, "id") == []


def test_an_answer_to_what_another_party_got_decides_nothing(port: Any, delivered: dict[str, str]) -> None:
    other = delivered["TERMINAL"]
    assert other != delivered["CUSTOMS"]
    assert says(port, "CUSTOMS", ANSWER.format(other, "TJL0000000088", "03"), "CUSTOMS") == "orphan"
    assert says(port, "CUSTOMS", ANSWER.format("E000000000", "TJL0000000088", "03"), "CUSTOMS") == "orphan"
    assert says(port, "CUSTOMS", ANSWER.format(delivered["CUSTOMS"], "TJL0000000099", "03"), "CUSTOMS") == "orphan"
    assert {state(port, party) for party in ("CUSTOMS", "TERMINAL")} == {"sent"}


def test_answers_that_come_twice_change_nothing_the_second_time(port: Any, delivered: dict[str, str]) -> None:
    yes = ANSWER.format(delivered["CUSTOMS"], "TJL0000000088", "01")
    assert says(port, "CUSTOMS", yes, "CUSTOMS") == "matched"
    assert says(port, "CUSTOMS", yes, "CUSTOMS") in (
        "duplicate",
        "matched",
    )  # the signature differs, the answer does not
    assert says(port, "CUSTOMS", re.sub("08:30", "08:31", yes), "CUSTOMS") == "duplicate"
    assert state(port, "CUSTOMS") == "answered"
    assert says(port, "CUSTOMS", yes.replace(">01<", ">03<"), "CUSTOMS") == "contradictory"
    assert state(port, "CUSTOMS") == "answered"
