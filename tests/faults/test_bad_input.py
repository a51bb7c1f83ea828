"""Bad input costs its sender a clear answer and the hub nothing: what no parser should see, and names that no file
should have. After each the next good file goes through."""

from __future__ import annotations

import copy
import io
import itertools
import json
import os
import re
import string
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from sqlalchemy import select

from adapters import names as legal
from hub.engine import gate
from hub.errors import Unreachable
from hub.identity.ca import Authority
from hub.identity.keys import Signer, load_certificates, parse_key
from hub.identity.register import Register
from hub.identity.xmldsig import DS, sign
from hub.journal import tables as t
from tests.faults.conftest import Port, manifest, many, quiet, still_works, submit
from tests.journeys.conftest import START


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    """One port for all of the file: what one bad input leaves behind must not harm the next."""
    opened = Port(tmp_path_factory.mktemp("port"))
    yield opened
    opened.close()


def row(port: Any, name: str) -> Any:
    """The last interchange of this file name."""
    i = t.interchange
    return port.journal.row(select(i).where(i.c.name == name).order_by(i.c.id.desc()))


def told(port: Any, name: str, party: str = "tjline", box: str = "error") -> list[str]:
    """The codes that the sender of a rejected file reads; the text and the file itself lie beside them."""
    [machine] = [path for path in port.files(party, box) if path.name.endswith(f".{name}.error.json")]
    words = machine.with_suffix(".txt").read_text("utf-8")
    findings = json.loads(machine.read_bytes())["findings"]
    sentences = {sentence for one in findings for sentence in (f"[{one['code']}]", *one["remedy"].values())}
    assert all(sentence in words for sentence in sentences)
    assert machine.with_name(machine.name.removesuffix(".error.json")).exists()
    return [finding["code"] for finding in findings]


def zipped() -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.edi", manifest(800001) * 50)
    return whole.getvalue()


GOOD = manifest(800002)
NOT_EDI = {
    "zero.edi": (b"", "opening.empty"),
    "blank.edi": (b" \r\n\t ", "opening.empty"),
    "one.edi": (b"U", "opening.unknown_format"),
    "binary.bin": (bytes(range(256)) * 40, "opening.unknown_format"),
    "nul.edi": (b"\0" * 100, "opening.unknown_format"),
    "photo.jpg": (b"\xff\xd8\xff\xe0\0\x10JFIF\0\1" + bytes(500), "opening.unknown_format"),
    "archive.zip": (zipped(), "opening.unknown_format"),
    "utf16.edi": (GOOD.decode().encode("utf-16"), "opening.unknown_format"),
    "utf16le.edi": (GOOD.decode().encode("utf-16-le"), "opening.unknown_format"),
    "una.edi": (b"UNA:+.? '", "edifact.unb_missing"),
    "page.html": (b"<html><body>login</body></html>", "opening.unknown_kind"),
    "data.json": (b'{"manifest": 1}', "opening.unknown_kind"),
}


@pytest.mark.parametrize("name", NOT_EDI)
def test_what_is_no_message_is_sent_back_with_its_reason(port: Any, name: str) -> None:
    data, code = NOT_EDI[name]
    submit(port, name, data)
    assert row(port, name)["state"] == "rejected"
    assert code in told(port, name)
    [back] = [path for path in port.files("tjline", "error") if path.name.endswith(f".{name}")]
    assert back.read_bytes() == data
    still_works(port)


CUT = {
    "unb.edi": (GOOD[: GOOD.index(b"UNH")], "edifact.unz_missing"),
    "no-unz.edi": (GOOD[: GOOD.index(b"UNZ")], "edifact.unz_missing"),
    "in-segment.edi": (GOOD[:600], "edifact.cut"),
    "no-end.edi": (GOOD.rstrip()[:-1], "edifact.cut"),
    "released-end.edi": (GOOD.rstrip()[:-1] + b"?'", "edifact.cut"),
}


