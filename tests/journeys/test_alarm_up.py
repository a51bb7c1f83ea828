"""A running hub tells by a real command that an endpoint lets nothing through; the command line shows and tries it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hub.sandbox.sender import hand_in
from hub.sandbox.show import running, stage

from .test_drain import ARRIVAL, ROOT, eport, until

PAGE = """#!{python}
import json, pathlib, sys
notice = json.load(sys.stdin)
with pathlib.Path("told").open("a") as told:
    for one in notice["news"]:
        told.write(f"{{one['kind']}} {{one['subject']}} {{one['code']}}\\n")
"""


def test_an_endpoint_that_lets_nothing_through_is_told_by_the_declared_command(tmp_path: Path) -> None:
    stage(ROOT, tmp_path)
    page = tmp_path / "page"
    page.write_text(PAGE.format(python=sys.executable))
    page.chmod(0o755)
    with (tmp_path / "routes.yaml").open("a", encoding="utf-8") as routes:
        routes.write(f"\nalarms: {{night: {{on: [endpoint.broken], command: [{page}]}}}}\n")
    tried = eport("alarm", "test", "night", "--site", tmp_path)
    assert tried.returncode == 0, tried.stderr
    assert (tmp_path / "told").read_text() == "trial night alarm.trial\n"
    assert eport("alarm", "test", "nihgt", "--site", tmp_path).returncode == 1
    with running(tmp_path):
        hand_in(tmp_path, "BOHAI", "call.edi", ARRIVAL)  # nobody plays inspection and border
        until(lambda: "raised border endpoint.broken" in (tmp_path / "told").read_text(), 80)
        listed = eport("alarm", "list", "--site", tmp_path, "--json")
    rows = {row["subject"]: row for row in json.loads(listed.stdout)}
    assert rows["border"]["rule"] == "night" and rows["border"]["code"] == "endpoint.broken"
