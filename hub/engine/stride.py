"""How much one round takes on. A large round is cheap, because all of it is one commit; but whoever comes while it runs
waits for its end, and a party that floods makes every round a large one. So a round is as large as can be done in about
LASTS, by how long the last one took: on a healthy machine that is all that is allowed, on a starved one it is less.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

LASTS = 0.1
"""Seconds of one round."""
LEAST = 8
"""Below this a commit would cost more than what it commits."""


@dataclass(slots=True)
class Stride:
    """`at_most` items are ever in one round, `now` in the next one."""

    at_most: int
    now: int = LEAST

    def take(self, step: Callable[[int], int]) -> int:
        """One round: `step` does as many as it is told and says how many that were."""
        began = time.monotonic()
        done = step(self.now)
        self.judge(done, time.monotonic() - began)
        return done

    def judge(self, done: int, seconds: float) -> None:
        """The size of the next round, after one of `done` items that took so many seconds."""
        if done:
            fits = int(LASTS * done / seconds) if seconds > 0 else self.at_most
            self.now = max(LEAST, min(self.at_most, 2 * self.now, fits))