@pytest.mark.parametrize("name", CUT)
def test_a_cut_file_is_left_alone_until_it_is_abandoned_and_then_answered(port: Any, name: str) -> None:
    data, code = CUT[name]
    port.submit("tjline", name, data)
    port.run()
    assert row(port, name) is None and (port.home("tjline") / "outbound" / name).read_bytes() == data
    quiet(port.home("tjline") / "outbound" / name)
    port.run()
    assert row(port, name)["state"] == "rejected" and code in told(port, name)
    [contrl] = [path for path in port.files("tjline", "inbound") if path.name.startswith(f"{name}.")]
    assert b"UCI+TJ00800002+TJLINE:ZZZ+TJEPORT:ZZZ+4" in contrl.read_bytes()
    still_works(port)


def test_a_file_that_is_finished_late_is_taken_whole(port: Any) -> None:
    data = manifest()
    path = port.home("tjline") / "outbound" / "late.edi"
    path.write_bytes(data[:700])
    port.run()
    assert row(port, "late.edi") is None
    with path.open("ab") as file:
        file.write(data[700:])
    port.run()
    assert row(port, "late.edi")["state"] == "opened" and not path.exists()


def test_a_second_interchange_in_a_file_passes_nothing_by_the_checks(port: Any) -> None:
    """It may name another sender, repeat a reference, bring other separators: it is judged like the first."""
    forged = manifest().replace(b"+TJLINE:ZZZ+", b"+BOHAI:ZZZ+")
    before = len(port.files("customs", "in"))
    submit(port, "two.edi", manifest() + forged)
    i = t.interchange
    states = [row["state"] for row in port.journal.rows(select(i).where(i.c.name == "two.edi").order_by(i.c.id))]
    assert states == ["split", "opened", "rejected"] and told(port, "two.edi") == ["opening.sender_mismatch"]
    assert len(port.files("customs", "in")) == before + 1
    still_works(port)


@pytest.mark.parametrize(
    ("name", "before", "after", "code"),
    [
        ("junk-before.edi", b"Subject: manifest\r\n\r\n", b"", "edifact.no_interchange"),
        ("junk-after.edi", b"", b"-- \r\nsent by mail", "edifact.data_after_unz"),
    ],
)
def test_junk_around_an_interchange_rejects_it(port: Any, name: str, before: bytes, after: bytes, code: str) -> None:
    submit(port, name, before + manifest() + after)
    assert row(port, name)["state"] == "rejected" and told(port, name) == [code]
    still_works(port)


def test_another_partys_name_in_unb_is_refused(port: Any) -> None:
    submit(port, "forged.edi", manifest().replace(b"+TJLINE:ZZZ+", b"+BOHAI:ZZZ+"))
    assert told(port, "forged.edi") == ["opening.sender_mismatch"]
    still_works(port)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("long-segment.edi", b"A" * 1_000_000, "segment"),
        ("long-element.edi", b"A" * 100_000, "segment"),
        ("element.edi", b"A" * 5000, "element"),
        ("components.edi", b"A:" * 2000, "components"),
    ],
)
def test_what_is_longer_than_any_message_is_refused_at_once(port: Any, name: str, text: bytes, what: str) -> None:
    began = time.monotonic()
    submit(port, name, manifest().replace(b"PUMPS FOR LIQUIDS", text))
    assert time.monotonic() - began < 5
    assert told(port, name) == ["edifact.limit"]
    [words] = [path for path in port.files("tjline", "error") if path.name.endswith(f".{name}.error.txt")]
    assert what in words.read_text("utf-8")
    still_works(port)


def test_a_file_above_the_agreed_size_is_refused_after_its_head(port: Any) -> None:
    path = port.home("tjline") / "outbound" / "huge.edi"
    path.write_bytes(GOOD)
    with path.open("r+b") as file:
        file.truncate(100_000_000)
    quiet(path)
    port.run()
    assert told(port, "huge.edi") == ["opening.too_large"]
    found = row(port, "huge.edi")
    assert found["size"] == 100_000_000 and len(port.journal.payload(found["sha256"])) == 4096
    still_works(port)


def test_a_file_one_byte_above_the_agreed_size_is_refused_and_one_at_it_is_not(port: Any) -> None:
    limit = port.site.parties["TJLINE"].max_size
    for name, size in (("at.edi", limit), ("above.edi", limit + 1)):
        path = port.home("tjline") / "outbound" / name
        data = manifest()
        path.write_bytes(data + b" " * (size - len(data)))
        quiet(path)
        port.run()
    assert row(port, "at.edi")["state"] == "opened"
    assert told(port, "above.edi") == ["opening.too_large"]
    still_works(port)


