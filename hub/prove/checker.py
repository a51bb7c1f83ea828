"""The independent checker: nothing of the hub is imported here. It reads what senders wrote down before they sent, what
agencies wrote down before they answered, what came back, and the journal's tables as plain SQL; and it names every
promise that is broken.

    <site>/spool/journal.db          the journal
    <site>/spool/payloads/xx/<sha>   its large payloads
    <site>/spool/boxes/<party>/…     outbound, inbound, error of a sender; in, out of an agency
    <evidence>/sent.jsonl            uploads
    <evidence>/agencies/NAME.jsonl   deliveries taken, the bytes in agencies/NAME/<sha256>

Rules: I1 conservation, I2 one acceptance, I5 receipts, I6 order, I7 states, I8 evidence of shared practice in message
exchange: what is acknowledged is stored; what is stored reaches everyone once; what is answered is answered.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lxml import etree

Row = dict[str, Any]

IN_TRANSIT = {
    "interchange": {"received"},
    "message": {"released"},
    "delivery": {"released", "pending", "sending", "failed"},
}
WAITING = {
    "interchange": {"conflict", "quarantined"},
    "message": {"held"},
    "delivery": {"held", "dead", "in_doubt"},
    "endpoint": {"held", "broken"},
}
STATES = {
    "interchange": {"received", "opened", "split", "rejected", "duplicate", "conflict", "quarantined"},
    "message": {"released", "routed", "done", "rejected", "duplicate", "held", "cancelled"},
    "delivery": {
        *("released", "pending", "sending", "sent", "receipted", "acknowledged", "answered", "refused", "failed"),
        *("in_doubt", "held", "dead", "cancelled"),
    },
    "port_case": {"open", "closed"},
}
ALIASES = {("port_case", "opened"): "open", ("message", "made"): "routed"}
"""Events that tell of a state in other words."""
HANDED = {"sent", "receipted", "acknowledged", "answered", "refused"}
ANSWERED = re.compile(r"\.[^.]+\.[0-9]+\.error\.(json|txt)")
"""What is behind the name of a file in the name of what a reader's answer says of it."""
OUTCOMES = {"manifest": ("accepted", "refused"), "vessel": ("cleared", "refused")}
YES, NO = {"A", "01"}, {"R", "03"}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise: which, of what, and how."""

    code: str
    subject: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.subject} {self.detail}".strip()


@dataclass(slots=True)
class Ground:
    """Everything that is looked at, read once."""

    site: Path
    evidence: Path
    tables: dict[str, list[Row]] = field(default_factory=dict)
    sent: list[Row] = field(default_factory=list)
    taken: dict[str, list[Row]] = field(default_factory=dict)
    homes: dict[str, Path] = field(default_factory=dict)  # party -> home of a sender


def read(site: Path, evidence: Path, homes: dict[str, Path], database: str = "") -> Ground:
    """`homes`: where each sender's outbound, inbound and error lie. `database`: URL of a journal on PostgreSQL."""
    ground = Ground(site, evidence, homes=homes)
    ground.tables = _postgresql(database) if database else _sqlite(site / "spool" / "journal.db")
    ground.sent = lines(evidence / "sent.jsonl")
    for record in sorted((evidence / "agencies").glob("*.jsonl")):
        ground.taken[record.stem] = lines(record)
    return ground


def _sqlite(path: Path) -> dict[str, list[Row]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: [dict(row) for row in database.execute(f'SELECT * FROM "{name}"')] for name in names}  # noqa: S608


def _postgresql(url: str) -> dict[str, list[Row]]:
    """As SQLite shows them: times and JSON as text."""
    import psycopg
    from psycopg.rows import dict_row

    with psycopg.connect(url, row_factory=dict_row, options="-c timezone=utc") as database:
        names = [
            row["tablename"] for row in database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ]
        return {
            name: [
                {column: _plain(value) for column, value in row.items()}
                for row in database.execute(f'SELECT * FROM "{name}"').fetchall()  # noqa: S608
            ]
            for name in names
        }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat()
    return json.dumps(value) if isinstance(value, dict | list) else value


def lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def check(ground: Ground) -> list[Violation]:
    """Every broken promise, in the order of a message's journey."""
    first = (taken_in, apart, transit, waits, events, payloads, references)
    rules = (*first, fates, reached, handed, answers, cases, receipts)
    return [violation for rule in rules for violation in rule(ground)]


# ---- a splitter of its own


def segments(data: bytes) -> list[list[list[str]]]:
    """EDIFACT as segments of elements of components; default separators, `?` releases."""
    text = data.decode("utf-8", "replace")
    separators = text[3:9] if text.startswith("UNA") else ":+.? '"
    component, element, release, end = separators[0], separators[1], separators[3], separators[5]
    text = text[9:] if text.startswith("UNA") else text
    found: list[list[list[str]]] = [[[""]]]
    released = False
    for letter in text:
        if released:
            found[-1][-1][-1] += letter
            released = False
        elif letter == release:
            released = True
        elif letter == end:
            found.append([[""]])
        elif letter == element:
            found[-1].append([""])
        elif letter == component:
            found[-1][-1].append("")
        elif letter not in "\r\n":
            found[-1][-1][-1] += letter
    return [segment for segment in found if segment != [[""]]]


def value(data: bytes, tag: str, element: int, component: int = 0, qualifier: str = "") -> str:
    """The first value at a place; `qualifier` is what element 1 must begin with."""
    for segment in segments(data):
        if segment[0][0] == tag and (not qualifier or segment[1][0] == qualifier):
            return segment[element][component] if len(segment) > element and len(segment[element]) > component else ""
    return ""


def about(data: bytes) -> tuple[str, str, str]:
    """(our reference, business number, version) of what an agency was handed; version "" where the form has none."""
    if data.lstrip()[:1] == b"<":
        root = etree.fromstring(data)
        own = [node for node in root.iter() if isinstance(node.tag, str) and "xmldsig" not in node.tag]
        text = {etree.QName(node).localname: node.text or "" for node in own}
        number = text.get("ManifestNo") or text.get("Call") or ""
        return text.get("Reference", ""), number, text.get("VersionNo", "")
    return value(data, "UNB", 5), value(data, "BGM", 2), ""


# ---- 1. intake


def arrivals(g: Ground) -> list[Row]:
    """Interchanges as they came in: what a file went apart into has a dash in its id."""
    return [row for row in g.tables["interchange"] if "-" not in row["id"]]


def apart(g: Ground) -> Iterator[Violation]:
    """What went apart has each of its pieces, and every piece belongs to what went apart."""
    rows = {row["id"]: row for row in g.tables["interchange"]}
    for id, row in rows.items():
        count = int(row["reason"]) if row["state"] == "split" else 0
        for number in range(1, count + 1):
            if f"{id}-{number:04d}" not in rows:
                yield Violation("piece missing", f"{id}-{number:04d}", f"of {count}")
        whole = id.rpartition("-")[0]
        if whole and rows.get(whole, {}).get("state") != "split":
            yield Violation("piece of nothing", id)


def taken_in(g: Ground) -> Iterator[Violation]:
    """Every file that was sent is in the journal once, whole, and no longer at its source; nothing else is."""
    rows: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in arrivals(g):
        rows[row["party"], row["name"]].append(row)
    for sent in g.sent:
        mine = rows.pop((sent["party"], sent["name"]), [])
        there = (g.homes[sent["party"]] / "outbound" / sent["name"]).exists()
        if not mine:
            yield Violation("lost" if not there else "not taken in", sent["name"])
        if len(mine) > 1:
            yield Violation("taken in twice", sent["name"], f"{len(mine)} interchanges")
        if any(row["sha256"] != sent["sha256"] for row in mine):
            yield Violation("other bytes", sent["name"])
        if mine and there:
            yield Violation("not settled", sent["name"])
    for (party, name), _ in rows.items():
        if party in g.homes:
            yield Violation("never sent", name, party)
        elif len(rows[party, name]) > 1:
            yield Violation("answer taken in twice", name, party)


