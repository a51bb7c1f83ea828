"""Four agencies as programs of their own: each reads its own format over its own channel, verifies the port's
signature, and answers with its own.

    customs     folder, or queues (hub.sandbox.queues); EDIFACT with a detached CMS signature, and XML
    inspection  HTTP; answers over the port's HTTP door
    maritime    folder; XML
    border      its own SFTP server; XML; refuses a crew member whose passport has expired
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from hub.contract import DoorEndpoint, Ground
from hub.identity import cms, xmldsig
from hub.identity.ca import Authority
from hub.identity.keys import Signer, load_signer
from hub.identity.register import Register
from hub.sandbox import queues

VESSEL, MANIFEST = "urn:eport:vessel:agency-answer:1", "urn:eport:manifest:customs-answer:1"
PORT = "TJEPORT"
PERSON = re.compile(rb"<Person>.*?</Person>", re.DOTALL)
EXPIRES = re.compile(rb"<DocumentExpiresOn>(\d{4}-\d{2}-\d{2})")


@dataclass(slots=True)
class Desk:
    """One agency: who it is, whom it trusts, what it was sent. `asked` counts deliveries by reference."""

    name: str
    signer: Signer
    register: Register
    asked: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def take(self, data: bytes, signature: bytes = b"") -> bytes:
        """The signed answer to one delivery; b"" for what is not the port's word."""
        now = datetime.now(UTC)
        if signature:
            seen = cms.verify(data, signature, PORT, self.register, now)
        else:
            seen = xmldsig.verify(data, PORT, self.register, now)
        if not seen.signed:
            self.refused += [f"{finding.code} {finding.found}" for finding in seen.findings]
            return b""
        reference = _first(rb"E[0-9]{9}", data)
        self.asked[reference] = self.asked.get(reference, 0) + 1
        return xmldsig.sign(self._answer(data, reference, now).encode(), self.signer, now)

    def _answer(self, data: bytes, reference: str, now: datetime) -> str:
        at = now.isoformat(timespec="seconds")
        number = _first(rb"<ManifestNo>([^<]+)", data)
        if number:
            return (
                f'<CustomsAnswer xmlns="{MANIFEST}"><Reference>{reference}</Reference><Number>{number}</Number>'
                f"<Status>01</Status><At>{at}</At></CustomsAnswer>"
            )
        call = _first(rb"<Call>([^<]+)", data) or _call(data)
        expired = self.name == "BORDER" and _expired(data, at[:10].encode())
        where = f"<Path>Person[{expired}]/DocumentExpiresOn</Path>"
        reason = (
            f'<Reason><Code>P02</Code><Text xml:lang="en">passport expired</Text>{where}</Reason>' if expired else ""
        )
        return (
            f'<AgencyAnswer xmlns="{VESSEL}"><Agency>{self.name}</Agency><Reference>{reference}</Reference>'
            f"<Call>{call}</Call><Status>{'R' if expired else 'A'}</Status><At>{at}</At>{reason}</AgencyAnswer>"
        )


def _expired(data: bytes, today: bytes) -> int:
    """Which person of a crew report is the first whose passport has expired; 0 for none."""
    persons = enumerate(PERSON.findall(data), 1)
    return next((number for number, one in persons if any(day < today for day in EXPIRES.findall(one))), 0)


def _call(data: bytes) -> str:
    """The document number (BGM C106 1004) of an EDIFACT interchange, as another reader than the hub's sees it."""
    from pydifact.control import Characters
    from pydifact.tokenizer import Tokenizer

    words = [token.value for token in Tokenizer().get_tokens(data.decode("utf-8"), Characters())]
    return str(words[words.index("BGM") + 4])  # BGM + code + number


def _first(pattern: bytes, data: bytes) -> str:
    found = re.search(pattern, data)
    return found[found.re.groups and 1].decode("utf-8", "replace") if found else ""


def desk(folder: Path, name: str) -> Desk:
    """The agency `name` with the certificate that the port's CA gave it."""
    own = folder / "spool" / "sandbox" / name
    signer = load_signer(own.with_suffix(".key"), own.with_suffix(".crt"))
    return Desk(name, signer, Register((Authority(folder / "spool" / "keys").certificate(),)))


# ---- channels


def watch(mine: Desk, inbox: Path, answer: Callable[[str, bytes], None], stop: threading.Event) -> threading.Thread:
    """Answer every file that appears in `inbox`, once."""

    def run() -> None:
        seen: set[str] = set()
        while not stop.wait(0.05):
            for path in _complete(inbox):
                if path.name not in seen:
                    seen.add(path.name)
                    beside = path.with_name(f"{path.name}.p7s")
                    said = mine.take(path.read_bytes(), beside.read_bytes() if beside.exists() else b"")
                    if said:
                        answer(f"answer-{path.stem}.xml", said)

    thread = threading.Thread(target=run, name=f"agency-{mine.name}", daemon=True)
    thread.start()
    return thread


