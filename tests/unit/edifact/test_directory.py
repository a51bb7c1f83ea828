"""Tables of facts: the text format, what is shipped, and what is said of a damaged file."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.edifact.directory import Directories, Directory
from hub.edifact.tables import Entry, Facts, Line, Tables, everything, read, write
from hub.errors import DeclarationError
from tests import directories
from tests.directories import SHIPPED

NEEDED = {
    "D95B": "CUSCAR CUSRES COPARN CODECO COARRI COPRAR COREOR BAPLIE APERAK",
    "D96A": "CUSDEC CUSRES CUSREP IFTMBF IFTMIN IFTMCS IFTSTA IFCSUM PAYORD PAYEXT BANSTA FINSTA INVOIC REMADV GENRAL",
    "D96B": "CUSCAR CUSDEC CUSRES CUSREP APERAK PAYORD CREADV",
    "D97B": "SANCRT",
    "D98B": "BANSTA IFCSUM",
    "D99B": "TAXCON IFTMBF IFTMBC IFTMIN IFTMCS IFTSTA IFTSAI CUSPED HANMOV INSREQ INSRPT CALINF CUSCAR",
    "D00B": "IFTSTA IFTMBC CODECO COREOR APERAK",
    "D01B": "IFCSUM INVOIC REMADV",
    "D03A": "IFTDGN",
    "D03B": "PAXLST CUSCAR CUSRES",
    "D04B": "BAPLIE",
    "D05B": "CUSRES PAXLST DEBADV BERMAN WASDIS",
    "D11B": "GOVCBR",
    "D12B": "PAXLST",
    "D13B": "BAPLIE",
    "D16A": "VERMAS GOVCBR BERMAN CALINF WASDIS HANMOV CUSCAR IFTDGN GENRAL",
    "SERVICE3": "CONTRL",
    "SERVICE4": "CONTRL AUTACK",
}
ISSUE = (
    "CUSCAR CUSDEC CUSRES CUSREP CUSPED PAXLST IFTDGN WASDIS BERMAN CALINF IFTMBF IFTMBC IFTMIN IFTMCS IFTSTA IFTSAI "
    "IFCSUM COPARN CODECO COARRI COPRAR COREOR BAPLIE SANCRT INSREQ INSRPT TAXCON PAYORD PAYEXT BANSTA DEBADV CREADV "
    "FINSTA INVOIC REMADV APERAK GENRAL GOVCBR VERMAS INVRPT HANMOV CONTRL AUTACK"
)
SMALL = """EDIFACT D.95B
# source: made up
messages
CUSCAR 2 Cargo report
 UNH M 1
 SG1 C 9
  NAD M 1
  SG2 C 1
   NAD C 9
 UNT M 1
segments
NAD NAME AND ADDRESS
 3035 M
 C082 C 5
composites
C082 PARTY
 3039 M an..17
 3035 C
elements
3035 an..3 Party qualifier
3039 - Party id.
codes
3035
 AA Party to be billed
 0AB
