"""A record is one line, whatever partners write; what enters the list of what waits is said once, with its code."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub import logs
from hub.catalogue import catalogue
from hub.journal import notices
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.schema import upgrade
from hub.message import EndpointState

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HOSTILE = "a\nERROR eport: all is lost\r\x1b[2Jb\u2028c\u202ed\x85e\x00f\ud800.edi"


def record(name: str, **about: str) -> logging.LogRecord:
    made = logging.getLogger("eport").makeRecord("eport", logging.ERROR, "", 0, "%s came", (name,), None, extra=about)
    made.created = NOW.timestamp()
    return made


@pytest.mark.parametrize("form", [logs.as_text, logs.as_json])
@pytest.mark.parametrize("where", ["message", "field", "trace"])
def test_a_hostile_name_stays_on_one_line_and_steers_no_terminal(form: object, where: str) -> None:
    about = {"party": HOSTILE} if where == "field" else {}
    trace = f"Traceback\n  File {HOSTILE}" if where == "trace" else ""
    line = form(record(HOSTILE if where == "message" else "x", **about), "gate", trace)  # type: ignore[operator]
    assert line.isprintable() and len(line.splitlines()) == 1
    assert "all is lost" in line


def test_json_loses_nothing_by_the_escaping() -> None:
    row = json.loads(logs.as_json(record(HOSTILE, endpoint="customs", code="endpoint.broken"), "courier"))
    assert row["message"] == f"{HOSTILE} came"
    assert row["time"] == "2026-11-23T00:00:00.000+00:00" and row["level"] == "error" and row["role"] == "courier"
    assert row["endpoint"] == "customs" and row["code"] == "endpoint.broken"
    assert row.keys() == {"time", "level", "role", "pid", "logger", "message", "endpoint", "code"}


def test_text_tells_what_a_record_is_about() -> None:
    line = logs.as_text(record("mft.edi", delivery="1KB.2-CUSTOMS"), "worker")
    assert " ERROR worker[" in line and line.endswith("mft.edi came delivery=1KB.2-CUSTOMS")


def run(code: str, *more: str) -> subprocess.CompletedProcess[str]:
    program = f"from hub import logs; logs.start(*{more!r}); {code}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "code",
    [
        "raise ValueError('a\\nb')",
        "import threading; t = threading.Thread(target=int, args=('a\\nb',)); t.start(); t.join()",
        "import warnings; warnings.warn('a\\nb', stacklevel=1)",
    ],
)
def test_faults_that_nobody_caught_are_records_too(code: str) -> None:
    said = run(code, "json").stderr.splitlines()
    assert [json.loads(line)["level"] for line in said] in (["critical"], ["warning"])


def test_an_unknown_form_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hub.cli", "up", "--log", "xml", "--site", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "text | json" in done.stderr


# ---- what a person should hear of a commit


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    opened = Journal(tmp_path, "test")
    upgrade(opened.engine)
    return opened


def commit(journal: Journal, outcome: Outcome) -> None:
    journal.commit([outcome], NOW)


def test_what_begins_to_wait_is_said_once_with_the_code_of_its_finding(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    outcome = Outcome()
    outcome.wait("delivery", "1KB.2-CUSTOMS", "delivery.in_doubt", NOW, HOSTILE.replace("\ud800", ""))
    outcome.wait("message", "1KB.3", "routing.amends_nothing", NOW, "TJL1")
    for _ in range(2):
        commit(journal, outcome)
    doubt, amends = caplog.records
    assert (doubt.code, doubt.delivery, doubt.interchange, doubt.party) == (  # type: ignore[attr-defined]
        "delivery.in_doubt",
        "1KB.2-CUSTOMS",
        "1KB",
        "CUSTOMS",
    )
    assert doubt.levelno == logging.ERROR  # the port has to act
    acts = catalogue()["finding"]["routing.amends_nothing"]["acts"]
    assert amends.levelno == (logging.ERROR if acts in notices.OURS else logging.WARNING)
    assert logs.as_text(doubt, "courier").isprintable()
    journal.close()


def test_an_endpoint_that_is_open_again_is_said(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    row = {"failures": 0, "reason": "", "since": NOW}
    broken, again, same = Outcome(), Outcome(), Outcome()
    broken.add("endpoint", id="customs", state=EndpointState.BROKEN, **row)
    again.move("endpoint", "customs", ("broken",), state=EndpointState.OPEN)
    same.move("endpoint", "customs", ("open",), failures=1)
    for outcome in (broken, again, same):
        commit(journal, outcome)
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [("INFO", "endpoint customs is open again")]
    journal.close()


def test_a_commit_that_fails_says_nothing(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    from hub.errors import Stale

    outcome = Outcome()
    outcome.wait("endpoint", "customs", "endpoint.broken", NOW)
    outcome.move("endpoint", "customs", ("open",), state=EndpointState.BROKEN)
    with pytest.raises(Stale):
        commit(journal, outcome)
    assert caplog.records == []
    journal.close()


@pytest.mark.parametrize(
    ("what", "id", "found"),
    [
        ("endpoint", "customs", {"endpoint": "customs"}),
        ("case", "vessel/C1", {"case": "vessel/C1"}),
        ("message", "1KB.3", {"interchange": "1KB"}),
        ("delivery", "1KB-TJLINE-CONTRL", {"delivery": "1KB-TJLINE-CONTRL"}),
        ("source", "source/customs", {"endpoint": "customs"}),
        ("seal", "seal", {}),
    ],
)
def test_a_record_names_what_its_id_tells(what: str, id: str, found: dict[str, str]) -> None:
    assert notices.fields(what, id) == found
