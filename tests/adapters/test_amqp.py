"""The amqp adapter against a real RabbitMQ: what every adapter promises, and what a broker can do to us."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pika
import pytest
from pydantic import ValidationError
from sqlalchemy import select

import adapters
from adapters import amqp
from adapters.amqp import consumer
from hub.contract import Arrival, Ground, Handover, Known, Outlet, Parcel
from hub.engine import ends
from hub.errors import DeclarationError, Unreachable, Untrusted
from hub.identity.register import Register
from hub.identity.xmldsig import sign
from hub.journal import tables as t
from hub.site.load import load
from tests.adapters.rabbitmq import LARGEST, USER, Broker, Proxy, certify, free_ports, proxy, until
from tests.adapters.test_conformance import (
    Stand,
    test_a_parcel_sent_twice_arrives_once,
    test_an_arrival_stays_with_the_same_key_until_it_is_settled,
    test_reading_what_is_gone_is_unreachable,
    test_the_limit_takes_the_oldest,
    test_the_same_bytes_sent_again_have_another_key,
    test_the_same_name_never_overwrites,
    test_what_was_put_is_collected_with_name_size_and_bytes,
)
from tests.journeys.conftest import Port
from tests.journeys.test_manifest import ORIGINAL, reference

__all__ = [
    "proxy",
    "test_a_parcel_sent_twice_arrives_once",
    "test_an_arrival_stays_with_the_same_key_until_it_is_settled",
    "test_reading_what_is_gone_is_unreachable",
    "test_the_limit_takes_the_oldest",
    "test_the_same_bytes_sent_again_have_another_key",
    "test_the_same_name_never_overwrites",
    "test_what_was_put_is_collected_with_name_size_and_bytes",
]

#: The first test of a process may have to install and start the broker.
pytestmark = pytest.mark.timeout(420)

WHOLE = b"UNB+UNOA:3+A+B+260101:0101+1'UNZ+0+1'"
NUMBERS = count(1)


@pytest.fixture
def queue() -> str:
    """A name that no other test uses."""
    return f"q{next(NUMBERS)}"


@pytest.fixture
def ground(tmp_path: Path, broker: Broker) -> Ground:
    site, spool = tmp_path / "site", tmp_path / "spool"
    site.mkdir()
    spool.mkdir()
    (site / "url").write_text(broker.url())
    return Ground(site, spool)


@pytest.fixture
def hub(ground: Ground) -> Iterator[Callable[..., Any]]:
    """hub("inlet" or "outlet", **settings): one end of an endpoint, closed after the test."""
    opened: list[Any] = []

    def end(what: str, url: str = "", **settings: object) -> Any:
        if url:
            (ground.site / f"url{len(opened)}").write_text(url)
            settings["url"] = f"file:url{len(opened)}"
        options = amqp.Options.model_validate({"url": "file:url", "timeout": 20, **settings})
        opened.append(getattr(amqp, what)("e", options, ground))
        return opened[-1]

    yield end
    for one in opened:
        one.close()


@pytest.fixture
def stand(broker: Broker, hub: Callable[..., Any], queue: str) -> Stand:
    """Both ends in sight. The party that reads does nothing twice for one message id, as this adapter asks."""
    outlet = hub("outlet", put=broker.make(f"{queue}.in"))
    inlet = hub("inlet", get=broker.make(f"{queue}.out"), max_size=1000)
    seen: dict[str, bytes] = {}

    def put(name: str, data: bytes) -> None:
        before = len(waiting(inlet))
        broker.put(f"{queue}.out", data, name, message_id=f"m{next(NUMBERS)}")
        until(lambda: len(waiting(inlet)) > before)

    def arrived() -> list[bytes]:
        for properties, data in broker.take(f"{queue}.in"):
            seen.setdefault(str(properties.message_id), data)
        return list(seen.values())

    return Stand("amqp", inlet, outlet, put, arrived)


def waiting(inlet: Any) -> list[Arrival]:
    """What can be collected now; nothing while there is no connection."""
    with suppress(Unreachable):
        return list(inlet.collect(1000))
    return []


def collected(inlet: Any, number: int = 1) -> list[Arrival]:
    """That many arrivals, as soon as they are there."""
    until(lambda: len(waiting(inlet)) >= number)
    return waiting(inlet)


def parcel(delivery: str = "d1", name: str = "a.edi", data: bytes = WHOLE, **more: Any) -> Parcel:
    return Parcel(delivery, name, data, **more)


def parcels(number: int, size: int = 2000) -> list[Parcel]:
    return [parcel(f"d{n:04d}", f"a{n}.edi", b"%04d" % n + b"x" * size) for n in range(number)]


def known(outlet: Outlet, *given: Parcel) -> list[Known]:
    return [told.known for told in outlet.send(given)]


def ids(taken: list[tuple[pika.BasicProperties, bytes]]) -> list[str]:
    return [str(properties.message_id) for properties, _ in taken]


# ------------------------------------------------------------------------------------------------------ publishing


def test_a_message_carries_its_id_name_folder_and_signature_and_is_the_same_on_every_try(
    broker: Broker, hub: Callable[..., Any], queue: str
) -> None:
    outlet = hub("outlet", put=broker.make(queue))
    signed = parcel(folder="error", companions=(("a.edi.p7s", b"sig"),), headers={"Case": "中"})
    assert known(outlet, signed) + known(outlet, signed) == [Known.DONE] * 2
    (first, data), (second, again) = broker.take(queue)
    assert (data, first.message_id, first.delivery_mode) == (WHOLE, "d1", 2)
    mine = {name: value for name, value in first.headers.items() if not name.startswith("x-")}
    assert mine == {"Eport-Name": "a.edi", "Eport-Folder": "error", "Eport-Signature": "c2ln", "Case": "中"}
    assert (second.headers, second.message_id, again) == (first.headers, first.message_id, data)


def test_a_batch_arrives_in_order_and_every_handover_has_its_evidence(
    broker: Broker, hub: Callable[..., Any], queue: str
) -> None:
    outlet, batch = hub("outlet", put=broker.make(queue)), parcels(250)
    told = list(outlet.send(batch))
    assert [one.delivery for one in told] == [one.delivery for one in batch]
    assert {one.known for one in told} == {Known.DONE} and all("confirmed" in one.evidence for one in told)
    assert ids(broker.take(queue)) == [one.delivery for one in batch]


def test_an_exchange_and_its_key_are_a_destination(broker: Broker, hub: Callable[..., Any], queue: str) -> None:
    with broker.channel() as channel:
        channel.exchange_declare(f"{queue}.x", "topic", durable=True)
        channel.queue_bind(broker.make(queue), f"{queue}.x", "to.customs")
    assert known(hub("outlet", exchange=f"{queue}.x", put="to.customs"), parcel()) == [Known.DONE]
    assert ids(broker.take(queue)) == ["d1"]
    assert known(hub("outlet", exchange=f"{queue}.x", put="else"), *parcels(3)) == [Known.NOT_DONE] * 3


def test_unroutable_is_not_done_and_goes_when_the_queue_is_there(
    broker: Broker, hub: Callable[..., Any], queue: str
) -> None:
    outlet = hub("outlet", put=queue)
    told = list(outlet.send(parcels(3)))
    assert [one.known for one in told] == [Known.NOT_DONE] * 3
    assert all("NO_ROUTE" in one.evidence for one in told)
    broker.make(queue)
    assert known(outlet, *parcels(3)) == [Known.DONE] * 3


@pytest.mark.parametrize("fault", ["no exchange", "no right"])
def test_what_closes_the_channel_but_is_not_about_the_bytes_is_not_done(
    broker: Broker, hub: Callable[..., Any], queue: str, fault: str
) -> None:
    target: dict[str, object] = {"exchange": queue, "put": ""}
    if fault == "no right":
        broker.ctl("add_user", queue, "x")
        broker.ctl("set_permissions", "-p", "/", queue, "^$", f"^{queue}.allowed$", ".*")
        target = {"exchange": "amq.fanout", "put": "", "url": broker.url(login=f"{queue}:x@")}
    told = list(hub("outlet", **target).send(parcels(3)))
    assert [one.known for one in told] == [Known.NOT_DONE] * 3
    assert ("404" if fault == "no exchange" else "403") in told[0].evidence


def test_too_large_for_the_broker_is_refused_alone(broker: Broker, hub: Callable[..., Any], queue: str) -> None:
    outlet = hub("outlet", put=broker.make(queue))
    large = parcel("large", data=b"x" * (LARGEST + 1))
    small = parcels(4)
    told = list(outlet.send([*small[:2], large, *small[2:]]))
    assert [one.known for one in told] == [*[Known.DONE] * 2, Known.REFUSED, *[Known.DONE] * 2]
    assert "larger" in told[2].evidence
    assert ids(broker.take(queue)) == [one.delivery for one in small]


def test_what_cannot_be_a_message_is_refused_alone(broker: Broker, hub: Callable[..., Any], queue: str) -> None:
    two = parcel("two", companions=(("a.p7s", b"1"), ("b.p7s", b"2")))
    huge = parcel("huge", companions=(("a.p7s", b"x" * 200_000),))
    odd = parcel("odd", headers={"n" * 300: "v"})
    outlet = hub("outlet", put=broker.make(queue))
    expected = [Known.DONE, Known.REFUSED, Known.REFUSED, Known.REFUSED, Known.DONE]
    assert known(outlet, parcel(), two, huge, odd, parcel("d2")) == expected
    assert ids(broker.take(queue)) == ["d1", "d2"]


def test_a_queue_that_says_no_is_not_done(broker: Broker, hub: Callable[..., Any], queue: str) -> None:
    broker.make(queue, {"x-max-length": 2, "x-overflow": "reject-publish"})
    told = list(hub("outlet", put=queue).send(parcels(5)))
    done = [one.delivery for one in told if one.known is Known.DONE]
    assert {one.known for one in told} == {Known.DONE, Known.NOT_DONE}
    assert ids(broker.take(queue)) == done


def test_an_unknown_outcome_stays_so_unless_the_reader_removes_duplicates(hub: Callable[..., Any], queue: str) -> None:
    cautious, free = hub("outlet", put=queue), hub("outlet", put=queue, idempotent=True)
    assert [told.known for told in cautious.probe([parcel()])] == [Known.UNKNOWN]
    assert [told.known for told in free.probe([parcel()])] == [Known.NOT_DONE]
    assert (cautious.money_safe, free.money_safe) == (False, True)


def test_declared_queues_are_quorum_with_a_dead_letter_queue(
    broker: Broker, hub: Callable[..., Any], queue: str
) -> None:
    assert known(hub("outlet", put=queue, declare=True, delivery_limit=7), parcel()) == [Known.DONE]
    listed = broker.ctl("list_queues", "--no-table-headers", "name", "type", "durable", "arguments")
    rows = [line for line in listed.splitlines() if re.match(rf"{queue}(\.dead)?\t", line)]
    assert len(rows) == 2 and all("\tquorum\ttrue\t" in row for row in rows)
    assert '"x-delivery-limit",7' in listed and "at-least-once" in listed
    other = list(hub("outlet", put=queue, declare=True, delivery_limit=8).send([parcel()]))
    assert other[0].known is Known.NOT_DONE and "406" in other[0].evidence


# ---------------------------------------------------------------------------------------- when the broker is not well


def test_an_alarm_is_not_done_at_once_and_what_was_tried_goes_afterwards(
    broker: Broker, hub: Callable[..., Any], queue: str
) -> None:
    outlet = hub("outlet", put=broker.make(queue))
    assert known(outlet, parcel("before")) == [Known.DONE]
    fresh = hub("outlet", put=queue)
    with broker.alarm():
        for one in (outlet, fresh, outlet):
            began = time.monotonic()
            told = list(one.send(parcels(3)))
            assert time.monotonic() - began < 10
            assert [each.known for each in told] == [Known.NOT_DONE] * 3
            assert "takes nothing now" in told[0].evidence
    until(lambda: known(outlet, parcel("after")) == [Known.DONE])
    fresh.close()
    assert ids(broker.take(queue)) == ["before", "after"]


def test_an_alarm_within_a_batch_ends_in_time_and_is_told_honestly(
    broker: Broker, hub: Callable[..., Any], proxy: Proxy, queue: str
) -> None:
    broker.make(queue)
    outlet = hub("outlet", put=queue, url=broker.url(port=proxy.port), timeout=3)
    with ExitStack() as well_again:
        proxy.at(300_000, lambda: well_again.enter_context(broker.alarm()))
        told = list(outlet.send(parcels(400)))
    by_known = {one: {each.delivery for each in told if each.known is one} for one in Known}
    assert by_known[Known.DONE] and by_known[Known.UNKNOWN] and by_known[Known.NOT_DONE]
    assert "low on memory" in next(one.evidence for one in told if one.known is Known.UNKNOWN)
    until(lambda: known(outlet, parcel("after")) == [Known.DONE])
    kept = set(ids(broker.take(queue)))
    assert by_known[Known.DONE] <= kept and not by_known[Known.NOT_DONE] & kept


def test_a_broker_killed_within_a_batch_is_told_honestly(
    broker: Broker, hub: Callable[..., Any], proxy: Proxy, queue: str
) -> None:
    broker.make(queue)
    outlet = hub("outlet", put=queue, url=broker.url(port=proxy.port))
    broker.grow_old()
    proxy.at(300_000, broker.kill)
    told = list(outlet.send(parcels(400)))
    try:
        assert known(outlet, parcel("later")) == [Known.NOT_DONE]
    finally:
        broker.start()
    by_known = {one: {each.delivery for each in told if each.known is one} for one in Known}
    assert [one.delivery for one in told] == [one.delivery for one in parcels(400)]
    assert by_known[Known.DONE] and by_known[Known.UNKNOWN] and by_known[Known.NOT_DONE]
    assert not by_known[Known.REFUSED] and not by_known[Known.UNTRUSTED]
    assert known(outlet, parcel("later")) == [Known.DONE]
    kept = ids(broker.take(queue))
    assert by_known[Known.DONE] <= set(kept) and not by_known[Known.NOT_DONE] & set(kept)
    assert len(kept) == len(set(kept))


def test_a_connection_cut_before_the_confirms_is_unknown_and_the_next_round_goes(
    broker: Broker, hub: Callable[..., Any], proxy: Proxy, queue: str
) -> None:
    broker.make(queue)
    outlet = hub("outlet", put=queue, url=broker.url(port=proxy.port))
    assert known(outlet, parcel("before")) == [Known.DONE]
    proxy.at(20_000, proxy.cut)
    told = known(outlet, *parcels(20))
    confirmed = told.count(Known.DONE)  # a quick broker has confirmed the first ones by then
    assert confirmed < 20 and told == [Known.DONE] * confirmed + [Known.UNKNOWN] * (20 - confirmed)
    assert known(outlet, parcel("after")) == [Known.DONE]


def test_a_network_that_swallows_everything_never_hangs(
    broker: Broker, hub: Callable[..., Any], proxy: Proxy, queue: str
) -> None:
    broker.make(queue)
    outlet = hub("outlet", put=queue, url=broker.url(port=proxy.port), timeout=1)
    assert known(outlet, parcel("before")) == [Known.DONE]
    proxy.at(20_000, proxy.freeze)
    assert known(outlet, *parcels(20)) == [Known.UNKNOWN] * 20
    began = time.monotonic()
    assert known(outlet, *parcels(3)) == [Known.NOT_DONE] * 3
    outlet.close()
    assert time.monotonic() - began < 8
    proxy.thaw()
    until(lambda: known(outlet, parcel("after")) == [Known.DONE])


def test_what_the_broker_closed_or_gave_up_meanwhile_is_opened_again(
    broker: Broker, hub: Callable[..., Any], queue: str
) -> None:
    outlet = hub("outlet", put=broker.make(queue), heartbeat=1)
    assert known(outlet, parcel("d1")) == [Known.DONE]
    broker.ctl("close_all_connections", "maintenance")
    assert known(outlet, parcel("d2")) == [Known.DONE]
    until(lambda: "eport e" not in broker.ctl("list_connections", "client_properties"))
    assert known(outlet, parcel("d3")) == [Known.DONE]
    assert ids(broker.take(queue)) == ["d1", "d2", "d3"]


def test_nobody_listening_is_not_done(hub: Callable[..., Any], queue: str) -> None:
    nowhere = f"amqp://a:b@127.0.0.1:{free_ports(1)[0]}/"
    outlet = hub("outlet", put=queue, url=nowhere)
    told = list(outlet.send(parcels(3)))
    assert [one.known for one in told] == [Known.NOT_DONE] * 3
    assert "refused" in told[0].evidence
    with pytest.raises(Unreachable, match="refused"):
        inlet = hub("inlet", get=queue, url=nowhere)
        until(lambda: inlet.collect(1))


def test_a_refused_login_or_vhost_is_not_done_and_tells_no_password(
    broker: Broker, hub: Callable[..., Any], queue: str
) -> None:
    for url, words in (
        (broker.url(login=f"{USER}:wrong-one@"), "403"),
        (broker.url() + "nowhere", "530|not found|AccessDenied"),
    ):
        [told] = hub("outlet", put=queue, url=url).send([parcel()])
        assert told.known is Known.NOT_DONE
        assert re.search(words, told.evidence) and "wrong-one" not in told.evidence
        inlet = hub("inlet", get=queue, url=url)
        with pytest.raises(Unreachable, match=words):
            until(lambda: inlet.collect(1))  # noqa: B023


def test_who_speaks_no_amqp_is_not_done(hub: Callable[..., Any], queue: str) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(8)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 5)

        thread = threading.Thread(target=greet)
        thread.start()
        url = f"amqp://a:b@127.0.0.1:{listener.getsockname()[1]}/"
        assert known(hub("outlet", put=queue, url=url, timeout=3), parcel()) == [Known.NOT_DONE]
        thread.join(10)


# ------------------------------------------------------------------------------------------------------------- TLS


def test_a_broker_is_known_by_the_pinned_authority_alone(
    broker: Broker, hub: Callable[..., Any], ground: Ground, queue: str
) -> None:
    certify(ground.site, "other")
    (ground.site / "good.pem").write_bytes((broker.folder / "good.ca.pem").read_bytes())
    broker.make(queue)
    for ca, expected in (("good.pem", Known.DONE), ("other.ca.pem", Known.UNTRUSTED), (None, Known.UNTRUSTED)):
        assert known(hub("outlet", put=queue, url=broker.url("amqps"), ca=ca), parcel()) == [expected]
    inlet = hub("inlet", get=queue, url=broker.url("amqps"), ca="other.ca.pem")
    with pytest.raises(Untrusted, match="certificate"):
        collected(inlet)
    assert len(collected(hub("inlet", get=queue, url=broker.url("amqps"), ca="good.pem"))) == 1


def test_a_broker_that_speaks_no_tls_where_it_has_to_is_untrusted(
    broker: Broker, hub: Callable[..., Any], queue: str
) -> None:
    assert known(hub("outlet", put=queue, url=broker.url("amqps", broker.port)), parcel()) == [Known.UNTRUSTED]
    assert known(hub("outlet", put=queue, url=broker.url("amqp", broker.tls)), parcel()) == [Known.NOT_DONE]


def test_a_certificate_can_be_the_login(broker: Broker, hub: Callable[..., Any], ground: Ground, queue: str) -> None:
    for name in ("good.pem", "good.ca.pem"):
        (ground.site / name).write_bytes((broker.folder / name).read_bytes())
    settings = {"url": broker.url("amqps", login=""), "ca": "good.ca.pem", "certificate": "good.pem"}
    assert known(hub("outlet", put=broker.make(queue), **settings), parcel()) == [Known.DONE]


# ---------------------------------------------------------------------------------------------------------- taking


def test_what_was_not_settled_comes_again_under_the_same_key(
    broker: Broker, hub: Callable[..., Any], queue: str
) -> None:
    inlet = hub("inlet", get=broker.make(queue))
    broker.put(queue, WHOLE, "a.edi", message_id="m1")
    broker.put(queue, WHOLE)
    before = collected(inlet, 2)
    broker.ctl("close_all_connections", "maintenance")
    for arrival in before:
        inlet.settle(arrival)
    assert {one.key for one in collected(inlet, 2)} == {one.key for one in before}
    for arrival in before:
        inlet.settle(arrival)
        inlet.settle(arrival)
    inlet.close()
    assert broker.count(queue) == 0


def test_a_broker_killed_while_messages_wait_hands_them_out_again(
    broker: Broker, hub: Callable[..., Any], queue: str
) -> None:
    inlet = hub("inlet", get=broker.make(queue))
    for number in range(3):
        broker.put(queue, WHOLE, message_id=f"m{number}")
    before = collected(inlet, 3)
    broker.grow_old()
    broker.kill()
    try:
        with pytest.raises(Unreachable):
            until(lambda: inlet.collect(10) and False)
        for arrival in before:
            inlet.settle(arrival)
    finally:
        broker.start()
    after = collected(inlet, 3)
    assert {one.key for one in after} == {one.key for one in before}
    assert b"".join(inlet.read(after[0])) == WHOLE


def test_a_busy_hub_whose_heartbeats_were_missed_goes_on(broker: Broker, hub: Callable[..., Any], queue: str) -> None:
    inlet = hub("inlet", get=broker.make(queue), heartbeat=1)
    broker.put(queue, WHOLE, message_id="m1")
    [before] = collected(inlet)
    until(lambda: broker.count(queue) == 1)
    assert b"".join(inlet.read(before)) == WHOLE
    inlet.settle(before)
    assert collected(inlet) == [before]


def test_a_source_that_swallows_everything_delays_no_other(
    broker: Broker, hub: Callable[..., Any], proxy: Proxy, queue: str
) -> None:
    broker.make(queue)
    proxy.freeze()
    inlet = hub("inlet", get=queue, url=broker.url(port=proxy.port), timeout=1)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            inlet.collect(10)
        assert time.monotonic() - began < 2
    proxy.thaw()
    broker.put(queue, WHOLE, message_id="m1")
    assert len(collected(inlet)) == 1


def test_no_more_than_prefetch_is_handed_out_ahead(broker: Broker, hub: Callable[..., Any], queue: str) -> None:
    inlet = hub("inlet", get=broker.make(queue), prefetch=2)
    for number in range(5):
        broker.put(queue, WHOLE, message_id=f"m{number}")
    first = collected(inlet, 2)
    assert [one.key.partition(":")[0] for one in first] == ["m0", "m1"]
    assert broker.count(queue) == 3
    for arrival in first:
        inlet.settle(arrival)
    assert [one.key.partition(":")[0] for one in collected(inlet, 2)] == ["m2", "m3"]


def test_one_id_with_other_bytes_is_another_arrival_and_the_same_twice_is_one(
    broker: Broker, hub: Callable[..., Any], queue: str
) -> None:
    inlet = hub("inlet", get=broker.make(queue))
    for data in (WHOLE, WHOLE, b"other"):
        broker.put(queue, data, message_id="m1")
    arrivals = collected(inlet, 2)
    assert [one.size for one in arrivals] == [len(WHOLE), 5]
    for arrival in arrivals:
        inlet.settle(arrival)
    inlet.close()
    assert broker.count(queue) == 0


def test_without_an_id_the_properties_tell_messages_apart(broker: Broker, hub: Callable[..., Any], queue: str) -> None:
    inlet = hub("inlet", get=broker.make(queue))
    for stamp in (1, 2, 2):
        broker.put(queue, WHOLE, "../../x", timestamp=stamp)
    before = {one.key for one in collected(inlet, 2)}
    assert len(before) == 2 and {one.name for one in waiting(inlet)} == {"message"}
    inlet.close()
    assert {one.key for one in collected(inlet, 2)} == before


def test_an_id_that_is_no_utf8_is_taken_all_the_same(broker: Broker, hub: Callable[..., Any], queue: str) -> None:
    inlet = hub("inlet", get=broker.make(queue))
    broker.put(queue, WHOLE, message_id="舱单".encode("gbk"))
    [arrival] = collected(inlet)
    assert b"".join(inlet.read(arrival)) == WHOLE and arrival.name == "message"
    inlet.settle(arrival)
    inlet.close()
    assert broker.count(queue) == 0


def test_too_large_is_offered_by_its_first_bytes_and_kept_whole_in_the_dead_letter_queue(
    broker: Broker, hub: Callable[..., Any], queue: str
) -> None:
    inlet = hub("inlet", get=queue, declare=True, max_size=1000)
    waiting(inlet)
    until(lambda: queue in broker.ctl("list_queues", "--no-table-headers", "name").split())
    broker.put(queue, WHOLE + b"x" * 5000, message_id="big")
    [arrival] = collected(inlet)
    assert arrival.size == len(WHOLE) + 5000
    assert len(b"".join(inlet.read(arrival))) == 1001
    inlet.settle(arrival)
    until(lambda: broker.count(f"{queue}.dead") == 1)
    [(properties, data)] = broker.take(f"{queue}.dead")
    assert (properties.message_id, len(data)) == ("big", len(WHOLE) + 5000)


def test_what_was_handed_out_too_often_is_kept_in_the_dead_letter_queue_and_shown(
    broker: Broker,
    hub: Callable[..., Any],
    queue: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer, "LOOK_AT_DEAD", 0.05)
    settings: dict[str, object] = {"get": queue, "declare": True, "delivery_limit": 2}
    inlet = hub("inlet", **settings)
    waiting(inlet)
    until(lambda: queue in broker.ctl("list_queues", "--no-table-headers", "name").split())
    broker.put(queue, WHOLE, message_id="poison")
    for _ in range(3):
        collected(inlet)
        inlet.close()
    until(lambda: broker.count(f"{queue}.dead") == 1)
    with caplog.at_level(logging.WARNING, "eport.amqp"):
        until(lambda: waiting(inlet) == [] and inlet.left())
    assert inlet.left() == f"1 in the queue {queue}.dead"
    assert f"1 messages wait in the dead-letter queue {queue}.dead" in caplog.text
    assert ids(broker.take(f"{queue}.dead")) == ["poison"]
    until(lambda: waiting(inlet) == [] and not inlet.left())


def test_a_queue_that_is_missing_or_was_deleted_is_unreachable_and_then_read(
    broker: Broker, hub: Callable[..., Any], queue: str
) -> None:
    inlet = hub("inlet", get=queue)
    with pytest.raises(Unreachable, match="404"):
        until(lambda: inlet.collect(1))
    broker.make(queue)
    until(lambda: "1" in broker.ctl("list_queues", "--no-table-headers", "name", "consumers") and reads(inlet))
    with broker.channel() as channel:
        channel.queue_delete(queue)
    with pytest.raises(Unreachable, match=r"deleted|404"):
        until(lambda: inlet.collect(1))


def reads(inlet: Any) -> bool:
    with suppress(Unreachable):
        inlet.collect(1)
        return True
    return False


# ----------------------------------------------------------------------------------------------------- declarations


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "amqp://hub:secret@broker/"},
        {"url": "file:url", "put": "q", "get": "q"},
        {"url": "file:url", "put": ""},
        {"url": "file:url", "exchange": "x"},
        {"url": "file:url", "put": "舱" * 100},
        {"url": "file:url", "prefetch": 0},
        {"url": "file:url", "prefetch": 5000},
        {"url": "file:url", "queue": "q"},
    ],
)
def test_settings_that_could_only_fail_later_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        amqp.Options.model_validate(wrong)


@pytest.mark.parametrize(
    ("url", "more", "words"),
    [
        ("amqp://hub:hush@broker:port/", {}, "cannot be read as a URL"),
        ("http://hub:hush@broker/", {}, "not of the form"),
        ("amqp://hub:hush@broker/?heartbeat=1", {}, "not of the form"),
        ("amqp://broker/", {}, "no user"),
        ("amqp://hub:hush@broker/", {"ca": "ca.pem"}, "begins with amqps:"),
        ("amqps://hub:hush@broker/", {"ca": "missing.pem"}, "ca or certificate"),
        (None, {}, "No such file"),
    ],
)
def test_what_cannot_be_used_is_told_without_the_secret(
    tmp_path: Path, url: str | None, more: dict[str, object], words: str
) -> None:
    if url is not None:
        (tmp_path / "url").write_text(url)
    options = amqp.Options.model_validate({"url": "file:url", "put": "a", "get": "b", **more})
    for end in (amqp.inlet, amqp.outlet):
        with pytest.raises(DeclarationError, match=words) as told:
            end("customs", options, Ground(tmp_path, tmp_path))
        assert "hush" not in str(told.value) and "customs" in str(told.value)


def test_each_way_needs_its_queue(tmp_path: Path) -> None:
    options = amqp.Options(url="file:url")
    assert (options.reads, options.writes) == (False, False)
    for end in (amqp.inlet, amqp.outlet):
        with pytest.raises(DeclarationError, match=r"has no `(get|put)`"):
            end("e", options, Ground(tmp_path, tmp_path))


def test_without_pika_the_extra_is_named_and_with_it_nothing_is_imported_early() -> None:
    code = (
        "import sys, adapters; from pathlib import Path; from hub.contract import Ground\n"
        "module = adapters.load('amqp'); options = module.Options(url='file:url', put='q')\n"
        "assert 'pika' not in sys.modules\n"
        "sys.modules['pika'] = None\n"
        "try: module.outlet('customs', options, Ground(Path('.'), Path('.')))\n"
        "except Exception as fault: print(type(fault).__name__, fault)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("DeclarationError endpoint customs") and "eport-hub[amqp]" in done.stdout


def test_the_alias_is_known() -> None:
    assert adapters.load("amqp") is amqp


# --------------------------------------------------------------------------------------------------- the whole hub


def by_queue(port: Port, url: str, queue: str, **more: object) -> None:
    """Have customs reached by the queues QUEUE.in and QUEUE.out."""
    options = {"url": "file:broker.url", "put": f"{queue}.in", "get": f"{queue}.out", "declare": True, "timeout": 20}
    rule = {"adapter": "amqp", "options": options | more, "sign": {"xml": "xmldsig", "edifact": "cms"}}
    routes = port.folder / "routes.yaml"
    (port.folder / "broker.url").write_text(url)
    routes.write_text(
        re.sub(r"(?ms)^  customs:\n.*?(?=^  \w)", f"  customs: {json.dumps(rule)}\n", routes.read_text("utf-8")),
        "utf-8",
    )
    register = Register(roots=(port.authority.certificate(),))
    port.site = load(port.folder, register, port.signers["TJEPORT"])
    ground = Ground(port.folder, port.folder / "spool")
    port.inlets = ends.inlets(port.site, ground)
    port.outlets = {name: ends.outlet(port.site, name, ground) for name in port.site.routes.endpoints}


@pytest.fixture
def port(tmp_path: Path, broker: Broker, queue: str) -> Iterator[Port]:
    """A port whose customs is reached by queue, both ways."""
    opened = Port(tmp_path)
    by_queue(opened, broker.url(), queue)
    until(lambda: reads(opened.inlets["customs"]))
    yield opened
    opened.close()


def answered(port: Port, asked: bytes) -> bytes:
    """What customs says to a manifest: accepted, signed."""
    (port.folder / "asked").write_bytes(asked)
    number = re.search(rb"<ManifestNo>([^<]+)</ManifestNo>", asked)
    assert number
    xml = (
        '<CustomsAnswer xmlns="urn:eport:manifest:customs-answer:1">'
        f"<Reference>{reference(port.folder / 'asked')}</Reference><Number>{number[1].decode()}</Number>"
        "<Status>01</Status><At>2026-11-23T08:30:00+08:00</At></CustomsAnswer>"
    )
    return sign(xml.encode(), port.signers["CUSTOMS"], port.now)


def come_home(port: Port) -> list[Path]:
    """The answers that the carrier has after another look."""
    port.run()
    return [path for path in port.files("tjline", "inbound") if "cusres" in path.name]


def test_a_manifest_goes_to_customs_by_queue_and_the_answer_comes_back_by_queue(
    port: Port, broker: Broker, queue: str
) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    [(properties, asked)] = broker.take(f"{queue}.in")
    assert b"SignatureValue" in asked
    deliveries = port.journal.rows(select(t.delivery).where(t.delivery.c.endpoint == "customs"))
    assert [(row["id"], row["state"]) for row in deliveries] == [(properties.message_id, "sent")]
    broker.put(f"{queue}.out", answered(port, asked), "answer.xml", message_id="customs-1")
    until(lambda: come_home(port))
    assert port.column(t.case, "outcome") == ["accepted"]
    closed = port.inlets["customs"]
    closed.close()
    assert broker.count(f"{queue}.out") == 0


GATE = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from adapters import amqp
from adapters.amqp import consumer
from adapters.amqp.consumer import AmqpInlet
from hub import intake
from hub.contract import Ground
from hub.errors import Unreachable
from hub.journal.journal import Journal

class Dies(AmqpInlet):
    def settle(self, arrival):
        os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
options = amqp.Options(url="file:broker.url", get=sys.argv[2], timeout=20)
inlet = Dies(options, amqp.parameters("customs", options, Ground(folder, folder)), options.get)
journal = Journal(folder / "spool", "child")
while True:
    try:
        intake.accept(inlet, journal, "customs", "CUSTOMS", 1_000_000, datetime(2026, 11, 23, 1, tzinfo=UTC))
    except Unreachable:
        continue
"""


