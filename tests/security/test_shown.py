"""What an operator gets to see holds no secret and commands no terminal (T17, T22), and what an operator asks for is
never taken for anything but text (T25)."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from hub import logs
from hub.cli import main
from hub.engine.doors import addresses
from hub.finding import Finding, Place
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.plain import plain, plainly
from hub.rejection import explain
from hub.sandbox.sender import hand_in
from hub.sandbox.show import running, stage
from tests.faults.conftest import ARRIVAL, ROOT, Port, manifest, names, port, submit, until
from tests.faults.test_threats import secrets

__all__ = ["Port", "port"]

EVIL = "\x1b]0;owned\x07\x1b[2J\r\n\x9b31mNOT YOURS\u202e\u2066fdp.edi\x00\x7f"
Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    """One port that is asked many things and has taken one file in."""
    opened = Port(tmp_path_factory.mktemp("asked"))
    submit(opened, "one.edi", manifest(900))
    yield opened
    opened.close()


@pytest.fixture
def eport(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command as its entry point runs it: exit code, and all that it printed."""

    def call(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["eport", *(str(word) for word in words)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out + told.err

    return call


def obeyed(text: str) -> list[str]:
    """Characters that a terminal acts on or that hide others; line ends and tabs are the tables' own."""
    return [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t"]


# ---- T17


def test_what_a_terminal_could_obey_becomes_an_escape() -> None:
    assert obeyed(EVIL) and not obeyed(plain(EVIL))
    assert plain("舱单 — «é» 　100%") == "舱单 — «é» 　100%"
    assert plain("a\nb\tc", keep="\n") == "a\nb\\tc"
    assert json.loads(f'"{plain(EVIL)}"') == EVIL
    assert plainly({"a": [EVIL, 1, None, (EVIL,)]}) == {"a": [plain(EVIL), 1, None, [plain(EVIL)]]}


def test_a_partners_file_name_commands_no_operators_terminal(port: Any, eport: Run) -> None:
    name = "\x1b[2J\x9bred\u202efdp\r\n.edi"
    for data in (
        manifest(501),
        manifest(502).replace(b"BGM+785", b"BGX+785"),
        b"\x1b[31m\x07nonsense\r" + b"\x9b" * 40,
    ):
        submit(port, name, data)
    id = port.column(t.interchange, "id")[-1]
    site = ("--site", port.folder)
    for words in (("status",), ("held",), ("trace", name), ("trace", id), ("trace", "TJL0000000501")):
        for more in ((), ("--json",), ("--lang", "en")):
            if words == ("status",) and "--lang" in more:
                continue
            code, said = eport(*words, *more, *site)
            assert code == 0 and (said or words == ("held",)) and not obeyed(said), (words, more)
    assert name in json.loads(eport("trace", id, "--json", *site)[1])["interchanges"][0]["name"]


def test_a_partners_file_commands_no_terminal_when_it_is_judged(tmp_path: Path, eport: Run) -> None:
    for number, data in enumerate(
        (
            manifest(1).replace(b"BGM+785", b"BGM+\x1b[2J\x1b]0;x\x07"),
            manifest(2).replace(b"RFF+", b"\x1b[1A+", 1),
            b"<\x1b[2J/>",
            b"\x1b[2J",
            manifest(3).replace(b"UNB+UNOA", b"UNB+UNO\x1b"),
            '<a xmlns="urn:\u202e"/>'.encode(),
        )
    ):
        file = tmp_path / f"{number}.edi"
        file.write_bytes(data)
        for more in ((), ("--json",), ("--lang", "zh"), ("--annotate",)):
            code, said = eport("validate", file, *more, "--site", ROOT)
            assert code in (1, 2) and said and not obeyed(said), data


def test_a_report_to_a_partner_shows_his_file_without_its_commands() -> None:
    data = manifest().replace(b"BGM+785", b"BGM+\x1b[2J\x9b")
    text, machine = explain(EVIL, data, [Finding("mapping.value", Place(offset=data.index(b"BGM"), path=EVIL), EVIL)])
    assert not obeyed(text.decode()) and not obeyed(machine.decode())


def test_a_record_of_the_log_is_one_line_that_commands_nothing() -> None:
    record = logging.LogRecord("eport", logging.WARNING, "", 0, "took %s", (EVIL,), None)
    for line in (logs.as_text(record, "gate"), logs.as_json(record, "gate")):
        assert "\n" not in line and not obeyed(line)


# ---- T22


@pytest.fixture
def canaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[bytes]]]:
    """A staged site all of whose secret references hold something that must be seen nowhere else."""
    stage(ROOT, tmp_path)
    keys = tmp_path / "spool" / "keys"
    (keys / "inspection.token").write_text("canary-bird-of-the-inspection")
    monkeypatch.setenv("CANARY_SUBMIT", "canary-bird-of-the-environment")
    routes = (tmp_path / "routes.yaml").read_text("utf-8")
    routes = routes.replace("file:spool/keys/inspection-submit.token", "env:CANARY_SUBMIT")
    (tmp_path / "routes.yaml").write_text(routes, "utf-8")
    yield secrets(tmp_path) | {"CANARY_SUBMIT": [b"canary-bird-of-the-environment"]}


def test_no_secret_is_written_anywhere_when_everything_fails(
    tmp_path: Path, canaries: dict[str, list[bytes]], eport: Run
) -> None:
    """Nobody plays the agencies: the inspection's token and the border's key are used, in vain."""
    assert len(canaries) > 6 and any(b"canary-bird-of-the-inspection" in lines for lines in canaries.values())
    said: dict[str, bytes] = {}
    with running(tmp_path):
        hand_in(tmp_path, "BOHAI", "call.edi", ARRIVAL)
        hand_in(tmp_path, "TJLINE", "bad.edi", b"UNB+canary")
        host, port = addresses(tmp_path / "spool")["http"]
        for token in ("canary-bird-of-the-environment", "wrong"):
            url = f"http://{host}:{port}/submit/inspection"
            answer = httpx2.post(url, content=b"<a", headers={"Authorization": f"Bearer {token}"}, trust_env=False)
            said[f"answer {token[:5]}"] = answer.text.encode()
        journal = Journal(tmp_path / "spool", "test")
        try:
            wanted = {"inspection", "border"}
            d = t.delivery
            tried = select(d.c.endpoint).where(d.c.tries > 0, d.c.state == "failed")
            until(lambda: wanted <= {row["endpoint"] for row in journal.rows(tried)})
        finally:
            journal.close()
        for words in (
            ("status", "--json"),
            ("held", "--json"),
            ("held",),
            ("status",),
            ("check", "--json"),
            ("check",),
        ):
            said[" ".join(words)] = eport(*words, "--site", tmp_path)[1].encode()
        for ref in ("call.edi", "bad.edi"):
            said[f"trace {ref}"] = eport("trace", ref, "--json", "--site", tmp_path)[1].encode()
    kept = tmp_path / "spool" / "keys"
    for path in (tmp_path / "spool").rglob("*"):
        if path.is_file() and kept not in path.parents and "sandbox" not in path.parts:
            said[str(path)] = path.read_bytes()
    assert len(said) > 20
    for name, lines in canaries.items():
        for where, data in said.items():
            assert not [line for line in lines if line in data], f"{name} in {where}"


@pytest.mark.parametrize("reference", ["in the clear", "canary", "file:", "env:", "$", "cred:x", "https://u:p@h"])
def test_a_secret_in_the_clear_is_refused_without_being_repeated(tmp_path: Path, reference: str) -> None:
    from hub.contract import Ground

    with pytest.raises((ValueError, OSError)) as fault:
        Ground(tmp_path, tmp_path).secret(reference)
    assert "canary" not in str(fault.value) and "u:p@h" not in str(fault.value)


# ---- T25

HOSTILE = [
    "' OR '1'='1",
    "'; DROP TABLE message; --",
    '" OR ""="',
    "%",
    "_",
    "*",
    "\\",
    "/%",
    "x' UNION SELECT data FROM payload --",
    "1); DELETE FROM event WHERE (1=1",
    "\x00",
    "\ud800",
    "😀" * 500,
    "a" * 100_000,
    "..",
    "../../etc/passwd",
    "${jndi:ldap://x}",
    "{0.__class__}",
    "%s%n%x",
    "-1",
]


@pytest.mark.parametrize("ref", HOSTILE, ids=[f"{number}" for number in range(len(HOSTILE))])
def test_a_hostile_reference_finds_nothing_and_changes_nothing(asked: Port, eport: Run, ref: str) -> None:
    port = asked
    counts = port.journal.counts()
    events = len(port.column(t.event, "seq"))
    decide = ("--by", ref, "--why", ref)
    for words in (
        ("trace", "--json"),
        ("resend", "--plan"),
        ("release", *decide),
        ("resend", *decide),
        ("cancel", *decide),
        ("settle", "--arrived", *decide, "--and-by", ref),
        ("hold", *decide),
    ):
        code, said = eport(*words, "--site", port.folder, "--", ref)
        assert code in (1, 2, 3) and "Traceback" not in said and not obeyed(said), words
    code, said = eport("held", "--json", "--owner", ref, "--site", port.folder)
    assert (code, json.loads(said)) == (0, [])
    assert port.journal.counts() == counts and len(port.column(t.event, "seq")) == events


@pytest.mark.skipif(os.name != "posix", reason="POSIX paths")
def test_hostile_values_of_a_message_stay_values(port: Any, eport: Run) -> None:
    """As business number, as reference: they find themselves and nothing else."""
    number = b"X?'; DROP TABLE message --"
    submit(port, "mft.edi", manifest(910).replace(b"TJL0000000910", number))
    submit(port, "other.edi", manifest(911))
    assert names(port.home("customs") / "in")
    code, said = eport("trace", number.decode().replace("?'", "'"), "--json", "--site", port.folder)
    assert code == 0 and {row["name"] for row in json.loads(said)["interchanges"]} == {"mft.edi"}
    assert re.search("DROP TABLE", said)
