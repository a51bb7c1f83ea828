"""A second or two of fuzzing for every reader of what strangers send; longer runs: tests/security/fuzz.py."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.security.fuzz_targets import TARGETS
from tests.security.fuzzing import KINDS, check, spoiled

EDIT = st.tuples(st.integers(0, KINDS - 1), st.integers(0, 1 << 16), st.integers(0, 1 << 12), st.binary(max_size=4))


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_what_is_documented_comes_of_spoiled_input(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    with target.open() as run:
        for seed in seeds:
            run(seed)

        @settings(max_examples=target.examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(range(len(seeds))), st.lists(EDIT, min_size=1, max_size=5))
        def fuzz(seed: int, edits: list[tuple[int, int, int, bytes]]) -> None:
            check(run, spoiled(seeds[seed], edits, target.words), target.timed)

        fuzz()


def test_the_oracle_has_teeth() -> None:
    def slow(data: bytes) -> None:
        until = time.thread_time() + 0.001 * len(data)
        while time.thread_time() < until:
            pass

    with pytest.raises(AssertionError, match="for 300 bytes"):
        check(slow, b"x" * 300)
    check(slow, b"x")


def test_the_program_for_long_runs_runs() -> None:
    program = Path(__file__).with_name("fuzz.py")
    words = [sys.executable, str(program), "--seconds", "0.3", "--start", "1", "path"]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.startswith("path: ") and int(said.stdout.split()[1]) > 10
