"""A bundle proves a real journey to somebody who has nothing but the port's CA certificate."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from lxml import etree
from typer.testing import CliRunner

from hub import delivery
from hub.cli import app
from hub.errors import Impossible
from hub.evidence import archive, bundle, seal, verify
from hub.evidence.shape import README
from hub.identity import xmldsig
from hub.identity.chain import Trust, fingerprint
from hub.opening import reread
from hub.routing import Leg
from tests.evidence.conftest import BROKEN, NUMBER, ORIGINAL, Authority, exported, journey, pem, sealed


def ca_of(port: Any) -> x509.Certificate:
    return port.authority.certificate()


def proved(port: Any, data: bytes, *stamp_roots: x509.Certificate) -> verify.Report:
    report = verify.verify(data, Trust((ca_of(port),)), stamp_roots)
    assert (report.verdict, report.findings) == ("proved", [])
    return report


def events(report: verify.Report, what: str) -> list[dict[str, Any]]:
    return [event for event in report.events if event["what"] == what]


def test_the_whole_journey_is_in_it(port: Any) -> None:
    journey(port)
    data = exported(port)
    report, members = proved(port, data), archive.read(data)
    assert (report.port, report.reference, len(report.heads)) == ("TJEPORT", "mft.edi", 2)
    came = {event["detail"]["party"]: event["detail"] for event in events(report, "received")}
    assert came.keys() == {"TJLINE", "CUSTOMS"} and came["TJLINE"]["name"] == "mft.edi"
    assert members[f"files/{came['TJLINE']['sha256']}"] == ORIGINAL
    made = {e["detail"]["to"]: e["detail"] for e in report.events if e["detail"].get("signed") is not None}
    lying = {"CUSTOMS": port.files("customs", "in"), "TERMINAL": port.files("terminal", "inbound")}
    for party, [file] in lying.items():
        assert members[f"files/{made[party]['sha256']}"] == file.read_bytes() and made[party]["name"] == file.name
        assert b"from:" in members[f"files/{made[party]['mapping']}"]
    assert list(report.signers.values()) == ["CUSTOMS"]
    [answered] = events(report, "receipt matched")
    assert answered["detail"]["level"] == "business" and answered["detail"]["accepted"] is True
    [message] = [event for event in report.events if event["subject"] == answered["detail"]["by"]]
    assert b"HG-2026-0777" in members[f"files/{message['detail']['sha256']}"]


def test_any_reference_gives_the_same_events_and_the_same_export_the_same_bytes(told: Any) -> None:
    first = exported(told)
    assert exported(told) == first
    assert proved(told, exported(told, NUMBER)).events == proved(told, first).events


def test_other_messages_stay_at_home(port: Any) -> None:
    journey(port)
    port.submit("tjline", "bad.edi", BROKEN)
    port.run()
    sealed(port)
    names = [event["detail"]["name"] for event in events(proved(port, exported(port)), "received")]
    assert names == ["mft.edi", "answer.xml"]


def test_what_is_not_sealed_yet_is_not_exported(port: Any) -> None:
    journey(port)
    port.submit("tjline", "again.edi", ORIGINAL)
    port.run()
    with pytest.raises(Impossible, match="not sealed yet"):
        exported(port, "again.edi")
    sealed(port)
    proved(port, exported(port, "again.edi"))


def test_what_no_reader_would_take_is_not_written(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOST", "LARGEST"):
        with monkeypatch.context() as patch:
            patch.setattr(archive, name, 10)
            with pytest.raises(Impossible, match="export a part"):
                exported(told)


def test_bytes_whose_time_of_keeping_is_over_are_named_as_gone(port: Any) -> None:
    from sqlalchemy import update

    from hub.journal import tables as t

    journey(port)
    sha256 = hashlib.sha256(ORIGINAL).hexdigest()
    with port.journal.engine.begin() as connection:
        connection.execute(update(t.payload).where(t.payload.c.sha256 == sha256).values(data=None, removed_at=port.now))
    data = exported(port)
    assert proved(port, data).removed == [sha256]
    assert f"files/{sha256}" not in archive.read(data)


def test_without_a_word_whom_to_trust_it_is_only_consistent(told: Any) -> None:
    report = verify.verify(exported(told))
    assert report.verdict == "consistent" and list(report.anchors) == [ca_of(told)]


@pytest.mark.parametrize("which", ["ca", "own"])
def test_a_fingerprint_that_was_compared_is_enough(told: Any, which: str) -> None:
    one = ca_of(told) if which == "ca" else told.signers["TJEPORT"].certificate
    assert verify.verify(exported(told), Trust(fingerprints=frozenset([fingerprint(one)]))).verdict == "proved"
    other = Trust(fingerprints=frozenset([fingerprint(told.signers["CUSTOMS"].certificate)]))
    assert verify.verify(exported(told), other).verdict == "refused"


def test_the_mappings_run_again_give_the_same_bytes(told: Any) -> None:
    report = proved(told, data := exported(told))
    files = archive.read(data)
    canonical = next(files[f"files/{e['detail']['canonical']}"] for e in report.events if e["detail"].get("canonical"))
    made = {e["detail"]["to"]: e for e in report.events if e["detail"].get("mapping") and "to" in e["detail"]}
    for party in ("CUSTOMS", "TERMINAL"):
        event, detail = made[party], made[party]["detail"]
        reference = re.search(r"E\d{9}", detail["name"])
        assert reference
        node = reread(told.site.kinds["manifest"], canonical, "", "")
        source = delivery.Source("", {"manifest": node}, {}, "TJLINE", (), "")
        at = verify.canonical.read_time(event["at"])
        again, wrong = delivery.render(told.site, source, Leg(party, detail["kind"], None), reference[0], at)
        sent = files[f"files/{detail['sha256']}"]
        assert not wrong
        if detail["signed"]:
            root = etree.fromstring(again)
            again = etree.tostring(root, method="c14n", exclusive=True, with_comments=False)
            sent = xmldsig.verify(sent, "TJEPORT", told.site.register, at).signed
        assert sent == again


# ---- stamps


def test_a_stamp_says_since_when(port: Any, authority: Authority) -> None:
    journey(port)
    stamper(authority).tick(port.journal, port.now)
    report = proved(port, exported(port), authority.root)
    [stamped] = report.stamps
    assert stamped.number == 2 and stamped.authority == "CN=Test TSA" and stamped.root == authority.root


def test_a_later_stamp_stands_for_the_heads_before_it(port: Any, authority: Authority) -> None:
    journey(port)
    for name in ("a.edi", "b.edi"):
        port.submit("tjline", name, BROKEN)
        port.run()
        sealed(port)
    stamper(authority).tick(port.journal, port.now)
    report = proved(port, exported(port), authority.root)
    assert [head.number for head in report.heads] == [1, 2, 3, 4] and [one.number for one in report.stamps] == [4]


def stamper(authority: Authority) -> seal.Stamper:
    from hub.site.model import Stamping

    return seal.Stamper(Stamping(url="http://x", roots=["x"]), (authority.root,), authority.ask)


# ---- by hand, and with nothing else


def test_the_instructions_in_it_work_with_nothing_but_openssl(port: Any, authority: Authority, tmp_path: Path) -> None:
    journey(port)
    stamper(authority).tick(port.journal, port.now)
    folder = tmp_path / "unpacked"
    members = archive.read(exported(port))
    for name, content in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "PORT-CA.pem").write_bytes(pem(ca_of(port)))
    (folder / "TSA-CA.pem").write_bytes(pem(authority.root))
    manifest = json.loads(members["manifest.json"])
    head, place = manifest["heads"][-1], manifest["events"][-1]
    number = len(manifest["events"])
    english = members["README.txt"].decode().split("3. To check it by hand")[1]
    commands = [line.strip() for line in english.splitlines() if line.startswith("       ")]
    assert len(commands) == 4
    said = []
    for command in commands:
        command = command.replace("files/S", f"files/{head['signature']}").replace("files/H", f"files/{head['head']}")
        command = command.replace("files/T", f"files/{head['stamp']}").replace("'np'", f"'{number}p'")
        done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)
        said.append(done.stdout + done.stderr)
    assert said[0].count(": OK") == len(list((folder / "files").iterdir()))
    assert "successful" in said[1] and "Verification: OK" in said[2]
    hashed, index = bytes.fromhex(said[3].split()[0]), place["index"]
    count = json.loads(members[f"files/{head['head']}"])["count"]
    last = count - 1
    for one in map(bytes.fromhex, place["path"]):  # level by level
        while index ^ 1 > last:
            index, last = index >> 1, last >> 1
        pair = one + hashed if index & 1 else hashed + one
        hashed, index, last = hashlib.sha256(b"\x01" + pair).digest(), index >> 1, last >> 1
    assert hashed.hex() == json.loads(members[f"files/{head['head']}"])["root"]


ALONE = """
import socket, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("sqlalchemy", "alembic", "hub.journal", "hub.site", "hub.engine")):
            raise ImportError(f"{name} is not needed")
