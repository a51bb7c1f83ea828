"""The SFTP client against OpenSSH's sshd and against our own front door, over real sockets."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import paramiko
import pytest
from pydantic import ValidationError

from adapters import sftp, sftpd
from adapters.sftp.inlet import PATIENCE, SftpInlet
from adapters.sftp.link import Link
from adapters.sftp.options import pinned
from adapters.sftp.outlet import SftpOutlet
from hub.contract import DoorEndpoint, Ground, Handover, Known, Parcel
from hub.errors import DeclarationError, OutcomeUnknown, Unreachable, Untrusted
from tests.adapters.network import until
from tests.adapters.openssh import Sshd, key_pair

WHOLE = b"UNB+UNOA:1+A+B+260101:0000+1'UNH+1+APERAK:D:96B:UN'UNT+2+1'UNZ+1+1'"
CUT = WHOLE[:40]


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    server = Sshd(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def outlet(sshd: Sshd) -> Iterator[SftpOutlet]:
    outlet = sftp.outlet("partner", sshd.options(), sshd.ground)
    yield outlet
    outlet.close()


@pytest.fixture
def inlet(sshd: Sshd) -> Iterator[SftpInlet]:
    inlet = sftp.inlet("partner", sshd.options(), sshd.ground)
    yield inlet
    inlet.close()


def one(results: Iterator[Handover]) -> Handover:
    (result,) = results
    return result


PARCEL = Parcel("d1", "A.edi", WHOLE)


# ---- handing over


def test_send_is_done_once_and_again(sshd: Sshd, outlet: SftpOutlet) -> None:
    parcels = [
        Parcel("d1", "A.edi", WHOLE, companions=(("A.p7s", b"s" * 100_000),)),
        Parcel("d2", "E.edi", b""),
    ]
    for _ in range(2):
        assert [item.known for item in outlet.send(parcels)] == [Known.DONE, Known.DONE]
    assert sorted(os.listdir(sshd.put)) == ["A.edi", "A.p7s", "E.edi"]
    assert (sshd.put / "A.edi").read_bytes() == WHOLE
    assert (sshd.put / "A.p7s").read_bytes() == b"s" * 100_000
    assert one(outlet.probe(parcels[:1])).known is Known.DONE


@pytest.mark.parametrize("there", [CUT, bytes(len(WHOLE))])
def test_name_with_other_bytes_is_refused_and_kept(sshd: Sshd, outlet: SftpOutlet, there: bytes) -> None:
    (sshd.put / "A.edi").write_bytes(there)
    assert one(outlet.send([PARCEL])).known is Known.REFUSED
    assert (sshd.put / "A.edi").read_bytes() == there
    assert os.listdir(sshd.put) == ["A.edi"]


def test_companion_with_other_bytes_keeps_the_data_back(sshd: Sshd, outlet: SftpOutlet) -> None:
    (sshd.put / "A.p7s").write_bytes(b"other")
    assert one(outlet.send([Parcel("d1", "A.edi", WHOLE, companions=(("A.p7s", b"s"),))])).known is Known.REFUSED
    assert os.listdir(sshd.put) == ["A.p7s"]


def test_rest_of_an_earlier_try_is_replaced(sshd: Sshd, outlet: SftpOutlet) -> None:
    (sshd.put / ".d1.tmp").write_bytes(b"x" * 1000)
    assert one(outlet.probe([PARCEL])).known is Known.NOT_DONE
    assert one(outlet.send([PARCEL])).known is Known.DONE
    assert os.listdir(sshd.put) == ["A.edi"]


def test_taken_by_the_partner_is_done_by_its_folder_else_unknown(sshd: Sshd, outlet: SftpOutlet) -> None:
    assert one(outlet.send([PARCEL])).known is Known.DONE
    (sshd.put / "A.edi").rename(sshd.done / "A.edi")
    assert one(outlet.probe([PARCEL])).known is Known.DONE
    assert one(outlet.send([PARCEL])).known is Known.DONE
    assert os.listdir(sshd.put) == []
    (sshd.done / "A.edi").unlink()
    assert one(outlet.probe([PARCEL])).known is Known.UNKNOWN


def test_missing_is_not_done_where_the_consumer_keeps(sshd: Sshd) -> None:
    outlet = sftp.outlet("partner", sshd.options(consumer_keeps=True, done=None), sshd.ground)
    assert one(outlet.probe([PARCEL])).known is Known.NOT_DONE
    outlet.close()


@pytest.mark.parametrize("call", ["send", "probe"])
def test_other_host_key_is_untrusted_and_nothing_is_sent(sshd: Sshd, tmp_path: Path, call: str) -> None:
    other = key_pair(tmp_path / "other")
    outlet = sftp.outlet("partner", sshd.options(host_keys=[other]), sshd.ground)
    result = one(getattr(outlet, call)([PARCEL]))
    assert result.known is Known.UNTRUSTED
    assert result.evidence.count("SHA256:") == 2
    assert os.listdir(sshd.put) == []
    assert "Accepted" not in (sshd.folder / "log").read_text()
    inlet = sftp.inlet("partner", sshd.options(host_keys=[other]), sshd.ground)
    with pytest.raises(Untrusted):
        inlet.collect(1)
    both = sftp.outlet("partner", sshd.options(host_keys=[other, sshd.host_key]), sshd.ground)
    assert one(both.send([PARCEL])).known is Known.DONE
    both.close()


def test_refused_key_and_unusable_key_are_not_done(sshd: Sshd) -> None:
    outlet = sftp.outlet("partner", sshd.options(key="file:stranger"), sshd.ground)
    result = one(outlet.send([PARCEL]))
    assert (result.known, result.evidence) == (Known.NOT_DONE, "authentication refused")
    for key in ("file:absent", "file:config", "secret in the clear"):
        result = one(sftp.outlet("partner", sshd.options(key=key), sshd.ground).send([PARCEL]))
        assert result.known is Known.NOT_DONE
        assert "our private key" in result.evidence
        assert "clear text" not in result.evidence


def test_folder_that_is_not_there_is_not_done(sshd: Sshd) -> None:
    outlet = sftp.outlet("partner", sshd.options(put=str(sshd.folder / "none")), sshd.ground)
    assert one(outlet.send([PARCEL])).known is Known.NOT_DONE
    outlet.close()


def test_server_down_then_up_again(sshd: Sshd, outlet: SftpOutlet) -> None:
    assert one(outlet.send([Parcel("d0", "0.edi", WHOLE)])).known is Known.DONE
    sshd.stop()
    outlet.close()
    assert one(outlet.send([PARCEL])).known is Known.NOT_DONE
    assert one(outlet.probe([PARCEL])).known is Known.UNKNOWN
    sshd.start()
    assert one(outlet.send([PARCEL])).known is Known.DONE


@pytest.mark.parametrize("server_lives", [True, False])
def test_lost_answer_of_the_rename(
    sshd: Sshd, outlet: SftpOutlet, monkeypatch: pytest.MonkeyPatch, server_lives: bool
) -> None:
    rename = paramiko.SFTPClient.rename

    def losing(client: paramiko.SFTPClient, old: str, new: str) -> None:
        rename(client, old, new)
        if not server_lives:
            sshd.stop()
        client.get_channel().get_transport().close()  # type: ignore[union-attr]
        raise EOFError

    with monkeypatch.context() as patch:
        patch.setattr(paramiko.SFTPClient, "rename", losing)
        assert one(outlet.send([PARCEL])).known is (Known.DONE if server_lives else Known.UNKNOWN)
    if not server_lives:
        sshd.start()
    assert one(outlet.probe([PARCEL])).known is Known.DONE
    assert (sshd.put / "A.edi").read_bytes() == WHOLE


def test_connection_lost_before_the_rename_is_not_done(
    sshd: Sshd, outlet: SftpOutlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losing(client: paramiko.SFTPClient, old: str, new: str) -> None:
        client.get_channel().get_transport().close()  # type: ignore[union-attr]
        raise EOFError

    with monkeypatch.context() as patch:
        patch.setattr(paramiko.SFTPClient, "rename", losing)
        assert one(outlet.send([PARCEL])).known is Known.NOT_DONE
    assert one(outlet.send([PARCEL])).known is Known.DONE


def test_silent_server_is_given_up_in_time(tmp_path: Path) -> None:
    line = key_pair(tmp_path / "own")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = sftp.Options(
            host="127.0.0.1",
            port=silent.getsockname()[1],
            user="u",
            key="file:own",
            host_keys=[line],
            put="/",
            timeout=0.3,
        )
        begin = time.monotonic()
        assert one(sftp.outlet("p", options, Ground(tmp_path, tmp_path)).send([PARCEL])).known is Known.NOT_DONE
        assert time.monotonic() - begin < 10


def test_operation_that_never_ends_is_cut_by_the_watchdog(sshd: Sshd) -> None:
    link = Link(sshd.options(timeout=0.5), sshd.ground)
    begin = time.monotonic()
    with pytest.raises(OutcomeUnknown), link.working() as client:
        # Every single answer is in time; only the whole takes too long.
        while time.monotonic() - begin < 30:
            client.stat("/")
    assert 1.5 < time.monotonic() - begin < 10


@pytest.mark.parametrize(
    ("line", "legacy"),
    [
        ("Ciphers aes256-cbc", "aes256-cbc"),
        ("Ciphers 3des-cbc", "3des-cbc"),
        ("MACs hmac-sha1", "hmac-sha1"),
        ("MACs hmac-md5-96", "hmac-md5-96"),
    ],
)
def test_a_weak_algorithm_is_spoken_only_where_it_is_named(tmp_path: Path, line: str, legacy: str) -> None:
    # Of a cipher that authenticates itself no MAC is asked.
    sshd = Sshd(tmp_path, line if line.startswith("Ciphers") else f"{line}\nCiphers aes256-ctr")
    try:
        for named, known in (([], Known.NOT_DONE), (["aes128-cbc"], Known.NOT_DONE), ([legacy], Known.DONE)):
            outlet = sftp.outlet("partner", sshd.options(legacy=named), sshd.ground)
            told = one(outlet.send([PARCEL]))
            outlet.close()
            assert told.known is known, told.evidence
        assert (sshd.put / "A.edi").read_bytes() == WHOLE
    finally:
        sshd.stop()


def test_only_known_weak_algorithms_can_be_named(tmp_path: Path) -> None:
    plain = {"host": "h", "user": "u", "key": "file:own", "host_keys": ["ssh-ed25519 AAAA"]}
    for name in ("arcfour", "diffie-hellman-group1-sha1", "ssh-dss", "none", "aes256-ctr"):
        with pytest.raises(ValidationError, match="legacy"):
            sftp.Options.model_validate(plain | {"legacy": [name]})


class Impostor(paramiko.Ed25519Key):
    """Shows the public half of another's host key and signs with its own."""

    stolen: bytes

    def asbytes(self) -> bytes:
        return self.stolen