# ---- 2. nothing between two states


def transit(g: Ground) -> Iterator[Violation]:
    """No row is on its way once everything rests."""
    for table, states in IN_TRANSIT.items():
        for row in g.tables[table]:
            if row["state"] in states:
                yield Violation("not at rest", row["id"], f"{table} {row['state']} {row['reason']}")
            if row.get("holder"):
                yield Violation("held by a process", row["id"], row["holder"])
    for row in g.tables["port_case"]:
        if row["ripe"] or row["holder"]:
            yield Violation("not at rest", row["id"], f"case ripe={row['ripe']} holder={row['holder']}")
    for row in g.tables["delivery"]:
        if row["awaits"] and row["state"] in ("sent", "receipted", "acknowledged"):
            yield Violation("unanswered", row["id"], f"{row['state']}, awaits {row['awaits']}")


def waits(g: Ground) -> Iterator[Violation]:
    """What waits is on the list with a reason, an owner and a time; what is on the list waits."""
    listed = {row["subject"]: row for row in g.tables["waiting"]}
    for table, states in WAITING.items():
        for row in g.tables[table]:
            if row["state"] in states and row["id"] not in listed:
                yield Violation("waits for nobody", row["id"], f"{table} {row['state']}")
    known: dict[str, list[Row]] = {name: g.tables[name] for name in (*WAITING, "port_case")}
    rows = {row["id"]: (table, row) for table, found in known.items() for row in found}
    for subject, wait in listed.items():
        if not (wait["code"] and wait["owner"] and wait["due_at"] and wait["since"]):
            yield Violation("incomplete entry", subject, str(wait))
        table, row = rows.get(subject, ("", {}))
        late = bool(row.get("overdue"))
        odd = table == "message" and wait["code"].startswith("receipts.")
        if not (late or odd or row.get("state") in WAITING.get(table, ())):
            yield Violation("listed but not waiting", subject, f"{table} {row.get('state')} {wait['code']}")


def events(g: Ground) -> Iterator[Violation]:
    """Every row's last event of a state is the state that it is in."""
    happened: dict[str, list[str]] = defaultdict(list)
    for row in sorted(g.tables["event"], key=lambda row: row["seq"]):
        happened[row["subject"]].append(row["what"])
    for table, states in STATES.items():
        for row in g.tables[table]:
            said = [ALIASES.get((table, what), what) for what in happened[row["id"]]]
            said = [what for what in said if what in states]
            if not said or said[-1] != row["state"]:
                yield Violation("event missing", row["id"], f"{table} is {row['state']}, events say {said[-1:]}")
            if table == "interchange" and len(said) != len(set(said)):
                yield Violation("event twice", row["id"], str(said))


def payloads(g: Ground) -> Iterator[Violation]:
    """Every hash that a row names has its bytes."""
    rows = {row["sha256"]: row for row in g.tables["payload"]}
    named: dict[str, str] = {}
    for table, columns in (
        ("interchange", ("sha256",)),
        ("message", ("payload", "canonical")),
        ("delivery", ("payload", "signature")),
    ):
        for row in g.tables[table]:
            named |= {row[column]: f"{table} {row['id']}" for column in columns if row[column]}
    for sha, where in named.items():
        stored = rows.get(sha)
        data = _bytes(g, stored) if stored else None
        if stored is None or data is None:
            yield Violation("payload missing", sha, where)
        elif hashlib.sha256(data).hexdigest() != sha or len(data) != stored["size"]:
            yield Violation("payload changed", sha, where)


def _bytes(g: Ground, stored: Row) -> bytes | None:
    """From the row, or from the spool."""
    if stored["data"] is not None:
        return bytes(stored["data"])
    path = g.site / "spool" / "payloads" / stored["sha256"][:2] / stored["sha256"]
    return path.read_bytes() if path.exists() else None


