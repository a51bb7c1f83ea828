"""A folder as a destination. A name appears at once with all its bytes, or not at all.

Many parcels at once cost little more than one: all are written, then all are made durable (the first fsync takes the
others along), then each gets its name, then the folder is made durable.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from adapters import names
from adapters.folder.files import CREATE, digest_of, opened, write_all
from adapters.folder.options import Options
from hub.contract import Handover, Known, Parcel

TOGETHER = 16
"""Parcels on their way at once: so many, with their companions, are open files."""

#: Errors of link(2) after which the name surely was not made; after any other nobody knows, as a share may
#: have lost the answer.
_SURELY_NOT_LINKED = frozenset(
    {errno.EPERM, errno.EACCES, errno.ENOENT, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMLINK}
    | {errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTDIR, errno.ENAMETOOLONG}
)


@dataclass(slots=True)
class _Sheet:
    """One file of a parcel. `temporary` is "" where the name is there already with the same bytes."""

    name: str
    digest: str
    temporary: str = ""
    descriptor: int = -1


@dataclass(slots=True)
class _Laid:
    """A parcel whose files are written under temporary names, or why that could not be."""

    parcel: Parcel
    sheets: list[_Sheet] = field(default_factory=list)
    told: Handover | None = None

    def tell(self, known: Known, evidence: str) -> None:
        self.told = Handover(self.parcel.delivery, known, evidence)


class FolderOutlet:
    """A folder as a destination."""

    def __init__(self, out: Path, options: Options) -> None:
        self._out = out
        self._options = options
        self.money_safe = options.consumer_keeps

    def send(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        """In order. No DONE before the disk has the name."""
        for at in range(0, len(parcels), TOGETHER):
            for folder, some in groupby(parcels[at : at + TOGETHER], self._folder):
                yield from self._send(folder, list(some))

    def _folder(self, parcel: Parcel) -> Path:
        return self._out / parcel.folder if self._options.home else self._out

    def _send(self, folder: Path, parcels: list[Parcel]) -> list[Handover]:
        unsafe = {parcel.delivery: why for parcel in parcels if (why := _unsafe(parcel))}
        refused = {delivery: Handover(delivery, Known.REFUSED, why) for delivery, why in unsafe.items()}
        sound = [parcel for parcel in parcels if parcel.delivery not in unsafe]
        try:
            if self._options.home and sound:
                # Only the party's own subfolder is made: a home that is missing may be a share not mounted.
                with suppress(FileExistsError):
                    folder.mkdir()
            with opened(folder, follow=not self._options.home) as descriptor:
                told = _place(descriptor, folder, sound)
        except OSError as error:
            told = {p.delivery: Handover(p.delivery, Known.NOT_DONE, f"{folder}: {error.strerror}") for p in sound}
        return [(refused | told)[parcel.delivery] for parcel in parcels]

    def probe(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        """DONE when a file of that name and hash is in the folder or in one of the `probe` folders."""
        for parcel in parcels:
            yield self._probe(parcel)

    def _probe(self, parcel: Parcel) -> Handover:
        unsafe = _unsafe(parcel)
        if unsafe:
            return Handover(parcel.delivery, Known.REFUSED, unsafe)
        digest = hashlib.sha256(parcel.data).hexdigest()
        folder = self._folder(parcel)
        roots = {folder, self._out}
        places = [folder, *(root / extra for extra in self._options.probe for root in sorted(roots))]
        for place in places:
            try:
                with opened(place) as descriptor:
                    if digest_of(descriptor, parcel.name) == digest:
                        return Handover(parcel.delivery, Known.DONE, f"{place / parcel.name} sha256:{digest}")
            except FileNotFoundError:
                if place == folder:
                    return Handover(parcel.delivery, Known.UNKNOWN, f"{place} is not there")
            except OSError as error:
                return Handover(parcel.delivery, Known.UNKNOWN, f"{place}: {error.strerror}")
        missing = f"{folder / parcel.name} is not there with sha256:{digest}"
        if self._options.consumer_keeps:
            return Handover(parcel.delivery, Known.NOT_DONE, missing)
        return Handover(parcel.delivery, Known.UNKNOWN, f"{missing}; the reader may have taken it")

    def close(self) -> None:
        """Nothing is held open between calls."""


def _unsafe(parcel: Parcel) -> str:
    """Why no file may be made of this parcel, or nothing."""
    for name in (parcel.name, parcel.delivery, parcel.folder, *(name for name, _ in parcel.companions)):
        if not names.safe(name):
            return f"{name!r} is not a safe file name"
    return ""


def _place(folder: int, path: Path, parcels: list[Parcel]) -> dict[str, Handover]:
    """Make the files of all parcels appear; what became of each."""
    laid: list[_Laid] = []
    try:
        for parcel in parcels:
            laid.append(_Laid(parcel))
            _guarded(_write, folder, path, laid[-1])
        for step in (_keep, _name):
            for one in laid:
                _guarded(step, folder, path, one)
    finally:
        for one in laid:
            _clear(folder, one)
    _durable(folder, path, laid)
    return {one.parcel.delivery: one.told for one in laid if one.told is not None}


def _guarded(step: Callable[[int, Path, _Laid], None], folder: int, path: Path, one: _Laid) -> None:
    """The step for a parcel that nothing has gone wrong with; an OSError in it means that surely nothing appeared."""
    if one.told is None:
        try:
            step(folder, path, one)
        except OSError as error:
            one.tell(Known.NOT_DONE, f"{path}: {error.strerror}")


def _write(folder: int, path: Path, one: _Laid) -> None:
    """Companions first, as they are named first."""
    for name, data in (*one.parcel.companions, (one.parcel.name, one.parcel.data)):
        sheet = _Sheet(name, hashlib.sha256(data).hexdigest())
        one.sheets.append(sheet)
        temporary = f".{one.parcel.delivery}.tmp" if name == one.parcel.name else f".{one.parcel.delivery}.{name}.tmp"
        with suppress(FileNotFoundError):  # of a try that was cut off
            os.unlink(temporary, dir_fd=folder)
        there = digest_of(folder, name)
        if there == sheet.digest:
            continue
        if there is not None:
            one.tell(Known.REFUSED, f"{path / name}: the name is taken by other content (sha256:{there})")
            return
        sheet.descriptor = os.open(temporary, CREATE, 0o660, dir_fd=folder)
        sheet.temporary = temporary
        write_all(sheet.descriptor, data)


def _keep(_folder: int, _path: Path, one: _Laid) -> None:
    for sheet in one.sheets:
        if sheet.temporary:
            os.fsync(sheet.descriptor)


def _name(folder: int, path: Path, one: _Laid) -> None:
    for sheet in one.sheets:
        if sheet.temporary:
            try:
                # The file itself: by now another courier may have given the temporary name to its own.
                os.link(f"/proc/self/fd/{sheet.descriptor}", sheet.name, dst_dir_fd=folder)
            except FileExistsError:
                there = digest_of(folder, sheet.name)
                if there != sheet.digest:
                    taken = f"{path / sheet.name}: the name is taken by other content (sha256:{there})"
                    one.tell(Known.REFUSED, taken)
                    return
            except OSError as error:
                if error.errno in _SURELY_NOT_LINKED:
                    raise
                one.tell(Known.UNKNOWN, f"{path / sheet.name}: link: {error.strerror}")
                return
    one.tell(Known.DONE, f"{path / one.parcel.name} sha256:{one.sheets[-1].digest}")


def _clear(folder: int, one: _Laid) -> None:
    for sheet in one.sheets:
        if sheet.descriptor >= 0:
            os.close(sheet.descriptor)
        if sheet.temporary:
            with suppress(OSError):
                os.unlink(sheet.temporary, dir_fd=folder)


def _durable(folder: int, path: Path, laid: list[_Laid]) -> None:
    done = [one for one in laid if one.told is not None and one.told.known is Known.DONE]
    if done:
        try:
            os.fsync(folder)
        except OSError as error:
            for one in done:
                one.tell(Known.UNKNOWN, f"{path} could not be made durable: {error.strerror}")
