"""The texts of a directory as it is published: a folder, or a zip with zips in it. Nothing is ever unpacked to disk.

A name in an archive is only a word to tell a text by, never a path. What a hostile archive would play with is bounded:
bytes of one text and of all, entries, zips within zips.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from hub.finding import Finding, Place

LARGEST = 32 << 20
"""Bytes of one file or entry, unpacked."""
ALL = 256 << 20
"""Bytes of all of them, those of zips within zips included."""
MOST = 20_000
"""Files and entries."""
DEEPEST = 4
"""Zips within zips."""
WIDEST = 400
"""Characters of a line; these texts have 80."""
_ZIP = b"PK\x03\x04"
_BROKEN = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError)
"""What reading an entry may raise: damaged, encrypted, packed in a way that is not known."""


@dataclass(slots=True)
class Archive:
    """The texts of one import by name. `findings` says what was passed over, or why the reading stopped."""

    findings: list[Finding] = field(default_factory=list)
    full: bool = False
    _bytes: int = 0
    _count: int = 0

    def texts(self, path: Path) -> Iterator[tuple[str, str]]:
        """(name, text) of every file in a folder, a zip, and the zips in them. OSError when `path` is not there."""
        if not path.is_dir():
            with path.open("rb") as opened:
                yield from self._either(path.name, opened.read(LARGEST * 2 + 1), 1, LARGEST * 2)
            return
        for file in sorted(file for file in path.rglob("*") if file.is_file() and not file.is_symlink()):
            with file.open("rb") as opened:
                yield from self._either(file.relative_to(path).as_posix(), opened.read(LARGEST + 1), 1, LARGEST)

    def _either(self, name: str, data: bytes, depth: int, largest: int) -> Iterator[tuple[str, str]]:
        if not self._take(name, len(data), largest):
            return
        if not data.startswith(_ZIP):
            yield name, text(data)
        elif depth > DEEPEST:
            self._tell("standards.limit", name, f"{depth} zips within each other", str(DEEPEST))
        else:
            yield from self._zip(name, data, depth)

    def _zip(self, name: str, data: bytes, depth: int) -> Iterator[tuple[str, str]]:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                entries = [entry for entry in archive.infolist()[: MOST + 1] if not entry.is_dir()]
                for entry in entries:
                    if self.full:
                        return
                    inner = PurePosixPath(entry.filename).name or entry.filename
                    with archive.open(entry) as opened:
                        unpacked = opened.read(LARGEST + 1)
                    yield from self._either(f"{name}/{inner}", unpacked, depth + 1, LARGEST)
        except _BROKEN as fault:
            self._tell("standards.archive", name, str(fault) or type(fault).__name__)

    def _take(self, name: str, size: int, largest: int) -> bool:
        """False when `name` is too much."""
        self._count += 1
        self._bytes += size
        if size > largest:
            self._tell("standards.limit", name, f"more than {largest} bytes", str(largest))
            return False
        if self._count > MOST or self._bytes > ALL:
            if not self.full:
                self._tell("standards.limit", name, f"{self._count} files, {self._bytes} bytes", f"{MOST}, {ALL}")
            self.full = True
        return not self.full

    def _tell(self, code: str, name: str, found: str, expected: str = "") -> None:
        self.findings.append(Finding(code, Place(file=name), found, expected))


def text(data: bytes) -> str:
    """The characters of a text: UTF-8, else the box drawings of a DOS code page where there are rows of them, else
    Western European. Line ends become line feeds."""
    try:
        read = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        drawn = b"\xc4\xc4\xc4" in data or b"\xb3" in data
        read = data.decode("cp437" if drawn else "latin-1")
    lines = read.replace("\r\n", "\n").replace("\r", "\n").replace("\x1a", "").replace("\t", "        ").split("\n")
    return "\n".join([line[:WIDEST] for line in lines])
