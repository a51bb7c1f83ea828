"""A site to stand on: the reference declarations in a folder, and every key that its parties need on this machine."""

from __future__ import annotations

import re
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

from hub.engine import identity

AGENCIES = ("CUSTOMS", "INSPECTION", "MARITIME", "BORDER")
ERPS = ("bohai", "tjline")


def prepare(source: Path, folder: Path) -> list[str]:
    """Make `folder` a site that can run; what is there already is kept. A line for each thing that was made."""
    made = _copy(source, folder)
    keys = folder / "spool" / "keys"
    keys.mkdir(parents=True, exist_ok=True)
    made += [_ssh_key(keys / name) for name in (*ERPS, "border") if not (keys / f"{name}.key").exists()]
    for name in ("inspection.token", "inspection-submit.token"):
        if not (keys / name).exists():
            _secret(keys / name, secrets.token_urlsafe(24))
            made.append(str(keys / name))
    made += _certificates(folder)
    made += _border(folder)
    for box in ("customs", "maritime"):
        for way in ("in", "out"):
            (folder / "spool" / "boxes" / box / way).mkdir(parents=True, exist_ok=True)
    for way in ("outbound", "inbound", "error"):
        (folder / "spool" / "boxes" / "terminal" / way).mkdir(parents=True, exist_ok=True)
    return made


def folders_only(routes: str) -> str:
    """The reference routes.yaml with a folder for every endpoint: no server, no key."""
    for erp in ERPS:
        routes = re.sub(
            rf"(?m)^  {erp}:.*$",
            f"  {erp}: {{adapter: folder, options: {{out: spool/boxes/{erp}, home: true}}}}",
            routes,
        )
    for name in ("inspection", "border"):
        box = f"{{out: spool/boxes/{name}/in, in: spool/boxes/{name}/out}}"
        block = rf"(?ms)^  {name}:\n    adapter: \w+\n    options:\n(?:      .*?\n)+"
        routes = re.sub(block, f"  {name}:\n    adapter: folder\n    options: {box}\n", routes)
    return routes


def _copy(source: Path, folder: Path) -> list[str]:
    made = []
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("routes.yaml", "mappings", "schemas"):
        if not (folder / name).exists():
            (shutil.copytree if (source / name).is_dir() else shutil.copy)(source / name, folder / name)
            made.append(str(folder / name))
    return made


def _secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")


def _ssh_key(path: Path) -> str:
    """An Ed25519 pair as ssh-keygen writes it: `path`.key and `path`.pub."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, s.NoEncryption())
    public = private.public_key().public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH)
    _secret(path.with_name(f"{path.name}.key"), pem.decode())
    path.with_name(f"{path.name}.pub").write_bytes(public + b"\n")
    return f"{path}.key"


def _certificates(folder: Path) -> list[str]:
    """The embedded CA, the hub's certificate, and one for each agency that the sandbox plays."""
    keys = folder / "spool" / "keys"
    authority = identity.embedded(keys, "eport")
    made = []
    for name, path in [("TJEPORT", keys / "hub"), *((a, folder / "spool" / "sandbox" / a) for a in AGENCIES)]:
        if not path.with_suffix(".key").exists():
            identity.store(authority, name, path, datetime.now(UTC))
            made.append(f"{path}.crt")
    return made


def _border(folder: Path) -> list[str]:
    """The host key of the border police's SFTP server, pinned by the hub."""
    pinned = folder / "spool" / "keys" / "border-host.pub"
    if pinned.exists():
        return []
    own = folder / "spool" / "sandbox" / "border" / "keys" / "sftpd_host_ed25519"
    own.parent.mkdir(parents=True, exist_ok=True)
    _ssh_key(own)
    own.with_name(f"{own.name}.key").rename(own)
    own.with_name(f"{own.name}.pub").rename(pinned)
    return [str(pinned)]
