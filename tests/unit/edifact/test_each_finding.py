"""Every edifact.* finding of the catalogue is provoked once by a small file: its place, and what CONTRL makes of it in
version 3 and in version 4 (element 0085 and the level at which it is told)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.catalogue import catalogue
from hub.edifact.contrl import contrl
from hub.edifact.directory import Directories
from hub.edifact.elements import check
from hub.edifact.limits import Limits
from hub.edifact.model import Envelope, FunctionalGroup, RawMessage
from hub.edifact.reader import read
from hub.edifact.structure import build
from hub.finding import Finding

NOW = datetime(2024, 1, 2, 3, 4, tzinfo=UTC)
DIRECTORIES = Directories(Path(__file__).parents[3] / "schemas" / "edifact")
LIMITS = Limits(segment=600)

UNB = "UNB+UNOA:{v}+A:14+B+{d}:1200+77'"
UNG = "UNG+CUSCAR+GA+GB+{d}:1200+G1+UN+D:95B'"
BGM, DTM, RFF, NAD = "BGM+85+MAN1+9", "DTM+137:202401011200:203", "RFF+AAZ:X1", "NAD+CA+COSU:172:20"
GOOD = (BGM, DTM, RFF, NAD)
LOCAL = "NONE"


def one(*body: str, reference: str = "1", unt: str = "", unh: str = "CUSCAR:D:95B:UN") -> str:
    """A message."""
    tail = unt or f"UNT+{len(body) + 2}+{reference}'"
    return f"UNH+{reference}+{unh}'" + "".join(f"{segment}'" for segment in body) + tail


def whole(message: str, unz: str = "UNZ+1+77'") -> str:
    """An interchange."""
    return UNB + message + unz


def body(*segments: str) -> str:
    return whole(one(*segments))


@dataclass(frozen=True)
class Case:
    """`where`: segment, tag, element, component. `told`: how CONTRL tells it in version 3 and in version 4; None: no
    CONTRL is due, "": the CONTRL does not speak of it."""

    code: str
    data: str
    where: tuple[int | None, str | None, int | None, int | None]
    told: tuple[str | None, str | None]
    encoding: str = "ascii"
    versions: str = "34"
    charset: str | None = None


NOWHERE = (None, None, None, None)
SILENT: tuple[None, None] = (None, None)


def both(told: str) -> tuple[str, str]:
    return told, told


CASES = [
    Case("empty", " ", NOWHERE, SILENT),
    Case("no_interchange", "BGM+85'", NOWHERE, SILENT),
    Case("unb_missing", "UNA:+.? '\r\n" + one(*GOOD) + "UNZ+1+77'", (None, "UNB", None, None), SILENT),
    Case("encoding", body(*GOOD), NOWHERE, SILENT, "utf-16"),
    Case("interactive", "UIB+UNOA:{v}'UIH+1'UIT'UIZ'", NOWHERE, SILENT),
    Case("data_after_unz", body(*GOOD) + "REST'", NOWHERE, both("UCI+77+A:14+B+4+33'")),
    Case("una_invalid", "UNA:+.+ '" + body(*GOOD), (None, "UNA", None, None), ("+4+22+UNA'", "+4+22'")),
    Case("una_differs", "UNA:~.? '" + body(*GOOD), (None, "UNB", None, None), both("+4+22+UNB'")),
    Case("nul", UNB + "\0" + one(*GOOD) + "UNZ+1+77'", NOWHERE, both("+4+21'")),
    Case("cut", UNB + "UNH+1+X", NOWHERE, both("+4+13'")),
    Case("release_at_end", UNB + "UNH+1?", NOWHERE, both("+4+21'")),
    Case("segment_empty", UNB + one(*GOOD) + "'UNZ+1+77'", NOWHERE, both("+4+21'")),
    Case("line_break", body(BGM, DTM, "RFF+AAZ:\nX1", NAD), (4, "RFF", None, None), both("UCS+4+21'")),
    Case("control", body(BGM, DTM, "RFF+AAZ:\x1bX1", NAD), (4, "RFF", None, None), both("UCS+4+21'")),
    Case("repertoire", body(BGM, DTM, "RFF+AAZ:x1", NAD), (4, "RFF", None, None), both("")),
    Case("trailing_separator", body(BGM, DTM, "RFF+AAZ:X1:", NAD), (4, "RFF", None, None), ("", ""), versions="4"),
    Case("nesting", body(BGM, DTM, "RFF:1+AAZ:X1", NAD), (None, "RFF", None, None), ("+34'", "+18'")),
    Case("tag", body(BGM, DTM, RFF, NAD, "L1+9"), (6, None, None, None), both("UCS+6+21'")),
    Case("limit", body(BGM, DTM, RFF, NAD, "FTX+AAA+++" + "X" * 600), NOWHERE, both("+4+18'")),
    Case("undecodable", body(BGM, DTM, "RFF+AAZ:é", NAD), (4, "RFF", None, None), both("UCS+4+21'"), "latin-1"),
    Case(
        "charset_unsupported",
        body(*GOOD).replace("UNOA", "KECA"),
        (1, "UNB", 1, 1),
        ("+4+21+UNB+2:1'", "+4+46+UNB+2:1'"),
    ),
    Case(
        "separator_in_charset",
        "UNA|+.? '" + body(*GOOD).replace(":", "|"),
        (1, "UNB", None, None),
        both("+4+22+UNB'"),
        charset="gb18030",
    ),
    Case("syntax_version", body(*GOOD).replace("{v}", "7"), (1, "UNB", 1, 2), both("+4+2+UNB+2:2'")),
    Case("unb_incomplete", body(*GOOD).replace("+B+", "++"), (1, "UNB", 3, 1), SILENT),
    Case("unb_date", body(*GOOD).replace("{d}", "991332"), (1, "UNB", 4, 1), both("+4+12+UNB+5:1'")),
    Case("unb_code", body(*GOOD).replace("77'UNH", "77++++++9'UNH"), (1, "UNB", 11, 1), both("+4+12+UNB+12:1'")),
    Case(
        "unh_incomplete",
        whole(one(*GOOD, unh="CUSCAR:D:95B")),
        (1, "UNH", 2, 4),
        ("+4+13+UNH+3:4'", "UCM+1++4+13+UNH+3:4'"),
    ),
    Case("outside_message", UNB + one(*GOOD) + "BGM+85'UNZ+1+77'", (8, "BGM", None, None), both("+4+33'")),
    Case("package", UNB + "UNO+1'", (2, "UNO", None, None), ("+4+18'", "+4+47+UNO'")),
    Case("security", UNB + "USH+1'" + one(*GOOD) + "UNZ+1+77'", (2, "USH", None, None), ("+4+18'", "+4+47'")),
    Case(
        "groups_mixed",
        UNB + one(*GOOD) + UNG + one(*GOOD, reference="2") + "UNE+1+G1'UNZ+1+77'",
        (8, "UNG", None, None),
        both("+4+30+UNG'"),
    ),
    Case(
        "ung_incomplete",
        UNB + UNG.replace("+G1", "+") + one(*GOOD) + "UNE+1'UNZ+1+77'",
        (2, "UNG", 5, 1),
        both("UCI+77+A:14+B+4+13+UNG+6:1'"),
    ),
    Case(
        "group_types",
        UNB + UNG + one("BGM+961+1+9", unh="CUSRES:D:95B:UN") + "UNE+1+G1'UNZ+1+77'",
        (1, "UNH", 2, 1),
        ("UCM+1+CUSRES:D:95B:UN+4+31+UNH+3:1'", ""),
        versions="3",
    ),
    Case(
        "group_empty",
        UNB + UNG + "UNE+0+G1'" + UNG.replace("G1", "G2") + one(*GOOD) + "UNE+1+G2'UNZ+2+77'",
        (3, "UNE", None, None),
        both("UCF+G1+GA+GB+4+32+UNE'"),
    ),
    Case("une_missing", UNB + UNG + one(*GOOD) + "UNZ+1+77'", (9, "UNZ", None, None), both("UCF+G1+GA+GB+4+13+UNZ'")),
    Case(
        "une_count",
        UNB + UNG + one(*GOOD) + "UNE+2+G1'UNZ+1+77'",
        (9, "UNE", 1, None),
        both("UCF+G1+GA+GB+4+29+UNE+2'"),
    ),
    Case(
        "une_reference",
        UNB + UNG + one(*GOOD) + "UNE+1+G2'UNZ+1+77'",
        (9, "UNE", 2, None),
        both("UCF+G1+GA+GB+4+28+UNE+3'"),
    ),
    Case(
        "duplicate_reference",
        whole(one(*GOOD) + one(*GOOD), "UNZ+2+77'"),
        (1, "UNH", 1, None),
        both("UCM+1+CUSCAR:D:95B:UN+4+26+UNH+2'"),
    ),
    Case("unt_missing", whole(one(*GOOD, unt="").rpartition("UNT")[0]), (5, "NAD", None, None), both("UCS+5+13'")),
    Case("unt_count", whole(one(*GOOD, unt="UNT+9+1'")), (6, "UNT", 1, None), both("+4+29+UNT+2'")),
    Case("unt_reference", whole(one(*GOOD, unt="UNT+6+2'")), (6, "UNT", 2, None), both("+4+28+UNT+3'")),
    Case("unz_missing", whole(one(*GOOD), ""), (None, "UNZ", None, None), both("+4+13+UNZ'")),
    Case("unz_count", whole(one(*GOOD), "UNZ+2+77'"), (8, "UNZ", 1, None), both("+4+29+UNZ+2'")),
    Case("unz_reference", whole(one(*GOOD), "UNZ+1+78'"), (8, "UNZ", 2, None), both("+4+28+UNZ+3'")),
    Case("interchange_empty", UNB + "UNZ+0+77'", (2, "UNZ", None, None), both("+4+32+UNZ'")),
    Case("segment_missing", body(DTM, RFF, NAD), (1, "UNH", None, None), both("UCS+1+13'")),
    Case("segment_unexpected", body(*GOOD, "UNX+1"), (6, "UNX", None, None), both("UCS+6+15'")),
    Case("segment_order", body(BGM, RFF, DTM, NAD), (4, "DTM", None, None), both("UCS+4+15'")),
    Case("segment_repeats", body(BGM, *GOOD), (3, "BGM", None, None), both("UCS+3+35'")),
    Case("group_repeats", body(*GOOD, *["TDT+20", "LOC+9+CNTXG"] * 10), (24, "TDT", None, None), both("UCS+24+36'")),
    Case("element_missing", body(BGM, "DTM+:202401011200:203", RFF, NAD), (3, "DTM", 1, 1), both("UCS+3'UCD+13+2:1'")),
    Case("element_excess", body(BGM + "+AB+1", DTM, RFF, NAD), (2, "BGM", 5, None), both("UCS+2'UCD+16+6'")),
    Case("component_excess", body(BGM, DTM + ":9", RFF, NAD), (3, "DTM", 1, 4), both("UCS+3'UCD+16+2:4'")),
    Case(
        "element_repeats",
        body(BGM, DTM, RFF + "*AAZ:X2", NAD),
        (4, "RFF", 1, None),
        ("", "UCS+4'UCD+35+2::2'"),
        versions="4",
    ),
    Case(
        "element_too_long",
        body(BGM.replace("MAN1", "M" * 36), DTM, RFF, NAD),
        (2, "BGM", 2, None),
        both("UCS+2'UCD+39+3'"),
    ),
    Case("element_too_short", body(*GOOD, "EQD+CN", "TMP+2+5"), (7, "TMP", 2, 1), both("UCS+7'UCD+40+3:1'")),
    Case("character_type", body(*GOOD, "CNT+7:1E3:KGM"), (6, "CNT", 1, 2), ("UCS+6'UCD+37+2:2'", "UCS+6'UCD+37+2:2'")),
    Case(
        "decimal_invalid",
        body(*GOOD, "CNT+7:1,000.5:KGM"),
        (6, "CNT", 1, 2),
        ("UCS+6'UCD+19+2:2'", "UCS+6'UCD+18+2:2'"),
    ),
    Case(
        "decimal_digit_missing",
        body(*GOOD, "CNT+7:.5:KGM"),
        (6, "CNT", 1, 2),
        ("UCS+6'UCD+38+2:2'", "UCS+6'UCD+18+2:2'"),
    ),
    Case("date_invalid", body(BGM, "DTM+137:202413011200:203", RFF, NAD), (3, "DTM", 1, 2), both("UCS+3'UCD+12+2:2'")),
    Case("code_unknown", body(BGM[:-1] + "Q", DTM, RFF, NAD), (2, "BGM", 3, None), both("UCS+2'UCD+12+4'")),
    Case("code_usual", whole("UNH+1+CONTRL:D:3:UN'UCI+77+A:ZZ+B+7'UNT+3+1'"), (2, "UCI", 2, 2), SILENT),
]


def judged(
    data: bytes, charset: str | None = None
) -> tuple[
    Envelope | None,
    list[tuple[RawMessage, list[Finding]]],
    list[Finding],
    Sequence[tuple[FunctionalGroup, tuple[Finding, ...]]],
]:
    """The first envelope, its messages, what is wrong with the interchange and with its groups."""
    envelope: Envelope | None = None
    messages, findings, groups = [], [], ()
    for part in read([data], limits=LIMITS, charset=charset):
        if isinstance(part, RawMessage):
            version = envelope.version if envelope else "3"
            directory = (
                DIRECTORIES.get(f"{part.version}:{part.release}", version) if part.release else DIRECTORIES.get("D:95B")
            )
            _, wrong = build(part, directory.message(part.type))
            messages.append((part, [*part.findings, *wrong, *check(part, directory, version=version)]))
            continue
        findings += part.findings
        if isinstance(part, Envelope):
            envelope = envelope or part
        else:
            groups = part.groups
    return envelope, messages, findings, groups


def written(case: Case, version: str) -> bytes:
    dated = case.data.replace("{v}", version).replace("{d}", "20240101" if version == "4" else "240101")
    return dated.encode(case.encoding)


@pytest.mark.parametrize("version", ["3", "4"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_each_is_found_at_its_place_and_told(case: Case, version: str) -> None:
    if version not in case.versions:
        pytest.skip(f"version {version} does not know it")
    envelope, messages, findings, groups = judged(written(case, version), case.charset)
    every = [*findings, *(f for _, found in messages for f in found), *(f for _, found in groups for f in found)]
    places = [f.place for f in every if f.code == f"edifact.{case.code}"]
    assert case.where in [(p.segment, p.tag, p.element, p.component) for p in places], every
    told = None
    if envelope is not None:
        told = contrl(envelope, messages, findings, groups=groups, reference="9", message_reference="8", now=NOW)
    expected = case.told[version == "4"]
    if expected is None:
        assert told is None
    else:
        assert told is not None
        text = told.decode()
        assert expected in text if expected else text.count("'") == 5 and "B+7'UNT" in text, text


def test_no_finding_is_left_out() -> None:
    codes = {code.removeprefix("edifact.") for code in catalogue()["finding"] if code.startswith("edifact.")}
    assert {case.code for case in CASES} == codes
