"""EDIFACT side by side: `python tests/benchmarks/bench_edifact.py`.

CPU time (time.process_time) of alternating rounds in one process with the garbage collector on; medians. The reader
stands beside pydifact's tokenizer and parser on the same bytes: once to segments, which are cut into elements when
somebody asks, and once with every element cut.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
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
    """Median CPU milliseconds of one call of each; every round calls all of them."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, call in contenders.items():
            start = time.process_time()
            for _ in range(calls):
                call()
            taken[name].append((time.process_time() - start) * 1000 / calls)
    return {name: median(times[1:]) for name, times in taken.items()}


def read_segments(data: bytes) -> int:
    """Read message by message."""
    return sum(len(part.segments) for part in reader.read([data]) if isinstance(part, RawMessage))


def read_elements(data: bytes) -> int:
    """Read message by message and cut every element."""
    seen = 0
    for part in reader.read([data]):
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
    for part in reader.read([data]):
        found += len(part.findings)
        if isinstance(part, RawMessage):
            directory = directories.get(f"{part.version}:{part.release}")
            found += len(structure.build(part, directory.message(part.type))[1])
            found += len(elements.check(part, directory))
    return found


def main() -> None:
    directories = Directories(ROOT / "schemas" / "edifact")
    small, large = interchange(1), interchange(2600)
    assert check_all(small, directories) == 0
    inputs = {"golden": b"".join(path.read_bytes() for path in GOLDEN[:1]), "2 KB": small, "5 MB": large}
    for name, data in inputs.items():
        text = data.decode("ascii")
        rounds, calls = (5, 1) if len(data) > 100_000 else (31, 10)
        times = alternating(
            {
                "reader, segments": lambda data=data: read_segments(data),
                "reader, every element": lambda data=data: read_elements(data),
                "pydifact tokenizer": lambda text=text: tokenize(text),
                "pydifact parser": lambda text=text: parse(text),
            },
            rounds,
            calls,
        )
        print(f"{name} ({len(data)} bytes): " + " · ".join(f"{who} {ms:.3f} ms" for who, ms in times.items()))
        for mine in ("reader, segments", "reader, every element"):
            for other in ("pydifact tokenizer", "pydifact parser"):
                print(f"    {other} / {mine}: {times[other] / times[mine]:.1f}x")
    messages = interchange(100)
    times = alternating(
        {
            "one message": lambda: check_all(small, directories),
            "hundred messages": lambda: check_all(messages, directories),
        },
        31,
    )
    print(f"read + structure + elements, message of {len(small)} bytes: {times['one message']:.3f} ms", end="")
    print(f" · in an interchange of hundred {times['hundred messages'] / 100:.3f} ms each")


if __name__ == "__main__":
    main()
