"""Directory, structure, elements and CONTRL on the shipped tables."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import hub
from hub.edifact.contrl import contrl
from hub.edifact.directory import Directories, Directory
from hub.edifact.elements import check
from hub.edifact.model import Envelope, Group, RawMessage, Trailer
from hub.edifact.reader import read
from hub.edifact.structure import build
from hub.edifact.writer import order
from hub.finding import Finding, rejects

HUB = Path(hub.__file__).parent
TABLES = HUB.parent / "schemas" / "edifact"
NOW = datetime(2024, 1, 2, 3, 4, tzinfo=UTC)

BODY = ["BGM+85+MAN1+9", "DTM+137:202401011200:203", "RFF+AAZ:X1", "NAD+CA+COSU:172:20"]


@pytest.fixture(scope="module")
def directory() -> Directory:
    return Directories(TABLES).get("D:95B")


@pytest.fixture
def sentences(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    table: dict[str, Any] = {"finding": {}}
    for path in sorted(HUB.glob("catalogue*.toml")):
        table["finding"] |= tomllib.loads(path.read_text("utf-8")).get("finding", {})
    monkeypatch.setattr("hub.catalogue.catalogue", lambda: table)
    return table


def read_body(body: list[str], type: str = "CUSCAR") -> tuple[Envelope, RawMessage, Trailer]:
    text = "'".join([f"UNH+1+{type}:D:95B:UN", *body, f"UNT+{len(body) + 2}+1"])
    envelope, message, trailer = read([f"UNB+UNOA:3+A:14+B+240101:1200+77'{text}'UNZ+1+77'".encode()])
    assert isinstance(envelope, Envelope) and isinstance(message, RawMessage) and isinstance(trailer, Trailer)
    return envelope, message, trailer


def judged(directory: Directory, body: list[str]) -> tuple[Group, list[Finding]]:
    _, message, _ = read_body(body)
    tree, findings = build(message, directory.message("CUSCAR"))
    return tree, findings + check(message, directory)


def brief(findings: list[Finding]) -> list[tuple[str, int | None, int | None, int | None]]:
    return [(f.code.removeprefix("edifact."), f.place.segment, f.place.element, f.place.component) for f in findings]


def test_a_good_message_has_no_findings_and_keeps_its_order(directory: Directory) -> None:
    tree, findings = judged(directory, BODY)
    assert findings == []
    assert [s.tag for s in order(tree, directory.message("CUSCAR"))] == ["UNH", "BGM", "DTM", "RFF", "NAD", "UNT"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (BODY[1:], ("segment_missing", 1, None, None)),
        ([*BODY, "UNX+1"], ("segment_unexpected", 6, None, None)),
        ([BODY[0], *BODY], ("segment_repeats", 3, None, None)),
        (["BGM+85+MAN1+Q", *BODY[1:]], ("code_unknown", 2, 3, None)),
        (["BGM+85+" + "M" * 36 + "+9", *BODY[1:]], ("element_too_long", 2, 2, None)),
        (["BGM+85+M+9+AB+1", *BODY[1:]], ("element_excess", 2, 5, None)),
        ([BODY[0], "DTM+137:202401011200:203:9", *BODY[2:]], ("component_excess", 3, 1, 4)),
        ([BODY[0], "DTM+:202401011200:203", *BODY[2:]], ("element_missing", 3, 1, 1)),
        ([*BODY[:2], "RFF", BODY[3]], ("element_missing", 4, 1, None)),
    ],
)
def test_each_fault_has_its_place(directory: Directory, body: list[str], expected: tuple[Any, ...]) -> None:
    assert expected in brief(judged(directory, body)[1])


def test_paths_within_a_segment(directory: Directory) -> None:
    assert directory.component_index("NAD", "C080/3036") == (4, 1)
    assert directory.component_index("NAD", "3036#2") == (4, 2)
    assert directory.component_index("BGM", "1225") == (3, 1)
    with pytest.raises(KeyError, match="C080"):
        directory.component_index("NAD", "C08/3036")
    with pytest.raises(KeyError, match="CUSCAR"):
        directory.message("CUSCAQ")


def test_contrl_tells_each_fault_at_its_level(directory: Directory, sentences: dict[str, Any]) -> None:
    envelope, message, trailer = read_body([*BODY, "UNX+1", "DTM+137:1:203:9"])
    findings = [*message.findings, *build(message, directory.message("CUSCAR"))[1], *check(message, directory)]
    data = contrl(envelope, [(message, findings)], trailer.findings, reference="9", message_reference="8", now=NOW)
    assert data is not None
    assert data.startswith(b"UNB+UNOA:3+B+A:14+240102:0304+9'UNH+8+CONTRL:D:3:UN'UCI+77+A:14+B+7'")
    assert b"UCM+1+CUSCAR:D:95B:UN+4'UCS+6+15'" in data and b"UCD+16+2:4'" in data
    answer_envelope, answer, end = read([data])
    assert (answer_envelope.findings, answer.findings, end.findings) == ((), (), ())
    assert isinstance(answer_envelope, Envelope) and isinstance(answer, RawMessage)
    assert build(answer, directory.message("CONTRL"))[1] + check(answer, directory) == []
    assert contrl(answer_envelope, [(answer, [])], [], reference="1", message_reference="1", now=NOW) is None


@pytest.mark.parametrize(("qualifier", "expected"), [("ZZZ", []), ("ZZ", ["warning"]), ("ZQ", ["error"])])
def test_zz_for_zzz_in_0007_is_a_warning(directory: Directory, qualifier: str, expected: list[str]) -> None:
    message = read_body([f"UCI+77+A:{qualifier}+B+7"], "CONTRL")[1]
    found = check(message, directory)
    assert [f.severity for f in found] == expected
    assert all(f.code in ("edifact.code_usual", "edifact.code_unknown") and f.expected == "0007" for f in found)


def test_zz_in_unb_and_in_the_answer_to_it_is_accepted(directory: Directory, sentences: dict[str, Any]) -> None:
    envelope, message, trailer = read_body(BODY)
    assert isinstance(envelope, Envelope)
    common = replace(envelope, sender_qualifier="ZZ")
    data = contrl(common, [(message, [])], trailer.findings, reference="9", message_reference="8", now=NOW)
    assert data is not None
    [_, answer, _] = read([data])
    assert isinstance(answer, RawMessage)
    assert not rejects(check(answer, directory))


def test_contrl_rejects_the_interchange(sentences: dict[str, Any]) -> None:
    envelope, message, _ = read_body(BODY)
    wrong = Finding("edifact.unz_count")
    data = contrl(envelope, [(message, [])], [wrong], reference="9", message_reference="8", now=NOW)
    assert data is not None and b"UCI+77+A:14+B+4+29'UNT+3+8'" in data


def test_every_code_has_its_sentences(sentences: dict[str, Any]) -> None:
    sources = [*(HUB / "edifact").glob("*.py"), *(HUB / "xml").glob("*.py")]
    used = {c for path in sources for c in re.findall(r'"((?:edifact|xml)\.[a-z_]+)"', path.read_text("utf-8"))}
    assert len(used) > 40 and used <= sentences["finding"].keys()
