"""The show: a whole port on this machine. The hub runs as it always does, in processes of its own; two ERPs upload
over SFTP; four agencies verify what they get and answer signed. Failure twins are part of it.

It ends when every file has the fate that the scenario says, or says what is missing when patience ends.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from hub.catalogue import language, text
from hub.engine.doors import addresses
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.message import AT_REST
from hub.sandbox import queues
from hub.sandbox.agencies import Sandbox
from hub.sandbox.ground import AGENCIES, prepare
from hub.sandbox.sender import sftp

PORTS = {"sftp": 2222, "http": 8022, "border": 2223, "inspection": 8031, "metrics": 9180}
MARKS = {"answered": "✓", "refused": "✗", "sent": "…", "pending": "·", "sending": "·", "failed": "↻", "held": "⏸"}


@dataclass(frozen=True, slots=True)
class Act:
    """One upload and its fate: the state of the interchange, the outcome of its case ("" for none)."""

    party: str
    name: str
    golden: str
    fate: str
    outcome: str
    note: str
    inspection_away: bool = False


SCENARIO = (
    Act("bohai", "call-1.edi", "vessel/cases/01-arrival", "opened", "cleared", "show.cleared"),
    Act("bohai", "call-2.edi", "vessel/cases/02-refused", "opened", "refused", "show.refused"),
    Act("bohai", "call-3.edi", "vessel/cases/03-broken", "rejected", "", "show.broken"),
    Act("tjline", "manifest.edi", "manifest/cases/01-original", "opened", "accepted", "show.manifest"),
    Act("tjline", "manifest-again.edi", "manifest/cases/01-original", "duplicate", "", "show.duplicate"),
    Act("tjline", "manifest-v2.edi", "manifest/cases/02-amendment", "opened", "accepted", "show.amended"),
    Act("bohai", "call-4.edi", "vessel/cases/05-chinese", "opened", "cleared", "show.away", inspection_away=True),
)


def show(source: Path, once: bool, as_json: bool, lang: str | None, usual: bool = True, patience: float = 30) -> bool:
    """Play the scenario; True when everything ended as it says. Customs comes by queue where $EPORT_AMQP_URL says at
    which broker."""
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # sessions that Ctrl-C cuts
    speak = language(lang)
    began = time.monotonic()
    with _port(source, usual) as (folder, sandbox, hub):
        journal = Journal(folder / "spool", "watcher")
        try:
            with _painter(journal, speak, quiet=as_json) as paint:
                for act in SCENARIO:
                    _perform(folder, journal, sandbox, act, paint, patience)
                _settled(journal, paint, patience)
            summary = _summary(journal, sandbox, time.monotonic() - began)
            if not summary["good"]:
                sys.stderr.write((folder / "spool" / "run" / "hub.log").read_text("utf-8", "replace"))
            if as_json:
                print(json.dumps(summary, ensure_ascii=False))
            else:
                _tell(summary, speak)
            if not once:
                _stay(folder, journal, hub, speak)
        finally:
            journal.close()
    return bool(summary["good"])


# ---- the port


@contextmanager
def _port(source: Path, usual: bool) -> Iterator[tuple[Path, Sandbox, subprocess.Popen[bytes]]]:
    """A running hub in a folder of its own, and the agencies around it."""
    folder = Path(tempfile.mkdtemp(prefix="eport-demo-"))
    try:
        broker = os.environ.get(queues.VARIABLE, "")
        ports = stage(source, folder, usual, broker)
        try:
            with running(folder) as hub:
                sandbox = Sandbox(folder, ports["border"], ports["inspection"], ports["http"])
                try:
                    yield folder, sandbox, hub
                finally:
                    sandbox.close()
        finally:
            if broker:
                queues.forget(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stage(source: Path, folder: Path, usual: bool = False, broker: str = "") -> dict[str, int]:
    """The reference site in `folder`, on ports that are free here: the `usual` ones where they are, or any.

    `broker`: URL of one by which customs is reached."""
    prepare(source, folder)
    ports = {name: _free(port if usual else 0) for name, port in PORTS.items()}
    routes = (folder / "routes.yaml").read_text("utf-8")
    doors = ", ".join(f'{name}: "127.0.0.1:{ports[name]}"' for name in ("sftp", "http", "metrics"))
    routes = re.sub(r"(?m)^doors: .*$", f"doors: {{{doors}}}", routes)
    for name in ("border", "inspection"):
        routes = re.sub(rf"\b{PORTS[name]}\b", str(ports[name]), routes)
    (folder / "routes.yaml").write_text(routes, "utf-8")
    if broker:
        queues.lay(folder, broker)
    return ports


def _free(port: int) -> int:
    """`port`, or any other where something listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(folder: Path, patience: float = 30) -> Iterator[subprocess.Popen[bytes]]:
    """`eport up` for the site in `folder`, its log in spool/run/hub.log, until the end of the block."""
    (folder / "spool" / "run").mkdir(parents=True, exist_ok=True)
    with (folder / "spool" / "run" / "hub.log").open("wb") as log:
        command = [sys.executable, "-m", "hub.cli", "up", "--site", str(folder)]
        hub = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + patience
            while not addresses(folder / "spool"):
                if hub.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((folder / "spool" / "run" / "hub.log").read_text("utf-8"))
                time.sleep(0.02)
            yield hub
        finally:
            hub.terminate()
            hub.wait(60)