def test_ten_thousand_messages_that_nobody_knows_cost_one_answer(port: Any) -> None:
    began = time.monotonic()
    submit(port, "many.edi", many(10_000).replace(b"CUSCAR", b"CUSQQQ"))
    assert row(port, "many.edi")["state"] == "rejected"
    assert set(told(port, "many.edi")) == {"opening.unknown_kind"}
    assert time.monotonic() - began < 60
    still_works(port)


# ---- names


@pytest.mark.parametrize(
    "name", [".hidden.edi", "upload.edi.part", "upload.tmp", "upload~", "up.filepart", ".x.edi.swp"]
)
def test_a_name_that_programs_write_under_is_left_alone(port: Any, name: str) -> None:
    path = port.home("tjline") / "outbound" / name
    path.write_bytes(manifest())
    quiet(path)
    port.run()
    assert path.exists() and row(port, name) is None
    path.unlink()
    still_works(port)


UNSAFE = [
    "has space.edi",
    "舱单.edi",
    "new\nline.edi",
    "-rf",
    "a" * 251 + ".edi",
    "$(id).edi",
    "a\\b.edi",
]


@pytest.mark.parametrize("name", UNSAFE, ids=ascii)
def test_a_file_of_any_name_is_taken_and_answered_under_a_legal_one(port: Any, name: str) -> None:
    before = set(port.files("tjline", "error"))
    path = port.home("tjline") / "outbound" / name
    path.write_bytes(broken())
    quiet(path)
    port.run()
    assert not path.exists() and row(port, name)["state"] == "rejected"
    told = [path.name for path in set(port.files("tjline", "error")) - before]
    assert len(told) == 3 and all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", one) for one in told)
    still_works(port)


def test_a_link_or_a_folder_or_a_pipe_among_the_files_is_not_followed(port: Any, tmp_path: Path) -> None:
    outbound = port.home("tjline") / "outbound"
    secret = tmp_path / "secret.edi"
    secret.write_bytes(manifest())
    (outbound / "link.edi").symlink_to(secret)
    (outbound / "folder.edi").mkdir()
    os.mkfifo(outbound / "pipe.edi")
    port.run()
    assert all(row(port, name) is None for name in ("link.edi", "folder.edi", "pipe.edi"))
    assert secret.exists()
    still_works(port)
    (outbound / "link.edi").unlink()
    (outbound / "folder.edi").rmdir()
    (outbound / "pipe.edi").unlink()


def test_values_of_a_message_name_no_file_and_no_query(port: Any) -> None:
    for number, evil in enumerate((b"../../../E", b"/ETC/PASSWD", b"X OR 1=1--", b"%00E")):
        data = manifest().replace(b"BGM+785+TJL", b"BGM+785+" + evil)
        reference = data.split(b"+")[10]
        submit(port, f"evil-{number}.edi", data.replace(reference, evil + b"%d" % number))
    everything = [path for path in port.folder.rglob("*") if path.is_file()]
    inside = {port.folder / "routes.yaml", *(port.folder / "spool").rglob("*")}
    kept = [path for path in everything if "mappings" not in path.parts and "schemas" not in path.parts]
    assert set(kept) <= inside
    for box in port.folder.glob("spool/boxes/*/*"):
        assert all(legal.safe(path.name) for path in box.iterdir() if not path.name.startswith("."))
    still_works(port)


def test_the_same_name_with_other_bytes_is_another_file(port: Any) -> None:
    for _ in range(2):
        submit(port, "again.edi", manifest())
    rows = port.journal.rows(select(t.interchange.c.state).where(t.interchange.c.name == "again.edi"))
    assert [one["state"] for one in rows] == ["opened", "opened"]


