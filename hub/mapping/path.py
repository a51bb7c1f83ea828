"""The path grammar: one small language over EDIFACT groups and XML elements.

path   = [source ":"] ["/" | "../" …] ["*" "/"] step {"/" step}   |   … "*"
step   = name ["#" number] {"[" inner "=" value "]"}
inner  = a path of names below the step: NAD/3035, 3035, Line, @role

`*` stands for the members of a loop that groups. `#n` is the n-th of those for which the tests hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_STEP = re.compile(
    r"(?P<name>@?[A-Za-z_0-9][\w.-]*|#text)(?:#(?P<nth>[1-9][0-9]{0,5}))?"
    r"(?P<tests>(?:\[[^\[\]=]+=[^\[\]]*\])*)(?:/|$)"
)
_TEST = re.compile(r"\[([^\[\]=]+)=([^\[\]]*)\]")
_SOURCE = re.compile(r"([a-z][a-z0-9_-]*):")


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a name, which occurrence (from 1; 0 when it does not say) and (inner path, value) pairs that must
    hold."""

    name: str
    nth: int = 0
    tests: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        nth = f"#{self.nth}" if self.nth else ""
        return f"{self.name}{nth}{''.join(f'[{inner}={value}]' for inner, value in self.tests)}"


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path. `up` counts `../`; `root` is True when it begins with `/`; `members` when with `*`."""

    steps: tuple[Step, ...]
    source: str = ""
    up: int = 0
    root: bool = False
    members: bool = False

    def __str__(self) -> str:
        head = f"{self.source}:" if self.source else ""
        steps = [*("*" * self.members), *map(str, self.steps)]
        return head + ("/" if self.root else "../" * self.up) + "/".join(steps)


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
    members = not (root or source) and (text[at:] == "*" or text.startswith("*/", at))
    if members:
        at = min(at + 2, len(text))
    steps: list[Step] = []
    while at < len(text):
        found = _STEP.match(text, at)
        if not found:
            raise ValueError(f"column {at + 1}: {text[at:]!r} is not a step")
        tests = tuple((a, b) for a, b in _TEST.findall(found["tests"]))
        steps.append(Step(found["name"], int(found["nth"] or 0), tests))
        at = found.end()
    if (not steps and not members) or text.endswith("/"):
        raise ValueError(f"column {len(text) + 1}: a step is missing")
    return Path(tuple(steps), source, up, root, members)
