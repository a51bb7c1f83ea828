"""The kinds that mappings are tried with: a CUSCAR D.95B, and the documents of example.xsd."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hub.edifact import reader, structure
from hub.edifact.directory import Directories
from hub.edifact.model import Group, RawMessage
from hub.finding import rejects
from hub.mapping.compile import EdifactFacts, Facts, Mapping, XmlFacts, compile, load
from hub.mapping.tables import Row, Rows
from hub.xml.schema import Schema

ROOT = Path(__file__).parents[3]
CONTEXT = {"zone": "Asia/Shanghai", "now": "2026-11-23T09:00:00+08:00", "reference": "E1", "charset": "latin-1"}
DATED = {"5": (Row("laden", "", "2025-12-31"), Row("full", "2026-01-01", ""))}
TABLES = {
    "document-function": {"9": "original", "5": "amendment"},
    "load": Rows({"4": "empty", "5": "full"}, DATED),
}
_TITLES = {"title": "Tianjin Line", "title.en": "Tianjin Line", "title.zh": "天津航运"}
PARTIES = {"TJLINE": {"name": "TJLINE", "edi": "TJLINE", "role": "carrier", **_TITLES}}
Made = Callable[..., Mapping]


@pytest.fixture(scope="session")
def kinds() -> dict[str, Facts]:
    """Facts by the kinds' names."""
    directory = Directories(ROOT / "schemas" / "edifact").get("D:95B")
    schema = XmlFacts(Schema(Path(__file__).with_name("example.xsd")))
    return {"cuscar": EdifactFacts(directory, directory.message("CUSCAR")), "order": schema, "report": schema}


@pytest.fixture(scope="session")
def made(kinds: dict[str, Facts]) -> Made:
    """A mapping of the text of a file."""

    def make(text: str) -> Mapping:
        rules = load(Path("m.yaml"), text.encode())
        sources = {alias: kinds[kind] for alias, kind in rules.sources.items()}
        return compile(rules, sources, kinds[rules.target], TABLES, PARTIES)

    return make


def cuscar(text: str, kinds: dict[str, Any]) -> Group:
    """The tree of a message, written without UNH and UNT."""
    body = text.replace("\n", "")
    count = body.count("'") + 2
    data = f"UNB+UNOC:3+A+B+261123:0810+1'UNH+1+CUSCAR:D:95B:UN'{body}UNT+{count}+1'UNZ+1+1'"
    [message] = [part for part in reader.read([data.encode("latin-1")]) if isinstance(part, RawMessage)]
    tree, wrong = structure.build(message, kinds["cuscar"].spec)
    assert not rejects(wrong), wrong
    return tree


def order(text: str) -> Any:
    return etree.fromstring(text)
