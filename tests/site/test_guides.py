"""Guides in a site: what is merged for whom, and each mistake found at its line by `eport check`."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from hub.catalogue import LANGUAGES, describe
from hub.declaration import Declaration, excerpt, model, parse
from hub.errors import DeclarationError
from hub.finding import Finding
from hub.site import guidecheck, guidefile
from hub.site.guidefile import GuideFile
from hub.site.load import facts_of, load
from hub.site.site import Site

from .conftest import ROOT, Copy

FILE = "schemas/manifest/test.guide.yaml"
DAY = date(2026, 7, 1)
GOOD = """guide: test
for: {parties: [TJLINE], kinds: [cuscar-d95b]}
from: 2026-01-01
until: 2026-12-31
tolerate:
  - {code: edifact.unt_count, as: repair}
  - {code: edifact.code_unknown, at: BGM/1001, values: [45X], as: ignore}
  - {code: edifact.element_too_long, at: FTX/C108/4440, upto: 512, as: warn}
narrow:
  - {at: "SG7/NAD[3035=CN]", status: required}
  - {at: RFF/C506/1154, length: 1..17}
  - {at: BGM/1225, codes: [9, 4]}
  - {at: EQD/C237/8260, identifier: container-number}
  - {at: SG5/SG10, repeat: 99}
  - {at: BGM/C002/1000, status: not-used, when: BGM/1225 = '9'}
