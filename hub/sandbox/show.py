"""The show: a port in a temporary folder, two ERPs over real SFTP, four agencies that sign their answers.

It ends when every file has the fate that the scenario says, or says what is missing after `patience` seconds.
"""

from __future__ import annotations

import io
import re
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from hub.contract import closing
from hub.engine import roles
from hub.engine.up import up
from hub.identity.ca import Authority
from hub.identity.keys import Signer, load_certificates, parse_key
from hub.identity.xmldsig import sign
from hub.journal import tables as t
from hub.journal.journal import Journal

VESSEL, MANIFEST = "urn:eport:vessel:agency-answer:1", "urn:eport:manifest:customs-answer:1"
AGENCIES = ("CUSTOMS", "INSPECTION", "MARITIME", "BORDER")


@dataclass(frozen=True, slots=True)
class Act:
    """One upload and the fate that it must have: interchange state, and the case's outcome ("" for none)."""

    party: str
    name: str
    golden: str
    fate: str
    outcome: str


SCENARIO = (
    Act("bohai", "call-1.edi", "vessel/cases/01-arrival", "opened", "cleared"),
    Act("bohai", "call-2-expired-passport.edi", "vessel/cases/02-refused", "opened", "refused"),
    Act("bohai", "call-3-broken.edi", "vessel/cases/03-broken", "rejected", ""),
    Act("tjline", "manifest.edi", "manifest/cases/01-original", "opened", "accepted"),
    Act("tjline", "manifest-again.edi", "manifest/cases/01-original", "duplicate", ""),
)


class Agencies(threading.Thread):
    """Read what the hub delivers, answer it signed; the border police refuse an expired passport."""

    def __init__(self, boxes: Path, signers: dict[str, Signer], stop: threading.Event) -> None:
        super().__init__(name="agencies", daemon=True)
        self.boxes, self.signers, self.stop = boxes, signers, stop
        self.seen: set[Path] = set()

    def run(self) -> None:
        while not self.stop.wait(0.1):
            for agency in AGENCIES:
                for path in sorted((self.boxes / agency.lower() / "in").iterdir()):
                    if path not in self.seen and not path.name.startswith(".") and path.suffix != ".p7s":
                        self.seen.add(path)
                        self.answer(agency, path)

    def answer(self, agency: str, path: Path) -> None:
        data = path.read_bytes()
        at = roles.now().isoformat(timespec="seconds")
        found = re.search(rb"E[0-9]{9}", data)
        reference = found[0].decode() if found else ""
        number = re.search(rb"<ManifestNo>([^<]+)", data)
        if number:
            xml = (
                f'<CustomsAnswer xmlns="{MANIFEST}"><Reference>{reference}</Reference>'
                f"<Number>{number[1].decode()}</Number><Status>01</Status><At>{at}</At></CustomsAnswer>"
            )
        else:
            call = re.search(rb"<Call>([^<]+)|BGM\+98\+([^:'+]+)", data)
            name = next(part for part in call.groups() if part).decode() if call else ""
            late = b"<DocumentExpiresOn>2025" in data and agency == "BORDER"
            reason = '<Reason><Code>P02</Code><Text xml:lang="en">passport expired</Text></Reason>' if late else ""
            xml = (
                f'<AgencyAnswer xmlns="{VESSEL}"><Agency>{agency}</Agency><Reference>{reference}</Reference>'
                f"<Call>{name}</Call><Status>{'R' if late else 'A'}</Status><At>{at}</At>{reason}</AgencyAnswer>"
            )
        signed = sign(xml.encode(), self.signers[agency], roles.now())
        out = self.boxes / agency.lower() / "out"
        (out / f".{path.name}").write_bytes(signed)
        (out / f".{path.name}").rename(out / f"answer-{path.stem}.xml")


