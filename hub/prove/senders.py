"""How uploads reach the port: into folders, or over SFTP as a careful ERP does it."""

from __future__ import annotations

import io
import queue
import threading
from pathlib import Path
from typing import Any, Protocol

from hub.engine.doors import addresses
from hub.prove.load import Sent
from hub.sandbox.sender import sftp

AGAIN = 0.1
"""Seconds before another try at a door that is closed."""


class Senders(Protocol):
    """The ERPs. `pending` uploads are not finished; `faults` are what no sender should see."""

    faults: list[str]

    @property
    def pending(self) -> int: ...

    def hand_in(self, sent: Sent, data: bytes) -> None: ...

    def close(self) -> None: ...


class ByFolder:
    """A file appears whole, under its name."""

    def __init__(self, homes: dict[str, Path]) -> None:
        self._homes = homes
        self.faults: list[str] = []

    @property
    def pending(self) -> int:
        return 0

    def hand_in(self, sent: Sent, data: bytes) -> None:
        outbound = self._homes[sent.party] / "outbound"
        (outbound / f".{sent.name}").write_bytes(data)
        (outbound / f".{sent.name}").rename(outbound / sent.name)

    def close(self) -> None:
        pass


class BySftp:
    """Uploads one after another in a thread of its own: to a temporary name, then a rename. When the session breaks,
    the ERP looks: a temporary name that is gone after a rename was asked for has been renamed."""

    def __init__(self, site: Path) -> None:
        self._site = site
        self._waiting: queue.Queue[tuple[Sent, bytes] | None] = queue.Queue()
        self._open: dict[str, Any] = {}
        self._closing = threading.Event()
        self.faults: list[str] = []
        self._thread = threading.Thread(target=self._run, name="erps", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        return self._waiting.unfinished_tasks

    def hand_in(self, sent: Sent, data: bytes) -> None:
        self._waiting.put((sent, data))

    def close(self) -> None:
        self._closing.set()
        self._waiting.put(None)
        self._thread.join()
        for party in list(self._open):
            self._drop(party)

    def _run(self) -> None:
        try:
            while (item := self._waiting.get()) is not None:
                self._upload(*item)
                self._waiting.task_done()
        except Exception as fault:
            self.faults.append(f"sender: {type(fault).__name__}: {fault}")
            raise

    def _upload(self, sent: Sent, data: bytes) -> None:
        import paramiko

        temporary, name, asked = f"outbound/{sent.name}.part", f"outbound/{sent.name}", False
        while not self._closing.is_set():
            try:
                session = self._session(sent.party)
                there = session.listdir("outbound")
                if sent.name in there:  # the hub takes it soon; what comes after it must not overtake it
                    self._closing.wait(AGAIN)
                    continue
                if asked and f"{sent.name}.part" not in there:
                    return
                session.putfo(io.BytesIO(data), temporary)
                asked = True
                session.rename(temporary, name)
                return
            except (OSError, EOFError, paramiko.SSHException):
                self._drop(sent.party)
                self._closing.wait(AGAIN)

    def _session(self, party: str) -> Any:
        if party not in self._open:
            user = party.lower()
            door = addresses(self._site / "spool").get("sftpd")
            if door is None:
                raise ConnectionRefusedError("the door is closed")
            opened = sftp(door, user, self._site / "spool" / "keys" / f"{user}.key")
            self._open[party] = (opened, opened.__enter__())
        return self._open[party][1]

    def _drop(self, party: str) -> None:
        if party in self._open:
            opened, client = self._open.pop(party)
            client.close()
            opened.__exit__()
