"""What fuzzing is made of: targets, edits that spoil a right input, and the oracle (see fuzz.py and test_fuzz.py)."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

Edit = tuple[int, int, int, bytes]
"""What to do (modulo KINDS), where, how far (both modulo the length), and with which bytes."""
Run = Callable[[bytes], None]
KINDS = 7
BASE, EACH_BYTE = 0.050, 2e-6
SLACK = 4.0
"""How much slower this may be than the promise: other programs share the core and its caches."""


@dataclass(frozen=True)
class Target:
    """`seeds` are right inputs, `words` what is put between their bytes; `open` gives what runs one case."""

    seeds: Callable[[], list[bytes]]
    open: Callable[[], AbstractContextManager[Run]]
    words: tuple[bytes, ...] = ()
    examples: int = 120
    timed: bool = True


def spoiled(seed: bytes, edits: list[Edit], words: tuple[bytes, ...] = ()) -> bytes:
    """`seed` after all `edits`."""
    data = bytearray(seed)
    for kind, where, far, new in edits:
        at = where % (len(data) + 1)
        end = min(len(data), at + far % 64)
        word = words[far % len(words)] if words and not new else new
        match kind % KINDS:
            case 0:
                data[at:end] = b""
            case 1:
                data[at:at] = word
            case 2:
                data[at:end] = word
            case 3:
                data[at:at] = data[at:end] * (1 + far % 50)
            case 4:
                if at < len(data):
                    data[at] ^= 1 << far % 8
            case 5:
                del data[at:]
            case _:
                data[at:at] = word * (far % 2000)
    return bytes(data)


def check(run: Run, data: bytes, timed: bool = True) -> None:
    """One case. Raises what `run` raises, and AssertionError when it took too long, twice."""
    limit = (BASE + EACH_BYTE * len(data)) * SLACK
    for _attempt in range(3 if timed else 1):
        began = time.thread_time()
        run(data)
        took = time.thread_time() - began
        if took <= limit or not timed:
            return
        gc.collect()
    raise AssertionError(f"{took:.3f} s for {len(data)} bytes")
