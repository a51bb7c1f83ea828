"""What the journal adds up to, and what the doctor's checks of it say: the same on both databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families as families
from sqlalchemy.exc import OperationalError

from hub import figures
from hub.catalogue import catalogue
from hub.doctor import examination
from hub.doctor.line import Patient
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.metrics.door import application
from hub.metrics.following import Following
from hub.metrics.readings import Readings
from tests.journeys.conftest import Port

BOTH = True
ORIGINAL = (Path(__file__).parents[2] / "mappings" / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()
OF_JOURNAL = {name: check for name, check in examination.OF_JOURNAL.items() if name != "processes"}


def patient(port: Port) -> Patient:
    return Patient(port.folder, port.journal, port.now)


def test_figures_of_a_manifest_on_its_way(port: Port) -> None:
    before = figures.newest_event(port.journal)
    assert figures.in_doubt(port.journal) == (0, None)
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    counts = port.journal.counts()
    now = figures.open_counts(port.journal)
    for table, states in now.items():
        assert {state: n for state, n in states.items() if n} == {
            state: n for state, n in counts[table].items() if state in states
        }
    seen = figures.happened(port.journal, before)
    assert seen.last == figures.newest_event(port.journal)
    assert seen.events["received"] == 1 and seen.events["sent"] == len(seen.journeys["sent"]) >= 2
    assert all(0 <= seconds < 60 for seconds in seen.journeys["sent"])
    assert figures.happened(port.journal, seen.last).events == {}
    assert figures.happened(port.journal, before, most=1).events.total() == 1
    assert figures.unserved(port.journal) == []


def test_a_doubt_is_counted_since_it_waits(port: Port) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    outcome = Outcome()
    [delivery, *_] = port.column(t.delivery, "id")
    outcome.move("delivery", delivery, (), state="in_doubt")
    outcome.wait("delivery", delivery, "delivery.in_doubt", port.now)
    port.journal.commit([outcome], port.now)
    assert figures.in_doubt(port.journal) == (1, port.now)
    [queued] = figures.unserved(port.journal)
    assert (queued["state"], queued["n"]) == ("in_doubt", 1)
    [waits] = figures.waiting(port.journal)
    assert (waits["code"], waits["overdue"], waits["n"]) == ("delivery.in_doubt", False, 1)
    line = examination.OF_JOURNAL["in_doubt"](patient(port))
    assert (line.verdict, line.todo) == ("look", "eport held")
    port.now += timedelta(hours=5)
    assert examination.OF_JOURNAL["in_doubt"](patient(port)).verdict == "bad"


def test_the_checks_find_nothing_wrong_with_a_sound_journal(port: Port) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    lines = [check(patient(port)) for check in OF_JOURNAL.values()]
    assert [line.check for line in lines] == list(OF_JOURNAL)
    assert [line for line in lines if (line.verdict, line.todo) != ("ok", "")] == []


# ---- what Prometheus gets


def get(registry: CollectorRegistry, path: str = "/metrics") -> tuple[str, str]:
    """Status and body of a request to the application."""
    said: list[str] = []
    body = application(registry)(
        {"PATH_INFO": path, "REQUEST_METHOD": "GET"}, lambda status, headers: said.append(status)
    )
    return said[0], b"".join(body).decode()


def test_a_scrape_reads_either_database(port: Port) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    registry = CollectorRegistry()
    following = Following(port.site, port.folder, port.journal, registry)
    registry.register(Readings(following))
    status, body = get(registry)
    found = {(s.name, *s.labels.values()): s.value for family in families(body) for s in family.samples}
    assert status.startswith("200") and ("eport_messages", "done") not in found  # not counted yet
    following.counts = port.journal.counts()
    found = {(s.name, *s.labels.values()): s.value for f in families(get(registry)[1]) for s in f.samples}
    assert found["eport_interchanges", "opened"] == 1 and found["eport_deliveries", "sent"] >= 2
    assert found["eport_unopened", "TJLINE"] == 0 and found["eport_in_doubt",] == 0


def test_a_journal_that_is_out_of_reach_is_no_page(caplog: pytest.LogCaptureFixture) -> None:
    class Gone:
        def collect(self) -> list[object]:
            raise OperationalError("SELECT", {}, OSError("the server\nis gone"))

    registry = CollectorRegistry()
    registry.register(Gone())  # type: ignore[arg-type]
    assert get(registry)[0] == "503 Service Unavailable"
    assert "is gone" in caplog.text


def test_each_check_is_named_in_both_languages() -> None:
    checks = {**examination.OF_MACHINE, **examination.OF_SITE, **examination.OF_JOURNAL}
    named = catalogue()["check"]
    assert named.keys() == checks.keys() | set(examination.OTHERS)
    assert all(entry["en"] and entry["zh"] for entry in named.values())
    assert all(bool(entry["remedy_en"]) == bool(entry["remedy_zh"]) for entry in named.values())