# ---- the scenario

Paint = Callable[[], None]


def _perform(folder: Path, journal: Journal, sandbox: Sandbox, act: Act, paint: Paint, patience: float) -> None:
    """Upload one file and wait for its fate."""
    if act.inspection_away:
        sandbox.inspection.close()
    door = addresses(folder / "spool")["sftpd"]
    data = (folder / "mappings" / act.golden / "in.edi").read_bytes()
    with sftp(door, act.party, folder / "spool" / "keys" / f"{act.party}.key") as session:
        session.putfo(io.BytesIO(data), f"outbound/{act.name}")
    if act.inspection_away:
        _wait(lambda: _away(journal), paint, patience)
        sandbox.inspection.open()
    _wait(lambda: fates(journal).get(act.name) == (act.fate, act.outcome), paint, patience)


def _away(journal: Journal) -> bool:
    """The inspection has let a try fail, and the other three have answered."""
    d = t.delivery
    states = [row["state"] for row in journal.rows(select(d.c.state).where(d.c.awaits != "", d.c.state != "answered"))]
    return "failed" in states and set(states) <= {"failed", "refused"}


def _settled(journal: Journal, paint: Paint, patience: float) -> None:
    """Every delivery is at rest."""
    _wait(lambda: not _restless(journal), paint, patience)


def _restless(journal: Journal) -> list[Any]:
    d = t.delivery
    rests = [state.value for state in AT_REST]
    return list(
        journal.rows(
            select(d.c.id, d.c.state).where(d.c.state.notin_(rests), (d.c.state != "sent") | (d.c.awaits != ""))
        )
    )


def _wait(done: Callable[[], bool], paint: Paint, patience: float) -> None:
    deadline = time.monotonic() + patience
    while not done() and time.monotonic() < deadline:
        paint()
        time.sleep(0.05)
    paint()


def fates(journal: Journal) -> dict[str, tuple[str, str]]:
    """File name -> (state of the interchange, outcome of its case)."""
    i, m, c = t.interchange, t.message, t.case
    query = select(i.c.name, i.c.state, c.c.outcome).select_from(
        i.outerjoin(m, m.c.interchange == i.c.id).outerjoin(c, c.c.id == m.c.case)
    )
    return {row["name"]: (row["state"], row["outcome"] or "") for row in journal.rows(query)}


def _summary(journal: Journal, sandbox: Sandbox, seconds: float) -> dict[str, Any]:
    """What happened, and whether it is what the scenario says: every file its fate, every delivery at rest, every
    signature verified, nothing handed to an agency twice, nothing waiting."""
    known = fates(journal)
    files = [
        {
            "party": act.party,
            "file": act.name,
            "fate": " ".join(known.get(act.name, ("not seen", ""))).strip(),
            "wanted": f"{act.fate} {act.outcome}".strip(),
            "note": act.note,
        }
        for act in SCENARIO
    ]
    twice = sorted(ref for desk in sandbox.desks.values() for ref, times in desk.asked.items() if times > 1)
    unverified = [why for desk in sandbox.desks.values() for why in desk.refused]
    waiting = [row["subject"] for row in journal.rows(select(t.waiting.c.subject))]
    restless = [row["id"] for row in _restless(journal)]
    good = all(row["fate"] == row["wanted"] for row in files) and not (twice or unverified or waiting or restless)
    return {
        "good": good,
        "files": files,
        "verified": {name: len(desk.asked) for name, desk in sandbox.desks.items()},
        "twice": twice,
        "unverified": unverified,
        "waiting": waiting,
        "not_at_rest": restless,
        "counts": journal.counts(),
        "seconds": round(seconds, 1),
    }


# ---- what is seen


def _board(journal: Journal) -> list[dict[str, str]]:
    """A row for each file: what became of it, how far each agency is, its case."""
    i, m, d, c = t.interchange, t.message, t.delivery, t.case
    known = fates(journal)
    rows = []
    for one in journal.rows(select(i).where(i.c.party.in_(("BOHAI", "TJLINE"))).order_by(i.c.id)):
        messages = journal.rows(select(m.c.id, m.c.case).where(m.c.interchange == one["id"]))
        cases = {row["case"] for row in messages if row["case"]}
        ids = [row["id"] for row in messages]
        if messages and cases and one["state"] == "opened":
            made = journal.rows(select(m.c.id).where(m.c.case.in_(cases), m.c.interchange == ""))
            ids += [row["id"] for row in made]
        sent = journal.rows(select(d.c.party, d.c.state, d.c.awaits).where(d.c.message.in_(ids)).order_by(d.c.seq))
        stages = journal.row(select(c.c.stages).where(c.c.id.in_(cases))) if cases else None
        rows.append(
            {
                "file": one["name"],
                "party": one["party"],
                "state": one["state"],
                "agencies": "  ".join(
                    f"{row['party'].lower()} {MARKS.get(row['state'], row['state'])}" for row in sent if row["awaits"]
                ),
                "case": " → ".join(stages["stages"]) if stages else "",
                "outcome": known.get(one["name"], ("", ""))[1],
            }
        )
    return rows


