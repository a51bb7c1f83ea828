"""The bytes of a file as text, a block at a time: what is not yet read, and where in the file that is.

Bytes are looked at as latin-1 text, so an index is a byte offset.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from hub.edifact.separators import BLANK

BLOCK = 65536


class Source:
    """`text` from `at` on is not yet read; `base` is the byte offset of text[0]."""

    __slots__ = ("_blocks", "at", "base", "text")

    def __init__(self, chunks: Iterable[bytes], block: int | None = None) -> None:
        self.text = ""
        self.at = 0
        self.base = 0
        self._blocks = _blocks(chunks, block or BLOCK)

    @property
    def offset(self) -> int:
        """The byte offset of what is read next."""
        return self.base + self.at

    @property
    def left(self) -> int:
        """How much is here and not yet read."""
        return len(self.text) - self.at

    def fill(self) -> bool:
        """Forget what was read and append one more block; False at the end of the data."""
        block = next(self._blocks, None)
        if block is None:
            return False
        self.base += self.at
        self.text = self.text[self.at :] + block.decode("latin-1")
        self.at = 0
        return True

    def reach(self, size: int) -> bool:
        """Read on until `size` bytes are here; False when the data ends before."""
        while self.left < size:
            if not self.fill():
                return False
        return True

    def pass_over(self, signs: str = BLANK) -> str:
        """Go behind every one of `signs` that stands here; what was passed."""
        start = self.at
        match = _run(signs).match(self.text, start)
        self.at = match.end() if match else start
        return self.text[start : self.at]

    def shown(self) -> str:
        """The beginning of the text, for a finding."""
        return self.text[self.at : self.at + 32].encode("latin-1").decode("ascii", "backslashreplace")


@lru_cache(maxsize=8)
def _run(signs: str) -> re.Pattern[str]:
    return re.compile(f"[{re.escape(signs)}]*")


def _blocks(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Blocks of about `size` bytes whatever the size of the chunks: neither many tiny joins nor one huge split."""
    small: list[bytes] = []
    held = 0
    for chunk in chunks:
        if len(chunk) >= size and not small:
            yield from _slices(chunk, size)
            continue
        small.append(chunk)
        held += len(chunk)
        if held >= size:
            joined = b"".join(small)
            small, held = [], 0
            yield from _slices(joined, size)
    if small:
        yield b"".join(small)


def _slices(data: bytes, size: int) -> Iterator[bytes]:
    return (bytes(data[at : at + size]) for at in range(0, len(data), size))
