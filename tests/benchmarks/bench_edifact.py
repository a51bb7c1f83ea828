"""EDIFACT side by side: `python tests/benchmarks/bench_edifact.py [SIZE …] [--gigabyte]`, SIZE one of 2K 1M 50M.

CPU time (time.process_time) of alternating rounds in one process with the garbage collector on; medians. The reader
stands beside pydifact's tokenizer and parser on the same bytes: once to segments, which are cut into elements when
somebody asks, once with every element cut, and once with structure, elements and codes checked. Each size comes with
released characters in every bill (plain), without any, with many of them, and with line breaks. 50M takes minutes.
--gigabyte reads an interchange of 1 GB chunk by chunk and measures the memory that takes.
"""

from __future__ import annotations

import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

from pydifact.control import Characters
from pydifact.parser import Parser
from pydifact.tokenizer import Tokenizer

from hub.edifact import elements, reader, structure
from hub.edifact.directory import Directories
from hub.edifact.model import RawMessage

ROOT = Path(__file__).parents[2]
GOLDEN = sorted(ROOT.glob("mappings/*/cases/*/in.edi"))
_HEAD = (
    "BGM+785+TJL26112{n:05d}+9'DTM+137:202611230810:203'RFF+FV:1'NAD+CA+TJLINE::ZZZ++TIANJIN LINE'"
    "TDT+20+0126W+1++TJLINE:172:ZZZ:TIANJIN LINE+++9100310:146:11:TIANJIN PEARL:CN'LOC+9+KRPUS:139:6'"
    "LOC+11+CNTXG:139:6'DTM+132:202611241200:203'EQD+CN+CSQU3054383+22G1:102:5++3+5'SEL+KR{n:06d}+CA'"
    "CNT+7:16715.5:KGM'CNT+10:{bills}'CNT+16:1'"
)
_BILL = (
    "CNI+{b}'RFF+BM:PUSTXG{n:05d}{b:03d}'LOC+9+KRPUS:139:6'LOC+11+CNTXG:139:6'"
    "NAD+CZ+++BUSAN TEXTILE CO LTD {n}+{b} JUNGANG-DAERO+BUSAN+++KR'"
    "NAD+CN+++TIANJIN MODERN TRADE CO LTD+{n} JINTANG ROAD+TIANJIN+++CN'"
    "GID+1+{n}:CT'FTX+AAA+++WOMEN?'S COATS, {b}00?+ STYLES'MEA+WT+G+KGM:84{b}.5'SGP+CSQU3054383+{b}'PCI+28+NO. 1-{n}'"
)


def cuscar(number: int, bills: int = 5) -> str:
    """One CUSCAR D.95B, UNH to UNT; five bills are about 2 KB."""
    body = _HEAD.format(n=number, bills=bills) + "".join(_BILL.format(n=number, b=b) for b in range(1, bills + 1))
    return f"UNH+{number}+CUSCAR:D:95B:UN'{body}UNT+{body.count(chr(39)) - body.count('?' + chr(39)) + 2}+{number}'"


def interchange(messages: int, bills: int = 5) -> bytes:
    """`messages` messages in one envelope."""
    text = "".join(cuscar(number, bills) for number in range(1, messages + 1))
    return f"UNB+UNOA:3+TJLINE:ZZZ+TJEPORT:ZZZ+261123:0810+1'{text}UNZ+{messages}+1'".encode()


