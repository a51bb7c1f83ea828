"""A directory as UNECE publishes it, imported: both layouts, whole archives, and what hostile or broken ones do."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest

from hub.catalogue import describe
from hub.edifact.tables import Entry, Facts, Line, Tables, everything, write
from hub.standards import archive
from hub.standards.choice import choose
from hub.standards.importing import Imported, read
from tests import directories
from tests.unece import Printer, zipped

NEW = {
    "CUSCAR_D.01B": """
                               UN/EDIFACT

                 UNITED NATIONS STANDARD MESSAGE (UNSM)

                   Customs cargo report message for a
                             longer name

----------------------------------------------------------------------
                                       Message Type : CUSCAR
                                       Version      : D
                                       Release      : 01B
                                       Contr. Agency: UN

                                       Revision     : 6
4.3.1  Segment table ............... 9

4.3.1  Segment table

Pos    Tag Name                                     S   R

       HEADER SECTION

0010   UNH Message header                           M   1
0020 | BGM Beginning of message                     M   1

0030       ---- Segment group 1  ------------------ C   99---------------+
0040 X NAD Name and address                         M   1                |
                                                                         |
0050 +     ---- Segment group 2  ------------------ M   9---------------+|
0060 * BGM A name that is much longer than its
           column                                   M   1               ||
0070   NAD Name and address                         C   99999-----------+|
0080   BGM Beginning of message                     C   5----------------+

0090   UNT Message trailer                          M   1
""",
    "EDSD.01B": """
----------------------------------------------------------------------

       BGM  BEGINNING OF MESSAGE

       Function: To indicate the type of a message
                 and 1001 M 1.

010    C002 DOCUMENT/MESSAGE NAME                      C    1
       1001  Document name code                        C      an..3
       1131  Code list identification code             C      an..17

020 X  1225 MESSAGE FUNCTION CODE OF A MESSAGE WHICH IS
            LONG                                       C    1 an..3

----------------------------------------------------------------------

+      NAD  NAME AND ADDRESS

       Function: To specify.

010    3124 NAME                                       M    5 an..35

       Note:
            1 C  in D.01B
""",
    "EDCD.01B": """
----------------------------------------------------------------------

|      C002 DOCUMENT/MESSAGE NAME

       Desc: Identification of a document.

010    1001  Document name code                        C      an..3
020 *  1131  Code list identification code             C      an..17
""",
    "EDED.01B": """
----------------------------------------------------------------------

     1001  Document name code                                      [C]

     Desc: Code.

     Repr: an..3
----------------------------------------------------------------------

X    1131  Code list identification code                           [C]

     Desc: Code.

     Repr: an..17
----------------------------------------------------------------------

     1225  Message function code                                   [C]

     Desc: Code.

     Repr: an..3

     Note:
           1 This one is about a note.

----------------------------------------------------------------------

     3124  Name                                                    [B]

     Desc: Name.

     Repr: an..35
""",
    "UNCL.01B": """
     Change indicators: a plus sign (+) for an addition

----------------------------------------------------------------------

*    1001  Document name code                                      [C]

     Desc: Code specifying the document name.

     Repr: an..3

     Note:
           1 Not a code.

     1     Certificate of analysis
              Certificate providing the values of an analysis.
              10 of them.

+    10    Certificate of a kind whose name does not fit into one
           line
              What it is.

X    787   An older one

----------------------------------------------------------------------

     1225  Message function code                                   [C]

     Desc: Code.

     Repr: an..3

     9     Original
              Initial transmission.
""",
}
OLD = {
    "cuscar_d.95b": """
                     UNITED NATIONS STANDARD MESSAGE (UNSM)

                          Customs cargo report message

                              Message Type : CUSCAR
                              Release      : 95B
                              Revision     : 2 / Status 2

4.3.1   Segment table

Tag Name                                  S   R

UNH Message header                        M   1
    ── Segment Group 1  ───────────────── C   9──────────────────┐
NAD Name and address                      M   1                  │
    ── Segment Group 2  ───────────────── C   9─────────────────┐│
NAD Name and address                      M   1─────────────────┘┘
UNT Message trailer                       M   1

4.3.2   Branching diagram

UNS Section control                       M   1
""",
    "trsd.95b": """
 ──────────────────────────────────────────────────────────────

  NAD   NAME AND ADDRESS
        Function: To specify.

010   3124  NAME                                   M  an..35

020 + 1225  MESSAGE FUNCTION, CODED                C  an..3
""",
    "tred.95b": """
 ──────────────────────────────────────────────────────────────

  3124  Name

  Desc: Name.

  Repr: an..35
 ──────────────────────────────────────────────────────────────

  1225  Message function, coded

  Desc: Code.

  Repr: an..3

        1 Cancellation
             To cancel.
        9 Original
             First.
       10 Not found
             A message with a number of
             two digits.
