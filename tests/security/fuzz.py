"""Fuzzing without a dependency: seeds that are right, edits that spoil them, and an oracle.

    python tests/security/fuzz.py --seconds 600 TARGET   one target for so long; `all` takes them in turn
    python tests/security/fuzz.py --list

test_fuzz.py gives each target a second or two in every test run (hypothesis chooses and shrinks the edits). A case
fails when anything but the documented exceptions comes out, when it takes more than 50 ms + 2 µs a byte of processor
time, or when what was accepted does not come back the same once it is written and read again. Its bytes are kept.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.security.fuzz_targets import TARGETS
from tests.security.fuzzing import KINDS, Edit, check, spoiled


def chance(source: random.Random) -> list[Edit]:
    """A few edits by chance."""
    return [
        (
            source.randrange(KINDS),
            source.randrange(1 << 16),
            source.randrange(1 << 12),
            source.randbytes(source.choice((0, 0, 1, 4))),
        )
        for _ in range(source.choice((1, 1, 2, 3, 8)))
    ]


def long(name: str, seconds: float, start: int) -> int:
    """Fuzz one target for so long; how many cases. Raises what the first bad one raised, and prints it."""
    target, source, count = TARGETS[name], random.Random(start), 0
    seeds = target.seeds()
    with target.open() as run:
        for seed in seeds:
            run(seed)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            seed, edits = source.choice(seeds), chance(source)
            data = spoiled(seed, edits, target.words)
            try:
                check(run, data, target.timed)
            except BaseException:
                bad = Path(tempfile.mkstemp(prefix=f"fuzz-{name}-")[1])
                bad.write_bytes(data)
                print(f"{name}: seed {seeds.index(seed)}, edits {edits!r}: {len(data)} bytes in {bad}", flush=True)
                raise
            count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", default="all")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--start", type=int, default=time.time_ns() % 1_000_000, help="of the chance")
    parser.add_argument("--list", action="store_true")
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(TARGETS))
        return
    for name in TARGETS if asked.target == "all" else [asked.target]:
        print(f"{name}: {long(name, asked.seconds, asked.start)} cases, start {asked.start}", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
