"""What a party may send, and who is served first when many want something (T19)."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import func, insert, select

from hub.engine.doors import addresses
from hub.engine.stride import LEAST, Stride
from hub.intake import Pace
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.journal.questions import LOOKED_AT
from hub.journal.schema import upgrade
from hub.sandbox.sender import sftp
from hub.sandbox.show import running, stage
from hub.site.model import Party, Rate, Title
from tests.faults.conftest import ROOT, manifest, until

BOTH = True
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


# ---- the rate of a party


def test_a_bucket_is_full_at_first_and_fills_with_time() -> None:
    pace = Pace(10, timedelta(minutes=1), 10, NOW)
    assert pace.allows(NOW) == 10
    pace.left -= 10
    assert [pace.allows(NOW + seconds * SECOND) for seconds in (0, 5, 6, 12)] == [0, 0, 1, 2]
    assert pace.allows(NOW - timedelta(hours=1)) == 2  # a clock that goes back gives nothing and takes nothing
    assert pace.allows(NOW + timedelta(days=9)) == 10


def party(rate: object) -> Party:
    return Party.model_validate({"title": Title(zh="z", en="e"), "role": "r", "rate": rate})


def test_a_rate_is_written_in_words() -> None:
    assert party("600 per minute").rate == Rate(600, timedelta(minutes=1))
    assert party("1 per day").rate == Rate(1, timedelta(days=1))
    assert Party(title=Title(zh="z", en="e"), role="r").rate is None
    for wrong in ("600", 600, "0 per minute", "-1 per minute", "600 per week", "600/minute", "1.5 per second", [], {}):
        with pytest.raises(ValidationError, match="600 per minute"):
            party(wrong)


def test_what_comes_faster_than_agreed_stays_at_its_source_and_comes_later(tmp_path: Path) -> None:
    """Over real SFTP: thirty files at once from a party that may send twelve, and then one every half second."""
    stage(ROOT, tmp_path)
    routes = (tmp_path / "routes.yaml").read_text("utf-8")
    routes = routes.replace("role: carrier, at: tjline", "role: carrier, at: tjline, rate: 12 per minute", 1)
    (tmp_path / "routes.yaml").write_text(routes, "utf-8")
    journal = Journal(tmp_path / "spool", "test")
    i = t.interchange

    def taken(party: str) -> int:
        return int(journal.rows(select(func.count().label("n")).where(i.c.party == party))[0]["n"])

    try:
        with running(tmp_path):
            door, keys = addresses(tmp_path / "spool")["sftpd"], tmp_path / "spool" / "keys"
            began = time.monotonic()
            with sftp(door, "tjline", keys / "tjline.key") as session:
                for number in range(30):
                    session.putfo(io.BytesIO(manifest(7000 + number)), f"outbound/{number}.edi", confirm=False)
            with sftp(door, "bohai", keys / "bohai.key") as session:
                session.putfo(io.BytesIO(b"nothing"), "outbound/mine.edi", confirm=False)
            until(lambda: taken("TJLINE") >= 12 and taken("BOHAI") == 1)
            while time.monotonic() - began < 4:
                assert taken("TJLINE") <= 12 + (time.monotonic() - began) / 5 + 1
                time.sleep(0.2)
            waiting = list((tmp_path / "spool" / "boxes" / "tjline" / ".taken").iterdir())
            assert len(waiting) == 30 - taken("TJLINE") > 10
            until(lambda: taken("TJLINE") > 13, 20, "a bucket that fills")
    finally:
        journal.close()


# ---- turns


@pytest.fixture
def journal(tmp_path: Path, database: str) -> Iterator[Journal]:
    opened = Journal(tmp_path / "spool", "courier")
    upgrade(opened.engine)
    yield opened
    opened.close()


def queue(journal: Journal, *senders: str) -> None:
    """One delivery to customs for each, in this order; of one document each."""
    columns = {"interchange": "I", "kind": "k", "system": "s", "reference": "1", "keys": {}, "function": "original"}
    columns |= {"payload": "p", "canonical_kind": "", "canonical": "", "state": "routed", "at": NOW}
    more = {"party": "CUSTOMS", "endpoint": "customs", "kind": "k", "payload": "p", "folder": "inbound"}
    more |= {"state": "pending", "next_at": NOW, "give_up_at": NOW + timedelta(days=1), "at": NOW}
    messages, deliveries = [], []
    for number, sender in enumerate(senders):
        id = f"{sender}-{number}"
        messages.append({"id": id, "sender": sender, "document": id} | columns)
        deliveries.append({"id": f"{id}-CUSTOMS", "name": id, "message": id, "order_key": f"s/{id}"} | more)
    with journal.engine.begin() as connection:
        connection.execute(insert(t.message), messages)
        connection.execute(insert(t.delivery), deliveries)


def first(journal: Journal, limit: int) -> list[str]:
    return [str(row["message"]) for row in journal.due("customs", NOW, limit)]


def test_senders_take_turns_at_an_endpoint_with_a_queue(journal: Journal) -> None:
    queue(journal, *["A"] * 6, "B", *["A"] * 3, "C", "B")
    assert first(journal, 5) == ["A-0", "B-6", "C-10", "A-1", "B-11"]
    assert first(journal, 100) == [f"{who}-{number}" for number, who in enumerate("AAAAAABAAACB")]


def test_who_comes_behind_a_long_queue_is_served_at_once(journal: Journal) -> None:
    queue(journal, *["A"] * (3 * LOOKED_AT), "B")
    found = first(journal, 10)
    assert found[:2] == ["A-0", f"B-{3 * LOOKED_AT}"] and found[2:] == [f"A-{n}" for n in range(1, 9)]


def test_taking_turns_keeps_the_order_of_a_document(journal: Journal) -> None:
    queue(journal, *["A"] * 6)
    with journal.engine.begin() as connection:
        connection.execute(t.delivery.update().values(order_key="s/one"))
    assert first(journal, 3) == ["A-0"]


def test_deliveries_without_a_message_take_turns_too(journal: Journal) -> None:
    queue(journal, *["A"] * 6, "B")
    with journal.engine.begin() as connection:
        connection.execute(t.message.delete())
    assert first(journal, 3) == ["A-0", "A-1", "A-2"]


# ---- how much one round takes on


def test_a_round_is_as_large_as_it_is_quick() -> None:
    stride = Stride(50)
    assert stride.now == LEAST
    for _ in range(3):
        stride.judge(stride.now, 0.002 * stride.now)
    assert stride.now == 50
    stride.judge(50, 2.5)
    assert stride.now == LEAST
    stride.judge(LEAST, 0.01)
    assert stride.now == 2 * LEAST
    stride.judge(0, 60)
    stride.judge(20, 0)
    assert stride.now == 4 * LEAST


def test_a_round_that_found_nothing_says_so() -> None:
    told: list[int] = []
    stride = Stride(50)
    assert stride.take(lambda most: told.append(most) or 0) == 0 and told == [LEAST]
