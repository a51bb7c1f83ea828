"""F13, and what agencies say in F12: everything comes several times, in any order; answers come twice or contradict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from lxml import etree

from hub.identity import xmldsig
from hub.prove import checker
from hub.prove.checker import Ground, Violation
from hub.prove.faults.row import Row, Run
from hub.prove.port import ROLES
from hub.sandbox.agencies import Desk, into

# ---- F13


def copies(run: Run) -> None:
    """Each file one to five times under different names, shuffled, while one of two gates is killed: the other goes on
    where it stopped, and may see everything again."""
    with run.port(seats=(*ROLES, "gate 2"), judge=one_of_each) as port:
        for _ in range(run.wanted):
            batch = []
            for number in range(4):
                sent, data = port.writer.manifest() if number % 2 else port.writer.call()
                times = run.random.randint(1, 5)
                batch += [(replace(sent, name=f"{sent.reference}-{copy}.edi"), data) for copy in range(times)]
            run.random.shuffle(batch)
            for upload in batch:
                port.hand_in(*upload)
            port.run(run.random.uniform(0, 0.15), loaded=False)
            port.kill(port.lives[run.random.choice(("gate", "gate 2"))])
            port.run(run.patience, lambda: not port.moving(), loaded=False)
            run.done()
        run.expect(port.sent > 4 * run.wanted, "nothing came twice: nothing is proved")
    run.remarks.append("no fault to recover from")


def one_of_each(ground: Ground) -> list[Violation]:
    """Of files with the same bytes exactly one is opened. Which one that is, nobody knows before."""
    states = {(row["party"], row["name"]): row["state"] for row in ground.tables["interchange"]}
    alike: dict[str, list[checker.Row]] = defaultdict(list)
    for sent in ground.sent:
        alike[sent["sha256"]].append(sent)
    found = []
    for same in alike.values():
        opened = [sent for sent in same if states.get((sent["party"], sent["name"])) == "opened"]
        if len(opened) != 1:
            found.append(
                Violation("taken in twice", same[0]["name"], f"{len(opened)} of {len(same)} copies are opened")
            )
        for sent in same:
            if sent not in opened[:1] and sent["fate"] == "opened":
                sent |= {"fate": "duplicate", "reaches": [], "outcome": "", "of": opened[0]["name"] if opened else ""}
    return [*found, *checker.check(ground)]


# ---- F12


def answers(run: Run) -> None:
    """MARITIME repeats an answer, or takes it back: the first one counts, and somebody is told of the other."""
    with run.port() as port:
        said = into((port.site / "spool" / "boxes" / "maritime" / "out").resolve())
        desk = port.around.counters["MARITIME"].desk
        assert desk is not None
        record = port.evidence / "agencies" / "MARITIME.jsonl"
        for number in range(run.wanted):
            port.run(run.patience, lambda number=number: len(checker.lines(record)) > number)  # type: ignore[misc]
            port.run(run.patience, lambda: not port.moving(), loaded=False)
            row = checker.lines(record)[number]
            taken = (record.with_suffix("") / row["sha256"]).read_bytes()
            how = OTHERWISE[number % len(OTHERWISE)]
            said(f"again-{number}.xml", how(desk, desk.take(taken)))
            port.run(run.patience, lambda: not port.moving(), loaded=False)
            run.done()
        odd = port.eyes.ask(
            "SELECT state, count(*) FROM receipt WHERE state <> 'matched' GROUP BY state ORDER BY state"
        )
        run.remarks.append(", ".join(f"{count} {state}" for state, count in odd))
        listed = port.eyes.ask("SELECT count(*) FROM waiting WHERE code = 'receipts.contradictory'")[0][0]
        run.expect(listed == run.wanted // 2, f"{listed} contradictions are on the list")


def taken_back(desk: Desk, answer: bytes) -> bytes:
    """The same answer with the opposite status, signed anew."""
    root = etree.fromstring(answer)
    for node in root.findall("{http://www.w3.org/2000/09/xmldsig#}Signature"):
        root.remove(node)
    for node in root.iter("{*}Status"):
        node.text = "R" if node.text == "A" else "A"
    return xmldsig.sign(etree.tostring(root), desk.signer, datetime.now(UTC))


def repeated(desk: Desk, answer: bytes) -> bytes:
    return answer


OTHERWISE: tuple[Callable[[Desk, bytes], bytes], ...] = (repeated, taken_back)

ROWS = (
    Row("F12", "an agency answers twice, or takes its word back", answers, 20, 2),
    Row("F13", "every file one to five times, two gates, one killed", copies, 25, 1),
)
