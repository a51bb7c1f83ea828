"""A corpus of broken bundles, each made from a good one by one kind of damage, and each refused for its own reason."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.evidence import archive, canonical, seal, stamp, verify
from hub.evidence.head import parse
from hub.identity import cms
from hub.identity.ca import Authority as Ca
from hub.identity.chain import Trust
from hub.identity.keys import Signer, load_certificates, parse_key
from hub.site.model import Stamping
from tests.evidence.conftest import Authority, authority_in, exported, journey
from tests.journeys import conftest as journeys

Members = dict[str, bytes]


@dataclass
class Good:
    """A good bundle with a stamp over its second head, and who could make another."""

    data: bytes
    port: Any
    tsa: Authority
    folder: Path

    @property
    def members(self) -> Members:
        return archive.read(self.data)

    @property
    def ca(self) -> x509.Certificate:
        return self.port.authority.certificate()

    def judge(self, data: bytes, stamp_roots: tuple[x509.Certificate, ...] = ()) -> verify.Report:
        return verify.verify(data, Trust((self.ca,)), stamp_roots or (self.tsa.root,))


@pytest.fixture(scope="module")
def good(told: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Good]:
    folder = tmp_path_factory.mktemp("broken")
    tsa = authority_in(folder / "tsa")
    seal.Stamper(Stamping(url="http://x", roots=["x"]), (tsa.root,), tsa.ask).tick(told.journal, told.now)
    made = Good(exported(told), told, tsa, folder)
    assert made.judge(made.data).verdict == "proved"
    yield made


def codes(report: verify.Report) -> set[str]:
    assert report.verdict == ("refused" if report.findings else "proved")
    return {finding.code for finding in report.findings}


# ---- tools of the forger


def manifest(members: Members, change: Callable[[Any], None]) -> Members:
    """With another manifest, in its canonical spelling."""
    value = json.loads(members["manifest.json"])
    change(value)
    return members | {"manifest.json": canonical.dump(value)}


def put(members: Members, data: bytes) -> str:
    """One more file under its right name."""
    name = hashlib.sha256(data).hexdigest()
    members[f"files/{name}"] = data
    return name


def exchanged(members: Members, number: int, part: str, data: bytes) -> Members:
    """Head `number` with other bytes for one of its parts, every name right."""
    rows = json.loads(members["manifest.json"])["heads"]
    members = without(members, f"files/{rows[number - 1][part]}")
    name = put(members, data)
    return manifest(members, lambda value: value["heads"][number - 1].update({part: name}))


def head_of(members: Members, number: int) -> bytes:
    return members[f"files/{json.loads(members['manifest.json'])['heads'][number - 1]['head']}"]


def resigned(members: Members, number: int, data: bytes, signer: Signer, at: datetime | None = None) -> Members:
    """Head `number` replaced and signed again by somebody."""
    signature = cms.sign(data, signer, at or parse(data).at)
    return exchanged(exchanged(members, number, "head", data), number, "signature", signature)


def lines(members: Members, change: Callable[[list[bytes]], None]) -> Members:
    rows = members["events.jsonl"].split(b"\n")[:-1]
    change(rows)
    return members | {"events.jsonl": b"".join(row + b"\n" for row in rows)}


def forger(good: Good, name: str) -> Signer:
    """A CA of the forger's own that has issued a certificate with the port's name."""
    folder, now = Path(mkdtemp(prefix=name, dir=good.folder)), parse(head_of(good.members, 1)).at - timedelta(hours=1)
    ca = Ca(folder)
    ca.init(now, "Test port CA")
    issued = ca.issue("TJEPORT", now)
    return Signer(parse_key(issued.private_key), load_certificates(issued.certificate)[0], (ca.certificate(),))


def packed(entries: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    """Any zip at all."""
    whole = io.BytesIO()
    with pytest.warns(UserWarning) if len({n for n, _ in entries}) < len(entries) else _quiet():  # noqa: SIM117
        with zipfile.ZipFile(whole, "w", method) as file:
            file.comment = comment
            for name, data in entries:
                file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, method)
    return whole.getvalue()


class _quiet:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


# ---- the archive itself


def bomb(good: Good) -> bytes:
    return packed([*good.members.items(), ("files/" + "0" * 64, bytes(100_000_000))], zipfile.ZIP_DEFLATED)


def longer_than_it_is(good: Good) -> bytes:
    """The list of contents says that a part has 2 GB."""
    data = bytearray(good.data)
    at = data.rindex(b"PK\x01\x02")
    data[at + 20 : at + 28] = struct.pack("<II", 2**31, 2**31)
    return bytes(data)


def encrypted(good: Good) -> bytes:
    data = bytearray(good.data)
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    return bytes(data)


def other_name_inside(good: Good) -> bytes:
    return good.data.replace(b"README.txt", b"README.exe", 1)


ARCHIVES: dict[str, tuple[Callable[[Good], bytes], str]] = {
    "nothing at all": (lambda g: b"", "evidence.zip"),
    "no zip": (lambda g: b"%PDF-1.4" * 100, "evidence.zip"),
    "truncated by a byte": (lambda g: g.data[:-1], "evidence.zip"),
    "truncated to the half": (lambda g: g.data[: len(g.data) // 2], "evidence.zip"),
    "without its beginning": (lambda g: g.data[40:], "evidence.zip"),
    "a program before it": (lambda g: b"#!/bin/sh\n" + g.data, "evidence.zip_form"),
    "bytes behind it": (lambda g: g.data + b"\x00" * 10, "evidence.zip_form"),
    "a comment": (lambda g: packed(sorted(g.members.items()), comment=b"hello"), "evidence.zip_form"),
    "other order": (lambda g: packed(sorted(g.members.items(), reverse=True)), "evidence.zip_form"),
    "packed again by another program": (lambda g: packed(sorted(g.members.items())), "evidence.zip_form"),
    "compressed": (lambda g: packed(sorted(g.members.items()), zipfile.ZIP_DEFLATED), "evidence.packed"),
    "zip bomb": (bomb, "evidence.packed"),
    "a part longer than the file": (longer_than_it_is, "evidence.too_large"),
    "encrypted": (encrypted, "evidence.zip"),
    "two names for one part": (other_name_inside, "evidence.zip"),
    "the same name twice": (lambda g: packed([*g.members.items(), ("README.txt", b"")]), "evidence.member_twice"),
    "../ in a name": (lambda g: packed([*g.members.items(), ("../../x", b"")]), "evidence.member_name"),
    "../ behind files": (lambda g: packed([*g.members.items(), ("files/../x", b"")]), "evidence.member_name"),
    "absolute name": (lambda g: packed([*g.members.items(), ("/etc/passwd", b"")]), "evidence.member_name"),
    "upper-case hash": (lambda g: packed([*g.members.items(), ("files/" + "A" * 64, b"")]), "evidence.member_name"),
    "one more part": (lambda g: packed([*g.members.items(), ("run.exe", b"")]), "evidence.member_name"),
}


@pytest.mark.parametrize("damage", ARCHIVES)
def test_an_archive_that_no_hub_wrote_is_refused(good: Good, damage: str) -> None:
    make, code = ARCHIVES[damage]
    assert codes(good.judge(make(good))) == {code}


def test_too_many_parts_are_refused(good: Good, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST", len(good.members) - 1)
    assert codes(good.judge(good.data)) == {"evidence.too_large"}


def test_too_many_bytes_are_refused(good: Good, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LARGEST", len(good.data) - 1)
    assert codes(good.judge(good.data)) == {"evidence.too_large"}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_flipped_bit_of_the_file_is_refused(good: Good, data: st.DataObject) -> None:
    broken = bytearray(good.data)
    broken[data.draw(st.integers(0, len(broken) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert len(codes(good.judge(bytes(broken)))) == 1


# ---- what is in it


def without(members: Members, name: str) -> Members:
    return {other: data for other, data in members.items() if other != name}


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def spelled(good: Good, old: bytes, new: bytes) -> Members:
    """The manifest in another spelling."""
    text = good.members["manifest.json"]
    assert text.count(old) >= 1
    return good.members | {"manifest.json": text.replace(old, new, 1)}


def set_(name: str, value: Any) -> Callable[[Any], None]:
    return lambda m: m.__setitem__(name, value)


def place(at: int, **values: Any) -> Callable[[Any], None]:
    return lambda m: m["events"][at].update(values)


def nothing(good: Good) -> Members:
    """In perfect form, signed by nobody."""
    empty = {name: [] for name in ("certificates", "events", "heads", "removed")}
    members = manifest(good.members, lambda m: m.update(empty))
    return {"README.txt": members["README.txt"], "manifest.json": members["manifest.json"], "events.jsonl": b""}


def first_file(m: Members) -> str:
    return next(name for name in sorted(m) if name.startswith("files/") and b"UNB" in m[name])


def dropped(m: Any, number: int) -> None:
    del m["heads"][number]


def swap(rows: list[Any]) -> None:
    rows[0], rows[1] = rows[1], rows[0]


def claims_removed(good: Good) -> Members:
    name = first_file(good.members).removeprefix("files/")
    return manifest(good.members, lambda m: m["removed"].append(name))


def repeated(good: Good) -> Members:
    members = lines(good.members, lambda rows: rows.insert(0, rows[0]))
    return manifest(members, lambda m: m["events"].insert(0, m["events"][0]))


def another_head(good: Good, **values: Any) -> bytes:
    return replace(parse(head_of(good.members, 2)), **values).encode()


def swapped_heads(good: Good) -> Members:
    def change(m: Any) -> None:
        first, second = m["heads"]
        first["head"], second["head"] = second["head"], first["head"]

    return manifest(good.members, change)


def swapped_signatures(good: Good) -> Members:
    def change(m: Any) -> None:
        first, second = m["heads"]
        first["signature"], second["signature"] = second["signature"], first["signature"]

    return manifest(good.members, change)


def expired(good: Good) -> Members:
    """The certificate ended before the head's time; the signature is of before."""
    at = parse(head_of(good.members, 2)).at
    issued = good.port.authority.issue("TJEPORT", at - timedelta(hours=20), days=0.5)
    signer = Signer(parse_key(issued.private_key), load_certificates(issued.certificate)[0])
    return resigned(good.members, 2, head_of(good.members, 2), signer, at - timedelta(hours=10))


