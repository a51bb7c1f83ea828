"""The beginning of a system or of a mapping: what the standards ask for, to be filled in by a person.

A value that nobody has filled in is FILL_IN: `eport check` names every one, and a site that has one is not taken over
by a running hub.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from hub.declaration import Branch, Listing, Rule, Text
from hub.site.editor import line
from hub.site.likely import best, loop
from hub.site.outline import Field

FILL_IN = "???"
_CASES = "cases"
Sources = Sequence[tuple[str, Field]]


def blanks(rule: Rule, name: str = "") -> Iterator[tuple[str, Text]]:
    """Every value that is not filled in, with the name that it stands under."""
    if isinstance(rule, Text):
        if rule.value == FILL_IN:
            yield name, rule
    elif isinstance(rule, Listing):
        for item in rule.items:
            yield from blanks(item, name)
    elif isinstance(rule, Branch):
        for inner, part in rule.entries:
            yield from blanks(part, inner)


# ---- a system


def system(name: str) -> dict[PurePath, str]:
    """The files of a new system, by their place in the site."""
    file = PurePath("mappings", name, "system.yaml")
    return {file: line(file) + _SYSTEM.format(name=name)}


_SYSTEM = """# {name}: what this system is for, in one sentence.
system: {name}
title: {{zh: {name}, en: {name}}}
kinds: {{}}
# kinds:
#   order:                               # an XML document
#     format: xml
#     schema: {name}/order.xsd           # below schemas/
#     root: Order
#     keys: {{order: Order/Number}}        # they find the case, and answers quote them
#     document: Order/Number             # twice is a duplicate or a conflict
#   cuscar-d96b: {{format: edifact, type: CUSCAR, release: "D:96B"}}
# case:
#   key: [order]
#   stages:
#     accepted: {{on: {{all: [CUSTOMS accepted]}}, within: 8h, closes: true}}
"""


# ---- a mapping


def mapping(
    folder: str, sources: Mapping[str, tuple[str, Field]], kind: str, target: Field, case: str
) -> dict[PurePath, str]:
    """The files of a new mapping in the system `folder`: `sources` by alias, "" for one alone; `case` is the name of
    its first golden case."""
    kinds = [name for name, _ in sources.values()]
    file = PurePath("mappings", folder, f"{'-'.join(kinds)}--to--{kind}.yaml")
    single = "" in sources
    said = kinds[0] if single else "{" + ", ".join(f"{alias}: {name}" for alias, (name, _) in sources.items()) + "}"
    read = PurePath("mappings", folder, _CASES, case, "README.md")
    head = f"# {' + '.join(kinds)} → {kind}. {_HINT}\nfrom: {said}\nto: {kind}\n"
    top = [(alias, field) for alias, (_, field) in sources.items()]
    return {file: line(file) + head + _body(target, top), read: _README.format(sources=", ".join(kinds), kind=kind)}


_HINT = f"{FILL_IN} must be filled in; what is optional stands behind #, with a source where one is likely."
_README = """{sources} → {kind}：放入 in.edi 或 in.xml，然后运行 eport test --update。

{sources} → {kind}: put in.edi or in.xml here, then run eport test --update.
"""


def _body(target: Field, sources: Sources) -> str:
    made = _Made(sources)
    if target.name:
        lines = ["document:", f"  {target.name}:", *made.children(target, 4, _Scope(sources), False)]
    else:
        lines = ["message:", *made.children(target, 2, _Scope(sources), False)]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where a branch stands: in a loop over `item` of the source `alias`, or in none."""

    sources: Sources
    alias: str = ""
    item: Field | None = None

    def inner(self) -> Sources:
        """What a path may name from here: the item of the loop, else the sources."""
        return self.sources if self.item is None else [(self.alias, self.item)]

    def path(self, alias: str, field: Field) -> str:
        """How a mapping writes the path from here."""
        if self.item is not None and alias == self.alias and f"{field.path}/".startswith(f"{self.item.path}/"):
            return field.path[len(self.item.path) + 1 :] or "."
        if alias:
            return f"{alias}:{field.path}"
        return f"/{field.path}" if self.item is not None else field.path


