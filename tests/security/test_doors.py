"""What a party that has logged in may cost the SFTP door (T12, T19)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import paramiko
import pytest

from adapters.sftpd.handlers import HANDLES, PACKET
from tests.security.fuzz_targets import front_door

INIT = struct.pack(">IBI", 5, 1, 3)


@pytest.fixture
def session() -> Iterator[Any]:
    with front_door() as (door, _ground, key), closing(paramiko.Transport(door.address)) as transport:
        transport.connect(username="bohai", pkey=key)
        yield transport


def said(transport: paramiko.Transport, data: bytes) -> bytes:
    """What the door answers to these bytes on an SFTP channel until it closes it."""
    channel = transport.open_session(timeout=10)
    channel.settimeout(20)
    channel.invoke_subsystem("sftp")
    channel.sendall(INIT + data)
    channel.shutdown_write()
    with closing(channel):
        return b"".join(iter(lambda: channel.recv(65536), b""))


@pytest.mark.parametrize("size", [0, PACKET + 1, 15 << 20, (1 << 32) - 1])
def test_a_request_of_sixteen_megabytes_ends_the_session(session: Any, size: int) -> None:
    """And so does one of nothing: what follows a wrong length is no request."""
    stat = struct.pack(">IBI", 10, 17, 7) + struct.pack(">I", 1) + b"/"
    assert len(said(session, stat)) > len(said(session, struct.pack(">I", size) + stat))


def test_a_session_has_few_files_open(session: Any) -> None:
    before = len(os.listdir("/proc/self/fd"))
    client = paramiko.SFTPClient.from_transport(session)
    assert client is not None
    opened = [client.open(f"outbound/{number}.part", "w") for number in range(HANDLES)]
    with pytest.raises(OSError, match="too many files are open"):
        client.open("outbound/more.part", "w")
    with pytest.raises(OSError, match="too many files are open"):
        client.listdir("inbound")
    assert len(os.listdir("/proc/self/fd")) <= before + HANDLES + 8
    for file in opened:
        file.close()
    assert len(client.listdir("outbound")) == HANDLES
    client.close()
