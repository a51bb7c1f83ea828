"""`eport explain`: where every value of every output came from.

Exit codes: 0 told, 1 nothing comes of it, 2 unusable.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.common import JsonOption, LangOption, SiteOption, journal_of, load_site, out, read

if TYPE_CHECKING:
    from hub.finding import Finding
    from hub.lineage.documents import Field
    from hub.lineage.explain import Output
    from hub.lineage.sources import Source
    from hub.site.site import Site

FileArgument = Annotated[Path | None, typer.Argument(help="报文文件，- 为标准输入 · a file, - for standard input")]
KindOption = Annotated[str, typer.Option("--kind", help="只看这一种输出 · only the output of this kind")]
FieldOption = Annotated[str, typer.Option("--field", help="只看这一字段 · only this field: Bill[2]/ReceiverName, NAD")]
RefOption = Annotated[str, typer.Option("--ref", help="平台中的报文 · a message of the journal, by any reference")]
PartyOption = Annotated[str, typer.Option("--party", help="发送方 · as the hub judges what this party sends")]
COLUMNS = ("field", "value", "place", "byte", "rule", "used")
LONGEST = 40
"""Characters of a value in a table."""


def explain(
    file: FileArgument = None,
    kind: KindOption = "",
    field: FieldOption = "",
    ref: RefOption = "",
    party: PartyOption = "",
    site: SiteOption = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """每个输出值的来源 · where every value came from: place in the file, rules, functions, code rows."""
    from hub.catalogue import language, text
    from hub.cli.paint import show_findings
    from hub.plain import plain

    if (file is None) == (not ref):
        typer.echo("eport explain FILE | --ref REFERENCE", err=True)
        raise typer.Exit(2)
    found = load_site(site)
    known = (("--kind", kind, found.kinds), ("--party", party, found.parties))
    for option, name, names in known:
        if name and name not in names:
            typer.echo(f"{option} {name}: {', '.join(names)}", err=True)
            raise typer.Exit(2)
    outputs, refused = _of_journal(found, site, ref, kind) if file is None else _of_file(found, file, kind, party)
    if json_:
        from hub.lineage.explain import as_json
        from hub.rejection import as_rows

        out({"outputs": [as_json(one, field) for one in outputs], "refused": as_rows(refused)})
    else:
        for one in outputs:
            _show(one, field, lang)
        show_findings(refused, lang)
    if not any(_fields(one, field) for one in outputs):
        about = " ".join(name for name in (kind, field) if name)
        said = text(
            "lineage.nothing", language(lang), name=plain(ref or str(file)), kind=f" ({about})" if about else ""
        )
        typer.echo(said, err=True)
        raise typer.Exit(1)


def _of_file(site: Site, file: Path, kind: str, party: str) -> tuple[Sequence[Output], list[Finding]]:
    from datetime import UTC, datetime

    from hub.judging import judge
    from hub.lineage.explain import explained

    now, name = datetime.now(UTC), "stdin" if str(file) == "-" else file.name
    told = explained(site, judge(site, read(file), party, name, now), name, now, kind)
    return told.outputs, list(told.refused)


def _of_journal(site: Site, folder: Path | None, ref: str, kind: str) -> tuple[Sequence[Output], list[Finding]]:
    from contextlib import closing

    from hub.lineage.journal import outputs

    with closing(journal_of(folder)) as journal:
        told = outputs(site, journal, ref, kind)
    return told.outputs, list(told.refused)


def _fields(one: Output, wanted: str) -> list[Field]:
    from hub.lineage.explain import fields

    return fields(one, wanted)


def _show(one: Output, wanted: str, lang: str | None) -> None:
    """One output as a table; a value of several sources, or of several rules, takes several lines."""
    from hub.catalogue import language
    from hub.cli.paint import show_findings, table
    from hub.plain import plain

    found = _fields(one, wanted)
    if not found and not one.notes:
        return
    reader = f" → {one.reader}" if one.reader else ""
    mapping = f"{one.made.mapping.name} {one.made.mapping.sha256[:12]}"
    head = plain(f"{', '.join(one.messages)} → {one.made.usage.name}{reader}  ({mapping})")
    typer.secho(head, bold=True)
    show_findings([*one.made.findings, *one.notes], lang)
    table(COLUMNS, [row for field in found for row in _rows(field, language(lang))])
    typer.echo()


def _rows(field: Field, lang: str) -> Iterator[dict[str, Any]]:
    from hub.catalogue import text

    sources: list[Source | None] = [*field.sources]
    for at in range(max(len(sources), len(field.steps), 1)):
        source = sources[at] if at < len(sources) else None
        step = field.steps[at] if at < len(field.steps) else None
        codes = [f"{row.table}: {row.key} = {row.value}" for row in step.rows] if step else []
        first = {"field": field.target, "value": _short(field.value)} if at == 0 else {}
        constant = text("lineage.constant", lang) if not sources and at == 0 else ""
        yield {
            **first,
            "place": source.path if source else constant,
            "byte": _where(source) if source else "",
            "rule": f"{step.spot.file}:{step.spot.line}" if step else "",
            "used": " · ".join([*step.functions, *codes]) if step else "",
        }


def _short(value: str) -> str:
    return value if len(value) <= LONGEST or not sys.stdout.isatty() else f"{value[: LONGEST - 1]}…"


def _where(source: Source) -> str:
    """The byte in the file, and in XML the line."""
    place = source.place
    line = f":{place.line}" if place.line else ""
    return f"@{place.offset}{line}" if place.offset is not None else line


COMMANDS = (explain,)
