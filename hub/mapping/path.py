"""The path grammar: one small language over EDIFACT groups and XML elements.

path   = [source ":"] ["/" | "../" …] step {"/" step}
step   = name ["#" number] {"[" inner "=" value "]"}
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_STEP = re.compile(
    r"(?P<name>@?[A-Za-z_0-9][\w.-]*|#text)(?:#(?P<nth>[1-9][0-9]*))?(?P<tests>(?:\[[^\[\]=]+=[^\[\]]*\])*)(?:/|$)"
)
_TEST = re.compile(r"\[([^\[\]=]+)=([^\[\]]*)\]")
_SOURCE = re.compile(r"([a-z][a-z0-9_-]*):")


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a name, which occurrence (from 1), and (inner path, value) pairs that must hold."""

    name: str
    nth: int = 1
    tests: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        nth = f"#{self.nth}" if self.nth > 1 else ""
        return f"{self.name}{nth}{''.join(f'[{inner}={value}]' for inner, value in self.tests)}"


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path. `up` counts `../`; `root` is True when it begins with `/`."""

    steps: tuple[Step, ...]
    source: str = ""
    up: int = 0
    root: bool = False

    def __str__(self) -> str:
        head = f"{self.source}:" if self.source else ""
        return head + ("/" if self.root else "../" * self.up) + "/".join(map(str, self.steps))


def parse_path(text: str) -> Path:
    """The path that `text` spells. Raises ValueError with the column (from 1) of what cannot be read."""
    at, up = 0, 0
    match = _SOURCE.match(text)
    source = match[1] if match else ""
    at = match.end() if match else 0
    root = text.startswith("/", at)
    at += root
    while not root and text.startswith("../", at):
        at, up = at + 3, up + 1
    steps: list[Step] = []
    while at < len(text):
        found = _STEP.match(text, at)
        if not found:
            raise ValueError(f"column {at + 1}: {text[at:]!r} is not a step")
        tests = tuple((a, b) for a, b in _TEST.findall(found["tests"]))
        steps.append(Step(found["name"], int(found["nth"] or 1), tests))
        at = found.end()
    if not steps or text.endswith("/"):
        raise ValueError(f"column {len(text) + 1}: a step is missing")
    return Path(tuple(steps), source, up, root)
