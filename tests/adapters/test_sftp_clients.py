"""The front door, spoken to by the clients that parties have: lftp, and OpenSSH's sftp where a transfer breaks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.contract import Parcel
from tests.adapters.network import Proxy, until
from tests.adapters.openssh import needed
from tests.adapters.test_sftpd import CUT, WHOLE, Port, port

__all__ = ["port"]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def lftp(port: Port, tmp_path: Path) -> Run:
    """lftp("command", …) in a folder of files to send; it stops at the first command that fails."""
    program = needed("lftp", "lftp")
    ssh = f"ssh -a -x -F none -i {port.key()} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    settings = (
        "set cmd:fail-exit true",
        "set net:max-retries 1",
        "set net:timeout 10",
        f'set sftp:connect-program "{ssh} -o IdentitiesOnly=yes -o LogLevel=ERROR"',
        f"open -u bohai, sftp://127.0.0.1:{port.door.address[1]}",
    )
    for name in ("A.edi", "B.edi", "C.edi"):
        (tmp_path / name).write_bytes(WHOLE)

    def run(*commands: str) -> subprocess.CompletedProcess[str]:
        script = "\n".join([*settings, *commands])
        words = [program, "--norc", "-f", "/dev/stdin"]
        return subprocess.run(words, input=script, text=True, capture_output=True, cwd=tmp_path, timeout=60)

    return run


def names(port: Port) -> list[str]:
    return [name for name, _ in port.taken()]


def lay(port: Port) -> None:
    parcels = [Parcel("d1", "answer.edi", WHOLE), Parcel("d2", "bad.edi.error.txt", b"why", folder="error")]
    assert len(list(port.outlet().send(parcels))) == 2


# ---- lftp


@pytest.mark.parametrize(
    "commands",
    [
        ("put A.edi -o outbound/A.edi", "put B.edi -o outbound/B.edi"),
        ("cd outbound", "mput A.edi B.edi"),
        ("set xfer:use-temp-file yes", "set xfer:temp-file-name .in.*", "cd outbound", "mput A.edi B.edi"),
        ("cd outbound", "put A.edi -o A.part", "mv A.part A.edi", "put B.edi -o B.edi~", "mv B.edi~ B.edi"),
        ("!mkdir some && mv A.edi B.edi some", "mirror -R some outbound"),
    ],
    ids=["put", "mput", "mput under temporary names", "put and rename", "mirror"],
)
def test_lftp_uploads_and_each_file_is_taken_once(port: Port, lftp: Run, commands: tuple[str, ...]) -> None:
    done = lftp(*commands)
    assert done.returncode == 0, done.stderr
    assert sorted(port.taken()) == [("A.edi", WHOLE), ("B.edi", WHOLE)]
    assert lftp("cls outbound").stdout == ""


def test_lftp_resumes_a_broken_put(port: Port, lftp: Run) -> None:
    (port.home / "outbound" / "A.edi").write_bytes(CUT)
    done = lftp("cd outbound", "put -c A.edi")
    assert done.returncode == 0, done.stderr
    assert port.taken() == [("A.edi", WHOLE)]


def test_lftp_lists_all_four_folders_fetches_and_deletes(port: Port, lftp: Run, tmp_path: Path) -> None:
    lay(port)
    assert [line.split()[-1] for line in lftp("ls").stdout.splitlines()] == [
        *("README.txt", "archive", "error", "inbound", "outbound"),
    ]
    for folder in ("outbound", "inbound", "error", "archive"):
        for command in ("ls", "cls -l"):
            listed = lftp(f"{command} {folder}")
            assert listed.returncode == 0, listed.stderr
    done = lftp("mirror inbound got", "rm inbound/answer.edi", "mirror --Remove-source-files error got")
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "got").iterdir()} == {
        "answer.edi": WHOLE,
        "bad.edi.error.txt": b"why",
    }
    assert not list((port.home / "inbound").iterdir()) and not list((port.home / "error").iterdir())


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("mkdir outbound/sub", "Permission denied: "),
        ("put A.edi -o inbound/A.edi", "Permission denied: "),
        ("put A.edi -o 'outbound/bad name.edi'", "Permission denied: "),
        ("put A.edi -o ../../etc/A.edi", "Permission denied: "),
        ("get outbound/none.edi", "Permission denied: "),
        ("ln -s /etc/passwd outbound/l.edi", "Permission denied: "),
        ("rmdir inbound", "Permission denied: "),
        ("rm inbound/none.edi", "No such file"),
        ("put large.edi -o outbound/large.edi", "Failure: the file is too large"),
    ],
)
def test_what_lftp_may_not_do_is_refused_with_a_reason(
    port: Port, lftp: Run, tmp_path: Path, command: str, words: str
) -> None:
    (tmp_path / "large.edi").write_bytes(b"x" * 300_000)
    done = lftp(command)
    assert done.returncode == 1 and words in done.stderr, done.stderr


# ---- OpenSSH


@pytest.fixture
def proxy(port: Port) -> Iterator[Proxy]:
    opened = Proxy(port.door.address[1])
    yield opened
    opened.close()


def test_a_put_that_broke_is_gone_on_with_by_reput_and_put_minus_a(port: Port, proxy: Proxy, tmp_path: Path) -> None:
    needed("sftp", "openssh-client")
    whole = WHOLE[:-10] + b"\n" * 150_000 + WHOLE[-10:]
    (tmp_path / "A.edi").write_bytes(whole)
    real, port.door.address = port.door.address, ("127.0.0.1", proxy.port)
    part = port.home / "outbound" / "A.edi"
    for again in ("reput", "put -a"):
        proxy.at(100_000, lambda: (until(part.exists), proxy.cut()))
        assert port.sftp(f"put {tmp_path}/A.edi outbound/A.edi").returncode != 0
        until(lambda: 0 < part.stat().st_size < len(whole))
        done = port.sftp(f"{again} {tmp_path}/A.edi outbound/A.edi")
        assert done.returncode == 0, done.stderr
        assert not part.exists()
    port.door.address = real
    assert port.taken() == [("A.edi", whole)] * 2
