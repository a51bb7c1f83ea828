"""Mappings side by side: `python tests/benchmarks/bench_mapping.py`.

CPU time (time.process_time) of alternating rounds in one process with the garbage collector on; medians. A field is
one value of the output: an XML text or attribute, an EDIFACT component. Sources of EDIFACT kinds are golden inputs and
one generated message of about 2 KB; sources of XML kinds are what the mappings before them made.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bench_edifact import ROOT, alternating, interchange

from hub.edifact import elements, reader, structure
from hub.edifact.model import Group, RawMessage, Separators
from hub.finding import rejects
from hub.mapping.compile import Mapping
from hub.site.load import load
from hub.site.site import Site, Usage

GOLDEN = ("manifest/cases/01-original", "vessel/cases/01-arrival")


def trees(site: Site, data: bytes) -> dict[str, Any]:
    """The messages of an interchange as nodes by kind."""
    found: dict[str, Any] = {}
    for part in reader.read([data]):
        if isinstance(part, RawMessage):
            usage = site.edifact[part.type, f"{part.version}:{part.release}"]
            found[usage.name] = structure.build(part, usage.spec)[0]
    return found


def fields(node: Any) -> int:
    """How many values the output has."""
    if isinstance(node, Group):
        return sum(bool(value) for segment in node.segments() for element in segment.elements for value in element)
    return sum(bool((one.text or "").strip()) + len(one.attrib) for one in node.iter())


def write(usage: Usage, node: Any) -> object:
    return usage.write_edifact(node, "1", Separators()) if isinstance(node, Group) else usage.write(node)


def whole(site: Site, data: bytes, kind: str, context: dict[str, str]) -> bytes:
    """EDIFACT to XML as the hub does it: read, build, check, map, write."""
    [raw] = [part for part in reader.read([data]) if isinstance(part, RawMessage)]
    usage = site.edifact[raw.type, f"{raw.version}:{raw.release}"]
    tree, wrong = structure.build(raw, usage.spec)
    assert not rejects([*wrong, *elements.check(raw, usage.directory)])
    made, wrong = site.mappings[usage.name, kind].apply({"": tree}, context)
    written, faults = site.kinds[kind].write(made)
    assert not rejects([*wrong, *faults])
    return written


def main() -> None:
    site = load(ROOT)
    now = datetime(2026, 11, 23, 9, tzinfo=UTC)
    context = site.context(now, reference="E1", sender="TJLINE", recipient="CUSTOMS", port="TJEPORT", case="C1")
    nodes: dict[str, Any] = {}
    for folder in GOLDEN:
        nodes |= trees(site, (ROOT / "mappings" / folder / "in.edi").read_bytes())
    small = interchange(1)
    work: list[tuple[str, Mapping, dict[str, Any]]] = [
        ("2 KB message", site.mappings["cuscar-d95b", "manifest"], {"": trees(site, small)["cuscar-d95b"]})
    ]
    for mapping in site.mappings.values():
        if set(mapping.sources.values()) <= nodes.keys():
            sources = {alias: nodes[kind] for alias, kind in mapping.sources.items()}
            nodes[mapping.target] = mapping.apply(sources, context)[0]
            work.append(("golden", mapping, sources))
    for title, mapping, sources in work:
        usage = site.kinds[mapping.target]
        node, findings = mapping.apply(sources, context)
        assert not findings
        count = fields(node)
        times = alternating(
            {
                "apply": lambda mapping=mapping, sources=sources: mapping.apply(sources, context),
                "traced": lambda mapping=mapping, sources=sources: mapping.apply_traced(sources, context),
                "write": lambda usage=usage, node=node: write(usage, node),
            },
            31,
            10,
        )
        print(
            f"{mapping.name} ({title}): {count} fields, apply {times['apply']:.3f} ms = "
            f"{times['apply'] * 1000 / count:.2f} µs per field, traced {times['traced'] / times['apply']:.1f}x, "
            f"write {times['write']:.3f} ms"
        )
    times = alternating({"whole": lambda: whole(site, small, "manifest", context)}, 31, 10)
    print(f"EDIFACT to XML, message of {len(small)} bytes, read to written: {times['whole']:.3f} ms")


if __name__ == "__main__":
    main()
