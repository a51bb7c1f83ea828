"""Segments into groups: which reading is taken, which finding is told and where, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.catalogue import contrl_code
from hub.edifact import structure
from hub.edifact.directory import Directories, MessageSpec, Node
from hub.edifact.model import Group, Segment
from hub.edifact.structure import CODES, build
from hub.edifact.tokenizer import KEEP
from hub.edifact.writer import order
from hub.finding import Finding
from tests.unit.edifact.generating import FOREIGN, SHIPPED, capped, fullest, least, message
from tests.unit.edifact.oracle import Oracle

Told = list[tuple[str, int | None, str, str]]


def seg(key: str, most: int = 1) -> Node:
    return Node(key.rstrip("?"), not key.endswith("?"), most)


def group(key: str, most: int, *children: Node) -> Node:
    return Node(key.rstrip("?"), not key.endswith("?"), most, children)


def spec(*nodes: Node) -> MessageSpec:
    return MessageSpec("TEST", "TEST", "D96B", (seg("UNH"), *nodes, seg("UNT")))


def told(findings: list[Finding]) -> Told:
    return [(f.code.removeprefix("edifact.segment_"), f.place.segment, f.found, f.expected) for f in findings]


def judged(table: MessageSpec, tags: str) -> Told:
    return told(build(message(("UNH", *tags.split(), "UNT")), table)[1])


def shape(group: Group) -> dict[str, list[object]]:
    """Segments as their number, groups as their parts."""
    return {
        key: [part.number if isinstance(part, Segment) else shape(part) for part in parts]
        for key, parts in group.parts.items()
    }


MANIFEST = spec(
    seg("BGM"),
    seg("DTM?", 2),
    group("SG1?", 2, seg("RFF"), seg("DTM?")),
    group("SG2?", 3, seg("NAD"), group("SG3?", 2, seg("CTA"), seg("COM"))),
    seg("UNS"),
    seg("CNT?"),
)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("BGM DTM RFF DTM NAD CTA COM UNS CNT", []),
        ("DTM UNS", [("missing", 1, "", "BGM")]),
        ("BGM NAD CTA UNS", [("missing", 4, "", "COM")]),
        ("BGM NAD CTA CTA COM UNS", [("missing", 4, "", "COM")]),
        ("BGM NAD CTA COM CTA CTA COM UNS", [("edifact.group_repeats", 7, "SG3", "2")]),
        ("BGM NAD CTA COM CTA COM CTA UNS", [("edifact.group_repeats", 8, "SG3", "2")]),
        ("BGM NAD CTA COM CTA COM CTA CTA UNS", [("edifact.group_repeats", 8, "SG3", "2")]),
        ("BGM CNT", [("missing", 2, "", "UNS")]),
        ("BGM ZZZ DTM UNS", [("unexpected", 3, "ZZZ", "")]),
        ("BGM ZZZ ZZZ DTM UNS", [("unexpected", 3, "ZZZ", "")]),
        ("BGM DTM DTM DTM UNS CNT", [("repeats", 5, "DTM", "2")]),
        ("BGM DTM DTM DTM DTM DTM UNS", [("repeats", 5, "DTM", "2")]),
        ("BGM NAD NAD NAD NAD CTA COM UNS", [("edifact.group_repeats", 6, "SG2", "3")]),
        ("BGM CTA COM UNS", [("missing", 2, "", "NAD")]),
        ("BGM NAD COM UNS", [("missing", 3, "", "CTA")]),
        ("UNS BGM NAD", [("order", 2, "UNS", "UNT")]),
        ("NAD BGM UNS", [("unexpected", 2, "NAD", "")]),
        ("BGM UNS DTM", [("order", 4, "DTM", "UNS")]),
        ("BGM UNS DTM DTM RFF UNS", [("unexpected", 3, "UNS", "")]),
        ("BGM UNS NAD CTA COM CNT", [("order", 4, "NAD", "UNS")]),
        ("BGM UNS DTM RFF NAD UNS CNT", [("unexpected", 3, "UNS", "")]),
        ("BGM NAD UNS CTA COM CNT", [("unexpected", 5, "CTA", "")]),
        ("ZZZ DTM DTM DTM UNS YYY", [
            ("unexpected", 2, "ZZZ", ""), ("missing", 2, "", "BGM"), ("repeats", 5, "DTM", "2"),
            ("unexpected", 7, "YYY", ""),
        ]),
    ],
)  # fmt: skip
def test_one_fault_is_one_finding_at_its_place(tags: str, expected: Told) -> None:
    assert sorted(judged(MANIFEST, tags)) == sorted(expected)


def test_a_missing_group_is_told_by_its_first_segment() -> None:
    table = spec(seg("BGM"), group("SG1", 9, seg("NAD"), seg("LOC")), seg("CNT?"))
    assert judged(table, "BGM CNT") == [("missing", 2, "", "SG1 (NAD)")]


def test_a_group_behind_its_place_is_out_of_order_though_its_tag_has_a_place_further_down() -> None:
    inner = group("SG3", 9, seg("EQD"), group("SG4?", 1, seg("TDT")))
    table = spec(seg("BGM"), group("SG1", 1, seg("TDT")), group("SG2", 9, seg("NAD")), inner)
    assert judged(table, "BGM NAD TDT EQD") == [("order", 4, "TDT", "NAD")]


def test_without_unt_its_absence_is_left_to_the_reader() -> None:
    assert told(build(message(("UNH", "BGM")), MANIFEST)[1]) == [("missing", 2, "", "UNS")]


def test_what_is_told_has_the_codes_of_0085() -> None:
    codes = {code: contrl_code(Finding(code)) for code in CODES}
    assert codes == {
        "edifact.segment_missing": "13",
        "edifact.segment_unexpected": "15",
        "edifact.segment_order": "15",
        "edifact.segment_repeats": "35",
        "edifact.group_repeats": "36",
    }


GREEDY_FAILS = [
    (spec(group("SG1?", 9, seg("RFF"), seg("DTM?")), seg("DTM")), "RFF DTM", {"SG1": [{"RFF": [2]}], "DTM": [3]}),
    (spec(seg("LOC?", 9), seg("LOC")), "LOC LOC LOC", {"LOC": [2, 3, 4]}),
    (
        spec(group("SG1?", 9, seg("PAC?", 2), seg("MEA?")), seg("PAC"), seg("CNT")),
        "PAC MEA PAC CNT",
        {"SG1": [{"PAC": [2], "MEA": [3]}], "PAC": [4], "CNT": [5]},
    ),
    (
        spec(group("SG1?", 2, seg("NAD"), seg("LOC?")), group("SG2", 1, seg("NAD"), seg("CTA"))),
        "NAD NAD CTA",
        {"SG1": [{"NAD": [2]}], "SG2": [{"NAD": [3], "CTA": [4]}]},
    ),
]


@pytest.mark.parametrize(("table", "tags", "expected"), GREEDY_FAILS)
def test_where_the_nearest_place_is_wrong_another_reading_is_taken(
    table: MessageSpec, tags: str, expected: dict[str, object]
) -> None:
    tree, findings = build(message(("UNH", *tags.split(), "UNT")), table)
    assert findings == []
    assert shape(tree) == {"UNH": [1], **expected, "UNT": [len(tags.split()) + 2]}


def test_what_has_a_place_is_in_the_tree_and_what_has_none_is_not() -> None:
    tree, findings = build(message(("UNH", "BGM", "ZZZ", "CTA", "COM", "UNS", "DTM", "UNT")), MANIFEST)
    assert len(findings) == 3
    assert shape(tree) == {"UNH": [1], "BGM": [2], "SG2": [{"SG3": [{"CTA": [4], "COM": [5]}]}], "UNS": [6], "UNT": [8]}


TAGS = "ABCD"
LINES = st.builds(Node, st.sampled_from(TAGS), st.booleans(), st.integers(1, 3))
TABLES = st.lists(
    st.recursive(
        LINES,
        lambda inner: st.builds(
            Node, st.just("SG"), st.booleans(), st.integers(1, 3), st.lists(inner, min_size=1, max_size=4).map(tuple)
        ),
        max_leaves=6,
    ),
    min_size=1,
    max_size=4,
).map(tuple)


def numbered(nodes: tuple[Node, ...], above: str = "SG") -> tuple[Node, ...]:
    """Every group with a key of its own."""
    return tuple(
        Node(f"{above}{at}", node.required, node.max, numbered(node.children, f"{above}{at}_"))
        if node.children
        else node
        for at, node in enumerate(nodes)
    )


@settings(max_examples=150, deadline=None)
@given(TABLES.map(numbered), st.lists(st.sampled_from(TAGS), max_size=9), st.data())
def test_build_accepts_what_the_oracle_accepts(nodes: tuple[Node, ...], tags: list[str], data: st.DataObject) -> None:
    table, oracle = spec(*nodes), Oracle(nodes)
    full = list(fullest(nodes, 2))
    at = data.draw(st.integers(0, len(full)))
    for body in (tags, list(least(nodes)), full, full[:at] + full[at + 1 :], full[:at] + tags[:1] + full[at:]):
        tree, findings = build(message(("UNH", *body, "UNT")), table)
        assert (findings == []) is oracle.accepts(body)
        held = list(tree.segments())
        assert len({id(segment) for segment in held}) == len(held)
        in_order(tree)
        if not findings:
            assert sorted(segment.number for segment in held) == list(range(1, len(body) + 3))
            if distinct(nodes):
                assert [segment.tag for segment in order(tree, table)] == ["UNH", *body, "UNT"]


def distinct(nodes: tuple[Node, ...]) -> bool:
    """True when no level has a tag twice: the parts of a group are held by tag, so two lines would be one."""
    return len({node.key for node in nodes}) == len(nodes) and all(distinct(node.children) for node in nodes)


def in_order(group: Group) -> int:
    """The parts of each key follow each other as they came; the last segment's number."""
    last = 0
    for parts in group.parts.values():
        numbers = [part.number if isinstance(part, Segment) else in_order(part) for part in parts]
        assert numbers == sorted(numbers)
        last = max(last, *numbers)
    return last


