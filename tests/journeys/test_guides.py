"""Guides on the way: one file, taken from the party that has agreed so and refused from another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub.journal import tables as t
from hub.site.load import load

CASES = Path(__file__).parents[2] / "mappings" / "manifest" / "cases"
ORIGINAL = (CASES / "01-original" / "in.edi").read_bytes()
LONG = ORIGINAL.replace(b"PUMPS FOR LIQUIDS", b"PUMPS " * 20)
GUIDE = "guide: {0}\nfor: {{parties: [{1}], kinds: [cuscar-d95b]}}\n{2}\n"


def of_bohai(data: bytes) -> bytes:
    return data.replace(b"UNB+UNOA:3+TJLINE:ZZZ", b"UNB+UNOA:3+BOHAI:ZZZ").replace(b"TJL2611230001", b"BOH2611230001")


def agree(port: Any, party: str, rules: str) -> None:
    (port.folder / f"schemas/manifest/{party.lower()}.guide.yaml").write_text(GUIDE.format(party, party, rules))
    port.site = load(port.folder, port.site.register, port.site.signer)


def rows(port: Any, sender: str) -> list[Any]:
    m = t.message
    found: list[Any] = port.journal.rows(select(m).where(m.c.sender == sender, m.c.interchange != ""))
    return found


def test_what_is_agreed_with_one_is_refused_from_another(port: Any) -> None:
    """A goods description of 120 characters: the carriers' guide takes it, D.95B has 70."""
    port.submit("tjline", "a.edi", LONG)
    port.submit("bohai", "b.edi", of_bohai(LONG))
    port.run()
    assert [row["state"] for row in rows(port, "TJLINE")] == ["routed"]
    assert [row["state"] for row in rows(port, "BOHAI")] == ["rejected"]
    assert len(port.files("customs", "in")) == 1
    [said] = [p for p in port.files("bohai", "error") if p.name.endswith(".error.json")]
    assert [f["code"] for f in json.loads(said.read_text())["findings"]] == ["edifact.element_too_long"]


def test_a_wrong_count_is_repaired_and_recorded(port: Any) -> None:
    agree(port, "TJLINE", "tolerate: [{code: edifact.unt_count, as: repair}, {code: edifact.unz_count, as: repair}]")
    port.submit("tjline", "a.edi", ORIGINAL.replace(b"UNT+48", b"UNT+46").replace(b"UNZ+1", b"UNZ+2"))
    port.run()
    [row] = rows(port, "TJLINE")
    assert row["state"] == "routed"
    e = t.event
    told = [r["detail"] for r in port.journal.rows(select(e).where(e.c.subject == row["id"])) if r["detail"]]
    assert any("edifact.unt_count tjline.guide.yaml:3 repair" in str(detail) for detail in told)


def test_what_is_told_reaches_the_sender_although_nothing_is_refused(port: Any) -> None:
    agree(port, "TJLINE", "tolerate: [{code: edifact.unt_count, as: warn, why: until June, tell: true}]")
    port.submit("tjline", "a.edi", ORIGINAL.replace(b"UNT+48", b"UNT+46"))
    port.run()
    [text] = [p for p in port.files("tjline", "inbound") if p.name.endswith(".told.txt")]
    words = text.read_text("utf-8")
    assert "until June" in words and "tjline.guide.yaml:3" in words and "拒收" not in words
    assert port.files("tjline", "error") == []


def test_a_guide_asks_more_than_the_standard(port: Any) -> None:
    port.submit("tjline", "a.edi", ORIGINAL.replace(b"TJLU4001238+45", b"TJLU4001239+45"))
    port.run()
    [said] = [p for p in port.files("tjline", "error") if p.name.endswith(".error.txt")]
    assert "guide.identifier" in said.read_text("utf-8")


@pytest.mark.parametrize(("accept", "states"), [("each", ["rejected", "routed"]), ("all", ["rejected", "rejected"])])
def test_the_good_ones_go_on_unless_all_or_none_was_agreed(port: Any, accept: str, states: list[str]) -> None:
    agree(port, "BOHAI", f"accept: {accept}")
    data = of_bohai(ORIGINAL)
    start, end = data.index(b"UNH+"), data.index(b"UNZ+")
    good = data[start:end]
    bad = good.replace(b"UNH+1", b"UNH+2").replace(b"UNT+48+1", b"UNT+40+2").replace(b"BOH2611230001", b"BOH2611230002")
    port.submit("bohai", "two.edi", data[:start] + good + bad + data[end:].replace(b"UNZ+1", b"UNZ+2"))
    port.run()
    assert sorted(row["state"] for row in rows(port, "BOHAI")) == states
    assert len(port.files("customs", "in")) == states.count("routed")


def test_what_is_sent_is_written_as_its_reader_wants_it(port: Any) -> None:
    rules = 'write: {una: true, syntax: "UNOC:3", separators: ":+,? \'"}'
    (port.folder / "schemas/manifest/terminal.guide.yaml").write_text(
        f"guide: t\nfor: {{parties: [TERMINAL]}}\n{rules}\n"
    )
    port.site = load(port.folder, port.site.register, port.site.signer)
    port.submit("tjline", "a.edi", ORIGINAL)
    port.run()
    [order] = port.files("terminal", "inbound")
    assert order.read_bytes().startswith(b"UNA:+,? 'UNB+UNOC:3+")