""",
}


def folder(path: Path, texts: dict[str, str], codec: str = "utf-8") -> Path:
    path.mkdir(exist_ok=True)
    for name, text in texts.items():
        (path / name).write_bytes(text.replace("\n", "\r\n").encode(codec))
    return path


def told(imported: Imported) -> list[tuple[str, str | None, int | None]]:
    assert all(describe(finding, "zh") and describe(finding, "en") for finding in imported.findings)
    return [(f.code.removeprefix("standards."), f.place.file, f.place.line) for f in imported.findings]


def test_the_layout_since_1997(tmp_path: Path) -> None:
    imported = read(folder(tmp_path / "d01b", NEW))
    assert told(imported) == []
    facts = imported.facts
    assert facts.release == "D.01B"
    cuscar = facts.messages["CUSCAR"]
    assert (cuscar.name, cuscar.revision) == ("Customs cargo report message for a longer name", "6")
    assert [(line.depth, line.id, line.required, line.max) for line in cuscar.lines] == [
        (1, "UNH", True, 1),
        (1, "BGM", True, 1),
        (1, "SG1", False, 99),
        (2, "NAD", True, 1),
        (2, "SG2", True, 9),
        (3, "BGM", True, 1),
        (3, "NAD", False, 99999),
        (2, "BGM", False, 5),
        (1, "UNT", True, 1),
    ]
    assert facts.segments["BGM"].lines == (Line(1, "C002", False), Line(1, "1225", False))
    assert facts.segments["NAD"].lines == (Line(1, "3124", True, 5),)
    assert facts.composites["C002"] == Entry("DOCUMENT/MESSAGE NAME", (Line(1, "1001", False), Line(1, "1131", False)))
    assert facts.elements["1131"] == ("Code list identification code", "an..17")
    assert facts.codes == {
        "1001": {
            "1": "Certificate of analysis",
            "10": "Certificate of a kind whose name does not fit into one line",
            "787": "An older one",
        },
        "1225": {"9": "Original"},
    }


@pytest.mark.parametrize("codec", ["cp437", "utf-8"])
def test_the_layout_of_the_1990s(tmp_path: Path, codec: str) -> None:
    imported = read(folder(tmp_path / "d95b", OLD, codec))
    assert told(imported) == []
    cuscar = imported.facts.messages["CUSCAR"]
    assert (cuscar.name, cuscar.revision) == ("Customs cargo report message", "2")
    lines = [(line.depth, line.id, line.max) for line in cuscar.lines]
    assert lines == [(1, "UNH", 1), (1, "SG1", 9), (2, "NAD", 1), (2, "SG2", 9), (3, "NAD", 1), (1, "UNT", 1)]
    assert imported.facts.codes == {"1225": {"1": "Cancellation", "9": "Original", "10": "Not found"}}
    assert everything(Tables("x", write(imported.facts))).messages == imported.facts.messages


def test_a_sample_of_all_directories_is_imported_as_it_is(tmp_path: Path) -> None:
    known = [name for name in directories.releases() if name != "D94B"]  # its DOCINF has two tables, one behind another
    if not known:
        pytest.skip("the facts of all directories are not here")
    chance = random.Random(11)
    for name in (chance.choice([n for n in known if n[1] == "9"]), chance.choice([n for n in known if n[1] != "9"])):
        facts = directories.facts(name)
        facts = choose(facts, chance.sample(sorted(facts.messages), 8))
        file = tmp_path / f"{name.lower()}.zip"
        file.write_bytes(Printer(facts, old=name < "D97A" and name[1] == "9", seed=5).archive())
        imported = read(file)
        assert imported.findings == ()
        facts.source = imported.facts.source
        assert imported.facts == facts, name


def test_only_the_types_that_are_wanted_and_what_they_reach(tmp_path: Path) -> None:
    texts = NEW | {"CUSRES_D.01B": NEW["CUSCAR_D.01B"].replace("CUSCAR", "CUSRES").replace("NAD", "BGM")}
    imported = read(folder(tmp_path / "d01b", texts), ["CUSRES", "CUSDEC"])
    assert told(imported) == [("no_type", None, None)]
    assert imported.facts.messages.keys() == {"CUSRES"} and imported.facts.segments.keys() == {"BGM"}
    assert "3124" not in imported.facts.elements


def test_what_refers_to_something_undefined_is_left_out(tmp_path: Path) -> None:
    texts = NEW | {"EDED.01B": NEW["EDED.01B"].replace("     3124  Name  ", "     3125  Name  ")}
    imported = read(folder(tmp_path / "d01b", texts))
    assert [(f.code, f.found, f.expected) for f in imported.findings] == [
        ("standards.undefined", "NAD", "3124"),
        ("standards.undefined", "CUSCAR", "NAD"),
        ("standards.nothing", "", ""),
    ]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("C   99999-----------+|", "C   99999-----------++", 34),  # the outer group ends too soon
        ("M   1               ||", "M   1                |", 32),  # a bracket is missing
        ("0080   BGM Beginning of message                     C   5----------------+\n", "", 35),
    ],
)
def test_a_table_whose_brackets_do_not_fit_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int) -> None:
    text = NEW["CUSCAR_D.01B"]
    assert old in text
    imported = read(folder(tmp_path / "d01b", NEW | {"CUSCAR_D.01B": text.replace(old, new)}))
    assert told(imported)[0] == ("unread", "CUSCAR_D.01B", line)
    assert imported.facts.messages == {}


def test_a_release_that_nothing_names_is_asked_for(tmp_path: Path) -> None:
    texts = {name.partition(".")[0] + ".txt": text.replace(": 01B", ": ?") for name, text in NEW.items()}
    path = folder(tmp_path / "texts", texts)
    assert told(read(path)) == [("no_release", None, None)]
    assert read(path, release="d:01b").facts.release == "D.01B"
    assert told(read(path, release="../../etc")) == [("no_release", None, None)]


def test_the_interactive_part_is_passed_over(tmp_path: Path) -> None:
    texts = NEW | {"IDSD.01B": NEW["EDSD.01B"].replace("3124", "1001")}
    assert read(folder(tmp_path / "d01b", texts)).facts == read(folder(tmp_path / "d01b", NEW)).facts


# ---- archives


def bytes_of(texts: dict[str, str]) -> dict[str, bytes]:
    return {name: text.encode() for name, text in texts.items()}


def test_zips_within_zips_are_read_and_names_are_only_words(tmp_path: Path) -> None:
    file = tmp_path / "d01b.zip"
    file.write_bytes(
        zipped({"../../x/EDALL.ZIP": zipped({f"/etc/{name}": data for name, data in bytes_of(NEW).items()})})
    )
    imported = read(file)
    assert told(imported) == [] and set(imported.facts.messages) == {"CUSCAR"}
    assert [path.name for path in tmp_path.rglob("*")] == ["d01b.zip"]


def test_too_many_zips_within_each_other(tmp_path: Path) -> None:
    data = zipped(bytes_of(NEW))
    for _ in range(archive.DEEPEST):
        data = zipped({"inner.zip": data})
    (tmp_path / "d01b.zip").write_bytes(data)
    assert [code for code, _, _ in told(read(tmp_path / "d01b.zip"))] == ["limit", "nothing"]


@pytest.mark.parametrize(("limit", "value"), [("LARGEST", 5000), ("ALL", 20_000), ("MOST", 3)])
def test_a_bomb_stops_at_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int) -> None:
    bomb = {f"{number}.txt": b"0" * 9000 for number in range(200)}
    (tmp_path / "d01b.zip").write_bytes(zipped({"a.zip": zipped(bomb), "b.zip": zipped(bomb)}))
    monkeypatch.setattr(archive, limit, value)
    read_in: list[int] = []
    plain = archive.text
    monkeypatch.setattr(archive, "text", lambda data: read_in.append(len(data)) or plain(data))
    codes = {code for code, _, _ in told(read(tmp_path / "d01b.zip"))}
    assert codes == {"limit", "nothing"}
    assert sum(read_in) <= value if limit != "MOST" else len(read_in) <= value


def broken(how: str) -> bytes:
    data = bytearray(zipped(bytes_of(NEW)))
    if how == "cut":
        return bytes(data[: len(data) // 2])
    if how == "encrypted":
        at = data.index(b"PK\x01\x02")
        data[6] |= 1
        data[at + 8] |= 1
    elif how == "packed":
        at = data.index(b"PK\x01\x02")
        data[8] = data[at + 10] = 99
    else:
        data[60:90] = b"\xff" * 30
    return bytes(data)


@pytest.mark.parametrize("how", ["cut", "encrypted", "packed", "changed"])
def test_a_broken_archive_is_told_and_not_raised(tmp_path: Path, how: str) -> None:
    (tmp_path / "d01b.zip").write_bytes(broken(how))
    assert ("archive", "d01b.zip", None) in told(read(tmp_path / "d01b.zip"))


def test_whatever_bytes_a_file_has_it_is_told_and_not_raised(tmp_path: Path) -> None:
    chance = random.Random(3)
    for number in range(40):
        texts = bytes_of(NEW | OLD)
        for name, data in texts.items():
            changed = bytearray(data)
            for _ in range(chance.randrange(1, 40)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            texts[name] = bytes(changed)
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w") as packed:
            for name, data in texts.items():
                packed.writestr(name, data)
        file = tmp_path / f"{number}.zip"
        file.write_bytes(whole.getvalue())
        imported = read(file)
        told(imported)
        again = everything(Tables("x", write(imported.facts or Facts("D.01B"))))
        assert again.messages == imported.facts.messages
