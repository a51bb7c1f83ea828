"""The zip around a bundle, in one spelling: stored members in a fixed order at a fixed time. Pure.

The same content always gives the same bytes, so a reader can write what it has read again and compare: not a bit of the
file can be different. That, and nothing packed (a bundle zips well as a whole, where size matters), leaves a hostile
archive nothing to play with: no bomb, no second name, no hidden part.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from typing import NoReturn

from hub.finding import Finding, Place

LARGEST = 1 << 28
"""Bytes of a bundle."""
MOST = 50_000
"""Members of a bundle."""
NAME = re.compile(r"README\.txt|manifest\.json|events\.jsonl|files/[0-9a-f]{64}")
_TIME = (1980, 1, 1, 0, 0, 0)


class Refused(Exception):
    """The archive is not one that `write` makes. `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"{finding.code} {finding.found}")
        self.finding = finding


def write(members: Mapping[str, bytes]) -> bytes:
    """The archive of these members, in the order of their names."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, members[name])
    return whole.getvalue()


def read(data: bytes) -> dict[str, bytes]:
    """The members of an archive that `write` made. Raises Refused for any other, before it takes up memory."""
    if len(data) > LARGEST:
        _no("evidence.too_large", f"{len(data)} bytes", str(LARGEST))
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _judge(archive.infolist(), len(data))
            members = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, OSError, EOFError, ValueError) as fault:
        _no("evidence.zip", str(fault))
    except (RuntimeError, OverflowError, MemoryError, UnicodeError) as fault:  # encrypted, or lengths that cannot be
        _no("evidence.zip", str(fault))
    if write(members) != data:
        _no("evidence.zip_form", "the same content gives other bytes")
    return members


def _judge(entries: list[zipfile.ZipInfo], size: int) -> None:
    """From the list of contents alone: names, number, packing, sizes."""
    if len(entries) > MOST:
        _no("evidence.too_large", f"{len(entries)} members", str(MOST))
    seen: set[str] = set()
    for entry in entries:
        if not NAME.fullmatch(entry.filename):
            _no("evidence.member_name", entry.filename)
        if entry.filename in seen:
            _no("evidence.member_twice", entry.filename)
        seen.add(entry.filename)
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            _no("evidence.packed", f"{entry.filename}: {entry.compress_size} → {entry.file_size}")
    total = sum(entry.file_size for entry in entries)
    if total > size:
        _no("evidence.too_large", f"{total} bytes inside", str(size))


def _no(code: str, found: str, expected: str = "") -> NoReturn:
    raise Refused(Finding(code, Place(path="zip"), found, expected))
