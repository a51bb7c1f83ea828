"""`eport validate` and `eport answer` as a person and a program call them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hub.cli import app
from tests.faults.conftest import ARRIVAL, ORIGINAL, ROOT, manifest

BROKEN = (ROOT / "mappings" / "manifest" / "cases" / "04-broken" / "in.edi").read_bytes()


GENERAL = b"UNB+UNOA:3+X+Y+240101:1200+1'UNH+1+GENRAL:D:96B:UN'BGM+719+1+9'NAD+MS+A'UNT+4+1'UNZ+1+1'"
"""Of a type that the directories have and no system of the site takes."""


class Said:
    def __init__(self, code: int, out: bytes) -> None:
        self.code, self.data, self.text = code, out, out.decode()
        self.json = json.loads(out) if out.startswith(b"{") else {}


def eport(*words: object, stdin: bytes = b"") -> Said:
    result = CliRunner().invoke(app, [*(str(word) for word in words), "--site", str(ROOT)], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return Said(result.exit_code, result.stdout_bytes)


def verdict(data: bytes, *more: object) -> Any:
    return eport("validate", "-", "--json", *more, stdin=data).json


def codes(told: Any) -> list[str]:
    return [finding["code"] for one in told["interchanges"] for finding in one["findings"]]


@pytest.mark.parametrize(
    ("data", "word", "code"),
    [
        (ORIGINAL, "accepted", 0),
        (BROKEN, "rejected", 1),
        (ORIGINAL.replace(b"PUMPS FOR LIQUIDS", b"PUMPS " * 20), "accepted-with-warnings", 0),  # a guide takes it
        (ORIGINAL.replace(b"UNT+48", b"UNT+46"), "rejected", 1),
        (ORIGINAL[:700], "rejected", 1),
        (b"", "rejected", 2),
        (b"  \r\n", "rejected", 2),
        (b"%PDF-1.7", "rejected", 2),
        (b"<a/>", "rejected", 1),
    ],
)
def test_the_exit_code_says_what_the_verdict_says(data: bytes, word: str, code: int) -> None:
    said = eport("validate", "-", "--json", stdin=data)
    assert (said.json["verdict"], said.code) == (word, code)
    assert eport("validate", "-", stdin=data).text.rstrip().endswith(word)


def test_what_cannot_be_read_is_unusable(tmp_path: Path) -> None:
    assert eport("validate", tmp_path).code == eport("validate", tmp_path / "none").code == 2
    assert eport("answer", tmp_path).code == eport("answer", "-", stdin=b"hello").code == 2
    assert eport("validate", "-", "--party", "NOBODY", stdin=ORIGINAL).code == 2


def test_the_json_has_the_agreed_shape() -> None:
    told = verdict(BROKEN)
    [one] = told["interchanges"]
    assert set(told) == {"verdict", "interchanges"}
    assert {name: one[name] for name in ("sender", "recipient", "reference")} == {
        "sender": "TJLINE",
        "recipient": "TJEPORT",
        "reference": "TJ26112304",
    }
    [message] = one["messages"]
    shape = {"reference": "1", "type": "CUSCAR", "release": "D:95B", "verdict": "rejected"}
    assert message.items() >= shape.items()
    long = next(finding for finding in one["findings"] if finding["code"] == "edifact.element_too_long")
    assert long.items() >= {
        "contrl": "39", "severity": "error", "message_reference": "1", "segment": 28, "tag": "RFF", "element": 1,
        "component": 2, "offset": BROKEN.index(b"PUSTXG2611021-A"),
    }.items()  # fmt: skip
    in_chinese = verdict(BROKEN, "--lang", "zh")["interchanges"][0]["findings"]
    assert "is longer than" in long["text"] and any("超过" in finding["text"] for finding in in_chinese)


def test_each_interchange_of_a_file_is_judged_at_its_places_in_the_file() -> None:
    data = manifest(1) + b"\r\njunk\r\n" + BROKEN + manifest(2)
    told = verdict(data)
    assert [one["messages"][0]["verdict"] for one in told["interchanges"]] == ["accepted", "rejected", "accepted"]
    findings = [finding for one in told["interchanges"] for finding in one["findings"]]
    assert data.index(b"junk") in [finding["offset"] for finding in findings]
    assert data.index(b"PUSTXG2611021-A") in [finding["offset"] for finding in findings]
    assert told["verdict"] == "rejected"


def test_the_file_itself_is_shown_with_carets() -> None:
    said = eport("validate", "-", "--annotate", "--lang", "en", stdin=BROKEN)
    lines = said.text.splitlines()
    at = next(at for at, line in enumerate(lines) if "PUSTXG2611021-A" in line)
    assert lines[at + 1].index("^") == lines[at].index("PUSTXG2611021-A")
    assert all(any(line.endswith(f"│ {part}") for line in lines) for part in BROKEN.decode().splitlines())
    assert "\x1b" not in said.text


def test_a_stranger_and_a_type_of_no_system_are_judged_by_the_standard() -> None:
    answer = eport("answer", "-", stdin=ORIGINAL)
    assert b"CONTRL:D:3:UN" in answer.data and answer.code == 0
    told = verdict(answer.data)
    assert told["verdict"] == "accepted" and told["interchanges"][0]["messages"][0]["type"] == "CONTRL"
    assert "opening.unknown_kind" in codes(
        verdict(b"UNB+UNOA:3+X+Y+240101:1200+1'UNH+1+CUSCAR:D:11Z:UN'UNT+2+1'UNZ+1+1'")
    )
    told = verdict(GENERAL)
    assert "opening.unknown_kind" not in codes(told)


def test_with_a_party_it_is_as_the_hub_would_judge() -> None:
    assert verdict(ORIGINAL, "--party", "TJLINE")["verdict"] == "accepted"
    assert codes(verdict(ORIGINAL, "--party", "BOHAI")) == ["opening.sender_mismatch"]
    assert "opening.unknown_kind" in codes(verdict(GENERAL.replace(b"+X+Y+", b"+TJLINE+TJEPORT+"), "--party", "TJLINE"))


def test_the_agreement_of_whom_unb_names_is_used() -> None:
    """Chinese under UNOA: agreed with the one, undecodable from a stranger."""
    data = (
        ARRIVAL.replace(b"+BOHAI", b"+STRANGE") if b"\x80" in ARRIVAL else ORIGINAL.replace(b"PUMPS", "水泵".encode())
    )
    assert verdict(data)["verdict"] == "accepted"
    assert "edifact.undecodable" in codes(verdict(data.replace(b"+TJLINE:ZZZ+", b"+NOBODY:ZZZ+")))


def test_a_cut_file_is_told_once_and_one_without_unb_is_unusable() -> None:
    whole = GENERAL[: GENERAL.index(b"BGM")]
    assert codes(verdict(whole)) == ["edifact.unz_missing", "opening.truncated", "edifact.unt_missing"]
    assert eport("validate", "-", stdin=whole).code == 1
    for data in (GENERAL[GENERAL.index(b"UNH") :], b"UNA:+.? '" + GENERAL[GENERAL.index(b"UNH") :]):
        assert codes(verdict(data)) == ["edifact.unb_missing"]
        assert eport("validate", "-", stdin=data).code == eport("answer", "-", stdin=data).code == 2
    nameless = verdict(GENERAL.replace(b"GENRAL:D:96B:UN", b""))
    assert codes(nameless) == ["edifact.unh_incomplete"] and nameless["verdict"] == "rejected"


def test_a_packed_file_is_unpacked() -> None:
    assert verdict(gzip.compress(ORIGINAL))["verdict"] == "accepted"
    assert codes(verdict(gzip.compress(ORIGINAL), "--party", "TJLINE")) == ["opening.packed"]


def test_answer_prints_what_is_due_and_nothing_else() -> None:
    unasked = ORIGINAL.replace(b"++++1'", b"'")
    assert eport("answer", "-", stdin=unasked).data == b""
    assert b"UCI+TJ26112301+TJLINE:ZZZ+TJEPORT:ZZZ+7'" in eport("answer", "-", stdin=ORIGINAL).data
    assert b"UCM+1+CUSCAR:D:95B:UN+4" in eport("answer", "-", stdin=BROKEN).data
    both = eport("answer", "-", stdin=BROKEN + manifest(3))
    assert both.data.count(b"UCI+") == 2
    assert eport("answer", "-", stdin=both.data).data == b""
