"""What is built is what works: the wheel, installed elsewhere, carries the reference site and plays the show."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def say(*words: object, **more: object) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "EPORT_SITE")}
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, env=env, timeout=110, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def eport(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a fresh environment that has the wheel, and this one's dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    keep = shutil.ignore_patterns(".*", "spool", "tests", "*.egg-info", "build", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=keep)
    say(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, copy)
    say(sys.executable, "-m", "venv", folder / "env")
    python = folder / "env" / "bin" / "python"
    site = say(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    say(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", next(folder.glob("*.whl")))
    return folder / "env" / "bin" / "eport"


@pytest.mark.slow
def test_the_installed_command_finds_its_reference_site_and_makes_another(eport: Path, tmp_path: Path) -> None:
    where = say(eport.parent / "python", "-c", "import hub; print(hub.__file__)", cwd=tmp_path).stdout
    assert str(eport.parents[1]) in where
    assert json.loads(say(eport, "check", "--json", cwd=tmp_path).stdout)["in_order"]
    say(eport, "init", tmp_path / "port", cwd=tmp_path)
    assert json.loads(say(eport, "check", "--json", "--site", tmp_path / "port").stdout)["findings"] == []


@pytest.mark.slow
def test_the_installed_command_plays_the_show(eport: Path, tmp_path: Path) -> None:
    assert json.loads(say(eport, "demo", "--json", cwd=tmp_path).stdout)["good"]
