"""`eport check --loss`: what the sources hold and a mapping does not read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from hub.catalogue import language, text
from hub.declaration import near
from hub.golden import cases
from hub.judging import between
from hub.mapping.checking.loss import Unread, lost, unread
from hub.mapping.compile import Mapping
from hub.plain import plain
from hub.site.load import facts_of
from hub.site.site import Site

Report = dict[str, dict[str, list[Unread]]]
"""Mapping -> "found" in golden cases, and "never" read though the standard has it."""


def count(site: Site) -> int:
    """Places of the sources' standards that no rule reads, over all mappings."""
    return sum(len(unread(mapping.rules, _sources(site, mapping))) for mapping in _written(site))


def report(site: Site, folder: Path, name: str = "") -> Report:
    """Of one mapping, by the name of its file, or of all."""
    runs = [cases.run(site, case).nodes for case in cases.found(folder)]
    made: Report = {}
    for mapping in _named(site, name):
        sources = _sources(site, mapping)
        found: dict[tuple[str, str], Unread] = {}
        for nodes in runs:
            given = between(site, nodes, mapping.target, cases.NOW)[0] if nodes else {}
            if given.keys() >= set(mapping.sources.values()):
                held = lost(mapping.rules, sources, {alias: given[kind] for alias, kind in mapping.sources.items()})
                found = {(one.alias, one.path): one for one in held} | found
        made[mapping.name] = {"found": list(found.values()), "never": unread(mapping.rules, sources)}
    return made


def show(made: Report, lang: str | None) -> None:
    """Plain lines: mapping, then each place with a value that was found there, or with M where it is mandatory."""
    speak = language(lang)
    for name, parts in made.items():
        typer.echo(name)
        for what, places in parts.items():
            typer.echo("  " + text(f"loss.{what}", speak, count=str(len(places))))
            width = max((len(_path(one)) for one in places), default=0)
            for one in places:
                beside = plain(one.sample)[:60] if one.sample else "M" if one.required else ""
                typer.echo(f"    {_path(one):{width}}  {beside}".rstrip())


def rows(made: Report) -> dict[str, Any]:
    """For machines."""
    return {
        name: {what: [asdict(one) for one in places] for what, places in parts.items()} for name, parts in made.items()
    }


def _path(one: Unread) -> str:
    return f"{one.alias}:{one.path}" if one.alias else one.path


def _written(site: Site) -> list[Mapping]:
    return [mapping for mapping in site.mappings.values() if mapping.name.endswith(".yaml")]


def _named(site: Site, name: str) -> list[Mapping]:
    every = {mapping.name.removesuffix(".yaml"): mapping for mapping in _written(site)}
    wanted = Path(name).name.removesuffix(".yaml")
    if not wanted:
        return list(every.values())
    if wanted not in every:
        raise typer.BadParameter(f"{name}: {near(wanted, every)}")
    return [every[wanted]]


def _sources(site: Site, mapping: Mapping) -> dict[str, Any]:
    return {alias: facts_of(site.kinds[kind]) for alias, kind in mapping.sources.items()}