def test_a_file_that_is_replaced_while_it_is_read_is_taken_once_and_whole(port: Any) -> None:
    """The swap between looking and reading: what was seen is gone, what is there now is taken in the next round."""
    path = port.home("tjline") / "outbound" / "swap.edi"
    path.write_bytes(manifest())
    inlet = port.inlets["tjline"]
    [seen] = inlet.collect(50)
    data = manifest()
    path.with_name(".swap").write_bytes(data)
    path.with_name(".swap").rename(path)
    with pytest.raises(Unreachable):
        list(inlet.read(seen))
    inlet.settle(seen)
    assert path.read_bytes() == data
    port.run()
    found = port.journal.rows(select(t.interchange).where(t.interchange.c.name == "swap.edi"))
    assert [port.journal.payload(one["sha256"]) for one in found] == [data]


def test_the_same_bytes_under_another_name_are_a_duplicate(port: Any) -> None:
    data = manifest()
    submit(port, "first.edi", data)
    before = len(port.files("customs", "in"))
    submit(port, "second.edi", data)
    assert row(port, "second.edi")["state"] == "duplicate"
    assert len(port.files("customs", "in")) == before
    assert any(path.name.startswith("second.edi.") for path in port.files("tjline", "inbound"))


def broken() -> bytes:
    return manifest().replace(b"BGM+785", b"BGX+785")


@pytest.mark.parametrize("name", ["a" * 124 + ".edi", "a" * 128])
def test_answers_to_a_long_name_have_legal_names(port: Any, name: str) -> None:
    submit(port, name, broken())
    assert row(port, name)["state"] == "rejected"
    mine = port.journal.rows(select(t.delivery.c.state).where(t.delivery.c.message == row(port, name)["id"]))
    assert {one["state"] for one in mine} == {"sent"} and len(mine) == 4
    still_works(port)


def test_answers_to_a_long_name_with_hyphens_have_legal_names(port: Any) -> None:
    name = "x" + "-" * 120 + "y"
    submit(port, name, broken())
    mine = port.journal.rows(select(t.delivery.c.state).where(t.delivery.c.message == row(port, name)["id"]))
    assert {one["state"] for one in mine} == {"sent"}


def test_two_files_of_one_name_in_one_second_are_both_answered(port: Any) -> None:
    port.now += timedelta(seconds=1)
    for _ in range(2):
        path = port.home("tjline") / "outbound" / "twins.edi"
        path.write_bytes(broken())
        gate.gate_round(port.site, port.journal, port.inlets, port.now)
    port.run()
    ids = [one["id"] for one in port.journal.rows(select(t.interchange).where(t.interchange.c.name == "twins.edi"))]
    states = port.journal.rows(select(t.delivery.c.state).where(t.delivery.c.message.in_(ids)))
    assert len(ids) == 2 and {one["state"] for one in states} == {"sent"}


# ---- XML

NAMESPACE = "urn:eport:manifest:customs-answer:1"
ANSWER = (
    f'<CustomsAnswer xmlns="{NAMESPACE}"><Reference>E999999999</Reference><Number>TJL9</Number>'
    "<Status>01</Status><At>2026-11-23T08:30:00+08:00</At></CustomsAnswer>"
)
BODY = ANSWER[ANSWER.index("><") + 1 :]


