"""What the hub watches over itself stands in the list of what waits as long as it is so, and enters it anew when it
gets worse."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from hub import conditions
from hub.identity.ca import Authority
from hub.identity.register import Register
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.journal.schema import upgrade
from hub.message import Interchange
from hub.site.model import Identity, Limits

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
FULL = {"disk": "999999 TB"}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "spool", "test")
    upgrade(opened.engine)
    yield opened
    opened.close()


def site(register: Register | None = None, **limits: Any) -> Any:
    given = Limits.model_validate({"disk": "0%", **limits})
    routes = SimpleNamespace(limits=given, attention=timedelta(hours=4), identity=Identity())
    return SimpleNamespace(routes=routes, register=register or Register(), signer=None)


def held(journal: Journal) -> dict[str, tuple[str, str, datetime]]:
    w = t.waiting
    return {row["subject"]: (row["code"], row["detail"], row["since"]) for row in journal.rows(select(w))}


def test_a_disk_that_is_nearly_full_waits_until_there_is_room(journal: Journal, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    assert conditions.watch(site(**FULL), journal, spool, NOW) == 1
    assert held(journal)["disk"][0] == "port.disk_low"
    assert conditions.watch(site(**FULL), journal, spool, NOW + DAY) == 0
    assert held(journal)["disk"][2] == NOW
    conditions.watch(site(), journal, spool, NOW + DAY)
    assert held(journal) == {}


@pytest.mark.parametrize(("disk", "least"), [("10%", 100), ("5 GB", 5 * 10**9), ("0%", 0)])
def test_room_is_declared_as_a_share_or_in_bytes(disk: str, least: int) -> None:
    assert Limits.model_validate({"disk": disk}).disk.of(1000) == least


def test_what_waits_too_long_to_be_opened_is_shown(journal: Journal, tmp_path: Path) -> None:
    stored = journal.spool.store([b"x"], 10)
    journal.accept_all([(Interchange("I", "e", "P", "n", "k", stored.sha256, 1, NOW), stored)], NOW)
    for after, shown in ((timedelta(minutes=14), False), (timedelta(minutes=16), True)):
        conditions.watch(site(), journal, tmp_path / "spool", NOW + after)
        assert ("unopened" in held(journal)) is shown


def test_a_certificate_is_shown_at_each_step_before_its_end(journal: Journal, tmp_path: Path) -> None:
    spool, steps = tmp_path / "spool", []
    authority = Authority(spool / "keys")
    authority.init(NOW, "CA")
    authority.issue("CUSTOMS", NOW, days=100)
    authority.issue("BORDER", NOW, days=50)
    authority.issue("BORDER", NOW, days=500)  # its successor
    revoked = authority.issue("MARITIME", NOW, days=50)
    authority.revoke(revoked.serial, NOW)
    given = site(Register(roots=(authority.certificate(),)))
    for day in range(0, 103):
        conditions.watch(given, journal, spool, NOW + day * DAY)
        steps += [row for row in held(journal).values() if row not in steps]
    assert [(detail.rpartition(", ")[2], (since - NOW).days) for _, detail, since in steps] == [
        ("within 60 days", 40),
        ("within 30 days", 70),
        ("within 7 days", 93),
        ("has ended", 100),
    ]
    assert all("CUSTOMS" in detail and code == "port.certificate_expires" for code, detail, _ in steps)


def test_pinned_certificates_and_the_hubs_own_are_watched_too(journal: Journal, tmp_path: Path) -> None:
    from hub.identity.keys import load_certificates

    other = Authority(tmp_path / "other")
    other.init(NOW, "other CA")
    pinned = load_certificates(other.issue("CUSTOMS", NOW, days=20).certificate)
    given = site(Register(registered={"CUSTOMS": pinned}))
    given.signer = SimpleNamespace(certificate=load_certificates(other.issue("PORT", NOW, days=5).certificate)[0])
    conditions.watch(given, journal, tmp_path / "spool", NOW)
    assert sorted(detail.rpartition(", ")[2] for _, detail, _ in held(journal).values()) == [
        "within 30 days",
        "within 7 days",
    ]


@pytest.mark.parametrize(
    ("status", "most", "said"),
    [(0x40, 0, "nobody keeps it"), (0x2001, 2_500_000, "off by more than 1 s"), (0x2001, 10_000, "")],
)
def test_a_clock_that_nobody_keeps_or_that_is_off_is_shown(status: int, most: int, said: str) -> None:
    limits = Limits.model_validate({"clock": "1s"})
    assert conditions.judged(status, most, limits) == said
    assert isinstance(conditions.clock(limits), str)
    assert conditions.clock(replace_clock(limits)) == ""


def replace_clock(limits: Limits) -> Limits:
    return limits.model_copy(update={"clock": None})