write: {una: true, syntax: "UNOC:3"}
accept: each
"""


def written(copy: Copy, text: str = GOOD, file: str = FILE) -> list[Finding]:
    """What is wrong with the site when this guide is in it."""
    (copy.folder / file).write_text(text, "utf-8")
    return copy.findings()


@pytest.fixture(scope="module")
def site() -> Site:
    """The reference site, whose facts the guides of the tests are checked against."""
    return load(ROOT)


def checked(site: Site, *texts: str, charsets: bool = True) -> list[Finding]:
    """What is wrong with these guides, named FILE, other.guide.yaml and so on."""
    routes = site.routes
    if not charsets:
        bare = {name: party.model_copy(update={"charset": ""}) for name, party in routes.parties.items()}
        routes = routes.model_copy(update={"parties": bare})
    guided = []
    for text, file in zip(texts, (FILE, "schemas/vessel/other.guide.yaml"), strict=False):
        try:
            source = Declaration(file, parse(file, text.encode()))
            guided.append((source, model(source, GuideFile)))
        except DeclarationError as fault:
            return list(fault.findings)
    facts = {name: facts_of(usage) for name, usage in site.kinds.items()}
    return guidecheck.check(routes, list(site.kinds), facts, site.tables, list(site.lists), guided)[1]


def test_a_good_guide_has_nothing_against_it_and_changes_the_fingerprint(copy: Copy) -> None:
    before = load(copy.folder)
    assert written(copy) == []
    site = load(copy.folder)
    assert site.fingerprint != before.fingerprint
    guide = site.guide("TJLINE", "cuscar-d95b", DAY)
    assert [rule.by for rule in guide.tolerances][:2] == ["test.guide.yaml:6", "test.guide.yaml:7"]
    assert guide.tolerances[3].by.startswith("carriers.guide.yaml")  # the party before its role
    assert guide.write.una and guide.write.charset == "utf-8" == guide.charset  # the charset of routes.yaml
    assert site.guide("TJLINE", "cuscar-d95b", date(2027, 1, 1)).write.una is False
    assert site.guide("BOHAI", "cuscar-d95b", DAY).tolerances == ()
    assert site.guide("TJLINE", "cusrep-d96b", DAY).tolerances == ()
    assert site.guide("NOBODY", "cuscar-d95b", DAY).tolerances == ()


UNT = "{code: edifact.unt_count, as: repair}"
FOUND = "{code: edifact.code_unknown, at: BGM/1001, values: [45X], as: ignore}"
LONG = "{code: edifact.element_too_long, at: FTX/C108/4440, upto: 512, as: warn}"
CN = '{at: "SG7/NAD[3035=CN]", status: required}'
BILL = "{at: RFF/C506/1154, length: 1..17}"
FUNCTION = "{at: BGM/1225, codes: [9, 4]}"
WRITE = 'write: {una: true, syntax: "UNOC:3"}'


@pytest.mark.parametrize(
    ("old", "new", "code", "found", "expected"),
    [
        # whom it is for
        ("[TJLINE]", "[TJLIN]", "site.unknown_name", "TJLIN", "TJLINE"),
        ("parties: [TJLINE]", "roles: [carier]", "site.unknown_name", "carier", "carrier"),
        ("parties: [TJLINE], ", "", "site.missing_key", "", "parties, roles"),
        ("[cuscar-d95b]", "[cuscar-d96b]", "site.unknown_name", "cuscar-d96b", "cuscar-d95b"),
        ("for: {p", "for: {party: [A], p", "site.unknown_key", "party", "parties"),
        ("until: 2026-12-31", "until: 2025-12-31", "site.never_applies", "2025-12-31", "2026-01-01"),
        ("until: 2026-12-31", "until: 2026-02-30", "site.bad_value", "2026-02-30", "day"),
        ("until: 2026-12-31", "until: 20261231", "site.bad_value", "20261231", "2026-07-01"),
        # tolerances
        (UNT, "{cod: edifact.unt_count, as: warn}", "site.unknown_key", "cod", "code"),
        (UNT, "{code: edifact.unt_cuont, as: warn}", "site.unknown_name", "edifact.unt_cuont", "edifact.unt_count"),
        (UNT, "{code: edifact.unt_count, as: fix}", "site.bad_value", "fix", "'repair'"),
        (UNT, "{code: edifact.undecodable, as: warn}", "site.not_tolerable", "edifact.undecodable", ""),
        (UNT, "{code: signature.invalid, as: ignore}", "site.not_tolerable", "signature.invalid", ""),
        (UNT, "{code: opening.sender_mismatch, as: warn}", "site.not_tolerable", "opening.sender_mismatch", ""),
        (UNT, "{code: edifact.code_unknown, as: repair}", "site.not_repairable", "edifact.code_unknown", "unt_count"),
        (UNT, "{code: edifact.unt_count, at: UNT, as: warn}", "site.never_applies", "UNT", "lies in no message"),
        (UNT, "{code: xml.value, as: warn}", "site.never_applies", "xml.value", "cuscar-d95b"),
        (UNT, "{code: edifact.element_missing, values: [A], as: warn}", "site.never_applies", "edifact.el", "no value"),
        (UNT, "{code: edifact.code_unknown, upto: 9, as: warn}", "site.never_applies", "9", "element_too_long"),
        (FOUND, FOUND + "\n  - " + FOUND, "site.never_applies", "edifact.code_unknown", ".yaml:7"),
        (FOUND, FOUND.replace("BGM", "BGN"), "site.bad_path", "BGN/1001", "BGM"),
        (FOUND, FOUND.replace("1001", "1002"), "site.bad_path", "BGM/1002", "1001"),
        (FOUND, FOUND.replace("45X", "45X, 785"), "site.never_applies", "785", "D.95B"),
        (FOUND, FOUND.replace("1001", "1004"), "site.never_applies", "BGM/1004", "no codes"),
        (LONG, LONG.replace("512", "70"), "site.never_applies", "70", "an..70"),
        # what is asked
        (CN, CN.replace("SG7/NAD", "SG7/NADX"), "site.bad_path", "SG7/NADX[3035=CN]", "NAD RFF SG8"),
        (CN, CN.replace("SG7/NAD", "NAD"), "site.bad_path", "NAD[3035=CN]", "SG4/SG5/SG7/NAD"),
        (CN, "{at: BGM, status: required}", "site.never_applies", "required", "BGM M"),
        (CN, "{at: SG5/RFF/C506/1153, status: not-used}", "site.bad_value", "not-used", "1153 M"),
        (CN, "{at: SG5/SG10/GID}", "site.missing_key", "", "status"),
        (CN, '{at: SG5/SG9, status: required, when: "SG5/SG99"}', "site.bad_path", "SG5/SG99", "SG9"),
        (BILL, BILL.replace("1..17", "1..40"), "site.never_applies", "1..40", "an..35"),
        (BILL, BILL.replace("1..17", "17..1"), "site.bad_value", "17..1", "1..17"),
        (BILL, BILL.replace("1..17", "long"), "site.bad_value", "long", "pattern"),
        (BILL, BILL.replace("C506/1154", "C506"), "site.bad_path", "RFF/C506", "one element"),
        (FUNCTION, FUNCTION.replace("4]", "99]"), "site.never_applies", "99", "D.95B 1225"),
        (FUNCTION, FUNCTION.replace("[9, 4]", "{list: contry}"), "site.unknown_name", "contry", "country"),
        ("container-number", "container-nummer", "site.unknown_name", "container-nummer", "container-number"),
        ("repeat: 99}", "repeat: 99999}", "site.never_applies", "99999", "SG10: 9999"),
        ("SG5/SG10, repeat", "EQD/C237/8260, repeat", "site.never_applies", "99", "8260: 1"),
        # reading, writing
        (WRITE, 'write: {syntax: "UNOQ:3"}', "site.bad_value", "UNOQ:3", "UNO"),
        (WRITE, 'write: {syntax: "UNOC:7"}', "site.bad_value", "UNOC:7", "UNOC:3"),
        (WRITE, 'write: {separators: "++.? \'"}', "site.bad_value", "++.? '", ":+.? '"),
        (WRITE, "write: {separators: abc}", "site.bad_value", "abc", ":+.? '"),
        (WRITE, "write: {charset: utf-9}", "site.bad_value", "utf-9", "gb18030"),
        (WRITE, "write: {charset: gb18030}", "site.twice", "gb18030", "parties.TJLINE.charset"),
        (WRITE, "read: {charset: utf-8}", "site.bad_value", "for: kinds", "before the kind"),
        ("accept: each", "accept: some", "site.bad_value", "some", "'each'"),
    ],
)
def test_each_mistake_is_found_at_its_line(
    site: Site, tmp_path: Path, old: str, new: str, code: str, found: str, expected: str
) -> None:
    assert GOOD.count(old) == 1
    text = GOOD.replace(old, new)
    hits = [f for f in checked(site, text) if f.code == code]
    assert hits, checked(site, text)
    assert found in hits[0].found and expected in hits[0].expected
    line = GOOD[: GOOD.index(old)].count("\n") + 1 + ("\n" in new)
    assert (hits[0].place.file, hits[0].place.line) == (FILE, line)
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_text(text, "utf-8")
    assert "^" in excerpt(tmp_path, hits[0])
    assert all(all(describe(hits[0], lang)) for lang in LANGUAGES)


@pytest.mark.parametrize(
    ("about", "rest", "at", "says"),
    [
        ("{parties: [TJLINE], kinds: [cuscar-d95b]}", f"tolerate:\n  - {UNT}", 0, ""),
        ("{parties: [TJLINE]}", "tolerate:\n  - {code: edifact.unt_count, as: warn}", 4, "test.guide.yaml:6"),
        ("{parties: [TJLINE, BOHAI]}", "accept: all", 3, "test.guide.yaml:17"),
        ("{parties: [TJLINE]}", "write: {una: false}", 3, "test.guide.yaml:16"),
        ("{roles: [carrier]}", "accept: all", 0, ""),
        ("{parties: [BOHAI]}", "accept: all", 0, ""),
        ("{parties: [TJLINE], associations: [SMDG16]}", "accept: all", 0, ""),
        ("{parties: [TJLINE]}\nfrom: 2027-01-01", "accept: all", 0, ""),
        ("{parties: [TJLINE], kinds: [cusrep-d96b]}", "accept: all", 0, ""),
        (
            "{parties: [TJLINE], kinds: [cuscar-d95b]}",
            "narrow:\n  - {at: RFF/C506/1154, length: 9}",
            4,
            "guide.yaml:11",
        ),
        ("{parties: [TJLINE], kinds: [cuscar-d95b]}", "narrow:\n  - {at: RFF/C506/1154, length: 1..17}", 0, ""),
    ],
)
def test_two_files_of_one_rank_may_not_contradict_each_other(
    site: Site, about: str, rest: str, at: int, says: str
) -> None:
    hits = checked(site, GOOD, f"guide: other\nfor: {about}\n{rest}\n")
    assert [f.code for f in hits] == (["site.contradiction"] if at else [])
    if at:
        assert hits[0].place.line == at and "other" in str(hits[0].place.file) and says in hits[0].expected


def test_a_name_is_given_once(site: Site) -> None:
    [finding] = checked(site, GOOD, "guide: test\nfor: {parties: [BOHAI]}\n")
    assert (finding.code, finding.found, finding.expected) == ("site.twice", "test", FILE)


def test_the_site_tells_what_is_wrong_with_its_guides(copy: Copy) -> None:
    written(copy, GOOD.replace("SG7/NAD", "SG7/NADX"))
    other = "guide: carriers\nfor: {roles: [carrier]}\naccept: all\n"
    codes = [(f.code, f.place.file) for f in written(copy, other, "schemas/vessel/other.guide.yaml")]
    assert ("site.bad_path", FILE) in codes and ("site.twice", "schemas/vessel/other.guide.yaml") in codes
    assert ("site.contradiction", "schemas/vessel/other.guide.yaml") in codes


def test_a_guide_that_cannot_be_read_is_told_alone(copy: Copy) -> None:
    [finding] = written(copy, "guide: test\nfor: [\n")
    assert (finding.code, finding.place.file) == ("site.unreadable", FILE)


def test_rules_for_xml_are_checked_against_the_schema(site: Site) -> None:
    head = "guide: x\nfor: {parties: [TJLINE], kinds: [manifest]}\n"
    good = head + "narrow: [{at: Manifest/Consignment/BillOfLading, length: ..17}]\n"
    assert checked(site, good) == []
    [finding] = checked(site, good.replace("BillOfLading", "BillOfLadin"))
    assert finding.code == "site.bad_path" and "BillOfLading" in finding.expected
    hits = checked(site, head + "tolerate: [{code: edifact.unt_count, as: warn}]\nwrite: {una: true}\n")
    assert {(f.code, f.place.line) for f in hits} == {("site.never_applies", 3), ("site.never_applies", 4)}
    [finding] = checked(site, good.replace("kinds:", "associations: [A], kinds:"))
    assert (finding.code, finding.found) == ("site.never_applies", "A")


def examples() -> list[str]:
    """The YAML of the chapter about guides."""
    chapter = re.search(r"^## schemas/<system>/.*?(?=^## )", (ROOT / "docs/declare.md").read_text("utf-8"), re.M | re.S)
    assert chapter
    return re.findall(r"^```yaml\n(.*?)^```", chapter[0], re.M | re.S)


@pytest.mark.parametrize("number", range(len(examples())))
def test_every_example_of_the_documentation_loads(site: Site, number: int) -> None:
    assert checked(site, examples()[number], charsets=False) == []


def test_the_documentation_shows_every_construct() -> None:
    shown = "\n".join(examples())
    for part in (guidefile.GuideFile, guidefile.Tolerate, guidefile.Narrow, guidefile.Written, guidefile.Applies):
        for name, field in part.model_fields.items():
            assert re.search(rf"\b{field.alias or name}:", shown), name
    for word in ("warn", "ignore", "reject", "repair", "required", "not-used", "all", "each"):
        assert re.search(rf": {word}\b", shown), word


def test_the_reference_site_has_a_guide_for_its_carriers(site: Site) -> None:
    assert site.guide("TJLINE", "cuscar-d95b", DAY).narrowings
