"""What a mapping tells of itself: a fact for every rule, and where every value of an output came from."""

from __future__ import annotations

from typing import Any

import pytest

from hub.edifact.model import Segment
from hub.mapping.facts import RuleFact
from hub.mapping.lineage import CodeRow, Origin, Trace

from .conftest import CONTEXT, Made, cuscar, order
from .test_mapping_page import DOCUMENT, MESSAGE

XML = """from: {ship: cuscar}
to: report
document:
  Report:
    Number: {from: $reference, as: [digits, {pad: [4, "0"]}]}
    Kind: {from: BGM/1225, map: document-function, default: =none}
    Status: =new
    Bill:
      each: SG4
      when: SG5/RFF
      Number: SG5/RFF[1153=BM]/C506/1154
      Item: {each: SG5/SG10, Text: {join: FTX/C108/4440}, Weight: {sum: MEA/C174/6314}}
      Party: {at: "SG5/SG7[NAD/3035=CN]", Name: NAD/C080/3036, "@role": ../BGM/1004}
"""
EDI = """from: order
to: cuscar
message:
  BGM: {C002/1001: =785, "1004": Order/Number}
  DTM: {C507/2005: =137, C507/2380: {from: Order/Due, as: {date: "102"}}, C507/2379: =102}
  SG2: {each: Order/Box, EQD: {"8053": =CN, C237/8260: Id}}
  SG4:
    at: Order
    CNI: {"1490": =1}
    SG5: {RFF: {C506/1153: =BM, C506/1154: Number}, SG10: {GID: {"1496": =1}, FTX: {"4451": =AAA, C108/4440: {spread: Text, width: 40, times: 2, more: segment}}}}
"""  # noqa: E501


def facts(made: Made, text: str) -> dict[str, RuleFact]:
    return {("" if fact.leaf else "+ ") + fact.target: fact for fact in made(text).rules}


def test_a_fact_for_every_value_and_every_branch(made: Made) -> None:
    found = facts(made, XML.replace("../BGM/1004", "/BGM/1004"))
    assert list(found) == [
        *("Report/Number", "Report/Kind", "Report/Status", "+ Report/Bill", "Report/Bill/Number"),
        *("+ Report/Bill/Item", "Report/Bill/Item/Text", "Report/Bill/Item/Weight"),
        *("+ Report/Bill/Party", "Report/Bill/Party/Name", "Report/Bill/Party/@role"),
    ]
    number, kind = found["Report/Number"], found["Report/Kind"]
    assert (number.context, number.functions, number.optional) == (("reference",), ("digits", "pad 4 0"), False)
    assert (kind.reads, kind.table, kind.optional) == ((("ship", "BGM/1225"),), "document-function", False)
    assert (found["Report/Status"].literal, found["Report/Status"].reads) == ("new", ())
    bill = found["+ Report/Bill"]
    assert bill.reads == (("ship", "SG4"), ("ship", "SG4/SG5/RFF"))
    assert (bill.loops, bill.conditions) == (("ship:SG4",), ("SG5/RFF",))
    text = found["Report/Bill/Item/Text"]
    assert text.reads == (("ship", "SG4/SG5/SG10/FTX/C108/4440"),)
    assert (text.loops, text.conditions, text.optional) == (("ship:SG4", "ship:SG4/SG5/SG10"), ("SG5/RFF",), True)
    name = found["Report/Bill/Party/Name"]
    assert name.reads == (("ship", "SG4/SG5/SG7[NAD/3035=CN]/NAD/C080/3036"),)
    assert (name.spot.file, name.spot.line, name.spot.column) == ("m.yaml", 13, 49)
    assert found["Report/Bill/Party/@role"].reads == (("ship", "BGM/1004"),)


def test_facts_of_edifact_targets_choices_and_narrowing(made: Made) -> None:
    found = facts(made, EDI)
    assert found["SG2/EQD/C237/8260"].reads == (("", "Order/Box/Id"),)
    assert found["BGM/C002/1001"].literal == "785"
    text = "from: order\nto: cuscar\nmessage:\n  NAD:\n    choose:\n"
    rest = '      - {when: Order/Kind, "3035": =A}\n      - {"3035": {from: Order/Kind, narrow: [truncate, reject]}}\n'
    first, second = made(text + rest).rules
    assert (first.conditions, second.conditions) == (("Order/Kind",), ("not (Order/Kind)",))
    assert (first.target, second.narrow) == ("NAD/3035", ("truncate", "reject"))


