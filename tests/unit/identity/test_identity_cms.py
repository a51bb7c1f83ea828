"""Detached CMS: OpenSSL and this hub understand each other, and nothing but the narrow form is believed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import cms as asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7

from hub.errors import IdentityError
from hub.identity import cms
from hub.identity.ca import Authority
from hub.identity.keys import Signer, load_certificate, parse_certificate, parse_key
from hub.identity.register import Register

DATA = b"UNB+UNOC:3+BOHAI+TJEPORT+261123:0800+1'\r\nUNZ+0+1'\n"
DETACHED = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]


def _codes(der: bytes, world: Any, now: datetime, data: bytes = DATA, party: str = "BOHAI") -> list[str]:
    verified = cms.verify(data, der, party, world.register, now)
    assert verified.signed == (b"" if verified.findings else data)
    return [finding.code for finding in verified.findings]


def _openssl(*arguments: object, ok: bool = True) -> None:
    done = subprocess.run(["openssl", "cms", *map(str, arguments)], capture_output=True, text=True)
    assert (done.returncode == 0) is ok, done.stderr


@pytest.fixture
def files(tmp_path: Path, signer: Signer) -> dict[str, Path]:
    pem = signer.certificate.public_bytes(Encoding.PEM)
    key = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    made = {}
    for name, content in (("data", DATA), ("crt", pem), ("key", key), ("p7s", b"")):
        made[name] = tmp_path / name
        made[name].write_bytes(content)
    return made


@pytest.mark.parametrize("data", [DATA, b"", bytes(range(256)) * 50])
def test_round_trip(data: bytes, signer: Signer, world: Any, now: datetime) -> None:
    der = cms.sign(data, signer, now)
    verified = cms.verify(data, der, "BOHAI", world.register, now)
    assert (verified.findings, verified.signed) == ((), data)
    assert verified.certificate == signer.certificate
    assert der == asn1.ContentInfo.load(der, strict=True).dump(force=True)


def test_openssl_verifies_ours(signer: Signer, files: dict[str, Path], ca_pem: Path, now: datetime) -> None:
    files["p7s"].write_bytes(cms.sign(DATA, signer, now))
    command = ["-verify", "-binary", "-inform", "DER", "-in", files["p7s"], "-content", files["data"]]
    command += ["-CAfile", ca_pem, "-attime", int(now.timestamp()), "-purpose", "any", "-out", "/dev/null"]
    _openssl(*command)
    files["data"].write_bytes(DATA.replace(b"0800", b"0900"))
    _openssl(*command, ok=False)


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_openssl_made_signatures_are_understood(
    digest: str, signer: Signer, files: dict[str, Path], world: Any, now: datetime
) -> None:
    command = ["-sign", "-binary", "-outform", "DER", "-md", digest, "-in", files["data"], "-out", files["p7s"]]
    _openssl(*command, "-signer", files["crt"], "-inkey", files["key"])
    # OpenSSL signs with the clock of this computer; the window is not what is tested here.
    register = replace(world.register, window=timedelta(days=36500))
    assert cms.verify(DATA, files["p7s"].read_bytes(), "BOHAI", register, now).findings == ()


def test_cryptography_made_signatures_are_understood(signer: Signer, world: Any, now: datetime) -> None:
    builder = pkcs7.PKCS7SignatureBuilder().set_data(DATA)
    der = builder.add_signer(signer.certificate, signer.key, hashes.SHA256()).sign(Encoding.DER, DETACHED)
    register = replace(world.register, window=timedelta(days=36500))
    assert cms.verify(DATA, der, "BOHAI", register, now).findings == ()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["-nodetach"], "signature.detached"),
        (["-md", "sha1"], "signature.algorithm"),
        (["-noattr"], "signature.attribute"),
        (["-keyid"], "signature.malformed"),
        (["-nocerts"], "signature.certificate_missing"),
        (["-stream", "-nodetach"], "signature.malformed"),
        (["-econtent_type", "1.2.3.4"], "signature.detached"),
    ],
)
def test_openssl_variants_are_refused(
    options: list[str], code: str, files: dict[str, Path], world: Any, now: datetime
) -> None:
    command = ["-sign", "-binary", "-outform", "DER", "-in", files["data"], "-out", files["p7s"], *options]
    _openssl(*command, "-signer", files["crt"], "-inkey", files["key"])
    assert _codes(files["p7s"].read_bytes(), world, now) == [code]


def test_tampered_content_is_refused(signer: Signer, world: Any, now: datetime) -> None:
    der = cms.sign(DATA, signer, now)
    for data in (DATA + b"\n", DATA[:-1], DATA.replace(b"\r\n", b"\n"), b""):
        assert _codes(der, world, now, data) == ["signature.content"]


def test_trailing_and_missing_bytes_are_refused(signer: Signer, world: Any, now: datetime) -> None:
    der = cms.sign(DATA, signer, now)
    for wrong in (der + b"\0" * 8, der + b"\0", der + der, der[:-1], der[:20], b"", b"\x30", b"\x30\x80", b"\x30\x00"):
        assert _codes(wrong, world, now) == ["signature.malformed"]
    assert _codes(DATA, world, now) == ["signature.malformed"]


def test_lengths_that_are_not_der_are_refused(signer: Signer, world: Any, now: datetime) -> None:
    der = cms.sign(DATA, signer, now)
    assert der[1] == 0x82
    assert _codes(b"\x30\x83\x00" + der[2:], world, now) == ["signature.malformed"]
    assert _codes(b"\x30\x80" + der[4:] + b"\0\0", world, now) == ["signature.malformed"]


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_no_altered_bit_is_accepted(world: Any, now: datetime) -> None:
    """Every bit of the file: never an exception, and never accepted."""
    der = cms.sign(DATA, world.signers["ec"], now)
    for place in range(len(der)):
        for bit in range(8):
            changed = der[:place] + bytes([der[place] ^ 1 << bit]) + der[place + 1 :]
            assert _codes(changed, world, now), (place, bit, der[max(0, place - 8) : place + 8].hex())


def test_a_certificate_has_one_spelling(world: Any) -> None:
    """Unused bits in its signature; the last bit must be 0 for a reader to overlook them."""
    der = b""
    while not der or der[-1] & 1:
        der = world.issue("BOHAI").certificate.public_bytes(Encoding.DER)
    place = len(der) - len(parse_certificate(der).signature) - 1
    with pytest.raises(ValueError, match=r"unused bits|padding"):
        parse_certificate(der[:place] + b"\x01" + der[place + 1 :])


def test_two_signers_or_none_are_refused(world: Any, now: datetime) -> None:
    builder = pkcs7.PKCS7SignatureBuilder().set_data(DATA)
    for name in ("ec", "rsa"):
        builder = builder.add_signer(world.signers[name].certificate, world.signers[name].key, hashes.SHA256())
    assert _codes(builder.sign(Encoding.DER, DETACHED), world, now) == ["signature.signers"]


def test_another_party_is_refused(world: Any, now: datetime) -> None:
    der = cms.sign(DATA, world.signers["other"], now)
    assert _codes(der, world, now) == ["signature.certificate_unknown"]
    assert _codes(der, world, now, party="CUSTOMS") == []


def test_the_time_of_the_certificate_counts(signer: Signer, world: Any, now: datetime) -> None:
    der = cms.sign(DATA, signer, now)
    begin, end = signer.certificate.not_valid_before_utc, signer.certificate.not_valid_after_utc
    assert _codes(der, world, begin - timedelta(seconds=1)) == ["signature.certificate_not_yet"]
    assert _codes(der, world, end + timedelta(seconds=1)) == ["signature.certificate_expired"]
    with pytest.raises(IdentityError):
        cms.sign(DATA, signer, end + timedelta(seconds=1))


def test_the_signing_time_lies_within_the_window(world: Any, now: datetime) -> None:
    signer: Signer = world.issue("BOHAI", now - timedelta(days=60))
    der = cms.sign(DATA, signer, now)
    window = world.register.window
    assert _codes(der, world, now + window) == _codes(der, world, now - window) == []
    for far in (now + window + timedelta(seconds=1), now - window - timedelta(seconds=1)):
        assert _codes(der, world, far) == ["signature.time"]


def test_the_year_2050_is_written_in_full() -> None:
    late = datetime(2050, 1, 1, tzinfo=UTC)
    assert cms._time(late).dump() == b"\x18\x0f20500101000000Z"
    assert cms._time(late - timedelta(seconds=1)).dump() == b"\x17\x0d491231235959Z"


def test_revoked_is_refused(tmp_path: Path, now: datetime) -> None:
    authority = Authority(tmp_path)
    authority.init(now, "CA")
    issued = authority.issue("BOHAI", now)
    assert issued.private_key is not None
    der = cms.sign(DATA, Signer(parse_key(issued.private_key), load_certificate(issued.certificate)), now)
    register = Register(roots=(authority.certificate(),), crls=(authority.revoke("BOHAI", now),))
    codes = [finding.code for finding in cms.verify(DATA, der, "BOHAI", register, now).findings]
    assert codes == ["signature.certificate_revoked"]


def test_a_chain_travels_along(world: Any, now: datetime) -> None:
    signer = replace(world.signers["ec"], chain=(world.authority.certificate(),))
    der = cms.sign(DATA, signer, now)
    assert len(asn1.ContentInfo.load(der)["content"]["certificates"]) == 2
    assert _codes(der, world, now) == []


# One field changed, everything else in good order


def _without(name: str) -> Callable[[Any, Any], None]:
    def change(content: Any, info: Any) -> None:
        info["signed_attrs"] = [one for one in info["signed_attrs"] if one["type"].native != name]

    return change


def _set(field: str, value: Any) -> Callable[[Any, Any], None]:
    def change(content: Any, info: Any) -> None:
        info[field] = value

    return change


def _set_around(field: str, value: Any) -> Callable[[Any, Any], None]:
    def change(content: Any, info: Any) -> None:
        content[field] = value

    return change


def _twice(content: Any, info: Any) -> None:
    info["signed_attrs"].append(info["signed_attrs"][0])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_set_around("signer_infos", []), "signature.signers"),
        (_set_around("digest_algorithms", [{"algorithm": "sha512"}]), "signature.algorithm"),
        (_set_around("version", "v3"), "signature.malformed"),
        (_set("digest_algorithm", {"algorithm": "sha1"}), "signature.algorithm"),
        (_set("signature_algorithm", {"algorithm": "rsassa_pss"}), "signature.algorithm"),
        (_set("unsigned_attrs", [{"type": "1.2.3.4", "values": []}]), "signature.attribute"),
        (_twice, "signature.attribute"),
        (_without("content_type"), "signature.attribute"),
        (_without("signing_time"), "signature.invalid"),
    ],
)
def test_changed_fields_are_refused(change: Callable[[Any, Any], None], code: str, world: Any, now: datetime) -> None:
    whole = asn1.ContentInfo.load(cms.sign(DATA, world.signers["ec"], now))
    change(whole["content"], whole["content"]["signer_infos"][0])
    assert _codes(whole.dump(force=True), world, now) == [code]
