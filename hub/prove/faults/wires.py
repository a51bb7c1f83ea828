"""F7, F8, F12: the network between the hub and its parties is cut at any byte, and the parties behave badly.

BORDER is an SFTP server and INSPECTION an HTTP server of their own; the hub reaches both through a proxy."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.prove.faults.proxy import DOWN, HOWS, UP, Break, Proxy
from hub.prove.faults.row import Row, Run, reached
from hub.prove.port import Port

TIMEOUT = 1.0
"""Seconds after which the hub takes a silent party for gone."""
TAIL = 160
"""The last bytes of a handover, where the rename and its answer go."""


class Wired:
    """A port whose ways to BORDER and INSPECTION can be broken."""

    def __init__(self, port: Port, border: Proxy, inspection: Proxy) -> None:
        self.port, self.border, self.inspection = port, border, inspection
        self.ways = {"BORDER": border, "INSPECTION": inspection}

    def break_next(self, party: str, way: str, after: int, how: str) -> None:
        """In the conversation of the courier with `party`, not in that of the gate."""
        self.ways[party].plan(Break(way, after, how, whose=self.port.lives["courier"].pid))


@contextmanager
def wired(run: Run, keeps: bool = True, **how: Any) -> Iterator[Wired]:
    """`keeps`: BORDER leaves what it got where it lies, so that the hub can look; else only two persons can know."""
    proxies: dict[str, Proxy] = {}

    def through(routes: dict[str, Any], ports: dict[str, int]) -> None:
        border, inspection = (routes["endpoints"][name]["options"] for name in ("border", "inspection"))
        proxies["border"], proxies["inspection"] = Proxy(ports["border"]), Proxy(ports["inspection"])
        border |= {"port": proxies["border"].port, "timeout": TIMEOUT, "consumer_keeps": keeps}
        url = inspection["url"].replace(str(ports["inspection"]), str(proxies["inspection"].port))
        inspection |= {"url": url, "timeout": TIMEOUT}

    try:
        with run.port(wires=True, keeps=keeps, alter=through, **how) as port:
            yield Wired(port, proxies["border"], proxies["inspection"])
            for proxy in proxies.values():
                proxy.plan(None)
    finally:
        for proxy in proxies.values():
            proxy.close()


# ---- F7


def cuts(run: Run) -> None:
    """Any byte of either conversation, either way, in every manner, while uploads go on."""
    with wired(run) as w:
        w.port.run(run.patience, lambda: min(reached(w.port, party) for party in w.ways) > 0)
        for trial in range(run.wanted):
            party = ("BORDER", "INSPECTION")[trial % 2]
            way, how = run.random.choice((UP, DOWN)), HOWS[(trial // 2) % len(HOWS)]
            w.break_next(party, way, run.random.randrange(4000 if party == "BORDER" or way == UP else 120), how)
            if not w.port.run(run.patience, lambda party=party: not w.ways[party].waits):  # type: ignore[misc]
                run.broken.append(f"trial {trial}: {party} {way} was never cut")
            run.recovers(w.port, party)
            run.done()


def renames(run: Run) -> None:
    """One call at a time; its handover to BORDER is cut at one of the last bytes: the rename and its answer."""
    looked = 0
    with wired(run) as w:
        for _ in range(2):  # the first opens the connection
            w.border.plan(Break(UP, 1 << 40, "cut", whose=w.port.lives["courier"].pid))
            one_call(run, w)
        last = dict(w.border.passed)
        places = [(way, last[way] - back) for way in (UP, DOWN) for back in range(1, TAIL)]
        chosen = [(DOWN, last[DOWN] - 1), *run.random.sample(places, min(run.wanted, len(places)) - 1)]
        for number, (way, after) in enumerate(chosen):
            how = ("swallow", "cut", "reset", "half")[number % 4]
            w.break_next("BORDER", way, after, how)
            one_call(run, w)
            run.done()
        looked = int(w.port.eyes.ask(LOOKED)[0][0])
        run.expect(looked, "no rename was done whose answer was lost: nothing is proved")
    run.remarks.append(f"{looked} renames were done whose answer was lost, and found out")


LOOKED = "SELECT count(*) FROM delivery WHERE party = 'BORDER' AND tries = 1 AND reason NOT LIKE '%sent with%'"
"""Handed over at the first try, and known by looking or by the answer."""


def one_call(run: Run, w: Wired, forgetting: Any = None) -> None:
    """Nothing else is under way meanwhile. `forgetting`: a server that starts anew when the break has happened."""
    began, before = time.monotonic(), reached(w.port, "BORDER")
    w.port.hand_in(*w.port.writer.call())
    if forgetting and w.port.run(run.patience, lambda: not w.border.waits, loaded=False):
        forgetting.border.close()
        forgetting.open_border()
    w.port.run(run.patience, lambda: reached(w.port, "BORDER") > before, loaded=False)
    if w.border.broken_at > began:
        run.recovery.append(time.monotonic() - w.border.broken_at)
    w.port.run(run.patience, lambda: not w.port.moving(), loaded=False)


# ---- F8


def lost_answers(run: Run) -> None:
    """The answer to the rename is swallowed; BORDER has taken the file and forgotten it: only two persons can know."""
    with wired(run, keeps=False) as w:
        around: Any = w.port.around
        around.thinks = 2.5
        for _ in range(2):
            w.border.plan(Break(DOWN, 1 << 40, "cut", whose=w.port.lives["courier"].pid))
            one_call(run, w)
        last = w.border.passed[DOWN]
        for _ in range(run.wanted):
            w.break_next("BORDER", DOWN, last - run.random.randrange(1, 30), "swallow")
            one_call(run, w, forgetting=around)
            run.done()
        run.expect(w.port.settled, "no handover was in doubt: nothing is proved")


def server_dies(run: Run) -> None:
    """BORDER's server is gone in the middle of a write and comes back with half a file."""
    with wired(run) as w:
        around: Any = w.port.around
        w.port.run(run.patience, lambda: reached(w.port, "BORDER") > 0)
        for _ in range(run.wanted):
            w.break_next("BORDER", UP, run.random.randrange(400, 3000), "reset")
            w.port.run(run.patience, lambda: not w.border.waits)
            w.border.shut()
            around.border.close()
            w.port.run(run.random.uniform(0.2, 1.0))
            around.open_border()
            w.border.open()
            run.recovers(w.port, "BORDER")
            run.done()


