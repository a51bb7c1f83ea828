"""Site: all declarations of one port, compiled and frozen, with a fingerprint."""

from __future__ import annotations

import fnmatch
import hashlib
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from lxml import etree

from hub.edifact import writer
from hub.edifact.directory import Directories, Directory, MessageSpec
from hub.edifact.model import Group
from hub.errors import DeclarationError
from hub.finding import Finding
from hub.identity.keys import Signer
from hub.identity.register import Register
from hub.mapping.compile import Mapping, text_of
from hub.records.tree import Form
from hub.site.guides import Guides
from hub.site.model import Kind, Party, Routes, System
from hub.standards.codelist import CodeList
from hub.standards.external import External
from hub.standards.guide import STRICT, Guide
from hub.xml.schema import Schema

Reader = Callable[[Any], list[Any]]
_DAYS = 100
"""Days whose code lists are remembered."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One kind as the engine uses it: its rule, its facts, its paths compiled."""

    name: str
    system: str
    rule: Kind
    directory: Directory | None = None
    spec: MessageSpec | None = None
    schema: Schema | None = None
    readers: dict[str, Reader] = field(default_factory=dict)
    form: Form | None = None  # of JSON, CSV and flat records

    def value(self, node: Any, path: str) -> str:
        """The first value at `path`, or ""."""
        found = self.readers[path](node)
        return text_of(found[0]) if found else ""

    def parts(self, node: Any, path: str) -> list[Any]:
        """Every group, segment or element at `path`."""
        return self.readers[path](node)

    def inner(self, part: Any, path: str) -> str:
        """The first value at `path` below one of `parts`."""
        return self.value(part, path)

    def write(self, node: Any) -> tuple[bytes, list[Finding]]:
        """A document of this kind as bytes, and what its schema says of it; and what of it its form cannot hold."""
        wrong = self.schema.check(node) if self.schema else []
        if self.form is not None:
            data, lost = self.form.write(node)
            return data, [*wrong, *lost]
        return etree.tostring(node, encoding="UTF-8", xml_declaration=True), wrong

    def write_edifact(self, tree: Group, reference: str, separators: Any) -> str:
        """An EDIFACT message of this kind, UNH to UNT."""
        if self.spec is None:
            raise DeclarationError(f"{self.name} has no message structure")
        version, release = self.rule.release.split(":")
        segments = [(s.tag, s.elements) for s in writer.order(tree, self.spec) if s.tag not in ("UNH", "UNT")]
        return writer.write_message(
            reference, self.rule.type, version, release, "UN", self.rule.association, segments, separators
        )


@dataclass(frozen=True, slots=True)
class Site:
    """One port."""

    folder: Path
    routes: Routes
    systems: dict[str, System]
    kinds: dict[str, Usage]
    mappings: dict[tuple[str, str], Mapping]
    tables: dict[str, dict[str, str]]
    directories: Directories
    register: Register
    signer: Signer | None
    fingerprint: str
    edifact: dict[tuple[str, str], Usage]  # kinds by what UNH says
    xml: dict[str, Usage]  # kinds by their root element
    warnings: tuple[Finding, ...] = ()  # what the check found that does not keep the site from running
    lists: tuple[CodeList, ...] = ()  # dated code lists
    guides: Guides = field(default_factory=Guides)
    _days: dict[date, External] = field(default_factory=dict, repr=False, compare=False)

    def of_root(self, root: str) -> Usage | None:
        """The kind of JSON documents whose only name is `root`."""
        return next((u for u in self.kinds.values() if u.rule.format == "json" and u.rule.root == root), None)

    def of_name(self, name: str) -> Usage | None:
        """The kind that files of such a name are; of several patterns the longest decides."""
        known = [u for u in self.kinds.values() if u.rule.names and _fits(name, u.rule.names)]
        return max(known, key=lambda usage: len(usage.rule.names), default=None)

    @property
    def parties(self) -> dict[str, Party]:
        return self.routes.parties

    def guide(self, party: str, kind: str, day: date, association: str = "") -> Guide:
        """What holds for a party's messages of a kind with an association code (0057) on `day`, and how to write to it.

        Kind "" is for what lies around messages: only guides for every kind speak of it. With strangers nothing is
        agreed."""
        known = self.parties.get(party)
        return self.guides.of(party, known, kind, day, association) if known else STRICT

    def day(self, at: datetime) -> date:
        """The day of the port at a moment."""
        return at.astimezone(zoneinfo.ZoneInfo(self.routes.zone)).date()

    def external(self, day: date) -> External:
        """The port's code lists as they are on `day`; of one day always the same."""
        found = self._days.get(day)
        if found is None:
            if len(self._days) >= _DAYS:
                self._days.clear()
            found = self._days[day] = External.of(self.lists, day)
        return found

    def context(self, now: datetime, **more: str) -> dict[str, str]:
        """What every mapping may read as $name."""
        return {"now": now.isoformat(timespec="seconds"), "zone": self.routes.zone, **more}

    def mapping_into(self, kind: str, have: set[str]) -> tuple[tuple[str, ...], Mapping] | None:
        """The mapping that makes `kind` from kinds we have: (its source kinds, it)."""
        for (source, target), mapping in self.mappings.items():
            names = tuple(source.split(","))
            if target == kind and have.issuperset(names):
                return names, mapping
        return None


def _fits(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name.lower(), pattern.lower())


def fingerprint(files: list[Path]) -> str:
    """SHA-256 over names and bytes of all declarations and standards."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