@pytest.fixture(scope="module")
def sink() -> Iterator[tuple[int, list[str]]]:
    """A server that writes down who asks: nobody may."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_address[1], asked
    server.shutdown()
    server.server_close()


def customs_sends(port: Any, name: str, data: bytes) -> None:
    path = port.home("customs") / "out" / name
    path.write_bytes(data)
    quiet(path)
    port.run()


def declared(inside: str) -> str:
    """A document with these declarations in its DTD, and a use of entity e."""
    return f"<!DOCTYPE CustomsAnswer [{inside}]>" + ANSWER.replace("TJL9", "&e;")


def bomb() -> str:
    steps = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    return declared(f'<!ENTITY e0 "ha">{steps}<!ENTITY e "{"&e9;" * 10}">')


EVIL = {
    "dtd.xml": (lambda url: f'<!DOCTYPE CustomsAnswer SYSTEM "{url}/x.dtd">{ANSWER}', "xml.dtd"),
    "file-entity.xml": (lambda url: declared('<!ENTITY e SYSTEM "file:///etc/passwd">'), "xml.dtd"),
    "net-entity.xml": (lambda url: declared(f'<!ENTITY e SYSTEM "{url}/e">'), "xml.dtd"),
    "parameter.xml": (lambda url: declared(f'<!ENTITY % p SYSTEM "{url}/p"> %p;'), "xml.dtd"),
    "billion-laughs.xml": (lambda url: bomb(), "xml.dtd"),
    "behind-comment.xml": (lambda url: f"<!-- > -->{bomb()}", "xml.dtd"),
    "xinclude.xml": (
        lambda url: ANSWER.replace(
            "<Number>TJL9</Number>",
            f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{url}/x" parse="text"/>',
        ),
        "xml.element_unexpected",
    ),
    "schema-location.xml": (
        lambda url: ANSWER.replace(
            "<CustomsAnswer",
            '<CustomsAnswer xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            f'xsi:schemaLocation="{NAMESPACE} {url}/x.xsd"',
            1,
        ),
        "signature.missing",
    ),
    "stylesheet.xml": (lambda url: f'<?xml-stylesheet href="{url}/x.xsl"?>{ANSWER}', "signature.missing"),
    "deep.xml": (lambda url: "<a>" * 10_000 + "</a>" * 10_000, "xml.too_deep"),
    "elements.xml": (lambda url: "<a>" + "<b/>" * 1_100_000 + "</a>", "xml.too_many_elements"),
    "text.xml": (lambda url: f"<a>{'x' * 11_000_000}</a>", "xml.not_well_formed"),
    "large.xml": (lambda url: f"<a>{'x' * 21_000_000}</a>", "xml.too_large"),
    "namespace.xml": (lambda url: ANSWER.replace(NAMESPACE, "urn:other"), "opening.unknown_kind"),
    "no-namespace.xml": (lambda url: ANSWER.replace(f' xmlns="{NAMESPACE}"', ""), "opening.unknown_kind"),
    "utf7.xml": (lambda url: f'<?xml version="1.0" encoding="UTF-7"?>{ANSWER}', "xml.encoding"),
    "cut.xml": (lambda url: ANSWER[:150], "xml.truncated"),
    "two.xml": (lambda url: ANSWER + ANSWER, "xml.not_well_formed"),
    "unsigned.xml": (lambda url: ANSWER, "signature.missing"),
}


@pytest.mark.parametrize("name", EVIL)
def test_harmful_xml_is_refused_without_network_or_file_access(
    port: Any, sink: tuple[int, list[str]], name: str
) -> None:
    made, code = EVIL[name]
    began = time.monotonic()
    customs_sends(port, name, made(f"http://127.0.0.1:{sink[0]}").encode())
    assert time.monotonic() - began < 10
    assert row(port, name)["state"] == "rejected" and code in told(port, name, "customs", "in")
    assert sink[1] == []
    assert not any(b"root:" in path.read_bytes() for path in port.files("customs", "in"))
    still_works(port)


def test_utf16_hides_no_dtd(port: Any) -> None:
    customs_sends(port, "wide.xml", bomb().encode("utf-16"))
    assert told(port, "wide.xml", "customs", "in") == ["xml.dtd"]
    still_works(port)


def test_a_million_attributes_are_refused_before_a_tree_is_built(port: Any) -> None:
    """Below the size at which the parser itself gives up; each would cost the worker 270 bytes."""
    letters = string.ascii_letters
    short = ("".join(name) for length in range(1, 5) for name in itertools.product(letters, repeat=length))
    attributes = " ".join(f'{name}=""' for name in itertools.islice(short, 1_000_000))
    customs_sends(port, "attributes.xml", f"<a {attributes}/>".encode())
    assert told(port, "attributes.xml", "customs", "in") == ["xml.too_many_attributes"]
    still_works(port)


def test_edifact_without_signature_is_refused_from_a_party_that_must_sign(port: Any) -> None:
    """Else whoever reaches the folder could refuse any delivery in the agency's name, by an unsigned CONTRL."""
    forged = (
        b"UNB+UNOA:3+CUSTOMS+TJEPORT+261123:0810+C1'UNH+1+CONTRL:D:3:UN'UCI+E000000001+TJEPORT+CUSTOMS+4'"
        b"UNT+3+1'UNZ+1+C1'"
    )
    customs_sends(port, "contrl.edi", forged)
    assert "signature.missing" in told(port, "contrl.edi", "customs", "in")
    assert port.column(t.receipt, "id") == []
    still_works(port)