def test_a_crash_between_commit_and_ack_loses_and_doubles_nothing(port: Port, broker: Broker, queue: str) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    [(_, asked)] = broker.take(f"{queue}.in")
    port.inlets["customs"].close()
    broker.put(f"{queue}.out", answered(port, asked), "answer.xml", message_id="customs-1")
    words = [sys.executable, "-c", GATE, str(port.folder), f"{queue}.out"]
    died = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert died.returncode == -signal.SIGKILL, died.stderr
    until(lambda: broker.count(f"{queue}.out") == 1)
    until(lambda: come_home(port))
    until(lambda: not port.run() and not waiting(port.inlets["customs"]))
    port.inlets["customs"].close()
    assert broker.count(f"{queue}.out") == 0
    received = port.journal.rows(select(t.interchange).where(t.interchange.c.endpoint == "customs"))
    assert len(received) == 1 and len(come_home(port)) == 1
    assert port.column(t.case, "outcome") == ["accepted"]


def test_a_confirm_that_was_lost_leaves_the_delivery_in_doubt(
    port: Port, broker: Broker, proxy: Proxy, queue: str
) -> None:
    assert port.outlets["customs"] is not None
    port.outlets["customs"].close()
    (port.folder / "broker.url").write_text(broker.url(port=proxy.port))
    port.outlets["customs"] = ends.outlet(port.site, "customs", Ground(port.folder, port.folder / "spool"))
    proxy.at(2_000, proxy.cut)
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    rows = port.journal.rows(select(t.delivery).where(t.delivery.c.endpoint == "customs"))
    assert [row["state"] for row in rows] == ["in_doubt"]
    assert len(broker.take(f"{queue}.in")) <= 1


def measured(send: Callable[[], list[Handover]]) -> float:
    began = time.perf_counter()
    told = send()
    assert {one.known for one in told} == {Known.DONE}
    return len(told) / (time.perf_counter() - began)


def test_confirms_of_a_batch_are_waited_for_together(broker: Broker, hub: Callable[..., Any], queue: str) -> None:
    outlet = hub("outlet", put=broker.make(queue))
    batch = parcels(300)
    assert known(outlet, parcel("first")) == [Known.DONE]
    with broker.channel() as channel:

        def one_by_one() -> list[Handover]:
            told = []
            for one in batch:
                channel.basic_publish("", queue, one.data, pika.BasicProperties(delivery_mode=2), mandatory=True)
                told.append(Handover(one.delivery, Known.DONE))
            return told

        single = measured(one_by_one)
    together = measured(lambda: list(outlet.send(batch)))
    print(f"\nconfirms: one by one {single:,.0f}/s, a batch at once {together:,.0f}/s, {together / single:.1f} times")
    assert together > 1.2 * single, "2 to 6 times where nobody else works"
