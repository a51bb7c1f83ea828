"""Run golden cases through the functions of the hub, by a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hub.catalogue import where
from hub.finding import Finding
from hub.golden.compare import Change, changes, pretty
from hub.judging import judge, made, nodes_of, way
from hub.plain import plain
from hub.site.site import Site

NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
"""The moment at which every case happens."""
FINDINGS = "findings.txt"
_EXTENSIONS = {"edifact": "edi"}


@dataclass(frozen=True, slots=True)
class Case:
    """One folder."""

    system: str
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def inputs(self) -> list[Path]:
        return sorted(file for file in self.folder.iterdir() if file.name.startswith(("in.", "in-")))

    @property
    def expected(self) -> dict[str, Path]:
        """By the kind, or FINDINGS."""
        files = (file for file in sorted((self.folder / "expected").glob("*")) if not file.name.startswith("."))
        return {file.name if file.name == FINDINGS else file.stem: file for file in files}

    def file(self, site: Site, what: str) -> Path:
        """Where the expected output of a kind belongs, or FINDINGS."""
        if what == FINDINGS:
            return self.folder / "expected" / FINDINGS
        format = site.kinds[what].rule.format
        return self.folder / "expected" / f"{what}.{_EXTENSIONS.get(format, format)}"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the case says. `what` is a kind, FINDINGS or the case's input."""

    what: str
    change: Change


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case. `made` has the files as they should be written to hold it; `nodes` what was mapped."""

    case: Case
    differences: tuple[Difference, ...] = ()
    made: dict[Path, bytes] = field(default_factory=dict)
    nodes: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return not self.differences

    @property
    def stale(self) -> dict[Path, bytes | None]:
        """Files that differ from what should be there; None for one that should not be there."""
        had = {file: file.read_bytes() for file in self.case.expected.values()}
        gone: dict[Path, bytes | None] = dict.fromkeys(file for file in had if file not in self.made)
        return gone | {file: data for file, data in self.made.items() if had.get(file) != data}


def found(folder: Path, system: str = "", name: str = "") -> list[Case]:
    """The cases of the site in `folder`, perhaps of one system or of one name (or its beginning), in order."""
    every = sorted(path for path in (folder / "mappings").glob("*/cases/*") if path.is_dir())
    cases = [Case(path.parents[1].name, path) for path in every]
    return [one for one in cases if system in ("", one.system) and one.name.startswith(name)]


def run(site: Site, case: Case) -> Result:
    """What the hub makes of the case today, and where that is not what the case says."""
    inputs = case.inputs
    if not inputs:
        return Result(case, (Difference("in", Change("", "in.*", None)),))
    nodes: dict[str, Any] = {}
    said: list[str] = []
    sender = next(iter(site.parties))
    for file in inputs:
        verdict = judge(site, file.read_bytes(), name=file.name, now=NOW)
        said += lines(file.name, verdict.findings)
        if verdict.word != "rejected":
            nodes |= nodes_of(verdict.messages)
        sender = next((one.party for one in verdict.interchanges if one.party), sender)
    outputs: dict[str, bytes] = {}
    for kind in _wanted(site, case, nodes):
        data, findings = made(site, nodes, kind, sender, NOW)
        said += lines(kind, findings)
        if data:
            outputs[kind] = data
    return _compared(site, case, outputs, said, nodes)


def _wanted(site: Site, case: Case, nodes: dict[str, Any]) -> list[str]:
    """The kinds that the case is about: those that it has, or all that can be made when it says nothing yet."""
    if case.expected:
        return [kind for kind in case.expected if kind in site.kinds and way(site, set(nodes), kind)]
    return [kind for kind in site.kinds if way(site, set(nodes), kind)]


def lines(what: str, findings: Iterable[Finding]) -> list[str]:
    """Findings as findings.txt has them."""
    return [" ".join([f"{what}:", *_words(finding)]) for finding in findings]


def _words(finding: Finding) -> Iterator[str]:
    yield finding.severity
    yield finding.code
    if place := where(finding):
        yield place
    if finding.found:
        yield f"found {plain(finding.found)!r}"
    if finding.expected and not finding.code.startswith("mapping."):  # there it is the line of the rule, which moves
        yield f"expected {plain(finding.expected)!r}"


def _compared(site: Site, case: Case, outputs: dict[str, bytes], said: list[str], nodes: dict[str, Any]) -> Result:
    """Kind by kind, then the findings."""
    expected, differences = case.expected, []
    files = {case.file(site, kind): pretty(site.kinds[kind], data) for kind, data in outputs.items()}
    for kind in dict.fromkeys([*expected, *outputs]):
        if kind == FINDINGS:
            continue
        had = expected[kind].read_bytes() if kind in expected else None
        usage = site.kinds.get(kind)
        found = changes(usage, had, outputs.get(kind)) if usage else [Change("", kind, None)]
        differences += [Difference(kind, change) for change in found]
    listed = expected[FINDINGS].read_text("utf-8").splitlines() if FINDINGS in expected else []
    differences += [Difference(FINDINGS, Change("", line, None)) for line in listed if line not in said]
    differences += [Difference(FINDINGS, Change("", None, line)) for line in said if line not in listed]
    if said:
        files[case.file(site, FINDINGS)] = "".join(f"{line}\n" for line in said).encode()
    return Result(case, tuple(differences), files, nodes)


def update(result: Result) -> list[Path]:
    """Write what came out as what is expected from now on; the files that were changed."""
    for file, data in result.stale.items():
        if data is None:
            file.unlink()
        else:
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(data)
    return list(result.stale)