def references(g: Ground) -> Iterator[Violation]:
    """A control reference belongs to one delivery; every EDIFACT file to a sender has one of its own."""
    for number, count in Counter(r["value"] for r in g.tables["reference"] if r["name"] == "reference").items():
        if count > 1:
            yield Violation("reference twice", number, f"{count} deliveries")
    used: dict[str, set[str]] = defaultdict(set)
    for party in g.homes:
        for path in files(g, party, "inbound"):
            used[value(path.read_bytes(), "UNB", 5)].add(digest(path))
    for number, bodies in used.items():
        if len(bodies) > 1:
            yield Violation("reference twice", number, f"{len(bodies)} different files")


# ---- 3. what became of each file


def files(g: Ground, party: str, folder: str) -> list[Path]:
    where = g.homes[party] / folder
    return [p for p in sorted(where.iterdir()) if not p.name.startswith(".")] if where.exists() else []


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fates(g: Ground) -> Iterator[Violation]:
    """Each file has its fate; a rejected one is explained in error/, with the sender's own bytes."""
    states = {(row["party"], row["name"]): row["state"] for row in arrivals(g)}
    errors = {party: [path.name for path in files(g, party, "error")] for party in g.homes}
    for sent in g.sent:
        wanted = "opened" if sent["fate"] == "held" else sent["fate"]
        state = states.get((sent["party"], sent["name"]))
        if state is not None and state != wanted:
            yield Violation("other fate", sent["name"], f"is {state}, not {wanted}")
        mine = [name for name in errors[sent["party"]] if name.partition(".")[2].startswith(sent["name"])]
        kinds = sorted(name.partition(".")[2].removeprefix(sent["name"]) for name in mine)
        kinds = [kind for kind in kinds if not ANSWERED.fullmatch(kind)]
        due = ["", ".error.json", ".error.txt"] if sent["fate"] in ("rejected", "conflict", "held") else []
        if kinds != due:
            yield Violation("explanation", sent["name"], f"error/ has {mine}")
        for name in mine:
            path = g.homes[sent["party"]] / "error" / name
            if name.endswith(sent["name"]) and digest(path) != sent["sha256"]:
                yield Violation("explanation", sent["name"], "other bytes in error/")
            if name.endswith(".json") and not json.loads(path.read_bytes())["findings"]:
                yield Violation("explanation", sent["name"], "no finding")


# ---- 4. agencies


def last_versions(g: Ground) -> dict[str, Row]:
    """Business number -> its newest version that was accepted."""
    newest: dict[str, Row] = {}
    for sent in g.sent:
        if sent["fate"] == "opened" and sent["version"] >= newest.get(sent["document"], sent)["version"]:
            newest[sent["document"]] = sent
    return newest


def reached(g: Ground) -> Iterator[Violation]:
    """Each version of each document reached everyone it should, once, in rising order.

    Messages of a call become one document when the case is advanced: a version that was amended before that is never
    made. Of manifests every version is handed on."""
    versions = Counter(sent["document"] for sent in g.sent if sent["fate"] == "opened")
    newest = last_versions(g)
    for agency, rows in g.taken.items():
        seen: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for row in rows:
            reference, number, version = about((g.evidence / "agencies" / agency / row["sha256"]).read_bytes())
            seen[number].append((version, reference))
            if agency != "TERMINAL" and not row["said"]:
                yield Violation("not the port's word", f"{agency} {row['name']}")
        for number, sent in newest.items():
            if agency not in sent["reaches"]:
                continue
            got = seen.pop(number, [])
            least = versions[number] if sent["system"] == "manifest" else 1
            if len(got) < least:
                yield Violation("not delivered", f"{agency} {number}", f"{len(got)} of {versions[number]}")
            if len(got) > versions[number]:
                yield Violation("delivered twice", f"{agency} {number}", f"{len(got)}, there are {versions[number]}")
            named = [version for version, _ in got if version]
            if named != sorted(set(named), key=int):
                yield Violation("out of order", f"{agency} {number}", " ".join(named))
            if named and named[-1] != str(sent["version"]):
                yield Violation("not the newest", f"{agency} {number}", " ".join(named))
        for number, got in seen.items():
            yield Violation("never accepted", f"{agency} {number}", str(got))
        for key, count in Counter((row["name"], row["sha256"]) for row in rows).items():
            if count > 1:
                yield Violation("handed over twice", f"{agency} {key[0]}", f"{count} times")
    yield from _sameness(g)
    yield from _mixed(g)


