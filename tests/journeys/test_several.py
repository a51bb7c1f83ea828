"""A file of several interchanges: each is judged, answered and remembered alone, in the order of the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from hub import apart, journey, retention, tracing
from hub.doctor.invariants import conservation, history
from hub.doctor.line import Patient
from hub.engine import gate
from hub.journal import tables as t
from hub.journal.journal import Journal
from tests.faults.conftest import ORIGINAL, manifest, quiet
from tests.journeys.conftest import Port
from tests.journeys.test_manifest import AMENDMENT


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    """One port for all: every file has references and numbers of its own."""
    opened = Port(tmp_path_factory.mktemp("port"))
    yield opened
    opened.close()


def rows(port: Port, name: str) -> list[Any]:
    i = t.interchange
    return list(port.journal.rows(select(i).where(i.c.name == name).order_by(i.c.id)))


def states(port: Port, name: str) -> list[str]:
    return [row["state"] for row in rows(port, name)]


def put(port: Port, name: str, data: bytes) -> None:
    port.submit("tjline", name, data)
    quiet(port.home("tjline") / "outbound" / name)


def send(port: Port, name: str, data: bytes) -> None:
    put(port, name, data)
    port.run()


def to_sender(port: Port, name: str, box: str = "inbound") -> list[Path]:
    return [path for path in port.files("tjline", box) if name in path.name]


def told(port: Port, name: str) -> list[dict[str, Any]]:
    """The findings of every rejection of a file, in order."""
    found = [path for path in to_sender(port, name, "error") if path.name.endswith(".json")]
    return [finding for path in found for finding in json.loads(path.read_bytes())["findings"]]


def broken(number: int) -> bytes:
    return manifest(number).replace(b"BGM+785", b"BGX+785")


def test_each_interchange_has_its_row_its_answer_and_its_fate(port: Port) -> None:
    data = manifest(1001) + b"\r\n\r\n" + broken(1002) + manifest(1003)
    send(port, "three.edi", data)
    whole, *pieces = rows(port, "three.edi")
    assert [whole["state"], whole["reason"]] == ["split", "3"]
    assert [row["id"] for row in pieces] == [f"{whole['id']}-000{n}" for n in (1, 2, 3)]
    assert [row["state"] for row in pieces] == ["opened", "rejected", "opened"]
    assert [port.journal.payload(row["sha256"]) for row in pieces] == [
        one.strip() for one in (manifest(1001), broken(1002), manifest(1003))
    ]
    answers = [path.read_bytes() for path in to_sender(port, "three.edi")]
    assert [b"UCI+TJ0000100%d+" % n in data for n, data in zip((1, 2, 3), answers, strict=True)] == [True] * 3
    assert [b"UCM+1+CUSCAR" in data for data in answers] == [False, True, False]


def test_a_place_in_a_rejection_is_one_in_the_file_that_was_sent(port: Port) -> None:
    data = manifest(1011) + broken(1012)
    send(port, "places.edi", data)
    unknown = next(finding for finding in told(port, "places.edi") if finding["tag"] == "BGX")
    assert unknown["offset"] == data.index(b"BGX+")
    [text] = [path for path in to_sender(port, "places.edi", "error") if path.name.endswith(".error.txt")]
    assert "BGX+785" in text.read_text("utf-8") and f"@{unknown['offset']}" in text.read_text("utf-8")


def test_one_una_in_front_serves_all_behind_it(port: Port) -> None:
    bare = ORIGINAL.partition(b"UNB")[2]
    text = b"UNB" + bare.replace(b"\n", b"")
    odd = text.replace(b"?'", b"\0").replace(b"?+", b"\1").replace(b"'", b"~").replace(b"+", b"*")
    odd = odd.replace(b"\0", b"'").replace(b"\1", b"+")
    first = odd.replace(b"TJ26112301", b"TJ00001021").replace(b"TJL2611230001", b"TJL0000001021")
    second = odd.replace(b"TJ26112301", b"TJ00001022").replace(b"TJL2611230001", b"TJL0000001022")
    send(port, "una.edi", b"UNA:*.? ~" + first + second)
    assert states(port, "una.edi") == ["split", "opened", "opened"]
    assert port.journal.payload(rows(port, "una.edi")[2]["sha256"]).startswith(b"UNA:*.? ~UNB*")


def test_what_stands_between_is_told_and_harms_neither(port: Port) -> None:
    first = manifest(1031)
    send(port, "junk.edi", first + b"-- sent by mail --\r\n" + manifest(1032))
    assert states(port, "junk.edi") == ["split", "opened", "opened"]
    [finding] = told(port, "junk.edi")
    assert finding["offset"] == len(first)


def test_the_same_file_again_gets_each_stored_receipt_and_goes_nowhere(port: Port) -> None:
    data = manifest(1041) + manifest(1042)
    send(port, "first.edi", data)
    asked = len(port.files("customs", "in"))
    send(port, "second.edi", data)
    assert states(port, "second.edi") == ["split", "duplicate", "duplicate"]
    again = {path.read_bytes() for path in to_sender(port, "second.edi")}
    assert len(again) == 2 and again == {path.read_bytes() for path in to_sender(port, "first.edi")}
    assert len(port.files("customs", "in")) == asked


def test_one_of_them_alone_or_beside_others_is_the_same_again(port: Port) -> None:
    send(port, "alone.edi", manifest(1051))
    send(port, "beside.edi", manifest(1052) + manifest(1051).rstrip() + manifest(1053))
    assert states(port, "beside.edi") == ["split", "opened", "duplicate", "opened"]


def test_the_same_reference_twice_in_a_file_is_a_conflict_of_the_second(port: Port) -> None:
    other = manifest(1061).replace(b"KGM:8460", b"KGM:8461")
    send(port, "twice.edi", manifest(1061) + other)
    assert states(port, "twice.edi") == ["split", "opened", "conflict"]
    assert [finding["contrl"] for finding in told(port, "twice.edi")] == ["26"]
    second = to_sender(port, "twice.edi")[-1].read_bytes()
    assert b"+4+26" in second


def amended(number: int, weight: bytes) -> bytes:
    """An amendment of manifest `number`, with a reference of its own."""
    data = AMENDMENT.replace(b"TJL2611230001", b"TJL%010d" % number)
    return data.replace(b"TJ26112302", b"TA%s%05d" % (weight[-3:], number)).replace(b"KGM:7350", b"KGM:" + weight)


def test_what_came_behind_the_file_is_opened_behind_its_pieces(port: Port) -> None:
    """Versions keep their order: the file is taken in with what amends it, in one batch."""
    send(port, "original.edi", manifest(1071))
    put(port, "a-amends.edi", amended(1071, b"8100") + manifest(1072))
    put(port, "b-amends.edi", amended(1071, b"8200"))
    port.run()
    m = t.message
    chain = port.journal.rows(select(m).where(m.c.document == "TJL0000001071", m.c.kind == "cuscar-d95b"))
    first, last = (f"{rows(port, name)[0]['id']}.1" for name in ("original.edi", "b-amends.edi"))
    between = f"{rows(port, 'a-amends.edi')[1]['id']}.1"
    by = {row["id"]: (row["supersedes"], row["superseded_by"]) for row in chain}
    assert by == {first: ("", between), between: (first, last), last: (between, "")}


def test_more_interchanges_than_a_file_may_hold_are_refused_together(port: Port, monkeypatch: Any) -> None:
    monkeypatch.setattr(apart, "MOST", 2)
    send(port, "many.edi", manifest(1081) + manifest(1082) + manifest(1083))
    assert states(port, "many.edi") == ["rejected"]
    assert [finding["code"] for finding in told(port, "many.edi")] == ["opening.too_many"]


def test_the_word_in_a_text_is_no_second_interchange(port: Port) -> None:
    send(port, "text.edi", manifest(1091).replace(b"PUMPS FOR LIQUIDS", b"PUMPS UNB?+A UNB FOR?'UNB"))
    assert states(port, "text.edi") == ["opened"]


def test_a_piece_leads_to_its_file_and_the_file_to_its_pieces(port: Port) -> None:
    send(port, "traced.edi", manifest(1101) + manifest(1102))
    whole, first, second = (row["id"] for row in rows(port, "traced.edi"))
    assert [row["id"] for row in tracing.trace(port.journal, whole)["interchanges"]] == [whole, first, second]
    found = tracing.trace(port.journal, "TJL0000001102")
    assert [row["id"] for row in found["interchanges"]] == [whole, second]
    said = [e["detail"] for e in found["events"] if e["subject"] == second and e["what"] == "received"]
    assert said[0]["of"] == whole


def test_the_doctor_finds_nothing_and_misses_a_lost_piece(port: Port) -> None:
    send(port, "whole.edi", manifest(1111) + manifest(1112))
    patient = Patient(port.folder, port.journal, port.now)
    assert [check(patient).verdict for check in (conservation, history)] == ["ok", "ok"]
    i, first = t.interchange, rows(port, "whole.edi")[1]["id"]
    for old, new in ((first, "lost"), ("lost", first)):
        with port.journal._write() as connection:
            connection.execute(update(i).where(i.c.id == old).values(id=new))
        if new == "lost":
            assert conservation(patient).verdict == "bad"


def test_the_bytes_of_the_file_stay_until_every_piece_is_over(port: Port) -> None:
    send(port, "kept.edi", manifest(1121) + broken(1122))
    whole, first, _ = rows(port, "kept.edi")
    [family] = retention.families(port.journal, [whole["id"]])
    assert [piece["id"] for piece in family.pieces] == [first["id"], f"{whole['id']}-0002"]
    assert not retention.final(family)
    over = [dict(piece) | {"look_at": None} for piece in family.pieces]
    assert retention.final(replace(family, pieces=over))


def test_a_worker_that_dies_between_the_cut_and_the_opening_loses_and_repeats_nothing(port: Port) -> None:
    put(port, "dies.edi", manifest(1131) + manifest(1132) + manifest(1133))
    put(port, "dies-later.edi", manifest(1134))
    asked = len(port.files("customs", "in"))
    port.now += timedelta(seconds=1)
    gate.gate_round(port.site, port.journal, port.inlets, port.now)
    other = Journal(port.folder / "spool", "doomed")
    journey.work(port.site, other, port.numbers, port.now, most=50)
    assert states(port, "dies.edi")[0] == "split" and set(states(port, "dies.edi")[1:]) == {"received"}
    assert len(other.claim_interchanges(2)) == 2
    other.close()
    assert port.journal.take_back() == 2
    port.run()
    assert states(port, "dies.edi") == ["split", "opened", "opened", "opened"]
    assert states(port, "dies-later.edi") == ["opened"]
    assert len(port.files("customs", "in")) == asked + 4
