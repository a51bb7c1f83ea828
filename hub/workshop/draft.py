"""A mapping file as it is being written, in the place of the one of the site."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from hub.declaration import near
from hub.errors import DeclarationError
from hub.finding import Finding, Place
from hub.mapping import compile as language
from hub.mapping.checking import check as checking
from hub.mapping.fragments import Fragments
from hub.site.load import BROKEN, facts_of, parties_of, shared_fragments
from hub.site.site import Site
from hub.site.skeleton import blanks


@dataclass(frozen=True, slots=True)
class Draft:
    """`site` has the mapping first of all; it is None where the mapping cannot be used, and `findings` say why."""

    site: Site | None
    target: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Drafts:
    """What every version of one mapping file is compiled with. `name` is its file from the site's folder."""

    site: Site
    name: str
    shared: Fragments
    texts: dict[str, bytes]

    @classmethod
    def of(cls, site: Site, name: str) -> Drafts:
        shared = shared_fragments(site.folder, [], [])
        texts = {branch.spot.file: (site.folder / branch.spot.file).read_bytes() for branch in shared.values()}
        return cls(site, name, shared, texts)

    def draft(self, text: str) -> Draft:
        """Never raises."""
        try:
            return self._draft(text.encode("utf-8", "replace"))
        except DeclarationError as fault:
            return Draft(None, "", fault.findings)
        except BROKEN as fault:
            place = Place(file=self.name, line=1, column=1)
            found = str(fault)[:300] or type(fault).__name__
            wrong = Finding("mapping.unreadable", place, found, "from, to, and document or message")
            return Draft(None, "", (wrong,))

    def _draft(self, text: bytes) -> Draft:
        rules = language.load(Path(self.name), text, self.shared, self.texts)
        kinds = self.site.kinds
        named, top = (*rules.sources.values(), rules.target), Place(file=self.name, line=1, column=1)
        wrong = [Finding("site.unknown_name", top, kind, near(kind, kinds)) for kind in named if kind not in kinds]
        wrong += [one.spot.finding("mapping.fill_in", key) for key, one in blanks(rules.body)]
        if wrong:
            return Draft(None, rules.target, tuple(wrong))
        facts = {alias: facts_of(kinds[kind]) for alias, kind in rules.sources.items()}
        target, tables = facts_of(kinds[rules.target]), self.site.tables
        made = language.compile(rules, facts, target, tables, parties_of(self.site.routes))
        checked = checking.check(rules, facts, target, tables)
        key = ",".join(rules.sources.values()), rules.target
        others = {name: one for name, one in self.site.mappings.items() if name != key}
        return Draft(replace(self.site, mappings={key: made, **others}), rules.target, tuple(checked.findings))
