"""Ids: what comes later sorts later, whatever the clock says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hub.message import new_id

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def test_ids_of_one_millisecond_rise() -> None:
    ids = [new_id(NOW) for _ in range(5000)]
    assert ids == sorted(set(ids))


def test_ids_rise_when_the_clock_is_set_back() -> None:
    before = new_id(NOW + timedelta(hours=2))
    after = [new_id(NOW + timedelta(milliseconds=n)) for n in range(100)]
    assert [before, *after] == sorted({before, *after})


def test_ids_of_another_day_sort_by_it() -> None:
    assert new_id(NOW + timedelta(days=1)) < new_id(NOW + timedelta(days=2))