def other_ca(good: Good) -> Members:
    return resigned(good.members, 2, head_of(good.members, 2), forger(good, "other-ca"))


def wholly_forged(good: Good) -> Members:
    """Every head and certificate anew, all of the forger's own making."""
    signer = forger(good, "forged")
    members = good.members
    for number in (1, 2):
        members = resigned(members, number, head_of(members, number), signer)
    name = put(members, signer.chain[0].public_bytes(archive_encoding()))

    def change(m: Any) -> None:
        for old in m["certificates"]:
            members.pop(f"files/{old}", None)
        m["certificates"] = [name]

    return manifest(members, change)


def archive_encoding() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER


def by_a_party(good: Good) -> Members:
    return resigned(good.members, 2, head_of(good.members, 2), good.port.signers["CUSTOMS"])


def stamped(good: Good, data: bytes, tsa: Authority | None = None) -> Members:
    return exchanged(good.members, 2, "stamp", (tsa or good.tsa).answer(stamp.request(data, 1)))


def rejected_stamp(good: Good) -> Members:
    wrong = stamp.request(b"x", 1).replace(hashlib.sha256(b"x").digest(), b"\x00" * 31)  # too short for SHA-256
    return exchanged(good.members, 2, "stamp", good.tsa.answer(wrong))