def _mixed(g: Ground) -> Iterator[Violation]:
    """No document is made of one version's first message and another version's second."""
    marks: dict[str, list[list[str]]] = defaultdict(list)
    for sent in g.sent:
        if sent["marks"] and sent["fate"] == "opened":
            marks[sent["document"]].append(sent["marks"])
    for row in g.taken.get("BORDER", []):
        data = (g.evidence / "agencies" / "BORDER" / row["sha256"]).read_bytes()
        _, number, _ = about(data)
        has = [[mark.encode() in data for mark in one] for one in marks[number]]
        if has and sorted(map(sum, has)) != [0] * (len(has) - 1) + [len(has[0])]:
            yield Violation("mixed versions", f"BORDER {number}", f"{row['name']} {has}")


def _sameness(g: Ground) -> Iterator[Violation]:
    """One reference is one content, at every agency."""
    for agency, rows in g.taken.items():
        contents: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            reference, _, _ = about((g.evidence / "agencies" / agency / row["sha256"]).read_bytes())
            contents[reference].add(row["sha256"])
        for reference, shas in contents.items():
            if len(shas) > 1:
                yield Violation("one reference, two contents", f"{agency} {reference}")


def handed(g: Ground) -> Iterator[Violation]:
    """What the journal says was handed over is there, under its name and with its bytes; and nothing else is."""
    agencies = {name: {row["sha256"] for row in rows} for name, rows in g.taken.items()}
    have = {
        (party, folder): {path.name: digest(path) for path in files(g, party, folder)}
        for party in g.homes
        for folder in ("inbound", "error")
    }
    due: dict[tuple[str, str], set[str]] = defaultdict(set)
    known: dict[str, set[str]] = defaultdict(set)
    for row in g.tables["delivery"]:
        if row["party"] in g.homes:
            box = (row["party"], row["folder"])
            if row["state"] in HANDED and have[box].get(row["name"]) != row["payload"]:
                yield Violation("not there", row["id"], f"{row['folder']}/{row['name']}")
            due[box].add(row["name"])
        else:
            known[row["party"]].add(row["payload"])
            if row["state"] in HANDED and row["payload"] not in agencies.get(row["party"], set()):
                yield Violation("not there", row["id"], f"{row['party']} never took it")
    for box, names in have.items():
        for name in names.keys() - due[box]:
            yield Violation("from nowhere", f"{box[0]} {box[1]}/{name}")
    for agency, shas in agencies.items():
        for sha in shas - known[agency]:
            yield Violation("from nowhere", f"{agency} {sha}")


def answers(g: Ground) -> Iterator[Violation]:
    """What an agency answered is what the journal has."""
    by_value = {(r["party"], r["value"]): r["delivery"] for r in g.tables["reference"] if r["name"] == "reference"}
    states = {row["id"]: row["state"] for row in g.tables["delivery"]}
    for agency, rows in g.taken.items():
        for row in rows:
            if not row["said"]:
                continue
            reference, _, _ = about((g.evidence / "agencies" / agency / row["sha256"]).read_bytes())
            delivery = by_value.get((agency, reference), "")
            wanted = "answered" if row["said"] in YES else "refused"
            if states.get(delivery) != wanted:
                yield Violation("answer lost", f"{agency} {reference}", f"{delivery} is {states.get(delivery)}")


# ---- 5. cases and receipts


