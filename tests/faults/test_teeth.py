"""The proof has teeth: each planted fault is caught, by the checker or because the port does not come to rest."""

from __future__ import annotations

import pytest

from hub.prove.crash import Report, Where, run
from hub.prove.plants import PLANTS

CAUGHT: dict[str, tuple[tuple[Where, ...], tuple[str, ...]]] = {
    "settle first": ((("gate", "accept before", 2),), ("lost",)),
    "forget keys": ((("gate", "accept after", 2),), ("taken in twice",)),
    "deliver twice": ((), ("delivered twice",)),
    "unknown is failed": (
        (("courier", "told all", 2),),
        ("from nowhere", "CONTRL", "delivered twice"),
    ),
    "sent unsent": ((), ("not there",)),
    "drop event": ((), ("event missing",)),
    "drop payload": ((), ("payload missing",)),
    "rob the living": ((), ("ended unasked",)),
}
"""Plant -> (where to kill, what the proof may say: by whose turn it was, one fault is seen at one place or another)."""


def broken(plant: str) -> Report:
    where, _ = CAUGHT[plant]
    return run(len(where), seed=7, plant=plant, plan=where, uploads=10, workers=2, patience=4)


def test_every_plant_is_tried() -> None:
    assert CAUGHT.keys() == PLANTS.keys()


def test_without_a_plant_the_same_kills_break_nothing() -> None:
    where = [one for points, _ in CAUGHT.values() for one in points]
    report = run(len(where), seed=7, plan=where, workers=2)
    assert report.faults == [] and len(report.kills) >= len(where)


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_fault_is_caught(plant: str) -> None:
    report = broken(plant)
    assert not report.good
    said = "\n".join(report.faults)
    assert any(word in said for word in CAUGHT[plant][1]), said
