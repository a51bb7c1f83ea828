"""Status, format, length and code of every element and component, by the tables of one directory.

Each segment's rule is compiled once per directory. Lengths count characters; in numeric values sign and
decimal mark
do not count (ISO 9735 §10). A repeating last element may also be sent as further elements (syntax 1–3).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from hub.edifact.directory import Component, Directory, ElementSpec
from hub.edifact.model import Element, RawMessage, Repeats, Segment
from hub.finding import Finding, Place

_PICTURE = re.compile(r"(an|a|n)(\.\.)?(\d+)$")
_IDENTITY = frozenset(("0051", "0052", "0054", "0057", "0065"))
"""Parts of the message identifier: whoever chose the directory has judged them; the service list ends in
2016.
"""

_NUMBER = re.compile(r"-?[0-9]+([.,][0-9]+)?$")

Fault = tuple[str, str, str]  # code, found, expected
Judge = Callable[[str], Fault | None]
Rule = tuple[bool, Judge, frozenset[str] | None, tuple[int, ...]]
Checker = Callable[[Segment, str, list[Finding]], None]


def check(message: RawMessage, directory: Directory) -> list[Finding]:
    """What is wrong with the elements of the message. Unknown segments are passed over: structure tells
    them.
    """
    findings: list[Finding] = []
    checkers = _checkers(directory)
    reference = message.reference
    for segment in message.segments:
        tag = segment.tag
        checker = checkers.get(tag)
        if checker is None:
            if tag in checkers or tag not in directory.raw["segments"]:
                continue
            checker = checkers[tag] = _checker(directory, tag)
        checker(segment, reference, findings)
    return findings


@lru_cache(maxsize=64)
def _checkers(directory: Directory) -> dict[str, Checker]:
    return {}


def _judge(picture: str) -> Judge:
    """Format and length of one value that is not empty."""
    match = _PICTURE.match(picture)
    if not match:
        return lambda value: None
    kind, longest = match[1], int(match[3])
    shortest = 1 if match[2] else longest

    def length(value: str, size: int) -> Fault | None:
        if size > longest:
            return "edifact.element_too_long", value, picture
        if size < shortest:
            return "edifact.element_too_short", value, picture
        return None

    def alphanumeric(value: str) -> Fault | None:
        size = len(value)
        return None if shortest <= size <= longest else length(value, size)

    def alphabetic(value: str) -> Fault | None:
        if not value.isalpha() and any(sign.isdigit() for sign in value):
            return "edifact.character_type", value, picture
        return length(value, len(value))

    def numeric(value: str) -> Fault | None:
        if value.isdecimal() and value.isascii():
            size = len(value)
            return None if shortest <= size <= longest else length(value, size)
        if not _NUMBER.match(value):
            return _number_fault(value), value, picture
        return length(value, len(value) - ("-" in value) - ("." in value or "," in value))

    return {"an": alphanumeric, "a": alphabetic, "n": numeric}[kind]


def _number_fault(value: str) -> str:
    bare = value.removeprefix("-")
    whole, mark, rest = bare.replace(",", ".").partition(".")
    if mark and not whole and rest.isascii() and rest.isdecimal():
        return "edifact.decimal_digit_missing"
    if mark and not set(bare) - set("0123456789.,"):
        return "edifact.decimal_invalid"
    return "edifact.character_type"


def _rule(directory: Directory, components: tuple[Component, ...], index: int) -> Rule:
    part = components[index]
    codes = directory.codes(part.id)
    known = frozenset(codes) if codes and part.id not in _IDENTITY else None
    return part.required, _judge(part.repr), known, _governing(components, index) if known else ()


def _governing(components: tuple[Component, ...], index: int) -> tuple[int, ...]:
    """Indexes of the 1131 and the 3055 that name the code list of the component at `index`."""
    found: dict[str, int] = {}
    if components[index].id in ("1131", "3055"):
        return ()
    for at in range(index + 1, len(components)):
        id = components[at].id
        if id in ("1131", "3055"):
            if id in found:
                break
            found[id] = at
    return tuple(found.values())


def _elsewhere(components: tuple[Component, ...], governing: tuple[int, ...], values: Element) -> bool:
    """True when the composite says that its code is of another list. Agency 6 is UN/ECE, the directory
    itself.
    """
    for at in governing:
        if at < len(values) and values[at] and not (components[at].id == "3055" and values[at] == "6"):
            return True
    return False


def _checker(directory: Directory, tag: str) -> Checker:
    specs = directory.segment(tag)
    rules = [[_rule(directory, spec.components, at) for at in range(len(spec.components))] for spec in specs]
    plan = [(spec, rule, len(rule)) for spec, rule in zip(specs, rules, strict=True)]
    if specs and specs[-1].max > 1:
        extra = (_optional(specs[-1]), rules[-1], len(rules[-1]))
        plan += [extra] * (min(specs[-1].max, 100) - 1)
    needed = max((at for at, spec in enumerate(specs, 1) if spec.required), default=0)
    allowed = len(plan)

    def checker(segment: Segment, reference: str, findings: list[Finding]) -> None:
        def tell(code: str, element: int | None, component: int | None, found: str = "", expected: str = "") -> None:
            place = Place(reference, segment.number, tag, element, component, segment.offset)
            findings.append(Finding(code, place, found[:80], expected))

        elements = segment.elements
        if len(elements) > allowed:
            if any("".join(values) for values in elements[allowed:]):
                tell("edifact.element_excess", allowed + 1, None, str(len(elements)), str(allowed))
            elements = elements[:allowed]
        for number, values in enumerate(elements, 1):
            spec, parts, count = plan[number - 1]
            if type(values) is Repeats:
                if 1 + len(values.more) > spec.max:
                    tell("edifact.element_repeats", number, None, str(1 + len(values.more)), str(spec.max))
                for more in values.more:
                    _check_values(more, spec, parts, count, number, tell)
            _check_values(values, spec, parts, count, number, tell)
        for at in range(len(elements), needed):
            if specs[at].required:
                tell("edifact.element_missing", at + 1, None, expected=specs[at].id)

    return checker


def _optional(spec: ElementSpec) -> ElementSpec:
    return ElementSpec(spec.id, False, spec.max, spec.composite, spec.components)


def _check_values(
    values: Element,
    spec: ElementSpec,
    parts: list[Rule],
    count: int,
    number: int,
    tell: Callable[[str, int | None, int | None, str, str], None],
) -> None:
    """One occurrence of an element, simple or composite."""
    if not any(values):
        if spec.required:
            tell("edifact.element_missing", number, None, "", spec.id)
        return
    if len(values) > count:
        if any(values[count:]):
            tell("edifact.component_excess", number, count + 1, str(len(values)), str(count))
        values = values[:count]
    composite = spec.composite
    at = 0
    for value in values:
        required, judge, codes, governing = parts[at]
        at += 1
        if value:
            if codes is not None and value in codes:
                continue
            fault = judge(value)
            if fault is not None:
                tell(fault[0], number, at if composite else None, fault[1], fault[2])
            elif codes is not None and not _elsewhere(spec.components, governing, values):
                id = spec.components[at - 1].id
                tell("edifact.code_unknown", number, at if composite else None, value, id)
        elif required:
            tell("edifact.element_missing", number, at if composite else None, "", spec.components[at - 1].id)
    for at in range(len(values), count):
        if parts[at][0]:
            tell("edifact.element_missing", number, at + 1, "", spec.components[at].id)
