"""The whole hub running: a file over real SFTP comes back as CONTRL, and reaches customs."""

from __future__ import annotations

import io
import shutil
import time
from pathlib import Path

import paramiko
from paramiko import Ed25519Key

from hub.engine.up import up

ROOT = Path(__file__).parents[2]
ORIGINAL = (ROOT / "mappings" / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()


def wait_for(found: object, seconds: float = 30) -> list[str]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = found()  # type: ignore[operator]
        if result:
            return list(result)
        time.sleep(0.05)
    raise AssertionError("it did not come")


def key() -> Ed25519Key:
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, s.NoEncryption())
    return Ed25519Key.from_private_key(io.StringIO(pem.decode()))


def test_a_file_over_sftp_is_answered_and_delivered(tmp_path: Path) -> None:
    for name in ("mappings", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name)
    mine = key()
    line = "  tjline: {adapter: folder, options: {out: spool/boxes/tjline, home: true}}"
    text = (ROOT / "routes.yaml").read_text("utf-8")
    assert line in text
    door = f'  tjline: {{adapter: sftpd, options: {{user: tjline, keys: ["ssh-ed25519 {mine.get_base64()}"]}}}}'
    text = text.replace(line, door).replace("port: TJEPORT", 'port: TJEPORT\ndoors: {sftp: "127.0.0.1:0"}', 1)
    (tmp_path / "routes.yaml").write_text(text, "utf-8")
    for agency in ("customs", "inspection", "maritime", "border"):
        for way in ("in", "out"):
            (tmp_path / "spool" / "boxes" / agency / way).mkdir(parents=True)
    for party in ("bohai", "terminal"):
        for way in ("outbound", "inbound", "error"):
            (tmp_path / "spool" / "boxes" / party / way).mkdir(parents=True)
    hub = up(tmp_path)
    transport = paramiko.Transport(hub.doors[0].address)
    try:
        transport.connect(username="tjline", pkey=mine)
        sftp = paramiko.SFTPClient.from_transport(transport)
        assert sftp is not None
        sftp.putfo(io.BytesIO(ORIGINAL), "outbound/mft.edi")
        [answer] = wait_for(lambda: [n for n in sftp.listdir("inbound") if "CONTRL" in n])
        with sftp.open(f"inbound/{answer}") as file:
            assert b"UCI+TJ26112301+" in file.read()
        customs = tmp_path / "spool" / "boxes" / "customs" / "in"
        assert len(wait_for(lambda: [p.name for p in customs.iterdir() if not p.name.startswith(".")])) == 1
    finally:
        transport.close()
        hub.close()
    assert not any(thread.is_alive() for thread in hub.threads)
