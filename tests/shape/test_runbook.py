"""Every command of the runbook, run against a site in which all of it has happened, shows what the runbook says; the
Chinese one is the same runbook."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from hub import conditions, courier, decisions
from hub.cli import main
from hub.contract import Handover, Known
from hub.engine import identity
from hub.evidence import seal
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.message import EndpointState
from hub.site.load import load
from hub.site.model import Limits
from tests.unit.cli.test_operating import BROKEN, CALL, MANIFEST, site_in, work

DOCS = Path(__file__).parents[2] / "docs"
RUNBOOKS = {"en": DOCS / "runbook.md", "zh": DOCS / "runbook.zh.md"}
SHOWS = {"en": "# shows: ", "zh": "# 显示："}
WORDS = {"en": ("Do", "Never", "Call"), "zh": ("处置", "切勿", "联系")}
TOPICS = 20


def sections(lang: str = "en") -> dict[str, str]:
    parts = re.split(r"^## ", RUNBOOKS[lang].read_text("utf-8"), flags=re.M)[1:]
    return {part.partition("\n")[0]: part for part in parts}


def commands(lang: str = "en") -> list[tuple[str, str, str]]:
    """(topic, command, the word that its answer shows)."""
    found = []
    for topic, part in sections(lang).items():
        for block in re.findall(r"```sh\n(.*?)```", part, re.S):
            for line in block.splitlines():
                command, _, promise = line.partition(SHOWS[lang])
                found.append((topic, command.strip(), promise.strip()))
    return found


def promises() -> list[tuple[str, str, str, str]]:
    """All of the English runbook; of the Chinese one what it promises in other words."""
    english = {(command, promise) for _, command, promise in commands()}
    chinese = [row for row in commands("zh") if row[1:] not in english]
    return [("en", *row) for row in commands()] + [("zh", *row) for row in chinese]


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A site in which everything has happened, and what the words in capitals stand for there."""
    folder = site_in(tmp_path_factory.mktemp("troubled"))
    conflict = MANIFEST.read_bytes().replace(b"8460", b"8470")
    for party, name, data in (
        ("tjline", "mft.edi", MANIFEST.read_bytes()),
        ("bohai", "call.edi", CALL.read_bytes()),
        ("tjline", "bad.edi", BROKEN.read_bytes()),
    ):
        (folder / "spool" / "boxes" / party / "outbound" / name).write_bytes(data)
    work(folder)
    (folder / "spool" / "boxes" / "tjline" / "outbound" / "other.edi").write_bytes(conflict)
    work(folder)
    site, now = identity.ready(load(folder), folder), datetime.now(UTC)
    identity.store(identity.embedded(folder / "spool" / "keys", "TJEPORT"), "CUSTOMS", folder / "CUSTOMS", now)
    journal = Journal(folder / "spool", "test")
    names = {"DELIVERY": _trouble(journal, site, now), "NAME": "LI"}
    seal.tick(site, journal, now + timedelta(minutes=5))
    journal.close()
    return folder, names


def _trouble(journal: Journal, site: object, now: datetime) -> str:
    """An endpoint that lets nothing through, one that is not who it should be, a full disk, dead letters, a decision,
    and a delivery in doubt: its id."""
    d, rules = t.delivery, site.routes.endpoints  # type: ignore[attr-defined]
    silent = [Handover("", Known.NOT_DONE, "connection refused")]
    outcome = Outcome()
    courier.enter(outcome, None, "border", EndpointState.OPEN, "connection refused", 2, None, now)
    journal.commit([outcome], now)
    standing = journal.row(select(t.endpoint).where(t.endpoint.c.id == "border"))
    journal.commit([courier.judge(standing, "border", silent, rules["border"], now)], now)
    stranger = [Handover("", Known.UNTRUSTED, "another host key")]
    journal.commit([courier.judge(None, "inspection", stranger, rules["inspection"], now)], now)
    [sent, *_] = journal.rows(select(d).where(d.c.party == "CUSTOMS", d.c.state == "sent"))
    outcome = Outcome()
    outcome.move("delivery", sent["id"], ("sent",), state="in_doubt")
    outcome.wait("delivery", sent["id"], "delivery.in_doubt", now, "the connection broke")
    outcome.wait("source", "source/customs", "source.left", now, "1 in customs.dead")
    outcome.event(sent["message"], "looked")
    journal.commit([outcome], now)
    call = journal.row(select(d).where(d.c.party == "MARITIME"))
    decisions.resend(site, journal, call["id"], "LI", "they lost it", now)  # type: ignore[arg-type]
    full = site.routes.model_copy(update={"limits": Limits.model_validate({"disk": "999999 TB"})})  # type: ignore[attr-defined]
    conditions.watch(replace(site, routes=full), journal, journal.spool.folder, now)  # type: ignore[type-var]
    return str(sent["id"])


@pytest.mark.parametrize(("lang", "topic", "command", "promise"), promises(), ids=lambda value: str(value)[:40])
def test_the_command_of_a_topic_shows_what_it_says(
    troubled: tuple[Path, dict[str, str]],
    lang: str,
    topic: str,
    command: str,
    promise: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    folder, names = troubled
    words = [names.get(word, word) for word in shlex.split(command)]
    assert words[0] == "eport" and promise
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setenv("EPORT_SITE", str(folder))
    monkeypatch.setenv("EPORT_LANG", lang)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code in (0, 1, None), told.err
    assert promise in told.out, told.out + told.err


@pytest.mark.parametrize("lang", RUNBOOKS)
def test_every_topic_has_one_command_and_says_what_to_do_what_never_and_whom_to_call(lang: str) -> None:
    assert [topic.partition(" ")[0] for topic in sections(lang)] == [str(n) for n in range(1, TOPICS + 1)]
    assert [topic for topic, _, _ in commands(lang)] == list(sections(lang))
    for topic, part in sections(lang).items():
        assert all(part.count(f"**{word}**") == 1 for word in WORDS[lang]), topic


def test_both_languages_name_the_same_in_each_topic() -> None:
    assert [command for _, command, _ in commands("zh")] == [command for _, command, _ in commands()]
    for (topic, english), chinese in zip(sections().items(), sections("zh").values(), strict=True):
        assert named(chinese) == named(english), topic


def named(text: str) -> list[str]:
    """Commands, codes, files and states that a topic names in its text."""
    return sorted(set(re.findall(r"`([^`\n]+)`", text)))


def test_every_command_that_is_named_exists_and_every_code_is_in_the_catalogue() -> None:
    from typer.main import get_command

    from hub.catalogue import catalogue
    from hub.cli import app

    known, text = get_command(app).commands, RUNBOOKS["en"].read_text("utf-8")  # type: ignore[attr-defined]
    assert set(re.findall(r"eport ([a-z]+)\b", text)) <= known.keys()
    rooms = {code.partition(".")[0] for code in catalogue()["finding"]}
    codes = {code for code in re.findall(r"`([a-z]+\.[a-z_]+)`", text) if code.partition(".")[0] in rooms}
    assert len(codes) > 8 and codes <= catalogue()["finding"].keys()
