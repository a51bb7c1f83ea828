"""An answer that points into what we sent comes home as a place in the sender's own file, to the byte."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from hub import judging
from hub.edifact import writer
from hub.edifact.model import Envelope, Separators
from hub.journal import tables as t
from hub.journal.statements import Row
from hub.lineage.journal import outputs as explained
from hub.lineage.rebuild import Archive, Rebuilt
from hub.sandbox import agencies
from hub.site.load import load
from tests.journeys.conftest import Port

MAPPINGS = Path(__file__).parents[2] / "mappings"
MANIFEST = (MAPPINGS / "manifest/cases/01-original/in.edi").read_bytes()
AMENDMENT = (MAPPINGS / "manifest/cases/02-amendment/in.edi").read_bytes()
CALL = (MAPPINGS / "vessel/cases/01-arrival/in.edi").read_bytes()
NUMBERS = count(1000)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    opened = Port(tmp_path_factory.mktemp("port"))
    yield opened
    opened.close()


@pytest.fixture
def port(one: Port) -> Port:
    """The same port for every test, its boxes empty; each test has numbers of its own."""
    for file in (one.folder / "spool" / "boxes").rglob("*"):
        if file.is_file():
            file.unlink()
    return one


@pytest.fixture
def number() -> bytes:
    return b"%04d" % next(NUMBERS)


@pytest.fixture
def manifest(number: bytes) -> bytes:
    return MANIFEST.replace(b"TJL2611230001", b"TJL261123" + number).replace(b"TJ26112301", b"TJ2611" + number)


@pytest.fixture
def call(number: bytes) -> bytes:
    assert CALL.count(b"BOHAI26112301") > 1
    return re.sub(rb"\b(BH|BO|B)?26112301\b", b"2611" + number, CALL.replace(b"BOHAI26112301", b"BOHAI2611" + number))


def asked(port: Any, agency: str) -> Path:
    """What an agency was sent last."""
    files: list[Path] = port.files(agency.lower(), "in")
    return [path for path in files if path.suffix != ".p7s"][-1]


def customs_refuses(port: Any, *paths: str, file: Path | None = None, name: str = "answer.xml") -> None:
    data = (file or asked(port, "CUSTOMS")).read_bytes()
    reference = re.search(rb"<Reference>(E\d+)<", data)
    number = re.search(rb"<ManifestNo>([^<]+)<", data)
    assert reference and number
    reasons = "".join(
        f'<Reason><Code>M07</Code><Text xml:lang="en">not known</Text><Path>{path}</Path></Reason>' for path in paths
    )
    port.answer(
        "CUSTOMS",
        name,
        f'<CustomsAnswer xmlns="urn:eport:manifest:customs-answer:1"><Reference>{reference[1].decode()}</Reference>'
        f"<Number>{number[1].decode()}</Number><Status>03</Status><At>2026-11-23T08:30:00+08:00</At>{reasons}</CustomsAnswer>",
    )
    port.run()


def agency_refuses(port: Any, agency: str, path: str) -> None:
    reference, call = (re.search(what, asked(port, agency).read_bytes()) for what in (rb"E\d{9}", rb"BOHAI\d{8}"))
    assert reference and call
    port.answer(
        agency,
        f"{agency}.xml",
        f'<AgencyAnswer xmlns="urn:eport:vessel:agency-answer:1"><Agency>{agency}</Agency>'
        f"<Reference>{reference[0].decode()}</Reference><Call>{call[0].decode()}</Call><Status>R</Status>"
        f'<At>2026-11-23T08:30:00+08:00</At><Reason><Code>Q01</Code><Text xml:lang="en">unknown</Text>'
        f"<Path>{path}</Path></Reason></AgencyAnswer>",
    )
    port.run()


def told(port: Any, party: str) -> list[dict[str, Any]]:
    """Every finding that the sender has been told, for a program."""
    files = [path for path in port.files(party, "error") if path.name.endswith(".error.json")]
    return [finding for path in files for finding in json.loads(path.read_text("utf-8"))["findings"]]


def words(port: Any, party: str) -> str:
    files: list[Path] = port.files(party, "error")
    [file] = [path for path in files if path.name.endswith(".error.txt")]
    return file.read_text("utf-8")


def send(port: Any, party: str, name: str, data: bytes) -> None:
    port.submit(party, name, data)
    port.run()


def test_a_refused_name_is_found_in_the_carriers_file(port: Any, manifest: bytes) -> None:
    send(port, "tjline", "mft.edi", manifest)
    customs_refuses(port, "BillList/Bill[2]/ReceiverName")
    [finding] = told(port, "tjline")
    assert finding["code"] == "lineage.said" and finding["found"] == "BINHAI EQUIPMENT IMPORT CO"
    assert finding["offset"] == manifest.index(b"BINHAI EQUIPMENT IMPORT CO")
    assert (finding["tag"], finding["element"], finding["component"]) == ("NAD", 4, 1)
    text = words(port, "tjline")
    assert "CUSTOMS says M07 not known about BillList/Bill[2]/ReceiverName" in text
    assert "SG4[2]/SG5/SG7[2]/NAD C080/3036" in text and "对应贵方文件的 SG4[2]/SG5/SG7[2]/NAD C080/3036" in text
    assert "manifest--to--customs-manifest.yaml:28 ← mappings/fragments/party.yaml:" in text
    line, caret = re.findall(r"   (NAD\+CN\+\+\+BINHAI.*)\n   ( *\^+)", text)[0]
    assert line[caret.index("^") : len(caret)] == "BINHAI EQUIPMENT IMPORT CO"


def test_the_place_is_kept_and_the_case_record_has_it(port: Any, manifest: bytes) -> None:
    send(port, "tjline", "mft.edi", manifest)
    customs_refuses(port, "Head/ShipIMO")
    row = list(port.journal.rows(select(t.receipt.c.reasons).order_by(t.receipt.c.at)))[-1]
    place = f"SG1/TDT C222/8213 @{manifest.index(b'9100310')}"
    assert row["reasons"] == [["M07", "not known", "Head/ShipIMO", place]]
    records = port.journal.rows(select(t.message).where(t.message.c.kind == "case-record").order_by(t.message.c.at))
    record = port.journal.payload(list(records)[-1]["payload"])
    assert f"<Path>Head/ShipIMO</Path><Place>{place}</Place>".encode() in record
    [answer] = [path for path in port.files("tjline", "inbound") if "cusres" in path.name]
    assert b"ERC+M07'" in answer.read_bytes() and f"not known | {place}'".encode() in answer.read_bytes()


def test_what_the_rules_wrote_what_was_not_sent_and_what_is_nowhere(port: Any, manifest: bytes) -> None:
    send(port, "tjline", "mft.edi", manifest.replace(b"PCI+28+HK 1-6'\n", b"").replace(b"UNT+48", b"UNT+47"))
    long = "A" * 500 + "/B"
    customs_refuses(
        port, "Head/Reference", "Bill[2]/GoodsList/Item[1]/MarkNo", "Bill[9]/MarkNo", "]][[", "(99999)", long
    )
    found = {finding["text"]["en"].partition(" about ")[2]: finding for finding in told(port, "tjline")}
    codes = [finding["code"].partition(".")[2] for finding in found.values()]
    assert codes == ["constant", "absent", "nowhere", "nowhere", "nowhere", "nowhere"]
    constant, absent, *_ = found.values()
    rules = (MAPPINGS / "manifest" / "manifest--to--customs-manifest.yaml").read_text("utf-8").split("\n")
    line = next(number for number, text in enumerate(rules, 1) if "$reference" in text)
    assert f"manifest--to--customs-manifest.yaml:{line}, not from your file" in constant["text"]["en"]
    assert "takes it from" in absent["text"]["en"] and absent["offset"] is None


def test_a_value_of_several_sources_names_each_and_pointers_are_bounded(port: Any, call: bytes) -> None:
    send(port, "bohai", "call.edi", call)
    agency_refuses(port, "INSPECTION", "Persons/Person[5]/Name")
    both = told(port, "bohai")
    assert [finding["offset"] for finding in both] == [call.index(b"KIM:MINHO"), call.index(b"MINHO")]
    assert [finding["found"] for finding in both] == ["KIM", "MINHO"]


def test_a_field_name_alone_is_enough(port: Any, call: bytes) -> None:
    send(port, "bohai", "call.edi", call)
    agency_refuses(port, "MARITIME", "Berth")
    [finding] = told(port, "bohai")
    assert finding["offset"] == call.index(b"GA12") and finding["found"] == "GA12"


def test_an_edifact_field_is_named_by_its_path(port: Any, call: bytes) -> None:
    send(port, "bohai", "call.edi", call)
    agency_refuses(port, "CUSTOMS", "SG8/TDT/C222/8212")
    [finding] = told(port, "bohai")
    assert finding["offset"] == call.index(b"BOHAI STAR")


def answered_by_edifact(port: Any, type: str, lines: list[tuple[str, list[list[str]]]], release: str = "3") -> None:
    """An EDIFACT answer of customs; signatures beside a file are not for this test."""
    parties = port.site.parties
    parties["CUSTOMS"] = parties["CUSTOMS"].model_copy(update={"signed": False})
    body = writer.write_message("1", type, "D", release, "UN", "", lines, Separators())
    envelope = Envelope("UNOA", "3", "CUSTOMS", "ZZZ", "TJEPORT", "ZZZ", "", f"C{next(NUMBERS)}")
    data = writer.write_interchange(envelope, [body], port.now)
    (port.home("customs") / "out" / "answer.edi").write_bytes(data)
    port.run()


def of_the_report(port: Any) -> tuple[str, list[bytes]]:
    """The reference of the EDIFACT report to customs, and its segments from UNH on."""
    data = asked(port, "CUSTOMS").read_bytes()
    segments = [segment.strip() for segment in data.split(b"'")]
    first = next(at for at, segment in enumerate(segments) if segment.startswith(b"UNH"))
    return segments[first].split(b"+")[1].decode(), segments[first:]


def test_a_contrl_points_by_segment_and_element(port: Any, call: bytes) -> None:
    send(port, "bohai", "call.edi", call)
    reference, segments = of_the_report(port)
    number = next(at for at, segment in enumerate(segments, 1) if segment.startswith(b"TDT"))
    parts = segments[number - 1].split(b"+")
    element = next(at for at, part in enumerate(parts, 1) if b"BOHAI STAR" in part)  # the tag is 1
    component = parts[element - 1].split(b":").index(b"BOHAI STAR") + 1
    parties = [["TJEPORT", "ZZZ"], ["CUSTOMS", "ZZZ"]]
    answered_by_edifact(
        port,
        "CONTRL",
        [
            ("UCI", [[reference], *parties, ["4"]]),
            ("UCM", [[reference], ["CUSREP", "D", "96B", "UN"], ["4"]]),
            ("UCS", [[str(number)]]),
            ("UCD", [["12"], [str(element), str(component)]]),
            ("UCD", [["39"], ["3"]]),
            ("UCS", [["99"], ["15"]]),
        ],
    )
    name, voyage, nothing = told(port, "bohai")
    assert name["offset"] == call.index(b"BOHAI STAR") and "says 12 Invalid value about" in name["text"]["en"]
    assert voyage["offset"] == call.index(b"026E") and "says 39 Data element too long" in voyage["text"]["en"]
    assert nothing["code"] == "lineage.nowhere"


def test_an_aperak_points_by_tag_segment_and_element(port: Any, call: bytes) -> None:
    send(port, "bohai", "call.edi", call)
    reference, segments = of_the_report(port)
    number = next(at for at, segment in enumerate(segments, 1) if segment.startswith(b"TDT"))
    answered_by_edifact(
        port,
        "APERAK",
        [
            ("BGM", [[""], ["A1"], ["9"], ["RE"]]),
            ("RFF", [["ACW", reference]]),
            ("ERC", [["LENGTH", "", "ZZZ"]]),
            ("FTX", [["AAO"], [""], [""], ["voyage not known"]]),
            ("RFF", [["FI", f"TDT({number}) 2"]]),
        ],
        "96B",
    )
    [finding] = told(port, "bohai")
    assert finding["offset"] == call.index(b"026E") and "LENGTH voyage not known" in finding["text"]["en"]


def test_after_an_amendment_each_answer_speaks_of_its_own_version(port: Any, number: bytes, manifest: bytes) -> None:
    send(port, "tjline", "mft.edi", manifest)
    first = asked(port, "CUSTOMS")
    port.now += timedelta(minutes=1)
    amendment = AMENDMENT.replace(b"TJL2611230001", b"TJL261123" + number).replace(b"TJ261123", b"TA" + number)
    send(port, "tjline", "amend.edi", amendment)
    second = next(path for path in port.files("customs", "in") if path != first)
    at = "BillList/Bill[2]/BillNo"
    customs_refuses(port, at, file=second, name="b.xml")
    customs_refuses(port, at, file=first, name="a.xml")
    files = {path.name: path for path in port.files("tjline", "error") if path.name.endswith(".error.json")}
    assert len(files) >= 1
    for path in files.values():
        said = json.loads(path.read_text("utf-8"))
        data = {"mft.edi": MANIFEST, "amend.edi": amendment}[said["file"]]
        assert said["findings"][0]["offset"] == data.index(b"PUSTXG2611002")
    assert {json.loads(path.read_text("utf-8"))["file"] for path in files.values()} >= {"amend.edi"}


def test_a_mapping_of_another_version_is_told(port: Any, manifest: bytes) -> None:
    send(port, "tjline", "mft.edi", manifest)
    rules, site = port.folder / "mappings" / "manifest" / "manifest--to--customs-manifest.yaml", port.site
    old = rules.read_text("utf-8")
    rules.write_text(old.replace("VoyageNo: Manifest/Voyage", "VoyageNo: Manifest/Vessel/Name"), "utf-8")
    port.site = load(port.folder, site.register, site.signer)
    customs_refuses(port, "Head/VoyageNo", "Head/ShipIMO")
    rules.write_text(old, "utf-8")
    port.site = site
    voyage, imo, changed = told(port, "tjline")
    assert voyage["code"] == "lineage.unknown" and "(0126W)" in voyage["text"]["en"]
    assert imo["code"] == "lineage.said" and imo["offset"] == manifest.index(b"9100310")
    assert changed["code"] == "lineage.changed" and changed["severity"] == "warning"


def test_bytes_that_were_kept_long_enough_are_not_looked_for(port: Any, manifest: bytes) -> None:
    send(port, "tjline", "mft.edi", manifest)
    file = asked(port, "CUSTOMS").read_bytes()
    shas = {hashlib.sha256(data).hexdigest() for data in (manifest, file)}
    with port.journal.engine.begin() as line:
        gone = {"data": None, "used_at": None, "removed_at": port.now}
        line.execute(update(t.payload).where(t.payload.c.sha256.in_(shas)).values(gone))
    customs_refuses(port, "Head/VoyageNo")
    [finding] = told(port, "tjline")
    assert finding["code"] == "lineage.unknown" and port.column(t.receipt, "state")[-1] == "matched"


def test_what_was_delivered_is_explained_from_the_journal(port: Any, manifest: bytes, call: bytes) -> None:
    send(port, "tjline", "mft.edi", manifest)
    send(port, "bohai", "call.edi", call)
    number = manifest[manifest.index(b"TJL2611") :][:13].decode()
    told = explained(port.site, port.journal, number)
    assert [(one.made.usage.name, one.reader, one.notes) for one in told.outputs] == [
        ("manifest", "", ()),
        ("customs-manifest", "CUSTOMS", ()),
        ("coprar-d95b", "TERMINAL", ()),
    ]
    for field in told.outputs[1].made.fields:
        for source in field.sources:
            assert manifest[source.place.offset :].replace(b"?", b"").startswith(source.value.encode())
    [crew] = explained(port.site, port.journal, re.findall(rb"BOHAI\d{8}", call)[0].decode(), "crew-report").outputs
    name = next(one for one in crew.made.fields if one.target == "CrewReport/Person[5]/FamilyName")
    assert name.value == "KIM" and name.sources[0].place.offset == call.index(b"KIM:MINHO")
    assert explained(port.site, port.journal, "nobody knows this").outputs == ()


def test_the_byte_is_that_of_the_file_also_when_it_holds_several_interchanges(port: Any, manifest: bytes) -> None:
    second = manifest.replace(b"TJL2611", b"TJL2612").replace(b"TJ2611", b"TJ2612")
    send(port, "tjline", "two.edi", manifest + second.removeprefix(b"UNA:+.? '\n"))
    [file] = [path for path in port.files("customs", "in") if b"TJL2612" in path.read_bytes()]
    customs_refuses(port, "Bill[1]/ShipperName", file=file)
    [finding] = told(port, "tjline")
    assert finding["offset"] == (manifest + second.removeprefix(b"UNA:+.? '\n")).rindex(b"BUSAN TEXTILE CO LTD")
    assert "NAD+CZ+++BUSAN TEXTILE" in words(port, "tjline")


def test_a_sender_of_json_is_shown_his_own_file(port: Any, manifest: bytes) -> None:
    usage = port.site.kinds["manifest-json"]
    verdict = judging.judge(port.site, manifest, "TJLINE", "a.edi", port.now)
    data, _ = usage.write(verdict.messages[0].canonical)
    port.submit("tjline", "mft.json", data)
    os.utime(port.home("tjline") / "outbound" / "mft.json", (0, 0))  # nobody writes to it any more
    port.run()
    customs_refuses(port, "Bill[2]/ReceiverName")
    [finding] = told(port, "tjline")
    assert data[finding["offset"] :].lstrip(b'"').startswith(b"BINHAI EQUIPMENT IMPORT CO")
    assert "Manifest/Consignment[2]/Consignee/Name of your file" in finding["text"]["en"]


def test_the_sandbox_points_to_the_passport_that_has_expired(port: Any) -> None:
    crew = b"<Call>C1</Call><Person><DocumentExpiresOn>2031-01-01</DocumentExpiresOn></Person><Person/>"
    late = b"<Person><FamilyName>ZHAO</FamilyName><DocumentExpiresOn>2025-12-31</DocumentExpiresOn></Person>"
    border = agencies.Desk("BORDER", port.signers["BORDER"], port.site.register)
    said = border._answer(crew.replace(b"<Person/>", late), "E000000001", port.now)
    assert "<Status>R</Status>" in said and "<Path>Person[2]/DocumentExpiresOn</Path>" in said
    assert "<Status>A</Status>" in border._answer(crew, "E000000001", port.now)


def test_without_a_pointer_nothing_is_traced(port: Any, monkeypatch: pytest.MonkeyPatch, manifest: bytes) -> None:
    send(port, "tjline", "mft.edi", manifest)
    began: list[str] = []
    whole = Archive.delivered

    def counted(archive: Archive, row: Row) -> Rebuilt:
        began.append(row["id"])
        return whole(archive, row)

    monkeypatch.setattr(Archive, "delivered", counted)
    customs_refuses(port)
    assert port.files("tjline", "error") == [] and len(port.files("tjline", "inbound")) == 2
    send(port, "tjline", "mft2.edi", manifest.replace(b"TJL2611", b"TJL2711").replace(b"+TJ2611", b"+TJ2711"))
    assert began == []
    customs_refuses(port, "Head/ShipName")
    assert len(began) == 1