def test_a_server_that_does_not_own_the_host_key_it_shows_is_untrusted(tmp_path: Path) -> None:
    line = key_pair(tmp_path / "pinned")
    key_pair(tmp_path / "mine")
    key_pair(tmp_path / "own")
    key = Impostor.from_private_key_file(str(tmp_path / "mine"))
    key.stolen = next(iter(pinned([line], Ground(tmp_path, tmp_path))))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            transport = paramiko.Transport(listener.accept()[0])
            transport.add_server_key(key)
            with suppress(paramiko.SSHException, EOFError):
                transport.start_server(server=paramiko.ServerInterface())
            transport.close()
            transport.packetizer.complete_handshake()

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        options = sftp.Options(host="127.0.0.1", port=port, user="u", key="file:own", host_keys=[line], put="/")
        told = one(sftp.outlet("p", options, Ground(tmp_path, tmp_path)).send([PARCEL]))
        thread.join(10)
    assert told.known is Known.UNTRUSTED
    assert "does not own the host key" in told.evidence


# ---- fetching


def test_fetches_whole_regular_files_oldest_first(sshd: Sshd, inlet: SftpInlet) -> None:
    for age, name in enumerate(["C.edi", "B.edi", "A.edi"]):
        (sshd.get / name).write_bytes(WHOLE + b"\n" * age)
        os.utime(sshd.get / name, (1_000_000 + age, 1_000_000 + age))
    (sshd.get / "cut.edi").write_bytes(CUT)
    (sshd.get / "D.edi.part").write_bytes(WHOLE)
    (sshd.get / "link.edi").symlink_to("/etc/passwd")
    (sshd.get / "folder").mkdir()
    os.mkfifo(sshd.get / "pipe.edi")
    arrivals = inlet.collect(10)
    assert [arrival.name for arrival in arrivals] == ["C.edi", "B.edi", "A.edi"]
    assert inlet.collect(2) == arrivals[:2]
    for age, arrival in enumerate(arrivals):
        assert b"".join(inlet.read(arrival)) == WHOLE + b"\n" * age
        inlet.settle(arrival)
        inlet.settle(arrival)
    assert inlet.collect(10) == []
    assert len(os.listdir(sshd.get)) == 5 and inlet.left() == ""