def cpu(call: Callable[[], object], rounds: int = 5) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best


@pytest.fixture(scope="module")
def cuscar() -> MessageSpec:
    return Directories(SHIPPED).get("D:95B").message("CUSCAR")


def test_a_message_that_is_right_is_read_once(cuscar: MessageSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("not greedy")

    monkeypatch.setattr(structure, "best", never)
    assert build(message(fullest(cuscar.nodes, 1)), cuscar)[1] == []


def test_seventy_segments_take_no_longer_than_a_plain_loop_allows(cuscar: MessageSpec) -> None:
    """A message of 2 KB has about seventy: 37 µs on the machine that has 60 µs to keep; the loop here takes 9 µs."""
    tags = fullest(cuscar.nodes, 1)
    raw = message((tags[:-1] * 2)[:69] + tags[-1:]) if len(tags) < 70 else message(tags[:69] + tags[-1:])
    valid = message(fullest(capped(cuscar.nodes, 1), 1))
    per_segment = cpu(lambda: [build(valid, cuscar) for _ in range(200)], 9) / 200 / len(valid.segments)
    lists: dict[str, list[Segment]] = {}

    def plain() -> None:
        for _ in range(200):
            for segment in raw.segments:
                lists.setdefault(segment.tag, []).append(segment)
            lists.clear()

    assert per_segment < 12 * cpu(plain, 9) / 200 / len(raw.segments)


HOSTILE = {
    "one tag": lambda count: ("BGM", *("FTX",) * count),
    "two tags": lambda count: ("DTM", "RFF") * (count // 2),
    "foreign": lambda count: (FOREIGN,) * count,
    "a fault each": lambda count: (FOREIGN, "YYY") * (count // 2),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_time_is_linear_in_hostile_messages(cuscar: MessageSpec, kind: str) -> None:
    def taken(count: int) -> float:
        raw = message(("UNH", *HOSTILE[kind](count), "UNT"))
        return cpu(lambda: build(raw, cuscar), 2)

    taken(100)
    short, long = taken(3_500), taken(14_000)
    assert long < 7 * short + 0.05


def test_findings_are_kept_up_to_a_bound(cuscar: MessageSpec) -> None:
    raw = message(("UNH", *("YYY", FOREIGN) * 2_000, "UNT"))
    assert len(build(raw, cuscar)[1]) == KEEP


def test_a_deep_table_is_read_in_linear_time() -> None:
    node = seg("A?", 9)
    for depth in range(60):
        node = group(f"SG{60 - depth}?", 9, seg(f"B{depth % 3}"), node, seg("A?"))
    table = spec(node)
    short, long = (message(("UNH", *("B0", "B2", "B1", "A") * count, "UNT")) for count in (300, 1_200))
    build(short, table)
    assert cpu(lambda: build(long, table), 1) < 8 * cpu(lambda: build(short, table), 2) + 0.05
