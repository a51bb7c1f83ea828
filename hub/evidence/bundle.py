"""A bundle: everything about one reference that somebody without a hub needs to check what happened.

    README.txt     what this is and how to check it by hand, in Chinese and English
    manifest.json  port, reference, certificates, heads, and for each event its head and its path (canonical JSON)
    events.jsonl   the events, one a line: exactly the bytes that are hashed
    files/<hash>   every file that an event, a head or the manifest names by its SHA-256

What the files *are* is said by the sealed events alone, in the details of `NAMED`; the manifest adds nothing that
would have to be believed. Two exports of the same are the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files as resources
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from hub.errors import Impossible, JournalError
from hub.evidence import archive, canonical, merkle
from hub.evidence.seal import sealed_up_to
from hub.evidence.shape import FORMAT, NAMED
from hub.identity import cms
from hub.identity.chain import lead
from hub.journal import tables as t
from hub.journal.journal import Journal
from hub.journal.statements import Row
from hub.site.site import Site

LINKS = 2_000
"""Heads that a bundle brings along, at most, to reach the next stamped one."""


def export(site: Site, journal: Journal, ref: str, story: Mapping[str, Sequence[Row]]) -> bytes:
    """The bundle about `ref`, whose story (hub.tracing) is known. Raises Impossible where an event of it is not sealed
    yet, or there is more of it than a bundle may hold."""
    events = _events(journal, _subjects(journal, story))
    if not events or events[-1]["seq"] > sealed_up_to(journal):
        raise Impossible(f"{ref}: not sealed yet; the hub's clock does that every {site.routes.evidence.every}")
    seals = _seals(journal, events)
    mine = t.stamp.c.number.in_([row["number"] for row in seals])
    stamps = {row["number"]: row["response"] for row in journal.rows(select(t.stamp).where(mine))}
    files = _Files(journal, site)
    heads = []
    for row in seals:
        stamp = files.add(stamps[row["number"]]) if row["number"] in stamps else ""
        head = {"head": files.add(row["head"]), "number": row["number"], "signature": files.add(row["signature"])}
        heads.append(head | {"stamp": stamp})
    for event in events:
        files.named(event["detail"])
    manifest = {
        "certificates": _certificates(site, seals, files),
        "events": _places(events, seals),
        "format": FORMAT,
        "heads": heads,
        "port": site.routes.port,
        "reference": ref,
        "removed": sorted(files.removed),
    }
    members = {
        "README.txt": readme(),
        "manifest.json": canonical.dump(manifest),
        "events.jsonl": b"".join(canonical.event(event) + b"\n" for event in events),
        **{f"files/{sha256}": data for sha256, data in files.found.items()},
    }
    if len(members) > archive.MOST or len(data := archive.write(members)) > archive.LARGEST:
        raise Impossible(f"{ref}: more than {archive.MOST} files or {archive.LARGEST} bytes; export a part of it")
    return data


def readme() -> bytes:
    """What stands in every bundle."""
    return (resources("hub.evidence") / "README.txt").read_bytes()


def _subjects(journal: Journal, story: Mapping[str, Sequence[Row]]) -> set[str]:
    """Everything whose events belong to the story, and the answers to it with the files that they came in."""
    messages, interchanges = list(story["messages"]), list(story["interchanges"])
    deliveries = [d for row in (*messages, *interchanges) for d in row["deliveries"]]
    answers = {receipt["message"] for d in deliveries for receipt in d["receipts"]}
    named = {row["id"] for part in (messages, interchanges, deliveries, story["cases"]) for row in part}
    m = t.message
    came_in = {row["interchange"] for row in journal.rows(select(m.c.interchange).where(m.c.id.in_(answers)))}
    return (named | answers | came_in) - {""}


def _events(journal: Journal, subjects: Iterable[str]) -> Sequence[Row]:
    e = t.event
    return journal.rows(select(e).where(e.c.subject.in_(sorted(subjects))).order_by(e.c.seq))


def _seals(journal: Journal, events: Sequence[Row]) -> list[Row]:
    """The seals over the events, and those behind the last of them up to the next that is stamped."""
    s, found = t.seal, list[Row]()
    for event in events:
        if not found or found[-1]["last"] < event["seq"]:
            over = select(s).where(s.c.last >= event["seq"]).order_by(s.c.last).limit(1)
            found += journal.rows(over)
    newest = found[-1]["number"]
    stamped = (t.stamp.c.number >= newest, t.stamp.c.number <= newest + LINKS)
    after = journal.row(select(t.stamp.c.number).where(*stamped).order_by(t.stamp.c.number).limit(1))
    if after:
        between = (s.c.number > newest, s.c.number <= after["number"])
        found += journal.rows(select(s).where(*between).order_by(s.c.number))
    return found


def _places(events: Sequence[Row], seals: Sequence[Row]) -> list[dict[str, Any]]:
    """For each event: under which head, as which leaf, and the path from there to the root."""
    places, rows = [], iter(seals)
    row = next(rows)
    tree = merkle.levels(_leaves(row))
    for event in events:
        while row["last"] < event["seq"]:
            row = next(rows)
            tree = merkle.levels(_leaves(row))
        try:
            index = tree[0].index(merkle.leaf(canonical.event(event)))
        except ValueError:
            raise JournalError(f"event {event['seq']} is not the one that was sealed; eport audit verify") from None
        path = [one.hex() for one in merkle.path(index, tree)]
        places.append({"head": row["number"], "index": index, "path": path})
    return places


def _leaves(seal: Row) -> list[bytes]:
    return [seal["leaves"][at : at + 32] for at in range(0, len(seal["leaves"]), 32)]


def _certificates(site: Site, seals: Sequence[Row], files: _Files) -> list[str]:
    """The certificates above the heads' signatures, up to what this port trusts; the highest last."""
    known = (*site.register.roots, *site.register.issuers)
    chain: dict[str, None] = {}
    for row in seals:
        included = cms.certificates(row["signature"])
        for one in lead(included[0], (*included, *known), site.register.roots, row["at"]) or included:
            chain.pop(sha256 := files.add(one.public_bytes(Encoding.DER)), None)
            chain[sha256] = None
    return list(chain)


class _Files:
    """The files of a bundle as they are found, by their SHA-256."""

    def __init__(self, journal: Journal, site: Site) -> None:
        self.found: dict[str, bytes] = {}
        self.removed: set[str] = set()  # named by an event, and no longer kept here
        self._journal = journal
        self._mappings = {mapping.sha256: mapping.written for mapping in site.mappings.values()}

    def add(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        self.found[sha256] = data
        return sha256

    def named(self, detail: Mapping[str, Any]) -> None:
        """Every file that an event names."""
        for sha256 in (detail[name] for name in NAMED if detail.get(name)):
            if sha256 not in self.found:
                data = self._mappings.get(sha256) or self._kept(sha256)
                if data is None:
                    self.removed.add(sha256)
                else:
                    self.add(data)

    def _kept(self, sha256: str) -> bytes | None:
        """A payload; None for one whose time of keeping is over, and for a mapping that is not in force any more."""
        row = self._journal.row(select(t.payload.c.removed_at).where(t.payload.c.sha256 == sha256))
        return None if row is None or row["removed_at"] else self._journal.payload(sha256)