def alternating(contenders: dict[str, Callable[[], object]], rounds: int, calls: int = 1) -> dict[str, float]:
    """Median CPU milliseconds of one call of each; every round calls all of them. The first counts when it is all."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, call in contenders.items():
            start = time.process_time()
            for _ in range(calls):
                call()
            taken[name].append((time.process_time() - start) * 1000 / calls)
    return {name: median(times[1:] or times) for name, times in taken.items()}


MUCH = reader.Limits(interchange=2_000_000_000, messages=10_000_000)


def read_segments(data: bytes) -> int:
    """Read message by message."""
    return sum(len(part.segments) for part in reader.read([data], MUCH) if isinstance(part, RawMessage))


def read_elements(data: bytes) -> int:
    """Read message by message and cut every element."""
    seen = 0
    for part in reader.read([data], MUCH):
        if isinstance(part, RawMessage):
            for segment in part.segments:
                seen += len(segment.fresh())
    return seen


def tokenize(text: str) -> int:
    body, signs = (text[9:].lstrip("\r\n"), text[:9]) if text.startswith("UNA") else (text, "UNA:+.? '")
    return sum(1 for _ in Tokenizer().get_tokens(body, Characters.from_str(signs)))


def parse(text: str) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sum(1 for _ in Parser().parse(text))


def check_all(data: bytes, directories: Directories) -> int:
    """Read, build and check every message; the number of findings."""
    found = 0
    for part in reader.read([data], MUCH):
        found += len(part.findings)
        if isinstance(part, RawMessage):
            directory = directories.get(f"{part.version}:{part.release}")
            found += len(structure.build(part, directory.message(part.type))[1])
            found += len(elements.check(part, directory))
    return found


VARIANTS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "no release": lambda data: data.replace(b"?'", b"").replace(b"?+", b""),
    "many released": lambda data: data.replace(b"TIANJIN ", b"TIAN?+JIN?'S ?:"),
    "line breaks": lambda data: data.replace(b"'", b"'\r\n").replace(b"?'\r\n", b"?'"),
}
SIZES = {"2K": (1, 31, 10), "1M": (540, 5, 1), "50M": (26_800, 0, 1)}
"""Messages, rounds behind the first, which only warms where there are others, and calls a round."""

MINE = ("segments", "every element", "all checked")
THEIRS = ("tokenizer", "parser")


def rows(size: str, directories: Directories) -> None:
    """One line for each variant of the size: milliseconds, and how many times longer pydifact takes."""
    messages, rounds, calls = SIZES[size]
    for variant, change in VARIANTS.items():
        data = change(interchange(messages))
        text = data.decode("ascii")
        times = alternating(
            {
                "segments": partial(read_segments, data),
                "every element": partial(read_elements, data),
                "all checked": partial(check_all, data, directories),
                "tokenizer": partial(tokenize, text),
                "parser": partial(parse, text),
            },
            rounds,
            calls,
        )
        print(f"{size} {variant} ({len(data)} bytes): ", end="")
        print(" · ".join(f"{who} {ms:.3f} ms" for who, ms in times.items()))
        ratios = [f"{other}/{mine} {times[other] / times[mine]:.1f}x" for mine in MINE for other in THEIRS]
        print("    " + " · ".join(ratios), flush=True)


def gigabyte() -> None:
    """Read 1 GB chunk by chunk: CPU seconds, and how far the memory of the process grew."""
    block = "".join(cuscar(number) for number in range(1, 101)).encode()
    times = 1_000_000_000 // len(block)

    def chunks() -> Iterator[bytes]:
        yield b"UNB+UNOA:3+TJLINE:ZZZ+TJEPORT:ZZZ+261123:0810+1'"
        for _ in range(times):
            yield block
        yield b"UNZ+%d+1'" % (times * 100)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    read = sum(1 for part in reader.read(chunks(), MUCH) if isinstance(part, RawMessage))
    took = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert read == times * 100
    print(f"1 GB, {read} messages: {took:.0f} s CPU, {grown:.1f} MB RSS above idle")


def main() -> None:
    if "--gigabyte" in sys.argv:
        gigabyte()
    directories = Directories(ROOT / "schemas" / "edifact")
    assert check_all(interchange(1), directories) == 0
    for size in [name for name in sys.argv[1:] if name in SIZES] or ([] if "--gigabyte" in sys.argv else SIZES):
        rows(size, directories)


if __name__ == "__main__":
    main()
