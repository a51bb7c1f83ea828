"""XML side by side: `python tests/benchmarks/bench_xml.py`.

CPU time (time.process_time) of alternating rounds in one process with the garbage collector on; medians. What the hub
does with a document (bytes through the gate, the schema, the identifiers' check digits and code lists) stands beside
xmlschema's validation of the tree that lxml made of the same bytes.
"""

from __future__ import annotations

import re
from datetime import date

import xmlschema
from bench_edifact import ROOT, alternating
from lxml import etree

from hub.standards.codelist import read_all
from hub.standards.external import External
from hub.xml import gate
from hub.xml.schema import Schema

GOLDEN = ROOT / "mappings" / "manifest" / "cases" / "01-original" / "expected" / "manifest.xml"
BUDGET = 0.3  # milliseconds for 5 KB


def document(size: int) -> bytes:
    """A manifest of about `size` bytes: the golden one with its consignments repeated."""
    text = GOLDEN.read_text("utf-8")
    parts = re.findall(r" *<Consignment>.*?</Consignment>\n", text, re.S)
    more = -(-(size - len(text)) // len(parts[-1]))  # rounded up
    return text.replace(parts[-1], parts[-1] * (1 + more)).encode("utf-8")


def main() -> None:
    path = ROOT / "schemas" / "manifest" / "manifest.xsd"
    schema, other = Schema(path), xmlschema.XMLSchema(str(path))
    external = External.of(read_all(ROOT)[0], date(2026, 11, 23))
    for size in (5_000, 500_000):
        data = document(size)
        root, wrong = gate.parse(data)
        assert root is not None
        assert not [*wrong, *schema.check(root, external.check)]
        times = alternating(
            {
                "gate": lambda data=data: gate.parse(data),
                "schema": lambda root=root: schema._faults(root),
                "identifiers": lambda root=root: list(schema._identified.check(root, external.check)),
                "whole": lambda data=data: schema.check(gate.parse(data)[0], external.check),
                "lxml + xmlschema": lambda data=data: list(other.iter_errors(etree.fromstring(data))),
            },
            21 if size < 100_000 else 5,
            50 if size < 100_000 else 1,
        )
        print(f"{len(data)} bytes: " + " · ".join(f"{what} {ms:.3f} ms" for what, ms in times.items()))
        print(f"    lxml + xmlschema / whole: {times['lxml + xmlschema'] / times['whole']:.0f}x", end="")
        print(f" · budget {BUDGET} ms for 5 KB: {times['whole'] / BUDGET:.0%}" if size == 5_000 else "")


if __name__ == "__main__":
    main()