def _complete(inbox: Path) -> Iterable[Path]:
    return [path for path in sorted(inbox.iterdir()) if not path.name.startswith(".") and path.suffix != ".p7s"]


def into(outbox: Path) -> Callable[[str, bytes], None]:
    """Put an answer where the hub fetches it; it appears whole."""

    def put(name: str, data: bytes) -> None:
        (outbox / f".{name}").write_bytes(data)
        (outbox / f".{name}").rename(outbox / name)

    return put


def posting(url: str, token: str) -> Callable[[str, bytes], None]:
    """Submit an answer at the port's HTTP door."""
    import httpx2

    def put(name: str, data: bytes) -> None:
        headers = {"Authorization": f"Bearer {token}", "Eport-Name": name, "Idempotency-Key": name}
        httpx2.post(url, content=data, headers=headers, timeout=10).raise_for_status()

    return put


class Web:
    """The inspection's HTTP server: takes a delivery once for each Idempotency-Key. It can be away for a while."""

    def __init__(self, mine: Desk, address: tuple[str, int], token: str, answer: Callable[[str, bytes], None]) -> None:
        self._made: set[str] = set()
        self._server: ThreadingHTTPServer | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"] or 0)
                body = self.rfile.read(length)
                if not body or len(body) < length:  # cut on its way
                    self.close_connection = True
                    return
                key = self.headers["Idempotency-Key"]
                good = self.headers.get("Authorization") == f"Bearer {token}"
                self.send_response((409 if key in outer._made else 202) if good else 401)
                self.send_header("Content-Length", "0")
                self.end_headers()
                if good and key not in outer._made:
                    outer._made.add(key)
                    said = mine.take(body)
                    if said:
                        answer(f"answer-{key}.xml", said)

            def log_message(self, *_: Any) -> None:
                pass

        self._handler, self._address = Handler, address

    def open(self) -> None:
        self._server = ThreadingHTTPServer(self._address, self._handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="agency-web", daemon=True).start()

    def close(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class Sandbox:
    """All four agencies of the site in `folder`, at work until `close`."""

    def __init__(self, folder: Path, sftp: int, http: int, port_http: int) -> None:
        import adapters

        self.stop = threading.Event()
        self.desks = {name: desk(folder, name) for name in ("CUSTOMS", "INSPECTION", "MARITIME", "BORDER")}
        boxes, keys = folder / "spool" / "boxes", folder / "spool" / "keys"
        customs = self.desks["CUSTOMS"]
        by_queue = queues.used(folder)
        self._queue = queues.Reader(folder, lambda data, sig, _: customs.take(data, sig)) if by_queue else None
        self._threads = [
            watch(self.desks[name], boxes / name.lower() / "in", into(boxes / name.lower() / "out"), self.stop)
            for name in (("MARITIME",) if by_queue else ("CUSTOMS", "MARITIME"))
        ]
        submit = posting(
            f"http://127.0.0.1:{port_http}/submit/inspection", (keys / "inspection-submit.token").read_text().strip()
        )
        token = (keys / "inspection.token").read_text().strip()
        self.inspection = Web(self.desks["INSPECTION"], ("127.0.0.1", http), token, submit)
        own = Ground(folder, folder / "spool" / "sandbox" / "border")
        server: Any = adapters.load("sftpd")
        options = server.Options(user="eport", keys=["file:spool/keys/border.pub"], home="box")
        self._door = server.door(("127.0.0.1", sftp), [DoorEndpoint("box", options)], own)
        self._inlet, self._outlet = server.inlet("box", options, own), server.outlet("box", options, own)
        self._threads.append(threading.Thread(target=self._border, name="agency-BORDER", daemon=True))
        self._threads[-1].start()
        self.inspection.open()

    def _border(self) -> None:
        from hub.contract import Parcel

        while not self.stop.wait(0.05):
            for arrival in self._inlet.collect(50):
                said = self.desks["BORDER"].take(b"".join(self._inlet.read(arrival)))
                if said:
                    name = f"answer-{Path(arrival.name).stem}.xml"
                    list(self._outlet.send([Parcel(name, name, said)]))
                self._inlet.settle(arrival)

    def close(self) -> None:
        self.stop.set()
        if self._queue is not None:
            self._queue.close()
        self.inspection.close()
        for thread in self._threads:
            thread.join()
        self._door.close()
