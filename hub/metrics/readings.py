"""The figures of one scrape, as families of metrics. Each reading is a few queries that an index serves; labels are
names of the site's own declarations, words of the code and process ids, never what a partner wrote."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from time import perf_counter

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import select

from hub import figures
from hub.engine import roster
from hub.journal import tables as t
from hub.message import DeliveryState, EndpointState, InterchangeState, MessageState, ReceiptState
from hub.metrics.following import Following

STATES: dict[str, tuple[str, Iterable[str]]] = {
    "interchange": ("eport_interchanges", InterchangeState),
    "message": ("eport_messages", MessageState),
    "delivery": ("eport_deliveries", DeliveryState),
    "receipt": ("eport_receipts", ReceiptState),
    "port_case": ("eport_cases", ("open", "closed")),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """What a scrape looks at."""

    following: Following
    now: datetime

    def gauge(self, name: str, what: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(name, what, labels=labels)

    def age(self, since: datetime | None) -> float:
        """Seconds since then; 0 where there is no then."""
        return max(0.0, (self.now - since).total_seconds()) if since else 0.0


def states(s: Scene) -> Iterator[Metric]:
    """Open states as they are now, the others as they were at the last count of whole tables."""
    now = figures.open_counts(s.following.journal)
    for table, (name, every) in STATES.items():
        counted = s.following.counts.get(table, {}) | now.get(table, {})
        family = s.gauge(name, f"Rows of {table} by state; final states are up to a minute old.", "state")
        if s.following.counts:
            for state in every:
                family.add_metric([str(state)], counted.get(state, 0))
        yield family


def endpoints(s: Scene) -> Iterator[Metric]:
    queue = s.gauge("eport_endpoint_queue", "Deliveries that an endpoint has not taken yet.", "endpoint", "state")
    oldest = s.gauge("eport_endpoint_oldest_seconds", "Age of the oldest of them; 0 when there is none.", "endpoint")
    state = s.gauge("eport_endpoint_state", "1 for the state that an endpoint is in.", "endpoint", "state")
    declared = s.following.site.routes.endpoints
    ages = dict.fromkeys(declared, 0.0)
    for row in figures.unserved(s.following.journal):
        queue.add_metric([row["endpoint"], row["state"]], row["n"])
        ages[row["endpoint"]] = max(ages.get(row["endpoint"], 0.0), s.age(row["oldest"]))
    for endpoint, age in ages.items():
        oldest.add_metric([endpoint], age)
    known = {row["id"]: row["state"] for row in s.following.journal.rows(select(t.endpoint.c.id, t.endpoint.c.state))}
    for endpoint in declared:
        for one in EndpointState:
            state.add_metric([endpoint, one], known.get(endpoint, EndpointState.OPEN) == one)
    yield from (queue, oldest, state)


def doubts(s: Scene) -> Iterator[Metric]:
    number, since = figures.in_doubt(s.following.journal)
    yield GaugeMetricFamily("eport_in_doubt", "Deliveries of which nobody knows whether they arrived.", number)
    yield GaugeMetricFamily("eport_in_doubt_oldest_seconds", "For how long the oldest of them has been.", s.age(since))


def waits(s: Scene) -> Iterator[Metric]:
    family = s.gauge("eport_waiting", "What waits for somebody (eport held).", "owner", "code", "overdue")
    for row in figures.waiting(s.following.journal):
        family.add_metric([row["owner"], row["code"], str(bool(row["overdue"])).lower()], row["n"])
    yield family


def parties(s: Scene) -> Iterator[Metric]:
    unopened = s.gauge("eport_unopened", "Interchanges of a party that no worker has opened yet.", "party")
    limit = s.gauge("eport_unopened_limit", "Above so many the rest stays at the source (`backlog`).", "party")
    waiting = s.following.journal.backlog()
    for name, party in s.following.site.parties.items():
        unopened.add_metric([name], waiting.get(name, 0))
        limit.add_metric([name], party.backlog)
    yield from (unopened, limit)


def certificates(s: Scene) -> Iterator[Metric]:
    what = "When a certificate, or what a revocation list says, is over."
    family = s.gauge("eport_certificate_expires_timestamp_seconds", what, "kind", "owner")
    for one in s.following.expiries:
        family.add_metric([one.kind, one.owner], one.until.timestamp())
    yield family


def seals(s: Scene) -> Iterator[Metric]:
    """Nothing where nothing is sealed."""
    for table, what in ((t.seal, "sealed"), (t.stamp, "stamped")):
        family = s.gauge(f"eport_{what}_timestamp_seconds", f"When events were last {what}.")
        row = figures.newest(s.following.journal, table)
        if row is not None:
            family.add_metric([], row["at"].timestamp())
        yield family


def machine(s: Scene) -> Iterator[Metric]:
    """Of the machine that the clock runs on."""
    disk = shutil.disk_usage(s.following.folder / "spool")
    yield GaugeMetricFamily("eport_spool_free_bytes", "Room left on the spool's file system.", disk.free)
    yield GaugeMetricFamily("eport_spool_size_bytes", "Size of the spool's file system.", disk.total)
    labels = ("role", "pid")
    memory = s.gauge("eport_process_resident_memory_bytes", "Memory of a role's process.", *labels)
    processor = CounterMetricFamily("eport_process_cpu_seconds", "Time of the processor it has used.", labels=labels)
    for one in roster.running(s.following.folder):
        memory.add_metric([one.role, str(one.pid)], one.memory)
        processor.add_metric([one.role, str(one.pid)], one.processor)
    deaths = CounterMetricFamily("eport_role_deaths", "How often a role has died since eport up.", labels=["role"])
    for role, number in roster.deaths(s.following.folder).items():
        deaths.add_metric([role], number)
    yield from (memory, processor, deaths)


def about(s: Scene) -> Iterator[Metric]:
    family = s.gauge("eport_info", "1; release and declarations that are in force.", "version", "fingerprint")
    family.add_metric([version("eport-hub"), s.following.site.fingerprint[:12]], 1)
    yield family


READINGS: tuple[Callable[[Scene], Iterator[Metric]], ...] = (
    about, states, endpoints, doubts, waits, parties, certificates, seals, machine
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)  # a registry keeps its collectors in a set
class Readings(Collector):
    """Reads the journal at each scrape."""

    following: Following

    def collect(self) -> Iterable[Metric]:
        began = perf_counter()
        scene = Scene(self.following, datetime.now(UTC))
        for reading in READINGS:
            yield from reading(scene)
        took = perf_counter() - began
        yield GaugeMetricFamily("eport_scrape_seconds", "What reading these figures took.", took)
