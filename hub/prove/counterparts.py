"""The agencies around the port. They verify and answer as in the sandbox, and each keeps a record of its own.

A line of `<evidence>/agencies/<NAME>.jsonl` for each delivery taken, on disk before it is answered:
{"at", "name", "sha256", "said"}; `said` is the status of the answer, "" where none is given. The bytes lie in
`<evidence>/agencies/<NAME>/<sha256>`.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hub.contract import DoorEndpoint, Ground, Parcel
from hub.prove.load import append
from hub.sandbox import queues
from hub.sandbox.agencies import Desk, Web, desk, into, posting

POLL = 0.02


@dataclass(slots=True)
class Counter:
    """One counterpart: its desk (None for one that never answers) and its record."""

    name: str
    desk: Desk | None
    evidence: Path
    faults: list[str] = field(default_factory=list)

    def take(self, data: bytes, signature: bytes = b"", name: str = "") -> bytes:
        """Write the delivery down, then say what the desk says."""
        answer = self.desk.take(data, signature) if self.desk else b""
        said = re.search(rb"<Status>([^<]+)", answer)
        sha = hashlib.sha256(data).hexdigest()
        folder = self.evidence / "agencies" / self.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / sha).write_bytes(data)
        row: dict[str, object] = {"at": datetime.now(UTC).isoformat(), "name": name, "sha256": sha}
        append(folder.with_suffix(".jsonl"), row | {"said": said[1].decode() if said else ""})
        return answer

    @property
    def asked(self) -> dict[str, int]:
        return self.desk.asked if self.desk else {}


def serve(
    mine: Counter, inbox: Path, answer: Callable[[str, bytes], None], keeps: bool, stop: threading.Event
) -> threading.Thread:
    """Take every file that appears in `inbox`, and take it away unless `keeps`."""

    def run() -> None:
        seen: set[str] = set()
        while not stop.wait(POLL):
            try:
                for path in _fresh(inbox, seen):
                    beside = path.with_name(f"{path.name}.p7s")
                    said = mine.take(path.read_bytes(), beside.read_bytes() if beside.exists() else b"", path.name)
                    if keeps:
                        seen.add(path.name)
                    else:
                        beside.unlink(missing_ok=True)
                        path.unlink()
                    if said:
                        answer(f"answer-{path.stem}.xml", said)
            except Exception as fault:
                mine.faults.append(f"{type(fault).__name__}: {fault}")
                raise

    thread = threading.Thread(target=run, name=f"agency-{mine.name}", daemon=True)
    thread.start()
    return thread


def _fresh(inbox: Path, seen: set[str]) -> list[Path]:
    """Files that are whole and not in `seen`, oldest first."""
    names = [name for name in os.listdir(inbox) if not name.startswith(".") and not name.endswith(".p7s")]
    return sorted((inbox / name for name in names if name not in seen), key=lambda path: path.stat().st_mtime_ns)


class Folders:
    """All counterparts by folder. MARITIME takes its files away, so a lost handover to it can only be settled by two
    persons; the others keep them."""

    BLIND: tuple[str, ...] = ("MARITIME",)

    def __init__(self, folder: Path, evidence: Path) -> None:
        self.stop = threading.Event()
        self.counters = {name: Counter(name, desk(folder, name), evidence) for name in _DESKS}
        self.counters["TERMINAL"] = Counter("TERMINAL", None, evidence)
        self._boxes = boxes = folder / "spool" / "boxes"
        self._threads = [
            serve(
                self.counters[name],
                (boxes / name.lower() / "in").resolve(),
                into((boxes / name.lower() / "out").resolve()),
                name not in self.BLIND,
                self.stop,
            )
            for name in _DESKS
        ]
        self._threads.append(
            serve(self.counters["TERMINAL"], (boxes / "terminal" / "inbound").resolve(), _nothing, True, self.stop)
        )

    def has(self, party: str, name: str) -> bool:
        """True when `name` lies in the agency's box, not taken yet."""
        return (self._boxes / party.lower() / "in" / name).exists()

    def close(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()


_DESKS = ("CUSTOMS", "INSPECTION", "MARITIME", "BORDER")


def _nothing(name: str, data: bytes) -> None:
    pass


class Wires:
    """The counterparts as they are in the reference site: CUSTOMS by folder or by queue, MARITIME and TERMINAL by
    folder, INSPECTION by HTTP, BORDER with an SFTP server of its own. `keeps`: BORDER leaves what it got where it lies.
    """

    BLIND: tuple[str, ...] = ("INSPECTION", "BORDER")

    def __init__(self, folder: Path, evidence: Path, ports: dict[str, int], keeps: bool = False) -> None:
        self._keeps = keeps
        self.BLIND = ("INSPECTION",) if keeps else Wires.BLIND
        self.thinks = 0.0  # seconds until BORDER answers
        self.stop = threading.Event()
        self.counters = {name: Counter(name, desk(folder, name), evidence) for name in _DESKS}
        self.counters["TERMINAL"] = Counter("TERMINAL", None, evidence)
        boxes, keys = folder / "spool" / "boxes", folder / "spool" / "keys"
        by_queue = queues.used(folder)
        self._queue = queues.Reader(folder, self.counters["CUSTOMS"].take) if by_queue else None
        self._threads = [
            serve(
                self.counters[name],
                boxes / name.lower() / "in",
                into(boxes / name.lower() / "out"),
                True,
                self.stop,
            )
            for name in (("MARITIME",) if by_queue else ("CUSTOMS", "MARITIME"))
        ]
        self._threads.append(
            serve(self.counters["TERMINAL"], boxes / "terminal" / "inbound", _nothing, True, self.stop)
        )
        url = f"http://127.0.0.1:{ports['http']}/submit/inspection"
        submit = _until_taken(posting(url, (keys / "inspection-submit.token").read_text().strip()), self.stop)
        mine: Any = self.counters["INSPECTION"]
        token = (keys / "inspection.token").read_text().strip()
        self.web = Web(mine, ("127.0.0.1", ports["inspection"]), token, submit)
        self.web.open()
        self._own = Ground(folder, folder / "spool" / "sandbox" / "border")
        self._address = ("127.0.0.1", ports["border"])
        self.box = self._own.spool / "box"
        self.open_border()
        self._threads.append(threading.Thread(target=self._border, name="agency-BORDER", daemon=True))
        self._threads[-1].start()

    def open_border(self) -> None:
        """BORDER's server listens; it may have been closed before."""
        import adapters

        server: Any = adapters.load("sftpd")
        options = server.Options(user="eport", keys=["file:spool/keys/border.pub"], home="box")
        self.border = server.door(self._address, [DoorEndpoint("box", options)], self._own)
        self._inlet, self._outlet = server.inlet("box", options, self._own), server.outlet("box", options, self._own)

    def _border(self) -> None:
        seen: set[str] = set()
        answers: list[tuple[float, Parcel]] = []
        while not self.stop.wait(POLL):
            while answers and answers[0][0] < time.monotonic():
                list(self._outlet.send([answers.pop(0)[1]]))
            for arrival in self._inlet.collect(5000 if self._keeps else 50):
                if arrival.key in seen:
                    continue
                seen.add(arrival.key)
                said = self.counters["BORDER"].take(b"".join(self._inlet.read(arrival)), name=arrival.name)
                if said:
                    name = f"answer-{Path(arrival.name).stem}.xml"
                    answers.append((time.monotonic() + self.thinks, Parcel(name, name, said)))
                if not self._keeps:
                    self._inlet.settle(arrival)

    def has(self, party: str, name: str) -> bool:
        """True when `name` lies in the agency's box, not taken yet."""
        return party == "BORDER" and any(path.name.endswith(name) for path in self.box.rglob(f"*{name}"))

    def close(self) -> None:
        self.stop.set()
        if self._queue is not None:
            self._queue.close()
            self.counters["CUSTOMS"].faults += self._queue.faults
        self.web.close()
        for thread in self._threads:
            thread.join()
        self.border.close()


def _until_taken(put: Callable[[str, bytes], None], stop: threading.Event) -> Callable[[str, bytes], None]:
    """An agency keeps its answer until the port has taken it: the same key each time."""
    import httpx2

    def again(name: str, data: bytes) -> None:
        def run() -> None:
            while not stop.is_set():
                try:
                    put(name, data)
                    return
                except httpx2.HTTPError:
                    stop.wait(0.2)

        threading.Thread(target=run, name=f"submit-{name}", daemon=True).start()

    return again
