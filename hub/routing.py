"""Step 5: who gets this message, as what. Every matching route, and everyone who holds an earlier version."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hub.journal import tables as t
from hub.journal.recall import Recall
from hub.message import DeliveryState
from hub.site.model import Owed
from hub.site.site import Site


@dataclass(frozen=True, slots=True)
class Leg:
    """One delivery to be prepared."""

    party: str
    kind: str
    owed: Owed | None


def plan(site: Site, kinds: Iterable[str], sender: str, test: bool, holders: Iterable[Leg] = ()) -> list[Leg]:
    """The legs of a message of `kinds` (its own and its canonical one), one per party and kind, in route order."""
    legs: dict[tuple[str, str], Leg] = {}
    for route in site.routes.routes.values():
        when = route.when
        if when.kind not in kinds or (when.sender and when.sender != sender):
            continue
        if when.test is not None and when.test != test:
            continue
        for name, kind in route.to.items():
            party = sender if name == "sender" else name
            if test and not site.parties[party].test_only:
                continue  # a test (UNB 0035) never reaches a productive party
            legs.setdefault((party, kind), Leg(party, kind, route.answer))
    for leg in holders:
        legs.setdefault((leg.party, leg.kind), leg)
    return list(legs.values())


def holders(recall: Recall, superseded: str) -> list[Leg]:
    """Whoever was sent an earlier version gets the amendment, whatever the routes say today."""
    if not superseded:
        return []
    rows = recall.rows(t.delivery, ("message",), superseded)
    return [Leg(row["party"], row["kind"], None) for row in rows if row["state"] != DeliveryState.CANCELLED]
