"""舱单: one manifest, two recipients, one answer; and what can go wrong on the way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sqlalchemy import select

from hub.journal import tables as t

BOTH = True
CASES = Path(__file__).parents[2] / "mappings" / "manifest" / "cases"
ORIGINAL = (CASES / "01-original" / "in.edi").read_bytes()
AMENDMENT = (CASES / "02-amendment" / "in.edi").read_bytes()
BROKEN = (CASES / "04-broken" / "in.edi").read_bytes()


def reference(path: Path) -> str:
    found = re.search(rb"<Reference>(E\d+)</Reference>", path.read_bytes())
    assert found
    return found[1].decode()


def customs_says(port: Any, status: str, asked: Path, name: str) -> None:
    number = re.search(rb"<ManifestNo>([^<]+)</ManifestNo>", asked.read_bytes())
    assert number
    reason = "" if status == "01" else '<Reason><Code>M07</Code><Text xml:lang="en">weight differs</Text></Reason>'
    port.answer(
        "CUSTOMS",
        name,
        f'<CustomsAnswer xmlns="urn:eport:manifest:customs-answer:1"><Reference>{reference(asked)}</Reference>'
        f"<Number>{number[1].decode()}</Number><Status>{status}</Status><At>2026-11-23T08:30:00+08:00</At>"
        f"{reason}</CustomsAnswer>",
    )


def test_one_manifest_reaches_both_and_the_answer_comes_home(port: Any) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    [asked] = port.files("customs", "in")
    assert b"SignatureValue" in asked.read_bytes()
    [order] = port.files("terminal", "inbound")
    assert b"COPRAR:D:95B:UN" in order.read_bytes() and order.read_bytes().count(b"EQD+CN+") == 3
    assert [p.name.split(".")[-2] for p in port.files("tjline", "inbound")] == ["CONTRL"]
    customs_says(port, "01", asked, "answer.xml")
    port.run()
    answers = [p for p in port.files("tjline", "inbound") if "cusres" in p.name]
    assert len(answers) == 1 and b"GIS+1'" in answers[0].read_bytes()
    assert port.column(t.case, "outcome") == ["accepted"]
    assert set(port.column(t.message, "state")) == {"done"}


def test_a_refusal_comes_home_with_its_reason(port: Any) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    customs_says(port, "03", port.files("customs", "in")[0], "answer.xml")
    port.run()
    [answer] = [p for p in port.files("tjline", "inbound") if "cusres" in p.name]
    assert b"GIS+2'" in answer.read_bytes() and b"ERC+M07'" in answer.read_bytes()
    assert port.column(t.case, "outcome") == ["refused"]


def test_the_same_file_again_gets_the_stored_receipt_and_goes_nowhere(port: Any) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    first = port.files("tjline", "inbound")[0].read_bytes()
    port.submit("tjline", "again.edi", ORIGINAL)
    port.run()
    assert len(port.files("customs", "in")) == 1
    [again] = [p for p in port.files("tjline", "inbound") if p.name.startswith("again.edi")]
    assert again.read_bytes() == first
    assert port.column(t.interchange, "state") == ["duplicate", "opened"]


def test_the_same_reference_with_other_content_is_a_conflict(port: Any) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    port.submit("tjline", "other.edi", ORIGINAL.replace(b"KGM:8460", b"KGM:8461"))
    port.run()
    assert len(port.files("customs", "in")) == 1
    assert port.column(t.interchange, "state") == ["conflict", "opened"]
    assert any(p.name.endswith(".error.txt") for p in port.files("tjline", "error"))


def test_a_broken_file_is_rejected_with_reasons_in_both_languages(port: Any) -> None:
    port.submit("tjline", "bad.edi", BROKEN)
    port.run()
    assert port.files("customs", "in") == []
    [text] = [p for p in port.files("tjline", "error") if p.name.endswith(".error.txt")]
    words = text.read_text("utf-8")
    assert "^" in words and "bad.edi" in words and "被拒收" in words
    [original] = [p for p in port.files("tjline", "error") if p.name.endswith("bad.edi")]
    assert original.read_bytes() == BROKEN
    [contrl] = [p for p in port.files("tjline", "inbound") if "CONTRL" in p.name]
    assert b"UCI+" in contrl.read_bytes()


def test_an_amendment_reaches_every_holder_and_supersedes(port: Any) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    port.submit("tjline", "amend.edi", AMENDMENT)
    port.run()
    assert len(port.files("customs", "in")) == 2 and len(port.files("terminal", "inbound")) == 2
    m = t.message
    rows = port.journal.rows(select(m).where(m.c.kind == "cuscar-d95b").order_by(m.c.id))
    assert rows[0]["superseded_by"] == rows[1]["id"] and rows[1]["supersedes"] == rows[0]["id"]


def test_an_answer_that_answers_nothing_is_an_orphan_and_harmless(port: Any) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    asked = port.files("customs", "in")[0]
    other = asked.with_name("x")
    other.write_bytes(re.sub(rb"E\d{9}", b"E999999999", asked.read_bytes()))
    customs_says(port, "01", other, "answer.xml")
    port.run()
    assert port.column(t.receipt, "state") == ["orphan"]
    assert port.column(t.case, "state") == ["open"]


def test_twice_and_contradictory_answers_change_nothing(port: Any) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    asked = port.files("customs", "in")[0]
    customs_says(port, "01", asked, "a.xml")
    port.run()
    customs_says(port, "03", asked, "b.xml")
    port.run()
    assert port.column(t.receipt, "state") == ["contradictory", "matched"]
    assert port.column(t.case, "outcome") == ["accepted"]
    assert len([p for p in port.files("tjline", "inbound") if "cusres" in p.name]) == 1


def test_an_unsigned_answer_is_refused(port: Any) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    asked = port.files("customs", "in")[0]
    xml = (
        f'<CustomsAnswer xmlns="urn:eport:manifest:customs-answer:1"><Reference>{reference(asked)}</Reference>'
        "<Number>TJL2611230001</Number><Status>01</Status><At>2026-11-23T08:30:00+08:00</At></CustomsAnswer>"
    )
    (port.home("customs") / "out" / "forged.xml").write_text(xml)
    port.run()
    assert port.column(t.case, "state") == ["open"]
    assert "rejected" in port.column(t.message, "state")
