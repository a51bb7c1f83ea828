"""A large interchange is proved, answered and remembered as a whole, and worked on in parts."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from hub import apart, journey
from hub.edifact import structure
from hub.engine import gate
from hub.journal import tables as t
from hub.journal.journal import Journal
from tests.faults.conftest import manifest, many
from tests.journeys.conftest import Port
from tests.journeys.test_several import amended, put, rows, send, states, to_sender

COUNT = 12


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    opened = Port(tmp_path_factory.mktemp("port"))
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large here: five messages or so."""
    monkeypatch.setattr(apart, "LARGE", 5000)
    monkeypatch.setattr(apart, "PART", 5000)
    monkeypatch.setattr(journey, "LOAD", 5000)


def large(number: int, count: int = COUNT) -> bytes:
    """One interchange of so many good manifests, with reference and business numbers of its own."""
    data = many(count).replace(b"TJN0", b"T%03d" % number)
    return data.replace(b"TJM%07d" % count, b"TJL%07d" % number)


def other(data: bytes, message: int, old: bytes, new: bytes) -> bytes:
    """The same with a change in one message, counted from 1."""
    parts = data.split(b"UNH+")
    assert old in parts[message]
    parts[message] = parts[message].replace(old, new)
    return b"UNH+".join(parts)


def messages(port: Port, name: str) -> list[Any]:
    m = t.message
    of = [row["id"] for row in rows(port, name)]
    found = port.journal.rows(select(m).where(m.c.interchange.in_(of)))
    return sorted(found, key=lambda row: int(row["id"].rpartition(".")[2]))


def told(port: Port, name: str) -> list[dict[str, Any]]:
    [machine] = [path for path in to_sender(port, name, "error") if path.name.endswith(".json")]
    found: list[dict[str, Any]] = json.loads(machine.read_bytes())["findings"]
    return found


def test_its_messages_go_on_in_parts_and_one_answer_speaks_of_the_whole(port: Port) -> None:
    asked = len(port.files("customs", "in"))
    send(port, "large.edi", large(1))
    whole, *parts = rows(port, "large.edi")
    assert whole["state"] == "split" and {row["state"] for row in parts} == {"opened"}
    assert len(parts) == int(whole["reason"]) == 3
    assert [row["id"].rpartition(".")[2] for row in messages(port, "large.edi")] == [str(n + 1) for n in range(COUNT)]
    assert len({row["interchange"] for row in messages(port, "large.edi")}) == 3
    assert len(port.files("customs", "in")) == asked + COUNT
    [answer] = to_sender(port, "large.edi")
    assert b"UCI+TJL0000001+TJLINE:ZZZ+TJEPORT:ZZZ+7'UNT" in answer.read_bytes()
    assert to_sender(port, "large.edi", "error") == []


def test_every_part_is_an_interchange_that_anybody_can_read(port: Port) -> None:
    send(port, "readable.edi", large(2))
    parts = [port.journal.payload(row["sha256"]) for row in rows(port, "readable.edi")[1:]]
    assert all(part.startswith(b"UNA:+.? 'UNB+UNOA:3+TJLINE") for part in parts)
    counts = [part.count(b"UNH+") for part in parts]
    assert [part.rpartition(b"UNZ+")[2] for part in parts] == [b"%d+TJL0000002'" % count for count in counts]
    assert sum(counts) == COUNT


def test_a_bad_message_of_a_later_part_is_refused_alone_at_its_place_in_the_file(port: Port) -> None:
    data = other(large(3), 11, b"BGM+785", b"BGX+785")
    asked = len(port.files("customs", "in"))
    send(port, "bad.edi", data)
    assert [row["state"] == "rejected" for row in messages(port, "bad.edi")] == [n == 11 for n in range(1, COUNT + 1)]
    assert len(port.files("customs", "in")) == asked + COUNT - 1
    [answer] = to_sender(port, "bad.edi")
    assert answer.read_bytes().count(b"UCM+") == 1 and b"UCM+11+CUSCAR" in answer.read_bytes()
    unknown = next(finding for finding in told(port, "bad.edi") if finding["tag"] == "BGX")
    assert unknown["offset"] == data.index(b"BGX+")


@pytest.mark.parametrize(
    ("number", "old", "new", "code"),
    [
        (5, b"UNZ+12+TJL0000005'", b"UNZ+12+OTHER'", b"28"),
        (6, b"UNZ+12+TJL0000006'", b"", b"13"),
    ],
)
def test_what_its_end_does_not_prove_is_refused_as_a_whole(
    port: Port, number: int, old: bytes, new: bytes, code: bytes
) -> None:
    name, asked = f"unproved-{number}.edi", len(port.files("customs", "in"))
    data = large(number)
    assert data.count(old) == 1
    send(port, name, data.replace(old, new))
    assert states(port, name) == ["rejected"] and messages(port, name) == []
    assert len(port.files("customs", "in")) == asked
    [answer] = to_sender(port, name)
    assert b"+4+%s+UNZ" % code in answer.read_bytes()
    send(port, f"mended-{number}.edi", data)  # what was rejected may come again, corrected, under its reference
    assert states(port, f"mended-{number}.edi")[0] == "split"


def test_the_same_again_is_a_duplicate_of_the_whole(port: Port) -> None:
    send(port, "once.edi", large(7))
    asked = len(port.files("customs", "in"))
    send(port, "again.edi", large(7))
    assert states(port, "again.edi") == ["duplicate"]
    assert len(port.files("customs", "in")) == asked
    [first], [again] = to_sender(port, "once.edi"), to_sender(port, "again.edi")
    assert first.read_bytes() == again.read_bytes()


