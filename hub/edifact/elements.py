"""Status, format, length and code of every element and component, by the tables of one directory.

Each segment's rule is compiled once per directory. Lengths count characters; in numeric values sign and decimal mark
do not count (ISO 9735 §10). A repeating last element may also be sent as further elements (syntax 1–3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from hub.edifact.directory import Component, Directory, ElementSpec
from hub.edifact.model import Element, RawMessage, Repeats, Segment
from hub.edifact.tokenizer import KEEP
from hub.finding import Finding, Place

_PICTURE = re.compile(r"(an|a|n)(\.\.)?(\d+)$")
_IDENTITY = frozenset(("0051", "0052", "0054", "0057", "0065"))
"""Parts of the message identifier: whoever chose the directory has judged them; the service list ends in 2016."""

_USUAL = frozenset((("0007", "ZZ"),))
"""(element, code) that no list has and everybody sends: ZZ, from X12, stands where 0007 has ZZZ. A warning."""

_WARNINGS = frozenset(("edifact.code_usual",))

_NUMBER = re.compile(r"-?[0-9]+([.,][0-9]+)?$")

Fault = tuple[str, int | None, str, str]  # code, component, found, expected
Judge = Callable[[str], tuple[str, str] | None]  # of a value: code, expected
Rule = tuple[bool, Judge, frozenset[str], tuple[int, ...]]
"""Of one component: status, format, codes, and what names another list of codes."""

Quick = tuple[int, frozenset[str], Callable[[str, Element], bool], bool]
"""Of one component: the length up to which any value is right, right values, what else is right, status."""


@dataclass(frozen=True, slots=True)
class _Checker:
    """One segment of one directory. `clean` is True only when nothing is wrong, as with nearly every segment."""

    specs: tuple[ElementSpec, ...]
    rules: list[list[Rule]]
    clean: Callable[[list[Element]], bool]

    def tell(self, segment: Segment, reference: str) -> Iterator[Finding]:
        for element, (code, component, found, expected) in _segment_faults(segment.elements, self.specs, self.rules):
            place = Place(reference, segment.number, segment.tag, element, component, segment.offset)
            yield Finding(code, place, found[:80], expected, "warning" if code in _WARNINGS else "error")


def check(message: RawMessage, directory: Directory) -> list[Finding]:
    """What is wrong with the elements of the message. Unknown segments are passed over: structure tells them."""
    findings: list[Finding] = []
    checkers = _checkers(directory)
    for segment in message.segments:
        tag = segment.tag
        checker = checkers.get(tag)
        if checker is None:
            if tag not in directory.raw["segments"]:
                continue
            checker = checkers[tag] = _checker(directory, tag)
        if not checker.clean(segment.fresh()):
            findings += checker.tell(segment, message.reference)
            if len(findings) >= KEEP:
                break
    return findings


@lru_cache(maxsize=64)
def _checkers(directory: Directory) -> dict[str, _Checker]:
    return {}


def _judge(picture: str) -> Judge:
    """Format and length of one value that is not empty."""
    match = _PICTURE.match(picture)
    if not match:
        return lambda value: None
    kind, longest = match[1], int(match[3])
    shortest = 1 if match[2] else longest

    def length(size: int) -> tuple[str, str] | None:
        if size > longest:
            return "edifact.element_too_long", picture
        if size < shortest:
            return "edifact.element_too_short", picture
        return None

    def alphanumeric(value: str) -> tuple[str, str] | None:
        size = len(value)
        return None if shortest <= size <= longest else length(size)

    def alphabetic(value: str) -> tuple[str, str] | None:
        if not value.isalpha() and any(sign.isdigit() for sign in value):
            return "edifact.character_type", picture
        return length(len(value))

    def numeric(value: str) -> tuple[str, str] | None:
        if value.isdecimal() and value.isascii():
            size = len(value)
            return None if shortest <= size <= longest else length(size)
        if not _NUMBER.match(value):
            return _number_fault(value), picture
        return length(len(value) - ("-" in value) - ("." in value or "," in value))

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
    codes = directory.codes(part.id) if part.id not in _IDENTITY else {}
    return part.required, _judge(part.repr), frozenset(codes), _governing(components, index) if codes else ()


def _quick(components: tuple[Component, ...], index: int, rule: Rule) -> Quick:
    required, judge, codes, governing = rule

    def foreign(value: str, values: Element) -> bool:
        return judge(value) is None and _elsewhere(components, governing, values)

    def plain(value: str, values: Element) -> bool:
        return judge(value) is None

    match = _PICTURE.match(components[index].repr)
    any_text = match is not None and match[1] == "an" and match[2] and not codes
    return int(match[3]) if match and any_text else 0, codes, foreign if codes else plain, required


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
    """True when the composite says that its code is of another list. Agency 6 is UN/ECE, the directory itself."""
    for at in governing:
        if at < len(values) and values[at] and not (components[at].id == "3055" and values[at] == "6"):
            return True
    return False


def _clean(specs: tuple[ElementSpec, ...], rules: list[list[Rule]]) -> Callable[[list[Element]], bool]:
    plan = []
    for spec, parts in zip(specs, rules, strict=True):
        quick = [_quick(spec.components, at, rule) for at, rule in enumerate(parts)]
        needed = max((at for at, (required, *_) in enumerate(parts, 1) if required), default=0)
        optional = frozenset() if spec.required else frozenset(("",))
        most, codes, _, _ = quick[0]
        alone = (optional | codes, most) if needed <= 1 else (optional, 0)
        plan.append((*alone, needed, spec.required, quick))
    least = max((at for at, spec in enumerate(specs, 1) if spec.required), default=0)
    allowed = len(plan)

    def clean(elements: list[Element]) -> bool:
        if not least <= len(elements) <= allowed:
            return False
        for values, (right, most, needed, mandatory, quick) in zip(elements, plan):  # noqa: B905 (twice as fast)
            if type(values) is Repeats:
                return False
            first = values[0]
            count = len(values)
            if count == 1 and (first in right or 0 < len(first) <= most):
                continue
            if not needed <= count <= len(quick) or (mandatory and not first):
                return False
            for value, (longest, codes, other, required) in zip(values, quick):  # noqa: B905
                if not value:
                    if required:
                        return False
                elif not (len(value) <= longest or value in codes or other(value, values)):
                    return False
        return True

    return clean


def _checker(directory: Directory, tag: str) -> _Checker:
    specs = directory.segment(tag)
    if specs and specs[-1].max > 1:
        specs += (replace(specs[-1], required=False),) * (min(specs[-1].max, 100) - 1)
    rules = [[_rule(directory, spec.components, at) for at in range(len(spec.components))] for spec in specs]
    return _Checker(specs, rules, _clean(specs, rules))


def _segment_faults(
    elements: list[Element], specs: tuple[ElementSpec, ...], rules: list[list[Rule]]
) -> Iterator[tuple[int, Fault]]:
    """Each fault of a segment with the number of its element."""
    allowed = len(specs)
    if len(elements) > allowed and any("".join(values) for values in elements[allowed:]):
        yield allowed + 1, ("edifact.element_excess", None, str(len(elements)), str(allowed))
    for number, (values, spec, parts) in enumerate(zip(elements, specs, rules, strict=False), 1):
        if isinstance(values, Repeats):
            if 1 + len(values.more) > spec.max:
                yield number, ("edifact.element_repeats", None, str(1 + len(values.more)), str(spec.max))
            for more in values.more:
                for fault in _faults(more, spec, parts):
                    yield number, fault
        for fault in _faults(values, spec, parts):
            yield number, fault
    for number, spec in enumerate(specs[len(elements) :], len(elements) + 1):
        if spec.required:
            yield number, ("edifact.element_missing", None, "", spec.id)


def _faults(values: Element, spec: ElementSpec, parts: list[Rule]) -> Iterator[Fault]:
    """What is wrong with one occurrence of an element, simple or composite."""
    if not any(values):
        if spec.required:
            yield "edifact.element_missing", None, "", spec.id
        return
    count = len(parts)
    if len(values) > count and any(values[count:]):
        yield "edifact.component_excess", count + 1, str(len(values)), str(count)
    for at, (value, part, (required, judge, codes, governing)) in enumerate(
        zip(values, spec.components, parts, strict=False), 1
    ):
        component = at if spec.composite else None
        if not value:
            if required:
                yield "edifact.element_missing", component, "", part.id
        elif value not in codes:
            wrong = judge(value)
            if wrong is not None:
                yield wrong[0], component, value, wrong[1]
            elif codes and not _elsewhere(spec.components, governing, values):
                code = "edifact.code_usual" if (part.id, value) in _USUAL else "edifact.code_unknown"
                yield code, component, value, part.id
    for at in range(len(values), count):
        if parts[at][0]:
            yield "edifact.element_missing", at + 1, "", spec.components[at].id
