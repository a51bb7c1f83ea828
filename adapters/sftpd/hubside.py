"""The hub's side of a box: what it collects from the party and what it lays down for it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from adapters import names
from adapters.sftpd import disk
from hub.contract import Arrival, Handover, Known, Parcel
from hub.errors import Unreachable

CHUNK = 256 * 1024
#: How long a marker in `.handed` is kept, see BoxOutlet._prune.
MARKERS_KEPT_DAYS = 30
#: Old markers are looked for at most this often.
PRUNE_SECONDS = 3600.0

_TAKEN = re.compile(r"(\d{1,20})-[0-9a-f]{8}(?:-over(\d{1,20}))?__(.+)")


FORGOTTEN = 2_000_000_000
"""Nanoseconds after which a whole file that still lies in outbound is one whose door died before it took it."""


def _whole(path: Path) -> bool:
    try:
        descriptor = disk.open_regular(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return disk.whole(descriptor) is True
    finally:
        os.close(descriptor)


class BoxInlet:
    """Whole uploads in .taken, oldest first, then cut ones that lie unchanged in outbound."""

    def __init__(self, home: Path, incomplete_after: float, abandoned_after: float = 86_400) -> None:
        self._home = home
        self._incomplete_after = incomplete_after
        self._abandoned_after = abandoned_after

    def collect(self, limit: int) -> Sequence[Arrival]:
        found: list[Arrival] = []
        for parsed in filter(None, map(_TAKEN.fullmatch, sorted(os.listdir(self._home / ".taken")))):
            entry = disk.entry(self._home / ".taken" / parsed[0], parsed[0])
            if entry and len(found) < limit:
                found.append(Arrival(parsed[0], parsed[3], int(parsed[2] or entry.size)))
        return found + self._stale(limit - len(found)) if len(found) < limit else found

    def _stale(self, limit: int) -> list[Arrival]:
        now = time.time_ns()
        oldest, forgotten = now - int(self._incomplete_after * 1e9), now - FORGOTTEN
        abandoned = now - int(self._abandoned_after * 1e9)
        found = []
        for item in os.scandir(self._home / "outbound"):
            if names.temporary(item.name):  # also of a party that never comes back: the door looks only when it does
                with suppress(OSError):
                    disk.remove_unchanged_since(Path(item.path), abandoned)
            if not names.safe(item.name) or names.temporary(item.name):
                continue
            state = disk.state(Path(item.path))
            ready = state and (state[0] <= oldest or (state[0] <= forgotten and _whole(Path(item.path))))
            if state and ready and not disk.held(Path(item.path)):
                found.append((state[0], Arrival(f"{item.name}:{state[0]}:{state[1]}", item.name, state[1])))
        return [arrival for _, arrival in sorted(found, key=lambda pair: pair[0])][:limit]

    def read(self, arrival: Arrival) -> Iterator[bytes]:
        path, _ = self._place(arrival)
        try:
            descriptor = disk.open_regular(path, os.O_RDONLY)
        except OSError as error:
            raise Unreachable(f"{arrival.name}: {error.strerror or 'cannot be opened'}") from error
        with os.fdopen(descriptor, "rb") as file:
            if not self._unchanged(arrival, file.fileno()):
                raise Unreachable(f"{arrival.name}: changed since it was collected")
            while chunk := file.read(CHUNK):
                yield chunk

    def settle(self, arrival: Arrival) -> None:
        path, time_ns = self._place(arrival)
        try:
            descriptor = disk.hold(path, os.O_RDONLY)
        except FileNotFoundError:
            return
        except BlockingIOError:
            # The party is resuming the upload: what it makes of the file is a new arrival.
            return
        except OSError as error:
            raise Unreachable(f"{arrival.name}: {error.strerror or 'cannot be opened'}") from error
        try:
            if self._unchanged(arrival, descriptor):
                self._archive(path, arrival.name, time_ns)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Nothing is held open."""

    def _place(self, arrival: Arrival) -> tuple[Path, int]:
        """Where the arrival lies and when it came, from its key alone."""
        parsed = _TAKEN.fullmatch(arrival.key)
        if parsed and "/" not in arrival.key:
            return self._home / ".taken" / arrival.key, int(parsed[1])
        name, _, rest = arrival.key.partition(":")
        if not names.safe(name) or not re.fullmatch(r"\d+:\d+", rest):
            raise Unreachable(f"{arrival.name}: not a key of this inlet")
        return self._home / "outbound" / name, int(rest.partition(":")[0])

    @staticmethod
    def _unchanged(arrival: Arrival, descriptor: int) -> bool:
        if _TAKEN.fullmatch(arrival.key):
            return True
        found = os.fstat(descriptor)
        return arrival.key.partition(":")[2] == f"{found.st_mtime_ns}:{found.st_size}"

    def _archive(self, path: Path, name: str, time_ns: int) -> None:
        day = self._home / "archive" / datetime.fromtimestamp(time_ns / 1e9, UTC).date().isoformat()
        if not day.exists():
            day.mkdir(exist_ok=True)
            disk.fsync_folder(day.parent)
        target, number = day / name, 1
        while os.path.lexists(target):
            number += 1
            end = f"-{number}{Path(name).suffix}"
            target = day / (Path(name).stem[: 128 - len(end)] + end)
        os.rename(path, target)
        disk.fsync_folder(day)
        disk.fsync_folder(path.parent)