@pytest.fixture(scope="module")
def message(kinds: dict[str, Any]) -> Any:
    return cuscar(MESSAGE, kinds)


def shown(trace: Trace) -> tuple[str, str, list[str]]:
    """Target, value, and origins as `SG10 FTX(12) 4.1`."""
    places = []
    for origin in trace.sources:
        at = f"({origin.node.number})" if isinstance(origin.node, Segment) else ""
        inner = (
            f" {origin.element}.{origin.component}" if origin.element else origin.attribute and f" @{origin.attribute}"
        )
        places.append(f"{origin.node.tag}{at}{inner}")
    return trace.target, trace.value, places


def test_every_value_is_traced_to_its_segment_element_and_component(made: Made, message: Any) -> None:
    mapping = made(XML.replace("../BGM/1004", "/BGM/1004"))
    target, findings, traces = mapping.apply_traced({"ship": message}, CONTEXT)
    assert findings == [] and target.findtext("Number") == "0001"
    told = {trace.target: shown(trace)[1:] for trace in traces}
    assert told["Report/Kind"] == ("original", ["BGM(2) 3.1"])
    assert told["Report/Bill[1]/Number"] == ("BL1", ["RFF(13) 1.2"])
    assert told["Report/Bill[1]/Item[1]/Text"] == ("COATS OF WOOLFOR WOMEN", ["FTX(18) 4.1", "FTX(18) 4.2"])
    assert told["Report/Bill[2]/Item[1]/Weight"] == ("160", ["MEA(28) 3.2"])
    assert told["Report/Bill[1]/Party/@role"] == ("MF1", ["BGM(2) 2.1"])
    assert told["Report/Status"] == ("new", []) and told["Report/Number"] == ("0001", [])
    kind = next(trace for trace in traces if trace.target == "Report/Kind")
    assert kind.rows == (CodeRow("document-function", "9", "original"),)
    assert kind.sources == (Origin("ship", kind.sources[0].node, 3, 1),)
    number = next(trace for trace in traces if trace.target == "Report/Number")
    assert (number.functions, number.spot.line) == (("digits", "pad 4 0"), 5)


def test_a_segment_is_traced_with_its_literals_and_the_lines_of_a_long_text(made: Made) -> None:
    document = order(DOCUMENT)
    target, findings, traces = made(EDI).apply_traced({"": document}, CONTEXT)
    told = [shown(trace) for trace in traces]
    assert findings == []
    assert ("BGM/C002/1001", "785", []) in told and ("BGM/1004", "A-7", ["Number"]) in told
    assert ("SG2[2]/EQD/C237/8260", "B2", ["Id"]) in told
    date = next(trace for trace in traces if trace.target == "DTM/C507/2380")
    assert (date.value, date.functions) == ("20261123", ("date 102",))
    lines = [(one, value) for one, value, _ in told if "4440" in one]
    assert lines == [
        ("SG4/SG5/SG10/FTX[1]/C108/4440#1", "Keep dry, keep upright, do not stack;"),
        ("SG4/SG5/SG10/FTX[1]/C108/4440#2", "the doors of the box face the stern and"),
        ("SG4/SG5/SG10/FTX[2]/C108/4440#1", "the seals are checked at every gate"),
    ]
    written = [value for segment in target.segments() for element in segment.elements for value in element if value]
    assert sorted(trace.value for trace in traces) == sorted(written)


def test_an_attribute_and_a_row_are_origins(made: Made) -> None:
    text = "from: order\nto: report\ndocument:\n  Report: {Box: {each: Order/Line, '@id': '@no'}}"
    _, _, traces = made(text).apply_traced({"": order(DOCUMENT)}, CONTEXT)
    assert [shown(trace) for trace in traces][2] == ("Report/Box[3]/@id", "3", ["Line @no"])