def bent_stamp(good: Good) -> Members:
    row = json.loads(good.members["manifest.json"])["heads"][1]
    return exchanged(good.members, 2, "stamp", flipped(good.members[f"files/{row['stamp']}"]))


def junk_certificate(good: Good) -> Members:
    members = good.members
    name = put(members, b"no certificate")

    def change(m: Any) -> None:
        members.pop(f"files/{m['certificates'][-1]}")
        m["certificates"][-1] = name

    return manifest(members, change)


CONTENTS: dict[str, tuple[Callable[[Good], Members], set[str]]] = {
    # parts
    "no manifest": (lambda g: without(g.members, "manifest.json"), {"evidence.member_missing"}),
    "no events": (lambda g: without(g.members, "events.jsonl"), {"evidence.member_missing"}),
    "no instructions": (lambda g: without(g.members, "README.txt"), {"evidence.member_missing"}),
    "other instructions": (lambda g: g.members | {"README.txt": b"run this: ..."}, {"evidence.readme"}),
    "a file is gone": (lambda g: without(g.members, first_file(g.members)), {"evidence.file_missing"}),
    "a file that nothing names": (lambda g: (m := g.members, put(m, b"x"))[0], {"evidence.unnamed"}),
    "a file said to be removed, and here": (claims_removed, {"evidence.unnamed"}),
    "a certificate that is none": (junk_certificate, {"signature.malformed"}),
    # the manifest
    "unknown field": (lambda g: manifest(g.members, set_("note", "x")), {"evidence.manifest"}),
    "unknown field of a head": (
        lambda g: manifest(g.members, lambda m: m["heads"][0].update(x=1)), {"evidence.manifest"}
    ),
    "missing field": (lambda g: manifest(g.members, lambda m: m.pop("removed")), {"evidence.manifest"}),
    "number as float": (lambda g: spelled(g, b'"number":1', b'"number":1.0'), {"evidence.manifest"}),
    "number as text": (lambda g: spelled(g, b'"number":1', b'"number":"1"'), {"evidence.manifest"}),
    "true as a number": (lambda g: spelled(g, b'"number":1', b'"number":true'), {"evidence.manifest"}),
    "a name twice": (lambda g: spelled(g, b'"port":', b'"port":"X","port":'), {"evidence.manifest"}),
    "with blanks": (lambda g: spelled(g, b'"port":', b'"port": '), {"evidence.manifest"}),
    "another format": (lambda g: manifest(g.members, set_("format", "eport-evidence-2")), {"evidence.manifest"}),
    "a path of no hashes": (lambda g: manifest(g.members, place(0, path=["x"])), {"evidence.manifest"}),
    "a list that is none": (lambda g: manifest(g.members, set_("heads", {})), {"evidence.manifest"}),
    "nested too deep": (lambda g: g.members | {"manifest.json": b"[" * 100_000}, {"evidence.manifest"}),
    "another port": (lambda g: manifest(g.members, set_("port", "CNSHA")), {"evidence.head"}),
    # events
    "nothing, claimed by the port": (nothing, {"evidence.events"}),
    "an event less": (lambda g: lines(g.members, lambda rows: rows.pop()), {"evidence.events"}),
    "no end of line": (
        lambda g: g.members | {"events.jsonl": g.members["events.jsonl"][:-1]}, {"evidence.events"}
    ),
    "an event changed": (
        lambda g: g.members | {"events.jsonl": g.members["events.jsonl"].replace(b"mft.edi", b"mft.edo", 1)},
        {"evidence.event_changed"},
    ),
    "an event in another spelling": (
        lambda g: g.members | {"events.jsonl": g.members["events.jsonl"].replace(b'"seq":1,', b'"seq":1 ,')},
        {"evidence.event"},
    ),
    "a float in an event": (
        lambda g: g.members | {"events.jsonl": g.members["events.jsonl"].replace(b'"seq":1,', b'"seq":1.0,')},
        {"evidence.event"},
    ),
    "two events change places": (
        lambda g: lines(g.members, swap), {"evidence.event_changed", "evidence.event_order"}
    ),
    "two events with their paths change places": (
        lambda g: manifest(lines(g.members, swap), lambda m: swap(m["events"])), {"evidence.event_order"}
    ),
    "an event twice": (repeated, {"evidence.event_order"}),
    "the path of another": (
        lambda g: manifest(g.members, lambda m: m["events"][0].update(path=m["events"][1]["path"])),
        {"evidence.event_changed"},
    ),
    "the path of another tree": (
        lambda g: manifest(g.members, lambda m: m["events"][0].update(path=m["events"][-1]["path"])),
        {"evidence.event_changed"},
    ),
    "a path too short": (
        lambda g: manifest(g.members, lambda m: m["events"][0]["path"].pop()), {"evidence.event_changed"}
    ),
    "a path too long": (
        lambda g: manifest(g.members, lambda m: m["events"][0]["path"].append("0" * 64)), {"evidence.event_changed"}
    ),
    "a leaf that the tree does not have": (
        lambda g: manifest(g.members, place(0, index=10_000)), {"evidence.event_changed"}
    ),
    "a leaf before the first": (lambda g: manifest(g.members, place(0, index=-1)), {"evidence.event_changed"}),
    "under another head": (
        lambda g: manifest(g.members, place(0, head=2)), {"evidence.event_changed", "evidence.event_order"}
    ),
    "under no head": (lambda g: manifest(g.members, place(0, head=9)), {"evidence.head_missing"}),
    # heads
    "a head missing": (lambda g: manifest(g.members, lambda m: dropped(m, 0)), {"evidence.head_missing"}),
    "a head renumbered": (
        lambda g: manifest(g.members, lambda m: m["heads"][0].update(number=7)), {"evidence.head"}
    ),
    "heads swapped": (swapped_heads, {"evidence.head", "evidence.head_order"}),
    "heads in another order": (
        lambda g: manifest(g.members, lambda m: m["heads"].reverse()), {"evidence.head_order"}
    ),
    "a head that is none": (lambda g: exchanged(g.members, 2, "head", b"{}"), {"evidence.head"}),
    "a head with a gap in its chain": (
        lambda g: exchanged(g.members, 2, "head", another_head(g, previous="0" * 64)), {"evidence.head_chain"}
    ),
    "a fork that the port itself signed": (
        lambda g: resigned(
            g.members, 2, another_head(g, previous="0" * 64), g.port.signers["TJEPORT"]
        ),
        {"evidence.head_chain"},
    ),
    "a head with another time": (
        lambda g: exchanged(g.members, 2, "head", another_head(g, at=datetime(2030, 1, 1, tzinfo=UTC))),
        {"signature.certificate_expired", "evidence.stamp_imprint"},
    ),
    "a head changed by a second": (
        lambda g: exchanged(
            g.members, 2, "head", another_head(g, at=parse(head_of(g.members, 2)).at + timedelta(seconds=1))
        ),
        {"signature.content", "evidence.stamp_imprint"},
    ),
    # signatures
    "a signature of another head": (swapped_signatures, {"signature.content"}),
    "a signature that is none": (
        lambda g: exchanged(g.members, 2, "signature", b"\x30\x03\x02\x01\x01"), {"signature.malformed"}
    ),
    "a signature with bytes behind it": (
        lambda g: exchanged(g.members, 2, "signature", cms_of(g) + b"\x00"), {"signature.malformed"}
    ),
    "a signature with a bent value": (
        lambda g: exchanged(g.members, 2, "signature", flipped(cms_of(g))), {"signature.invalid"}
    ),
    "a certificate of the right name, of another CA": (other_ca, {"evidence.anchor"}),
    "everything of the forger's own making": (wholly_forged, {"evidence.anchor"}),
    "signed by a party of the same CA": (by_a_party, {"signature.certificate_unknown"}),
    "a certificate that had expired": (expired, {"signature.certificate_expired"}),
    # stamps
    "a stamp over another head": (
        lambda g: stamped(g, head_of(g.members, 1)), {"evidence.stamp_imprint"}
    ),
    "a stamp that is none": (lambda g: exchanged(g.members, 2, "stamp", b"0"), {"evidence.stamp"}),
    "a stamp with a bent signature": (bent_stamp, {"evidence.stamp_signature"}),
    "a stamp that was refused": (rejected_stamp, {"evidence.stamp_refused"}),
}  # fmt: skip


