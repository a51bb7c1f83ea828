"""Both readmes: what they show is what the command prints, and each says what the other says."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from hub.cli import app, main

ROOT = Path(__file__).parents[2]
READMES = {"en": ROOT / "README.md", "zh": ROOT / "README.zh.md"}


def read(lang: str) -> str:
    return READMES[lang].read_text("utf-8")


def shown() -> list[tuple[str, str, str]]:
    """(language, command, what the readme says that it prints)."""
    found = [
        (lang, match[1], match[2])
        for lang in READMES
        for match in re.finditer(r"^```\n\$ (eport [^\n]+)\n(.*?)```", read(lang), re.M | re.S)
    ]
    assert [lang for lang, _, _ in found] == list(READMES)
    return found


@pytest.mark.parametrize(("lang", "command", "printed"), shown(), ids=list(READMES))
def test_a_command_prints_what_the_readme_shows(
    lang: str, command: str, printed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    monkeypatch.setenv("EPORT_LANG", lang)
    monkeypatch.setenv("EPORT_SITE", str(ROOT))
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().out == printed


def commands(text: str) -> list[list[str]]:
    """The commands of each section, with their options; the language that is asked for is none."""
    known = "|".join(get_command(app).commands)  # type: ignore[attr-defined]
    pattern = re.compile(rf"\beport (?:{known})\b(?: [a-z]+\b)?(?: [A-Z]+\b)?(?: --[a-z]+)?")
    return [sorted(set(pattern.findall(part.replace(" --lang zh", "")))) for part in text.split("\n## ")]


def test_both_languages_name_the_same_commands_in_each_section() -> None:
    assert commands(read("zh")) == commands(read("en"))


def test_every_link_of_both_leads_to_a_file() -> None:
    for lang in READMES:
        links = re.findall(r"\]\(([^)#]+)\)", read(lang))
        assert len(links) > 8
        assert [link for link in links if not (ROOT / link).exists()] == []
