"""Whatever is done to a declaration: the site loads, or everything that is wrong has its file and line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.catalogue import describe, where
from hub.declaration import Branch, Listing, Rule, Text, excerpt, read
from hub.errors import DeclarationError
from hub.site.load import load

from .conftest import ROOT, Copy

FILES = [
    ROOT / "routes.yaml",
    *sorted((ROOT / "mappings").glob("*/*.yaml")),
    *sorted((ROOT / "schemas" / "codes").glob("*.yaml")),
]
USED = [ROOT / "schemas" / "edifact" / f"{name}.txt" for name in ("D05B", "D95B", "D96B", "SERVICE3")]
FACTS = [*sorted((ROOT / "schemas").rglob("*.xsd")), *USED]


def texts(rule: Rule) -> Iterator[Text]:
    """Every key and every value with its place."""
    if isinstance(rule, Text):
        yield rule
    elif isinstance(rule, Listing):
        for item in rule.items:
            yield from texts(item)
    else:
        for (name, inner), spot in zip(rule.entries, rule.keys, strict=True):
            yield Text(name, spot)
            yield from texts(inner)


PLACES = [(file.relative_to(ROOT), text) for file in FILES for text in texts(read(ROOT, file).top)]
OTHER = [
    *["", "x", "[]", "{}", "[a, b]", "{a: b}", "{from: x}", "null", "true", "7", "1.5", '"', "每", ": ", "- ", "\t"],
    *["&a", "*a", "!x", "/", "..", "../..", "@", "#text", "#2", "=", "$", "SG1", "SG99", "0s", "sender", "a:b:c"],
    *["[x=y]", '"\\0"', "\0", "|", ">", "%", "`", "<<", "A accepted", "é" * 200, "9" * 400],
]


def judged(folder: Path) -> bool:
    """True when the site loads; False when it is refused with findings that can be shown."""
    try:
        load(folder)
    except DeclarationError as fault:
        assert fault.findings
        for finding in fault.findings:
            assert finding.place.file and finding.place.line and finding.place.column, finding
            assert not Path(finding.place.file).is_absolute()
            assert all(describe(finding, "zh")) and where(finding)
            assert excerpt(folder, finding) or not (folder / finding.place.file).exists()
        return False
    return True


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    for name in ("mappings", "schemas"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "routes.yaml", folder)
    return folder


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    place=st.sampled_from(PLACES),
    how=st.sampled_from(["replace", "before", "behind", "swap", "line", "end"]),
    other=st.sampled_from(OTHER),
)
def test_one_change_of_a_key_or_value_never_breaks_the_reader(
    shared: Path, place: tuple[Path, Text], how: str, other: str
) -> None:
    name, text = place
    file = shared / name
    whole = file.read_text("utf-8")
    lines = whole.splitlines(keepends=True)
    row, at = text.spot.line - 1, text.spot.column - 1 + text.quoted
    line, end = lines[row], at + len(text.value)
    changed = {
        "replace": line[:at] + other + line[end:],
        "before": line[:at] + other + line[at:],
        "behind": line[:end] + other + line[end:],
        "swap": line[:at] + line[at : at + 2][::-1] + line[at + 2 :],
        "line": "",
        "end": line[:at],
    }[how]
    rest = [] if how == "end" else lines[row + 1 :]
    file.write_text("".join([*lines[:row], changed, *rest]), "utf-8")
    try:
        judged(shared)
    finally:
        file.write_text(whole, "utf-8")


def damaged(turn: int, data: bytes) -> bytes | None:
    """In turn one of what may become of a file."""
    return [None, data[: len(data) // 2], b"\x00\xff\xfe" * 40, b"", data[::-1], b"[]"][turn % 6]


@pytest.mark.slow
def test_a_damaged_file_is_refused_or_does_without(copy: Copy) -> None:
    for turn, original in enumerate((*FILES, *FACTS)):
        name = original.relative_to(ROOT)
        data = original.read_bytes()
        damage = damaged(turn, data)
        if damage is None:
            (copy.folder / name).unlink()
        else:
            (copy.folder / name).write_bytes(damage)
        good = judged(copy.folder)
        if name.suffix == ".yaml" and damage is not None and damage != data[: len(data) // 2]:
            assert not good, (name, damage[:20])
        (copy.folder / name).write_bytes(data)
    assert judged(copy.folder)


def test_a_folder_that_is_no_site_says_what_is_missing(tmp_path: Path) -> None:
    assert not judged(tmp_path)
    with pytest.raises(DeclarationError) as caught:
        load(tmp_path)
    [finding] = caught.value.findings
    assert (finding.code, finding.place.file, finding.place.line) == ("site.unreadable", "routes.yaml", 1)


def test_every_key_of_the_reference_site_misspelt(shared: Path) -> None:
    """Keys that a model knows: each misspelt one is refused at its own line or, where it is missed, near it."""
    for name in ("routes.yaml", "mappings/vessel/system.yaml"):
        file = shared / name
        whole = file.read_text("utf-8")
        lines = whole.splitlines(keepends=True)
        top = read(shared, file).top
        for key, spot in known_keys(top):
            row, at = spot.line - 1, spot.column - 1
            line = lines[row]
            lines[row] = line[: at + len(key)] + "q" + line[at + len(key) :]
            file.write_text("".join(lines), "utf-8")
            lines[row] = line
            with pytest.raises(DeclarationError) as caught:
                load(shared)
            told = [f for f in caught.value.findings if f.place.line == spot.line and f.place.column == spot.column]
            assert [(f.code, f.found, f.expected) for f in told if f.code == "site.unknown_key"] == [
                ("site.unknown_key", f"{key}q", key)
            ]
        file.write_text(whole, "utf-8")


def known_keys(top: Branch) -> Iterator[tuple[str, object]]:
    words = {"parties", "endpoints", "routes", "title", "role", "adapter", "when", "to", "answer", "level", "within"}
    words |= {"kinds", "format", "schema", "release", "keys", "verdict", "accepted", "stages", "closes", "send", "on"}
    seen = set()
    for text in texts(top):
        if text.value in words and text.value not in seen:
            seen.add(text.value)
            yield text.value, text.spot
