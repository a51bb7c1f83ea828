"""What the tests of guides share: a sample message, and guides written as in a site."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import hub
from hub.declaration import Declaration, model, parse
from hub.edifact.directory import Directories
from hub.edifact.elements import check
from hub.edifact.model import Group, RawMessage
from hub.edifact.reader import read
from hub.edifact.structure import build
from hub.finding import Finding
from hub.mapping.plan import EdifactFacts, XmlFacts
from hub.site.guidefile import GuideFile
from hub.site.guides import Guides, compiled
from hub.site.model import Party, Title
from hub.standards.guide import Guide
from hub.xml.schema import Schema

ROOT = Path(hub.__file__).parents[1]
ORIGINAL = (ROOT / "mappings/manifest/cases/01-original/in.edi").read_text()
DIRECTORY = Directories(ROOT / "schemas" / "edifact").get("D:95B")
FACTS = EdifactFacts(DIRECTORY, DIRECTORY.message("CUSCAR"))
TABLES = {"movement": {"1": "export", "9": "other"}}
PARTY = Party(title=Title(zh="", en=""), role="carrier")


def guide(rules: str, kind: str = "cuscar", schema: Schema | None = None) -> Guide:
    """The guide of a carrier that says `rules`, in which every path leads somewhere."""
    facts = {kind: XmlFacts(schema) if schema else FACTS}
    text = f"guide: g\nfor: {{roles: [carrier], kinds: [{kind}]}}\n{rules}\n"
    source = Declaration("g.guide.yaml", parse("g.guide.yaml", text.encode()))
    file, wrong = compiled(source, model(source, GuideFile), facts, TABLES, [])
    assert wrong == []
    return Guides((file,)).of("TJLINE", PARTY, kind, date(2026, 7, 1))


def message(old: str = "", new: str = "") -> tuple[Group, list[Finding]]:
    """The sample message with something replaced: its tree and what the standard has against it."""
    assert old in ORIGINAL
    raw = next(part for part in read([ORIGINAL.replace(old, new, 1).encode()]) if isinstance(part, RawMessage))
    tree, wrong = build(raw, FACTS.spec)
    counted = [finding for finding in raw.findings if finding.code != "edifact.unt_count"] if old else raw.findings
    return tree, [*counted, *wrong, *check(raw, DIRECTORY)]


def told(rules: str, old: str = "", new: str = "") -> list[tuple[str, str]]:
    """(code, severity) of what is left of the findings."""
    tree, findings = message(old, new)
    return [(finding.code, finding.severity) for finding in guide(rules).checked(findings, tree)]
