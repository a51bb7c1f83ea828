"""Whether each rule of a guide can ever take effect, beside the standard and the rules before it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from hub.catalogue import catalogue
from hub.declaration import near
from hub.edifact.directory import Component, Node
from hub.finding import Finding
from hub.mapping.plan import EdifactFacts, Facts
from hub.site.guidefile import Listed, Narrow, Tolerate
from hub.site.guides import File
from hub.standards import identifiers
from hub.standards.aim import Aim, part
from hub.standards.codelist import CodeList
from hub.standards.narrowing import Narrowing, holder
from hub.standards.tolerance import LENGTHS, REPAIRS, VALUED, WHOLE, Tolerance, tolerable

KeyPath = tuple[Any, ...]
_PICTURE = re.compile(r"(?:an|a|n)(\.\.)?(\d+)$")
_LISTED_ELSEWHERE = "1131"
"""The component that names another list of codes: behind it the standard's own does not hold."""


def check(file: File, facts: Mapping[str, Facts], lists: Collection[CodeList]) -> list[Finding]:
    """Every mistake in the rules of one file, each once however many kinds it is for."""
    partial = {one.name for one in lists if not one.refuses}
    listed = {element for one in lists if one.refuses for binding in one.edifact for element in binding.elements}
    found: list[Finding] = []
    for at, tolerate in enumerate(file.rule.tolerate):
        found += _tolerate(file, ("tolerate", at), tolerate, facts)
    for at, narrow in enumerate(file.rule.narrow):
        found += _narrow(file, ("narrow", at), narrow, partial)
    for kind, rules in file.rules.items():
        found += _shadowed(file, rules.tolerances)
        known = facts.get(kind)
        for tolerance in rules.tolerances:
            if isinstance(known, EdifactFacts):
                found += _widens(file, tolerance, known, listed)
        for narrowing in rules.narrowings:
            found += _aimed(file, narrowing)
            if isinstance(known, EdifactFacts):
                found += _narrows(file, narrowing, known)
    return [finding for at, finding in enumerate(found) if finding not in found[:at]]


# ---- tolerances


def _tolerate(file: File, at: KeyPath, rule: Tolerate, facts: Mapping[str, Facts]) -> Iterator[Finding]:
    tell = file.source.finding
    if rule.code not in catalogue()["finding"]:
        known = [code for code in catalogue()["finding"] if tolerable(code)]
        yield tell("site.unknown_name", (*at, "code"), rule.code, near(rule.code, known))
        return
    if not tolerable(rule.code):
        yield tell("site.not_tolerable", (*at, "code"), rule.code)
        return
    if rule.as_ == "repair" and rule.code not in REPAIRS:
        yield tell("site.not_repairable", (*at, "as"), rule.code, ", ".join(sorted(REPAIRS)))
    if rule.at and WHOLE.match(rule.code):
        yield tell("site.never_applies", (*at, "at"), rule.at, f"{rule.code} lies in no message")
    if rule.values and rule.code not in VALUED:
        yield tell("site.never_applies", (*at, "values"), rule.code, "it names no value of the sender", key=True)
    if rule.upto and rule.code not in LENGTHS:
        yield tell("site.never_applies", (*at, "upto"), str(rule.upto), ", ".join(sorted(LENGTHS)))
    formats = {isinstance(facts[kind], EdifactFacts) for kind in file.rule.for_.kinds if kind in facts}
    room = rule.code.split(".")[0]
    if (room == "edifact" and formats == {False}) or (room == "xml" and formats == {True}):
        yield tell("site.never_applies", (*at, "code"), rule.code, f"for: {', '.join(file.rule.for_.kinds)}")


def _shadowed(file: File, rules: tuple[Tolerance, ...]) -> Iterator[Finding]:
    for at, rule in enumerate(rules):
        for earlier in rules[:at]:
            if earlier.covers(rule):
                yield file.source.finding("site.never_applies", ("tolerate", rule.number), rule.code, earlier.by)
                break


def _widens(file: File, rule: Tolerance, facts: EdifactFacts, listed: set[str]) -> Iterator[Finding]:
    """What is tolerated is refused by the standard, or by a list of the port (`listed` are their elements)."""
    at: KeyPath = ("tolerate", rule.number)
    parts = [(aim, found[1]) for aim in rule.aims if (found := part(aim, facts)) and found[1]]
    if not parts or len(parts) < len(rule.aims):
        return
    if rule.code == "edifact.code_unknown":
        standard = set.intersection(*(set(facts.directory.codes(one.id)) for _, one in parts))
        for number, value in enumerate(file.rule.tolerate[rule.number].values):
            if value in standard and not any(one.id in listed for _, one in parts):
                said = f"{rule.at}: {facts.spec.release}"
                yield file.source.finding("site.never_applies", (*at, "values", number), value, said)
        if not any(one.id in listed or facts.directory.codes(one.id) for _, one in parts):
            said = f"{facts.spec.release} has no codes for it"
            yield file.source.finding("site.never_applies", (*at, "at"), rule.at, said)
    if rule.code == "edifact.element_too_long" and rule.upto:
        longest = min(_lengths(one)[1] for _, one in parts)
        if rule.upto <= longest:
            said = f"{rule.at}: {parts[0][1].repr}"
            yield file.source.finding("site.never_applies", (*at, "upto"), str(rule.upto), said)


