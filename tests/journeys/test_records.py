"""JSON and CSV on the way through the whole port: in as EDIFACT and XML come in, out as they go out."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from sqlalchemy import select

from hub.journal import tables as t
from hub.site.load import load

CASES = Path(__file__).parents[2] / "mappings" / "manifest" / "cases"
MANIFEST = (CASES / "05-json" / "in.json").read_bytes()
LISTS = (CASES / "06-spreadsheet" / "in.csv").read_bytes()
TO_TERMINAL = "to: {TERMINAL: coprar-d95b}"
SPREADSHEETS = """
  lists-to-terminal:
    when: {kind: container-list}
    to: {TERMINAL: container-list}
"""


def route(port: Any, old: str, new: str) -> None:
    file = port.folder / "routes.yaml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")
    port.site = load(port.folder, port.site.register, port.site.signer)


def submit(port: Any, party: str, name: str, data: bytes) -> None:
    """A file that has been there for a while: from the ends of these formats nobody can tell that it is whole."""
    port.submit(party, name, data)
    file = port.home(party) / "outbound" / name
    before = time.time() - 60
    os.utime(file, (before, before))


def test_a_manifest_in_json_goes_the_way_of_one_in_edifact(port: Any) -> None:
    submit(port, "tjline", "manifest.json", MANIFEST)
    port.run()
    [asked] = port.files("customs", "in")
    assert b"<ManifestNo>TJL2611230005</ManifestNo>" in asked.read_bytes() and b"8460.10" in asked.read_bytes()
    [order] = port.files("terminal", "inbound")
    assert b"EQD+CN+TJLU4001238" in order.read_bytes()
    [message] = port.journal.rows(select(t.message).where(t.message.c.interchange != ""))
    assert (message["kind"], message["canonical_kind"], message["state"]) == ("manifest-json", "manifest", "routed")
    submit(port, "tjline", "again.json", MANIFEST)
    port.run()
    assert len(port.files("customs", "in")) == 1 and "duplicate" in port.column(t.interchange, "state")


def test_what_is_wrong_in_json_is_shown_in_the_senders_own_file(port: Any) -> None:
    submit(
        port, "tjline", "bad.json", MANIFEST.replace(b"CSQU3054383", b"CSQU3054384", 1).replace(b'"Flag"', b'"Flagg"')
    )
    port.run()
    assert port.files("customs", "in") == []
    [words] = [p.read_text("utf-8") for p in port.files("tjline", "error") if p.name.endswith(".error.txt")]
    assert "Use a name of the schema: Flag" in words
    shown = words.splitlines()
    at = next(number for number, line in enumerate(shown) if '"Flagg"' in line)
    assert shown[at + 1].index("^") == shown[at].index('"Flagg"')
    [machine] = [p for p in port.files("tjline", "error") if p.name.endswith(".error.json")]
    found = json.loads(machine.read_text("utf-8"))["findings"]
    assert {(f["code"], f["line"], f["path"]) for f in found} >= {
        ("json.unknown_name", 7, None),
        ("xml.identifier", 32, "Manifest/Consignment/Goods/Container[1]"),
    }


def test_the_terminal_may_have_a_spreadsheet_instead(port: Any) -> None:
    route(port, TO_TERMINAL, "to: {TERMINAL: container-list}")
    submit(port, "tjline", "manifest.json", MANIFEST)
    port.run()
    [made] = port.files("terminal", "inbound")
    assert made.name.endswith(".csv") and made.read_bytes().splitlines()[1].startswith(b"TJL2611230005,0127W,9100310,")


def test_each_document_of_a_spreadsheet_is_a_message_of_its_own(port: Any) -> None:
    route(port, TO_TERMINAL, TO_TERMINAL + SPREADSHEETS)
    good = LISTS.replace(b"0128W", b"0127W").replace(b"BHLU7305511", b"BHLU7305510").replace(b"laden", b"empty")
    submit(port, "tjline", "boxes.csv", good)
    port.run()
    assert sorted(row["document"] for row in port.journal.rows(select(t.message))) == ["TJL2611230001", "TJL2611230002"]
    sent = [p.read_bytes().splitlines() for p in port.files("terminal", "inbound")]
    assert [len(lines) for lines in sent] == [3, 3] and sent[0][0] == sent[1][0] == LISTS.splitlines()[0]


def test_one_wrong_document_of_a_spreadsheet_does_not_keep_the_other_back(port: Any) -> None:
    route(port, TO_TERMINAL, TO_TERMINAL + SPREADSHEETS)
    submit(port, "tjline", "boxes.csv", LISTS)
    port.run()
    assert port.column(t.message, "state") == ["done", "rejected"]
    assert len(port.files("terminal", "inbound")) == 1
    [words] = [p.read_text("utf-8") for p in port.files("tjline", "error") if p.name.endswith(".error.txt")]
    assert "status 5:69" in words and "voyage 5:21" in words


def test_the_name_decides_only_about_what_has_no_beginning_of_its_own(port: Any) -> None:
    submit(port, "tjline", "manifest.csv", MANIFEST)
    submit(port, "tjline", "list.dat", LISTS)
    port.run()
    assert port.column(t.message, "kind") == ["manifest-json"]
    assert port.column(t.interchange, "state") == ["opened", "rejected"]


def test_a_spreadsheet_that_holds_unb_is_no_edifact(port: Any) -> None:
    text = LISTS.replace(b"TIANJIN PEARL", b"UNB+UNOA:3+A+B UNB+UNOA:3+A+B")
    submit(port, "tjline", "boxes.csv", text)
    port.run()
    assert port.column(t.interchange, "state") == ["opened"]