def cms_of(good: Good) -> bytes:
    row = json.loads(good.members["manifest.json"])["heads"][1]
    return good.members[f"files/{row['signature']}"]


@pytest.mark.parametrize("damage", CONTENTS)
def test_content_that_is_not_what_was_sealed_is_refused(good: Good, damage: str) -> None:
    make, expected = CONTENTS[damage]
    found = codes(good.judge(archive.write(make(good))))
    assert found - {"evidence.anchor"} == expected - {"evidence.anchor"} and found & expected


def test_a_flipped_bit_in_any_part_is_refused(good: Good) -> None:
    for name, data in good.members.items():
        middle = len(data) // 2
        bent = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        assert codes(good.judge(archive.write(good.members | {name: bent}))), name


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["head", "signature", "stamp"]), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_a_bent_part_under_its_right_name_is_refused_or_says_the_same(
    good: Good, part: str, where: float, bit: int
) -> None:
    """Not every byte around a signature is signed; but none of them changes what is proved, and none is a fault."""
    row = json.loads(good.members["manifest.json"])["heads"][1]
    bent = bytearray(good.members[f"files/{row[part]}"])
    bent[int(where * len(bent))] ^= 1 << bit
    report = good.judge(archive.write(exchanged(good.members, 2, part, bytes(bent))))
    if part != "stamp":
        assert report.verdict == "refused"
    if report.verdict == "proved":
        same = good.judge(good.data)
        assert (report.events, report.stamps) == (same.events, same.stamps)


