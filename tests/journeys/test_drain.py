"""A graceful end: nothing is taken in any more, what can be finished is finished, what waits for others is named."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update

from hub import draining
from hub.engine import roster
from hub.engine.doors import addresses
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.sandbox.sender import hand_in, sftp
from hub.sandbox.show import running, stage

ROOT = Path(__file__).parents[2]
ORIGINAL = (ROOT / "mappings" / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()
ARRIVAL = (ROOT / "mappings" / "vessel" / "cases" / "01-arrival" / "in.edi").read_bytes()


def until(found: Any, seconds: float = 40) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = found()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError("it did not come")


def eport(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hub.cli", *(str(word) for word in words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def states(site: Path) -> dict[str, str]:
    journal = Journal(site / "spool", "test")
    rows = journal.rows(select(t.interchange.c.name, t.interchange.c.state))
    journal.close()
    return {row["name"]: row["state"] for row in rows}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    stage(ROOT, tmp_path)
    return tmp_path


def test_a_drained_hub_has_finished_what_it_could_and_goes_on_when_it_is_started_again(site: Path) -> None:
    with running(site) as hub:
        for number in range(8):
            data = ORIGINAL.replace(b"TJ26112301", b"TJ%08d" % number).replace(b"TJL2611230001", b"TJL%010d" % number)
            hand_in(site, "TJLINE", f"mft-{number}.edi", data)
        hand_in(site, "BOHAI", "call.edi", ARRIVAL)
        until(lambda: len(states(site)) == 9)
        done = eport("drain", "--site", site, "--json", "--timeout", "60s")
        assert done.returncode == 0, done.stdout + done.stderr
        hub.wait(30)
    said = json.loads(done.stdout)
    assert said["finished"] and roster.running(site) == []
    assert set(states(site).values()) == {"opened"}
    left = {row["endpoint"]: row for row in said["left"] if row["awaits"]}
    assert left["customs"]["count"] == 9 and left["customs"]["awaits"] == "business"
    away = [row for row in said["left"] if row["endpoint"] == "border"]  # nobody plays the border police
    assert away and away[0]["why"]
    (site / "spool" / "run" / "doors.json").unlink()
    with running(site):
        hand_in(site, "TJLINE", "after.edi", ORIGINAL)
        until(lambda: states(site).get("after.edi") == "opened")
    nobody = eport("drain", "--site", site)
    assert nobody.returncode == 3 and "no hub runs" in nobody.stderr


def test_while_it_is_drained_doors_say_why_they_refuse_and_still_give_out(site: Path) -> None:
    with running(site) as hub:
        hand_in(site, "TJLINE", "mft.edi", ORIGINAL)
        until(lambda: states(site).get("mft.edi") == "opened")
        opened = addresses(site / "spool")
        [gate] = [process.pid for process in roster.running(site) if process.role == "gate"]
        hub.send_signal(signal.SIGUSR1)
        until((site / "spool" / "run" / f"shut-{gate}").exists)
        with sftp(opened["sftpd"], "tjline", site / "spool" / "keys" / "tjline.key") as session:
            with pytest.raises(OSError, match="the hub is being drained"):
                session.putfo(io.BytesIO(ORIGINAL), "outbound/late.edi")
            assert until(lambda: [name for name in session.listdir("inbound") if "CONTRL" in name])
        token = (site / "spool" / "keys" / "inspection-submit.token").read_text().strip()
        host, port = opened["http"]
        url, headers = f"http://{host}:{port}/submit/inspection", {"Authorization": f"Bearer {token}"}
        answer = httpx2.post(url, content=b"<a/>", headers=headers, trust_env=False)
        assert answer.status_code == 503 and "drained" in answer.text
        (site / "spool" / "boxes" / "customs" / "out" / "answer.xml").write_text("<a/>")
        time.sleep(1)  # longer than any look at a source takes
        assert (site / "spool" / "boxes" / "customs" / "out" / "answer.xml").exists()
        assert list(states(site)) == ["mft.edi"]


def test_time_that_is_up_ends_it_all_the_same_and_says_what_is_left(site: Path) -> None:
    with running(site) as hub:
        hand_in(site, "TJLINE", "mft.edi", ORIGINAL)
        until(lambda: states(site).get("mft.edi") == "opened")
        journal = Journal(site / "spool", "test")
        with journal._write() as connection:  # a worker that holds it for ever
            held = update(t.interchange).values(state="received", holder="test", tries=1)
            connection.execute(held)
        journal.locks.hold("test")
        done = eport("drain", "--site", site, "--timeout", "3s", "--json")
        journal.close()
        hub.wait(30)
    assert done.returncode == 1
    assert json.loads(done.stdout)["unfinished"] == {"interchanges": 1}


def test_only_what_came_before_and_can_go_now_is_waited_for(port: Any) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    assert draining.unfinished(port.journal, port.now, port.now) == {}
    with port.journal._write() as connection:
        connection.execute(update(t.delivery).values(state="failed", next_at=port.now + timedelta(minutes=5)))
    assert draining.unfinished(port.journal, port.now, port.now) == {}
    later = port.now + timedelta(minutes=6)
    count = len(port.column(t.delivery, "id"))
    assert draining.unfinished(port.journal, port.now, later) == {"deliveries": count}
    assert draining.unfinished(port.journal, port.now - timedelta(hours=1), later) == {}
    assert {row["state"] for row in draining.left(port.journal)} == {"failed"}
