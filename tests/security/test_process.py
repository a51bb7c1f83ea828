"""The processes themselves: no library with known holes, no core dumps, no keys that others may read (T21, T24)."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from lxml import etree

from hub.engine import footing
from hub.errors import EportError
from hub.sandbox.show import running, stage
from tests.faults.conftest import ROOT, until
from tests.faults.test_threats import children


@pytest.mark.parametrize("name", footing.LEAST)
def test_a_library_with_known_holes_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for have in ("", "0.9", footing.LEAST[name].rpartition(".")[0] or "4", "1.rc1"):
        monkeypatch.setattr(footing, "versions", lambda have=have: {**footing.LEAST, name: have})
        with pytest.raises(EportError, match=f"too old to be safe: {name}"):
            footing.stand()


def test_what_is_installed_here_is_new_enough() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    floors = dict(line.split(">=") for line in config["options"]["install_requires"].split() if ">=" in line)
    assert footing.versions() == {name: version(name) for name in footing.LEAST}
    for name, least in footing.LEAST.items():
        assert footing._numbers(floors[name].partition(",")[0])[: len(least.split("."))] >= footing._numbers(least)
        assert footing._numbers(version(name)) >= footing._numbers(least)
    assert footing._numbers("6.1.10") > footing._numbers("6.1.9") > footing._numbers("6.1.3rc1") == [6, 1, 3]


def test_the_lock_names_every_package_with_its_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    locked = dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+)", lock, re.M))
    assert lock.count("--hash=sha256:") >= len(locked) > 20
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    wanted = [line for line in config["options"]["install_requires"].splitlines() if line and line[0] != "#"]
    for line in wanted:
        name, least = re.fullmatch(r"([a-z0-9-]+)>=([0-9.]+).*", line).groups()  # type: ignore[union-attr]
        assert footing._numbers(locked[name]) >= footing._numbers(least), f"{line}: make lock"


def test_the_version_tells_what_is_inside() -> None:
    told = subprocess.run([sys.executable, "-m", "hub.cli", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("eport ")
    assert f"libxml2 {'.'.join(map(str, etree.LIBXML_VERSION))}" in told.stdout
    for name in footing.LEAST:
        assert f"{name} {version(name)}" in told.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_no_role_dumps_core_or_lets_others_read_its_memory(tmp_path: Path) -> None:
    stage(ROOT, tmp_path)
    with running(tmp_path) as hub:
        until(lambda: len(children(hub.pid)) >= 4)
        for pid in (hub.pid, *children(hub.pid)):
            assert re.search(r"Max core file size\s+0\s+0\s", Path(f"/proc/{pid}/limits").read_text())
            assert Path(f"/proc/{pid}/limits").stat().st_uid == 0  # whoever started it: that is what not dumpable means
    assert not list(tmp_path.rglob("core*"))
