"""Gzip is unpacked to its bound and not a byte further."""

from __future__ import annotations

import gzip
import time
import zlib

import pytest

from hub.finding import Finding
from hub.packed import unpacked

DATA = b"UNB+UNOA:3+A+B+261123:0810+1'" * 40
PACKED = gzip.compress(DATA, mtime=0)


def code(data: bytes, most: int = 10_000_000) -> str:
    found = unpacked(data, most)
    return found.code if isinstance(found, Finding) else ""


def test_what_was_packed_comes_back() -> None:
    packed = gzip.compress(DATA)
    assert unpacked(packed, len(DATA)) == DATA
    assert unpacked(packed + gzip.compress(b"more"), 10_000) == DATA + b"more"
    assert unpacked(gzip.compress(b""), 0) == b""


def test_the_bound_holds_exactly() -> None:
    assert code(gzip.compress(DATA), len(DATA)) == ""
    assert code(gzip.compress(DATA), len(DATA) - 1) == "packed.too_large"
    assert code(gzip.compress(DATA) + gzip.compress(b"x"), len(DATA)) == "packed.too_large"


def test_wherever_it_is_cut_it_is_truncated() -> None:
    packed = gzip.compress(DATA)
    assert {code(packed[:at]) for at in range(1, len(packed))} == {"packed.truncated"}


@pytest.mark.parametrize(
    "data", [b"", DATA, zlib.compress(DATA), PACKED + b"junk", PACKED[:-8] + b"\0" * 8]
)
def test_what_is_not_gzip_throughout(data: bytes) -> None:
    assert code(data) in ("packed.not_gzip", "packed.truncated")
    assert code(data) != "packed.truncated" or not data


def test_a_bomb_costs_nothing() -> None:
    bomb = gzip.compress(b"\0" * 30_000_000)
    start = time.process_time()
    assert code(bomb, 100_000_000) == "packed.too_large"
    assert time.process_time() - start < 0.5
