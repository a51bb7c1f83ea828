"""Heads get the time of an authority; without one the port goes on to the limit, then stops, then makes up for it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub.contract import Ground
from hub.engine import roles
from hub.errors import DeclarationError, Unreachable
from hub.evidence import authority as way
from hub.evidence import seal, stamp
from hub.journal import tables as t
from hub.sandbox.ground import folders_only
from hub.site.load import load
from hub.site.model import Evidence, Stamping
from hub.site.site import Site
from tests.evidence.conftest import ORIGINAL, ROOT, Authority, authority_in, happened, pem, sealed

LIMIT = timedelta(hours=4)


def stamping(site: Site, authority: Authority, root: str = "tsa.crt") -> Site:
    rule = Evidence(every=timedelta(seconds=1), stamp=Stamping(url=authority.url, roots=[root], stop_after=LIMIT))
    no_door = site.routes.doors.model_copy(update={"metrics": ""})
    return replace(site, routes=site.routes.model_copy(update={"evidence": rule, "doors": no_door}))


def stamper_of(site: Site, authority: Authority) -> seal.Stamper:
    rule = site.routes.evidence.stamp
    assert rule
    return seal.Stamper(rule, (authority.root,), way.ask)


def waits(port: Any) -> list[tuple[str, str]]:
    return [(row["code"], row["owner"]) for row in port.journal.rows(select(t.waiting))]


def interchanges(port: Any) -> int:
    return len(port.column(t.interchange, "id"))


def test_without_stamps_the_port_goes_on_to_the_limit_then_stops_then_goes_on(port: Any, authority: Authority) -> None:
    port.site = stamping(port.site, authority)
    stamper = stamper_of(port.site, authority)
    happened(port, 1)
    sealed(port)
    assert stamper.tick(port.journal, port.now) == 1 and stamper.tick(port.journal, port.now) == 0
    assert len(authority.asked) == 1
    authority.down = True
    port.submit("tjline", "first.edi", ORIGINAL)
    port.run()
    sealed(port)
    began = port.now
    assert stamper.tick(port.journal, port.now) == 0
    assert waits(port) == [("evidence.unstamped", "operator")]
    [row] = port.journal.rows(select(t.waiting))
    assert row["due_at"] == began + LIMIT and "503" in row["detail"]
    port.submit("tjline", "second.edi", ORIGINAL)
    port.run()
    assert interchanges(port) == 2

    port.now = began + LIMIT
    stamper.tick(port.journal, port.now)
    assert ("evidence.stopped", "operator") in waits(port)
    port.submit("tjline", "third.edi", ORIGINAL)
    port.run()
    assert interchanges(port) == 2 and [file.name for file in port.files("tjline", "outbound")] == ["third.edi"]

    authority.down = False
    sealed(port)
    assert stamper.tick(port.journal, port.now) == 0  # asked a moment ago
    port.now += seal.AGAIN
    assert stamper.tick(port.journal, port.now) == 1
    assert not {code for code, _ in waits(port)} & {"evidence.unstamped", "evidence.stopped"}
    port.run()
    assert interchanges(port) == 3 and port.files("tjline", "outbound") == []


def test_events_that_nobody_seals_stop_the_port_as_well(small: Any, authority: Authority) -> None:
    site = stamping(small.site, authority)
    assert not seal.stopped(site, small.journal, small.now)
    happened(small, 1)
    assert not seal.stopped(site, small.journal, small.now + LIMIT - timedelta(seconds=1))
    assert seal.stopped(site, small.journal, small.now + LIMIT)
    assert not seal.stopped(small.site, small.journal, small.now + LIMIT)


Ask = Callable[[str, bytes], bytes]


def another_question(good: Ask) -> Ask:
    return lambda url, query: good(url, stamp.request(b"something else", 7))


def another_nonce(good: Ask) -> Ask:
    from asn1crypto import tsp

    def ask(url: str, query: bytes) -> bytes:
        asked = tsp.TimeStampReq.load(query)
        asked["nonce"] = asked["nonce"].native + 1
        return good(url, asked.dump(force=True))

    return ask


@pytest.mark.parametrize(
    ("bend", "why"),
    [
        (another_question, "evidence.stamp_imprint"),
        (another_nonce, "evidence.stamp_nonce"),
        (lambda good: lambda url, query: b"<html>busy</html>", "evidence.stamp"),
        (lambda good: lambda url, query: good(url, query) + b"\x00", "evidence.stamp"),
    ],
    ids=["another question", "another nonce", "no stamp", "bytes behind it"],
)
def test_an_answer_that_is_no_stamp_over_this_head_is_not_kept(
    small: Any, authority: Authority, bend: Callable[[Ask], Ask], why: str
) -> None:
    happened(small, 1)
    sealed(small)
    rule = Stamping(url=authority.url, roots=["x"])
    stamper = seal.Stamper(rule, (authority.root,), bend(authority.ask))
    assert stamper.tick(small.journal, small.now) == 0
    [row] = small.journal.rows(select(t.waiting))
    assert row["detail"].startswith(why) and small.journal.rows(select(t.stamp)) == []


def test_an_authority_with_another_root_is_not_believed(small: Any, authority: Authority, tmp_path: Path) -> None:
    happened(small, 1)
    sealed(small)
    other = authority_in(tmp_path / "other")
    stamper = seal.Stamper(Stamping(url="http://x", roots=["x"]), (authority.root,), other.ask)
    assert stamper.tick(small.journal, small.now) == 0
    [row] = small.journal.rows(select(t.waiting))
    assert row["detail"].startswith("evidence.stamp_chain")


def test_a_way_that_leads_nowhere_is_a_fault_of_ours(authority: Authority) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    for url in (nobody, "http://[", "nothing"):
        with pytest.raises(Unreachable):
            way.ask(url, b"")
    authority.down = True
    with pytest.raises(Unreachable, match="503"):
        way.ask(authority.url, b"")


def test_the_clock_seals_and_stamps_by_itself(small: Any, authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "tsa.crt").write_bytes(pem(authority.root))
    site = stamping(small.site, authority, str(tmp_path / "tsa.crt"))
    happened(small, 3)
    stop = threading.Event()
    running = threading.Thread(
        target=roles.run, args=("clock", site, small.journal, Ground(tmp_path, tmp_path / "spool"), stop)
    )
    running.start()
    deadline = time.monotonic() + 60
    try:
        while not small.journal.rows(select(t.stamp)) and time.monotonic() < deadline:
            assert running.is_alive()
            time.sleep(0.1)
    finally:
        stop.set()
        running.join()
    [stamped] = small.journal.rows(select(t.stamp))
    assert stamped["number"] == 1 and abs(stamped["at"] - datetime.now(UTC)) < timedelta(minutes=2)


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("{every: 0s}", "site.bad_value"),
        ("{events: 0}", "site.bad_value"),
        ("{stamp: {url: 'ftp://tsa', roots: [ca.pem]}}", "site.bad_value"),
        ("{stamp: {url: 'http://tsa', roots: []}}", "site.bad_value"),
        ("{stamp: {url: 'http://tsa', roots: [none.pem]}}", "site.certificate"),
        ("{stamps: 1}", "site.unknown_key"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(tmp_path: Path, rule: str, code: str) -> None:
    for name in ("mappings", "schemas"):
        (tmp_path / name).symlink_to(ROOT / name)
    text = folders_only((ROOT / "routes.yaml").read_text("utf-8"))
    (tmp_path / "routes.yaml").write_text(f"{text}\nevidence: {rule}\n", "utf-8")
    with pytest.raises(DeclarationError) as refused:
        load(tmp_path)
    assert [finding.code for finding in refused.value.findings] == [code]
