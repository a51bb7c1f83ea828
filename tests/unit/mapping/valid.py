"""Sources that their standards accept, made from the standards: by seed, the same each time."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from lxml import etree

from hub.edifact import elements, structure
from hub.edifact.directory import Directory, ElementSpec, MessageSpec, Node
from hub.edifact.model import Group, RawMessage, Segment
from hub.edifact.writer import order
from hub.finding import rejects
from hub.mapping.checking.domain import Domain
from hub.mapping.checking.particles import Particles, particles
from hub.mapping.moments import FORMATS
from hub.mapping.narrow import longest
from hub.standards import identifiers

USEFUL = ["CNTXG", "KRPUS", "9074729", "CSQU3054383", "TEMU1234565", "CN", "KR", "12", "840.5", "PASSENGER", "A-1"]
TESTED = {
    "8051": ["20"],
    "3227": ["11", "9", "153", "125", "61", "60"],
    "2005": ["132", "133", "329", "36", "137"],
    "3035": ["CZ", "CN", "CA", "CG"],
    "1153": ["BM", "FV", "VON", "ABO"],
    "4451": ["AAA", "AAO"],
    "6311": ["WT"],
    "6063": ["114", "115"],
    "1225": ["9", "5", "1"],
    "8169": ["4", "5"],
    "1001": ["185", "186", "36", "98"],
    "9019": ["1", "2"],
}
"""What the mappings of the site look for."""
FITTING = {
    "8213": ["9074729", "BPAB"],
    "8260": ["CSQU3054383", "TEMU1234565"],
    "3225": ["CNTXG", "KRPUS"],
    "3207": ["CN"],
}
FITTING |= {
    "8453": ["CN"],
    "3293": ["CHN"],
    "3039": ["MAERSK"],
    "8155": ["22G1"],
    "1154": ["12"],
    "1056": ["1"],
    "9019": ["M"],
}
FITTING |= {"6314": ["840.5"], "8028": ["0126W"], "6060": ["12"], "1496": ["1"], "1490": ["1"], "9008": ["MASTER"]}
"""What they ask of other elements."""
_START = datetime(2026, 11, 23, 12)  # noqa: DTZ001


class Message:
    """Messages of one type."""

    def __init__(self, directory: Directory, spec: MessageSpec, seed: int) -> None:
        self.directory, self.spec, self.chance = directory, spec, random.Random(seed)
        self.full = self.chance.choice((1.0, 1.0, self.chance.random()))
        self.turns: Counter[str] = Counter()
        self.fitting = self.chance.choice((1.0, self.chance.random()))

    def tree(self) -> Group:
        """A tree that its structure and the element check accept."""
        return self._group("", self.spec.nodes)

    def _group(self, name: str, nodes: tuple[Node, ...]) -> Group:
        group = Group(name)
        for node in nodes:
            most = min(node.max, 5 if self.fitting == 1.0 and len(name) < 4 else 2)
            times = (
                (most if self.fitting == 1.0 and not node.children else self.chance.randint(1, min(most, 2)))
                if node.required or self.chance.random() < self.full
                else 0
            )
            for _ in range(times if self.directory.defines(node.trigger) else 0):
                group.add(node.key, self._group(node.key, node.children) if node.children else self._segment(node.key))
        return group

    def _segment(self, tag: str) -> Segment:
        if tag in ("UNH", "UNT"):
            return Segment(tag, [[""]], 1)
        return Segment(tag, [self._element(spec) for spec in self.directory.segment(tag)], 1)

    def _element(self, spec: ElementSpec) -> list[str]:
        if not spec.required and self.chance.random() > self.full:
            return [""]
        parts: list[str] = []
        form = self.chance.choice([code for code in FORMATS if code in self.directory.codes("2379")] or [""])
        for part in spec.components:
            if not part.required and self.chance.random() > self.full and part.id not in ("2380", "2379"):
                parts.append("")
            elif part.id == "2380" and form:
                moment = _START + timedelta(minutes=self.chance.randint(0, 500_000))
                parts.append(moment.strftime(FORMATS[form]))
            elif part.id == "2379" and form:
                parts.append(form)
            else:
                parts.append("" if part.id in ("1131", "3055") else self._value(part.id, part.repr))
        return (
            parts if any(parts) or not spec.required else [self._value(spec.components[0].id, spec.components[0].repr)]
        )

    def _value(self, id: str, form: str) -> str:
        codes = self.directory.codes(id)
        most, numeric = longest(form)
        alpha = form.startswith("a") and not form.startswith("an")
        fitting = [one for one in FITTING.get(id, ()) if len(one) <= most]
        if fitting and not codes and self.chance.random() < self.fitting:
            return self.chance.choice(fitting)
        if codes:
            wanted = [code for code in TESTED.get(id, ()) if code in codes]
            if wanted and self.fitting == 1.0:  # each in its turn, so that messages are whole
                self.turns[id] += 1
                return wanted[self.turns[id] % len(wanted)]
            return self.chance.choice(wanted if wanted and self.chance.random() <= self.fitting else list(codes))
        if numeric and ".." not in form:
            return str(self.chance.randint(10 ** (most - 1), 10**most - 1))
        if numeric:
            return str(self.chance.randint(1, 10 ** min(most, self.chance.randint(1, most)) - 1))
        exact = most if ".." not in form else 0
        useful = [one for one in USEFUL if len(one) <= most and not exact and (not alpha or one.isalpha())]
        if useful and self.chance.random() < 0.8:
            return self.chance.choice(useful)
        letters = "ABCXYZ" if alpha else "ABC 019.Z"
        size = exact or self.chance.randint(1, most)
        return "X" + "".join(self.chance.choices(letters, k=size - 2)) + "Y" * (size > 1)


def refused(tree: Group, directory: Directory, spec: MessageSpec) -> list[Any]:
    """What structure and elements have against a message, errors only."""
    body = [part for part in order(tree, spec) if part.tag not in ("UNH", "UNT")]
    segments = [Segment(part.tag, part.elements, at) for at, part in enumerate(body, 2)]
    head, tail = (
        Segment("UNH", [["1"], [spec.type, "D", "95B", "UN"]], 1),
        Segment("UNT", [["1"], ["1"]], len(body) + 2),
    )
    message = RawMessage("1", spec.type, "D", "95B", "UN", "", [head, *segments, tail], 0, 0)
    found = [*structure.build(message, spec)[1], *elements.check(message, directory)]
    return [one for one in found if rejects([one]) and one.place.tag not in ("UNH", "UNT")]


class Document:
    """Documents of one schema."""

    def __init__(self, usage: Any, seed: int) -> None:
        self.root, self.namespace = usage.rule.root, usage.schema.namespace
        self.schema: Particles = particles(usage.schema)
        self.chance = random.Random(seed)
        self.full = self.chance.random()

    def tree(self) -> Any:
        return self._element((self.root,))

    def _element(self, path: tuple[str, ...]) -> Any:
        node = etree.Element(f"{{{self.namespace}}}{path[-1]}" if self.namespace else path[-1])
        for name, count in (self.schema.children(path) or {}).items():
            least = count.least or int(self.chance.random() < self.full)
            for _ in range(self.chance.randint(least, min(count.most, 3)) if least else 0):
                if name == "@lang":
                    node.set("{http://www.w3.org/XML/1998/namespace}lang", "en")
                elif name[0] == "@":
                    node.set(name[1:], self._text(self.schema.value((*path, name))))
                else:
                    node.append(self._element((*path, name)))
        value = self.schema.value(path)
        if value is not None:
            node.text = self._text(value)
        return node

    def _text(self, domain: Domain | None) -> str:
        if domain is None or domain.form == "any":
            return "x"
        if domain.codes:
            return self.chance.choice(sorted(domain.codes))
        if domain.form == "integer":
            return str(
                self.chance.randint(int(domain.low or 0), int(min(domain.high or 10**6, 10 ** (domain.digits or 9))))
            )
        if domain.form == "decimal":
            whole = self.chance.randint(
                1, 10 ** self.chance.randint(1, min((domain.digits or 9) - (domain.decimals or 2), 12)) - 1
            )
            return f"{whole}.{self.chance.randint(0, 9)}"
        if domain.form in ("date", "date-time"):
            moment = _START + timedelta(minutes=self.chance.randint(0, 500_000))
            return moment.date().isoformat() if domain.form == "date" else moment.isoformat() + "+08:00"
        return self._word(domain)

    def _word(self, domain: Domain) -> str:
        plain = bool(domain.patterns) or self.chance.random() < 0.7
        for tried in self.chance.sample(SAMPLES, len(SAMPLES)) if plain else ():
            if domain.takes(tried) and (
                domain.name not in identifiers.NAMES or not identifiers.check(domain.name, tried)
            ):
                return tried
        size = self.chance.randint(max(domain.least, 1), domain.most or 20)
        return "".join(self.chance.choices("ABCÄ天 Z", k=size)).strip().replace("  ", " x")[:size] or "x"


SAMPLES = [*USEFUL, "CHN", "22G1", "BPAB", "MAERSK", "E-17", "GB", "USLAX", "PK"]