def changed_key(run: Run) -> None:
    """BORDER shows another host key: it is held, gets nothing, and a person lets it go on."""
    with wired(run) as w:
        around: Any = w.port.around
        key = w.port.site / "spool" / "sandbox" / "border" / "keys" / "sftpd_host_ed25519"
        pinned = key.read_bytes()
        for _ in range(run.wanted):
            one_call(run, w)
            had = everything_at(around.box)
            around.border.close()
            key.unlink()
            around.open_border()
            w.border.end()
            w.port.run(run.patience, lambda: standing(w.port) == "held")
            w.port.run(1.0)
            run.expect(standing(w.port) == "held", "another host key did not hold the endpoint")
            run.expect(everything_at(around.box) == had, "somebody with another host key got something")
            around.border.close()
            key.write_bytes(pinned)
            around.open_border()
            w.border.end()
            w.port.release("border")
            run.recovers(w.port, "BORDER")
            run.done()


def standing(port: Port) -> str:
    return "".join(state for (state,) in port.eyes.ask("SELECT state FROM endpoint WHERE id = 'border'"))


def everything_at(box: Path) -> set[str]:
    return {str(path) for path in (box / "inbound").rglob("*")} | {str(path) for path in (box / "outbound").rglob("*")}


# ---- F12


def bad_answers(run: Run) -> None:
    """INSPECTION takes a report and answers 500, takes it and says nothing, with 1 MB of headers, a byte at a time, or
    never takes one; the others get theirs as before."""
    with wired(run) as w:
        w.port.run(run.patience, lambda: reached(w.port, "INSPECTION") > 2)
        began = len(last_seconds(w.port))
        w.port.run(2 if run.quick else 20)
        usual = last_seconds(w.port)[began:]
        slow: list[float] = []
        for trial in range(run.wanted):
            name, start, end = BEHAVIOURS[trial % len(BEHAVIOURS)]
            began = len(last_seconds(w.port))
            start(w)
            w.port.run(1.5 if run.quick else 5)
            end(w)
            run.recovers(w.port, "INSPECTION")
            slow += last_seconds(w.port)[began:]
            run.done(name)
    before, during = high(usual), high(slow)
    run.remarks.append(f"to CUSTOMS p99 {before:.2f} s before, {during:.2f} s meanwhile")
    run.expect(
        run.quick or during < 2 * before + GRAIN, f"the others waited for it: {before:.2f} s became {during:.2f} s"
    )


GRAIN = 0.5
"""Seconds that a busy machine adds by itself to the slowest of few; a quick run has too few to judge."""


def last_seconds(port: Port) -> list[float]:
    """Seconds from taken in to handed over, of every delivery to CUSTOMS, in their order."""
    query = (
        "SELECT julianday(d.sent_at) - julianday(i.received_at) FROM delivery d JOIN message m ON m.id = d.message"
        " JOIN interchange i ON i.id = m.interchange WHERE d.party = 'CUSTOMS' AND d.sent_at IS NOT NULL ORDER BY d.seq"
    )
    return [days * 86400 for (days,) in port.eyes.ask(query)]


def high(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98] if len(seconds) > 1 else 0.0


def _answering(change: Callable[[bytes], bytes]) -> tuple[Callable[[Wired], None], Callable[[Wired], None]]:
    """What INSPECTION answers is changed on the way."""

    def start(w: Wired) -> None:
        w.inspection.rewrite = change

    def end(w: Wired) -> None:
        w.inspection.rewrite = None

    return start, end


def _fail(data: bytes) -> bytes:
    return re.sub(rb"^HTTP/1\.[01] \d+ [^\r]*", b"HTTP/1.1 500 Internal Server Error", data)


def _swell(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\r\n" + b"X-Filler: " + b"x" * 1_000_000 + b"\r\n", 1)


def _quiet(w: Wired) -> None:
    w.inspection.plan(Break(DOWN, 0, "swallow"))


def _drip(w: Wired) -> None:
    w.inspection.plan(Break(DOWN, 0, "drip", seconds=5))


def _gone(w: Wired) -> None:
    w.inspection.shut()


def _back(w: Wired) -> None:
    w.inspection.plan(None)
    w.inspection.open()


BEHAVIOURS: tuple[tuple[str, Callable[[Wired], None], Callable[[Wired], None]], ...] = (
    ("500 after it was taken", *_answering(_fail)),
    ("never answers", _quiet, _back),
    ("a megabyte of headers", *_answering(_swell)),
    ("a byte at a time", _drip, _back),
    ("refuses connections", _gone, _back),
)

ROWS = (
    Row("F7", "connections cut at any byte, under load", cuts, 240, 6),
    Row("F7", "cut at each byte of the rename and its answer", renames, 2 * TAIL, 3),
    Row("F8", "the rename's answer is lost, its file taken away", lost_answers, 20, 1),
    Row("F8", "the server dies in the middle of a write", server_dies, 20, 1),
    Row("F8", "the server shows another host key", changed_key, 5, 1),
    Row("F12", "an HTTP party that answers badly, late or never", bad_answers, 15, 5),
)
