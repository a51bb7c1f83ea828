"""Alarms: who is told, when, how often, by which way; and that a way which hangs or fails delays and loses nothing."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import socketserver
import stat
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from hub.alarms import channels, filing, telling
from hub.alarms.notice import News, Notice
from hub.contract import Ground
from hub.errors import Unreachable
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.schema import upgrade
from hub.site.model import Alarm

BOTH = True
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def journal(tmp_path: Path, database: str) -> Iterator[Journal]:
    opened = Journal(tmp_path / "spool", "test")
    upgrade(opened.engine)
    yield opened
    opened.close()


def site(**alarms: Any) -> Any:
    rules = {name: Alarm.model_validate({"command": ["/bin/true"], **rule}) for name, rule in alarms.items()}
    return SimpleNamespace(routes=SimpleNamespace(alarms=rules, port="TJEPORT", attention=4 * HOUR))


def wait(journal: Journal, subject: str, code: str, at: datetime, owner: str = "", what: str = "endpoint") -> None:
    outcome = Outcome()
    outcome.wait(what, subject, code, at + HOUR, "why it waits", owner)
    journal.commit([outcome], at)


def rest(journal: Journal, subject: str, at: datetime) -> None:
    outcome = Outcome()
    outcome.rest(subject)
    journal.commit([outcome], at)


def alarms(journal: Journal) -> list[tuple[str, str, str]]:
    a = t.alarm
    return [(r["rule"], r["subject"], r["state"]) for r in journal.rows(select(a).order_by(a.c.rule, a.c.subject))]


# ---- which rows concern which alarm


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"on": ["endpoint.broken"]}, {"customs"}),
        ({"on": ["delivery.*"]}, {"D1", "D2"}),
        ({"on": ["*"]}, {"customs", "D1", "D2", "door/bohai"}),
        ({"on": ["overdue"]}, {"D2"}),
        ({"on": ["*"], "owner": "CUSTOMS"}, {"D2"}),
        ({"on": ["*"], "party": "CUSTOMS"}, {"D1", "D2"}),
        ({"on": ["*"], "endpoint": "bohai"}, {"door/bohai"}),
        ({"on": ["*"], "endpoint": "customs"}, {"customs", "D1"}),
        ({"on": ["*"], "after": "5m"}, {"D2"}),
    ],
)
def test_a_row_concerns_an_alarm_by_code_owner_party_endpoint_and_age(
    journal: Journal, rule: dict[str, Any], told: set[str]
) -> None:
    row = {"message": "M", "party": "CUSTOMS", "kind": "k", "name": "n", "payload": "p", "folder": "inbound",
           "state": "in_doubt", "order_key": "", "next_at": NOW, "give_up_at": NOW, "at": NOW}  # fmt: skip
    outcome = Outcome()
    outcome.add("delivery", id="D1", endpoint="customs", **row)
    journal.commit([outcome], NOW)
    wait(journal, "D2", "delivery.overdue", NOW - 2 * HOUR, "CUSTOMS", "delivery")
    wait(journal, "customs", "endpoint.broken", NOW)
    wait(journal, "D1", "delivery.in_doubt", NOW, what="delivery")
    wait(journal, "door/bohai", "door.no_key", NOW, what="door")
    late = Outcome()
    late.alarm("D2")
    journal.commit([late], NOW)
    filing.file(site(night=rule), journal, NOW)
    assert {subject for _, subject, _ in alarms(journal)} == told


def test_it_is_told_once_repeated_while_it_waits_and_told_when_it_rests(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Notice] = []
    monkeypatch.setattr(channels, "send", lambda rule, notice, ground: said.append(notice))
    port, ground = site(night={"on": ["*"], "repeat": "1h", "resolved": True}), Ground(tmp_path, tmp_path)

    def look(at: datetime) -> list[str]:
        said.clear()
        filing.file(port, journal, at)
        telling.tell(port, journal, ground, "night", at)
        return [f"{one.kind} {one.subject}" for notice in said for one in notice.news]

    wait(journal, "customs", "endpoint.broken", NOW)
    wait(journal, "border", "endpoint.broken", NOW)
    assert sorted(look(NOW)) == ["raised border", "raised customs"]
    assert look(NOW + MINUTE) == []
    rest(journal, "border", NOW + 2 * MINUTE)
    assert look(NOW + 2 * MINUTE) == ["rested border"]
    assert look(NOW + 61 * MINUTE) == ["repeated customs"]
    rest(journal, "customs", NOW + 62 * MINUTE)
    wait(journal, "customs", "endpoint.broken", NOW + 63 * MINUTE)
    assert sorted(look(NOW + 63 * MINUTE)) == ["raised customs", "rested customs"]
    assert look(NOW + 64 * MINUTE) == []
    assert [state for _, _, state in alarms(journal)].count("rested") == 2


def test_what_rests_before_it_was_told_is_never_told(journal: Journal, tmp_path: Path) -> None:
    port = site(night={"on": ["*"], "resolved": True, "command": ["/bin/false"]})
    wait(journal, "customs", "endpoint.broken", NOW)
    filing.file(port, journal, NOW)
    rest(journal, "customs", NOW + MINUTE)
    filing.file(port, journal, NOW + MINUTE)
    assert alarms(journal) == [("night", "customs", "rested")]
    assert telling.tell(port, journal, Ground(tmp_path, tmp_path), "night", NOW + HOUR) == 0


def test_an_alarm_that_nobody_declares_any_more_rests(journal: Journal) -> None:
    wait(journal, "customs", "endpoint.broken", NOW)
    wait(journal, "alarm/night", "alarm.not_told", NOW, what="alarm")
    filing.file(site(night={"on": ["endpoint.*"]}), journal, NOW)
    filing.file(site(), journal, NOW)
    assert alarms(journal) == [("night", "customs", "rested")]
    assert [row["subject"] for row in journal.rows(select(t.waiting))] == ["customs"]


def test_what_cannot_be_told_is_tried_again_later_and_is_itself_shown(journal: Journal, tmp_path: Path) -> None:
    port, ground = site(night={"on": ["endpoint.*"], "command": ["/bin/false"]}), Ground(tmp_path, tmp_path)
    wait(journal, "customs", "endpoint.broken", NOW)
    filing.file(port, journal, NOW)
    tries, at = [], NOW
    for _ in range(100):
        if telling.tell(port, journal, ground, "night", at):
            tries.append(at)
        at += timedelta(seconds=10)
    gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(tries)]
    assert gaps[:4] == [10, 20, 40, 80]
    shown = journal.row(select(t.waiting).where(t.waiting.c.subject == "alarm/night"))
    assert shown is not None and shown["code"] == "alarm.not_told" and "exit code 1" in shown["detail"]
    good = site(night={"on": ["endpoint.*"]})
    assert telling.tell(good, journal, ground, "night", NOW + 2 * HOUR) == 1
    assert journal.row(select(t.waiting).where(t.waiting.c.subject == "alarm/night")) is None
    [state] = [state for _, _, state in alarms(journal)]
    assert state == "told"


# ---- the ways


def notice(detail: str = "why") -> Notice:
    return Notice(
        "TJEPORT", "night", "critical", NOW, [News("raised", "customs", "endpoint.broken", detail, "operator", NOW)]
    )


def rule(**way: Any) -> Alarm:
    return Alarm.model_validate({"on": ["*"], **way})


def program(folder: Path, body: str) -> str:
    path = folder / "page"
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_command_gets_json_on_its_input_and_only_the_declared_arguments(tmp_path: Path) -> None:
    page = program(
        tmp_path, "import sys, pathlib\npathlib.Path('said').write_text(sys.stdin.read() + repr(sys.argv[1:]))"
    )
    channels.send(rule(command=[page, "--to", "$(id)"]), notice("; rm -rf / $(id)"), Ground(tmp_path, tmp_path))
    said, _, arguments = (tmp_path / "said").read_text().partition("\n")
    assert arguments == repr(["--to", "$(id)"])
    told = json.loads(said)
    assert told["news"][0]["subject"] == "customs" and told["news"][0]["detail"] == "; rm -rf / $(id)"
    assert "等待处理" in told["text"]["zh"] and "waits since" in told["text"]["en"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise SystemExit('no line')", "exit code 1 no line"),
        ("import time\ntime.sleep(60)", "took too long"),
        ("import sys\nwhile True: sys.stderr.write('x' * 65536)", "took too long"),
        ("import os, time\nos.fork() or time.sleep(60)\nos.close(2)\ntime.sleep(60)", "took too long"),
    ],
    ids=["fails", "hangs", "writes for ever", "forks"],
)
def test_a_command_that_fails_hangs_or_talks_for_ever_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, said: str
) -> None:
    monkeypatch.setattr(channels, "TIME", 1.0)
    began = time.monotonic()
    with pytest.raises(Unreachable, match=said) as fault:
        channels.send(rule(command=[program(tmp_path, body)]), notice(), Ground(tmp_path, tmp_path))
    assert time.monotonic() - began < 8 and len(str(fault.value)) < 1000


def test_a_command_that_is_not_there_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="No such file"):
        channels.send(rule(command=["/nonexistent/page"]), notice(), Ground(tmp_path, tmp_path))


class Posted(BaseHTTPRequestHandler):
    status, got = 200, []  # type: ignore[var-annotated]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).got.append((dict(self.headers), body))
        self.send_response(self.status)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[tuple[str, type[Posted]]]:
    class Mine(Posted):
        got: list[Any] = []  # noqa: RUF012

    with HTTPServer(("127.0.0.1", 0), Mine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", Mine
        server.shutdown()
        thread.join()


def test_a_webhook_is_signed_with_its_secret_and_carries_its_token(tmp_path: Path, receiver: Any) -> None:
    url, posted = receiver
    (tmp_path / "token").write_text("abc\n")
    (tmp_path / "secret").write_text("shared")
    way = {"url": url, "token": "file:token", "secret": "file:secret"}
    channels.send(rule(webhook=way), notice(), Ground(tmp_path, tmp_path))
    [(headers, body)] = posted.got
    at = int(NOW.timestamp())
    assert headers["Authorization"] == "Bearer abc"
    assert (
        headers["Eport-Signature"]
        == f"t={at},sha256={hmac.new(b'shared', b'%d.' % at + body, hashlib.sha256).hexdigest()}"
    )
    assert json.loads(body)["news"][0]["code"] == "endpoint.broken"


@pytest.mark.parametrize("status", [302, 307, 404, 500])
def test_a_webhook_that_does_not_say_yes_is_not_told_and_no_redirect_is_followed(
    tmp_path: Path, receiver: Any, status: int
) -> None:
    url, posted = receiver
    posted.status = status
    with pytest.raises(Unreachable, match=f"HTTP {status}"):
        channels.send(rule(webhook={"url": url}), notice(), Ground(tmp_path, tmp_path))
    assert len(posted.got) == 1


class Mailing(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a client needs; offers no STARTTLS."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        data = False
        for line in self.rfile:
            self.server.said.append(line)  # type: ignore[attr-defined]
            if data:
                data = line != b".\r\n"
                self.wfile.write(b"" if data else b"250 kept\r\n")
            elif line.upper().startswith(b"EHLO"):
                self.wfile.write(b"250-here\r\n250 SMTPUTF8\r\n")
            elif line.upper().startswith(b"DATA"):
                data = True
                self.wfile.write(b"354 go on\r\n")
            elif line.upper().startswith(b"QUIT"):
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 yes\r\n")


@pytest.fixture
def mailbox() -> Iterator[Any]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailing) as server:
        server.said = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def mail(server: Any, **more: str) -> Alarm:
    host, port = server.server_address
    return rule(mail={"to": ["night@port.example"], "from": "hub@port.example", "smtp": f"{host}:{port}", **more})


def test_a_mail_says_it_in_both_languages_and_nothing_of_a_partner_is_in_its_head(tmp_path: Path, mailbox: Any) -> None:
    channels.send(mail(mailbox), notice("x\r\nBcc: all@example"), Ground(tmp_path, tmp_path))
    lines = mailbox.said
    start = next(n for n, line in enumerate(lines) if line.upper().startswith(b"DATA")) + 1
    message = message_from_bytes(b"".join(lines[start : lines.index(b".\r\n", start)]), policy=policy.default)
    assert message["Subject"] == "[eport TJEPORT] critical night: endpoint.broken (1)"
    assert message["To"] == "night@port.example" and message["Bcc"] is None
    words = message.get_content()
    assert "waits since" in words and "等待处理" in words and "x\\r\\nBcc: all@example" in words


def test_a_password_never_goes_without_tls(tmp_path: Path, mailbox: Any) -> None:
    (tmp_path / "password").write_text("hunter2")
    with pytest.raises(Unreachable, match="offers no STARTTLS"):
        channels.send(mail(mailbox, user="hub", password="file:password"), notice(), Ground(tmp_path, tmp_path))
    assert not [line for line in mailbox.said if b"AUTH" in line.upper() or b"DATA" in line.upper()]


def test_a_mail_server_that_hangs_delays_only_its_own_alarm(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    from hub.engine import upkeep

    monkeypatch.setattr(channels, "TIME", 3.0)
    page = program(tmp_path, "import pathlib\npathlib.Path('paged').touch()")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        way = {"to": ["a@b"], "from": "c@d", "smtp": f"{host}:{port}"}
        both = site(mail={"on": ["*"], "command": [], "mail": way}, page={"on": ["*"], "command": [page]})
        wait(journal, "customs", "endpoint.broken", NOW)
        filing.file(both, journal, NOW)
        stop = threading.Event()
        tellers = upkeep.Tellers(both, journal, Ground(tmp_path, tmp_path), lambda: NOW, stop)
        began = time.monotonic()
        while not (tmp_path / "paged").exists():
            assert time.monotonic() - began < 20
            time.sleep(0.02)
        assert ("mail", "customs", "pending") in alarms(journal)
        stop.set()
        for thread in tellers._threads:
            thread.join(20)
    assert tellers.faults == []


def test_a_text_shows_some_and_counts_the_rest() -> None:
    news = [News("raised", f"D{n}", "delivery.in_doubt", "\x1b[2Jx", "operator", NOW) for n in range(30)]
    told = Notice("P", "night", "warning", NOW, news)
    assert "… and 10 more" in told.text("en") and "\x1b" not in told.both()
    assert len(json.loads(told.json())["news"]) == 30 and len(told.title) < 200