def test_the_same_reference_with_other_content_is_a_conflict_of_the_whole(port: Port) -> None:
    send(port, "right.edi", large(8))
    send(port, "wrong.edi", other(large(8), 9, b"KGM:8460", b"KGM:8461"))
    assert states(port, "wrong.edi") == ["conflict"]
    [answer] = to_sender(port, "wrong.edi")
    assert b"+4+26" in answer.read_bytes()


def test_parts_are_no_duplicates_of_each_other_when_one_is_refused_whole(port: Port) -> None:
    data = large(9)
    for message in range(1, 6):
        data = other(data, message, b"BGM+785", b"BGX+785")
    send(port, "first-part.edi", data)
    assert states(port, "first-part.edi") == ["split", "rejected", "opened", "opened"]
    assert [row["state"] for row in messages(port, "first-part.edi")].count("rejected") == 5


def test_one_reference_for_messages_of_two_parts_is_found(port: Port) -> None:
    data = large(10).replace(b"UNH+12+", b"UNH+1+").replace(b"+12'UNZ", b"+1'UNZ")
    send(port, "repeated.edi", data)
    assert "edifact.duplicate_reference" in [finding["code"] for finding in told(port, "repeated.edi")]
    assert [row["state"] for row in messages(port, "repeated.edi")].count("rejected") == 1


def test_functional_groups_are_worked_on_together(port: Port) -> None:
    group = b"UNG+CUSCAR+TJLINE:ZZZ+TJEPORT:ZZZ+261123:0810+G1+UN+D:95B'"
    data = large(11).replace(b"UNH+1+", group + b"UNH+1+", 1)
    data = data.replace(b"UNZ+12+", b"UNE+12+G1'UNZ+1+")
    send(port, "groups.edi", data)
    assert states(port, "groups.edi") == ["opened"] and len(messages(port, "groups.edi")) == COUNT


def test_a_large_one_among_several_goes_on_in_parts_of_its_own(port: Port) -> None:
    send(port, "nested.edi", manifest(2001) + b"\r\n" + other(large(12), 12, b"BGM+785", b"BGX+785"))
    whole, *pieces = rows(port, "nested.edi")
    assert [row["id"].removeprefix(whole["id"]) for row in pieces] == [
        *("-0001", "-0002", "-0002-0001", "-0002-0002", "-0002-0003")
    ]
    assert [row["state"] for row in pieces] == ["opened", "split", "opened", "opened", "opened"]
    data = port.journal.payload(whole["sha256"])
    assert next(f for f in told(port, "nested.edi") if f["tag"] == "BGX")["offset"] == data.index(b"BGX+")


def test_a_message_of_a_part_that_waited_is_taken_up_as_itself(port: Port) -> None:
    """It amends what comes only later, so it is held, released, and read again from its part."""
    late = manifest(2011)
    early = amended(2011, b"8100").replace(b"\n", b"")
    body = early[early.index(b"UNH+") : early.index(b"UNZ+")].replace(b"UNH+1+", b"UNH+13+")
    start = body.rindex(b"UNT+")
    data = large(13)
    end = data.index(b"UNZ+")
    tail = body[:start] + body[start:].rpartition(b"+")[0] + b"+13'"
    send(port, "held.edi", data[:end] + tail + b"UNZ+13+TJL0000013'")
    assert messages(port, "held.edi")[-1]["state"] == "held"
    send(port, "original.edi", late)
    held = messages(port, "held.edi")[-1]
    assert held["state"] in ("routed", "done") and held["supersedes"] == messages(port, "original.edi")[0]["id"]


def test_a_worker_that_dies_between_two_parts_loses_and_repeats_nothing(port: Port, monkeypatch: Any) -> None:
    put(port, "dies.edi", large(14))
    asked = len(port.files("customs", "in"))
    port.now += timedelta(seconds=1)
    gate.gate_round(port.site, port.journal, port.inlets, port.now)
    doomed = Journal(port.folder / "spool", "doomed")
    journey.work(port.site, doomed, port.numbers, port.now)
    opened, commit = [], Journal.commit

    def dies(self: Journal, outcomes: Any, now: Any) -> None:
        if opened:
            raise KeyboardInterrupt
        commit(self, outcomes, now)
        opened.append(now)

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "commit", dies)
        with pytest.raises(KeyboardInterrupt):
            journey.work(port.site, doomed, port.numbers, port.now)
    assert states(port, "dies.edi") == ["split", "opened", "received", "received"]
    doomed.close()
    assert port.journal.take_back() == 2
    port.run()
    assert states(port, "dies.edi") == ["split", "opened", "opened", "opened"]
    assert len(port.files("customs", "in")) == asked + COUNT and len(to_sender(port, "dies.edi")) == 1


def test_parts_need_a_fraction_of_the_memory(port: Port, monkeypatch: Any) -> None:
    """Blocks of memory in use whenever a message is opened, beyond those before."""
    build, peaks = structure.build, {}
    for number, size in ((15, 6_000), (16, 10**9)):
        monkeypatch.setattr(apart, "LARGE", size)
        monkeypatch.setattr(apart, "PART", size)
        monkeypatch.setattr(journey, "LOAD", size)
        put(port, f"memory-{number}.edi", large(number, 60))
        port.now += timedelta(seconds=1)
        gate.gate_round(port.site, port.journal, port.inlets, port.now)
        gc.collect()
        before, seen = sys.getallocatedblocks(), [0]

        def watched(*of: Any, seen: list[int] = seen) -> Any:
            seen.append(sys.getallocatedblocks())
            return build(*of)

        monkeypatch.setattr(structure, "build", watched)
        while journey.work(port.site, port.journal, port.numbers, port.now):
            pass
        peaks[number] = max(seen) - before
        assert {row["state"] for row in messages(port, f"memory-{number}.edi")} == {"routed"}
    assert peaks[15] < 0.4 * peaks[16]
