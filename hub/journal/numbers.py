"""Control references, fetched a block at a time so that a batch costs one commit."""

from __future__ import annotations

from collections.abc import Iterator

from hub.journal.journal import Journal


class Numbers:
    """Hands out numbers that no other process hands out."""

    def __init__(self, journal: Journal, block: int = 500) -> None:
        self._journal, self._block = journal, block
        self._left: Iterator[int] = iter(())

    def next(self) -> int:
        number = next(self._left, None)
        if number is None:
            self._left = iter(self._journal.numbers("reference", self._block))
            number = next(self._left)
        return number