def cases(g: Ground) -> Iterator[Violation]:
    """Every case has the outcome that the answers to its newest document imply."""
    said: dict[str, dict[str, str]] = defaultdict(dict)
    for agency, rows in g.taken.items():
        for row in rows:
            _, number, _ = about((g.evidence / "agencies" / agency / row["sha256"]).read_bytes())
            if row["said"]:
                said[number][agency] = row["said"]  # the newest one
    outcomes = {row["id"].rsplit("/", 1)[-1]: (row["state"], row["outcome"]) for row in g.tables["port_case"]}
    for number, sent in last_versions(g).items():
        good, bad = OUTCOMES[sent["system"]]
        implied = bad if any(word in NO for word in said[number].values()) else good
        if outcomes.get(number) != ("closed", implied):
            yield Violation("outcome", number, f"is {outcomes.get(number)}, answers say {implied}")
        if implied != sent["outcome"]:
            yield Violation("outcome", number, f"answers say {implied}, senders expect {sent['outcome']}")


def receipts(g: Ground) -> Iterator[Violation]:
    """One CONTRL for each interchange that asks or is wrong; one final receipt for each version that was answered; a
    copy gets the stored receipts again, byte for byte."""
    for party in g.homes:
        inbound = [(path.name, path.read_bytes()) for path in files(g, party, "inbound")]
        fresh = [(name, data) for name, data in inbound if "-again" not in name]
        again = [(name, data) for name, data in inbound if "-again" in name]
        syntax = Counter(value(data, "UCI", 1) for _, data in fresh if b"CONTRL" in data)
        final = [data for _, data in fresh if b"CUSRES" in data]
        mine = [sent for sent in g.sent if sent["party"] == party]
        asking = Counter(sent["reference"] for sent in mine if sent["fate"] not in ("duplicate", "quarantined"))
        for reference in asking.keys() | syntax.keys():
            if asking[reference] != syntax[reference]:
                yield Violation("CONTRL", reference, f"{syntax[reference]} instead of {asking[reference]}")
        yield from _finals(g, mine, final)
        stored = {hashlib.sha256(data).hexdigest() for _, data in fresh}
        for name, data in again:
            if hashlib.sha256(data).hexdigest() not in stored:
                yield Violation("not the stored receipt", name)
        for sent in mine:
            if sent["fate"] == "duplicate":
                got = [data for name, data in again if name.startswith(f"{sent['name']}.") and b"CONTRL" in data]
                if len(got) != 1 or value(got[0], "UCI", 1) != sent["reference"]:
                    yield Violation("no stored receipt", sent["name"], f"{len(got)} CONTRL again")


def _finals(g: Ground, mine: Iterable[Row], final: list[bytes]) -> Iterator[Violation]:
    newest = last_versions(g)
    versions = Counter(sent["document"] for sent in mine if sent["fate"] == "opened")
    said: dict[str, list[str]] = defaultdict(list)
    for data in final:
        said[value(data, "BGM", 2)].append(value(data, "GIS", 1))
    stages: dict[str, list[str]] = defaultdict(list)
    for row in g.tables["event"]:
        found = re.fullmatch(r"stage (accepted|cleared|refused)", row["what"])
        if found:
            stages[row["subject"].rsplit("/", 1)[-1]].append(f"{found[1]} {json.loads(row['detail']).get('by')}")
    for number, count in versions.items():
        if not 1 <= len(said[number]) <= count or len(said[number]) != len(stages[number]):
            detail = f"{len(said[number])} for {count} versions, {len(stages[number])} stages"
            yield Violation("final receipts", number, detail)
        if len(set(stages[number])) != len(stages[number]):
            yield Violation("stage twice", number, str(stages[number]))
        wanted = "2" if newest[number]["outcome"] == "refused" else "1"
        if wanted not in said[number]:
            yield Violation("final receipts", number, f"say {said[number]}, not {wanted}")
    for number in said.keys() - versions.keys():
        yield Violation("final receipts", number, "of a document that was never accepted")


def main(arguments: list[str]) -> int:
    """check SITE EVIDENCE PARTY=HOME…: a line for each violation; 0 when there is none."""
    homes = dict(pair.split("=", 1) for pair in arguments[2:])
    found = check(read(Path(arguments[0]), Path(arguments[1]), {name: Path(home) for name, home in homes.items()}))
    for violation in found:
        print(violation)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