sys.meta_path.insert(0, Nothing())
def no(*a, **k): raise OSError("no network")
socket.socket = socket.create_connection = socket.getaddrinfo = no
from hub.cli import main
main()
"""


def test_it_is_verified_with_no_site_no_journal_and_no_network(told: Any, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(exported(told))
    (tmp_path / "ca.pem").write_bytes(pem(ca_of(told)))
    empty = tmp_path / "empty"
    empty.mkdir()
    words = ["evidence", "verify", str(tmp_path / "b.zip"), "--ca", str(tmp_path / "ca.pem"), "--json"]
    done = subprocess.run([sys.executable, "-c", ALONE, *words], cwd=empty, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "proved" and not list(empty.iterdir())


def test_the_readme_of_the_format_is_the_one_that_ships() -> None:
    assert hashlib.sha256(bundle.readme()).hexdigest() == README


# ---- the commands


def eport(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize(("lang", "word"), [("en", "PROVED"), ("zh", "已证明")])
def test_a_person_reads_what_is_proved(told: Any, tmp_path: Path, lang: str, word: str) -> None:
    file, ca = tmp_path / "b.zip", tmp_path / "ca.pem"
    ca.write_bytes(pem(ca_of(told)))
    assert eport("evidence", "export", "mft.edi", "-o", file, "--site", told.folder).exit_code == 0
    said = eport("evidence", "verify", file, "--ca", ca, "--lang", lang)
    assert said.exit_code == 0 and word in said.output
    assert "mft.edi" in said.output and "CUSTOMS" in said.output and "receipt matched" in said.output
    assert eport("evidence", "verify", file, "--lang", lang).exit_code == 2
    colons = ":".join(re.findall("..", fingerprint(ca_of(told)).upper()))
    assert eport("evidence", "verify", file, "--fingerprint", colons).exit_code == 0
    file.write_bytes(file.read_bytes()[:-1])
    assert eport("evidence", "verify", file, "--ca", ca).exit_code == 1
    assert eport("evidence", "verify", tmp_path / "none.zip").exit_code == 2
    assert eport("evidence", "verify", file, "--ca", file).exit_code == 2
    nowhere = tmp_path / "none" / "b.zip"
    assert eport("evidence", "export", "mft.edi", "-o", nowhere, "--site", told.folder).exit_code == 2


def test_export_seals_by_itself_only_where_no_hub_does(port: Any, tmp_path: Path) -> None:
    port.submit("tjline", "mft.edi", ORIGINAL)
    port.run()
    file = tmp_path / "b.zip"
    words = ("evidence", "export", "mft.edi", "-o", file, "--site", port.folder)
    assert port.journal.locks.hold("clock")
    told = eport(*words)
    assert told.exit_code == 1 and "not sealed yet" in told.output and not file.exists()
    port.journal.locks.drop("clock")
    assert eport(*words).exit_code == 0
    proved(port, file.read_bytes())
    assert eport("evidence", "export", "unheard-of", "--site", port.folder).exit_code == 1
