"""Read a site from its folder, cross-check it, compile it. Every mistake is found in one go, with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub.edifact.directory import Directories
from hub.errors import DeclarationError
from hub.finding import Finding, rejects
from hub.identity.keys import Signer
from hub.identity.register import Register
from hub.mapping import compile as language
from hub.site.model import Kind, Routes, System
from hub.site.reading import Source, model, near, read
from hub.site.site import Site, Usage, fingerprint
from hub.xml.schema import Schema


def load(folder: Path, register: Register | None = None, signer: Signer | None = None) -> Site:
    """The site in `folder`. Raises DeclarationError with all findings; a site that loads can run."""
    findings: list[Finding] = []
    where = _file(folder, "routes.yaml")
    source = read(where)
    routes = model(source, Routes)
    files = [where]
    systems: dict[str, System] = {}
    sources: dict[str, Source] = {}
    for path in sorted((folder / "mappings").glob("*/system.yaml")):
        try:
            declared = read(path)
            system = model(declared, System)
            systems[system.system] = system
            sources[system.system] = declared
            files.append(path)
        except DeclarationError as fault:
            findings.extend(fault.findings)
    directories = Directories(folder / "schemas" / "edifact")
    tables = _tables(folder, files)
    kinds = _kinds(folder, systems, sources, directories, findings)
    mappings = _mappings(folder, kinds, tables, files, findings)
    findings += cross_check(source, routes, sources, systems, kinds, mappings)
    if rejects(findings):
        raise DeclarationError(f"{folder}: {len(findings)} mistakes", tuple(findings))
    empty = Register() if register is None else register
    by_unh = {(u.rule.type, u.rule.release): u for u in kinds.values() if u.rule.format == "edifact"}
    by_root = {f"{{{u.schema.namespace}}}{u.rule.root}": u for u in kinds.values() if u.schema}
    return Site(
        folder,
        routes,
        systems,
        kinds,
        mappings,
        tables,
        directories,
        empty,
        signer,
        fingerprint(files),
        by_unh,
        by_root,
    )


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.exists():
        raise DeclarationError(f"{folder} is no site: it has no {name}")
    return path


def _tables(folder: Path, files: list[Path]) -> dict[str, dict[str, str]]:
    tables = {}
    for path in sorted((folder / "schemas" / "codes").glob("*.yaml")):
        value = read(path).value
        tables[str(value["table"])] = {str(code): str(name) for code, name in value["rows"].items()}
        files.append(path)
    return tables


def _kinds(
    folder: Path,
    systems: dict[str, System],
    sources: dict[str, Source],
    directories: Directories,
    findings: list[Finding],
) -> dict[str, Usage]:
    kinds: dict[str, Usage] = {}
    for name, system in systems.items():
        for kind, rule in system.kinds.items():
            try:
                kinds[kind] = _usage(folder, kind, name, rule, directories)
            except (KeyError, OSError, ValueError) as fault:
                found = sources[name].finding("site.bad_kind", ("kinds", kind), kind, str(fault))
                findings.append(found)
    return kinds


def _usage(folder: Path, kind: str, system: str, rule: Kind, directories: Directories) -> Usage:
    """One kind with its facts and its paths compiled. KeyError, OSError or ValueError say what is not there."""
    if rule.format == "xml":
        schema = Schema(folder / "schemas" / rule.schema_)
        facts: Any = language.XmlFacts(schema)
        return Usage(kind, system, rule, schema=schema, readers=_readers(rule, facts))
    directory = directories.get(rule.release)
    spec = directory.message(rule.type)
    facts = language.EdifactFacts(directory, spec)
    return Usage(kind, system, rule, directory=directory, spec=spec, readers=_readers(rule, facts))


def _readers(rule: Kind, facts: Any) -> dict[str, Any]:
    """Every path that a kind names, compiled once; those of reasons below their own loop."""
    paths = [*rule.keys.values(), rule.document, rule.function.from_ if rule.function else ""]
    if rule.answers:
        paths += [*rule.answers.by.values(), rule.answers.verdict.from_, rule.answers.number]
    readers = {path: language.reader(path, facts) for path in paths if path}
    if rule.answers and rule.answers.reasons:
        reasons = rule.answers.reasons
        readers[reasons.each] = language.reader(reasons.each, facts)
        for path in (reasons.code, reasons.text):
            readers[path] = language.reader(path, facts, below=reasons.each)
    return readers


def _facts(usage: Usage) -> Any:
    if usage.schema is not None:
        return language.XmlFacts(usage.schema)
    if usage.directory is None or usage.spec is None:
        raise KeyError(usage.name)
    return language.EdifactFacts(usage.directory, usage.spec)


def _mappings(
    folder: Path,
    kinds: dict[str, Usage],
    tables: dict[str, dict[str, str]],
    files: list[Path],
    findings: list[Finding],
) -> dict[tuple[str, str], Any]:
    made: dict[tuple[str, str], Any] = {}
    for path in sorted((folder / "mappings").glob("*/*--to--*.yaml")):
        files.append(path)
        try:
            rules = language.load(path)
            names = {alias: kinds[kind] for alias, kind in rules.sources.items()}
            facts = {alias: _facts(usage) for alias, usage in names.items()}
            target = _facts(kinds[rules.target])
            made[",".join(rules.sources.values()), rules.target] = language.compile(rules, facts, target, tables)
        except KeyError as unknown:
            place = read(path).place(("from",))
            findings.append(Finding("site.unknown_name", place, str(unknown), near(str(unknown), kinds)))
        except DeclarationError as fault:
            findings.extend(fault.findings)
    return made


def cross_check(
    source: Source,
    routes: Routes,
    sources: dict[str, Source],
    systems: dict[str, System],
    kinds: dict[str, Usage],
    mappings: dict[tuple[str, str], Any],
) -> list[Finding]:
    """Every name that a declaration uses exists; every delivery has its mapping; every awaited answer can come."""
    findings: list[Finding] = []

    def known(found: str, names: Any, where: Source, path: tuple[Any, ...]) -> bool:
        if found in names:
            return True
        findings.append(where.finding("site.unknown_name", path, found, near(found, names)))
        return False

    known(routes.port, routes.parties, source, ("port",))
    for name, party in routes.parties.items():
        if party.at:
            known(party.at, routes.endpoints, source, ("parties", name, "at"))
    for name, endpoint in routes.endpoints.items():
        findings += _adapter(source, name, endpoint.adapter, endpoint.options)
    for name, route in routes.routes.items():
        known(route.when.kind, kinds, source, ("routes", name, "when", "kind"))
        for party_name, kind in route.to.items():
            at = ("routes", name, "to", party_name)
            if party_name != "sender":
                known(party_name, routes.parties, source, at)
            if known(kind, kinds, source, at) and kind != route.when.kind:
                found = [s for s, target in mappings if target == kind and s == route.when.kind]
                if not found:
                    findings.append(source.finding("site.no_mapping", at, route.when.kind, kind))
    for name, system in systems.items():
        findings += _case(sources[name], system, routes, kinds, mappings)
    return findings


def _adapter(source: Source, name: str, adapter: str, options: dict[str, Any]) -> list[Finding]:
    import adapters

    path = ("endpoints", name, "adapter")
    try:
        adapters.load(adapter).Options.model_validate(options)
    except ValueError as fault:  # an unknown adapter, or pydantic's ValidationError, which is a ValueError
        return [source.finding("site.bad_value", path, adapter, str(fault).replace("\n", "; ")[:300])]
    return []


def _case(
    source: Source, system: System, routes: Routes, kinds: dict[str, Usage], mappings: dict[tuple[str, str], Any]
) -> list[Finding]:
    if system.case is None:
        return []
    findings = []
    for name, stage in system.case.stages.items():
        for on in (*stage.on.all, *stage.on.any):
            party, _, verdict = on.partition(" ")
            names = routes.parties if verdict else kinds
            if party not in names or verdict not in ("", "accepted", "refused"):
                at = ("case", "stages", name, "on")
                findings.append(source.finding("site.unknown_name", at, on, near(party, names)))
        for kind in filter(None, (stage.make, stage.send.kind if stage.send else "")):
            if kind not in {target for _, target in mappings}:
                findings.append(source.finding("site.no_mapping", ("case", "stages", name), name, kind))
    return findings
