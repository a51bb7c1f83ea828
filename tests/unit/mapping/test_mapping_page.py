"""docs/mapping.md: every example is compiled and run, and gives what stands below it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from lxml import etree

from hub.edifact import writer
from hub.edifact.model import Group, Separators
from hub.errors import DeclarationError
from hub.mapping.compile import Mapping

from .conftest import CONTEXT, ROOT, Made, cuscar, order

PAGE = (ROOT / "docs" / "mapping.md").read_text("utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


@dataclass
class Example:
    """A block of YAML and the blocks behind it."""

    line: int
    text: str
    gives: list[tuple[str, str]] = field(default_factory=list)

    def named(self, *kinds: str) -> list[str]:
        return [text for kind, text in self.gives if kind in kinds]

    @property
    def file(self) -> tuple[str, int]:
        """The whole mapping file, and how many lines and columns stand before the example."""
        if self.text.startswith("from:"):
            return self.text, 0
        source = "order" if "Order" in self.text else "cuscar"
        if self.named("edifact") or "\nRFF: [" in self.text:
            return f"from: {source}\nto: cuscar\nmessage:\n" + re.sub("^", "  ", self.text, flags=re.M), 3
        return f"from: {source}\nto: report\ndocument:\n  Report:\n" + re.sub("^", "    ", self.text, flags=re.M), 4


def examples() -> tuple[list[Example], str, str]:
    """The examples, and the message and the document that they are made of."""
    found: list[Example] = []
    samples: list[str] = []
    for block in _BLOCK.finditer(PAGE):
        kind, text = block[1], block[2]
        if kind == "yaml":
            found.append(Example(PAGE[: block.start()].count("\n") + 2, text))
        elif len(samples) < 2 and ("BGM+785+MF1" in text or text.startswith("<Order>")):
            samples.append(text)
        else:
            found[-1].gives.append((kind, text))
    return found, samples[0], samples[1]


EXAMPLES, MESSAGE, DOCUMENT = examples()


@pytest.fixture(scope="module")
def nodes(kinds: dict[str, Any]) -> dict[str, Any]:
    return {"cuscar": cuscar(MESSAGE, kinds), "order": order(DOCUMENT)}


def written(target: Any, kinds: dict[str, Any]) -> str:
    """What is inside the root element, or the segments."""
    if not isinstance(target, Group):
        return "".join(etree.tostring(child, encoding="unicode") for child in target)
    segments = writer.order(target, kinds["cuscar"].spec)
    return "".join(writer.write_segment(one.tag, one.elements, Separators()) for one in segments)


def plain(text: str) -> str:
    return text.replace("\n", "")


@pytest.mark.parametrize("example", [e for e in EXAMPLES if not e.named("mistake")], ids=lambda e: f"line {e.line}")
def test_an_example_gives_what_stands_below_it(
    example: Example, made: Made, nodes: dict[str, Any], kinds: dict[str, Any]
) -> None:
    mapping: Mapping = made(example.file[0])
    sources = {alias: nodes[kind] for alias, kind in mapping.sources.items()}
    targets, findings = mapping.apply_all(sources, CONTEXT)
    assert [written(target, kinds) for target in targets] == [plain(text) for text in example.named("xml", "edifact")]
    assert [finding.code for finding in findings] == " ".join(example.named("findings")).split()
    traced, again = mapping.apply_all_traced(sources, CONTEXT)
    assert [written(target, kinds) for target, _ in traced] == [written(target, kinds) for target in targets]
    assert again == findings


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.named("mistake")], ids=lambda e: f"line {e.line}")
def test_a_mistake_is_found_where_it_is(example: Example, made: Made) -> None:
    text, before = example.file
    with pytest.raises(DeclarationError) as caught:
        made(text)
    indent = len(text) and text.splitlines()[before].index(example.text.splitlines()[0])
    [finding] = caught.value.findings  # type: ignore[attr-defined]
    said = f"{finding.place.line - before}:{finding.place.column - indent} {finding.code} {finding.found}"
    assert said.startswith(example.named("mistake")[0].strip())


def test_the_page_has_an_example_of_every_word() -> None:
    from hub.mapping import branches, functions, leaves, loops, narrow, tables

    words = {*leaves.HEADS, *leaves.STEPS, *branches.OPTIONS, *loops.WORDS, *narrow.POLICIES, *tables.POLICIES}
    words |= {
        "choose",
        "use",
        "split",
        "fragments",
        "all",
        "any",
        "not",
        "in",
        "more",
        "width",
        "times",
        "with",
        "give",
    }
    words |= {name for name in functions.FUNCTIONS if name not in functions.identifiers.NAMES}
    missing = {word for word in words if not re.search(rf"(?<![\w-]){word}(?![\w-])", PAGE)}
    assert missing == set()
