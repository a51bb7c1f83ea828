"""What the sender hears: CONTRL of syntax, APERAK of content, and neither in answer to an answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from hub import opening, replies
from hub.finding import Finding, Place
from hub.message import Interchange
from hub.site.load import load
from tests.faults.conftest import ROOT, manifest, many
from tests.journeys.conftest import Port
from tests.journeys.test_several import send, states, to_sender

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
SITE = load(ROOT)
PARTY = SITE.parties["TJLINE"]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    opened = Port(tmp_path_factory.mktemp("port"))
    yield opened
    opened.close()


def opened(data: bytes) -> opening.Opened:
    ix = Interchange("1", "tjline", "TJLINE", "a.edi", "k", "", len(data), NOW)
    return opening.open(SITE, ix, data, NOW)


def made(of: opening.Opened, **terms: Any) -> dict[str, bytes]:
    party = PARTY.model_copy(update=terms)
    return {answer.kind: answer.data for answer in replies.answers(party, of, count(1).__next__, NOW)}


def unasked(data: bytes) -> bytes:
    """Without 0031."""
    assert data.count(b"++++1'") == 1
    return data.replace(b"++++1'", b"'")


def wrong_by_content(of: opening.Opened, *which: int) -> opening.Opened:
    """The same with a finding of a mapping, which syntax has no code for, on some of its messages."""
    finding = Finding("mapping.value", Place(path="Weight"), "-1", ">= 0")
    messages = list(of.messages)
    for at in which:
        messages[at] = replace(messages[at], findings=(*messages[at].findings, finding))
    return replace(of, messages=tuple(messages))


@pytest.mark.parametrize(
    ("acknowledge", "asks", "answered"),
    [("asked", True, True), ("asked", False, False), ("always", False, True), ("never", True, False)],
)
def test_what_is_in_order_is_acknowledged_as_agreed(acknowledge: str, asks: bool, answered: bool) -> None:
    data = manifest(4001)
    assert set(made(opened(data if asks else unasked(data)), acknowledge=acknowledge)) == (
        {"contrl"} if answered else set()
    )


def test_wrong_syntax_is_told_by_contrl_alone_asked_or_not() -> None:
    found = made(opened(unasked(manifest(4002)).replace(b"BGM+785", b"BGX+785")))
    assert set(found) == {"contrl"} and b"UCM+1+CUSCAR:D:95B:UN+4" in found["contrl"]


def test_wrong_content_is_told_by_aperak_and_its_syntax_is_acknowledged() -> None:
    found = made(wrong_by_content(opened(many(3)), 1))
    assert set(found) == {"contrl", "aperak"}
    assert b"UCM" not in found["contrl"] and b"+7'" in found["contrl"]
    assert b"APERAK:D:96B" in found["aperak"] and found["aperak"].count(b"UNH+") == 1
    assert b"RFF+ACW:2'" in found["aperak"]
    assert set(made(wrong_by_content(opened(unasked(manifest(4003))), 0))) == {"aperak"}


def test_a_message_that_is_wrong_both_ways_is_told_of_its_syntax() -> None:
    bad = opened(many(2).replace(b"BGM+785", b"BGX+785", 1))
    found = made(wrong_by_content(bad, 0))
    assert set(found) == {"contrl"} and found["contrl"].count(b"UCM+") == 1


def test_each_answer_has_a_reference_of_its_own() -> None:
    found = made(wrong_by_content(opened(many(3)), 1))
    assert b"+E000000001'" in found["contrl"] and b"+E000000002'" in found["aperak"]


@pytest.mark.parametrize("type", ["CONTRL:D:3", "APERAK:D:96B"])
def test_no_answer_is_answered(type: str) -> None:
    body = f"UNH+1+{type}:UN'BGX+1'UNT+3+1'"
    data = f"UNB+UNOA:3+TJLINE:ZZZ+TJEPORT:ZZZ+261123:0810+R1++++1'{body}UNZ+1+R1'".encode()
    of = opened(data)
    assert of.messages[0].rejected and made(of, acknowledge="always") == {}


def test_unb_without_a_reference_gets_no_answer() -> None:
    assert made(opened(manifest(4004).replace(b"+TJ00004004++++1'", b"+++++1'"))) == {}


def test_syntax_version_4_is_answered_in_its_own_form() -> None:
    data = unasked(manifest(4005)).replace(b"UNOA:3+", b"UNOA:4+").replace(b"+261123:0810+", b"+20261123:0810+")
    found = made(opened(data), acknowledge="always")
    assert b"UNOA:4+" in found["contrl"] and b"CONTRL:4:1:UN" in found["contrl"]


def test_the_sender_finds_it_beside_the_rejection(port: Port) -> None:
    """A signature that is missing is no fault of syntax: CONTRL says yes, APERAK says no."""
    parties = port.site.parties
    parties["TJLINE"] = parties["TJLINE"].model_copy(update={"signed": True})
    send(port, "unsigned.edi", manifest(4011))
    parties["TJLINE"] = parties["TJLINE"].model_copy(update={"signed": False})
    assert states(port, "unsigned.edi") == ["rejected"]
    syntax, content = sorted(to_sender(port, "unsigned.edi"), key=lambda path: "APERAK" in path.name)
    assert b"UCI+TJ00004011+TJLINE:ZZZ+TJEPORT:ZZZ+7'" in syntax.read_bytes()
    assert b"APERAK:D:96B" in content.read_bytes() and b"MISSING" in content.read_bytes()
    assert any(path.name.endswith(".error.txt") for path in to_sender(port, "unsigned.edi", "error"))
