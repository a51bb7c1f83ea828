"""The port's own code lists as one day sees them: what EDIFACT elements and identifiers of XML documents may say."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from hub.standards import identifiers
from hub.standards.codelist import CodeList


@dataclass(frozen=True, slots=True)
class External:
    """The lists on one day. Lists that are not whole are not among them: they refuse nothing."""

    day: date
    bound: dict[tuple[str, str, str], CodeList]
    named: dict[str, CodeList]

    @staticmethod
    def of(lists: Iterable[CodeList], day: date) -> External:
        whole = [codes for codes in lists if codes.refuses]
        bound: dict[tuple[str, str, str], CodeList] = {}
        for codes in whole:
            for binding in codes.edifact:
                for element in binding.elements:
                    bound[element, binding.code_list, binding.agency] = codes
                    if binding.code_list:  # the agency is left out as often as not
                        bound.setdefault((element, binding.code_list, ""), codes)
        return External(day, bound, {codes.name: codes for codes in whole})

    def codes(self, element: str, code_list: str, agency: str) -> Collection[str] | None:
        """The codes that `element` may hold where 1131 and 3055 say so; None: no such list here."""
        found = self.bound.get((element, code_list, agency))
        return found.at(self.day) if found else None

    def check(self, name: str, value: str) -> str | None:
        """As `identifiers.check`; a code must also be on its list on this day. KeyError for an unknown name."""
        wrong = identifiers.check(name, value)
        if wrong:
            return wrong
        codes = self.named.get(identifiers.IDENTIFIERS[name].codes)
        if codes is None or value in codes.at(self.day):
            return None
        return f"{self.day} 的代码表 · code list of that day: {codes.name}"
