"""A packed file is read where packing is agreed, and refused where it is not; test messages reach nobody productive."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from hub.journal import tables as t
from hub.site.model import Route, When
from tests.faults.conftest import manifest
from tests.journeys.conftest import Port
from tests.journeys.test_several import broken, rows, send, states, to_sender


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    opened = Port(tmp_path_factory.mktemp("port"))
    yield opened
    opened.close()


def agreed(port: Port, party: str = "TJLINE", **terms: Any) -> None:
    """Another agreement with a party."""
    parties = port.site.parties
    parties[party] = parties[party].model_copy(update=terms)


def codes(port: Port, name: str) -> list[str]:
    [machine] = [path for path in to_sender(port, name, "error") if path.name.endswith(".json")]
    return [finding["code"] for finding in json.loads(machine.read_bytes())["findings"]]


def test_packed_without_an_agreement_is_refused(port: Port) -> None:
    agreed(port, gzip=False)
    send(port, "unagreed.gz", gzip.compress(manifest(3001)))
    assert states(port, "unagreed.gz") == ["rejected"] and codes(port, "unagreed.gz") == ["opening.packed"]


def test_packed_with_an_agreement_is_read_like_any_other(port: Port) -> None:
    agreed(port, gzip=True)
    data = gzip.compress(manifest(3011))
    send(port, "agreed.gz", data)
    assert states(port, "agreed.gz") == ["opened"]
    assert port.journal.payload(rows(port, "agreed.gz")[0]["sha256"]) == data
    send(port, "unpacked.edi", manifest(3011))
    assert states(port, "unpacked.edi") == ["duplicate"]


def test_a_rejection_of_a_packed_file_shows_what_is_in_it_and_returns_what_came(port: Port) -> None:
    agreed(port, gzip=True)
    data = gzip.compress(broken(3021))
    send(port, "bad.gz", data)
    [original, machine, words] = sorted(to_sender(port, "bad.gz", "error"), key=lambda path: len(path.name))
    assert original.read_bytes() == data
    assert "BGX+785" in words.read_text("utf-8") or "BGX+785" in machine.read_text("utf-8")


def test_several_packed_together_go_apart(port: Port) -> None:
    agreed(port, gzip=True)
    send(port, "several.gz", gzip.compress(manifest(3031) + manifest(3032)))
    assert states(port, "several.gz") == ["split", "opened", "opened"]


@pytest.mark.parametrize(
    ("bend", "code"),
    [
        (lambda data: data[: len(data) // 2], "packed.truncated"),
        (lambda data: data[:10] + b"\xff" * 40, "packed.not_gzip"),
        (lambda data: gzip.compress(b" " * 60_000_000), "packed.too_large"),
    ],
)
def test_what_cannot_be_unpacked_is_refused_with_its_reason(port: Port, bend: Any, code: str) -> None:
    agreed(port, gzip=True)
    send(port, f"{code}.gz", bend(gzip.compress(manifest(3041))))
    assert codes(port, f"{code}.gz") == [code]


# ---- the test indicator


def trial(number: int) -> bytes:
    """A manifest with 0035."""
    data = manifest(number)
    assert data.count(b"++++1'") == 1
    return data.replace(b"++++1'", b"++++1++1'")


def test_a_test_reaches_nobody_productive_and_takes_no_number(port: Port) -> None:
    asked, orders = len(port.files("customs", "in")), len(port.files("terminal", "inbound"))
    cases = port.column(t.case, "id")
    send(port, "test.edi", trial(3051))
    assert len(port.files("customs", "in")) == asked and len(port.files("terminal", "inbound")) == orders
    assert port.column(t.case, "id") == cases
    [answer] = to_sender(port, "test.edi")
    assert b"UCI+TJ00003051+TJLINE:ZZZ+TJEPORT:ZZZ+7" in answer.read_bytes()
    real = manifest(3051).replace(b"TJ00003051", b"TJ00003052")
    send(port, "real.edi", real)
    assert states(port, "real.edi") == ["opened"]
    assert len(port.files("customs", "in")) == asked + 1


def test_a_test_reaches_whom_it_may(port: Port) -> None:
    routes = port.site.routes.routes
    routes["tests"] = Route(when=When(kind="manifest", test=True), to={"TERMINAL": "coprar-d95b"})
    agreed(port, "TERMINAL", test_only=True)
    asked, orders = len(port.files("customs", "in")), len(port.files("terminal", "inbound"))
    send(port, "to-tests.edi", trial(3061))
    assert (len(port.files("customs", "in")), len(port.files("terminal", "inbound"))) == (asked, orders + 1)
    m = t.message
    of = rows(port, "to-tests.edi")[0]["id"]
    [row] = port.journal.rows(select(m).where(m.c.interchange == of))
    assert row["test"] and row["case"] == ""
    del routes["tests"]
    agreed(port, "TERMINAL", test_only=False)
