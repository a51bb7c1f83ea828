"""The systems of the reference site, in a port of their own whose endpoints are folders, to be changed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from hub.errors import DeclarationError
from hub.finding import Finding
from hub.site.load import load

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Copy:
    """A site that has nothing against it."""

    folder: Path

    def change(self, file: str, old: str, new: str) -> int:
        """Replace the first `old` in `file`; the line in which `new` begins."""
        path = self.folder / file
        text = path.read_text("utf-8")
        assert old in text, f"{file} has no {old}"
        path.write_text(text.replace(old, new, 1), "utf-8")
        return text[: text.index(old)].count("\n") + 1

    def findings(self) -> list[Finding]:
        """Warnings, or all that is wrong."""
        try:
            return list(load(self.folder).warnings)
        except DeclarationError as fault:
            return list(fault.findings)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    for name in ("mappings", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(Path(__file__).with_name("routes.yaml"), tmp_path / "routes.yaml")
    return Copy(tmp_path)
