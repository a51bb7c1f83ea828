"""What a compiled mapping promises whatever the source: the same output each time, findings and never an exception,
bounded time and size, and the same output when it is traced."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from pydantic import ValidationError

from hub.edifact.directory import Directory, MessageSpec, Node
from hub.edifact.model import Group, Segment
from hub.mapping.codes import Table
from hub.mapping.compile import Mapping
from hub.mapping.narrow import longest
from hub.mapping.plan import MOST_VALUES
from hub.site.load import load
from hub.site.site import Site

from .conftest import CONTEXT, DATED, ROOT, Made, order
from .test_mapping_page import DOCUMENT, EXAMPLES

_ODD = ["", " ", "'", "<&>", "Ł天", "\x00", "9" * 40, "-1", "1,5", "20261123", "202611231200", "2026-11-23T12:00:00Z"]


@cache
def site() -> Site:
    return load(ROOT)


# ---- sources made from the standard


class Maker:
    """A tree of a message type: everything mandatory and some of the rest, values in the formats of the elements."""

    def __init__(self, directory: Directory, seed: int) -> None:
        self.directory = directory
        self.chance = random.Random(seed)

    def tree(self, spec: MessageSpec) -> Group:
        return self.group("", spec.nodes)

    def group(self, name: str, nodes: tuple[Node, ...]) -> Group:
        group = Group(name)
        for node in nodes:
            for _ in range(self.chance.choice((node.required, 1, 1, min(node.max, 3)))):
                part = self.group(node.key, node.children) if node.children else self.segment(node.key)
                group.add(node.key, part)
        return group

    def segment(self, tag: str) -> Segment:
        specs = self.directory.segment(tag) if self.directory.defines(tag) else ()
        return Segment(tag, [[self.value(part.id, part.repr) for part in spec.components] for spec in specs], 1)

    def value(self, id: str, form: str) -> str:
        codes = self.directory.codes(id)
        if codes and self.chance.random() < 0.8:
            return self.chance.choice(list(codes))
        if self.chance.random() < 0.1:
            return self.chance.choice(_ODD)
        most, numeric = longest(form)
        letters = "0123456789" if numeric else "ABCÄ 0123天'?"
        return "".join(self.chance.choices(letters, k=self.chance.randint(0, min(most, 14))))


def document(usage: Any, seed: int) -> Any:
    """A document of a kind with some of its paths filled; the elements that mappings ask for may be missing."""
    chance = random.Random(seed)

    def filled(path: tuple[str, ...]) -> Any:
        node = etree.Element(f"{{{usage.schema.namespace}}}{path[-1]}")
        names = [name for name in usage.schema.children(path) if not name.startswith("@")]
        node.text = chance.choice([*[one for one in _ODD if one.isprintable()], "CNTXG", "12", "original"])
        for name in names if len(path) < 6 else ():
            for _ in range(chance.choice((0, 1, 1, 2))):
                node.append(filled((*path, name)))
        return node

    return filled((usage.rule.root,))


def sources(mapping: Mapping, seed: int) -> dict[str, Any]:
    made = {}
    for alias, kind in mapping.sources.items():
        usage = site().kinds[kind]
        made[alias] = Maker(usage.directory, seed).tree(usage.spec) if usage.spec else document(usage, seed)
    return made


def dumped(target: Any) -> Any:
    if isinstance(target, Group):
        return [(segment.tag, segment.elements) for segment in target.segments()]
    return None if target is None else etree.tostring(target)


MAPPINGS = sorted(path.stem for path in (ROOT / "mappings").glob("*/*--to--*.yaml"))


@pytest.mark.parametrize("name", MAPPINGS)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_source_gives_the_same_target_each_time_and_never_an_exception(name: str, seed: int) -> None:
    mapping = next(one for one in site().mappings.values() if one.name == f"{name}.yaml")
    now = datetime(2026, 11, 23, 9, tzinfo=UTC)
    context = site().context(now, reference="E1", sender="A", recipient="B", port="P", case="C")
    target, findings = mapping.apply(sources(mapping, seed), context)
    again, same = mapping.apply(sources(mapping, seed), context)
    assert (dumped(again), same) == (dumped(target), findings)
    traced, told, traces = mapping.apply_traced(sources(mapping, seed), context)
    assert (dumped(traced), told) == (dumped(target), findings)
    assert {trace.target.replace("]", "[").split("[")[0].split("/")[0] for trace in traces} <= {
        fact.target.split("/")[0] for fact in mapping.rules
    }
    assert len(traces) == fields(target)


def fields(target: Any) -> int:
    if isinstance(target, Group):
        return sum(bool(value) for segment in target.segments() for element in segment.elements for value in element)
    return sum(bool(one.text) + len(one.attrib) for one in target.iter())


RUN = [example for example in EXAMPLES if not example.named("mistake")]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_example_of_the_page_maps_any_source(made: Made, kinds: dict[str, Any], seed: int) -> None:
    tree = Maker(kinds["cuscar"].directory, seed).tree(kinds["cuscar"].spec)
    chance = random.Random(seed)
    paper = order(DOCUMENT)
    for one in list(paper.iter()):
        if chance.random() < 0.3:
            one.text = chance.choice([value for value in _ODD if value.isprintable()])
        elif chance.random() < 0.1 and one.getparent() is not None:
            one.getparent().remove(one)
    nodes = {"cuscar": tree, "order": paper}
    for example in RUN:
        mapping = compiled(example.file[0], made)
        given = {alias: nodes[kind] for alias, kind in mapping.sources.items()}
        targets, findings = mapping.apply_all(given, CONTEXT)
        traced, told = mapping.apply_all_traced(given, CONTEXT)
        assert [dumped(target) for target, _ in traced] == [dumped(target) for target in targets]
        assert told == findings


_COMPILED: dict[str, Mapping] = {}


def compiled(text: str, made: Made) -> Mapping:
    if text not in _COMPILED:
        _COMPILED[text] = made(text)
    return _COMPILED[text]


# ---- bounds


def large(lines: int) -> Any:
    goods = "".join(f"<Line><Box>B{at}</Box><Weight>1</Weight><Goods>g</Goods></Line>" for at in range(lines))
    boxes = "".join(f"<Box><Id>B{at}</Id><Type>T</Type></Box>" for at in range(lines))
    return etree.fromstring(f"<Order>{goods}{boxes}</Order>")


JOIN = """from: order
to: report
document:
  Report:
    Box:
      each: Order/Box
      Item:
        each: {from: /Order/Line, where: {Box: Id}}
        Text: Goods
        Weight: {sum: /Order/Line/Weight}
        Note: /Order/Number
        Count: {running: Weight}