def _lengths(component: Component) -> tuple[int, int]:
    """(shortest, longest) that the standard allows; (0, 0) when it says nothing."""
    match = _PICTURE.match(component.repr)
    if not match:
        return 0, 0
    return (1 if match[1] else int(match[2])), int(match[2])


# ---- what is asked beyond the standard


def _narrow(file: File, at: KeyPath, rule: Narrow, partial: set[str]) -> Iterator[Finding]:
    tell = file.source.finding
    if not (rule.status or rule.length or rule.codes or rule.identifier or rule.repeat):
        yield tell("site.missing_key", at, expected="status, length, codes, identifier, repeat")
    if rule.identifier and rule.identifier not in identifiers.NAMES:
        expected = near(rule.identifier, identifiers.NAMES)
        yield tell("site.unknown_name", (*at, "identifier"), rule.identifier, expected)
    if isinstance(rule.codes, Listed) and rule.codes.list in partial:
        yield tell("site.never_applies", (*at, "codes", "list"), rule.codes.list, "refuses: false")
    shortest, longest = rule.lengths
    if rule.length and not 0 < longest >= shortest:
        yield tell("site.bad_value", (*at, "length"), rule.length, "17, 1..17, ..17")


def _aimed(file: File, rule: Narrowing) -> Iterator[Finding]:
    """What is asked can be asked at such a place."""
    at: KeyPath = ("narrow", rule.number)
    aim = rule.aims[0]
    if (rule.status or rule.repeat) and not (aim.inner or aim.levels):
        yield file.source.finding("site.bad_path", (*at, "at"), rule.at, "it is the whole document")
    if rule.status == "required" and not aim.inner and len(rule.aims) > 1:
        ways = ["/".join(level.name for level in one.levels) for one in rule.aims]
        yield file.source.finding("site.bad_path", (*at, "at"), rule.at, ", ".join(ways[:8]))
    if rule.repeat and aim.inner:
        yield file.source.finding("site.never_applies", (*at, "repeat"), str(rule.repeat), f"{rule.at}: 1")


def _narrows(file: File, rule: Narrowing, facts: EdifactFacts) -> Iterator[Finding]:
    """The standard allows more than the rule."""
    at: KeyPath = ("narrow", rule.number)
    single = [part(aim, facts) for aim in rule.aims]
    about = [name for name in rule.aspects if name in ("length", "codes", "identifier")]
    if about and not all(found and found[1] for found in single):
        yield file.source.finding("site.bad_path", (*at, "at"), rule.at, f"{about[0]}: one element")
        return
    for aim, found in zip(rule.aims, single, strict=True):
        if found is None:
            yield from _line(file, rule, aim, facts)
            continue
        spec, component = found
        mandatory = spec.required and (component is None or component.required)
        if mandatory and rule.status and not rule.when:
            yield _status(file, rule, facts)
        if component is not None:
            yield from _length(file, rule, component)
            yield from _codes(file, rule, component, facts, [one.id for one in spec.components])


def _line(file: File, rule: Narrowing, aim: Aim, facts: EdifactFacts) -> Iterator[Finding]:
    """A segment or group against its line of the segment table."""
    at: KeyPath = ("narrow", rule.number)
    levels = aim.levels[: holder(aim) + 1]
    node: Node = facts.spec.node(tuple(level.name for level in levels))
    if rule.repeat and rule.repeat >= node.max:
        said = f"{node.key}: {node.max}"
        yield file.source.finding("site.never_applies", (*at, "repeat"), str(rule.repeat), said)
    if node.required and rule.status and not rule.when and not levels[-1].tests:
        yield _status(file, rule, facts)


def _status(file: File, rule: Narrowing, facts: EdifactFacts) -> Finding:
    """What is mandatory needs not be asked for, and cannot be forbidden."""
    at = ("narrow", rule.number, "status")
    said = f"{facts.spec.release}: {rule.at} M"
    if rule.status == "required":
        return file.source.finding("site.never_applies", at, rule.status, said)
    return file.source.finding("site.bad_value", at, rule.status, said)


def _length(file: File, rule: Narrowing, component: Component) -> Iterator[Finding]:
    shortest, longest = _lengths(component)
    if not rule.longest or not longest:
        return
    if rule.longest > longest or (rule.longest == longest and rule.shortest <= shortest):
        at = ("narrow", rule.number, "length")
        said = f"{rule.at}: {component.repr}"
        yield file.source.finding("site.never_applies", at, file.rule.narrow[rule.number].length, said)


def _codes(
    file: File, rule: Narrowing, component: Component, facts: EdifactFacts, beside: list[str]
) -> Iterator[Finding]:
    """A code that the standard does not have would have been refused before, unless this file tolerates it."""
    standard = facts.directory.codes(component.id)
    asked = file.rule.narrow[rule.number].codes
    if not standard or _LISTED_ELSEWHERE in beside or not isinstance(asked, list):
        return
    tolerated = {value for one in file.rule.tolerate if one.code == "edifact.code_unknown" for value in one.values}
    for number, code in enumerate(asked):
        if code not in standard and code not in tolerated:
            at = ("narrow", rule.number, "codes", number)
            said = f"{facts.spec.release} {component.id}: {near(code, standard)}"
            yield file.source.finding("site.never_applies", at, code, said)
