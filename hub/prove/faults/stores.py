"""F15: an upgrade of the journal is killed at each statement; declarations, good and bad, are read again under load."""

from __future__ import annotations

import json
import subprocess
import sys

from hub.engine import supervisor
from hub.prove.faults.row import Row, Run, reached


def upgrades(run: Run) -> None:
    """From the first schema to the newest, killed at each statement: the old one is whole, and the next try is good."""
    command = [sys.executable, "-m", "hub.prove.faults.upgrade", str(run.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    run.expect(done.returncode == 0, f"the upgrade ended with {done.returncode}: {done.stderr[-500:]}")
    for row in map(json.loads, done.stdout.splitlines()):
        run.recovery.append(row["seconds"])
        run.expect(not row["wrong"], f"killed at statement {row['at']}: {row['wrong']}")
        run.done()
    run.expect(run.trials > 5, "the upgrade has hardly a statement: nothing is proved")
    run.remarks.append("every statement; back: the next try")


def declarations(run: Run) -> None:
    """`eport up` is told to read its declarations again: bad ones are not taken over, good ones cost nothing."""
    with run.port(supervised=True) as port:
        routes, log = port.site / "routes.yaml", port.site / "spool" / "run" / "hub.log"
        good = routes.read_text("utf-8")
        port.run(run.patience, lambda: reached(port, "CUSTOMS") > 0)
        for number in range(run.wanted):
            bad = number % 2 == 0
            refused = log.read_text("utf-8").count("not taken over")
            routes.write_text(good.replace("CUSTOMS:", "CUSTOM:", 1) if bad else good, "utf-8")
            run.expect(supervisor.tell_reload(port.site), "no hub runs")
            if bad:
                said = port.run(run.patience, lambda n=refused: log.read_text("utf-8").count("not taken over") > n)  # type: ignore[misc]
                run.expect(said, "bad declarations were not refused")
            run.recovers(port)
            run.done("bad" if bad else "good")
        routes.write_text(good, "utf-8")


ROWS = (
    Row("F15", "an upgrade of the journal is killed at each statement", upgrades, 1, 1),
    Row("F15", "declarations are read again under load, good and bad", declarations, 20, 2),
)