@contextmanager
def _painter(journal: Journal, speak: str, quiet: bool) -> Iterator[Paint]:
    """A live table in a terminal; in a pipe a line whenever something has changed."""
    if quiet:
        yield lambda: None
    elif sys.stdout.isatty():
        from rich.live import Live

        with Live(refresh_per_second=12) as live:
            yield lambda: live.update(_table(_board(journal), speak))
    else:
        yield _lines(journal)


def _table(rows: list[dict[str, str]], speak: str) -> Any:
    from rich.table import Table

    colours = {"rejected": "red", "refused": "red", "cleared": "green", "accepted": "green", "duplicate": "yellow"}
    drawn = Table(title=text("show.title", speak), title_justify="left", header_style="bold")
    for column in ("file", "party", "state", "agencies", "case"):
        drawn.add_column(text(f"show.column_{column}", speak))
    for row in rows:
        colour = colours.get(row["outcome"] or row["state"], "cyan")
        drawn.add_row(row["file"], row["party"], row["state"], row["agencies"], row["case"], style=colour)
    return drawn


def _lines(journal: Journal, known: frozenset[str] | set[str] = frozenset()) -> Paint:
    """A line for each change of a file's row, except for the files that are `known` already."""
    shown: dict[str, str] = {}

    def paint() -> None:
        for row in _board(journal):
            if row["file"] in known:
                continue
            line = "\t".join(row[column] for column in ("file", "party", "state", "agencies", "case"))
            if shown.get(row["file"]) != line:
                shown[row["file"]] = line
                print(line, flush=True)

    return paint


def _tell(summary: dict[str, Any], speak: str) -> None:
    from typer import echo

    from hub.cli.paint import pad, state

    echo()
    for row in summary["files"]:
        mark = "✓" if row["fate"] == row["wanted"] else "✗"
        echo(f"{mark} {row['party']:7} {row['file']:20} {state(row['fate'], 18)} {text(row['note'], speak)}")
    echo()
    verified = ", ".join(f"{name.lower()} {count}" for name, count in summary["verified"].items())
    echo(text("show.verified", speak, counts=verified))
    for fault in ("twice", "unverified", "waiting", "not_at_rest"):
        for item in summary[fault]:
            echo(f"✗ {pad(fault, 12)} {item}")
    key = "show.good" if summary["good"] else "show.bad"
    echo(text(key, speak, seconds=summary["seconds"], files=len(summary["files"])))


def _stay(folder: Path, journal: Journal, hub: subprocess.Popen[bytes], speak: str) -> None:
    """Keep the port open, and say how to send a file of one's own."""
    golden = (folder / "mappings" / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()
    mine = folder / "mine.edi"
    mine.write_bytes(golden.replace(b"TJ26112301", b"TJ26112399").replace(b"TJL2611230001", b"TJL2611239999"))
    print()
    print(text("show.yours", speak))
    print(f"  sftp -F {_ssh_config(folder)} tjline")
    print(f"  sftp> put {mine} outbound/")
    print("  sftp> ls inbound")
    print(f"  eport trace mine.edi --site {folder}")
    print(text("show.stop", speak), flush=True)
    paint = _lines(journal, {row["file"] for row in _board(journal)})
    try:
        while hub.poll() is None:
            paint()
            time.sleep(0.2)
    except KeyboardInterrupt:
        print()


def _ssh_config(folder: Path) -> Path:
    """What OpenSSH needs to come in as the carrier: address, key, and the door's pinned key."""
    import paramiko

    host, port = addresses(folder / "spool")["sftpd"]
    keys = folder / "spool" / "keys"
    pinned = paramiko.Ed25519Key.from_private_key_file(str(keys / "sftpd_host_ed25519"))
    (keys / "known_hosts").write_text(f"[{host}]:{port} ssh-ed25519 {pinned.get_base64()}\n")
    config = folder / "ssh"
    config.write_text(
        f"Host tjline\n  HostName {host}\n  Port {port}\n  User tjline\n  IdentitiesOnly yes\n"
        f"  IdentityFile {keys / 'tjline.key'}\n  UserKnownHostsFile {keys / 'known_hosts'}\n"
    )
    return config


__all__ = ["AGENCIES", "SCENARIO", "Act", "fates", "running", "show", "stage"]