def stage(source: Path, folder: Path, keys: dict[str, Any]) -> dict[str, Signer]:
    """The reference site in `folder`, its two ERPs behind the SFTP front door, certificates for everybody."""
    for name in ("mappings", "schemas"):
        shutil.copytree(source / name, folder / name)
    text = (source / "routes.yaml").read_text("utf-8")
    text = text.replace("port: TJEPORT", 'port: TJEPORT\ndoors: {sftp: "127.0.0.1:0"}', 1)
    for party, key in keys.items():
        door = f'{{adapter: sftpd, options: {{user: {party}, keys: ["ssh-ed25519 {key.get_base64()}"]}}}}'
        text = re.sub(rf"(?m)^  {party}: {{adapter: folder.*$", f"  {party}: {door}", text)
    (folder / "routes.yaml").write_text(text, "utf-8")
    for agency in AGENCIES:
        for way in ("in", "out"):
            (folder / "spool" / "boxes" / agency.lower() / way).mkdir(parents=True)
    for way in ("outbound", "inbound", "error"):
        (folder / "spool" / "boxes" / "terminal" / way).mkdir(parents=True)
    authority = Authority(folder / "spool" / "keys")
    since = roles.now() - timedelta(minutes=1)
    authority.init(since, "Demo port CA")
    signers = {}
    for agency in AGENCIES:
        issued = authority.issue(agency, since)
        signers[agency] = Signer(parse_key(issued.private_key or b""), load_certificates(issued.certificate)[0])
    return signers


def new_key() -> Any:
    """A fresh SSH key for one ERP."""
    import paramiko
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    plain = Ed25519PrivateKey.generate().private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, s.NoEncryption())
    return paramiko.Ed25519Key.from_private_key(io.StringIO(plain.decode()))


def fates(journal: Journal) -> dict[str, tuple[str, str]]:
    """File name -> (state of the interchange, outcome of its case)."""
    i, m, c = t.interchange, t.message, t.case
    query = select(i.c.name, i.c.state, c.c.outcome).select_from(
        i.outerjoin(m, m.c.interchange == i.c.id).outerjoin(c, c.c.id == m.c.case)
    )
    return {row["name"]: (row["state"], row["outcome"] or "") for row in journal.rows(query)}


def play(source: Path, patience: float = 60) -> list[dict[str, str]]:
    """Run the show once. A row per file: party, file, what happened, what the scenario says, and `good`."""
    import paramiko

    folder = Path(tempfile.mkdtemp(prefix="eport-demo-"))
    keys = {party: new_key() for party in ("bohai", "tjline")}
    signers = stage(source, folder, keys)
    hub = up(folder)
    agencies = Agencies(folder / "spool" / "boxes", signers, hub.stop)
    agencies.start()
    journal = Journal(folder / "spool", "watcher")
    try:
        for act in SCENARIO:
            transport = paramiko.Transport(hub.doors[0].address)
            transport.connect(username=act.party, pkey=keys[act.party])
            sftp = paramiko.SFTPClient.from_transport(transport)
            if sftp is not None:
                data = (source / "mappings" / act.golden / "in.edi").read_bytes()
                sftp.putfo(io.BytesIO(data), f"outbound/{act.name}")
            transport.close()
            _wait(journal, act, patience)
        return [_row(fates(journal), act) for act in SCENARIO]
    finally:
        closing([hub, journal])
        agencies.join()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(journal: Journal, act: Act, patience: float) -> None:
    deadline = time.monotonic() + patience
    while fates(journal).get(act.name) != (act.fate, act.outcome) and time.monotonic() < deadline:
        time.sleep(0.1)


def _row(known: dict[str, tuple[str, str]], act: Act) -> dict[str, str]:
    state, outcome = known.get(act.name, ("not seen", ""))
    good = (state, outcome) == (act.fate, act.outcome)
    wanted = f"{act.fate} {act.outcome}".strip()
    return {
        "party": act.party,
        "file": act.name,
        "fate": f"{state} {outcome}".strip(),
        "wanted": wanted,
        "good": str(good),
    }