end
"""


@pytest.fixture(scope="module")
def shipped() -> Directories:
    return Directories(SHIPPED)


def small(text: str = SMALL) -> Directory:
    return Directory("D.95B", Tables("D95B.txt", text), read(SHIPPED / "SERVICE3.txt"))


# ---- what is shipped


@pytest.mark.parametrize("release", NEEDED)
def test_the_types_that_are_really_used_are_shipped_whole(shipped: Directories, release: str) -> None:
    directory = shipped.get(release)
    own = directory.own.names("messages")
    assert set(NEEDED[release].split()) <= set(own)
    for type in own:
        spec = directory.message(type)
        assert (spec.nodes[0].key, spec.nodes[-1].key) == ("UNH", "UNT")
        assert "UNH" in directory.reach(type)


def test_every_type_of_the_issue_is_somewhere(shipped: Directories) -> None:
    there = {type for key in shipped.available() for type in shipped.get(key, "4").types()}
    assert set(ISSUE.split()) - there == set()


def test_the_shipped_tables_stay_small() -> None:
    assert sum(file.stat().st_size for file in SHIPPED.glob("*.txt")) < 6_000_000


@pytest.mark.parametrize(("type", "release", "counted"), [("CUSRES", "D:95B", 31), ("CUSRES", "D:03B", 56)])
def test_one_type_of_two_releases_is_two_messages(shipped: Directories, type: str, release: str, counted: int) -> None:
    raw = shipped.get(release).own.message(type)
    assert raw is not None
    assert sum(not line.id.startswith("SG") for line in raw.lines) == counted


def test_the_service_segments_are_those_of_the_syntax_version(shipped: Directories) -> None:
    three, four = shipped.get("D:16A"), shipped.get("D:16A", version="4")
    assert three is shipped.get("D.16A", version="2") and three is not four
    date = [d.segment("UNB")[3].components[0].repr for d in (three, four)]
    assert date == ["n6", "n8"]
    assert [part.id for part in four.segment("UNB")[0].components] == ["0001", "0002", "0080", "0133", "0076"]
    assert len(three.segment("UNB")[0].components) == 2
    assert not three.defines("UGH") and four.defines("UGH")
    assert not {"UGH", "NAD"} - small(SMALL.replace("  NAD M 1", "  UGH M 1")).reach("CUSCAR")  # nothing of version 3


@pytest.mark.parametrize(("name", "layer"), [("D:3", "3"), ("2:2", "3"), ("4:1", "4")])
def test_a_service_message_names_its_own_directory(shipped: Directories, name: str, layer: str) -> None:
    directory = shipped.get(name, version="4")
    assert directory.release == layer and directory is shipped.get(name)
    assert directory.codes("0085")["12"] == "Invalid value"
    assert ("AUTACK" in directory.types()) is (layer == "4")


def test_names_that_are_not_here_are_told_with_what_is_near(shipped: Directories) -> None:
    directory = shipped.get("D:95B")
    for ask, near in (
        (lambda: shipped.get("D:95C"), "D95B"),
        (lambda: directory.message("CUSCAT"), "CUSCAR"),
        (lambda: directory.segment("NAT"), "NAD"),
        (lambda: directory.composite("C083"), "near: C"),
        (lambda: directory.element("3038"), "near: .*3039"),
    ):
        with pytest.raises(KeyError, match=near):
            ask()


# ---- the format


def test_what_is_written_is_what_the_directory_says() -> None:
    directory = small()
    spec = directory.message("CUSCAR")
    assert spec.name == "Cargo report"
    assert spec.node(("SG1", "SG2", "NAD")).max == 9
    assert [(node.key, node.required, node.max) for node in spec.nodes][1] == ("SG1", False, 9)
    party, details = directory.segment("NAD")
    assert (party.id, party.required, party.max, party.composite) == ("3035", True, 1, False)
    assert (details.max, [part.repr for part in details.components]) == (5, ["an..17", "an..3"])
    assert directory.codes("3035") == {"AA": "Party to be billed", "0AB": ""}
    assert directory.codes("3039") == {}
    assert directory.element("3039") == ("Party id.", "")
    assert directory.element_name("C082") == "PARTY"


def test_a_table_without_unh_and_unt_gets_them() -> None:
    spec = small(SMALL.replace(" UNH M 1\n", "").replace(" UNT M 1\n", "")).message("CUSCAR")
    assert [node.key for node in spec.nodes] == ["UNH", "SG1", "UNT"]


IDS = st.from_regex(r"[A-Z]{3}|[CS][0-9]{3}|[0-9]{4}", fullmatch=True)
PRINTED = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs"))
WORDS = st.lists(st.text(PRINTED, min_size=1, max_size=9), max_size=3).map(" ".join)
POSITIONS = st.lists(
    st.builds(Line, st.just(1), IDS, st.booleans(), st.integers(1, 99), st.sampled_from(["", "an..35", "n6"])),
    min_size=1,
    max_size=4,
)
ENTRIES = st.builds(Entry, WORDS, POSITIONS.map(tuple))


@given(
    segments=st.dictionaries(IDS, ENTRIES, max_size=4),
    elements=st.dictionaries(IDS, st.tuples(WORDS, st.sampled_from(["", "an..3", "n8"])), max_size=4),
    codes=st.dictionaries(
        IDS, st.dictionaries(st.text(PRINTED, min_size=1, max_size=6), WORDS, max_size=4), max_size=3
    ),
)
@settings(max_examples=100, deadline=None)
def test_any_facts_come_back_from_their_text(
    segments: dict[str, Entry], elements: dict[str, tuple[str, str]], codes: dict[str, dict[str, str]]
) -> None:
    lines = (Line(1, "UNH", True), Line(1, "SG1", False, 99), Line(2, "ABC", True), Line(1, "UNT", True))
    whole = Facts("D.99B", (), {"CUSCAR": Entry("A message", lines, "3")}, segments, segments, elements, codes)
    assert everything(Tables("x", write(whole))) == whole


def same_again(name: str) -> bool:
    whole = directories.facts(name)
    return everything(Tables(name, write(whole))) == whole


def test_a_sample_of_all_directories_comes_back() -> None:
    known = directories.releases()
    if not known:
        pytest.skip("the facts of all directories are not here")
    for name in random.Random(4).sample(known, 3):
        assert same_again(name), name


# ---- damage

DAMAGED = [
    ("EDIFACT D.95B", "EDIFAKT D.95B", 1, "first line"),
    ("\nelements\n", "\nelement\n", 27, "elements is missing"),
    ("end\n", "", 26, "not end"),
    (" SG1 C 9", " SG1 C nine", 6, "SG1 C nine"),
    ("   NAD C 9", "     NAD C 9", 9, "NAD C 9"),
    (" 3035 M\n", " 3035 X\n", 13, "3035 X"),
    (" C082 C 5", " C082 C 0", 14, "C082 C 0"),
    (" 3039 M an..17", " 3039 M an.17", 17, "3039 M an.17"),
    ("3035 an..3 Party", "3035 an.3 Party", 20, "an.3"),
    ("3035 an..3 Party", "\n3035 an..3 Party", 20, "empty line"),
    ("3039 - Party id.", "3035 - Party id.", 21, "3035 stands in elements twice"),
    ("3039 - Party id.\n", "", 19, "elements lacks 3039"),
    ("NAD NAME AND ADDRESS", "NAT NAME AND ADDRESS", 11, "segments lacks NAD"),
    (" 0AB", " AA again", 25, "AA again"),
    (" 0AB", "  0AB", 25, "0AB"),
    ("NAD NAME AND ADDRESS\n 3035 M\n C082 C 5\n", "NAD NAME AND ADDRESS\n", 12, "without lines"),
]


@pytest.mark.parametrize(("old", "new", "line", "said"), DAMAGED, ids=[new.strip()[:20] for _, new, _, _ in DAMAGED])
def test_damage_is_told_with_its_line(old: str, new: str, line: int, said: str) -> None:
    assert old in SMALL
    with pytest.raises(DeclarationError) as caught:
        small(SMALL.replace(old, new, 1)).reach("CUSCAR")
    [finding] = caught.value.findings
    assert (finding.code, finding.place.file, finding.place.line) == ("site.bad_table", "D95B.txt", line)
    assert said in finding.found


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "D95B.txt").write_bytes(SMALL.encode().replace(b"PARTY", b"PART\xff"))
    with pytest.raises(DeclarationError) as caught:
        read(tmp_path / "D95B.txt")
    assert caught.value.findings[0].place.line == 16


@given(st.integers(0, len(SMALL) - 1), st.sampled_from(["", "\n", " ", "x", "\0", "9"]))
@settings(max_examples=200, deadline=None)
def test_one_change_is_damage_or_still_a_table(at: int, other: str) -> None:
    try:
        directory = small(SMALL[:at] + other + SMALL[at + 1 :])
        for type in directory.own.names("messages"):
            directory.reach(type)
    except DeclarationError as fault:
        assert fault.findings[0].place.line


def test_only_what_is_asked_for_is_parsed() -> None:
    """Damage of a segment does not keep another from being read."""
    directory = small(SMALL.replace("segments\n", "segments\nBGM BEGINNING\n junk\n"))
    assert directory.segment("NAD")[0] == replace(directory.segment("NAD")[0], id="3035")
    with pytest.raises(DeclarationError):
        directory.segment("BGM")