def credential(port: Any, party: str, since: datetime, days: int = 30) -> tuple[str, Signer]:
    issued = port.authority.issue(party, since, days)
    return issued.serial, Signer(parse_key(issued.private_key), load_certificates(issued.certificate)[0])


def wrapped(signed: bytes, inside: bool) -> bytes:
    """A forged answer that carries the signature, and the signed original where a lenient reader may find it."""
    original = etree.fromstring(signed)
    forged = copy.deepcopy(original)
    forged.find(f"{{{NAMESPACE}}}Status").text = "03"
    signature = forged.find(f"{{{DS}}}Signature")
    original.remove(original.find(f"{{{DS}}}Signature"))
    holder = etree.SubElement(signature if inside else forged, f"{{{DS}}}Object")
    holder.append(original)
    whole: bytes = etree.tostring(forged)
    return whole


SIGNED = {
    "tampered.xml": ("signature.invalid", lambda data: data.replace(b"<Status>01", b"<Status>03")),
    "wrapped-inside.xml": ("signature.wrapped", lambda data: wrapped(data, True)),
    "wrapped-beside.xml": ("xml.element_unexpected", lambda data: wrapped(data, False)),
    "comment.xml": ("signature.comment", lambda data: data.replace(b"<Status>01", b"<Status>0<!-- -->1")),
    "stripped.xml": ("signature.missing", lambda data: data[: data.index(b"<ds:Signature")] + b"</CustomsAnswer>"),
    "sha1.xml": ("signature.algorithm", lambda data: data.replace(b"2001/04/xmlenc#sha256", b"2000/09/xmldsig#sha1")),
}


@pytest.mark.parametrize("name", SIGNED)
def test_a_signature_that_does_not_cover_what_is_read_is_refused(port: Any, name: str) -> None:
    code, change = SIGNED[name]
    customs_sends(port, name, change(sign(ANSWER.encode(), port.signers["CUSTOMS"], port.now)))
    assert row(port, name)["state"] == "rejected" and code in told(port, name, "customs", "in")
    still_works(port)


def test_only_a_valid_certificate_of_the_party_itself_counts(port: Any) -> None:
    day = timedelta(days=1)
    _, old = credential(port, "CUSTOMS", START - day / 2, days=0)
    _, early = credential(port, "CUSTOMS", START + 90 * day)
    serial, stolen = credential(port, "CUSTOMS", START - day / 2)
    port.authority.revoke(serial, START)
    register = Register((port.authority.certificate(),), crls=(port.authority.crl(),))
    port.site = replace(port.site, register=register)
    strangers = Authority(port.folder / "strangers")
    strangers.init(START - day, "Test port CA")
    issued = strangers.issue("CUSTOMS", START - day)
    stranger = Signer(parse_key(issued.private_key), load_certificates(issued.certificate)[0])
    for name, signer, at, code in (
        ("expired.xml", old, START - day / 2, "signature.certificate_expired"),
        ("early.xml", early, START + 91 * day, "signature.certificate_not_yet"),
        ("revoked.xml", stolen, port.now, "signature.certificate_revoked"),
        ("other.xml", port.signers["INSPECTION"], port.now, "signature.certificate_unknown"),
        ("same-name.xml", stranger, port.now, "signature.certificate_unknown"),
    ):
        customs_sends(port, name, sign(ANSWER.encode(), signer, at))
        assert told(port, name, "customs", "in") == [code]
    assert port.column(t.receipt, "id") == []
    still_works(port)


def test_after_all_of_this_an_honest_answer_is_believed(port: Any) -> None:
    data = manifest()
    before = set(port.files("customs", "in"))
    submit(port, "honest.edi", data)
    [asked] = set(port.files("customs", "in")) - before
    text = asked.read_text("utf-8")
    reference, number = (text.split(f"<{tag}>")[1].split("<")[0] for tag in ("Reference", "ManifestNo"))
    port.answer("CUSTOMS", "honest.xml", ANSWER.replace("E999999999", reference).replace("TJL9", number))
    port.run()
    assert row(port, "honest.xml")["state"] == "opened"
    assert any(
        "cusres" in path.name and path.name.startswith("honest.edi.") for path in port.files("tjline", "inbound")
    )