@pytest.mark.parametrize("name", ["bad name.edi", "a\nb.edi", "-rf", "报文.edi", "报文.edi".encode("gbk")])
def test_any_name_that_is_no_path_is_fetched(sshd: Sshd, inlet: SftpInlet, name: str | bytes) -> None:
    raw = name if isinstance(name, bytes) else name.encode()
    with open(os.path.join(bytes(sshd.get), raw), "wb") as file:
        file.write(WHOLE)
    [arrival] = inlet.collect(10)
    assert arrival.name.encode("utf-8", "surrogateescape") == raw
    assert b"".join(inlet.read(arrival)) == WHOLE
    inlet.settle(arrival)
    assert os.listdir(sshd.get) == []


def test_unknown_format_waits_until_it_is_stable(sshd: Sshd, inlet: SftpInlet) -> None:
    (sshd.get / "A.txt").write_bytes(b"some")
    assert inlet.collect(10) == []
    (sshd.get / "A.txt").write_bytes(b"some more")
    assert inlet.collect(10) == []
    until(lambda: inlet.collect(10))
    assert [(item.name, item.size) for item in inlet.collect(10)] == [("A.txt", 9)]


def test_cut_file_is_offered_at_last(sshd: Sshd, inlet: SftpInlet) -> None:
    (sshd.get / "A.edi").write_bytes(CUT)
    begin = time.monotonic()
    until(lambda: inlet.collect(10))
    assert time.monotonic() - begin >= 0.2 * PATIENCE


