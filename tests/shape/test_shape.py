"""The house keeps its shape: floors, packages, catalogue."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path

import pytest

from hub.catalogue import LANGUAGES, catalogue, page

ROOT = Path(__file__).parents[2]
FLOORS = [
    {"errors", "finding", "plain", "logs", "catalogue", "message", "packed"},
    {"contract", "declaration"},
    {"edifact", "xml", "standards", "mapping", "identity", "records"},
    {"site"},
    {"journal"},
    {"evidence"},
    {
        "answering",
        "desk",
        "intake",
        "opening",
        "documents",
        "routing",
        "delivery",
        "courier",
        "receipts",
        "cases",
        "clock",
        "alarms",
        "conditions",
        "draining",
        "retention",
        "original",
        "rejection",
        "envelopes",
        "apart",
        "replies",
        "judging",
        "decisions",
        "fence",
        "tracing",
        "figures",
        "golden",
        "lineage",
    },
    {"journey"},
    {"engine", "metrics", "doctor"},
    {"cli", "portal", "prove", "sandbox", "workshop"},
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
PURE = {"edifact", "xml", "standards", "mapping", "identity", "records"}


def imports(file: Path) -> set[str]:
    return imported(file.read_text("utf-8"))


def imported(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "hub" else {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def room(file: Path) -> str:
    return file.relative_to(ROOT / "hub").parts[0].removesuffix(".py")


def python_files(folder: str) -> list[Path]:
    return [p for p in sorted((ROOT / folder).rglob("*.py")) if "__pycache__" not in p.parts]


def climbs(level: int, source: str) -> list[str]:
    rooms = [m.split(".")[1] for m in imported(source) if m.startswith("hub.")]
    return [r for r in rooms if LEVEL[r] > level]


@pytest.mark.parametrize(
    "file", [f for f in python_files("hub") if f.name != "__init__.py" or f.parent.name != "hub"], ids=str
)
def test_a_module_imports_only_its_own_floor_or_lower(file: Path) -> None:
    assert climbs(LEVEL[room(file)], file.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "planted", ["from hub.journal.journal import Journal", "import hub.cli", "from hub import journey"]
)
def test_the_floor_rule_finds_a_planted_climb(planted: str) -> None:
    assert climbs(LEVEL["mapping"], planted)
    assert not climbs(LEVEL["cli"], planted)


@pytest.mark.parametrize("file", python_files("adapters"), ids=str)
def test_adapters_know_only_the_contract(file: Path) -> None:
    allowed = {"hub.contract", "hub.errors", "hub.finding"}
    assert {m for m in imports(file) if m.startswith("hub")} <= allowed


@pytest.mark.parametrize("file", [f for f in python_files("hub") if room(f) in PURE], ids=str)
def test_languages_know_no_database_and_no_network(file: Path) -> None:
    forbidden = {"sqlalchemy", "paramiko", "httpx2", "socket", "waitress", "adapters"}
    assert {m.split(".")[0] for m in imports(file)} & forbidden == set()


def test_the_package_list_matches_the_folders() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    found = {
        ".".join(p.parent.relative_to(ROOT).parts) for f in ("hub", "adapters") for p in (ROOT / f).rglob("__init__.py")
    }
    assert listed == found


def test_every_finding_speaks_both_languages_and_offers_a_remedy() -> None:
    for code, entry in catalogue()["finding"].items():
        for lang in LANGUAGES:
            assert entry[lang] and entry[f"remedy_{lang}"], code
        assert entry["acts"] in {"sender", "hub", "agency", "integrator", "operator"}, code


def test_every_code_in_the_source_is_in_the_catalogue() -> None:
    used = set()
    for file in python_files("hub"):
        used |= set(re.findall(r'(?:Finding|finding|_no)\(\s*"([a-z]+\.[a-z_]+)"', file.read_text("utf-8")))
    assert len(used) > 20
    assert used - set(catalogue()["finding"]) == set()


def test_the_page_of_findings_is_what_the_catalogue_says() -> None:
    assert (ROOT / "docs" / "findings.md").read_text("utf-8") == page()


def test_every_code_that_waits_is_in_the_catalogue() -> None:
    used = set()
    for file in python_files("hub"):
        for call in re.findall(r"\.wait\((.*)\)\n", file.read_text("utf-8")):
            used |= set(re.findall(r'"([a-z]+\.[a-z_]+)"', call))
    assert len(used) >= 8
    assert used - set(catalogue()["finding"]) == set()


def test_every_command_is_in_the_readme() -> None:
    from hub.cli import app

    for language in ("README.md", "README.zh.md"):
        readme = (ROOT / language).read_text("utf-8")
        for command in app.registered_commands:
            name = command.callback.__name__ if command.callback else ""
            assert re.search(rf"eport {name}\b", readme), (language, name)
