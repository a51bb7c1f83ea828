"""Every mistake of a mapping file is found when it is compiled, at its line and column, with what was meant."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hub.errors import DeclarationError

from .conftest import Made

XML = "from: cuscar\nto: report\ndocument:\n  Report:\n    "
ORDER = "from: order\nto: report\ndocument:\n  Report:\n    "
EDI = "from: order\nto: cuscar\nmessage:\n  "


@pytest.mark.parametrize(
    ("text", "line", "column", "found", "expected"),
    [
        # the file
        ("frm: cuscar\nto: report\ndocument: {Report: {}}\n", 1, 1, "frm", "from"),
        ("from: cuscar\nto: report\n", 1, 1, "", "document or message"),
        ("from: [cuscar]\nto: report\ndocument: {Report: {Number: =1}}\n", 1, 7, "a list", "alias"),
        ("from: cuscar\nto: report\ndocument: {Reprot: {Number: =1}}\n", 3, 12, "Reprot", "root"),
        ("from: cuscar\nto: report\ndocument: {Report: {Number: =1}, Order: {}}\n", 3, 11, "several", "root"),
        ("from: cuscar\nto: report\ndocument: {Report: {each: SG4, Number: =1}}\n", 3, 21, "each", "split"),
        # targets
        (XML + "Numbr: =1", 5, 5, "Report/Numbr", "Number"),
        (XML + 'Party: {"@rol": =CA}', 5, 13, "Report/Party/@rol", "@role"),
        (XML + "Party: [[]]", 5, 13, "a list", "one value or a branch"),
        (XML + "Number: [=1, =2, []]", 5, 22, "a list", "one value"),
        (EDI + "SG9: {RFF: {}}", 4, 3, "SG9", "SG4"),
        (EDI + "SG2: {ECD: {}}", 4, 9, "SG2/ECD", "EQD"),
        (EDI + 'BGM: {"1005": =1}', 4, 9, "BGM/1005", "1004"),
        (EDI + "BGM: =785", 4, 8, "BGM", "a branch"),
        (EDI + 'BGM: {"1004": {each: Order/Line, from: Goods}}', 4, 17, "BGM/1004", "one value"),
        # paths
        (XML + "Number: BGN/1004", 5, 13, "BGN/1004", "BGM"),
        (XML + "Number: BGM/1040", 5, 13, "BGM/1040", "1004"),
        (XML + "Number: SG1/LOC/C517/3225/1", 5, 13, "SG1/LOC/C517/3225/1", "3225"),
        (XML + "Number: BGM//1004", 5, 13, "BGM//1004", "column 5"),
        (XML + "Number: BGM", 5, 13, "BGM", "a path down to a value"),
        (XML + "Number: SG4/SG5", 5, 13, "SG4/SG5", "value"),
        (XML + "Number: SG1/LOC[3228=11]/C517/3225", 5, 13, "SG1/LOC[3228=11]", "3227"),
        (XML + "Number: SG4/SG5/SG7[NAD/3036x=CN]/NAD/3035", 5, 13, "SG7[NAD/3036x=CN]", "3036"),
        (XML + "Number: SG4/SG5/SG7[NAD=CN]/NAD/3035", 5, 13, "SG7[NAD=CN]", "an element"),
        (XML + "Number: call:BGM/1004", 5, 13, "call:BGM/1004", "a source that there is"),
        (XML + "Number: .", 5, 13, ".", "loop"),
        (XML + "Number: {sum: '*/1'}", 5, 19, "*/1", "by"),
        (XML + "Bill: {each: SG4, Number: BGM/1004}", 5, 31, "BGM/1004", "CNI"),
        (ORDER + "Number: Order/Numbr", 5, 13, "Order/Numbr", "Number"),
        (ORDER + "Number: 'Order/Line[Bx=1]/Goods'", 5, 13, "Order/Line[Bx=1]/Goods", "Box"),
        (ORDER + "Number: Order/Line/@nr", 5, 13, "Order/Line/@nr", "@no"),
        # values
        (XML + "Number: {frm: BGM/1004}", 5, 14, "frm", "from"),
        (XML + "Number: {from: BGM/1004, ass: trim}", 5, 30, "ass", "as"),
        (XML + "Number: {from: BGM/1004, with: x}", 5, 30, "with", "when"),
        (XML + "Number: {from: BGM/1004, as: trimm}", 5, 34, "trimm", "trim"),
        (XML + "Number: {from: BGM/1004, as: [trim, {pd: [1, x]}]}", 5, 42, "pd", "pad"),
        (XML + "Number: {from: BGM/1004, as: {pad: 6}}", 5, 40, "pad", '{pad: [width, "character"]}'),
        (XML + "Number: {from: BGM/1004, as: {pad: [0, x]}}", 5, 40, "pad", "from 1"),
        (XML + "Number: {from: BGM/1004, as: {unit: [KGM, TNN]}}", 5, 41, "unit", "TNE"),
        (XML + "Number: {from: BGM/1004, as: {unit: [KGM, MTR]}}", 5, 41, "unit", "TNE"),
        (XML + 'Number: {from: BGM/1004, as: {moment: "102"}}', 5, 43, "moment", "203"),
        (XML + "Number: {from: BGM/1004, as: {trim: 1}}", 5, 41, "trim", "alone"),
        (XML + "Number: {from: BGM/1004, as: round}", 5, 34, "round", "{round: decimal places}"),
        (XML + "Number: {from: BGM/1004, as: [number, date]}", 5, 43, "date of a number", "round"),
        (XML + "Number: {count: SG4, as: date}", 5, 30, "date of a number", "times"),
        (XML + "Number: {from: BGM/1004, cut: 0}", 5, 35, "0", "from 1"),
        (XML + "Number: {from: BGM/1004, map: lod}", 5, 35, "lod", "load"),
        (XML + "Number: {from: BGM/1004, map: {tabel: load}}", 5, 36, "tabel", "table"),
        (XML + "Number: {from: BGM/1004, map: load, unknown: kep}", 5, 50, "kep", "keep"),
        (XML + "Number: {from: BGM/1004, unknown: keep}", 5, 39, "unknown", "map"),
        (XML + "Number: {party: NAD/C082/3039, give: titel}", 5, 42, "titel", "title"),
        (XML + "Number: {number: lop}", 5, 22, "lop", "loop"),
        (XML + "Number: {number: loop}", 5, 22, "loop", "a loop around it"),
        (XML + "Number: {running: BGM/1004}", 5, 23, "running", "a loop around it"),
        (XML + "Number: {first: BGM/1004}", 5, 21, "one value", "a list"),
        (XML + "Number: {sum: SG4}", 5, 19, "SG4", "value"),
        # branches
        (XML + "Bill: {each: SG4, at: SG4}", 5, 27, "each and at", "one of them"),
        (XML + "Bill: {each: {form: SG4}}", 5, 18, "no path", "from"),
        (XML + "Bill: {each: {from: SG4, wher: {}}}", 5, 30, "wher", "where"),
        (XML + "Bill: {each: {from: SG4, where: {CNJ/1490: =1}}}", 5, 38, "CNJ/1490", "CNI"),
        (XML + "Bill: {each: {from: SG4, sort: CNI/1491}}", 5, 36, "CNI/1491", "1490"),
        (XML + "Party: {choose: [{Name: =a}, {Name: =b}]}", 5, 22, "no when", "when"),
        (XML + "Party: {choose: [{Name: =a}], Name: =b}", 5, 12, "choose", "each of its branches"),
        (XML + "Party: {when: BGM/1004 ~ 'x', Name: =b}", 5, 19, "BGM/1004 ~ 'x'", ""),
        (XML + "Party: {when: \"BGM/1004 in 'x'\", Name: =b}", 5, 19, "'x'", "['a', 'b']"),
        (XML + "Party: {when: BGM/1004 < 'x', Name: =b}", 5, 19, "'x'", "a date"),
        (XML + "Party: {when: {al: []}, Name: =b}", 5, 20, "al", "all"),
        (XML + "Party: {when: {any: BGM}, Name: =b}", 5, 25, "any", "a list"),
        # narrowing, long text, fragments
        (XML + "Number: {from: BGM/1004, narrow: trunc}", 5, 38, "trunc", "truncate"),
        (XML + "Number: {from: BGM/1004, narrow: truncate}", 5, 13, "truncate", "cut"),
        (XML + "Text: {from: BGM/1004, narrow: transliterate}", 5, 11, "transliterate", "XML"),
        (XML + "Number: {spread: BGM/1004}", 5, 13, "no width", "width"),
        (EDI + "FTX: {C108/4440: {spread: Order/Text, width: 700}}", 4, 48, "700", "70"),
        (EDI + "FTX: {C108/4440: {spread: Order/Text, times: 6}}", 4, 48, "6", "5"),
        (EDI + "FTX: {C108/4440: {spread: Order/Text, more: page}}", 4, 47, "page", "segment"),
        (XML + "Party: {use: prty}\nfragments: {party: {Name: =a}}", 5, 18, "prty", "party"),
        (XML + "Party: {use: a}\nfragments: {a: {use: b}, b: {use: a}}", 6, 35, "a → b → a", "itself"),
        (XML + "Party: {use: a}\nfragments: {a: {Nam: =a}}", 6, 17, "Report/Party/Nam", "Name"),
        ("split: SG44\n" + XML + "Number: =1", 1, 8, "SG44", "SG4"),
    ],
)
def test_a_mistake(made: Made, text: str, line: int, column: int, found: str, expected: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        made(text + "\n")
    finding, place = caught.value.findings[0], caught.value.findings[0].place  # type: ignore[attr-defined]
    assert (place.file, place.line, place.column) == ("m.yaml", line, column), finding
    assert found in finding.found and expected in finding.expected, finding
    assert finding.code in ("mapping.unreadable", "mapping.type")


def test_every_mistake_is_found_at_once(made: Made) -> None:
    with pytest.raises(DeclarationError) as caught:
        made(XML + "Number: BGN/1004\n    Numbr: =1\n    Bill: {each: SG4, Number: BGM/1004, Item: {Text: FTX/1}}\n")
    places = [(one.place.line, one.place.column) for one in caught.value.findings]  # type: ignore[attr-defined]
    assert places == [(5, 13), (6, 5), (7, 31), (7, 54)]


def test_fragments_that_multiply_are_refused(made: Made) -> None:
    names = [f"f{at}" for at in range(18)]
    many = ", ".join(
        f"{name}: {{Name: =a, Address: {{use: {after}, ./x: {{use: {after}}}}}}}" for name, after in pairwise(names)
    )
    with pytest.raises(DeclarationError, match=r"m\.yaml"):
        made(XML + f"Party: {{use: f0}}\nfragments: {{{many}, f17: {{Name: =a}}}}\n")