class BoxOutlet:
    """Lays parcels into the party's inbound or error folder.

    A parcel is prepared under a hidden name, its marker is made durable, then it is renamed. So a marker
    without the hidden file proves the handover even when the party has picked the file up and removed it.
    """

    money_safe = True

    def __init__(self, home: Path) -> None:
        self._home = home
        self._pruned = float("-inf")

    def send(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        yield from self._alone(parcels)

    def _alone(self, parcels: Sequence[Parcel]) -> list[Handover]:
        """Send as the only outlet: the look at the final name and the rename must not be torn apart."""
        try:
            lock = os.open(self._home / ".handed", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            return [_not_done(parcel, f".handed: {error.strerror}") for parcel in parcels]
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            results = self._batch(parcels)
            # Only now: an old marker still answers for what was just asked.
            self._prune()
        finally:
            os.close(lock)
        return results

    def _prune(self) -> None:
        """Remove markers that nobody will ask for again, at most every PRUNE_SECONDS.

        A marker answers one question: was this delivery laid down although its file is gone? The hub asks until it
        has committed the answer, which takes seconds, or as long as the hub itself stands still after a crash in
        between. Once the answer is committed the delivery is never sent again. So a marker older than any such
        standstill is of no use, and without pruning there would be one file for every delivery ever made.
        """
        if time.monotonic() - self._pruned < PRUNE_SECONDS:
            return
        self._pruned = time.monotonic()
        oldest = time.time() - MARKERS_KEPT_DAYS * 86_400
        with suppress(OSError):
            for item in os.scandir(self._home / ".handed"):
                if item.stat(follow_symlinks=False).st_mtime < oldest:
                    os.unlink(item.path)

    def _batch(self, parcels: Sequence[Parcel]) -> list[Handover]:
        results = {parcel.delivery: self._prepare(parcel) for parcel in parcels}
        ready = [parcel for parcel in parcels if results[parcel.delivery] is None]
        try:
            self._mark(ready)
            failed = ""
        except OSError as error:
            failed = error.strerror or "cannot be written"
        for parcel in ready:
            results[parcel.delivery] = _not_done(parcel, failed) if failed else self._publish(parcel)
        try:
            self._fsync_folders(ready)
        except OSError as error:
            for parcel in ready:
                told = results[parcel.delivery]
                if told and told.known is Known.DONE:
                    evidence = error.strerror or "fsync failed"
                    results[parcel.delivery] = Handover(parcel.delivery, Known.UNKNOWN, evidence)
        return [found for parcel in parcels if (found := results[parcel.delivery]) is not None]

    def _mark(self, parcels: Sequence[Parcel]) -> None:
        self._fsync_folders(parcels)
        for parcel in parcels:
            self._marker(parcel).touch(0o640)
        if parcels:
            disk.fsync_folder(self._home / ".handed")

    def _fsync_folders(self, parcels: Sequence[Parcel]) -> None:
        for folder in {parcel.folder for parcel in parcels}:
            disk.fsync_folder(self._home / folder)

    def probe(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        for parcel in parcels:
            yield self._probe(parcel)

    def _probe(self, parcel: Parcel) -> Handover:
        try:
            found = self._refusal(parcel) or self._evidence(parcel)
            # Without the folder of the markers a missing one proves nothing: the disk may not be mounted.
            os.lstat(self._home / ".handed")
        except OSError as error:
            return Handover(parcel.delivery, Known.UNKNOWN, f"cannot be looked at: {error.strerror}")
        return found or _not_done(parcel, "never laid down")

    def close(self) -> None:
        """Nothing is held open."""

    def _marker(self, parcel: Parcel) -> Path:
        return self._home / ".handed" / parcel.delivery

    def _hidden(self, parcel: Parcel, number: int = 0) -> Path:
        return self._home / parcel.folder / f".{parcel.delivery}.{number}.tmp"

    def _refusal(self, parcel: Parcel) -> Handover | None:
        """REFUSED for what can never be laid down here."""
        every = [parcel.name, *(name for name, _ in parcel.companions)]
        if parcel.folder not in ("inbound", "error"):
            return Handover(parcel.delivery, Known.REFUSED, f"no folder {parcel.folder}")
        if not names.safe(parcel.delivery) or not all(map(names.safe, every)):
            return Handover(parcel.delivery, Known.REFUSED, "name is not safe")
        return None

    def _evidence(self, parcel: Parcel) -> Handover | None:
        """DONE when the parcel is there, or was there and has been picked up."""
        final = self._home / parcel.folder / parcel.name
        digest = hashlib.sha256(parcel.data).hexdigest()
        if disk.same(final, parcel.data):
            return Handover(parcel.delivery, Known.DONE, f"{parcel.folder}/{parcel.name} sha256:{digest}")
        if self._marker(parcel).exists() and not os.path.lexists(self._hidden(parcel)):
            return Handover(parcel.delivery, Known.DONE, f"{parcel.folder}/{parcel.name} picked up")
        return None

    def _prepare(self, parcel: Parcel) -> Handover | None:
        """Write the hidden files; a Handover when there is nothing left to do."""
        refused = self._refusal(parcel)
        if refused:
            return refused
        try:
            done = self._evidence(parcel)
            if done:
                return done
            for name, data in (*parcel.companions, (parcel.name, parcel.data)):
                final = self._home / parcel.folder / name
                if os.path.lexists(final) and not disk.same(final, data):
                    evidence = f"{parcel.folder}/{name} has other content"
                    return Handover(parcel.delivery, Known.REFUSED, evidence)
            # An old marker may stand beside an old hidden file: that is replaced by renaming, so that the
            # marker stands alone at no moment.
            for number, data in enumerate((parcel.data, *(data for _, data in parcel.companions))):
                disk.write_durably(self._hidden(parcel, number), data)
        except OSError as error:
            return _not_done(parcel, error.strerror or "cannot be written")
        return None

    def _publish(self, parcel: Parcel) -> Handover:
        """Give the hidden files their names, the data last."""
        folder = self._home / parcel.folder
        every = [*enumerate((name for name, _ in parcel.companions), 1), (0, parcel.name)]
        try:
            for number, name in every:
                os.rename(self._hidden(parcel, number), folder / name)
        except OSError as error:
            return _not_done(parcel, error.strerror or "cannot be renamed")
        digest = hashlib.sha256(parcel.data).hexdigest()
        return Handover(parcel.delivery, Known.DONE, f"{parcel.folder}/{parcel.name} sha256:{digest}")


def _not_done(parcel: Parcel, evidence: str) -> Handover:
    return Handover(parcel.delivery, Known.NOT_DONE, evidence)
