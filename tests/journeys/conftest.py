"""A whole port in one process: the real site, the real journal, folders as endpoints, time passed in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from hub import clock, courier, journey
from hub.contract import Ground, closing
from hub.engine import ends, gate
from hub.identity.ca import Authority
from hub.identity.keys import Signer, load_certificates, parse_key
from hub.identity.register import Register
from hub.identity.xmldsig import sign
from hub.journal.journal import Journal
from hub.journal.numbers import Numbers
from hub.journal.schema import upgrade
from hub.sandbox.ground import folders_only
from hub.site.load import load

ROOT = Path(__file__).parents[2]
START = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)


class Port:
    """One running port whose clock the test moves."""

    def __init__(self, folder: Path) -> None:
        for name in ("mappings", "schemas"):
            shutil.copytree(ROOT / name, folder / name)
        (folder / "routes.yaml").write_text(folders_only((ROOT / "routes.yaml").read_text("utf-8")), "utf-8")
        self.folder, self.now = folder, START
        self.authority = Authority(folder / "spool" / "keys")
        self.authority.init(START - timedelta(days=1), "Test port CA")
        self.signers = {name: self._signer(name) for name in ("TJEPORT", "CUSTOMS", "INSPECTION", "MARITIME", "BORDER")}
        register = Register(roots=(self.authority.certificate(),))
        self.site = load(folder, register, self.signers["TJEPORT"])
        self.journal = Journal(folder / "spool", "test")
        upgrade(self.journal.engine)
        for endpoint in self.site.routes.endpoints.values():
            for key in ("out", "in"):
                if key in endpoint.options:
                    (folder / endpoint.options[key]).mkdir(parents=True, exist_ok=True)
            if endpoint.options.get("home"):
                for name in ("outbound", "inbound", "error"):
                    (folder / endpoint.options["out"] / name).mkdir(exist_ok=True)
        ground = Ground(folder, folder / "spool")
        self.inlets = ends.inlets(self.site, ground)
        self.outlets = {name: ends.outlet(self.site, name, ground) for name in self.site.routes.endpoints}
        self.numbers = Numbers(self.journal)

    def _signer(self, party: str) -> Signer:
        issued = self.authority.issue(party, START - timedelta(days=1))
        return Signer(parse_key(issued.private_key), load_certificates(issued.certificate)[0])

    def close(self) -> None:
        closing([*self.inlets.values(), *self.outlets.values(), self.journal])

    def run(self) -> None:
        """Rounds of all roles until nothing moves."""
        for _ in range(50):
            self.now += timedelta(seconds=1)
            done = gate.gate_round(self.site, self.journal, self.inlets, self.now)
            done += journey.work(self.site, self.journal, self.numbers, self.now)
            for endpoint, outlet in self.outlets.items():
                if outlet is not None:
                    done += courier.send(self.journal, outlet, endpoint, self.site.routes.endpoints[endpoint], self.now)
            done += clock.tick(self.site, self.journal, self.now)
            if not done:
                return
        raise AssertionError("the port does not come to rest")

    def home(self, party: str) -> Path:
        return self.folder / "spool" / "boxes" / party

    def submit(self, party: str, name: str, data: bytes) -> None:
        (self.home(party) / "outbound" / name).write_bytes(data)

    def answer(self, agency: str, name: str, xml: str) -> None:
        """A signed answer from an agency."""
        data = sign(xml.encode(), self.signers[agency], self.now)
        (self.home(agency.lower()) / "out" / name).write_bytes(data)

    def files(self, *parts: str) -> list[Path]:
        return sorted(p for p in self.home(parts[0]).joinpath(*parts[1:]).iterdir() if not p.name.startswith("."))

    def column(self, table: object, name: str) -> list[str]:
        column = table.c[name]  # type: ignore[attr-defined]
        return sorted(str(row[name]) for row in self.journal.rows(select(column)))


@pytest.fixture
def port(tmp_path: Path, database: str) -> Iterator[Port]:
    opened = Port(tmp_path)
    yield opened
    opened.close()
