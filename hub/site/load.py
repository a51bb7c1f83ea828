"""Read a site from its folder, cross-check it, compile it. Every mistake is found in one go, with its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from hub.declaration import Branch, Declaration, model, near, read, relative
from hub.edifact.directory import Directories
from hub.errors import DeclarationError
from hub.finding import Finding, Place, rejects
from hub.identity.keys import Signer
from hub.identity.register import Register
from hub.mapping import compile as language
from hub.mapping.checking import check as checking
from hub.mapping.codes import Table
from hub.mapping.fragments import fragments
from hub.site import guidecheck, guides
from hub.site.check import Declared, cross_check
from hub.site.forms import NEEDED, copies, form, refuse_idle
from hub.site.model import Kind, Reasons, Routes, System
from hub.site.site import Site, Usage, fingerprint
from hub.site.skeleton import blanks
from hub.standards import codelist
from hub.xml.schema import Schema

M = TypeVar("M", bound=BaseModel)
KeyPath = tuple[Any, ...]
BROKEN = (KeyError, OSError, ValueError, TypeError, AttributeError, IndexError, RecursionError)
"""What comes of a table or a mapping that is not built as it should be."""


def load(folder: Path, register: Register | None = None, signer: Signer | None = None) -> Site:
    """The site in `folder`, with warnings. Raises DeclarationError with all findings; a site that loads can run."""
    findings: list[Finding] = []
    files: list[Path] = []
    port = _declared(folder, folder / "routes.yaml", Routes, files, findings)
    systems, sources = _systems(folder, files, findings)
    tables = _tables(folder, files, findings)
    lists, read_from, wrong = codelist.read_all(folder)
    files += read_from
    findings += wrong
    guided, read_from, wrong = guides.read_all(folder)
    files += read_from
    findings += wrong
    made: tuple[guides.File, ...] = ()
    whole = not findings  # else names that are missing may only be in a file that cannot be read
    directories = Directories(folder / "schemas" / "edifact")
    kinds = _kinds(folder, systems, sources, directories, findings)
    rules = {kind: rule for system in systems.values() for kind, rule in system.kinds.items()}
    parties = parties_of(port[1]) if port else {}
    mappings, written = _mappings(folder, rules, kinds, tables, parties, whole, files, findings)
    _copies(kinds, sources, mappings, written, findings)
    if port is not None and whole:
        declared = Declared(folder, port[0], port[1], sources, systems, rules, kinds, mappings, written, tables)
        findings += cross_check(declared)
        facts = {name: facts_of(usage) for name, usage in kinds.items()}
        made, wrong = guidecheck.check(port[1], rules, facts, tables, lists, guided)
        findings += wrong
    findings.sort(key=_order)
    if port is None or rejects(findings):
        raise DeclarationError(f"{folder}: {len(findings)} mistakes", tuple(findings))
    return Site(
        folder,
        port[1],
        systems,
        kinds,
        mappings,
        tables,
        directories,
        Register() if register is None else register,
        signer,
        fingerprint([*files, *_standards(folder, files)]),
        {(u.rule.type, u.rule.release): u for u in kinds.values() if u.rule.format == "edifact"},
        {f"{{{u.schema.namespace}}}{u.rule.root}": u for u in kinds.values() if u.schema and u.rule.format == "xml"},
        tuple(findings),
        lists=tuple(lists),
        guides=guides.Guides(made, {one.name: one for one in lists}),
    )


def _standards(folder: Path, files: list[Path]) -> list[Path]:
    """What the declarations stand on: schemas and EDIFACT directories."""
    return [file for file in (folder / "schemas").rglob("*") if file.is_file() and file not in files]


def _order(finding: Finding) -> tuple[bool, str, int, int]:
    """Errors before warnings, then as one reads the files."""
    place = finding.place
    return finding.severity != "error", place.file or "", place.line or 0, place.column or 0


def _declared(
    folder: Path, path: Path, kind: type[M], files: list[Path], findings: list[Finding]
) -> tuple[Declaration, M] | None:
    """One file as its model; None when it cannot be used."""
    try:
        source = read(folder, path)
        made = model(source, kind)
    except DeclarationError as fault:
        findings.extend(fault.findings)
        return None
    files.append(path)
    return source, made


def _systems(
    folder: Path, files: list[Path], findings: list[Finding]
) -> tuple[dict[str, System], dict[str, Declaration]]:
    systems: dict[str, System] = {}
    sources: dict[str, Declaration] = {}
    owner: dict[str, str] = {}
    for path in sorted((folder / "mappings").glob("*/system.yaml")):
        found = _declared(folder, path, System, files, findings)
        if found is None:
            continue
        source, system = found
        if system.system in systems:
            at = sources[system.system].file
            findings.append(source.finding("site.twice", ("system",), system.system, at))
            continue
        for kind in system.kinds:
            if kind in owner:
                findings.append(source.finding("site.twice", ("kinds", kind), kind, owner[kind], key=True))
            owner[kind] = source.file
        systems[system.system], sources[system.system] = system, source
    return systems, sources


def _tables(folder: Path, files: list[Path], findings: list[Finding]) -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, str]] = {}
    for path in sorted((folder / "schemas" / "codes").glob("*.yaml")):
        if path.name.endswith(".list.yaml"):
            continue
        found = _declared(folder, path, Table, files, findings)
        if found is None:
            continue
        source, table = found
        if table.table in tables:
            findings.append(source.finding("site.twice", ("table",), table.table, "schemas/codes"))
        tables[table.table] = table.made()
    return tables


# ---- kinds


def _kinds(
    folder: Path,
    systems: dict[str, System],
    sources: dict[str, Declaration],
    directories: Directories,
    findings: list[Finding],
) -> dict[str, Usage]:
    """Every kind that can be used; what keeps the others from it is added to `findings`."""
    kinds: dict[str, Usage] = {}
    for name, system in systems.items():
        for kind, rule in system.kinds.items():
            try:
                usage = _usage(folder, kind, name, rule, directories, sources[name])
                kinds[kind] = replace(usage, readers=_readers(usage, sources[name]))
            except DeclarationError as fault:
                told = [_placed(folder, finding) for finding in fault.findings]
                findings += [finding for finding in told if finding not in findings]  # many kinds, one table
    return kinds


def _usage(folder: Path, kind: str, system: str, rule: Kind, directories: Directories, source: Declaration) -> Usage:
    """One kind with its facts. Raises DeclarationError with findings."""
    at = ("kinds", kind)
    for name in NEEDED[rule.format]:
        if not getattr(rule, "schema_" if name == "schema" else name):
            raise _no(source.finding("site.missing_key", (*at, name), expected=name))
    refuse_idle(kind, rule, source)
    if rule.format != "edifact":
        path = folder / "schemas" / rule.schema_
        if not path.is_file():
            there = [relative(folder / "schemas", file) for file in (folder / "schemas").rglob("*.xsd")]
            raise _no(source.finding("site.unknown_name", (*at, "schema"), rule.schema_, near(rule.schema_, there)))
        schema = Schema(path)
        if not schema.has((rule.root,)):
            raise _no(source.finding("site.unknown_name", (*at, "root"), rule.root, near(rule.root, schema.children())))
        return Usage(kind, system, rule, schema=schema, form=form(kind, rule, schema, source))
    if rule.release.count(":") != 1:
        raise _no(source.finding("site.bad_value", (*at, "release"), rule.release, "D:96B"))
    where = "release"
    try:
        directory = directories.get(rule.release)
        where = "type"
        directory.reach(rule.type)
        return Usage(kind, system, rule, directory=directory, spec=directory.message(rule.type))
    except KeyError as fault:
        raise _no(source.finding("site.bad_kind", (*at, where), kind, _said(fault))) from fault
    except BROKEN as fault:
        said = f"schemas/edifact: {_said(fault)}"
        raise _no(source.finding("site.bad_kind", (*at, where), kind, said)) from fault


def _readers(usage: Usage, source: Declaration) -> dict[str, Any]:
    """Every path that a kind names, compiled once; those of reasons below their own loop, deeper ones under both."""
    rule, facts = usage.rule, facts_of(usage)
    paths: list[tuple[KeyPath, str, str]] = [(("keys", name), path, "") for name, path in rule.keys.items()]
    paths.append((("document",), rule.document, ""))
    if rule.function:
        paths.append((("function", "from"), rule.function.from_, ""))
    if rule.answers:
        paths += [(("answers", "by", name), path, "") for name, path in rule.answers.by.items()]
        paths.append((("answers", "verdict", "from"), rule.answers.verdict.from_, ""))
        paths.append((("answers", "number"), rule.answers.number, ""))
    reasons = rule.answers.reasons if rule.answers else None
    if reasons:
        paths.append((("answers", "reasons", "each"), reasons.each, ""))
        paths.append((("answers", "reasons", "code"), reasons.code, reasons.each))
        paths.append((("answers", "reasons", "text"), reasons.text, reasons.each))
        paths += _pointing(reasons)
    own = ("", reasons.each if reasons else "")
    readers: dict[str, Any] = {}
    findings: list[Finding] = []
    for at, path, below in paths:
        if not path:
            continue
        try:
            readers[path if below in own else f"{below}|{path}"] = language.reader(path, facts, below=below)
        except DeclarationError as fault:
            expected = fault.findings[0].expected
            findings.append(source.finding("site.bad_path", ("kinds", usage.name, *at), path, expected))
        except BROKEN as fault:
            findings.append(source.finding("site.bad_path", ("kinds", usage.name, *at), path, _said(fault)))
    if findings:
        raise _no(*findings)
    return readers


def _pointing(reasons: Reasons) -> list[tuple[KeyPath, str, str]]:
    """The paths by which a reason says where."""
    at, key = reasons.at, ("answers", "reasons", "at")
    if isinstance(at, str):
        return [(key, at, reasons.each)]
    inner = f"{reasons.each}/{at.each}" if at.each else reasons.each
    outer = [((*key, name), getattr(at, name), reasons.each) for name in ("segment", "each")]
    return outer + [((*key, name), getattr(at, name), inner) for name in ("element", "component", "code")]


def usable(folder: Path) -> dict[str, Usage]:
    """Every kind of the site in `folder` that can be used, whatever else is wrong there."""
    findings: list[Finding] = []
    systems, sources = _systems(folder, [], findings)
    return _kinds(folder, systems, sources, Directories(folder / "schemas" / "edifact"), findings)


def facts_of(usage: Usage) -> Any:
    """What mappings and paths go by."""
    if usage.schema is not None:
        return language.XmlFacts(usage.schema)
    if usage.directory is None or usage.spec is None:
        raise KeyError(usage.name)
    return language.EdifactFacts(usage.directory, usage.spec)


def _no(*findings: Finding) -> DeclarationError:
    return DeclarationError(findings[0].code, findings)


def _said(fault: Exception) -> str:
    return str(fault.args[0] if isinstance(fault, KeyError) and fault.args else fault)[:300] or type(fault).__name__


def _placed(folder: Path, finding: Finding) -> Finding:
    """`finding` with its file named from the site's folder."""
    file = Path(finding.place.file or "")
    if not file.is_absolute():
        return finding
    return replace(finding, place=replace(finding.place, file=relative(folder.resolve(), file)))


