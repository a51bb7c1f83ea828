"""The sizes of the house, shown behind the tests of its shape: a report, not a rule."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LARGE = 400


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rooms: dict[str, int] = {}
    large = []
    for file in [*(ROOT / "hub").rglob("*.py"), *(ROOT / "adapters").rglob("*.py")]:
        lines = len(file.read_text("utf-8").splitlines())
        parts = file.relative_to(ROOT).parts
        room = "/".join(parts[:2]) if len(parts) > 2 else parts[0]
        rooms[room] = rooms.get(room, 0) + lines
        if lines > LARGE:
            large.append(f"{file.relative_to(ROOT)} {lines}")
    sizes = ", ".join(f"{room} {lines}" for room, lines in sorted(rooms.items(), key=lambda item: -item[1]))
    terminalreporter.write_line(f"lines: {sum(rooms.values())} ({sizes})")
    terminalreporter.write_line(f"over {LARGE} lines: {', '.join(sorted(large))}")
