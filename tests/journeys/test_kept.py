"""When the bytes are gone a document is still known: duplicates, amendments and decisions are told so."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub import decisions, retention
from hub.errors import Impossible
from hub.journal import keeping
from hub.journal import tables as t
from hub.sandbox.ground import folders_only
from hub.site.load import load
from hub.tracing import trace

from .test_waiting import ARRIVAL, ORIGINAL, answer

BOTH = True
DAY = timedelta(days=1)
MAPPINGS = Path(__file__).parents[2] / "mappings"
AMENDED_CALL = (MAPPINGS / "vessel" / "cases" / "04-amendment" / "in.edi").read_bytes()


def keep(port: Any, days: int) -> None:
    """The same port, which keeps bytes for so long."""
    path = port.folder / "routes.yaml"
    text = folders_only((Path(__file__).parents[2] / "routes.yaml").read_text("utf-8"))
    path.write_text(f"{text}\nretention: {{payloads: {days}d}}\n", "utf-8")
    port.site = load(port.folder, port.site.register, port.site.signer)


def settled(port: Any) -> None:
    """A manifest that customs has accepted, and all that it was told."""
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    asked = port.files("customs", "in")[-1].read_bytes()
    port.answer("CUSTOMS", "answer.xml", answer(asked))
    port.run()


def with_bytes(port: Any) -> int:
    p = t.payload
    return len(port.journal.rows(select(p.c.sha256).where(p.c.removed_at.is_(None))))


def test_a_duplicate_of_what_is_long_gone_is_still_a_duplicate(port: Any) -> None:
    keep(port, 30)
    settled(port)
    port.now += 29 * DAY
    assert retention.clear(port.site, port.journal, port.now) == 0
    port.now += 2 * DAY
    assert retention.clear(port.site, port.journal, port.now) > 0
    assert with_bytes(port) == 0
    before = {path.name for path in port.files("tjline", "inbound")}
    sent = len(port.files("customs", "in"))
    port.submit("tjline", "again.edi", ORIGINAL)
    port.run()
    i = t.interchange
    again = port.journal.row(select(i).where(i.c.name == "again.edi"))
    first = port.journal.row(select(i).where(i.c.name == "mft.edi"))
    assert (again["state"], again["original"]) == ("duplicate", first["id"])
    assert len(port.files("customs", "in")) == sent
    [note] = [path for path in port.files("tjline", "inbound") if path.name not in before]
    words = note.read_text("utf-8")
    assert note.name.endswith(".duplicate.txt") and "2026-12-2" in words and "未重复办理" in words
    assert port.journal.payload(first["sha256"]) == ORIGINAL  # the sender has brought it again


def test_a_duplicate_before_that_gets_the_stored_answers_and_keeps_them_for_longer(port: Any) -> None:
    keep(port, 30)
    settled(port)
    port.now += 29 * DAY
    port.submit("tjline", "again.edi", ORIGINAL)
    port.run()
    port.now += 2 * DAY
    retention.clear(port.site, port.journal, port.now)
    d = t.delivery
    told = port.journal.rows(select(d).where(d.c.party == "TJLINE"))
    assert len(told) >= 4
    assert keeping.removed(port.journal, [row["payload"] for row in told]) == {}


def test_what_waits_for_an_answer_keeps_everything_that_belongs_to_it(port: Any) -> None:
    keep(port, 30)
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    port.now += 400 * DAY
    before = with_bytes(port)
    assert retention.clear(port.site, port.journal, port.now) == 0 and with_bytes(port) == before


def test_resending_and_tracing_say_that_the_bytes_are_gone(port: Any) -> None:
    keep(port, 30)
    settled(port)
    port.now += 40 * DAY
    retention.clear(port.site, port.journal, port.now)
    d = t.delivery
    sent = port.journal.row(select(d).where(d.c.state == "sent", d.c.party == "TERMINAL"))
    with pytest.raises(Impossible, match="its bytes were kept until 2027-01-0"):
        decisions.resend(port.site, port.journal, sent["id"], "LI", "", port.now)
    story = trace(port.journal, "mft.edi")
    assert all(row["removed_at"].startswith("2027-01-0") for row in story["messages"] + story["interchanges"])


def test_what_is_sent_again_belongs_again_to_what_is_not_over(port: Any) -> None:
    keep(port, 30)
    settled(port)
    port.now += 29 * DAY
    d = t.delivery
    sent = port.journal.row(select(d).where(d.c.state == "sent", d.c.party == "TERMINAL"))
    decisions.resend(port.site, port.journal, sent["id"], "LI", "", port.now)
    needed = [
        sent["payload"],
        port.journal.row(select(t.interchange).where(t.interchange.c.name == "mft.edi"))["sha256"],
    ]
    port.now += 400 * DAY
    retention.clear(port.site, port.journal, port.now)
    port.run()
    retention.clear(port.site, port.journal, port.now)
    assert keeping.removed(port.journal, needed) == {}
    port.now += 40 * DAY
    retention.clear(port.site, port.journal, port.now)
    assert keeping.removed(port.journal, needed).keys() == set(needed)


def test_an_amendment_whose_case_needs_bytes_that_are_gone_waits_for_a_person(port: Any) -> None:
    keep(port, 30)
    port.submit("bohai", "call.edi", ARRIVAL)
    port.run()
    with port.journal._write() as connection:  # as if it had been closed and settled
        connection.execute(t.case.update().values(state="closed", closed_at=port.now))
        connection.execute(t.delivery.update().values(state="answered"))
        connection.execute(t.waiting.delete())
    port.now += 40 * DAY
    assert retention.clear(port.site, port.journal, port.now) > 0
    crew = AMENDED_CALL.index(b"UNH+2+PAXLST")  # without a new crew list the case needs the old one
    crewless = AMENDED_CALL[:crew] + AMENDED_CALL[AMENDED_CALL.index(b"UNZ+") :].replace(b"UNZ+2", b"UNZ+1")
    port.submit("bohai", "amended.edi", crewless)
    port.run()
    held = port.journal.rows(select(t.waiting.c.code, t.waiting.c.detail).where(t.waiting.c.code == "case.not_made"))
    assert [row["detail"].split()[0] for row in held] == ["journal.removed"]
