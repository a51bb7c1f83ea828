"""Facts of many UN/EDIFACT directories, which lie beside the project on some machines only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub.edifact.tables import Entry, Facts, Line

SHARED = Path(__file__).parents[2] / "shared" / "edifact"
SHIPPED = Path(__file__).parents[1] / "schemas" / "edifact"


def releases() -> list[str]:
    """Names such as D95B; none where the facts are not here."""
    return sorted(path.stem for path in SHARED.glob("D*.json"))


def facts(name: str) -> Facts:
    """One directory, spaces in its names as in running text."""
    raw = json.loads((SHARED / f"{name}.json").read_text("utf-8"))
    pictures = {id: picture or "" for id, (_, picture) in raw["elements"].items()}
    return Facts(
        raw["directory"],
        messages={
            type: Entry(_words(message["name"]), tuple(_rows(message["struct"], 1)), str(message.get("rev", "")))
            for type, message in raw["messages"].items()
        },
        segments=_entries(raw["segments"], pictures),
        composites=_entries(raw["composites"], pictures),
        elements={id: (_words(name), pictures[id]) for id, (name, _) in raw["elements"].items()},
        codes={id: {code: _words(name) for code, name in codes.items()} for id, codes in raw["codes"].items()},
    )


def _rows(struct: list[list[Any]], depth: int) -> Iterator[Line]:
    for id, status, most, *children in struct:
        yield Line(depth, id, status == "M", most)
        if children:
            yield from _rows(children[0], depth + 1)


def _entries(raw: dict[str, Any], pictures: dict[str, str]) -> dict[str, Entry]:
    return {
        id: Entry(_words(entry["name"]), tuple(_line(*row, pictures=pictures) for row in entry["elements"]))
        for id, entry in raw.items()
    }


def _line(id: str, status: str, *more: Any, pictures: dict[str, str]) -> Line:
    """A composite's row has no maximum, a composite in a segment no format."""
    most = next((part for part in more if isinstance(part, int)), 1)
    picture = next((part for part in more if isinstance(part, str)), "")
    return Line(1, id, status == "M", most, "" if picture == pictures.get(id) else picture)


def _words(name: str) -> str:
    return " ".join(name.removesuffix("[]").split())