def test_replaced_file_is_neither_read_nor_removed(sshd: Sshd, inlet: SftpInlet) -> None:
    (sshd.get / "A.edi").write_bytes(WHOLE)
    (arrival,) = inlet.collect(10)
    (sshd.get / "A.edi").write_bytes(WHOLE + b"\r\n")
    with pytest.raises(Unreachable):
        list(inlet.read(arrival))
    inlet.settle(arrival)
    (again,) = inlet.collect(10)
    assert again.key != arrival.key
    assert b"".join(inlet.read(again)) == WHOLE + b"\r\n"


def test_large_file_is_read_up_to_its_limit(sshd: Sshd, inlet: SftpInlet) -> None:
    data = WHOLE + b"\n" * 3_000
    big = b"<a>" + os.urandom(3_000_000).hex().encode() + b"</a>"
    (sshd.get / "A.xml").write_bytes(big)
    (sshd.get / "B.edi").write_bytes(data)
    arrivals = {item.name: item for item in inlet.collect(10)}
    assert b"".join(inlet.read(arrivals["A.xml"])) == big
    narrow = sftp.inlet("partner", sshd.options(max_size=1000), sshd.ground)
    found = {item.name: item for item in narrow.collect(10)}
    assert found["B.edi"].size == len(data)
    assert b"".join(narrow.read(found["B.edi"])) == data[:1001]
    narrow.close()


def test_pattern_selects(sshd: Sshd) -> None:
    for name in ("A.edi", "A.xml"):
        (sshd.get / name).write_bytes(WHOLE)
    inlet = sftp.inlet("partner", sshd.options(pattern="*.edi"), sshd.ground)
    assert [item.name for item in inlet.collect(10)] == ["A.edi"]
    inlet.close()


def test_server_down_is_unreachable(sshd: Sshd, inlet: SftpInlet) -> None:
    (sshd.get / "A.edi").write_bytes(WHOLE)
    (arrival,) = inlet.collect(10)
    sshd.stop()
    inlet.close()
    for step in (lambda: inlet.collect(1), lambda: list(inlet.read(arrival)), lambda: inlet.settle(arrival)):
        with pytest.raises(Unreachable):
            step()