class _Made:
    """The lines of a mapping's body."""

    def __init__(self, sources: Sources) -> None:
        self.outside = [(alias, leaf) for alias, source in sources for leaf in _single(source)]

    def children(self, target: Field, indent: int, scope: _Scope, optional: bool) -> Iterator[str]:
        """What a branch of the target has: what must be there, and as comments what may."""
        first = None if any(child.required for child in target.children) else target.children[0]
        for child in target.children:  # a branch cannot be empty: the first of its children stands for all
            comment = optional or not (child.required or child is first)
            if child.children and not (comment and _too_deep(child)):
                yield from self.branch(child, indent, scope, comment)
            elif child.children:
                yield _line(f"{child.name}: …", indent, True, _about(child))
            elif not comment or child.required or not optional or self.likely(child, scope):
                yield self.value(child, indent, scope, comment)

    def branch(self, target: Field, indent: int, scope: _Scope, comment: bool) -> Iterator[str]:
        yield _line(f"{_key(target.name)}:", indent, comment, _about(target))
        if target.repeats:
            over = loop(target, [(a, b) for a, s in scope.inner() for b in s.branches() if b.repeats])
            each = scope.path(*over) if over else FILL_IN
            scope = _Scope(scope.sources, *over) if over else scope
            yield _line(f"each: {_quoted(each)}", indent + 2, comment or not over, "")
        yield from self.children(target, indent + 2, scope, comment)

    def value(self, target: Field, indent: int, scope: _Scope, comment: bool) -> str:
        found = self.likely(target, scope)
        text = _quoted(found or FILL_IN)
        if target.repeats:
            text = f"{{each: {text}, from: .}}"
        return _line(f"{_key(target.name)}: {text}", indent, comment, _about(target))

    def likely(self, target: Field, scope: _Scope) -> str:
        """The path of the source field that is proposed, "" without one: in a loop first what its item has, outside of
        loops first what is there once."""
        within = [(alias, leaf) for alias, source in scope.inner() for leaf in source.leaves()]
        first, then = (within, self.outside) if scope.item is not None else (self.outside, within)
        found = best(target, first) or best(target, then)
        return scope.path(found.alias, found.field) if found else ""


def _single(field: Field) -> Iterator[Field]:
    """Values that are there once: outside of everything that is repeated."""
    if not field.children:
        yield field
    for child in field.children:
        if not child.repeats:
            yield from _single(child)


def _too_deep(field: Field) -> bool:
    """True for an optional group of EDIFACT that holds groups itself: it is named, and not spelt out."""
    return any(child.name.startswith("SG") and child.name[2:].isdecimal() for child in field.children)


def _about(field: Field) -> str:
    said = field.about if len(field.about) <= 60 else f"{field.about[:59]}…"
    return ", ".join(part for part in (said, field.form, "repeats" if field.repeats else "") if part)


def _line(text: str, indent: int, comment: bool, about: str) -> str:
    note = f"    # {about}" if about else ""
    return f"{' ' * indent}{'# ' if comment else ''}{text}{note}"


def _key(name: str) -> str:
    return f'"{name}"' if name[0] in "@#" or name.isdecimal() else name


def _quoted(text: str) -> str:
    return f'"{text}"' if text == FILL_IN or "[" in text or "#" in text or text.isdecimal() else text


def write(folder: Path, files: Mapping[PurePath, str]) -> list[Path]:
    """Write new files into the site. Raises FileExistsError, and writes nothing, where one is there already."""
    there = [folder / name for name in files if (folder / name).exists()]
    if there:
        raise FileExistsError(str(there[0]))
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8", newline="\n")
    return [folder / name for name in files]