"""


def test_a_join_within_a_loop_takes_linear_time(made: Made) -> None:
    mapping = made(JOIN)
    taken = []
    for lines in (500, 4000):
        source, times = {"": large(lines)}, []
        for _ in range(3):
            start = time.process_time()
            target, findings = mapping.apply(source, CONTEXT)
            times.append(time.process_time() - start)
        taken.append(min(times))
        assert findings == [] and len(target.findall("Box/Item")) == lines
    assert taken[1] < taken[0] * 8 * 4  # quadratic: 64 times


@pytest.mark.parametrize(
    "rule",
    [
        "Box: {each: Order/Box, Item: {each: /Order/Line, Text: Goods}}",
        "Item: {each: Order/Box, Text: {join: /Order/Line/Goods}}",
    ],
)
def test_an_output_that_grows_beyond_all_bounds_is_a_finding(made: Made, rule: str) -> None:
    mapping = made(f"from: order\nto: report\ndocument:\n  Report:\n    {rule}\n")
    _, findings = mapping.apply({"": large(2000)}, CONTEXT)
    assert [finding.code for finding in findings] == ["mapping.too_large"]
    assert (findings[0].found, findings[0].expected.startswith("m.yaml:5")) == (str(MOST_VALUES), True)


def test_wrong_values_are_counted_out(made: Made) -> None:
    mapping = made(
        "from: order\nto: report\ndocument:\n  Report: {Item: {each: Order/Line, Text: {from: Goods, as: number}}}"
    )
    _, findings = mapping.apply({"": large(3000)}, CONTEXT)
    assert len(findings) == 1000 and {finding.code for finding in findings} == {"mapping.value"}


# ---- findings of a run


@pytest.mark.parametrize(
    ("rule", "code", "found"),
    [
        ('BGM: {"1004": {from: Order/Text}}', "mapping.too_long", "Keep dry"),
        ('BGM: {"1004": {from: Order/Text, narrow: truncate}}', "mapping.truncated", "k; the doors"),
        ('BGM: {"1225": {from: Order/Number, map: load}}', "mapping.value", "A-7"),
        ("NAD: {C080/3036: {from: Order/Buyer, narrow: transliterate}}", "mapping.transliterated", "Łódź Møbler"),
        (
            "NAD: {C080/3036: {join: [Order/Buyer, =天], narrow: [transliterate, truncate]}}",
            "mapping.not_in_charset",
            "天",
        ),
        ("FTX: {C108/4440: {spread: Order/Text, width: 20, times: 2}}", "mapping.too_long", "the doors"),
        (
            "FTX: {C108/4440: {spread: Order/Text, width: 20, times: 2, narrow: truncate}}",
            "mapping.truncated",
            "stack;",
        ),
        ('BGM: {"1004": $nobody}', "mapping.value", ""),
        ('BGM: {"1004": {when: Order/Number < 5, from: =x}}', "", ""),
        ('BGM: {"1004": {when: Order/Number < Order/Kind, from: =x}}', "mapping.value", "A-7"),
        ("BGM: {\"1004\": {when: Order/Due >= '2026-11-23', from: =x}}", "", ""),
        ("CNT: {C270/6069: =7, C270/6066: Order/Line/Weight}", "", ""),
    ],
)
def test_a_finding_says_value_and_rule(made: Made, rule: str, code: str, found: str) -> None:
    mapping = made(f"from: order\nto: cuscar\nmessage:\n  {rule}\n")
    _, findings = mapping.apply({"": order(DOCUMENT)}, CONTEXT)
    assert [finding.code for finding in findings] == ([code] if code else [])
    for finding in findings:
        assert found in finding.found and finding.expected == "m.yaml:4"
        assert finding.severity == ("warning" if code in ("mapping.truncated", "mapping.transliterated") else "error")


def test_a_mapping_that_splits_gives_one_target_only_when_there_is_one(made: Made) -> None:
    mapping = made("from: order\nto: report\nsplit: Order/Box\ndocument:\n  Report: {Number: Id}\n")
    paper = order(DOCUMENT)
    assert mapping.splits
    assert [one.findtext("Number") for one in mapping.apply_all({"": paper}, CONTEXT)[0]] == ["B1", "B2"]
    target, findings = mapping.apply({"": paper}, CONTEXT)
    assert target is None and [(one.code, one.found) for one in findings] == [("mapping.split", "2")]
    paper.remove(paper.findall("Box")[1])
    target, findings = mapping.apply({"": paper}, CONTEXT)
    assert findings == [] and target.findtext("Number") == "B1"


def test_a_dated_table_is_read_at_the_day_of_the_document(made: Made) -> None:
    rule = "{from: =5, map: {table: load, at: '=DAY', unknown: =none}}"
    text = f"from: order\nto: report\ndocument:\n  Report: {{Status: {rule}}}\n"
    told = {}
    for day in ("2025-12-31", "20260101", "2026-11-23T00:00:00Z", "soon"):
        target, _ = made(text.replace("DAY", day)).apply({"": order(DOCUMENT)}, CONTEXT)
        told[day] = target.findtext("Status")
    assert told == {"2025-12-31": "laden", "20260101": "full", "2026-11-23T00:00:00Z": "full", "soon": "none"}
    today, _ = made(text.replace(", at: '=DAY'", "")).apply({"": order(DOCUMENT)}, CONTEXT)
    assert today.findtext("Status") == "full"


def test_a_table_of_a_file_keeps_its_days() -> None:
    rows = {"4": "empty", "5": [{"to": "laden", "until": "2025-12-31"}, {"to": "full", "from": "2026-01-01"}]}
    table = Table.model_validate({"table": "load", "rows": rows}).made()
    assert (dict(table), table.dated) == ({"4": "empty", "5": "full"}, DATED)
    with pytest.raises(ValidationError):
        Table.model_validate({"table": "load", "rows": {"5": [{"to": "full", "form": "2026-01-01"}]}})


def test_repetitions_of_syntax_4_are_items_of_a_loop(made: Made) -> None:
    from hub.edifact.model import Repeats

    first = Repeats(["BM", "R1"])
    first.more = [["ZZ", "R2"], ["", ""]]
    root = Group("")
    root.add("RFF", Segment("RFF", [first], 2))
    mapping = made(
        "from: cuscar\nto: report\ndocument:\n  Report: {Item: {each: RFF/C506, Text: '1154', Note: '1153'}}\n"
    )
    target, _, traces = mapping.apply_traced({"": root}, CONTEXT)
    assert [one.findtext("Text") for one in target] == ["R1", "R2"]
    assert [(trace.target, trace.sources[0].component) for trace in traces][:2] == [
        ("Report/Item[1]/Text", 2),
        ("Report/Item[1]/Note", 1),
    ]