# ---- declarations


def test_host_keys_may_stand_in_a_file_of_the_site(tmp_path: Path) -> None:
    ground = Ground(tmp_path, tmp_path)
    old, new = key_pair(tmp_path / "old"), key_pair(tmp_path / "new")
    (tmp_path / "hosts").write_text(f"# both, during the change\n{old}\n\n{new}\n")
    assert pinned(["file:hosts"], ground) == pinned([old, new], ground)
    for lines in (["file:none"], ["file:empty"]):
        (tmp_path / "empty").write_text("# none yet\n")
        with pytest.raises(DeclarationError, match="host_keys"):
            pinned(lines, ground)


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    ground = Ground(tmp_path, tmp_path)
    line = key_pair(tmp_path / "own")
    plain = {"host": "h", "user": "u", "key": "file:own", "host_keys": [line]}
    with pytest.raises(DeclarationError, match="put"):
        sftp.outlet("p", sftp.Options.model_validate(plain), ground)
    with pytest.raises(DeclarationError, match="get"):
        sftp.inlet("p", sftp.Options.model_validate(plain), ground)
    with pytest.raises(ValidationError):
        sftp.Options.model_validate(plain | {"host_keys": []})
    for bad in ("ssh-ed25519", "ssh-rsa " + line.split()[1], "ssh-ed25519 ???"):
        options = sftp.Options.model_validate(plain | {"host_keys": [bad], "put": "/"})
        with pytest.raises(DeclarationError, match="host_keys"):
            sftp.outlet("p", options, ground)


# ---- our own door


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[sftp.Options, sftpd.Options, Ground]]:
    line = key_pair(tmp_path / "own")
    party = sftpd.Options(user="bohai", keys=[line])
    ground = Ground(tmp_path, tmp_path / "spool")
    ground.spool.mkdir()
    door = sftpd.door(("127.0.0.1", 0), [DoorEndpoint("bohai", party)], ground)
    key = paramiko.Ed25519Key.from_private_key_file(str(ground.spool / "keys" / "sftpd_host_ed25519"))
    options = sftp.Options(
        host="127.0.0.1",
        port=door.address[1],
        user="bohai",
        key="file:own",
        host_keys=[f"ssh-ed25519 {key.get_base64()}"],
        put="/outbound",
        get="/inbound",
        timeout=10,
    )
    yield options, party, ground
    door.close()


def test_client_and_door_exchange_files(own: tuple[sftp.Options, sftpd.Options, Ground]) -> None:
    options, party, ground = own
    there, back = sftp.outlet("hub", options, ground), sftp.inlet("hub", options, ground)
    assert one(there.send([PARCEL])).known is Known.DONE
    assert one(there.probe([PARCEL])).known is Known.DONE
    ours = sftpd.inlet("bohai", party, ground)
    (arrival,) = ours.collect(10)
    assert (arrival.name, b"".join(ours.read(arrival))) == ("A.edi", WHOLE)
    answers = [Parcel(f"d{number}", f"{number}.edi", WHOLE) for number in range(40)]
    laid = sftpd.outlet("bohai", party, ground)
    assert {item.known for item in laid.send(answers)} == {Known.DONE}
    arrivals = back.collect(100)
    assert len(arrivals) == 40
    for arrival in arrivals:
        assert b"".join(back.read(arrival)) == WHOLE
        back.settle(arrival)
    assert back.collect(100) == []
    assert {item.known for item in laid.probe(answers)} == {Known.DONE}
    there.close()
    back.close()


def test_evidence_claims_no_hash_of_a_file_that_cannot_be_read(
    own: tuple[sftp.Options, sftpd.Options, Ground],
) -> None:
    options, _, ground = own
    outlet = sftp.outlet("hub", options, ground)
    cut = Parcel("d1", "A.edi", CUT)
    first, again = one(outlet.send([cut])), one(outlet.send([cut]))
    assert (first.known, again.known) == (Known.DONE, Known.DONE)
    assert again.evidence == f"/outbound/A.edi {len(CUT)} bytes, not readable"
    assert one(outlet.send([Parcel("d2", "A.edi", CUT + b"more")])).known is Known.REFUSED
    outlet.close()
