"""船舶: one entry, four agencies, one joint answer: only when all four have accepted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hub.journal import tables as t

BOTH = True
CASES = Path(__file__).parents[2] / "mappings" / "vessel" / "cases"
ARRIVAL = (CASES / "01-arrival" / "in.edi").read_bytes()
AGENCIES = ("CUSTOMS", "INSPECTION", "MARITIME", "BORDER")
CALL = "BOHAI26112301"


def says(port: Any, agency: str, status: str) -> None:
    asked = [p for p in port.files(agency.lower(), "in") if not p.name.endswith(".p7s")][-1]
    found = re.search(rb"E\d{9}", asked.read_bytes())
    assert found
    reason = "" if status == "A" else '<Reason><Code>Q01</Code><Text xml:lang="en">not today</Text></Reason>'
    port.answer(
        agency,
        f"{agency}-{status}.xml",
        f'<AgencyAnswer xmlns="urn:eport:vessel:agency-answer:1"><Agency>{agency}</Agency>'
        f"<Reference>{found[0].decode()}</Reference><Call>{CALL}</Call><Status>{status}</Status>"
        f"<At>2026-11-23T08:30:00+08:00</At>{reason}</AgencyAnswer>",
    )
    port.run()


def told(port: Any) -> list[Path]:
    return [p for p in port.files("bohai", "inbound") if "cusres" in p.name]


def test_only_when_all_four_have_accepted_the_agent_is_cleared(port: Any) -> None:
    port.submit("bohai", "call.edi", ARRIVAL)
    port.run()
    kinds = {name: [p.name for p in port.files(name.lower(), "in")] for name in AGENCIES}
    assert {name: len(files) for name, files in kinds.items()} == {
        "CUSTOMS": 2,  # the EDIFACT report and its detached signature
        "INSPECTION": 1,
        "MARITIME": 1,
        "BORDER": 1,
    }
    for agency in AGENCIES[:3]:
        says(port, agency, "A")
        assert told(port) == []  # never on three
    says(port, "BORDER", "A")
    [answer] = told(port)
    assert b"GIS+1'" in answer.read_bytes()
    assert port.column(t.case, "outcome") == ["cleared"]


def test_one_refusal_is_the_joint_refusal_with_its_reason(port: Any) -> None:
    port.submit("bohai", "call.edi", ARRIVAL)
    port.run()
    says(port, "CUSTOMS", "A")
    says(port, "INSPECTION", "R")
    [answer] = told(port)
    assert b"GIS+2'" in answer.read_bytes() and b"ERC+Q01'" in answer.read_bytes()
    says(port, "MARITIME", "A")
    says(port, "BORDER", "A")
    assert len(told(port)) == 1
    assert port.column(t.case, "outcome") == ["refused"]
