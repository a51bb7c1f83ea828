"""What senders upload: interchanges made from the golden inputs, each with references of its own.

Every upload is written down before it is made (`Sent`, one JSON line each): the checker believes nothing else about
what was sent.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

AGENCIES = ("CUSTOMS", "INSPECTION", "MARITIME", "BORDER")
MANIFEST_READERS = ("CUSTOMS", "TERMINAL")
CASES = {
    "original": ("manifest/cases/01-original", "TJ26112301", "TJL2611230001"),
    "amendment": ("manifest/cases/02-amendment", "TJ26112302", "TJL2611230001"),
    "bad manifest": ("manifest/cases/04-broken", "TJ26112304", "TJL2611230003"),
    "arrival": ("vessel/cases/01-arrival", "BH26112301", "BOHAI26112301"),
    "expired": ("vessel/cases/02-refused", "BH26112302", "BOHAI26112302"),
    "bad call": ("vessel/cases/03-broken", "BH26112303", "BOHAI26112303"),
    "moved": ("vessel/cases/04-amendment", "BH26112304", "BOHAI26112301"),
    "chinese": ("vessel/cases/05-chinese", "BH26112305", "BOHAI26112305"),
}
"""Golden input -> (its folder, its interchange reference, its document number)."""

MARKS = {"arrival": ("T06:00", "MINHO"), "moved": ("T09:30", "JISOO")}
"""Golden input -> what only its CUSREP and only its PAXLST say."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One upload and what has to follow from it.

    fate      opened, rejected, duplicate or conflict (a person decides); held: opened, its message waits for a person
    reference UNB 0020; document: business number; version: 1 for an original, then rising
    of        the file of which this is a copy byte for byte, or whose reference or number it takes
    reaches   who reads it; the outcome is that of the document's case when this is its last version
    marks     what only this version says, in different messages of it: a document has all of them or none
    """

    party: str
    name: str
    fate: str
    system: str
    reference: str
    document: str
    version: int
    sha256: str
    size: int
    of: str = ""
    reaches: tuple[str, ...] = ()
    outcome: str = ""
    marks: tuple[str, ...] = ()


Upload = tuple[Sent, bytes]


class Writer:
    """Makes uploads, by number; the same seed makes the same ones."""

    def __init__(self, mappings: Path, seed: int) -> None:
        self._golden = {name: (mappings / where / "in.edi").read_bytes() for name, (where, _, _) in CASES.items()}
        self._random = random.Random(seed)  # noqa: S311
        self._count = 0
        self._copied: list[Upload] = []
        self.midway = False
        """True when what was sent last needs what comes next."""

    def stream(self, opened: Callable[[], set[str]]) -> Iterator[Upload]:
        """Uploads without end. Copies and conflicts are made only of files that `opened` names: until then nobody can
        say which of two is the first."""
        kinds = (self._manifest, self._amended, self._early, self._call, self._refused, self._chinese)
        more = (self._moved, self._early_moved, self._broken, self._broken_call)
        first = [*kinds, *more]
        while True:
            group = list((first.pop(0) if first else self._random.choice((*kinds, *more)))())
            for number, upload in enumerate(group, 1):
                self.midway = number < len(group)
                yield upload
            ready = [pair for pair in self._copied if pair[0].name in opened()]
            if ready and self._random.random() < 0.6:
                original = self._random.choice(ready)
                yield self._random.choice((self._copy, self._copy, self._conflict, self._same_number))(original)

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _make(
        self, golden: str, party: str, number: int, version: int, fate: str = "opened", outcome: str = ""
    ) -> Upload:
        _, reference, document = CASES[golden]
        system = "manifest" if party == "TJLINE" else "vessel"
        unb, own = f"{party[0]}P{self._next():08d}", f"{party[:2]}P{number:07d}"
        data = self._golden[golden].replace(document.encode(), own.encode()).replace(reference.encode(), unb.encode())
        if system == "manifest" and golden == "amendment":
            data = data.replace(b"RFF+FV:2'", b"RFF+FV:%d'" % version).replace(b"8640'", b"%d'" % (8638 + version))
        reaches = () if fate != "opened" else MANIFEST_READERS if system == "manifest" else AGENCIES
        name = f"{unb}.edi"
        marks = MARKS.get(golden, ())
        sent = Sent(party, name, fate, system, unb, own, version, _sha(data), len(data), "", reaches, outcome, marks)
        if fate == "opened" and version == 1:
            self._copied.append((sent, data))
        return sent, data

    def _manifest(self) -> Iterator[Upload]:
        yield self.manifest()

    def _amended(self) -> Iterator[Upload]:
        number = self._next()
        yield self._make("original", "TJLINE", number, 1, outcome="accepted")
        for version in (2, 3):
            yield self._make("amendment", "TJLINE", number, version, outcome="accepted")

    def _early(self) -> Iterator[Upload]:
        """An amendment that comes before what it amends."""
        number = self._next()
        yield self._make("amendment", "TJLINE", number, 2, outcome="accepted")
        yield self._make("original", "TJLINE", number, 1, outcome="accepted")

    def call(self) -> Upload:
        """A ship's call that all four agencies clear."""
        return self._make("arrival", "BOHAI", self._next(), 1, outcome="cleared")

    def manifest(self) -> Upload:
        """A manifest that customs accepts."""
        return self._make("original", "TJLINE", self._next(), 1, outcome="accepted")

    def _call(self) -> Iterator[Upload]:
        yield self.call()

    def _refused(self) -> Iterator[Upload]:
        yield self._make("expired", "BOHAI", self._next(), 1, outcome="refused")

    def _chinese(self) -> Iterator[Upload]:
        yield self._make("chinese", "BOHAI", self._next(), 1, outcome="cleared")

    def _moved(self) -> Iterator[Upload]:
        number = self._next()
        yield self._make("arrival", "BOHAI", number, 1, outcome="cleared")
        yield self._make("moved", "BOHAI", number, 2, outcome="cleared")

    def _early_moved(self) -> Iterator[Upload]:
        number = self._next()
        yield self._make("moved", "BOHAI", number, 2, outcome="cleared")
        yield self._make("arrival", "BOHAI", number, 1, outcome="cleared")

    def _broken(self) -> Iterator[Upload]:
        yield self._make("bad manifest", "TJLINE", self._next(), 1, "rejected")

    def _broken_call(self) -> Iterator[Upload]:
        yield self._make("bad call", "BOHAI", self._next(), 1, "rejected")

    def _copy(self, original: Upload) -> Upload:
        """Byte for byte the same again, under another name."""
        sent, data = original
        return self._like(sent, data, "duplicate", sent.reference)

    def _conflict(self, original: Upload) -> Upload:
        """The same interchange reference with other content."""
        sent, data = original
        number = f"{sent.party[:2]}P{self._next():07d}"
        return self._like(sent, data.replace(sent.document.encode(), number.encode()), "conflict", sent.reference)

    def _same_number(self, original: Upload) -> Upload:
        """The same document number with other content, in an interchange of its own."""
        sent, data = original
        other = f"{sent.party[0]}P{self._next():08d}"
        data = data.replace(sent.reference.encode(), other.encode())
        return self._like(sent, data.replace(b":CN'", b":HK'"), "held", other)

    def _like(self, sent: Sent, data: bytes, fate: str, reference: str) -> Upload:
        name = f"{sent.reference}-{fate}-{self._next()}.edi"
        document = "" if fate == "conflict" else sent.document
        size = len(data)
        return (
            Sent(sent.party, name, fate, sent.system, reference, document, sent.version, _sha(data), size, sent.name),
            data,
        )


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_down(evidence: Path, sent: Sent) -> None:
    """Append to sent.jsonl, durably, before the upload."""
    append(evidence / "sent.jsonl", {"at": datetime.now(UTC).isoformat(), **asdict(sent)})


def append(path: Path, row: dict[str, object]) -> None:
    """One JSON line, on disk when this returns."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