def unreadable_certificate(good: Good) -> bytes:
    """A signature whose certificate is bent where it is decoded only when somebody asks for it."""
    signature = cms_of(good)
    name = good.port.signers["TJEPORT"].certificate.issuer.public_bytes()
    return signature.replace(name, name[:2] + b"\xff" + name[3:], 1)


def test_a_certificate_that_cannot_be_decoded_is_a_finding(good: Good) -> None:
    broken = exchanged(good.members, 2, "signature", unreadable_certificate(good))
    assert good.judge(archive.write(broken)).verdict == "refused"


def test_a_part_of_the_truth_is_still_true_and_says_no_more(good: Good) -> None:
    """Events may be left out, with the files that only they name; what is left is what was sealed."""
    members = good.members
    last = json.loads(members["events.jsonl"].split(b"\n")[-2])
    assert not {"sha256"} & last["detail"].keys()
    fewer = manifest(lines(members, lambda rows: rows.pop()), lambda m: m["events"].pop())
    assert len(good.judge(archive.write(fewer)).events) == len(json.loads(members["manifest.json"])["events"]) - 1


def test_a_stamp_of_an_authority_that_is_not_trusted_is_refused(good: Good) -> None:
    other = authority_in(good.folder / "other-tsa")
    assert codes(good.judge(good.data, (other.root,))) == {"evidence.stamp_chain"}
    forged = archive.write(stamped(good, head_of(good.members, 2), other))
    assert codes(good.judge(forged)) == {"evidence.stamp_chain"}


