"""What the standards say of each place of a message: names, formats and codes of the directory, the words of an XSD."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from hub.edifact.directory import Directory
from hub.lineage.marks import named
from hub.site.site import Site, Usage
from hub.workshop.spans import Part, Sheet

MOST = 20_000
"""Places of one text that are told."""
_TAG = re.compile(r"""<!--.*?-->|<!\[CDATA\[.*?]]>|<\?.*?\?>|<(/?)([\w.:-]+)(?:"[^"]*"|'[^']*'|[^<>"'])*?(/?)>""", re.S)

Row = tuple[int, int, int]
"""Start, end, and which of the meanings."""


@dataclass(slots=True)
class Meanings:
    """Sentences, each once: many places mean the same."""

    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def texts(self) -> list[str]:
        return list(self.numbers)

    def of(self, site: Site, sheet: Sheet, usage: Usage | None) -> list[Row]:
        """What the places of a text mean; nothing for one of no known kind."""
        xml = usage is not None and usage.rule.format == "xml"
        found = _edifact(site, sheet) if sheet.separators else _xml(sheet, usage) if xml else iter(())
        return [(*sheet.units(start, end), self._number(said)) for start, end, said in islice(found, MOST)]

    def _number(self, said: str) -> int:
        return self.numbers.setdefault(said, len(self.numbers))


Said = tuple[int, int, str]


def _edifact(site: Site, sheet: Sheet) -> Iterator[Said]:
    directory = _directory(site, sheet.parts)
    if directory is not None:
        for part in sheet.parts:
            yield part.start, part.end, _place(directory, part)


def _directory(site: Site, parts: list[Part]) -> Directory | None:
    """The release that the first message names (UNH S009)."""
    named: Mapping[int, str] = {}
    for at, part in enumerate(parts):
        if part.tag == "UNH" and part.element == 2:
            named = {one.component: one.value for one in parts[at : at + 3] if one.tag == "UNH" and one.element == 2}
            break
    usage = site.edifact.get((named.get(1, ""), f"{named.get(2, '')}:{named.get(3, '')}"))
    return usage.directory if usage else None


def _place(directory: Directory, part: Part) -> str:
    lines = [f"{part.tag} · {directory.segment_name(part.tag)}"]
    specs = directory.segment(part.tag) if directory.defines(part.tag) else ()
    if not 0 < part.element <= len(specs):
        return lines[0]
    spec = specs[part.element - 1]
    if spec.composite:
        lines.append(f"{spec.id} · {directory.element_name(spec.id)}")
    if part.component <= len(spec.components):
        one = spec.components[part.component - 1]
        name = named(directory, part.tag, part.element, part.component).rpartition("/")[2]
        lines.append(f"{name} · {directory.element_name(one.id)} · {one.repr}")
        if meant := directory.codes(one.id).get(part.value):
            lines.append(f"{part.value} = {meant}")
    return "\n".join(lines)


def _xml(sheet: Sheet, usage: Usage | None) -> Iterator[Said]:
    """Each start tag with the text behind it. What is not well-formed is told as far as it goes."""
    schema = usage.schema if usage else None
    above: list[str] = []
    for match in _TAG.finditer(sheet.text):
        if not match[2]:
            continue
        if match[1]:
            del above[-1:]
            continue
        above.append(match[2].rpartition(":")[2])
        end = sheet.text.find("<", match.end())
        said = schema.about(tuple(above)) if schema else ""
        end = match.end() if match[3] or end < 0 else end
        yield match.start(), end, "\n".join(filter(None, ["/".join(above), said]))
        if match[3]:
            above.pop()
