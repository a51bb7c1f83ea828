"""`eport check` refuses what could only fail later: the reference site with one mistake at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.catalogue import LANGUAGES, describe
from hub.errors import DeclarationError
from hub.identity.ca import Authority
from hub.site.load import load

from .conftest import ROOT, Copy

ROUTES, VESSEL, MANIFEST = "routes.yaml", "mappings/vessel/system.yaml", "mappings/manifest/system.yaml"
SERVICE = "mappings/service/system.yaml"
MAPPED = "mappings/manifest/cuscar-d95b--to--manifest.yaml"
CREW = "mappings/vessel/vessel-declaration--to--crew-report.yaml"
MAKES = "mappings/vessel/cusrep-paxlst--to--vessel-declaration.yaml"
TO = "to: {TERMINAL: coprar-d95b}"
DECLARED = "      on: {all: [cusrep-d96b, paxlst-d05b]}"
LODGED = "on: {all: [manifest]}"
FOLDER = "adapter: folder, options: {out: spool/boxes/terminal, home: true}"
CUSRES = "send: {kind: cusres-d96b, to: sender}"


def test_a_good_site_has_nothing_against_it(copy: Copy) -> None:
    site = load(copy.folder)
    assert site.warnings == ()
    assert {"cusrep-d96b", "manifest", "contrl"} <= site.kinds.keys()
    written = {mapping.name for mapping in site.mappings.values() if mapping.name.endswith(".yaml")}
    assert written == {path.name for path in (ROOT / "mappings").glob("*/*--to--*.yaml")}
    assert {("manifest", "manifest-json"), ("manifest-json", "manifest")} <= site.mappings.keys()  # one document


def test_nothing_but_secrets_that_are_not_made_yet_is_against_the_reference_site() -> None:
    assert {(f.code, f.severity) for f in load(ROOT).warnings} <= {("site.secret", "warning")}


@pytest.mark.parametrize(
    ("file", "old", "new", "code", "found", "expected"),
    [
        # names
        (ROUTES, "  TERMINAL: {title", "  Term/inal: {title", "site.bad_name", "Term/inal", ""),
        (ROUTES, "  TERMINAL: {title", '  "": {title', "site.bad_name", "", ""),
        (ROUTES, "  TERMINAL: {title", "  sender: {title", "site.bad_name", "sender", ""),
        (ROUTES, "  terminal: {ad", "  the terminal: {ad", "site.bad_name", "the terminal", ""),
        (VESSEL, "  cusres-d96b: {", "  cusres,d96b: {", "site.bad_name", "cusres,d96b", ""),
        (VESSEL, "system: vessel", "system: ../vessel", "site.bad_name", "../vessel", ""),
        (VESSEL, "system: vessel", "system: service", "site.twice", "service", SERVICE),
        (VESSEL, "  cusres-d96b: {", "  manifest: {", "site.twice", "manifest", MANIFEST),
        ("schemas/codes/sex.yaml", "table: sex", "table: movement", "site.twice", "movement", "schemas/codes"),
        # the port and its parties
        (ROUTES, "port: TJEPORT", "port: TJEPROT", "site.unknown_name", "TJEPROT", "TJEPORT"),
        (ROUTES, "zone: Asia/Shanghai", "zone: Asia/Shangai", "site.bad_value", "Asia/Shangai", "Asia/Shanghai"),
        (ROUTES, "zone: Asia/Shanghai", "zone: ../../etc", "site.bad_value", "../../etc", "Asia/Shanghai"),
        (ROUTES, "zone: Asia", "doors: {sftp: localhost}\nzone: Asia", "site.bad_value", "localhost", "127.0.0.1:2222"),
        (ROUTES, "zone: Asia", 'doors: {http: "a:70000"}\nzone: Asia', "site.bad_value", "a:70000", "127.0.0.1:2222"),
        (ROUTES, "at: bohai, charset: utf-8", "at: bohai, charset: utf-9", "site.bad_value", "utf-9", "utf-8"),
        (ROUTES, "at: bohai, charset: utf-8", "at: bohai, charset: hex", "site.bad_value", "hex", "utf-8"),
        (ROUTES, "at: tjline", "at: bohai", "site.shared_endpoint", "bohai", "BOHAI"),
        (ROUTES, "at: tjline", "certificates: [a.pem], at: tjline", "site.certificate", "a.pem", "No such file"),
        (ROUTES, "at: tjline", "certificates: [routes.yaml], at: tjline", "site.certificate", "routes.yaml", "no PEM"),
        (ROUTES, "at: tjline", "certificates: [schemas], at: tjline", "site.certificate", "schemas", "Is a directory"),
        (ROUTES, "zone: Asia", "identity: {key: a.key}\nzone: Asia", "site.missing_key", "", "certificate"),
        (ROUTES, "zone: Asia", "identity: {roots: [ca.crt]}\nzone: Asia", "site.certificate", "ca.crt", "No such"),
        # endpoints
        (ROUTES, FOLDER, "adapter: foldr", "site.unknown_name", "foldr", "folder"),
        (ROUTES, FOLDER, "adapter: folder, options: {uot: x}", "site.unknown_key", "uot", "out"),
        (ROUTES, FOLDER, "adapter: http, options: {timeout: long}", "site.bad_value", "long", "valid number"),
        (ROUTES, FOLDER, "adapter: sftp, options: {host: h}", "site.missing_key", "", "user"),
        # times
        (ROUTES, "within: 30m", "within: 0s", "site.bad_value", "0s", "more than 0s"),
        (ROUTES, FOLDER, "retry: {first: 0s}, adapter: folder", "site.bad_value", "0s", "more than 0s"),
        (ROUTES, FOLDER, "retry: {longest: 1s}, adapter: folder", "site.bad_value", "longest", "first ≤ longest"),
        (ROUTES, FOLDER, "retry: {longest: 9d}, adapter: folder", "site.bad_value", "longest", "longest ≤ give_up"),
        (VESSEL, "within: 4h", "within: 0h", "site.bad_value", "0s", "more than 0s"),
        (VESSEL, "within: 4h", "within: soon", "site.bad_value", "soon", "30s, 15m, 2h or 1d"),
        # routes
        (
            ROUTES,
            "when: {kind: vessel-",
            "when: {kind: vesel-",
            "site.unknown_name",
            "vesel-declaration",
            "vessel-decl",
        ),
        (ROUTES, "when: {kind: man", "when: {sender: TJLIN, kind: man", "site.unknown_name", "TJLIN", "TJLINE"),
        (ROUTES, TO, "to: {TERMINUS: coprar-d95b}", "site.unknown_name", "TERMINUS", "TERMINAL"),
        (ROUTES, TO, "to: {TERMINAL: coprar-d95d}", "site.unknown_name", "coprar-d95d", "coprar-d95b"),
        (ROUTES, TO, "to: {}", "site.bad_value", "{}", "PARTY: kind"),
        (ROUTES, TO, "to: {TJEPORT: coprar-d95b}", "site.no_endpoint", "TJEPORT", ""),
        (ROUTES, TO, "to: {TERMINAL: crew-report}", "site.no_mapping", "manifest", "crew-report"),
        # kinds
        (
            VESSEL,
            "schema: vessel/declaration.xsd\n",
            "schema: vessel/decl.xsd\n",
            "site.unknown_name",
            "decl",
            "vessel/declaration",
        ),
        (
            VESSEL,
            "root: VesselDeclaration",
            "root: VesselDeclaratio",
            "site.unknown_name",
            "VesselDeclaratio",
            "Vessel",
        ),
        (VESSEL, "root: VesselDeclaration", 'root: ""', "site.missing_key", "", "root"),
        (VESSEL, 'release: "D:05B"', 'release: "D:07B"', "site.bad_kind", "paxlst-d05b", "D:07B"),
        (VESSEL, 'release: "D:05B"', 'release: "D05B"', "site.bad_value", "D05B", "D:96B"),
        (VESSEL, "type: PAXLST", "type: PAXLTS", "site.bad_kind", "paxlst-d05b", "PAXLST"),
        (VESSEL, "call: VesselDeclaration/Call", "call: VesselDeclaration/Cal", "site.bad_path", "Vessel", "Call"),
        (VESSEL, "call: RFF/C506/1154", "call: RFF/C506/115", "site.bad_path", "RFF/C506/115", "1154"),
        (VESSEL, "code: Code", "code: Kode", "site.bad_path", "Kode", "Code"),
        (VESSEL, "at: Path", "at: Paht", "site.bad_path", "Paht", "Path"),
        (VESSEL, "at: Path", "at: {segment: Code, each: Text, code: Kode}", "site.bad_path", "Kode", ""),
        (MANIFEST, "becomes: manifest", "becomes: manifesto", "site.unknown_name", "manifesto", "manifest"),
        (MANIFEST, "becomes: manifest", "becomes: coprar-d95b", "site.bad_value", "coprar-d95b", "format: xml"),
        (MANIFEST, "becomes: manifest", "becomes: crew-report", "site.no_mapping", "cuscar-d95b", "crew-report"),
        (
            VESSEL,
            "map: document-function",
            "map: document-funktion",
            "site.unknown_name",
            "funktion",
            "document-function",
        ),
        (VESSEL, "call: AgencyAnswer/Call}", "kall: AgencyAnswer/Call}", "site.unknown_name", "kall", "call"),
        (SERVICE, "by: {reference: UCI/0020}", "by: {}", "site.bad_value", "{}", "reference"),
        (VESSEL, "type: CUSRES", "type: CUSREP", "site.ambiguous_kind", "cusres-d96b", "cusrep-d96b"),
        # cases
        (VESSEL, "key: [call]", "key: [cal]", "site.unknown_name", "cal", "call"),
        (VESSEL, "key: [call]", "key: []", "site.bad_value", "[]", "call"),
        (VESSEL, DECLARED, "      on: {}", "site.unreachable_stage", "declared", ""),
        (
            VESSEL,
            DECLARED,
            "      on: {all: [cusrep-d96b], any: [paxlst-d05b]}",
            "site.unreachable_stage",
            "declared",
            "",
        ),
        (
            VESSEL,
            DECLARED,
            "      on: {all: [cusrep-d96b, manifest]}",
            "site.unreachable_stage",
            "declared",
            "manifest",
        ),
        (VESSEL, DECLARED, "      on: {any: [manifest]}", "site.unreachable_stage", "declared", "manifest"),
        (VESSEL, DECLARED, "      on: {all: [cusrep]}", "site.unknown_name", "cusrep", "cusrep-d96b"),
        (MANIFEST, LODGED, "on: {all: [cuscar-d95b]}", "site.unreachable_stage", "lodged", "cuscar-d95b"),
        (MANIFEST, LODGED, "on: {all: [CUSTOM accepted]}", "site.unknown_name", "CUSTOM", "CUSTOMS"),
        (MANIFEST, LODGED, "on: {all: [CUSTOMS acepted]}", "site.unknown_name", "acepted", "accepted"),
        (MANIFEST, LODGED, "on: {all: [BORDER accepted]}", "site.unreachable_stage", "lodged", "BORDER accepted"),
        (MANIFEST, LODGED, "on: {all: [TERMINAL accepted]}", "site.unreachable_stage", "lodged", "TERMINAL accepted"),
        (
            VESSEL,
            "make: vessel-declaration",
            "make: vesel-declaration",
            "site.unknown_name",
            "vesel-",
            "vessel-declaration",
        ),
        (VESSEL, "make: vessel-declaration", "make: cusres-d96b", "site.bad_value", "cusres-d96b", "format: xml"),
        (VESSEL, "make: vessel-declaration", "make: agency-answer", "site.no_mapping", "cusrep-d96b", "agency-answer"),
        (VESSEL, CUSRES, "send: {kind: cusres, to: sender}", "site.unknown_name", "cusres", "cusres-d96b"),
        (VESSEL, CUSRES, "send: {kind: crew-report, to: sender}", "site.no_mapping", "case-record", "crew-report"),
        (VESSEL, CUSRES, "send: {kind: cusres-d96b, to: sendr}", "site.unknown_name", "sendr", "sender"),
        (VESSEL, CUSRES, "send: {kind: cusres-d96b, to: TJEPORT}", "site.no_endpoint", "TJEPORT", ""),
        # mappings
        (MAPPED, "from: cuscar-d95b", "from: cuscar-d95", "site.unknown_name", "cuscar-d95", "cuscar-d95b"),
        (MAPPED, "to: manifest", "to: manifes", "site.unknown_name", "manifes", "manifest"),
        (MAPPED, "Number: BGM/1004", "Numbr: BGM/1004", "mapping.unreadable", "Manifest/Numbr", "Number"),
        (MAPPED, "Number: BGM/1004", "Number: BMG/1004", "mapping.unreadable", "BMG/1004", "BGM"),
        (MAPPED, "map: document-function", "map: document", "mapping.unreadable", "document", "document-function"),
        (MAPPED, "Carrier: NAD", "Carrier: $sender # NAD", "site.unknown_name", "$sender", "$now"),
        (CREW, "$reference", "$refrence", "site.unknown_name", "$refrence", "$reference"),
        (CREW, "$reference", "$case", "site.unknown_name", "$case", "$now"),
        (MAKES, "Call: call:BGM", "Call: $port # call:BGM", "site.unknown_name", "$port", "$case"),
        (MAPPED, "as: imo-number", "as: imo", "mapping.unreadable", "imo", "imo-number"),
    ],
)
def test_a_mistake_is_found_at_its_line(
    copy: Copy, file: str, old: str, new: str, code: str, found: str, expected: str
) -> None:
    line = copy.change(file, old, new)
    told = copy.findings()
    matching = [f for f in told if f.code == code and found in f.found and expected in f.expected]
    assert matching, told
    lines = range(line, line + 1 + new.count("\n"))
    assert any(f.place.file == file and f.place.line in lines and f.place.column for f in matching), matching
    for finding in told:
        for lang in LANGUAGES:
            assert all(describe(finding, lang))
    with pytest.raises(DeclarationError):
        load(copy.folder)


@pytest.mark.parametrize(
    ("adapter", "takes"),
    [
        ("sftpd, options: {user: u, keys: []}", True),
        ("memory", True),
        ("folder, options: {out: x, in: y}", True),
        ("folder, options: {out: x}", False),
        ("sftp, options: {host: h, user: u, key: 'env:PATH', host_keys: [k], put: p}", False),
        ("sftp, options: {host: h, user: u, key: 'env:PATH', host_keys: [k], put: p, get: g}", True),
    ],
)
def test_an_endpoint_may_be_shared_when_nothing_comes_in_by_it(copy: Copy, adapter: str, takes: bool) -> None:
    copy.change(ROUTES, FOLDER, f"adapter: {adapter}")
    copy.change(ROUTES, "  TJEPORT: {", "  YARD: {title: {zh: x, en: x}, role: yard, at: terminal}\n  TJEPORT: {")
    shared = [f for f in copy.findings() if f.code == "site.shared_endpoint"]
    assert [f.found for f in shared] == (["terminal"] if takes else [])


@pytest.mark.parametrize(
    "adapter",
    [
        "folder, options: {in: x}",
        "sftp, options: {host: h, user: u, key: 'env:PATH', host_keys: [k], get: g}",
        "http, options: {submit_token: 'env:PATH'}",
    ],
)
def test_a_destination_can_be_written_to(copy: Copy, adapter: str) -> None:
    copy.change(ROUTES, FOLDER, f"adapter: {adapter}")
    [finding] = copy.findings()
    assert (finding.code, finding.found, finding.expected) == ("site.no_outlet", "terminal", "TERMINAL")


def test_an_answer_cannot_come_from_an_endpoint_that_is_never_read(copy: Copy) -> None:
    copy.change(ROUTES, "options: {out: spool/boxes/border/in, in: spool/boxes/border/out}", "options: {out: x}")
    told = {(f.code, f.found, f.expected) for f in copy.findings()}
    assert told == {
        ("site.no_answer", "business", "BORDER"),
        ("site.unreachable_stage", "cleared", "BORDER accepted"),
    }


def test_an_answer_cannot_come_at_a_level_that_no_kind_answers(copy: Copy) -> None:
    copy.change(ROUTES, "answer: {level: business", "answer: {level: closing")
    told = [(f.found, f.expected) for f in copy.findings() if f.code == "site.no_answer"]
    assert told == [("closing", party) for party in ("CUSTOMS", "INSPECTION", "MARITIME", "BORDER")]


def test_two_kinds_with_one_root_element_are_told_apart_by_nothing(copy: Copy) -> None:
    twin = "  twin: {format: xml, schema: vessel/crew-report.xsd, root: CrewReport}\n  crew-report: {"
    copy.change(VESSEL, "  crew-report: {", twin)
    [finding] = copy.findings()
    assert (finding.code, finding.found, finding.expected) == ("site.ambiguous_kind", "crew-report", "twin")


def test_a_case_without_an_end_is_refused(copy: Copy) -> None:
    for _ in range(2):
        copy.change(MANIFEST, "      closes: true\n", "")
    [finding] = copy.findings()
    assert (finding.code, finding.found, finding.place.path) == ("site.no_end", "manifest", "case.stages")


def test_certificates_and_keys_that_can_be_read_are_good(copy: Copy) -> None:
    authority = Authority(copy.folder / "spool" / "keys")
    authority.init(datetime(2026, 1, 1, tzinfo=UTC), "CA")
    issued = authority.issue("TJLINE", datetime(2026, 1, 2, tzinfo=UTC))
    (copy.folder / "a.crt").write_bytes(issued.certificate)
    (copy.folder / "a.key").touch(0o600)
    (copy.folder / "a.key").write_bytes(issued.private_key or b"")
    copy.change(ROUTES, "at: tjline", "certificates: [a.crt], at: tjline")
    copy.change(ROUTES, "zone:", "identity: {key: a.key, certificate: a.crt, roots: [a.crt]}\nzone:")
    assert copy.findings() == []
    copy.change(ROUTES, "key: a.key", "key: a.crt")
    copy.change(ROUTES, "roots: [a.crt]", "crls: [a.crt]")
    assert [(f.code, f.place.path) for f in copy.findings()] == [
        ("site.certificate", "identity.key"),
        ("site.certificate", "identity.crls.0"),
    ]


@pytest.mark.parametrize(
    ("reference", "missing"),
    [
        ("env:EPORT_TEST_TOKEN", False),
        ("$EPORT_TEST_TOKEN", False),
        ("file:token", False),
        ("env:EPORT_TEST_NONE", True),
        ("$EPORT_TEST_NONE", True),
        ("file:none", True),
        ("file:schemas", True),
        ("file:latin", True),
    ],
)
def test_a_secret_that_cannot_be_had_is_a_warning(
    copy: Copy, monkeypatch: pytest.MonkeyPatch, reference: str, missing: bool
) -> None:
    monkeypatch.setenv("EPORT_TEST_TOKEN", "s3cret")
    (copy.folder / "token").write_text("s3cret", "utf-8")
    (copy.folder / "latin").write_bytes(b"\xff")
    line = copy.change(ROUTES, FOLDER, f"adapter: http, options: {{url: 'http://x/', token: '{reference}'}}")
    findings = load(copy.folder).warnings
    told = [(f.code, f.severity, f.found, f.place.line) for f in findings]
    assert told == ([("site.secret", "warning", reference, line)] if missing else [])
    assert "s3cret" not in str(findings)


def test_mistakes_of_many_files_are_told_at_once(copy: Copy) -> None:
    copy.change(ROUTES, "role: port", "rolle: port")
    copy.change(VESSEL, "type: PAXLST", "typ: PAXLST")
    copy.change(MANIFEST, "root: CustomsAnswer", "root: CustomAnswer")
    copy.change(MAPPED, "to: manifest", "to: manifest\nto: manifest")
    (copy.folder / "schemas" / "codes" / "sex.yaml").write_text("table: sex\n", "utf-8")
    files = list(dict.fromkeys(f.place.file for f in copy.findings()))
    assert files == [MAPPED, MANIFEST, VESSEL, ROUTES, "schemas/codes/sex.yaml"]


def test_two_mappings_with_the_same_ends_are_refused(copy: Copy) -> None:
    (copy.folder / "mappings/manifest/z--to--z.yaml").write_bytes((ROOT / MAPPED).read_bytes())
    [finding] = copy.findings()
    assert (finding.code, finding.expected) == ("site.twice", Path(MAPPED).name)


@pytest.mark.parametrize(
    ("file", "data", "line"),
    [
        ("schemas/vessel/crew-report.xsd", b"<xs:schema\n", 2),
        ("schemas/vessel/crew-report.xsd", b"\n\n<a/>", 1),
        ("schemas/edifact/D05B.txt", b"[]", 1),
        ("schemas/edifact/D05B.txt", b"EDIFACT D.05B\nmessages\nPAXLST 1\n UNH M\n", 5),
    ],
)
def test_schemas_and_tables_that_cannot_be_used_are_findings(
    copy: Copy, file: str, data: bytes, line: int
) -> None:
    (copy.folder / file).write_bytes(data)
    [finding] = copy.findings()
    code = "site.bad_schema" if file.endswith(".xsd") else "site.bad_table"
    assert (finding.code, finding.place.file, finding.place.line) == (code, file, line)
    assert str(copy.folder) not in finding.found
