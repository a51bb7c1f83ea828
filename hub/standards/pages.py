"""What the tables say of one thing, as rows: a message or a group of it, a segment, a composite, an element.

A thing is named as people write it: CUSCAR, CUSCAR/SG7, CUSCAR/SG7/NAD, NAD, C082, 3035, and before any of them a
release: D95B:CUSCAR/SG7/NAD. Without a release the newest one counts that has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from hub.edifact.directory import Component, Directories, Directory, ElementSpec, Node

_SECTIONS = ((re.compile(r"[A-Z]{6}"), "messages"), (re.compile(r"\d{4}"), "elements"))
_PARTS = ((re.compile(r"[A-Z]{3}"), "segments"), (re.compile(r"[CS]\d{3}"), "composites"))
COLUMNS = {
    "message": ("path", "status", "max", "name"),
    "segment": ("position", "id", "status", "max", "format", "name", "codes"),
    "composite": ("position", "id", "status", "max", "format", "name", "codes"),
    "element": ("code", "name"),
}
Row = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Page:
    """One thing. `what` is a key of COLUMNS; `elsewhere` are the other releases that have something of this name."""

    what: str
    release: str
    path: str
    name: str
    rows: tuple[Row, ...]
    elsewhere: tuple[str, ...] = ()


def newest(releases: Iterable[str]) -> list[str]:
    """Keys such as D95B, the newest first."""
    return sorted(releases, key=lambda key: (key[1:2] < "9", key), reverse=True)


def page(directories: Directories, wanted: str) -> Page:
    """What `wanted` is. KeyError names what is near; OSError and DeclarationError where a file cannot be used."""
    release, _, path = wanted.strip().rpartition(":")
    name, *steps = path.upper().strip("/").split("/")
    having = _having(directories, name)
    if release:
        directory = directories.get(release)
    elif having:
        directory = directories.get(having[0])
    else:
        raise KeyError(_unknown(directories, name))
    key = directory.release.replace(".", "")
    elsewhere = tuple(one for one in having if one not in (key, f"SERVICE{key}"))
    found = _message(directory, name, steps) if len(name) == 6 else _part(directory, name, steps)
    return Page(found.what, found.release, found.path, found.name, found.rows, elsewhere)


def _having(directories: Directories, name: str) -> list[str]:
    """The releases, newest first, and then the service layers that have a thing of this name."""
    section = _section(name)
    if not section:
        return []
    keys = [*newest(directories.available()), "SERVICE4", "SERVICE3"]
    return [key for key in keys if directories.get(key).own.has(section, name)]


def _section(name: str) -> str:
    return next((section for pattern, section in (*_SECTIONS, *_PARTS) if pattern.fullmatch(name)), "")


def _unknown(directories: Directories, name: str) -> str:
    known = {
        id
        for key in (*directories.available(), "SERVICE4")
        for section in ("messages", "segments", "composites", "elements")
        for id in directories.get(key).own.names(section)
    }
    near = get_close_matches(name, known, 3, 0.5)
    return f"{name}: no release here has it" + (f"; near: {', '.join(near)}" if near else "")


# ---- messages


def _message(directory: Directory, type: str, steps: list[str]) -> Page:
    spec = directory.message(type)
    path = "/".join((type, *steps))
    if not steps:
        return Page("message", directory.release, path, spec.name, tuple(_tree(directory, spec.nodes, "")))
    at = next((at for at, step in enumerate(steps, 1) if not re.fullmatch(r"SG\d+", step)), len(steps))
    node = spec.node(tuple(steps[:at]))
    if node.children:
        rows = tuple(_tree(directory, (node,), "/".join(steps[:-1])))
        return Page("message", directory.release, path, spec.name, rows)
    found = _part(directory, node.key, steps[at:])
    name = f"{found.name} · {_status(node.required)} {node.max}" if at == len(steps) else found.name
    return Page(found.what, directory.release, path, name, found.rows)


def _tree(directory: Directory, nodes: tuple[Node, ...], above: str) -> Iterable[Row]:
    for node in nodes:
        path = f"{above}/{node.key}" if above else node.key
        name = "" if node.children else directory.segment_name(node.key)
        yield {"path": path, "status": _status(node.required), "max": node.max, "name": name}
        yield from _tree(directory, node.children, path)


# ---- segments, composites, elements


def _part(directory: Directory, name: str, steps: list[str]) -> Page:
    """`steps` lead from a segment to one of its composites or elements, from a composite to an element."""
    section = _section(name)
    if section == "segments":
        specs = directory.segment(name)
        if steps:
            directory.component_index(name, "/".join(steps))
            return _part(directory, steps[-1].partition("#")[0], [])
        rows = tuple(row for number, spec in enumerate(specs, 1) for row in _position(directory, str(number), spec))
        return Page("segment", directory.release, name, directory.segment_name(name), rows)
    if section == "composites":
        parts = directory.composite(name)
        if steps:
            if steps[0] not in [part.id for part in parts]:
                raise KeyError(f"{steps[0]} is not in {name}; there: {', '.join(part.id for part in parts)}")
            return _part(directory, steps[0], [])
        rows = tuple(_component(directory, str(number), part, 1) for number, part in enumerate(parts, 1))
        return Page("composite", directory.release, name, directory.element_name(name), rows)
    said, picture = directory.element(name)
    rows = tuple({"code": code, "name": label} for code, label in directory.codes(name).items())
    return Page("element", directory.release, name, f"{said} · {picture}" if picture else said, rows)


def _position(directory: Directory, number: str, spec: ElementSpec) -> Iterable[Row]:
    if not spec.composite:
        whole = Component(spec.id, spec.required, spec.components[0].repr)
        yield _component(directory, number, whole, spec.max)
        return
    name = directory.element_name(spec.id)
    shape: Row = {"position": number, "id": spec.id, "status": _status(spec.required), "max": spec.max}
    yield {**shape, "format": "", "name": name, "codes": ""}
    for at, part in enumerate(spec.components, 1):
        yield _component(directory, f"{number}.{at}", part, 1)


def _component(directory: Directory, position: str, part: Component, most: int) -> Row:
    codes = len(directory.codes(part.id))
    return {
        "position": position,
        "id": part.id,
        "status": _status(part.required),
        "max": most,
        "format": part.repr,
        "name": directory.element_name(part.id),
        "codes": codes or "",
    }


def _status(required: bool) -> str:
    return "M" if required else "C"
