"""`eport standards doc`: the reference of the port's standards as one page of HTML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.common import LangOption, SiteOption, load_site

if TYPE_CHECKING:
    from hub.site.site import Site
    from hub.standards.sheets import Sheet


def doc(
    site: SiteOption = None,
    lang: LangOption = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="写入文件 · write to this file")] = None,
) -> None:
    """数据标准参考手册（HTML）· the port's documents, identifiers, code lists and guides as one page of HTML."""
    from hub.catalogue import language
    from hub.standards.doc import page

    made = page(reference(load_site(site)), language(lang))
    if output is None:
        typer.echo(made, nl=False)
    else:
        output.write_text(made, "utf-8")


def reference(site: Site) -> Any:
    """All that the page shows of a site."""
    from datetime import UTC, datetime

    import xmlschema

    from hub.standards import sheets
    from hub.standards.doc import Reference

    documents: list[sheets.Document] = []
    messages: list[sheets.Message] = []
    types: dict[str, sheets.Type] = {}
    read: dict[Path, Any] = {}
    for kind, usage in site.kinds.items():
        title = site.systems[usage.system].title
        system = (title.zh, title.en)
        if usage.schema is None:
            messages.append(sheets.Message(kind, system, usage.rule.type, usage.rule.release, usage.rule.becomes))
            continue
        path = usage.schema.path.resolve()
        if path not in read:
            read[path] = xmlschema.XMLSchema(str(path), allow="local", defuse="always")
            types |= sheets.types(read[path])
        root = read[path].elements[usage.rule.root]
        said, space = sheets.texts(root), usage.schema.namespace
        documents.append(sheets.Document(kind, system, said, space, usage.rule.schema_, sheets.rows(root)))
    title, today = site.routes.title, site.day(datetime.now(UTC))
    shared = tuple(types.values())
    lists, print_ = site.lists, site.fingerprint
    return Reference((title.zh, title.en), today, print_, documents, messages, shared, lists, _guides(site))


def _guides(site: Site) -> list[Sheet]:
    """The guides as they are written."""
    from hub.declaration import plain
    from hub.standards.sheets import Sheet

    made = []
    for file in site.guides.files:
        held: dict[str, Any] = plain(file.source.top)
        rules = [
            (str(rule.get("at", "")), _words(rule, "at", "why"), str(rule.get("why", "")))
            for name in ("narrow", "tolerate")
            for rule in held.get(name, [])
        ]
        rules += [("", f"{name}: {_words(held[name])}", "") for name in ("read", "write", "accept") if name in held]
        made.append(Sheet(str(held["guide"]), file.source.file, _words(held["for"]), tuple(rules)))
    return made


def _words(value: Any, *without: str) -> str:
    """A part of a declaration in one line."""
    if isinstance(value, dict):
        return "; ".join(f"{name} {_words(inner)}" for name, inner in value.items() if name not in without)
    return ", ".join(map(_words, value)) if isinstance(value, list) else str(value)
