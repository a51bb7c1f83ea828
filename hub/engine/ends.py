"""The ends of a hub: its ways in and out, made from the declarations; and the time that every round is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import adapters
from hub import courier
from hub.contract import Ground, Inlet, Outlet
from hub.errors import AdapterError, DeclarationError
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.message import EndpointState
from hub.site.site import Site

IDLE = 0.05
"""Seconds that a role rests after a round that was not full."""
AGAIN = timedelta(seconds=10)
"""Until an end whose adapter failed is tried again."""


def now() -> datetime:
    return datetime.now(UTC)


def inlets(site: Site, ground: Ground) -> dict[str, Inlet]:
    """Every endpoint's inlet, by endpoint, where it goes that way."""
    return {name: made for name in site.routes.endpoints if (made := open_end(site, name, ground, "inlet")) is not None}


def outlet(site: Site, endpoint: str, ground: Ground) -> Outlet | None:
    """The endpoint's outlet, or None where it goes the other way only."""
    made: Outlet | None = open_end(site, endpoint, ground, "outlet")
    return made


def open_end(site: Site, endpoint: str, ground: Ground, what: str) -> Any:
    """One of its two ways, `what`: inlet or outlet; None where it does not go that way. Raises DeclarationError."""
    rule = site.routes.endpoints[endpoint]
    module = adapters.load(rule.adapter)
    options = module.Options.model_validate(rule.options)
    goes = options.reads if what == "inlet" else options.writes
    return getattr(module, what)(endpoint, options, ground) if goes else None


def file_fault(site: Site, journal: Journal, endpoint: str, fault: AdapterError | DeclarationError) -> None:
    """The endpoint's adapter failed in a way that nobody foresaw: it rests, and somebody should look."""
    outcome = Outcome()
    at = now()
    rule = site.routes.endpoints[endpoint]
    standing = journal.standing(endpoint)
    failures = (standing["failures"] if standing else 0) + 1
    courier.enter(outcome, standing, endpoint, EndpointState.BROKEN, str(fault), failures, at + AGAIN, at)
    outcome.wait("endpoint", endpoint, "endpoint.faulty", at + rule.attention, str(fault))
    journal.commit([outcome], at)
