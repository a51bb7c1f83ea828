"""Whatever reference somebody quotes on the telephone leads to the whole story, and to who holds which version."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from adapters.memory import Memory, MemoryOutlet
from hub import tracing
from hub.cli import app
from hub.contract import Known
from hub.journal import tables as t

MAPPINGS = Path(__file__).parents[2] / "mappings"
ORIGINAL = (MAPPINGS / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()
AMENDMENT = (MAPPINGS / "manifest" / "cases" / "02-amendment" / "in.edi").read_bytes()
BROKEN = (MAPPINGS / "manifest" / "cases" / "04-broken" / "in.edi").read_bytes()
ARRIVAL = (MAPPINGS / "vessel" / "cases" / "01-arrival" / "in.edi").read_bytes()
NUMBER = "TJL2611230001"


def customs_says(port: Any, number: str = "HG-2026-0777") -> None:
    asked = port.files("customs", "in")[-1].read_bytes()
    reference = re.search(rb"<Reference>(E\d+)</Reference>", asked)
    assert reference
    port.answer(
        "CUSTOMS",
        "answer.xml",
        f'<CustomsAnswer xmlns="urn:eport:manifest:customs-answer:1"><Reference>{reference[1].decode()}</Reference>'
        f"<Number>{NUMBER}</Number><Status>01</Status><At>2026-11-23T08:30:00+08:00</At>"
        f"<CustomsNumber>{number}</CustomsNumber></CustomsAnswer>",
    )
    port.run()


@pytest.fixture
def told(port: Any) -> Any:
    """A port that has taken one manifest and its answer, and one call of a ship."""
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.submit("bohai", "call.edi", ARRIVAL)
    port.run()
    customs_says(port)
    return port


def story(port: Any, ref: str) -> dict[str, list[Any]]:
    found = tracing.trace(port.journal, ref)
    assert json.loads(json.dumps(found)) == found
    return found


def names(found: dict[str, list[Any]]) -> set[str]:
    return {row["name"] for row in found["interchanges"]}


def row_of(port: Any, table: Any, **values: str) -> Any:
    [row] = port.journal.rows(select(table).where(*(table.c[name] == value for name, value in values.items())))
    return row


# ---- every reference


@pytest.mark.parametrize(
    "ref",
    [
        "mft.edi",
        "TJ26112301",  # UNB 0020
        NUMBER,  # the document, its business key, and the key of its case
        f"manifest/TJLINE/{NUMBER}",
        "HG-2026-0777",  # the agency's own number
    ],
)
def test_a_reference_leads_to_the_manifest_and_to_nothing_else(told: Any, ref: str) -> None:
    found = story(told, ref)
    assert names(found) == {"mft.edi"}
    [case] = found["cases"]
    assert case["id"] == f"manifest/TJLINE/{NUMBER}"
    message = next(row for row in found["messages"] if row["document"] == NUMBER)
    assert sorted(row["party"] for row in message["deliveries"]) == ["CUSTOMS", "TERMINAL"]
    [receipt] = [receipt for row in message["deliveries"] for receipt in row["receipts"]]
    assert receipt["accepted"] is True and receipt["number"] == "HG-2026-0777"


def test_ids_and_names_of_what_was_delivered_lead_there_too(told: Any) -> None:
    interchange = row_of(told, t.interchange, name="mft.edi")["id"]
    asked = row_of(told, t.delivery, party="CUSTOMS", kind="customs-manifest")
    reference = re.search(r"E\d{9}", asked["name"])
    assert reference
    for ref in (interchange, asked["message"], asked["id"], asked["name"], reference[0]):
        assert names(story(told, ref)) == {"mft.edi"}, ref


def test_the_replies_to_a_sender_lead_to_what_they_answer(told: Any) -> None:
    contrl = row_of(told, t.delivery, kind="contrl", party="TJLINE")
    assert names(story(told, contrl["id"])) == names(story(told, contrl["name"])) == {"mft.edi"}
    told.submit("tjline", "bad.edi", BROKEN)
    told.run()
    [text] = [path for path in told.files("tjline", "error") if path.name.endswith(".error.txt")]
    assert names(story(told, text.name)) == {"bad.edi"}


def test_a_reference_of_unh_leads_to_every_message_that_bears_it(told: Any) -> None:
    assert {row["kind"] for row in story(told, "2")["messages"]} >= {"paxlst-d05b"}
    assert names(story(told, "2")) == {"call.edi"}


def test_the_call_of_a_ship_leads_to_everything_about_it(told: Any) -> None:
    found = story(told, "BOHAI26112301")
    assert names(found) == {"call.edi"}
    made = next(row for row in found["messages"] if row["kind"] == "vessel-declaration")
    assert {row["party"] for row in made["deliveries"]} == {"CUSTOMS", "INSPECTION", "MARITIME", "BORDER"}
    assert [event["what"] for event in found["events"]].index("received") == 0


def test_an_answer_leads_to_itself_by_its_file_name(told: Any) -> None:
    found = story(told, "answer.xml")
    assert names(found) == {"answer.xml"} and [row["kind"] for row in found["messages"]] == ["customs-answer"]


def test_what_waits_is_part_of_the_story(port: Any) -> None:
    port.submit("tjline", "amend.edi", AMENDMENT)
    port.run()
    [row] = story(port, NUMBER)["waiting"]
    assert row["code"] == "routing.amends_nothing"


@pytest.mark.parametrize("ref", ["", "%", "_", "nothing", "TJ2611230", "manifest/%", "'; --"])
def test_what_is_unknown_is_an_empty_story_and_exit_code_1(told: Any, ref: str) -> None:
    assert not any(story(told, ref).values())
    result = CliRunner().invoke(app, ["trace", "--site", str(told.folder), "--lang", "en", "--", ref])
    assert result.exit_code == 1 and "nothing is known" in result.output


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_story_is_told_to_a_person(told: Any, lang: str) -> None:
    result = CliRunner().invoke(app, ["trace", NUMBER, "--site", str(told.folder), "--lang", lang])
    assert result.exit_code == 0
    assert all(word in result.output for word in ("mft.edi", "CUSTOMS", "TERMINAL", "answered", "accepted"))
    assert ("Who holds which version" in result.output) is (lang == "en")


# ---- versions


def holders(port: Any) -> list[tuple[str, bool, list[str]]]:
    """(interchange, superseded, who holds it) for each version of the manifest, oldest first."""
    rows = story(port, NUMBER)["versions"]
    name = {row["id"]: row["name"] for row in story(port, NUMBER)["interchanges"]}
    return [(name[row["version"].split(".")[0]], bool(row["superseded_by"]), row["held_by"]) for row in rows]


def test_after_an_amendment_everybody_holds_the_newest_version(port: Any) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    assert holders(port) == [("mft.edi", False, ["CUSTOMS", "TERMINAL"])]
    port.submit("tjline", "amend.edi", AMENDMENT)
    port.run()
    assert holders(port) == [("mft.edi", True, []), ("amend.edi", False, ["CUSTOMS", "TERMINAL"])]


def test_who_has_not_been_reached_yet_still_holds_the_older_version(port: Any) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    port.outlets["terminal"] = MemoryOutlet(Memory(down=True))
    port.submit("tjline", "amend.edi", AMENDMENT)
    port.run()
    assert holders(port) == [("mft.edi", True, ["TERMINAL"]), ("amend.edi", False, ["CUSTOMS"])]


def test_who_has_answered_holds_what_it_answered_although_the_transport_did_not_know(port: Any) -> None:
    box = Memory(blind=True)
    box.failures.append(Known.UNKNOWN)
    port.outlets["customs"] = MemoryOutlet(box)
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    assert holders(port) == [("mft.edi", False, ["TERMINAL"])]
    (port.home("customs") / "in" / "asked.xml").write_bytes(box.sent[0].data)
    customs_says(port)
    assert holders(port) == [("mft.edi", False, ["CUSTOMS", "TERMINAL"])]


def test_an_amendment_that_waits_is_no_version_yet(port: Any) -> None:
    port.submit("tjline", "amend.edi", AMENDMENT)
    port.run()
    assert holders(port) == []


# ---- the list


def test_the_list_is_in_order_of_time_and_can_be_asked_for_one_owner(port: Any) -> None:
    from datetime import timedelta

    port.submit("tjline", "amend.edi", AMENDMENT)
    port.submit("bohai", "call.edi", ARRIVAL)
    port.run()
    port.now += timedelta(hours=9)
    port.run()
    rows = tracing.held(port.journal)
    assert [row["due_at"] for row in rows] == sorted(row["due_at"] for row in rows)
    assert {row["code"] for row in tracing.held(port.journal, "sender")} == {"routing.amends_nothing"}
    border = tracing.held(port.journal, "BORDER")
    assert sorted(row["what"] for row in border) == ["case", "delivery"]  # the case waits for four parties together
    assert tracing.held(port.journal, "nobody") == []
