"""Declarations are edited while a hub runs: bad ones are refused and told, good ones become active by themselves."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub.engine.doors import addresses
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.sandbox.sender import sftp
from hub.sandbox.show import running, stage
from tests.journeys.test_up import _open, children, names, wait_for

ROOT = Path(__file__).parents[2]
CASES = ROOT / "mappings" / "manifest" / "cases"
MAPPING = "mappings/manifest/manifest--to--customs-manifest.yaml"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    stage(ROOT, tmp_path)
    return tmp_path


@pytest.fixture
def hub(site: Path) -> Iterator[subprocess.Popen[bytes]]:
    with running(site) as started:
        yield started


def status(site: Path, *words: str) -> str:
    command = [sys.executable, "-m", "hub.cli", "status", "--site", str(site), "--lang", "en", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def upload(site: Path, name: str, data: bytes) -> None:
    """Hand in over SFTP; the declarations in the files need not be right for it."""
    wait_for(lambda: ["open"] if _open(addresses(site / "spool")["sftpd"]) else [])
    with sftp(addresses(site / "spool")["sftpd"], "tjline", site / "spool" / "keys" / "tjline.key") as session:
        session.putfo(io.BytesIO(data), f"outbound/{name}")


def delivered(site: Path, count: int) -> list[Path]:
    """What customs has got, when it is so many."""
    folder = site / "spool" / "boxes" / "customs" / "in"
    wait_for(lambda: found if len(found := names(folder)) >= count else [])
    return sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)


def made_by(site: Path) -> list[str]:
    """The sha256 of the mapping that made each delivery to customs, in their order."""
    journal = Journal(site / "spool", "test")
    try:
        rows: list[Any] = list(journal.rows(select(t.event.c.detail).order_by(t.event.c.seq)))
    finally:
        journal.close()
    return [row["detail"]["mapping"] for row in rows if row["detail"].get("to") == "CUSTOMS"]


def test_a_bad_mapping_is_refused_and_the_mended_one_becomes_active(site: Path, hub: subprocess.Popen[bytes]) -> None:
    mapping, log = site / MAPPING, site / "spool" / "run" / "hub.log"
    good = mapping.read_text("utf-8")
    roles = set(children(hub.pid))
    assert json.loads(status(site, "--json"))["declarations"]["state"] == "active"

    mapping.write_text(good.replace("VoyageNo: Manifest/Voyage", "VoyageNo: Manifest/Voyagee"), "utf-8")
    line = next(at for at, text in enumerate(good.splitlines(), 1) if "VoyageNo" in text)
    [told] = wait_for(lambda: [text for text in log.read_text("utf-8").splitlines() if "not taken over" in text])
    assert f"{MAPPING}:{line}:" in told and "Manifest/Voyagee" in told
    said = status(site)
    assert "refused" in said and f"{MAPPING}:{line}:" in said and "Manifest/Voyagee" in said
    assert set(children(hub.pid)) == roles

    upload(site, "first.edi", (CASES / "01-original" / "in.edi").read_bytes())
    [first] = delivered(site, 1)  # the old one stays on
    assert b"<VoyageNo>0126W</VoyageNo>" in first.read_bytes()

    mapping.write_text(good, "utf-8")  # as before: nothing is refused any more, and nothing is restarted
    wait_for(lambda: ["clear"] if "refused" not in status(site) else [])
    assert set(children(hub.pid)) == roles

    mapping.write_text(good.replace("VoyageNo: Manifest/Voyage", "VoyageNo: Manifest/Number"), "utf-8")
    wait_for(lambda: ["new"] if len(set(children(hub.pid)) - roles) == len(roles) else [])
    assert json.loads(status(site, "--json"))["declarations"]["state"] == "active"
    upload(site, "second.edi", (CASES / "02-amendment" / "in.edi").read_bytes())
    _, second = delivered(site, 2)
    assert b"<VoyageNo>TJL2611230001</VoyageNo>" in second.read_bytes()
    old, new = made_by(site)
    assert old != new and first.read_bytes().count(b"0126W")  # what was made keeps its version