# ---- mappings


def parties_of(routes: Routes) -> dict[str, dict[str, str]]:
    """What mappings may know of each party, under its name and its id in UNB."""
    known: dict[str, dict[str, str]] = {}
    for name, party in routes.parties.items():
        title = {"title": party.title.en, "title.en": party.title.en, "title.zh": party.title.zh}
        row = {"name": name, "edi": party.edi or name, "role": party.role, **title}
        known |= {party.edi or name: row, name: row}
    return known


def shared_fragments(folder: Path, files: list[Path], findings: list[Finding]) -> dict[str, Branch]:
    """Every fragment of mappings/fragments/ by its name."""
    known: dict[str, Branch] = {}
    for path in sorted((folder / "mappings" / "fragments").glob("*.yaml")):
        files.append(path)
        try:
            source = read(folder, path)
            for name, branch in fragments(source.top).items():
                if name in known:
                    findings.append(source.finding("site.twice", (name,), name, known[name].spot.file, key=True))
                known[name] = branch
        except DeclarationError as fault:
            findings.extend(fault.findings)
    return known


def _mappings(
    folder: Path,
    rules: dict[str, Kind],
    kinds: dict[str, Usage],
    tables: dict[str, dict[str, str]],
    parties: dict[str, dict[str, str]],
    whole: bool,
    files: list[Path],
    findings: list[Finding],
) -> tuple[dict[tuple[str, str], language.Mapping], dict[tuple[str, str], Declaration]]:
    """Mappings by (source kinds with commas between them, target kind), and their rules, fragments in their places."""
    shared = shared_fragments(folder, files, findings)
    texts = {branch.spot.file: (folder / branch.spot.file).read_bytes() for branch in shared.values()}
    made: dict[tuple[str, str], language.Mapping] = {}
    written: dict[tuple[str, str], Declaration] = {}
    met: list[checking.Met] = []
    for path in sorted((folder / "mappings").glob("*/*--to--*.yaml")):
        files.append(path)
        name = relative(folder, path)
        try:
            source = read(folder, path)
            mapping = language.load(Path(name), path.read_bytes(), shared, texts)
            unknown = _unknown(source, mapping, rules) if whole else []
            unknown += [text.spot.finding("mapping.fill_in", key) for key, text in blanks(mapping.body)]
            findings += unknown
            if unknown or not {*mapping.sources.values(), mapping.target} <= kinds.keys():
                continue  # a kind that cannot be used has findings of its own
            key = ",".join(mapping.sources.values()), mapping.target
            if key in made:
                findings.append(source.finding("site.twice", ("from",), " → ".join(key), made[key].name))
            facts = {alias: facts_of(kinds[kind]) for alias, kind in mapping.sources.items()}
            made[key] = language.compile(mapping, facts, facts_of(kinds[mapping.target]), tables, parties)
            written[key] = Declaration(name, mapping.body)
            checked = checking.check(mapping, facts, facts_of(kinds[mapping.target]), tables)
            findings += [finding for finding in checked.findings if finding not in findings]  # many use one fragment
            met.append(checked.met)
        except DeclarationError as fault:
            findings.extend(fault.findings)
        except BROKEN as fault:
            place = Place(file=name, line=1, column=1)
            findings.append(Finding("mapping.unreadable", place, _said(fault), "from, to, and document or message"))
    findings += checking.idle_rows(met, tables) if whole else []
    return made, written


def _copies(
    kinds: dict[str, Usage],
    sources: dict[str, Declaration],
    mappings: dict[tuple[str, str], language.Mapping],
    written: dict[tuple[str, str], Declaration],
    findings: list[Finding],
) -> None:
    """Add the mappings between forms of one document, but where somebody has written one."""
    try:
        for rules in copies(kinds, sources):
            source, key = rules.sources[""], (rules.sources[""], rules.target)
            if key not in mappings:
                facts = {"": facts_of(kinds[source])}
                mappings[key] = language.compile(rules, facts, facts_of(kinds[rules.target]), {})
                written[key] = Declaration(rules.body.spot.file, rules.body)
    except DeclarationError as fault:
        findings.extend(fault.findings)


def _unknown(source: Declaration, mapping: language.Rules, rules: dict[str, Kind]) -> list[Finding]:
    """Kinds that a mapping names and nobody declares."""
    named: list[tuple[KeyPath, str]] = [
        (("from", alias) if alias else ("from",), kind) for alias, kind in mapping.sources.items()
    ]
    return [
        source.finding("site.unknown_name", at, kind, near(kind, rules))
        for at, kind in (*named, (("to",), mapping.target))
        if kind not in rules
    ]
