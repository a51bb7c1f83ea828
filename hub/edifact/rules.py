"""The rules of one element: what each component must be, asked quickly (`Position.fit`) or told exactly (`faults`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from hub.edifact import dates, values
from hub.edifact.directory import Component, Directory, ElementSpec
from hub.edifact.model import Element

IDENTITY = frozenset(("0051", "0052", "0054", "0057", "0065"))
"""Parts of the message identifier: whoever chose the directory has judged them; the service list ends in 2016."""

USUAL = frozenset((("0007", "ZZ"),))
"""(element, code) that no list has and everybody sends: ZZ, from X12, stands where 0007 has ZZZ. A warning."""

UNECE = "6"
"""3055: UN/ECE, whose list is that of the directory unless 1131 names another one."""


class Lists(Protocol):
    """Code lists beside the directory's: the port's own, and those of other agencies."""

    def codes(self, element: str, code_list: str, agency: str) -> Collection[str] | None:
        """The codes of `element` in the list 1131 of the agency 3055; None: no such list here, so not checked.

        Both "" ask for a list that goes by the element alone (3207 country, 6345 currency, 6411 unit, 7065 package).
        """
        ...


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one element. `component` is None for the whole of it, or where it is simple."""

    code: str
    component: int | None
    found: str
    expected: str
    occurrence: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Of one component.

    codes      of the directory, or of a list that goes by the element alone; empty: any value
    governing  indexes of the 1131 and the 3055 that may name another list, () when that would change nothing
    lists      where another list may be found
    format     index of the 2379 by which this 2380 is written
    pictures   of the codes of 2379
    """

    id: str
    required: bool
    picture: str
    judge: values.Judge
    codes: Collection[str]
    governing: tuple[int, ...]
    lists: Lists | None
    format: int | None
    pictures: dict[str, str]

    def wrong(self, value: str, element: Element) -> tuple[str, str] | None:
        """(code, what was expected) for a value that is not empty, None when it is right."""
        code = self.judge(value)
        if code is not None:
            return code, self.picture
        code_list, agency = self._named(element)
        if not code_list and agency in ("", UNECE):
            if self.codes and value not in self.codes:
                return "edifact.code_usual" if (self.id, value) in USUAL else "edifact.code_unknown", self.id
        elif self.lists is not None:
            codes = self.lists.codes(self.id, code_list, agency)
            if codes is not None and value not in codes:
                return "edifact.code_unknown", f"{self.id} ({code_list}:{agency})"
        if self.format is not None and self.format < len(element):
            picture = self.pictures.get(element[self.format], "")
            right = dates.judge(picture)
            if right is not None and not right(value):
                return "edifact.date_invalid", f"{element[self.format]} {picture}"
        return None

    def _named(self, element: Element) -> tuple[str, str]:
        """The values of 1131 and 3055 that go with this component."""
        named = ["", ""]
        for which, at in enumerate(self.governing):
            if 0 <= at < len(element):
                named[which] = element[at]
        return named[0], named[1]


def _rules(spec: ElementSpec, directory: Directory, lists: Lists | None) -> tuple[Rule, ...]:
    """One rule for each component of the element."""
    ids = [part.id for part in spec.components]
    written = ids.index("2379") if "2379" in ids and "2380" in ids else None
    return tuple(
        _rule(part, _governing(spec.components, at), written if part.id == "2380" else None, directory, lists)
        for at, part in enumerate(spec.components)
    )


def _rule(
    part: Component, governing: tuple[int, int], format: int | None, directory: Directory, lists: Lists | None
) -> Rule:
    codes: Collection[str] = frozenset(directory.codes(part.id) if part.id not in IDENTITY else ())
    if not codes and lists is not None and part.id not in IDENTITY:
        codes = lists.codes(part.id, "", "") or frozenset()
    named = governing if codes or lists is not None else ()
    pictures = directory.codes("2379") if format is not None else {}
    return Rule(part.id, part.required, part.repr, values.judge(part.repr), codes, named, lists, format, pictures)


def _governing(components: tuple[Component, ...], index: int) -> tuple[int, int]:
    """Indexes of the 1131 and the 3055 that name the code list of the component at `index`; -1 where there is none."""
    found = {"1131": -1, "3055": -1}
    if components[index].id in found:
        return -1, -1
    for at in range(index + 1, len(components)):
        id = components[at].id
        if id in found:
            if found[id] >= 0:
                break
            found[id] = at
    return found["1131"], found["3055"]


def faults(element: Element, spec: ElementSpec, parts: tuple[Rule, ...]) -> Iterator[Fault]:
    """What is wrong with one occurrence of an element, simple or composite."""
    if not any(element):
        if spec.required:
            yield Fault("edifact.element_missing", None, "", spec.id)
        return
    count = len(parts)
    if len(element) > count and any(element[count:]):
        yield Fault("edifact.component_excess", count + 1, str(len(element)), str(count))
    for at, (value, rule) in enumerate(zip(element, parts, strict=False), 1):
        component = at if spec.composite else None
        if value:
            wrong = rule.wrong(value, element)
            if wrong is not None:
                yield Fault(wrong[0], component, value, wrong[1])
        elif rule.required:
            yield Fault("edifact.element_missing", component, "", rule.id)
    for at in range(len(element), count):
        if parts[at].required:
            yield Fault("edifact.element_missing", at + 1, "", parts[at].id)


@dataclass(frozen=True, slots=True)
class Position:
    """One element of a segment, compiled. `right`: texts that are right as the whole of it; `most`: the length up to
    which any text without components is; `fit`: true only for an element, not empty, in which nothing is wrong."""

    spec: ElementSpec
    rules: tuple[Rule, ...]
    right: Collection[str]
    most: int
    fit: Callable[[Element], bool]


def position(spec: ElementSpec, directory: Directory, lists: Lists | None) -> Position:
    """The element `spec` by the tables of `directory` and the lists beside it."""
    parts = _rules(spec, directory, lists)
    optional = frozenset() if spec.required else frozenset(("",))
    if any(rule.required for rule in parts[1:]):
        return Position(spec, parts, optional, 0, _fit(parts))
    return Position(spec, parts, optional.union(_plain(parts[0])), _free(parts[0]), _fit(parts))


def further(first: Position) -> Position:
    """The same element where it comes again, which it never must."""
    spec = replace(first.spec, required=False)
    return replace(first, spec=spec, right=frozenset(("",)).union(first.right))


def _fit(parts: tuple[Rule, ...]) -> Callable[[Element], bool]:
    plan = [(_free(rule), _plain(rule), rule.required, rule.wrong) for rule in parts]
    needed = max((at for at, rule in enumerate(parts, 1) if rule.required), default=0)
    allowed = len(parts)

    def fit(element: Element) -> bool:
        if not needed <= len(element) <= allowed:
            return False
        for value, (most, right, required, wrong) in zip(element, plan):  # noqa: B905 (twice as fast)
            if not value:
                if required:
                    return False
            elif not (len(value) <= most or value in right or wrong(value, element) is None):
                return False
        return True

    return fit


def _free(rule: Rule) -> int:
    """The length up to which any text is right, whatever stands beside it."""
    return 0 if rule.codes or rule.format is not None or _elsewhere(rule) else values.most(rule.picture)


def _plain(rule: Rule) -> Collection[str]:
    """Values that are right whatever stands beside them."""
    if rule.format is not None or _elsewhere(rule):
        return ()
    return frozenset(code for code in rule.codes if rule.judge(code) is None)


def _elsewhere(rule: Rule) -> bool:
    """True when what stands beside the value may name a list that is here."""
    return rule.lists is not None and max(rule.governing, default=-1) >= 0
