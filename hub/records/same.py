"""One document written in two ways is one document: the mapping between them copies it, and nobody has to write it."""

from __future__ import annotations

from collections.abc import Iterator

from hub.declaration import Branch, Rule, Spot, Text
from hub.mapping.compile import Rules
from hub.records.shape import Item


def copying(root: Item, source: str, target: str, spot: Spot) -> Rules:
    """The rules that make kind `target` of kind `source`, value by value; all stand at `spot`. Raises ValueError for a
    document that may hold itself."""
    body = Branch(((root.name, _inside(root, root.name, spot, ())),), spot, (spot,))
    lines = [f"from: {source}", f"to: {target}", "document:", *_written(body, "  ")]
    return Rules({"": source}, target, body, True, f"{source}--to--{target}", "\n".join(lines).encode())


def _written(rule: Branch, margin: str) -> Iterator[str]:
    """The rules as a mapping file would say them."""
    for name, inner in rule.entries:
        if isinstance(inner, Branch):
            yield f"{margin}{name}:"
            yield from _written(inner, f"{margin}  ")
        elif isinstance(inner, Text):
            yield f"{margin}{name}: {inner.value}"


def _inside(item: Item, path: str, spot: Spot, above: tuple[Item, ...]) -> Branch:
    """Everything below an element whose path, from the innermost loop on, is `path`."""
    if any(one.declared is item.declared for one in above):
        raise ValueError(f"{item.name} within {item.name}")
    rules: list[tuple[str, Rule]] = [(f"@{name}", Text(_joined(path, f"@{name}"), spot)) for name in item.attributes]
    if item.value:
        rules.append(("#text", Text(path or ".", spot)))
    for child in item.children.values():
        rules.append((f"./{child.name}", _element(child, _joined(path, child.name), spot, (*above, item))))
    return Branch(tuple(rules), spot, (spot,) * len(rules))


def _element(item: Item, path: str, spot: Spot, above: tuple[Item, ...]) -> Rule:
    plain = bool(item.value) and not item.attributes
    if item.repeats:
        each: Rule = Text(path, spot)
        inner: Branch = _inside(item, "", spot, above)
        rules = (("from", Text(".", spot)),) if plain else inner.entries
        entries = (("each", each), *rules)
        return Branch(entries, spot, (spot,) * len(entries))
    if plain:
        return Text(path, spot)
    entries = _inside(item, path, spot, above).entries
    entries = (("when", Text(path, spot)), *entries) if item.optional else entries
    return Branch(entries, spot, (spot,) * len(entries))


def _joined(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