@pytest.mark.parametrize(
    "usage", [(ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CLIENT_AUTH), ()], ids=["two uses", "no use"]
)
def test_a_stamp_by_a_certificate_for_something_else_is_refused(good: Good, usage: Any) -> None:
    data = head_of(good.members, 2)
    response = self_made(good, data, usage)
    broken = archive.write(exchanged(good.members, 2, "stamp", response[0]))
    assert codes(good.judge(broken, (response[1],))) == {"evidence.stamp_usage"}


def test_a_stamp_that_is_older_than_its_head_is_refused(good: Good) -> None:
    response, root = self_made(good, head_of(good.members, 2), ago=timedelta(hours=1))
    broken = archive.write(exchanged(good.members, 2, "stamp", response))
    assert codes(good.judge(broken, (root,))) == {"evidence.stamp_time"}


def self_made(
    good: Good, data: bytes, usage: Any = (ExtendedKeyUsageOID.TIME_STAMPING,), ago: timedelta = timedelta(0)
) -> tuple[bytes, x509.Certificate]:
    """A response that openssl's authority would not give: of any certificate, at any time."""
    from asn1crypto import algos, core, tsp
    from asn1crypto import cms as asn1
    from asn1crypto import x509 as asn1_x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    from tests.evidence.conftest import certificate

    root = certificate("Odd TSA CA")
    own, key = certificate("Odd TSA", root, usage)
    der = own.public_bytes(archive_encoding())
    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": hashlib.sha256(data).digest()}
    at = parse(data).at.replace(microsecond=0) - ago
    token = tsp.TSTInfo(
        {"version": "v1", "policy": "1.2.3", "message_imprint": imprint, "serial_number": 1, "gen_time": at}
    ).dump()
    named = tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(der).digest()}]})
    attributes = asn1.CMSAttributes(
        [
            {"type": "content_type", "values": ["tst_info"]},
            {"type": "message_digest", "values": [hashlib.sha256(token).digest()]},
            {"type": "signing_certificate_v2", "values": [named]},
        ]
    )
    plain = asn1_x509.Certificate.load(der)
    info = {
        "version": "v1",
        "sid": {"issuer_and_serial_number": {"issuer": plain.issuer, "serial_number": plain.serial_number}},
        "digest_algorithm": {"algorithm": "sha256"},
        "signed_attrs": attributes,
        "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}),
        "signature": key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
    }
    content = {
        "version": "v3",
        "digest_algorithms": [{"algorithm": "sha256"}],
        "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(token)},
        "certificates": [plain],
        "signer_infos": [info],
    }
    whole = {"content_type": "signed_data", "content": asn1.SignedData(content)}
    return tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": whole}).dump(), root[0]


def test_a_whole_port_of_a_forger_is_consistent_and_has_another_fingerprint(
    good: Good, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is why nobody should believe a bundle without having compared a fingerprint."""
    monkeypatch.setattr(journeys, "START", datetime.now(UTC))
    forged = journeys.Port(tmp_path / "port")
    journey(forged)
    data = exported(forged)
    forged.close()
    report = verify.verify(data)
    assert report.verdict == "consistent" and good.ca not in report.anchors
    assert codes(good.judge(data)) == {"evidence.anchor"}
