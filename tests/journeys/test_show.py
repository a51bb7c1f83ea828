"""The show that `eport demo` runs ends as its scenario says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from hub.errors import DeclarationError, Unreachable
from hub.sandbox import queues
from hub.sandbox.show import SCENARIO, show, stage
from tests.adapters.rabbitmq import Broker, free_ports

ROOT = Path(__file__).parents[2]


def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    good = show(ROOT, once=True, as_json=True, lang="en", usual=False)
    summary = json.loads(capsys.readouterr().out)
    assert good, summary
    return summary


def test_every_file_of_the_show_has_its_fate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(queues.VARIABLE, raising=False)
    summary = shown(capsys)
    assert len(summary["files"]) == len(SCENARIO)
    assert all(summary["verified"].values()) and not summary["twice"]


@pytest.mark.timeout(420)
def test_customs_by_queue_comes_to_the_same_and_leaves_no_queue(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, broker: Broker
) -> None:
    monkeypatch.setenv(queues.VARIABLE, broker.url())
    taken: list[str] = []
    answer = queues.Reader._answer

    def noted(reader: queues.Reader, channel: Any, properties: Any, body: bytes) -> None:
        taken.append(properties.message_id)
        answer(reader, channel, properties, body)

    monkeypatch.setattr(queues.Reader, "_answer", noted)
    summary = shown(capsys)
    assert summary["verified"]["CUSTOMS"] == len(set(taken)) == 5
    assert "eport." not in broker.ctl("list_queues", "--no-table-headers", "name")


def test_without_a_broker_or_pika_the_demo_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
        stage(ROOT, tmp_path / "one", broker=f"amqp://a:b@127.0.0.1:{free_ports(1)[0]}/")
    monkeypatch.setitem(sys.modules, "pika", None)
    monkeypatch.setattr("adapters.amqp.link.find_spec", lambda name: None)
    with pytest.raises(DeclarationError, match=r"eport-hub\[amqp\]"):
        stage(ROOT, tmp_path / "two", broker="amqp://a:b@127.0.0.1/")
